"""SPIDER (van der Graaf et al., Scientific Data 2024; Zenodo 10159290; CC BY 4.0), exactly in its official layout.

    ROOT/images/<patient>_{t1,t2,t2_SPACE}.mha
    ROOT/masks/<same name>.mha          1.. vertebrae from the lowest, 100 spinal canal, 201.. discs from the lowest
    ROOT/radiological_gradings.csv      one row a disc
    ROOT/overview.csv                   one row a series

Traps handled here: the column is spelled ``Pfirrman grade``; ``IVD label`` n is mask value 200 + n, and 0 (patients 107
and 152) a disc below L5/S1 that has no name; grades belong to the patient, not to a series; column names and values
carry stray blanks; discs are graded that no mask shows and the other way round. Labels that are none become UNKNOWN:

- what a patient's series cannot show was written as a default. Without T1, Modic is 0 on 139 of 141 discs (65 % with
  T1); without T2, all 37 discs are Pfirrmann I, none has a herniation, a slip or Modic changes (36 % with T1 and T2);
- a narrowed disc of Pfirrmann I contradicts the scale, whose grade I has full height (Pfirrmann et al., Spine 2001).
  Of the 19, 13 have no T2; the 6 others (patients 16 and 239 at L5/S1, 32, 123, 202, 242) are dark and flat in T2, so
  that it is the Pfirrmann grade which is wrong and the narrowing which stays.

In patient 241 gradings and masks count an S1/S2 remnant as disc 1 (``REMNANT_COUNTED``).
"""

import csv
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from spinenet.datasets.check import image_findings
from spinenet.datasets.labelled import Adapter, Dataset, Finding, Kind, LabelledStudy, no_grades
from spinenet.datasets.masks import DISC_LEVELS, LabelImage, MaskFile
from spinenet.errors import DatasetError
from spinenet.labels import LEVELS, TARGET, TARGET_INDEX, TARGETS, UNKNOWN, columns_of
from spinenet.readers import find_studies

GRADING_COLUMNS = columns_of("spider")
SERIES_NAMES = ("t1", "t2", "t2_SPACE")
DEFAULTS_WITHOUT = {"t1": ("modic",), "t2": ("pfirrmann", "modic", "herniation", "spondylolisthesis")}
"""Targets whose grades are defaults where a patient has no series of this weighting."""
REMNANT_COUNTED = {"241": 2}
"""Patient -> number of L5/S1 where gradings and masks begin below it: the disc counted first is a remnant below the
promontory, as the pictures and points set by hand say."""

Rows = dict[int, NDArray[np.int64]]
"""IVD label -> grades (len(TARGETS),) of one patient."""


def load_spider(root: Path) -> Dataset:
    """Read SPIDER's gradings and file lists; labels that are none are UNKNOWN and counted in the findings.

    Raises DatasetError if the layout is not SPIDER's.
    """
    dataset = load_layout(root, REMNANT_COUNTED)
    studies, findings = [], list(dataset.findings)
    for study in dataset.studies:
        grades_LT, said = repaired(study.grades_LT, {volume.name for volume in study.source.volumes})
        studies.append(replace(study, grades_LT=grades_LT))
        findings += [Finding(_called(study.patient), one, Kind.NO_LABEL) for one in said]
        if study.patient in REMNANT_COUNTED:
            text = "an S1/S2 remnant is counted as disc 1; all discs take the names one lower"
            findings.append(Finding(_called(study.patient), text, Kind.NAMES))
    return Dataset("spider", tuple(studies), tuple(findings))


def load_layout(root: Path, lowest: Mapping[str, int] = MappingProxyType({})) -> Dataset:
    """The same of any files in SPIDER's layout, such as phantoms: every grade as it is written.

    ``lowest``: patient -> the number of L5/S1 in gradings and masks, where that is not 1.
    """
    images = root / "images"
    gradings_file = root / "radiological_gradings.csv"
    if not images.is_dir() or not gradings_file.is_file():
        raise DatasetError(
            f"{root}: not SPIDER's layout; expected images/, masks/ and radiological_gradings.csv in it "
            "(see data/README.md for the download)"
        )
    gradings, findings = read_gradings(gradings_file)
    sources = {source.key: source for source in find_studies([images])}
    studies = []
    for patient in sorted(set(gradings) | set(sources), key=_natural):
        if patient not in sources:
            findings.append(
                Finding(_called(patient), "graded, but images/ holds no series of it; left out", Kind.UNUSABLE)
            )
        elif patient not in gradings:
            findings.append(Finding(_called(patient), "images without gradings; left out", Kind.UNUSABLE))
        else:
            first = lowest.get(patient, 1)
            masks = _masks(root, patient, first)
            findings.extend(_series_findings(root, patient, masks))
            rows, source = gradings[patient], sources[patient]
            grades_LT, published_RT = grades_of(rows, first), np.stack(list(rows.values()))
            studies.append(LabelledStudy(patient, patient, source, grades_LT, masks, published_RT=published_RT))
    if not studies:
        raise DatasetError(f"{root}: no patient has both images and gradings")
    return Dataset("spider", tuple(studies), tuple(findings))


