"""Content items of a DICOM structured report (PS3.3 C.17.3), encoded as they are made.

A report of a study holds some 2,500 small data sets. As objects of pydicom they took a third of the time that the whole
study takes; these are the bytes of PS3.5 themselves, Explicit VR Little Endian in UTF-8. A text that its value
representation does not hold is a ValueError, never cut. The tests let pydicom, highdicom and dcmtk read them.
"""

import functools
import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.config import RAISE
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, validate_value

from spinenet.labels import Code

CONTAINS, CONTEXT, MODIFIES, PROPERTY = "CONTAINS", "HAS OBS CONTEXT", "HAS CONCEPT MOD", "HAS PROPERTIES"
_MULTIPLE = frozenset(("CS", "DS", "IS", "LO", "SH", "UC", "UI"))
"""Value representations in which a backslash parts values."""

Item = bytes
"""An encoded data set, without the head of the sequence item that it becomes."""
Value = str | Sequence[Item] | NDArray[np.float32]


def encoded(**values: Value) -> Item:
    """A data set with these attributes: texts, sequences of data sets, or numbers that are stored as such (FL)."""
    places = sorted((_place(keyword), keyword) for keyword in values)
    return b"".join(_element(tag, vr, values[keyword]) for (tag, vr), keyword in places)


@functools.cache
def concept(code: Code) -> Item:
    """A coded concept; values of more than 16 characters have an attribute of their own."""
    value, scheme, meaning = code
    keyword = "CodeValue" if len(value) <= 16 else "LongCodeValue"
    return encoded(**{keyword: value}, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def item(relation: str, kind: str, name: Code, **values: Value) -> Item:
    """One content item of value type ``kind``."""
    return encoded(RelationshipType=relation, ValueType=kind, ConceptNameCodeSequence=[concept(name)], **values)


def code_item(relation: str, name: Code, value: Code, below: Sequence[Item] = ()) -> Item:
    """A coded value, with what modifies or explains it."""
    content = {"ContentSequence": below} if below else {}
    return item(relation, "CODE", name, ConceptCodeSequence=[concept(value)], **content)


def text_item(relation: str, name: Code, text: str) -> Item:
    """A text."""
    return item(relation, "TEXT", name, TextValue=text)


def uid_item(relation: str, name: Code, uid: str) -> Item:
    """A UID."""
    return item(relation, "UIDREF", name, UID=uid)


def number_item(name: Code, value: float, unit: Code, content: Sequence[Item] = ()) -> Item:
    """A measured number with its unit, and what belongs to it."""
    measured = encoded(MeasurementUnitsCodeSequence=[concept(unit)], NumericValue=f"{value:.9g}")
    below = {"ContentSequence": content} if content else {}
    return item(CONTAINS, "NUM", name, MeasuredValueSequence=[measured], **below)


def point_item(name: Code, point_mm: NDArray[np.floating], frame_of_reference: str) -> Item:
    """A place (3,) in the patient, LPS mm."""
    place: dict[str, Value] = {"GraphicData": point_mm.astype(np.float32), "GraphicType": "POINT"}
    return item(CONTAINS, "SCOORD3D", name, ReferencedFrameOfReferenceUID=frame_of_reference, **place)


def image_item(name: Code | None, class_uid: str, instance_uid: str, frame: int | None) -> Item:
    """A reference to an image, or to one frame of it; in a key object it has no name."""
    at = {} if frame is None else {"ReferencedFrameNumber": str(frame)}
    reference = encoded(ReferencedSOPClassUID=class_uid, ReferencedSOPInstanceUID=instance_uid, **at)
    if name is None:
        return encoded(RelationshipType=CONTAINS, ValueType="IMAGE", ReferencedSOPSequence=[reference])
    return item(CONTAINS, "IMAGE", name, ReferencedSOPSequence=[reference])


def container(name: Code, items: Sequence[Item], template: str) -> Item:
    """A container of content items made after a template of PS3.16."""
    return item(CONTAINS, "CONTAINER", name, **contents(items, template))


def contents(items: Sequence[Item], template: str) -> dict[str, Value]:
    """What makes a data set a container."""
    made = encoded(MappingResource="DCMR", TemplateIdentifier=template, MappingResourceUID="1.2.840.10008.8.1.1")
    described: dict[str, Value] = {"ContentTemplateSequence": [made]} if template else {}
    return {"ContinuityOfContent": "SEPARATE", "ContentSequence": items, **described}


@functools.cache
def _place(keyword: str) -> tuple[int, str]:
    """Tag and value representation of an attribute."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag, dictionary_VR(tag)


def _element(tag: int, vr: str, value: Value) -> bytes:
    content = _content(value, vr)
    size = len(content)
    length = struct.pack("<HL", 0, size) if vr in EXPLICIT_VR_LENGTH_32 else struct.pack("<H", size)
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode() + length + content


def _content(value: Value, vr: str) -> bytes:
    if isinstance(value, str):
        return _text(value, vr)
    return value.astype("<f4").tobytes() if isinstance(value, np.ndarray) else _sequence(value)


def _text(value: str, vr: str) -> bytes:
    """Text of even length, as PS3.5 wants it; ValueError where it is none of this value representation."""
    validate_value(vr, value, RAISE)
    if vr in _MULTIPLE and ("\\" in value or not value.isprintable()):
        raise ValueError(f"{value!r} holds characters that a single value of {vr} cannot have")
    content = value.encode()
    return content + (b"\0" if vr == "UI" else b" ") * (len(content) % 2)


def _sequence(items: Sequence[Item]) -> bytes:
    return b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, len(one)) + one for one in items)
