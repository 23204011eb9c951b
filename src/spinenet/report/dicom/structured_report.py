"""The grades of a study as a DICOM Comprehensive 3D SR: TID 1500, one group (TID 1501) a level and target.

A condition is called a finding where it is present and stood by; else it is what was looked for, with what is said of
it. Whoever reads findings alone takes nothing for present that is absent or doubtful.
"""

import io
import re
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

from pydicom.uid import Comprehensive3DSRStorage

from spinenet.checking.gates import INCOMPLETE
from spinenet.labels import TARGET
from spinenet.locating.measuring.quantities import error_in_words
from spinenet.readers.dicom.assembly import is_uid
from spinenet.readers.sources import LOST
from spinenet.report.certainty import LOCATOR_ERRORS, label, reading_of
from spinenet.report.deciding_slices import where_read
from spinenet.report.dicom import codes
from spinenet.report.dicom.content_tree import (
    CONTAINS,
    CONTEXT,
    MODIFIES,
    PROPERTY,
    Item,
    Value,
    code_item,
    concept,
    container,
    contents,
    encoded,
    item,
    number_item,
    point_item,
    text_item,
    uid_item,
)
from spinenet.report.dicom.context import device, evidence, measured_in, read_from, reader, references
from spinenet.report.dicom.objects import ObjectSource, new_object
from spinenet.report.findings import is_found
from spinenet.report.reviewed import Review, review_of
from spinenet.report.text.narrative import narrative
from spinenet.study import Level, Measurement, Prediction, StudyResult
from spinenet.system.files import replacing

SERIES_NUMBER = 9001


def write_report(made: ObjectSource, path: Path) -> bool:
    """Write the structured report of a study; it is there whole or not at all. True: there is always one."""
    report = new_object(made, Comprehensive3DSRStorage, "SR", SERIES_NUMBER, "spinenet grades, research only")
    report.ReferencedPerformedProcedureStepSequence = []
    head = io.BytesIO()
    report.save_as(head, enforce_file_format=True)
    with replacing(path) as partial:
        partial.write_bytes(head.getvalue() + _body(made))  # whose tags are the last ones
    return True


def _body(made: ObjectSource) -> Item:
    """The root of the document: the SR document modules from value type on (PS3.3 C.17.2 and C.17.3)."""
    shown = [measured_in(made), *(read_from(made, prediction) for prediction in made.result.reported)]
    return encoded(
        ValueType="CONTAINER",
        ConceptNameCodeSequence=[concept(codes.MEASUREMENT_REPORT)],
        PerformedProcedureCodeSequence=[],
        CurrentRequestedProcedureEvidenceSequence=[evidence(made, chain.from_iterable(shown))],
        **_completion(made.result),
        **_verification(review_of(made.result)),
        **contents([*_context(made), _measurements(made), _text(made)], "1500"),
    )


def walk(items: Iterable[Any]) -> Iterable[Any]:
    """All content items below these, in the order of the document."""
    return chain.from_iterable((one, *walk(one.get("ContentSequence", ()))) for one in items)


def _completion(result: StudyResult) -> dict[str, Value]:
    """Whether the images were all there (PS3.3 C.17.2)."""
    lacking = {note.code for note in (*result.notes, *result.flags)} & (LOST | INCOMPLETE)
    if not lacking:
        return {"CompletionFlag": "COMPLETE"}
    return {"CompletionFlag": "PARTIAL", "CompletionFlagDescription": "images are missing or could not be used"}


def _verification(review: Review | None) -> dict[str, Value]:
    """Whether a reader has approved the report, who, and when (PS3.3 C.17.2)."""
    if review is None or not review.approved:
        return {"VerificationFlag": "UNVERIFIED", "PreliminaryFlag": "PRELIMINARY"}
    observer = encoded(
        VerifyingObserverName=review.reader,
        VerifyingOrganization="not stated",
        VerificationDateTime=re.sub(r"[^0-9]", "", review.at)[:14],
        VerifyingObserverIdentificationCodeSequence=[],
    )
    return {"VerificationFlag": "VERIFIED", "PreliminaryFlag": "FINAL", "VerifyingObserverSequence": [observer]}


def _context(made: ObjectSource) -> list[Item]:
    """Language, the device that observed (TID 1001) and the procedure."""
    return [
        code_item(MODIFIES, codes.LANGUAGE, codes.ENGLISH),
        *device(made),
        *reader(made),
        code_item(MODIFIES, codes.PROCEDURE_REPORTED, codes.PROCEDURE),
    ]


def _measurements(made: ObjectSource) -> Item:
    groups = [_study_group(made)]
    groups += [_level_group(made, level) for level in made.result.levels]
    groups += [_grade_group(made, prediction) for prediction in made.result.reported]
    return container(codes.IMAGING_MEASUREMENTS, groups, "")


