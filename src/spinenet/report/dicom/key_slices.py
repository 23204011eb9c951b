"""The slices that decided what was found, as a DICOM Key Object Selection (TID 2010): a reader's first look."""

import io
from itertools import chain
from pathlib import Path

from pydicom.uid import KeyObjectSelectionDocumentStorage

from spinenet.labels import RESEARCH_ONLY
from spinenet.report.dicom import codes
from spinenet.report.dicom.content_tree import CONTAINS, MODIFIES, code_item, concept, contents, encoded, text_item
from spinenet.report.dicom.context import device, evidence, read_from, references
from spinenet.report.dicom.objects import ObjectSource, new_object
from spinenet.report.findings import in_words, is_found
from spinenet.system.files import replacing

SERIES_NUMBER = 9005


def write_key_slices(made: ObjectSource, path: Path) -> bool:
    """Write which slices decided the findings of a study; False where it has none that is stood by."""
    found = [one for one in made.result.reported if is_found(one)]
    slices = list(dict.fromkeys(chain.from_iterable(read_from(made, one) for one in found)))
    images = list(dict.fromkeys(references(made, None, slices)))
    if not images:
        return False
    selection = new_object(made, KeyObjectSelectionDocumentStorage, "KO", SERIES_NUMBER, "spinenet deciding slices")
    selection.ReferencedPerformedProcedureStepSequence = []
    head = io.BytesIO()
    selection.save_as(head, enforce_file_format=True)
    told = "; ".join(f"{one.level} {in_words(one)}" for one in found)
    content = [
        code_item(MODIFIES, codes.LANGUAGE, codes.ENGLISH),
        *device(made),
        text_item(CONTAINS, codes.KEY_DESCRIPTION, f"Slices that decided: {told}. {RESEARCH_ONLY}"),
        *images,
    ]
    body = encoded(
        ValueType="CONTAINER",
        ConceptNameCodeSequence=[concept(codes.KEY_SLICES)],
        CurrentRequestedProcedureEvidenceSequence=[evidence(made, slices)],
        **contents(content, "2010"),
    )
    with replacing(path) as partial:
        partial.write_bytes(head.getvalue() + body)  # whose tags are the last ones
    return True
