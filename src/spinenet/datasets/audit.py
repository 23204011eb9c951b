"""Labels that cannot be right: against each other, against the series that show them, against the discs that are seen.

Nothing is changed here; what a data set is known to have wrong its adapter repairs when it is loaded.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spinenet.datasets.labelled import Finding, Kind, LabelledStudy
from spinenet.errors import DatasetError, in_words
from spinenet.labels import LEVELS, TARGET, TARGET_INDEX, TARGETS, UNKNOWN
from spinenet.study import LocatedSeries, Series

Points = Mapping[str, Mapping[str, float]]
"""Patient -> level -> how far down its mid-sagittal picture the back of that disc lies, as a share of the height."""
POINT_COLUMNS = ("source", "patient", "level", "y_share")
NEAR_MM = 12.0
"""A point farther from every disc's back than this tells no name."""


@dataclass(frozen=True)
class Contradiction:
    """Two published grades that one disc cannot have, and why."""

    first: tuple[str, int]
    second: tuple[str, int]
    why: str


CONTRADICTIONS = (
    Contradiction(("pfirrmann", 1), ("narrowing", 1), "grade I has full height"),
    Contradiction(("pfirrmann", 1), ("herniation", 1), "a nucleus of grade I is whole and apart from its annulus"),
    Contradiction(("pfirrmann", 5), ("narrowing", 0), "grade V has collapsed"),
)


def contradictions(study: LabelledStudy) -> Iterator[Finding]:
    """Discs with grades that exclude each other."""
    for one in CONTRADICTIONS:
        columns = [
            study.grades_LT[:, TARGET_INDEX[name]] == TARGET[name].index_of(grade)
            for name, grade in (one.first, one.second)
        ]
        for index in np.flatnonzero(columns[0] & columns[1]):
            pair = " and ".join(f"{name} {grade}" for name, grade in (one.first, one.second))
            yield Finding(study.key, f"{LEVELS[index]} is graded {pair}, but {one.why}", Kind.DOUBT)


def unseen_labels(study: LabelledStudy, series: Iterable[Series]) -> Iterator[Finding]:
    """Targets that are graded although no series of the study can show them."""
    views = {one.view for one in series}
    for index, target in enumerate(TARGETS):
        discs = int((study.grades_LT[:, index] != UNKNOWN).sum())
        if discs and not any(views.issuperset(need.views) for need in target.needs):
            yield Finding(study.key, f"{target.name} of {discs} discs is graded, and no series shows it", Kind.DOUBT)


def disc_findings(name: str, graded: set[str], seen: set[str]) -> Iterator[Finding]:
    """What differs between the discs that are graded and those a label image has; one line where one name off fits."""
    if graded == seen or not graded or not seen:
        return
    for shift, words in ((1, "higher"), (-1, "lower")):
        moved = {LEVELS[place] for level in graded if 0 <= (place := LEVELS.index(level) + shift) < len(LEVELS)}
        if len(moved & seen) > len(graded & seen):
            yield Finding(name, f"the names of the graded discs fit its mask better one level {words}", Kind.NAMES)
            return
    for what, levels in (("graded but not in its mask", graded - seen), ("in its mask but not graded", seen - graded)):
        if levels:
            yield Finding(name, f"{what}: {', '.join(sorted(levels, key=LEVELS.index))}", Kind.DISCS)


def read_points(path: Path, source: str) -> Points:
    """Points of one data set, set by hand at the backs of discs, by patient, with the source's name before it or not.

    A CSV with the columns ``source, patient, level, y_share``; DatasetError where it is another.
    """
    points: dict[str, dict[str, float]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file):
                of, patient, level, share = (row[column] for column in POINT_COLUMNS)
                for name in (patient, f"{source}-{patient}") if of == source else ():
                    points.setdefault(name, {})[level] = float(share)
    except (OSError, KeyError, ValueError) as error:
        raise DatasetError(
            f"{path}: not a table of points with {', '.join(POINT_COLUMNS)} ({in_words(error)})"
        ) from error
    return points


def point_names(study: LabelledStudy, located: Sequence[LocatedSeries], shares: Mapping[str, float]) -> list[Finding]:
    """Series whose discs most of the points name otherwise.

    Heights alone are compared: a picture may have been mirrored or cut at its sides since its points were set.
    """
    findings = []
    for one in located:
        if one.series.plane == "sagittal" and one.frames:
            shifts = _name_shifts(one, shares)
            shift, count = max(shifts.items(), key=lambda item: item[1], default=(0, 0))
            if shift and count > len(shares) / 2:
                words = "higher" if shift > 0 else "lower"
                text = f"{count} of {len(shares)} points set by hand name its discs {abs(shift)} level {words}"
                findings.append(Finding(f"{study.key}_{one.series.name}", text, Kind.NAMES))
    return findings


def _name_shifts(one: LocatedSeries, shares: Mapping[str, float]) -> Counter[int]:
    """How many levels each point's name lies above that of the disc whose back is nearest in height."""
    backs_mm = np.stack([frame.center_mm + frame.depth_mm / 2 * frame.posterior for frame in one.frames])
    row_mm = float(one.series.spacing_mm[1])
    heights_mm = one.series.to_vox(backs_mm)[:, 1] * row_mm
    shifts: Counter[int] = Counter()
    for level, share in shares.items():
        away_mm = np.abs(heights_mm - share * one.series.voxels_SRC.shape[1] * row_mm)
        nearest = one.frames[int(np.argmin(away_mm))].level
        if level in LEVELS and away_mm.min() < NEAR_MM:
            shifts[LEVELS.index(level) - LEVELS.index(nearest)] += 1
    return shifts
