"""Content items of a DICOM structured report (PS3.3 C.17.3) as plain pydicom data sets.

Written out rather than made with highdicom, which takes four times as long for a report of this size and 35 MB on
disk; the tests let highdicom read the result.
"""

import functools
from collections.abc import Sequence

from pydicom.dataset import Dataset

from spinenet.report.dicom_codes import Code

CONTAINS, CONTEXT, MODIFIES = "CONTAINS", "HAS OBS CONTEXT", "HAS CONCEPT MOD"


def dataset(**values: object) -> Dataset:
    """A data set with these attributes."""
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


@functools.cache
def concept(code: Code) -> Dataset:
    """A coded concept, not to be changed; values of more than 16 characters have an attribute of their own, meanings
    end at 64."""
    value, scheme, meaning = code
    keyword = "CodeValue" if len(value) <= 16 else "LongCodeValue"
    return dataset(**{keyword: value}, CodingSchemeDesignator=scheme, CodeMeaning=meaning[:64])


def item(relation: str, kind: str, name: Code, **values: object) -> Dataset:
    """One content item of value type ``kind``."""
    return dataset(RelationshipType=relation, ValueType=kind, ConceptNameCodeSequence=[concept(name)], **values)


def code_item(relation: str, name: Code, value: Code, modifiers: Sequence[Dataset] = ()) -> Dataset:
    """A coded value, with what modifies it."""
    below = {"ContentSequence": list(modifiers)} if modifiers else {}
    return item(relation, "CODE", name, ConceptCodeSequence=[concept(value)], **below)


def text_item(relation: str, name: Code, text: str) -> Dataset:
    """A text."""
    return item(relation, "TEXT", name, TextValue=text)


def uid_item(relation: str, name: Code, uid: str) -> Dataset:
    """A UID."""
    return item(relation, "UIDREF", name, UID=uid)


def number_item(name: Code, value: float, unit: Code) -> Dataset:
    """A measured number with its unit."""
    measured = dataset(MeasurementUnitsCodeSequence=[concept(unit)], NumericValue=f"{value:.9g}")
    return item(CONTAINS, "NUM", name, MeasuredValueSequence=[measured])


def image_item(name: Code, class_uid: str, instance_uid: str, frame: int | None) -> Dataset:
    """A reference to an image, or to one frame of it."""
    reference = dataset(ReferencedSOPClassUID=class_uid, ReferencedSOPInstanceUID=instance_uid)
    if frame is not None:
        reference.ReferencedFrameNumber = frame
    return item(CONTAINS, "IMAGE", name, ReferencedSOPSequence=[reference])


def container(name: Code, items: Sequence[Dataset], template: str) -> Dataset:
    """A container of content items made after a template of PS3.16."""
    return item(CONTAINS, "CONTAINER", name, **contents(items, template))


def contents(items: Sequence[Dataset], template: str) -> dict[str, object]:
    """What makes a data set a container."""
    made = dataset(MappingResource="DCMR", TemplateIdentifier=template, MappingResourceUID="1.2.840.10008.8.1.1")
    described = {"ContentTemplateSequence": [made]} if template else {}
    return {"ContinuityOfContent": "SEPARATE", "ContentSequence": list(items), **described}
