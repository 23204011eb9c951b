"""A synthetic study as files: DICOM, NIfTI, SPIDER's and RSNA's layouts."""
