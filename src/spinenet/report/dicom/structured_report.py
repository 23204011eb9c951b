"""The grades of a study as a DICOM Comprehensive 3D SR: TID 1500, one group (TID 1501) a level and target."""

import io
import re
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

from pydicom.uid import Comprehensive3DSRStorage, MRImageStorage

from spinenet.labels import TARGET
from spinenet.report.certainty import label, reading_of
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
    image_item,
    item,
    number_item,
    text_item,
    uid_item,
)
from spinenet.report.dicom.objects import MANUFACTURER, ObjectSource, new_object
from spinenet.report.page.attention import deciding
from spinenet.report.reviewed import Review, review_of
from spinenet.report.text.narrative import narrative
from spinenet.study import Prediction, SourceImages
from spinenet.system.files import replacing

SERIES_NUMBER = 9001
REFERENCED = 3
"""So many slices are named for a grade: those the model looked at most."""


def write_report(made: ObjectSource, path: Path) -> None:
    """Write the structured report of a study; it is there whole or not at all."""
    report = new_object(made, Comprehensive3DSRStorage, "SR", SERIES_NUMBER, "spinenet grades, research only")
    report.ReferencedPerformedProcedureStepSequence = []
    head = io.BytesIO()
    report.save_as(head, enforce_file_format=True)
    with replacing(path) as partial:
        partial.write_bytes(head.getvalue() + _body(made))  # whose tags are the last ones


def _body(made: ObjectSource) -> Item:
    """The root of the document: the SR document modules from value type on (PS3.3 C.17.2 and C.17.3)."""
    return encoded(
        ValueType="CONTAINER",
        ConceptNameCodeSequence=[concept(codes.MEASUREMENT_REPORT)],
        PerformedProcedureCodeSequence=[],
        CurrentRequestedProcedureEvidenceSequence=[_evidence(made)],
        CompletionFlag="COMPLETE",
        **_verification(review_of(made.result)),
        **contents([*_context(made), _measurements(made), _text(made)], "1500"),
    )


def walk(items: Iterable[Any]) -> Iterable[Any]:
    """All content items below these, in the order of the document."""
    return chain.from_iterable((one, *walk(one.get("ContentSequence", ()))) for one in items)


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


def _reader(review: Review | None) -> list[Item]:
    """The person who corrected or approved, as an observer beside the device (TID 1003)."""
    if review is None:
        return []
    name = item(CONTEXT, "PNAME", codes.PERSON_NAME, PersonName=review.reader)
    return [code_item(CONTEXT, codes.OBSERVER_TYPE, codes.PERSON), name]


def _context(made: ObjectSource) -> list[Item]:
    """Language, the device that observed (TID 1001) and the procedure."""
    return [
        code_item(MODIFIES, codes.LANGUAGE, codes.ENGLISH),
        code_item(CONTEXT, codes.OBSERVER_TYPE, codes.DEVICE),
        uid_item(CONTEXT, codes.DEVICE_UID, made.uid("device")),
        text_item(CONTEXT, codes.DEVICE_NAME, "spinenet"),
        text_item(CONTEXT, codes.DEVICE_MANUFACTURER, MANUFACTURER),
        text_item(CONTEXT, codes.DEVICE_MODEL, f"{made.model['name']} {made.model['version']}"),
        *_reader(review_of(made.result)),
        code_item(MODIFIES, codes.PROCEDURE_REPORTED, codes.PROCEDURE),
    ]


def _measurements(made: ObjectSource) -> Item:
    groups = [_study_group(made)]
    groups += [_level_group(made, level.name, level.measurements) for level in made.result.levels if level.measurements]
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


def _level_group(made: ObjectSource, level: str, values: dict[str, float]) -> Item:
    return _group(
        made,
        f"{level} measurements",
        *_algorithm(made),
        code_item(MODIFIES, codes.FINDING_SITE, codes.LEVEL_CODES[level]),
        *(number_item(codes.MEASUREMENT_CODES[name], value, codes.UNITS[name]) for name, value in values.items()),
        *_references(made, _measured_in(made)),
    )