def read_gradings(path: Path) -> tuple[dict[str, Rows], list[Finding]]:
    """Rows a patient, and findings; an unreadable value becomes UNKNOWN and is said."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [
            {key.strip(): (value or "").strip() for key, value in row.items() if key} for row in csv.DictReader(file)
        ]
    needed = {"Patient", "IVD label", *GRADING_COLUMNS}
    missing = needed - set(rows[0] if rows else ())
    if missing:
        raise DatasetError(f"{path}: columns missing: {', '.join(sorted(missing))}")
    findings: list[Finding] = []
    grades: dict[str, Rows] = {}
    for row in rows:
        patient, label = row["Patient"], _label(row)
        if label is None or label in grades.get(patient, {}):
            text = f"row with IVD label {row['IVD label']!r} is unusable or double; left out"
            findings.append(Finding(_called(patient), text, Kind.NO_LABEL))
            continue
        if label == 0:
            text = "IVD label 0 is a disc below L5/S1, which has no name; not used"
            findings.append(Finding(_called(patient), text, Kind.NO_LABEL))
        grades_T = grades.setdefault(patient, {}).setdefault(label, np.full(len(TARGETS), UNKNOWN, np.int64))
        for column, target in GRADING_COLUMNS.items():
            index = _grade_index(target, row[column])
            if index is None:
                text = f"{column} {row[column]!r} is not a grade; unknown"
                findings.append(Finding(f"{_called(patient)}, disc {label}", text, Kind.NO_LABEL))
            else:
                grades_T[TARGET_INDEX[target]] = index
    return grades, findings


def grades_of(rows: Mapping[int, NDArray[np.int64]], lowest: int = 1) -> NDArray[np.int64]:
    """Rows by IVD label, L5/S1 being ``lowest``, as (len(LEVELS), len(TARGETS)); what has no level is left out."""
    grades_LT = no_grades()
    for label, grades_T in rows.items():
        level = DISC_LEVELS.get(label - lowest + 1)
        if level is not None:
            grades_LT[LEVELS.index(level)] = grades_T
    return grades_LT


def repaired(grades_LT: NDArray[np.int64], series: Collection[str]) -> tuple[NDArray[np.int64], list[str]]:
    """The grades of a patient with series of these names, UNKNOWN where they are no labels, and what was."""
    grades_LT, said = grades_LT.copy(), []
    weightings = {name.partition("_")[0] for name in series}
    for missing, targets in DEFAULTS_WITHOUT.items():
        columns = [TARGET_INDEX[target] for target in targets]
        if missing not in weightings and (grades_LT[:, columns] != UNKNOWN).any():
            discs = int((grades_LT[:, columns] != UNKNOWN).any(1).sum())
            grades_LT[:, columns] = UNKNOWN
            said.append(f"no {missing.upper()} series: {', '.join(targets)} of {discs} discs unknown")
    pfirrmann, narrowing = TARGET_INDEX["pfirrmann"], TARGET_INDEX["narrowing"]
    for index in np.flatnonzero((grades_LT[:, pfirrmann] == 0) & (grades_LT[:, narrowing] == 1)):
        grades_LT[index, pfirrmann] = UNKNOWN
        said.append(f"{LEVELS[index]} is narrowed, so not Pfirrmann I as written: pfirrmann unknown")
    return grades_LT, said


def _called(patient: str) -> str:
    return f"patient {patient}"


def _label(row: dict[str, str]) -> int | None:
    text = row["IVD label"]
    label = int(text) if text.isascii() and text.isdecimal() else None
    return label if label == 0 or label in DISC_LEVELS else None


def _grade_index(target: str, text: str) -> int | None:
    try:
        grade = float(text)
        return TARGET[target].index_of(int(grade)) if grade.is_integer() else None
    except ValueError:
        return None


def _natural(patient: str) -> tuple[int, str]:
    return (int(patient), "") if patient.isdecimal() else (10**9, patient)


def _masks(root: Path, patient: str, lowest: int) -> dict[str, LabelImage]:
    paths = {name: root / "masks" / f"{patient}_{name}.mha" for name in SERIES_NAMES}
    return {name: MaskFile(path, lowest) for name, path in paths.items() if path.is_file()}


def _series_findings(root: Path, patient: str, masks: Collection[str]) -> list[Finding]:
    present = [name for name in SERIES_NAMES if (root / "images" / f"{patient}_{name}.mha").is_file()]
    return [
        Finding(f"{patient}_{name}", "image without mask; its levels can only be located")
        for name in present
        if name not in masks
    ]


SPIDER = Adapter(
    load_spider,
    image_findings,
    licence="CC BY 4.0",
    credit="van der Graaf JW, van Hooff ML, Buckens CFM, et al. Lumbar spine segmentation in MR images: a dataset "
    "and a public benchmark. Scientific Data 11, 264 (2024). Zenodo 10159290",
)
