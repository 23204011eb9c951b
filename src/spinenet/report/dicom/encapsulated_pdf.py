"""The printed report of a study as a DICOM Encapsulated PDF (PS3.3 A.45.1)."""

from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from spinenet.report.dicom import codes
from spinenet.report.dicom.context import instances_of_evidence, measured_in
from spinenet.report.dicom.objects import ObjectSource, coded, new_object
from spinenet.report.printed import pdf_of
from spinenet.report.reviewed import review_of
from spinenet.system.files import replacing

SERIES_NUMBER = 9006


def write_pdf(made: ObjectSource, path: Path) -> bool:
    """Write the PDF of a study; it is there whole or not at all. True: there is always one."""
    pdf = pdf_of(made.result, made.model)
    document = new_object(made, EncapsulatedPDFStorage, "DOC", SERIES_NUMBER, "spinenet report, research only")
    _describe(document, made)
    document.MIMETypeOfEncapsulatedDocument = "application/pdf"
    document.EncapsulatedDocumentLength = len(pdf)
    document.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    with replacing(path) as partial:
        document.save_as(partial, enforce_file_format=True)
    return True


def _describe(document: Dataset, made: ObjectSource) -> None:
    review = review_of(made.result)
    document.ConversionType = "WSD"
    document.AcquisitionDateTime = ""
    document.BurnedInAnnotation = "NO"  # of the patient
    document.DocumentTitle = "Lumbar spine MRI: grades by spinenet. Research use only."
    document.ConceptNameCodeSequence = [coded(codes.IMAGING_REPORT)]
    document.VerificationFlag = "VERIFIED" if review and review.approved else "UNVERIFIED"
    document.SourceInstanceSequence = instances_of_evidence(made, measured_in(made))
