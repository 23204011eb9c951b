"""Results as DICOM objects: structured report and overview."""
