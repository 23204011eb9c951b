"""Does a well-formed disc lie one body below the lowest one counted? Then the names of all levels are doubtful.

The locator does not show it: it has learnt that the body below L5/S1 is the sacrum. One more fine crop does.
Shape letters: C class, H W pixels of a crop, V U of ``alignment``.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import LEVELS, View
from spinenet.locating.discs import DISC_BELOW
from spinenet.locating.measuring.alignment import STEP_MM, align, connected
from spinenet.locating.measuring.contours import outline
from spinenet.locating.measuring.fine_crops import (
    COLUMNS,
    DISC,
    LOWER,
    PIXEL_MM,
    ROWS,
    SHIFT_MM,
    crop_axes,
    level_crop,
    normalised,
)
from spinenet.locating.measuring.series import Outline
from spinenet.study import LevelFrame, LocatedSeries, Note, Scope

MIN_DEPTH_MM, MIN_AREA_MM2, MIN_CONFIDENCE = 26.0, 95.0, 0.85
"""A disc of S1/S2 that is no more than a remnant is smaller or less clear; set on SPIDER and Sudirman in T2."""
MIN_BODY_MM2 = 150.0
BODY_BELOW_RC = (ROWS / 2 + 25, 40.0)
"""About where the body below is in a crop."""


def with_discs_below(located: Sequence[LocatedSeries], outline_of: Outline) -> tuple[LocatedSeries, ...]:
    """The series, with a note in each sagittal T2 series that shows a disc one body below the lowest counted."""
    return tuple(
        replace(one, notes=(*one.notes, _note(one)))
        if one.series.view is View.SAGITTAL_T2 and shows_disc_below(one, outline_of)
        else one
        for one in located
    )


def _note(one: LocatedSeries) -> Note:
    text = "a well-formed disc lies one body below the lowest one counted"
    return Note(DISC_BELOW, Scope.SERIES, one.series.name, text)


def shows_disc_below(located: LocatedSeries, outline_of: Outline) -> bool:
    """Whether a disc of the size and clearness of a real one lies below the body under L5/S1."""
    if not located.frames or located.frames[0].level != LEVELS[0]:
        return False
    lowest = located.frames[0]
    soft_CHW, _ = _outlined(located, lowest, outline_of)
    offset_mm = _body_below_mm(soft_CHW)
    if offset_mm is None:
        return False
    below = _frame_below(lowest, offset_mm)
    level = align(*_outlined(located, below, outline_of), below)
    if level is None:
        return False
    area_mm2 = float(level.disc_VU.sum()) * STEP_MM**2
    clear = float(level.soft_CVU[DISC][level.disc_VU].mean())
    return area_mm2 >= MIN_AREA_MM2 and clear >= MIN_CONFIDENCE and outline(level).depth_mm >= MIN_DEPTH_MM


def _outlined(
    located: LocatedSeries, frame: LevelFrame, outline_of: Outline
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Probabilities (C, H, W) and grey values (H, W) of a crop in the midline slice."""
    slice_RC = located.series.voxels_SRC[located.midline_slice]
    crop_HW = level_crop(slice_RC, crop_axes(located.series, frame))
    return outline_of(normalised(crop_HW)[None])[0].astype(np.float32), crop_HW


def _body_below_mm(soft_CHW: NDArray[np.float32]) -> tuple[float, float] | None:
    """How far behind and above the disc's centre the middle of the body below lies, mm; None where none is seen."""
    body_HW = connected(soft_CHW[LOWER] > 0.5, BODY_BELOW_RC)
    if body_HW.sum() * PIXEL_MM**2 < MIN_BODY_MM2:
        return None
    row, column = (float(places.mean()) for places in np.nonzero(body_HW))
    return (column - (COLUMNS - 1) / 2) * PIXEL_MM + SHIFT_MM, ((ROWS - 1) / 2 - row) * PIXEL_MM


def _frame_below(lowest: LevelFrame, offset_mm: tuple[float, float]) -> LevelFrame:
    """Where the next disc would lie: as far below the body as the lowest one above it, turned as the way there."""
    way_mm = offset_mm[0] * lowest.posterior + offset_mm[1] * lowest.superior
    superior = -way_mm / np.linalg.norm(way_mm)
    posterior = lowest.posterior - lowest.posterior @ superior * superior
    return replace(
        lowest,
        center_mm=lowest.center_mm + 2 * way_mm,
        posterior=posterior / np.linalg.norm(posterior),
        superior=superior,
    )