def _grade_group(made: ObjectSource, prediction: Prediction) -> Item:
    target = TARGET[prediction.target]
    laterality = [code_item(MODIFIES, codes.LATERALITY, codes.SIDES[target.side])] if target.side else []
    reading = reading_of(prediction)
    words = [text_item(PROPERTY, codes.IN_WORDS, f"{label(prediction)}, {reading.percent} %")]
    in_set = (target.step(grade).code for grade in prediction.grade_set)
    return _group(
        made,
        f"{prediction.level} {target.title}",
        *([] if prediction.evidence == "reader" else _algorithm(made)),
        code_item(CONTAINS, codes.FINDING, codes.finding_code(target)),
        code_item(MODIFIES, codes.FINDING_SITE, codes.SITES[target.unit][prediction.level], laterality),
        number_item(codes.PROBABILITY, reading.share, codes.RATIO),
        *(
            code_item(CONTAINS, codes.GRADES[reading.certainty], target.step(grade).code, words)
            for grade in reading.grades
        ),
        code_item(CONTAINS, codes.STANDS_BY, codes.CONFIDENT[prediction.confident]),
        code_item(CONTAINS, codes.EVIDENCE, codes.EVIDENCES[prediction.evidence]),
        *(code_item(CONTAINS, codes.SET_MEMBER, grade) for grade in in_set),
        *_references(made, _read_from(made, prediction)),
    )


def _group(made: ObjectSource, name: str, *items: Item) -> Item:
    identity = [
        text_item(CONTEXT, codes.TRACKING_NAME, name),
        uid_item(CONTEXT, codes.TRACKING_UID, made.uid("group", name)),
    ]
    return container(codes.MEASUREMENT_GROUP, [*identity, *items], "1501")


def _algorithm(made: ObjectSource) -> list[Item]:
    """Which algorithm found what a group holds (TID 4019)."""
    return [
        item(MODIFIES, "TEXT", codes.ALGORITHM_NAME, TextValue=str(made.model["name"])),
        item(MODIFIES, "TEXT", codes.ALGORITHM_VERSION, TextValue=str(made.model["version"])),
    ]


def _measured_in(made: ObjectSource) -> list[tuple[str, int]]:
    """(series, slice) of each slice that levels were measured in."""
    return [(one.series.name, one.midline_slice) for one in made.result.located if one.series.plane == "sagittal"]


def _read_from(made: ObjectSource, prediction: Prediction) -> list[tuple[str, int]]:
    """(series, slice) of the slices that counted most for a grade."""
    crops = deciding(made.result.crops.get(prediction.level, ()), prediction.target)[:REFERENCED]
    return [(crop.series_name, crop.slice_index) for crop in crops]


def _references(made: ObjectSource, slices: Iterable[tuple[str, int]]) -> list[Item]:
    """The source images of (series, slice) pairs; interpolated slices have none."""
    found = []
    for images, (uid, frame) in _instances(made, slices):
        is_single = images.sop_class_uid == MRImageStorage
        found.append(image_item(codes.SOURCE, images.sop_class_uid, uid, None if is_single else frame))
    return found


def _instances(made: ObjectSource, slices: Iterable[tuple[str, int]]) -> list[tuple[SourceImages, tuple[str, int]]]:
    """The series and (instance UID, frame) of each slice that was acquired."""
    known = [(made.images[name], index) for name, index in slices if name in made.images]
    return [(images, instance) for images, index in known if (instance := images.instances[index]) is not None]


def _evidence(made: ObjectSource) -> Item:
    """The study, series and instances that the content refers to (PS3.3 C.17.2.3)."""
    shown = [_measured_in(made), *(_read_from(made, prediction) for prediction in made.result.reported)]
    instances: dict[str, dict[str, Item]] = {}
    for images, (uid, _) in _instances(made, chain.from_iterable(shown)):  # stacks of one series share its UID
        reference = encoded(ReferencedSOPClassUID=images.sop_class_uid, ReferencedSOPInstanceUID=uid)
        instances.setdefault(images.series_uid, {})[uid] = reference
    series = [
        encoded(SeriesInstanceUID=uid, ReferencedSOPSequence=[listed[key] for key in sorted(listed)])
        for uid, listed in instances.items()
    ]
    return encoded(StudyInstanceUID=made.origin.study_uid, ReferencedSeriesSequence=series)
