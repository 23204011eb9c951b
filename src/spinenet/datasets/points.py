"""Level frames that come from points: put into the series of a study, or lending their names to what was located."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import LEVELS, SAGITTAL_VIEWS
from spinenet.locating.axial import locate_axial
from spinenet.locating.discs import CANAL, DISC, VERTEBRA, LocatorGrid, locator_grid, reference_values
from spinenet.study import LevelFrame, LocatedSeries, Series

DEPTH_MM, HEIGHT_MM = 35.0, 9.0
"""Usual size of a disc, where a point does not tell it."""
SAME_DISC_MM = 15.0
MIN_POINTS = 3
LEAN_DEG = {"L5/S1": -16.5}
"""How far a disc's normal leans backwards from the line through its neighbours' centres; medians of 360 series of
SPIDER, SD 6 degrees at L5/S1 and 2 to 4 above."""
LEAN_ABOVE_DEG = -3.5


def frames_of_centers(centers_mm: Mapping[str, NDArray[np.float64]]) -> tuple[LevelFrame, ...]:
    """Level frames from the centres of discs alone, from the sacrum up; none from fewer than MIN_POINTS.

    Their axes are right to 2 to 4 degrees in the mean, 5 to 10 at the 95th percentile (374 patients of Sudirman).
    """
    return tuple(
        LevelFrame(level, centers_mm[level], posterior, superior, DEPTH_MM, HEIGHT_MM)
        for level, (posterior, superior) in axes_along(centers_mm, LEAN_DEG, LEAN_ABOVE_DEG).items()
    )


def axes_along(
    points_mm: Mapping[str, NDArray[np.float64]], lean_deg: Mapping[str, float], otherwise_deg: float
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Level -> posterior and superior axis (3,) in the sagittal plane, of points (3,) in LPS mm from the sacrum up.

    ``superior`` leans from the line through the neighbouring points by ``lean_deg`` of its level, or ``otherwise_deg``.
    None from fewer than MIN_POINTS.
    """
    if len(points_mm) < MIN_POINTS:
        return {}
    levels = list(points_mm)
    places = np.array([LEVELS.index(level) for level in levels], float)
    up_N3 = np.gradient(np.stack([points_mm[level] for level in levels]), places, axis=0)
    axes = {}
    for level, up in zip(levels, up_N3, strict=True):
        lean = np.arctan2(up[1], up[2]) + np.deg2rad(lean_deg.get(level, otherwise_deg))
        axes[level] = np.array([0.0, np.cos(lean), -np.sin(lean)]), np.array([0.0, np.sin(lean), np.cos(lean)])
    return axes


def located_by_points(
    series: Sequence[Series], frames: Sequence[LevelFrame]
) -> tuple[tuple[LocatedSeries, ...], list[str]]:
    """All sagittal series and the axial stacks that cross a level, with frames that come from points; and why a stack
    is left out. Empty where no sagittal series is there."""
    sagittal = tuple(_with_frames(one, frames) for one in series if one.view in SAGITTAL_VIEWS)
    axial, notes = locate_axial(series, sagittal)
    return (*sagittal, *axial) if sagittal else (), [str(note) for note in notes]


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
    """Located series with the names that raters gave the discs, and what to say where the locator's were others.

    The grades hang on the raters' names: where they count from another lowest disc, that is what must be learnt.
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
