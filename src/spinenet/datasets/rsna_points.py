"""RSNA 2024's points in the patient: where they lie, and the level frames that follow from them.

A point names a pixel of one instance; its header says where that is in LPS mm, whatever its number and its stack.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spinenet.datasets.rsna2024 import Point
from spinenet.labels import LEVELS, SAGITTAL_VIEWS
from spinenet.locating.axial import locate_axial
from spinenet.locating.discs import CANAL, DISC, VERTEBRA, LocatorGrid, locator_grid, reference_values
from spinenet.readers.sources import Frame
from spinenet.study import LevelFrame, LocatedSeries, Series

CANAL_BEHIND_DISC_MM = {"L5/S1": 27.5}
"""The canal's point behind the disc's centre, in the disc's plane; mean of 60 phantoms, SD 1.4 mm."""
CANAL_BEHIND_UPPER_DISC_MM = 26.0
DISC_FROM_CANAL_DEG = {"L5/S1": -5.5, "L4/L5": 3.0}
"""How far a disc's normal leans backwards from the canal's direction at its point; others 0.5; SD 2 to 5 degrees."""
DEPTH_MM, HEIGHT_MM = 35.0, 9.0
SAME_DISC_MM = 15.0
MIN_POINTS = 3


@dataclass(frozen=True)
class Mark:
    """A point and its place in LPS mm, (3,); ``inside`` is false where it lies outside its image."""

    point: Point
    world_mm: NDArray[np.float64]
    inside: bool


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


def point_frames(canal_mm: Mapping[str, NDArray[np.float64]]) -> tuple[LevelFrame, ...]:
    """Level frames from canal points alone, right to about 2 mm and 4 degrees; none from fewer than MIN_POINTS."""
    levels = list(canal_mm)
    if len(levels) < MIN_POINTS:
        return ()
    points = np.stack([canal_mm[level] for level in levels])
    up_N3 = np.gradient(points, np.array([LEVELS.index(level) for level in levels], float), axis=0)
    frames = []
    for level, point_mm, up in zip(levels, points, up_N3, strict=True):
        lean = np.arctan2(up[1], up[2]) + np.deg2rad(DISC_FROM_CANAL_DEG.get(level, 0.5))
        superior = np.array([0.0, np.sin(lean), np.cos(lean)])
        posterior = np.array([0.0, np.cos(lean), -np.sin(lean)])
        center_mm = point_mm - CANAL_BEHIND_DISC_MM.get(level, CANAL_BEHIND_UPPER_DISC_MM) * posterior
        frames.append(LevelFrame(level, center_mm, posterior, superior, DEPTH_MM, HEIGHT_MM))
    return tuple(frames)


def located_by_points(series: Sequence[Series], frames: Sequence[LevelFrame]) -> tuple[LocatedSeries, ...]:
    """All sagittal series and the axial stacks that cross a level, with frames that come from points."""
    sagittal = tuple(_with_frames(one, frames) for one in series if one.view in SAGITTAL_VIEWS)
    axial, _ = locate_axial(series, sagittal)
    return (*sagittal, *axial)


def _with_frames(series: Series, frames: Sequence[LevelFrame]) -> LocatedSeries:
    middle_mm = np.mean([frame.center_mm for frame in frames], axis=0)
    count = len(series.voxels_SRC)
    index = int(np.clip(round(float(series.to_vox(middle_mm)[0])), 0, count - 1))
    grid = locator_grid(series.voxels_SRC[index], series.spacing_mm[1:])
    classes_HW = rough_classes(grid, series, index, frames)
    return LocatedSeries(series, tuple(frames), index, reference_values(grid.image_HW, classes_HW))


def rough_classes(
    grid: LocatorGrid, series: Series, slice_index: int, frames: Sequence[LevelFrame]
) -> NDArray[np.uint8]:
    """Where disc, bodies and canal must be around these frames, on the locator's grid: for grey values, not shapes."""
    places_rc = grid.to_slice(np.indices(grid.image_HW.shape).reshape(2, -1).T.astype(float))
    points_mm = series.to_mm(np.insert(places_rc, 0, slice_index, axis=1))
    classes = np.zeros(len(points_mm), np.uint8)
    for frame in frames:
        back = (points_mm - frame.center_mm) @ frame.posterior
        up = (points_mm - frame.center_mm) @ frame.superior
        inner = np.abs(back) < 0.35 * frame.depth_mm
        classes[inner & (np.abs(up) > 9.0) & (np.abs(up) < 18.0)] = VERTEBRA
        classes[inner & (np.abs(up) < 0.3 * frame.height_mm)] = DISC
        classes[(np.abs(back - frame.depth_mm / 2 - 8.0) < 4.0) & (np.abs(up) < 12.0)] = CANAL
    return classes.reshape(grid.image_HW.shape)


def named_by_points(
    located: Sequence[LocatedSeries], frames: Sequence[LevelFrame]
) -> tuple[tuple[LocatedSeries, ...], str]:
    """Located series with the names that readers gave the discs, and what to say where the locator's were others.

    The grades hang on the readers' names: where they count from another lowest disc, that is what must be learnt.
    """
    shifts = [
        LEVELS.index(near.level) - LEVELS.index(frame.level)
        for one in located
        for frame in one.frames
        if (near := _nearest(frame, frames)) is not None
    ]
    if not shifts:
        return (), "no disc that was found lies at a point"
    shift = int(np.median(shifts))
    if np.mean(np.array(shifts) == shift) < 0.8:
        return (), "discs that were found and points do not fit together"
    if shift == 0:
        return tuple(located), ""
    said = f"the points name discs {abs(shift)} level{'s' * (abs(shift) > 1)} {'higher' if shift > 0 else 'lower'}"
    return tuple(_shifted(one, shift) for one in located), f"{said} than they were located; named as the points are"


def _nearest(frame: LevelFrame, others: Sequence[LevelFrame]) -> LevelFrame | None:
    away_mm = [float(np.linalg.norm((frame.center_mm - other.center_mm)[1:])) for other in others]
    return others[int(np.argmin(away_mm))] if away_mm and min(away_mm) < SAME_DISC_MM else None


def _shifted(one: LocatedSeries, shift: int) -> LocatedSeries:
    moved = ((LEVELS.index(frame.level) + shift, frame) for frame in one.frames)
    frames = tuple(replace(frame, level=LEVELS[index]) for index, frame in moved if 0 <= index < len(LEVELS))
    return replace(one, frames=frames)
