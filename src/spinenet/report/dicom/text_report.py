"""Words about a study as a DICOM Basic Text SR, which archives take that know no other report: why it was not graded,
or what a node has to say of it."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydicom.uid import BasicTextSRStorage

from spinenet.labels import RESEARCH_ONLY
from spinenet.readers.dicom.assembly import is_uid
from spinenet.report.dicom import codes
from spinenet.report.dicom.content_tree import (
    CONTAINS,
    Item,
    concept,
    contents,
    encoded,
    item,
    text_item,
)
from spinenet.report.dicom.context import device
from spinenet.report.dicom.objects import ObjectSource, new_object
from spinenet.study import StudyResult
from spinenet.system.files import replacing

SERIES_NUMBER = 9003


def write_refusal(result: StudyResult, model: Mapping[str, Any], path: Path, *, identify: bool) -> bool:
    """Write why a study was not graded; False where it did not come as DICOM or lacks a UID to be filed by."""
    said = [f"Not graded: {result.message}"]
    return write_words(result, said, model, path, title="spinenet: not graded", identify=identify)


def write_words(
    result: StudyResult, words: Sequence[str], model: Mapping[str, Any], path: Path, *, title: str, identify: bool
) -> bool:
    """Write sentences about a study as a report of its own; False where that study has no UID to be filed by."""
    if result.origin is None or not is_uid(result.origin.study_uid):
        return False
    made = ObjectSource(result, result.origin, {}, model, identify)
    report = new_object(made, BasicTextSRStorage, "SR", SERIES_NUMBER, title)
    text = "\n".join(words)
    report.SOPInstanceUID = made.uid("words", title, hashlib.sha256(text.encode()).hexdigest())
    report.file_meta.MediaStorageSOPInstanceUID = report.SOPInstanceUID
    report.ReferencedPerformedProcedureStepSequence = []
    head = io.BytesIO()
    report.save_as(head, enforce_file_format=True)
    with replacing(path) as partial:
        partial.write_bytes(head.getvalue() + _body(made, words))  # whose tags are the last ones
    return True


def _body(made: ObjectSource, words: Sequence[str]) -> Item:
    """The document from value type on: who speaks, then each sentence (PS3.3 C.17.2 and C.17.3)."""
    spoken = [text_item(CONTAINS, codes.FINDING, line) for line in words]
    findings = item(CONTAINS, "CONTAINER", codes.FINDINGS, **contents(spoken, ""))
    return encoded(
        ValueType="CONTAINER",
        ConceptNameCodeSequence=[concept(codes.IMAGING_REPORT)],
        PerformedProcedureCodeSequence=[],
        CompletionFlag="COMPLETE",
        VerificationFlag="UNVERIFIED",
        **contents([*device(made), findings, text_item(CONTAINS, codes.COMMENT, RESEARCH_ONLY)], ""),
    )
