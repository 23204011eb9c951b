"""The files of one study: its page, its text, its ``predictions.json`` and, if it came from DICOM, DICOM objects."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spinenet.report.document import (
    DOCUMENT_FILE,
    document,
    measurement_rows,
    merge_documents,
    read_document,
    study_entry,
    write_document,
)
from spinenet.report.identification import identification_of, write_identification
from spinenet.report.options import DEFAULT, Language, Output, ReportOptions
from spinenet.report.page.html import report_name, write_study_report
from spinenet.report.page.patient import write_patient_page
from spinenet.report.page.worklist import WORKLIST_FILE, write_worklist
from spinenet.report.tables import MEASUREMENT_COLUMNS, MEASUREMENTS_FILE, write_table
from spinenet.report.text.narrative import narrative
from spinenet.study import StudyResult
from spinenet.system.files import write_text

REPORTS_FOLDER = "reports"
IDENTITY_SUFFIX = ".identity.json"
"""Who was examined, where that was asked for: the one file beside page and DICOM objects that says it."""
PAGE_SUFFIX, PATIENT_SUFFIX, TEXT_SUFFIX, DOCUMENT_SUFFIX = ".html", ".patient.html", ".txt", ".json"
FHIR_SUFFIX = ".fhir.json"
OBJECT_SUFFIXES: dict[Output, str] = {output: f".{output}.dcm" for output in Output if output is not Output.FHIR}
"""Of DICOM objects."""
REPORT_SUFFIX = OBJECT_SUFFIXES[Output.REPORT]


def write_study_files(
    result: StudyResult, folder: Path, *, model: Mapping[str, Any], options: ReportOptions = DEFAULT, place: str = ""
) -> None:
    """Write everything about a study into ``folder``, each file whole or not at all, in the place of earlier ones.

    ``model`` as ``serve.batch.model_facts`` gives it. A failed study has a page and a document with the reason,
    and where it came as DICOM a structured report that says it in words. ``place`` is where the images lie, told where
    the patient is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_study_report(result, folder, model=model, options=options)
    write_document(
        path_of(folder, result.key, DOCUMENT_SUFFIX), document(model, [study_entry(result, identify=options.identify)])
    )
    _write_text(result, path_of(folder, result.key, TEXT_SUFFIX), model, options.language)
    identity = path_of(folder, result.key, IDENTITY_SUFFIX)
    if options.identify:
        write_identification(identity, identification_of(result.origin, place))
    else:
        identity.unlink(missing_ok=True)
    patient = path_of(folder, result.key, PATIENT_SUFFIX)
    if options.patient_page and result.status != "failed":
        write_patient_page(result, patient, options.language)
    else:
        patient.unlink(missing_ok=True)
    _write_dicom(result, folder, model, options)
    bundle = path_of(folder, result.key, FHIR_SUFFIX)
    if Output.FHIR in options.outputs and result.status != "failed":
        from spinenet.report.fhir_bundle import write_bundle_of

        write_bundle_of(result, bundle, model, identify=options.identify)
    else:
        bundle.unlink(missing_ok=True)


def _write_text(result: StudyResult, path: Path, model: Mapping[str, Any], language: Language) -> None:
    """The report text; a failed study has none."""
    if result.status == "failed":
        path.unlink(missing_ok=True)
    else:
        write_text(path, narrative(result, model, language).text())


def delete_study_files(folder: Path, key: str) -> None:
    """Delete whatever ``write_study_files`` may have written of a study."""
    written = (PAGE_SUFFIX, PATIENT_SUFFIX, TEXT_SUFFIX, DOCUMENT_SUFFIX, IDENTITY_SUFFIX, FHIR_SUFFIX)
    for suffix in (*written, *OBJECT_SUFFIXES.values()):
        path_of(folder, key, suffix).unlink(missing_ok=True)


def write_folder_files(out: Path, keys: Sequence[str], language: Language = Language.EN) -> None:
    """Write what is about all studies of a folder, given the keys of those that are complete; the worklist in a
    language."""
    paths = [path_of(out / REPORTS_FOLDER, key, DOCUMENT_SUFFIX) for key in keys]
    documents = [path for path in paths if path.exists()]  # a report may be deleted, for a patient who asks for it
    merge_documents(documents, out / DOCUMENT_FILE)
    _write_measurements(documents, out / MEASUREMENTS_FILE)
    identities = {path: path.with_name(path.name.removesuffix(DOCUMENT_SUFFIX) + IDENTITY_SUFFIX) for path in documents}
    write_worklist(identities, out / WORKLIST_FILE, language)


def _write_measurements(documents: Sequence[Path], path: Path) -> None:
    """The table of all measurements, where the bundle measures by outlines."""
    rows = [row for one in documents for study in read_document(one)["studies"] for row in measurement_rows(study)]
    if rows:
        write_table(path, MEASUREMENT_COLUMNS, rows)
    else:
        path.unlink(missing_ok=True)


def path_of(folder: Path, key: str, suffix: str) -> Path:
    """Where one of a study's files lies.

    >>> path_of(Path("reports"), "study-0a1b", REPORT_SUFFIX).as_posix()
    'reports/study-0a1b.sr.dcm'
    """
    return folder / (report_name(key).removesuffix(".html") + suffix)


def _write_dicom(result: StudyResult, folder: Path, model: Mapping[str, Any], options: ReportOptions) -> None:
    """The DICOM objects that are asked for and can be made; others of that study are removed."""
    from spinenet.report.dicom.capture import write_capture
    from spinenet.report.dicom.key_slices import write_key_slices
    from spinenet.report.dicom.objects import made_from
    from spinenet.report.dicom.segmentation import write_segmentation
    from spinenet.report.dicom.structured_report import write_report
    from spinenet.report.dicom.text_report import write_refusal

    writers = {
        Output.REPORT: write_report,
        Output.OVERVIEW: write_capture,
        Output.OUTLINES: write_segmentation,
        Output.KEY_SLICES: write_key_slices,
    }
    if Output.PDF in options.outputs:  # whose library may not be there
        from spinenet.report.dicom.encapsulated_pdf import write_pdf

        writers[Output.PDF] = write_pdf
    made = made_from(result, model, identify=options.identify)
    for output, suffix in OBJECT_SUFFIXES.items():
        path = path_of(folder, result.key, suffix)
        if made is None or output not in options.outputs or not writers[output](made, path):
            path.unlink(missing_ok=True)
    if result.status == "failed" and Output.REPORT in options.outputs:
        write_refusal(result, model, path_of(folder, result.key, REPORT_SUFFIX), identify=options.identify)
