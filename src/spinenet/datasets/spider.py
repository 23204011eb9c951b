"""SPIDER (van der Graaf et al., Scientific Data 2024; Zenodo 10159290; CC BY 4.0), exactly in its official layout.

    ROOT/images/<patient>_{t1,t2,t2_SPACE}.mha
    ROOT/masks/<same name>.mha          1.. vertebrae from the lowest, 100 spinal canal, 201.. discs from the lowest
    ROOT/radiological_gradings.csv      one row a disc
    ROOT/overview.csv                   one row a series

Traps handled here: the column is spelled ``Pfirrman grade``; ``IVD label`` 0 occurs (patients 107 and 152, where the
disc counts say that 0 is the lowest disc), so such a patient's labels move up by one; grades belong to the patient, not
to a series; column names and values carry stray blanks; discs are graded that no mask shows and the other way round.
"""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinenet.datasets.labelled import Dataset, LabelledStudy, no_grades
from spinenet.errors import DatasetError
from spinenet.labels import LEVELS, TARGET, TARGET_INDEX
from spinenet.readers import find_studies

GRADING_COLUMNS = {
    "Modic": "modic",
    "UP endplate": "endplate_upper",
    "LOW endplate": "endplate_lower",
    "Spondylolisthesis": "spondylolisthesis",
    "Disc herniation": "herniation",
    "Disc narrowing": "narrowing",
    "Disc bulging": "bulging",
    "Pfirrman grade": "pfirrmann",
}
SERIES_NAMES = ("t1", "t2", "t2_SPACE")


def load_spider(root: Path) -> Dataset:
    """Read SPIDER's (or the phantom's) gradings and file lists; raises DatasetError if the layout is not SPIDER's."""
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
            findings.append(f"patient {patient}: graded, but images/ holds no series of it; left out")
        elif patient not in gradings:
            findings.append(f"patient {patient}: images without gradings; left out")
        else:
            masks = _masks(root, patient)
            findings.extend(_series_findings(root, patient, masks))
            studies.append(LabelledStudy(patient, patient, sources[patient], gradings[patient], masks))
    if not studies:
        raise DatasetError(f"{root}: no patient has both images and gradings")
    return Dataset("spider", tuple(studies), tuple(findings))


def read_gradings(path: Path) -> tuple[dict[str, NDArray[np.int64]], list[str]]:
    """Grades a patient, (len(LEVELS), len(TARGETS)), and findings; an unreadable value becomes UNKNOWN and is said."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [
            {key.strip(): (value or "").strip() for key, value in row.items() if key} for row in csv.DictReader(file)
        ]
    needed = {"Patient", "IVD label", *GRADING_COLUMNS}
    missing = needed - set(rows[0] if rows else ())
    if missing:
        raise DatasetError(f"{path}: columns missing: {', '.join(sorted(missing))}")
    findings: list[str] = []
    shifted = {row["Patient"] for row in rows if row["IVD label"] == "0"}
    findings.extend(
        f"patient {patient}: IVD label 0 present; its labels are moved up by one" for patient in sorted(shifted)
    )
    grades: dict[str, NDArray[np.int64]] = {}
    seen: set[tuple[str, int]] = set()
    for row in rows:
        patient = row["Patient"]
        level = _level_index(row, patient in shifted)
        if level is None or (patient, level) in seen:
            findings.append(
                f"patient {patient}: row with IVD label {row['IVD label']!r} is unusable or double; left out"
            )
            continue
        seen.add((patient, level))
        grades_LT = grades.setdefault(patient, no_grades())
        for column, target in GRADING_COLUMNS.items():
            index = _grade_index(target, row[column])
            if index is None:
                findings.append(
                    f"patient {patient}, disc {level + 1}: {column} {row[column]!r} is not a grade; unknown"
                )
            else:
                grades_LT[level, TARGET_INDEX[target]] = index
    return grades, findings


def _level_index(row: dict[str, str], shifted: bool) -> int | None:
    if not row["IVD label"].isdecimal():
        return None
    level = int(row["IVD label"]) - (0 if shifted else 1)
    return level if 0 <= level < len(LEVELS) else None


def _grade_index(target: str, text: str) -> int | None:
    try:
        grade = float(text)
        return TARGET[target].index_of(int(grade)) if grade.is_integer() else None
    except ValueError:
        return None


def _natural(patient: str) -> tuple[int, str]:
    return (int(patient), "") if patient.isdecimal() else (10**9, patient)


def _masks(root: Path, patient: str) -> dict[str, Path]:
    paths = {name: root / "masks" / f"{patient}_{name}.mha" for name in SERIES_NAMES}
    return {name: path for name, path in paths.items() if path.is_file()}


def _series_findings(root: Path, patient: str, masks: dict[str, Path]) -> list[str]:
    present = [name for name in SERIES_NAMES if (root / "images" / f"{patient}_{name}.mha").is_file()]
    findings = [
        f"{patient}_{name}: image without mask; its levels can only be located" for name in present if name not in masks
    ]
    if not any(name.startswith("t2") for name in present):
        findings.append(f"patient {patient}: no T2 series")
    return findings
