"""The DICOM objects of a study before dicom-validator, which knows nothing of how they were made.

It wants to download the standard; here it gets the module tables that highdicom brings along. Conditions are not in
these tables, so that what is required conditionally is only checked to be allowed; those of the content tree's value
types (PS3.3, C.17.3.2) are written out here.
"""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from dicom_writers import WRITERS
from pydicom import Dataset, dcmread
from pydicom.datadict import DicomDictionary, tag_for_keyword

from spinenet.report.dicom.objects import made_from
from spinenet.study import StudyResult

pytest.importorskip("dicom_validator")
tables = pytest.importorskip("highdicom._standard_utils")

from dicom_validator.validator.dicom_info import DicomInfo  # noqa: E402
from dicom_validator.validator.iod_validator import IODValidator  # noqa: E402

VALUE_TYPES = {
    "(0040,A300)": ["NUM"],
    "(0040,A160)": ["TEXT"],
    "(0040,A168)": ["CODE"],
    "(0040,A120)": ["DATETIME"],
    "(0040,A121)": ["DATE"],
    "(0040,A122)": ["TIME"],
    "(0040,A123)": ["PNAME"],
    "(0040,A124)": ["UIDREF"],
    "(0008,1199)": ["COMPOSITE", "IMAGE", "WAVEFORM"],
    "(0070,0022)": ["SCOORD", "SCOORD3D"],
    "(0070,0023)": ["SCOORD", "SCOORD3D"],
    "(3006,0024)": ["SCOORD3D"],
    "(0040,A130)": ["TCOORD"],
    "(0040,A050)": ["CONTAINER"],
    "(0040,A801)": ["TABLE"],
}
"""Attribute of a content item -> the value types that have it."""
CHILDREN = "(0040,A730)"
DEEPEST = 9
"""Levels of the content tree that are checked."""
OPTIONAL = {"type": "U"}
ANY = {"type": "1C", "cond": OPTIONAL}
FUNCTIONAL_GROUPS = ("(5200,9229)", "(5200,9230)")
"""Shared and per frame: a group of attributes is in either; the tables want it in both."""


@pytest.fixture(params=WRITERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("identify", [False, True])
def test_objects_are_valid(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path, kind: str, identify: bool
) -> None:
    assert faults(written(kind, graded, model, tmp_path, identify)) == []


def test_what_is_missing_or_does_not_belong_is_found(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path, kind: str
) -> None:
    dataset = written(kind, graded, model, tmp_path)
    del dataset.Modality
    dataset.EchoTime = "90"
    assert {fault.split(": ")[1] for fault in faults(dataset)} == {"(0008,0060)", "(0018,0081)"}


def test_the_content_tree_is_looked_into(graded: StudyResult, model: dict[str, Any], tmp_path: Path) -> None:
    dataset = written("report", graded, model, tmp_path)
    del [item for item in items_below(dataset) if item.ValueType == "NUM"][-1].MeasuredValueSequence
    assert len(faults(dataset)) == 1


def written(kind: str, graded: StudyResult, model: dict[str, Any], folder: Path, identify: bool = False) -> Dataset:
    made = made_from(graded, model, identify=identify)
    assert made is not None
    WRITERS[kind](made, folder / "object.dcm")
    return dcmread(folder / "object.dcm")


def items_below(node: Dataset) -> list[Dataset]:
    below = list(node.get("ContentSequence", ()))
    return below + [item for one in below for item in items_below(one)]


def faults(dataset: Dataset) -> list[str]:
    """What dicom-validator finds wrong with an object, one text a tag."""
    uid = str(dataset.SOPClassUID)
    name = tables.get_sop_class_iod_map()[uid]
    modules = {entry["key"]: _module(entry["key"]) for entry in tables.get_iod_module_map()[name]}
    used = {
        entry["key"]: {
            "ref": entry["key"],
            "use": entry["usage"],
            **({"cond": OPTIONAL} if entry["usage"] == "C" else {}),
        }
        for entry in tables.get_iod_module_map()[name]
    }
    info = DicomInfo(_dictionary(), {uid: {"title": name, "modules": used, "group_macros": {}}}, modules)
    result = IODValidator(dataset, info).validate()
    return [
        f"{module}: {tag}: {error.code}"
        for module, errors in result.module_errors.items()
        for tag, error in errors.items()
    ]


@cache
def _dictionary() -> dict[str, dict[str, str]]:
    return {
        _id(tag): {"name": name, "vr": vr, "vm": vm, "prop": retired}
        for tag, (vr, vm, name, retired, _) in DicomDictionary.items()
    }


def _id(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


@cache
def _module(key: str) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for entry in sorted(tables.get_module_attribute_map()[key], key=lambda entry: len(entry["path"])):
        node = root
        for keyword in entry["path"]:
            node = node[_id(tag_for_keyword(keyword))].setdefault("items", {})
        needed = {"name": entry["keyword"], "type": entry["type"]}
        if tag := tag_for_keyword(entry["keyword"]):
            node[_id(tag)] = {**needed, "cond": OPTIONAL} if entry["type"].endswith("C") else needed
    if key == "segmentation-multi-frame-functional-groups":
        for tag in FUNCTIONAL_GROUPS:
            root[tag]["items"] = {group: {**macro, **ANY} for group, macro in root[tag]["items"].items()}
    return _content(root, DEEPEST) if key == "sr-document-content" else root


def _content(table: dict[str, Any], depth: int) -> dict[str, Any]:
    """A content item and those below it: the tables list what all value types have, and one level alone."""
    item: dict[str, Any] = {}
    for tag, attribute in table.items():
        item[tag] = dict(attribute)
        if tag in VALUE_TYPES:
            condition = {"index": 0, "op": "=", "tag": "(0040,A040)", "type": "MN", "values": VALUE_TYPES[tag]}
            item[tag] |= {"type": attribute["type"].rstrip("C") + "C", "cond": condition}
        if tag == CHILDREN:
            below = _content({**attribute.get("items", {}), CHILDREN: attribute}, depth - 1) if depth else {}
            item[tag] |= {"type": "1C", "cond": OPTIONAL, "items": below}
    return item
