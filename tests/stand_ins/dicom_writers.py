"""Everything that writes a DICOM object of a graded study, by what it is."""

from spinenet.report.dicom.capture import write_capture
from spinenet.report.dicom.encapsulated_pdf import write_pdf
from spinenet.report.dicom.key_slices import write_key_slices
from spinenet.report.dicom.segmentation import write_segmentation
from spinenet.report.dicom.structured_report import write_report

WRITERS = {
    "report": write_report,
    "capture": write_capture,
    "segmentation": write_segmentation,
    "key slices": write_key_slices,
    "pdf": write_pdf,
}
