"""Synthetic studies in the generator's own layout (``spinephantom.write.nifti_files``): exact truth, simulated raters.

    ROOT/images/sub-<name>/*.nii.gz and .json    one file a stack, axial ones included
    ROOT/masks/sub-<name>/*.nii.gz               label images of the same names
    ROOT/truth/<name>.json                       ``grades`` and ``raters``: level -> target -> published grade

Phantoms written in SPIDER's layout are read as such.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinenet.datasets.check import image_findings
from spinenet.datasets.labelled import Adapter, Dataset, Finding, Kind, LabelledStudy, no_grades
from spinenet.datasets.masks import LabelImage, MaskFile
from spinenet.datasets.spider import load_layout
from spinenet.errors import DatasetError, in_words
from spinenet.labels import LEVELS, TARGET, TARGET_INDEX
from spinenet.readers import StudySource, find_studies


def load_phantom(root: Path) -> Dataset:
    """Read the truth and file lists of phantoms; raises DatasetError where the layout is not the generator's."""
    if (root / "radiological_gradings.csv").is_file():
        dataset = load_layout(root)
        made = (replace(one, generator=_generator_of(root, one.patient)) for one in dataset.studies)
        return replace(dataset, name="phantom", studies=tuple(made))
    truths = sorted((root / "truth").glob("*.json"), key=lambda path: (len(path.stem), path.stem))
    if not truths or not (root / "images").is_dir():
        raise DatasetError(
            f"{root}: no phantoms; expected images/, masks/ and truth/ in it, made with scripts/make_phantom.py"
        )
    sources = {source.key: source for source in find_studies([root / "images"])}
    studies, findings = [], []
    for path in truths:
        source = sources.get(f"sub-{path.stem}")
        if source is None:
            findings.append(Finding(path.name, "images/ holds no series of it; left out", Kind.UNUSABLE))
        else:
            studies.append(_study(root, path, source))
    if not studies:
        raise DatasetError(f"{root}: no study has both images and truth")
    return Dataset("phantom", tuple(studies), tuple(findings))


def _study(root: Path, path: Path, source: StudySource) -> LabelledStudy:
    record = _record(path)
    try:
        grades_LT = table_of(record["grades"])
        raters = record["raters"] if "raters" in record else record["readers"]  # as collections called them once
        raters_RLT = np.array([table_of(rater) for rater in raters]).reshape(-1, *grades_LT.shape)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path}: not a truth file of the phantom ({error!r}); make the study again") from error
    paths = {volume.name: root / "masks" / source.key / volume.path.name for volume in source.volumes}
    masks: dict[str, LabelImage] = {name: MaskFile(mask) for name, mask in paths.items() if mask.is_file()}
    return LabelledStudy(source.key, path.stem, source, grades_LT, masks, raters_RLT, generator=_generator(record))


def _record(path: Path) -> dict[str, Any]:
    """What is known of a study; DatasetError where its truth file is none."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{path}: not a truth file of the phantom ({in_words(error)}); make the study again"
        ) from error
    if not isinstance(record, dict):
        raise DatasetError(f"{path}: not a truth file of the phantom; make the study again")
    return record


def _generator_of(root: Path, name: str) -> str:
    """What made a study in another layout, whose truth file may be missing."""
    path = root / "truth" / f"{name}.json"
    return _generator(_record(path) if path.is_file() else {})


def _generator(record: Mapping[str, Any]) -> str:
    return f"spinephantom {record.get('generator_version', 'of a version not known')}"


def table_of(grades: Mapping[str, Mapping[str, Any]]) -> NDArray[np.int64]:
    """Published grades by level and target as (len(LEVELS), len(TARGETS)) indices; what is not named is UNKNOWN."""
    grades_LT = no_grades()
    for level, named in grades.items():
        for target, grade in named.items():
            grades_LT[LEVELS.index(level), TARGET_INDEX[target]] = TARGET[target].index_of(grade)
    return grades_LT


PHANTOM = Adapter(
    load_phantom,
    image_findings,
    licence="that of the generator, Apache-2.0",
    credit="synthetic studies of spinephantom; nothing in them is of a patient",
    synthetic=True,
)
