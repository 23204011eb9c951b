"""DICOM files as series: headers, stacks, pixels."""