def _text(made: ObjectSource) -> Item:
    """The report text: an item for each level, each line of the impression, and each of the rest."""
    text = narrative(made.result, made.model)
    items = [text_item(CONTAINS, codes.COMMENT, line) for line in (text.made_by, text.notice, *text.technique)]
    for level, sentences in text.findings:
        items.append(text_item(CONTAINS, codes.FINDING, f"{level}: {' '.join(sentences)}"))
    items += [text_item(CONTAINS, codes.IMPRESSION, line) for line in text.impression]
    items += [text_item(CONTAINS, codes.COMMENT, line) for line in text.not_assessed]
    return container(codes.EVALUATIONS, items, "")


def _study_group(made: ObjectSource) -> Item:
    """What is to be known of the whole study: research only, and every note and flag by its code and in words."""
    result = made.result
    notes = [*result.flags, *result.notes, *(note for one in result.located for note in one.notes)]
    return _group(
        made,
        "study",
        code_item(CONTAINS, codes.FINDING, codes.RESEARCH),
        code_item(MODIFIES, codes.FINDING_SITE, codes.LUMBAR_SPINE),
        *(
            code_item(
                CONTAINS, codes.CAUTION, codes.note_code(note.code), [text_item(PROPERTY, codes.IN_WORDS, str(note))]
            )
            for note in dict.fromkeys(notes)
        ),
    )


def _level_group(made: ObjectSource, level: Level) -> Item:
    """Where a level lies (TID 1410, the region being a point, the disc's centre) and what was measured there."""
    series = next(one.series for one in made.result.located if one.series.name == level.series)
    place = series.frame_of_reference
    point = [point_item(codes.REGION, level.center_mm, place)] if is_uid(place) else []
    return _group(
        made,
        f"{level.name} measurements",
        *_algorithm(made),
        code_item(MODIFIES, codes.FINDING_SITE, codes.LEVEL_CODES[level.name]),
        *point,
        *(
            number_item(codes.MEASUREMENT_CODES[one.name], one.value, codes.UNITS[one.name], _how_well(one))
            for one in made.result.measurements
            if one.level == level.name
        ),
        *references(made, codes.SOURCE, measured_in(made, level.name)),
        template="1410" if point else "1501",
    )


def _how_well(measured: Measurement) -> list[Item]:
    """How far a size may be off, or that it is coarse where the locator alone gave it, as the page marks it."""
    if not measured.series:
        return [text_item(PROPERTY, codes.IN_WORDS, f"by the locator alone, {LOCATOR_ERRORS}")]
    if measured.error_95 is None:
        return []
    return [text_item(PROPERTY, codes.IN_WORDS, error_in_words(measured.name, measured.error_95))]


def _grade_group(made: ObjectSource, prediction: Prediction) -> Item:
    target = TARGET[prediction.target]
    laterality = [code_item(MODIFIES, codes.LATERALITY, codes.SIDES[target.side])] if target.side else []
    reading = reading_of(prediction)
    said = f"{label(prediction)}{where_read(made.result, prediction)}, {reading.percent} %"
    words = [text_item(PROPERTY, codes.IN_WORDS, said)]
    in_set = (target.step(grade).code for grade in prediction.grade_set)
    return _group(
        made,
        f"{prediction.level} {target.title}",
        *([] if prediction.evidence == "reader" else _algorithm(made)),
        code_item(CONTAINS, codes.FINDING if is_found(prediction) else codes.LOOKED_FOR, codes.finding_code(target)),
        code_item(MODIFIES, codes.FINDING_SITE, codes.SITES[target.unit][prediction.level], laterality),
        number_item(codes.PROBABILITY, reading.share, codes.RATIO),
        *(
            code_item(CONTAINS, codes.GRADES[reading.certainty], target.step(grade).code, words)
            for grade in reading.grades
        ),
        code_item(CONTAINS, codes.STANDS_BY, codes.CONFIDENT[prediction.confident]),
        code_item(CONTAINS, codes.EVIDENCE, codes.EVIDENCES[prediction.evidence]),
        *(code_item(CONTAINS, codes.SET_MEMBER, grade) for grade in in_set),
        *references(made, codes.SOURCE, read_from(made, prediction)),
    )


def _group(made: ObjectSource, name: str, *items: Item, template: str = "1501") -> Item:
    identity = [
        text_item(CONTEXT, codes.TRACKING_NAME, name),
        uid_item(CONTEXT, codes.TRACKING_UID, made.uid("group", name)),
    ]
    return container(codes.MEASUREMENT_GROUP, [*identity, *items], template)


def _algorithm(made: ObjectSource) -> list[Item]:
    """Which algorithm found what a group holds (TID 4019)."""
    return [
        item(MODIFIES, "TEXT", codes.ALGORITHM_NAME, TextValue=str(made.model["name"])),
        item(MODIFIES, "TEXT", codes.ALGORITHM_VERSION, TextValue=str(made.model["version"])),
    ]
