"""A DICOM node beside a PACS (extra ``network``): takes images, grades complete studies, sends the results on."""
