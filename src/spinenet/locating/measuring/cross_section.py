"""The canal's cross-section at the discs, from the depth it has in every sagittal slice that crosses it.

Shape letters: N crops, C class, H W pixels of a crop, S slice, P place across the canal.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import STENOSIS_LEVELS
from spinenet.locating.measuring.fine_crops import (
    CANAL,
    PIXEL_MM,
    ROWS,
    SHIFT_MM,
    crop_axes,
    level_crop,
    normalised,
)
from spinenet.study import LevelFrame, LocatedSeries

CROSS_SECTION = "cross_section_mm2"
"""Name of it among the numbers of a level."""
REACH_MM = 12.0
"""Half of the width that is searched: a lumbar canal is 20 to 26 mm wide, and its sides are shallow."""
LEAST_STEP_MM, MOST_STEP_MM = 3.0, 5.5
"""Slices nearer to each other than the first are not all read; with ones further apart too few cross the canal."""
BEHIND_MM = 6.0
"""From the disc's back to the middle of the canal, through which slices are counted."""
BEFORE_MM = 12.0
"""No canal begins further in front of the disc's back."""
MARGIN_MM = 2.0
"""Lines up to this far above and below the disc count."""
NEEDED_MM = 6.0
"""Slices must reach this far to both sides of the midline: the sac is 12 to 18 mm wide, and what lies beside it is
shallow."""
LEAST_DEPTH_MM = 2.0
"""What is shallower is no canal: the rim of a mask."""


def cross_sections(
    located: LocatedSeries,
    midline: Mapping[str, NDArray[np.uint8]],
    outline: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> dict[str, float]:
    """Lumbar level -> area of the canal in mm2 across the disc's height; a level is left out where slices do not reach
    ``NEEDED_MM`` to both sides of the midline or stand too far apart.

    ``midline`` is what was outlined in the midline slice (``MeasuredSeries.outlines``), ``outline`` gives (N, C, H, W)
    probabilities of ``fine_crops.FINE_CLASSES`` on normalised fine crops.
    """
    frames = [frame for frame in located.frames if frame.level in STENOSIS_LEVELS and frame.level in midline]
    places = {frame.level: _slices(located, frame) for frame in frames}
    beside = [(frame, at) for frame in frames for at in places[frame.level] if at[0] != located.midline_slice]
    if not beside:
        return {}
    softs_NHW = outline(np.stack([_crop(located, frame, *at) for frame, at in beside]))[:, CANAL]
    depths = {
        (frame.level, located.midline_slice): _depth_mm(midline[frame.level][CANAL] / 255, frame) for frame in frames
    }
    for (frame, (index, _)), soft_HW in zip(beside, softs_NHW, strict=True):
        depths[frame.level, index] = _depth_mm(soft_HW, frame)
    areas = {
        level: _area_mm2([mm for _, mm in ats], [depths[level, index] for index, _ in ats])
        for level, ats in places.items()
    }
    return {level: area for level, area in areas.items() if area is not None}


def _slices(located: LocatedSeries, frame: LevelFrame) -> list[tuple[int, float]]:
    """Slices that cross the canal at a level, from right to left or the other way: (index, mm beside the midline)."""
    series = located.series
    left = np.cross(frame.posterior, frame.superior)
    middle_mm = frame.center_mm + (0.5 * frame.depth_mm + BEHIND_MM) * frame.posterior
    middle = float(series.to_vox(middle_mm)[0])
    a_mm = float(series.to_vox(middle_mm + left)[0]) - middle
    if abs(a_mm) * MOST_STEP_MM < 1:
        return []
    every = max(round(LEAST_STEP_MM * abs(a_mm)), 1)
    known = range(located.midline_slice % every, len(series.voxels_SRC), every)
    beside_S = [(index, (index - middle) / a_mm) for index in known]
    return [(index, mm) for index, mm in beside_S if abs(mm) <= REACH_MM]


def _crop(located: LocatedSeries, frame: LevelFrame, slice_index: int, beside_mm: float) -> NDArray[np.float32]:
    moved = replace(frame, center_mm=frame.center_mm + beside_mm * np.cross(frame.posterior, frame.superior))
    return normalised(level_crop(located.series.voxels_SRC[slice_index], crop_axes(located.series, moved)))


def _depth_mm(soft_HW: NDArray[np.floating], frame: LevelFrame) -> float:
    """Median over the lines at the disc of how far the canal goes along the disc's axis."""
    above_H = np.abs(((ROWS - 1) / 2 - np.arange(ROWS)) * PIXEL_MM)
    behind_W = (np.arange(soft_HW.shape[1]) - (soft_HW.shape[1] - 1) / 2) * PIXEL_MM + SHIFT_MM
    inside_W = behind_W > 0.5 * frame.depth_mm - BEFORE_MM
    lines_HW = soft_HW[above_H <= 0.5 * frame.height_mm + MARGIN_MM][:, inside_W]
    return float(np.median(lines_HW.sum(1)) * PIXEL_MM)


def _area_mm2(beside_P: Sequence[float], depth_P: Sequence[float]) -> float | None:
    """Area under the depths, from the place nearest to the midline outwards until the canal or the slices end; None
    where slices do not reach ``NEEDED_MM`` to both sides.

    >>> _area_mm2([-12.0, -8.0, -4.0, 0.0, 4.0, 8.0, 12.0], [9.0, 0.0, 8.0, 12.0, 10.0, 1.0, 0.0])
    120.0
    """
    from scipy import ndimage

    order = np.argsort(beside_P)
    depths = np.array(depth_P)[order]
    beside = np.array(beside_P)[order]
    if len(beside) < 3 or beside[0] > -NEEDED_MM or beside[-1] < NEEDED_MM:
        return None
    runs, _ = ndimage.label(depths > LEAST_DEPTH_MM)
    middle = runs[np.argmin(np.abs(beside))]
    return float(depths[runs == middle].sum() * np.median(np.diff(beside))) if middle else None
