"""What is odd about RSNA 2024's points: sides swapped, points far off, levels named otherwise than in another series.

Every place is judged in LPS mm against what the study's canal points say, so that neither instance numbers nor the
order of slices matter. Headers are read, pixels are not.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spinenet.datasets.labelled import Finding, Kind, LabelledStudy
from spinenet.datasets.points import MIN_POINTS
from spinenet.datasets.rsna_names import CONDITION_OF, CONDITIONS, column_of
from spinenet.datasets.rsna_points import OUT_OF_LINE_MM, Mark, RsnaPoints, canal_points, marks_of, point_frames
from spinenet.labels import LEVELS, TARGET, TARGET_INDEX, UNKNOWN, Side
from spinenet.readers import opened
from spinenet.study import LevelFrame

STEP_MM = (14.0, 52.0)
"""Between neighbouring lumbar canal points; less is another part of the spine or a level named twice."""
FROM_DISC_MM = {"foraminal": (18.0, 9.5), "subarticular": (23.0, 0.0)}
"""Usual place behind and above a disc's centre along its axes; mean of 60 phantoms, SD 2.5 mm."""
FAR_MM = 12.0
LATERAL_MM = (2.0, 40.0)
"""How far beside the canal a point of one side can lie."""


def point_findings(study: LabelledStudy) -> list[Finding]:
    """What is odd about the points of one study."""
    if not isinstance(study.points, RsnaPoints):
        return []
    marks, problems = marks_of(study.points.points, opened(study.source).frames)
    problems += _unmarked(study, marks)
    problems += _misplaced(marks, study.points.kinds)
    problems += place_findings(marks)
    return [Finding(f"study {study.key}", problem, Kind.DOUBT) for problem in problems]


def place_findings(marks: Sequence[Mark]) -> list[str]:
    """What is odd about where the marks of one study lie to each other."""
    canal_mm = canal_points(marks)
    findings = [*_swapped(marks), *_line(canal_mm)]
    frames = point_frames(canal_mm)
    if frames:
        findings += _beside(marks, canal_mm, {frame.level: frame for frame in frames})
    else:
        findings.append(f"fewer than {MIN_POINTS} canal points; levels can only be located")
    return findings


def _unmarked(study: LabelledStudy, marks: Sequence[Mark]) -> Iterator[str]:
    """Grades without a point, which can only be placed by the locator, and points without a grade."""
    marked = {(mark.point.target, mark.point.level) for mark in marks}
    graded = {
        (condition.target, level)
        for condition in CONDITIONS
        for index, level in enumerate(LEVELS)
        if study.grades_LT[index, TARGET_INDEX[condition.target]] != UNKNOWN
    }
    for what, rows in (("graded without a point", graded - marked), ("a point without a grade", marked - graded)):
        if rows:
            names = sorted(column_of(CONDITION_OF[target], level) for target, level in rows)
            yield f"{what}: {', '.join(names)}"


def _misplaced(marks: Sequence[Mark], kinds: Mapping[str, str]) -> Iterator[str]:
    """Points outside their image or in a series of another kind than their condition is marked in."""
    for mark in marks:
        condition = CONDITION_OF[mark.point.target]
        if not mark.inside:
            yield f"{_called(mark)} lies outside its image"
        kind = kinds.get(mark.point.series)
        if kind is not None and kind != condition.marked_in:
            yield f"{_called(mark)} is marked in {kind}, not in {condition.marked_in}"


def _swapped(marks: Sequence[Mark]) -> Iterator[str]:
    """Conditions whose left points lie to the right of their right ones."""
    for group in FROM_DISC_MM:
        x = {
            (TARGET[mark.point.target].side, mark.point.level): mark.world_mm[0]
            for mark in marks
            if CONDITION_OF[mark.point.target].group == group
        }
        wrong = [level for level in LEVELS if x.get((Side.LEFT, level), np.inf) < x.get((Side.RIGHT, level), -np.inf)]
        if wrong:
            yield f"{group} points: left and right are swapped at {', '.join(wrong)}"


def _line(canal_mm: Mapping[str, NDArray[np.float64]]) -> Iterator[str]:
    """Canal points that do not follow each other as lumbar levels do."""
    for (lower, below), (upper, above) in pairwise(canal_mm.items()):
        count = LEVELS.index(upper) - LEVELS.index(lower)
        step_mm = float(np.linalg.norm((above - below)[1:])) / count
        if above[2] <= below[2]:
            yield f"canal points: {upper} lies below {lower}; are the levels named upside down?"
        elif not STEP_MM[0] <= step_mm <= STEP_MM[1]:
            yield f"canal points: {step_mm:.0f} mm from {lower} to {upper} is not the distance of lumbar levels"
    for first, middle, last in zip(canal_mm, list(canal_mm)[1:], list(canal_mm)[2:], strict=False):
        if LEVELS.index(last) - LEVELS.index(first) == 2:
            away_mm = float(np.linalg.norm((canal_mm[middle] - (canal_mm[first] + canal_mm[last]) / 2)[1:]))
            if away_mm > OUT_OF_LINE_MM:
                yield f"canal point {middle} lies {away_mm:.0f} mm off the line of its neighbours"


def _beside(
    marks: Sequence[Mark], canal_mm: Mapping[str, NDArray[np.float64]], frames: Mapping[str, LevelFrame]
) -> Iterator[str]:
    """Points of a side that lie at another level's place, far from their own, or not beside the canal."""
    for mark in marks:
        group, level = CONDITION_OF[mark.point.target].group, mark.point.level
        if group not in FROM_DISC_MM or level not in frames:
            continue
        away_mm = {name: _away_mm(mark.world_mm, frame, group) for name, frame in frames.items()}
        nearest = min(away_mm, key=lambda name: away_mm[name])
        lateral_mm = abs(float(mark.world_mm[0] - canal_mm[level][0]))
        if nearest != level and away_mm[nearest] < FAR_MM:
            yield f"{_called(mark)} lies at {nearest} of the canal points; a level mistake?"
        elif away_mm[level] > FAR_MM:
            yield f"{_called(mark)} lies {away_mm[level]:.0f} mm from where the canal points put it"
        elif not LATERAL_MM[0] <= lateral_mm <= LATERAL_MM[1]:
            yield f"{_called(mark)} lies {lateral_mm:.0f} mm beside the canal"


def _away_mm(world_mm: NDArray[np.float64], frame: LevelFrame, group: str) -> float:
    behind, above = FROM_DISC_MM[group]
    usual_mm = frame.center_mm + behind * frame.posterior + above * frame.superior
    return float(np.linalg.norm((world_mm - usual_mm)[1:]))


def _called(mark: Mark) -> str:
    return f"{mark.point.target} {mark.point.level}"
