"""RSNA 2024 Lumbar Spine Degenerative Classification (LumbarDISC), exactly in its official layout; non-commercial use.

    ROOT/train_images/<study>/<series>/<instance>.dcm
    ROOT/train.csv                          one row a study, 25 columns, Normal/Mild, Moderate, Severe or empty
    ROOT/train_series_descriptions.csv      Axial T2, Sagittal T1 or Sagittal T2/STIR
    ROOT/train_label_coordinates.csv        x (column) and y (row) of each graded structure in one instance

Traps handled here and by the readers: an empty cell is unknown, not normal; instance numbers order no slices; one
axial series may hold differently tilted stacks; a study may lack series or have them twice; headers name a wrong SOP
class and say neither modality nor times, so that the view comes from the plane and the words T1 and T2 (STIR goes as
T2); one series is not lumbar. No pixel and no header is read here: 35 GB would take minutes.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinenet.datasets.labelled import Adapter, Dataset, Finding, Kind, LabelledStudy, no_grades
from spinenet.datasets.rsna_check import point_findings
from spinenet.datasets.rsna_names import CONDITIONS, GRADE_WORDS, RSNA_LEVELS, SERIES_WORDS, column_of
from spinenet.datasets.rsna_points import Point, RsnaPoints
from spinenet.errors import DatasetError
from spinenet.labels import LEVELS, TARGET_INDEX
from spinenet.readers import StudySource
from spinenet.readers.sources import Format

NOT_LUMBAR = frozenset({"3892989905"})
"""Series that show another part of the spine."""
MARKED = tuple(dict.fromkeys(condition.marked_in for condition in CONDITIONS))


@dataclass(frozen=True)
class Tables:
    """The three tables, by study: grades, series with their descriptions, points; and what is odd in them."""

    grades: dict[str, NDArray[np.int64]]
    series: dict[str, dict[str, str]]
    points: dict[str, tuple[Point, ...]]
    findings: tuple[Finding, ...]


def load_rsna2024(root: Path) -> Dataset:
    """Read labels and file lists of the official download; raises DatasetError where the layout is another."""
    tables = read_tables(root)
    findings = list(tables.findings)
    present = {path.name for path in (root / "train_images").iterdir() if path.is_dir()}
    studies = []
    for study in sorted(set(tables.grades) | present, key=lambda name: (len(name), name)):
        if study not in present:
            findings.append(
                Finding(f"study {study}", "labelled, but train_images/ holds no folder of it; left out", Kind.UNUSABLE)
            )
        elif study not in tables.grades:
            findings.append(Finding(f"study {study}", "images without labels; left out", Kind.UNUSABLE))
        else:
            series = tables.series.get(study, {})
            findings.extend(_series_findings(root, study, series))
            source, points = _source(root, study, series), RsnaPoints(tables.points.get(study, ()), series)
            studies.append(LabelledStudy(study, study, source, tables.grades[study], points=points))
    if not studies:
        raise DatasetError(f"{root}: no study has both labels and images; is the download complete?")
    return Dataset("rsna2024", tuple(studies), tuple(findings))


def read_tables(root: Path) -> Tables:
    """Read train.csv, train_series_descriptions.csv and train_label_coordinates.csv."""
    if not (root / "train_images").is_dir() or not (root / "train.csv").is_file():
        raise DatasetError(
            f"{root}: not RSNA 2024's layout; expected train_images/, train.csv, train_series_descriptions.csv and "
            "train_label_coordinates.csv in it (see data/README.md for the download)"
        )
    findings: list[Finding] = []
    grades = {}
    for row in _rows(
        root / "train.csv", ["study_id", *(column_of(c, level) for c in CONDITIONS for level in RSNA_LEVELS)]
    ):
        grades[row["study_id"]] = _grades(row, findings)
    series: dict[str, dict[str, str]] = {}
    for row in _rows(root / "train_series_descriptions.csv", ["study_id", "series_id", "series_description"]):
        series.setdefault(row["study_id"], {})[row["series_id"]] = row["series_description"]
        if row["series_description"] not in SERIES_WORDS:
            text = f"series of unknown kind {row['series_description']!r}"
            findings.append(Finding(f"study {row['study_id']}", text))
    points: dict[str, list[Point]] = {}
    columns = ["study_id", "series_id", "instance_number", "condition", "level", "x", "y"]
    for row in _rows(root / "train_label_coordinates.csv", columns):
        point = _point(row)
        if point is None:
            text = f"a point that cannot be read ({', '.join(row.values())}); left out"
            findings.append(Finding(f"study {row['study_id']}", text, Kind.NO_LABEL))
        else:
            points.setdefault(row["study_id"], []).append(point)
    return Tables(grades, series, {study: tuple(found) for study, found in points.items()}, tuple(findings))


def _rows(path: Path, columns: Iterable[str]) -> list[dict[str, str]]:
    if not path.is_file():
        raise DatasetError(f"{path}: no such file; it belongs to the official download")
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [
            {str(key).strip(): str(value or "").strip() for key, value in row.items()} for row in csv.DictReader(file)
        ]
    missing = [column for column in columns if rows and column not in rows[0]]
    if missing or not rows:
        raise DatasetError(f"{path}: {'no rows' if not rows else 'columns missing: ' + ', '.join(missing)}")
    return rows


def _grades(row: dict[str, str], findings: list[Finding]) -> NDArray[np.int64]:
    grades_LT = no_grades()
    for condition in CONDITIONS:
        for level in RSNA_LEVELS:
            word = row[column_of(condition, level)]
            if word in GRADE_WORDS:
                grades_LT[LEVELS.index(level), TARGET_INDEX[condition.target]] = GRADE_WORDS.index(word)
            elif word:
                text = f"{column_of(condition, level)} {word!r} is not a grade; unknown"
                findings.append(Finding(f"study {row['study_id']}", text, Kind.NO_LABEL))
    return grades_LT


def _point(row: dict[str, str]) -> Point | None:
    target = {condition.words.lower(): condition.target for condition in CONDITIONS}.get(row["condition"].lower())
    if target is None or row["level"].upper() not in RSNA_LEVELS:
        return None
    try:
        x, y = float(row["x"]), float(row["y"])
        return Point(row["series_id"], int(float(row["instance_number"])), target, row["level"].upper(), x, y)
    except ValueError:
        return None


def _source(root: Path, study: str, series: dict[str, str]) -> StudySource:
    folder = root / "train_images" / study
    inside = sorted(path for path in folder.iterdir() if path.is_dir() and path.name not in NOT_LUMBAR)
    folders = tuple((path, series.get(path.name, "").replace("/STIR", "")) for path in inside)
    return StudySource(study, folder, (Format.DICOM,), folders=folders)


def _series_findings(root: Path, study: str, series: dict[str, str]) -> list[Finding]:
    """Series that are missing, there twice, undescribed, or not lumbar."""
    folders = {path.name for path in (root / "train_images" / study).iterdir() if path.is_dir()}
    texts = [f"series {one} ({series[one]}) is described but has no folder" for one in sorted(set(series) - folders)]
    texts += [f"series {one} has no description" for one in sorted(folders - set(series))]
    kinds = [series[one] for one in series if one in folders]
    texts += [f"no {kind} series" for kind in MARKED if kind not in kinds]
    texts += [f"{kinds.count(kind)} {kind} series" for kind in MARKED[:2] if kinds.count(kind) > 1]
    unused = [f"series {one} is not lumbar" for one in sorted(folders & NOT_LUMBAR)]
    return [Finding(f"study {study}", text) for text in texts] + [
        Finding(f"study {study}", text, Kind.UNUSED) for text in unused
    ]


RSNA2024 = Adapter(
    load_rsna2024,
    point_findings,
    licence="the competition's rules, non-commercial use only",
    credit="RSNA 2024 Lumbar Spine Degenerative Classification, "
    "kaggle.com/competitions/rsna-2024-lumbar-spine-degenerative-classification",
    rough_points=True,  # frames from canal points are 2.7 mm off in the mean, 7.6 at worst
)
