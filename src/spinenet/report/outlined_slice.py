"""What was outlined at the levels, put together on the slice that it was outlined in.

Shape letters: C class, H W pixels of a crop, R C pixels of a slice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import LEVELS
from spinenet.locating.measuring.alignment import central_disc
from spinenet.locating.measuring.fine_crops import CANAL, DISC, LOWER, UPPER, CropAxes, crop_axes
from spinenet.study import LocatedSeries, MeasuredSeries, Series, StudyResult

WHOLE = 255
"""What is surely of a class; more than half of it is taken for it."""


class Part(StrEnum):
    """What is outlined."""

    DISC = "disc"
    BODY = "body"
    CANAL = "canal"


@dataclass(frozen=True)
class Structure:
    """A disc at its level, the vertebral body above the disc of a level, or the canal, which has no level ("")."""

    part: Part
    level: str = ""


@dataclass(frozen=True)
class OutlinedSlice:
    """Slice ``index`` of a series, and on it (R, C) for each pixel 0 or the place of its structure, from 1 on."""

    series: Series
    index: int
    structures: tuple[Structure, ...]
    labels_RC: NDArray[np.uint8]


def outlined_slice(result: StudyResult) -> OutlinedSlice | None:
    """The outlines of the series that was measured first; None where nothing was outlined.

    No pixel is of two structures. A body is shown where both discs beside it were outlined: else a part is out of view.
    """
    series = {one.series.name: one for one in result.located}
    measured = next((one for one in result.measured if one.outlines and one.series_name in series), None)
    if measured is None:
        return None
    located = series[measured.series_name]
    parts = [(structure, mask_RC) for structure, mask_RC in _structures(located, measured) if mask_RC.any()]
    labels_RC = np.zeros(located.series.voxels_SRC.shape[1:], np.uint8)
    for label, (_, mask_RC) in enumerate(parts, start=1):
        labels_RC[mask_RC & (labels_RC == 0)] = label
    return OutlinedSlice(located.series, located.midline_slice, tuple(one for one, _ in parts), labels_RC)


def _structures(located: LocatedSeries, measured: MeasuredSeries) -> Iterator[tuple[Structure, NDArray[np.bool_]]]:
    """Every structure with its pixels (R, C), discs first."""
    frames = {one.level: one for one in located.frames if one.level in measured.outlines}
    levels = sorted(frames, key=LEVELS.index)
    classes = {
        level: _on_slice(measured.outlines[level], crop_axes(located.series, frames[level]), located.series)
        for level in levels
    }
    for level in levels:
        yield Structure(Part.DISC, level), classes[level] == DISC
    for level in levels:
        above = classes.get(next_above(level))
        if above is not None:
            yield Structure(Part.BODY, level), (classes[level] == UPPER) | (above == LOWER)
    yield Structure(Part.CANAL), np.any([classes_RC == CANAL for classes_RC in classes.values()], axis=0)


def next_above(level: str) -> str:
    """The level above, "" where there is none.

    >>> next_above("L5/S1"), next_above(LEVELS[-1])
    ('L4/L5', '')
    """
    return dict(zip(LEVELS, LEVELS[1:], strict=False)).get(level, "")


def _on_slice(outline_CHW: NDArray[np.uint8], axes: CropAxes, series: Series) -> NDArray[np.uint8]:
    """(R, C) the class of each pixel of the slice, 0 where it is none or lies outside of the crop."""
    from scipy import ndimage

    soft_CHW = outline_CHW.astype(np.float32) / WHOLE
    soft_CHW[DISC] *= ndimage.binary_dilation(central_disc(soft_CHW))
    box = _box(axes, soft_CHW.shape[1:], series.voxels_SRC.shape[1:])
    to_crop = np.linalg.inv(np.stack([axes.row_step_rc, axes.column_step_rc], axis=1))
    corner_rc = np.array([part.start for part in box]) - axes.corner_rc
    shape = tuple(part.stop - part.start for part in box)
    classes_RC = np.zeros(series.voxels_SRC.shape[1:], np.uint8)
    for number in (DISC, UPPER, LOWER, CANAL):
        share = ndimage.affine_transform(soft_CHW[number], to_crop, to_crop @ corner_rc, shape, order=1)
        classes_RC[box][share > 0.5] = number
    return classes_RC


def _box(axes: CropAxes, crop: Sequence[int], shape: Sequence[int]) -> tuple[slice, ...]:
    """The part of a slice that a crop reaches."""
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]) * (np.array(crop) - 1)
    corners_rc = axes.corner_rc + corners @ np.stack([axes.row_step_rc, axes.column_step_rc])
    low = np.clip(np.floor(corners_rc.min(0)), 0, shape).astype(int)
    high = np.clip(np.ceil(corners_rc.max(0)) + 1, low, shape).astype(int)
    return tuple(slice(first, last) for first, last in zip(low, high, strict=True))
