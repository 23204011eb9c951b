"""RSNA 2024's points in the patient: where they lie, and the level frames that follow from them.

A point names a pixel of one instance; its header says where that is in LPS mm, whatever its number and its stack.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinenet.datasets.points import DEPTH_MM, HEIGHT_MM, MIN_POINTS, axes_along
from spinenet.labels import LEVELS
from spinenet.readers.sources import Frame, StudySource
from spinenet.study import LevelFrame, Study

CANAL_BEHIND_DISC_MM = {"L5/S1": 27.5}
"""The canal's point behind the disc's centre, in the disc's plane; mean of 60 phantoms, SD 1.4 mm."""
CANAL_BEHIND_UPPER_DISC_MM = 26.0
OUT_OF_LINE_MM = 12.0
"""A canal point from the line between its neighbours."""
DISC_FROM_CANAL_DEG = {"L5/S1": -5.5, "L4/L5": 3.0}
"""How far a disc's normal leans backwards from the canal's direction at its point; others 0.5; SD 2 to 5 degrees."""


@dataclass(frozen=True)
class Point:
    """One row of train_label_coordinates.csv; ``x`` is a pixel column, ``y`` a row."""

    series: str
    instance: int
    target: str
    level: str
    x: float
    y: float


@dataclass(frozen=True)
class Mark:
    """A point and its place in LPS mm, (3,); ``inside`` is false where it lies outside its image."""

    point: Point
    world_mm: NDArray[np.float64]
    inside: bool


@dataclass(frozen=True)
class RsnaPoints:
    """The points of one study; ``kinds`` is series -> its description, to judge them by."""

    points: tuple[Point, ...]
    kinds: Mapping[str, str]

    def frames(self, source: StudySource, study: Study) -> tuple[tuple[LevelFrame, ...], list[str]]:
        """Level frames from the canal points."""
        marks, problems = marks_of(self.points, source.frames)
        canal_mm, dropped = in_line(canal_points(marks))
        problems += [f"canal point {level} leaves the line of the others and is not used" for level in dropped]
        frames = point_frames(canal_mm)
        if not frames:
            problems.append("too few canal points, so that levels are those of the locator")
        return frames, problems


def marks_of(points: Sequence[Point], frames: Sequence[Frame]) -> tuple[tuple[Mark, ...], list[str]]:
    """The points of one study in the patient; and what cannot be placed, since its instance or spacing is missing."""
    by_place = {(frame.path.parent.name, frame.path.stem): frame for frame in frames}
    spacings = {frame.path.parent.name: frame.spacing_mm for frame in frames if frame.spacing_mm}
    marks, problems = [], []
    for point in points:
        frame = by_place.get((point.series, str(point.instance)))
        spacing = frame and (frame.spacing_mm or spacings.get(point.series))
        if frame is None or not spacing:
            what = "the image it names is missing" if frame is None else "its series has no pixel spacing"
            problems.append(f"{point.target} {point.level}: {what} ({point.series}/{point.instance}.dcm)")
            continue
        axes = np.array(frame.orientation).reshape(2, 3)
        world_mm = np.array(frame.position_mm) + np.array([point.x * spacing[1], point.y * spacing[0]]) @ axes
        inside = 0 <= point.x <= frame.columns - 1 and 0 <= point.y <= frame.rows - 1
        marks.append(Mark(point, world_mm, inside))
    return tuple(marks), problems


def canal_points(marks: Sequence[Mark]) -> dict[str, NDArray[np.float64]]:
    """Level -> its canal point (3,), from the sacrum up."""
    found = {mark.point.level: mark.world_mm for mark in marks if mark.point.target == "canal_stenosis" and mark.inside}
    return {level: found[level] for level in LEVELS if level in found}


def in_line(canal_mm: Mapping[str, NDArray[np.float64]]) -> tuple[dict[str, NDArray[np.float64]], list[str]]:
    """Canal points without those that leave the line of the others, and the levels of these.

    The one is dropped without which the rest lies best in line.
    """
    kept, dropped = dict(canal_mm), []
    while len(kept) > MIN_POINTS and _out_of_line_mm(kept) > OUT_OF_LINE_MM:
        worst = min(kept, key=lambda level: _out_of_line_mm({name: kept[name] for name in kept if name != level}))
        dropped.append(worst)
        del kept[worst]
    return kept, dropped


def _out_of_line_mm(canal_mm: Mapping[str, NDArray[np.float64]]) -> float:
    """How far the worst point lies, in the sagittal plane, from where its neighbours put it by the count of levels."""
    levels = list(canal_mm)
    away_mm = [0.0]
    for lower, level, upper in zip(levels, levels[1:], levels[2:], strict=False):
        low, here, high = (LEVELS.index(name) for name in (lower, level, upper))
        share = (here - low) / (high - low)
        between_mm = (1 - share) * canal_mm[lower] + share * canal_mm[upper]
        away_mm.append(float(np.linalg.norm((canal_mm[level] - between_mm)[1:])))
    return max(away_mm)


def point_frames(canal_mm: Mapping[str, NDArray[np.float64]]) -> tuple[LevelFrame, ...]:
    """Level frames from canal points alone, right to about 2 mm and 4 degrees; none from fewer than MIN_POINTS."""
    frames = []
    for level, (posterior, superior) in axes_along(canal_mm, DISC_FROM_CANAL_DEG, 0.5).items():
        behind_mm = CANAL_BEHIND_DISC_MM.get(level, CANAL_BEHIND_UPPER_DISC_MM)
        center_mm = canal_mm[level] - behind_mm * posterior
        frames.append(LevelFrame(level, center_mm, posterior, superior, DEPTH_MM, HEIGHT_MM))
    return tuple(frames)
