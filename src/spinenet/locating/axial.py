"""Axial stacks in the frames of the sagittal levels: which discs a stack crosses, and its scale of grey values.

Discs are found in sagittal series alone. Where an axial stack lies in the same frame of reference, world coordinates
say which of its slices cross which disc, whatever their tilt and in however many stacks they were acquired.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spinenet.crops import CropSpec, LevelSlices, levels_shown
from spinenet.labels import LEVELS, View
from spinenet.study import LevelFrame, LocatedSeries, Note, Scope, Series, Severity

FIELD = CropSpec()
"""Which slices cross a disc, and where grey values are measured: the default crop, whatever a bundle's own is."""
CANAL_BEHIND_MM = 8.0
"""Middle of the canal behind the back of the disc: half of a canal of 16 mm. Chosen by hand, like the square."""
PATCH_MM = 5.0
"""Half the side of the square in which disc and canal are measured."""


def locate_axial(
    series: Sequence[Series], sagittal: Sequence[LocatedSeries]
) -> tuple[tuple[LocatedSeries, ...], list[Note]]:
    """The axial T2 stacks that cross a level of the sagittal series, and why others were left out."""
    located, notes = [], []
    for one in series:
        if one.view is not View.AXIAL_T2:
            continue
        shared = [other for other in sagittal if _same_frame(one, other.series)]
        crossed = levels_shown(one, study_frames(shared), FIELD)
        if not one.laterality_known:
            notes.append(_left_out(one, "sides_unknown", "it does not say which side is left"))
        elif not shared:
            reason = "in another frame of reference than the sagittal series, so it cannot be placed"
            notes.append(_left_out(one, "not_placed", reason))
        elif not crossed:
            notes.append(_left_out(one, "no_disc_crossed", "crosses none of the discs that were found"))
        else:
            frames = tuple(level.frame for level in crossed)
            located.append(LocatedSeries(one, frames, len(one.voxels_SRC) // 2, axial_reference(crossed)))
    return tuple(located), notes


def _left_out(series: Series, code: str, reason: str) -> Note:
    return Note(code, Scope.SERIES, series.name, f"{reason}; the series is left out", Severity.FLAG)


def study_frames(sagittal: Sequence[LocatedSeries]) -> tuple[LevelFrame, ...]:
    """One frame a level, from the sacrum up: T2 before STIR before T1, since axial slices are T2 as well."""
    order = (View.SAGITTAL_T2, View.SAGITTAL_STIR, View.SAGITTAL_T1)
    best: dict[str, LevelFrame] = {}
    for view in order:
        for one in sagittal:
            for frame in one.frames if one.series.view is view else ():
                best.setdefault(frame.level, frame)
    return tuple(best[level] for level in LEVELS if level in best)


def axial_reference(crossed: Sequence[LevelSlices]) -> NDArray[np.float32]:
    """Grey values as ``locating.discs.reference_values`` gives them, (5,), from the levels that a stack crosses: dark
    and bright (2nd and 98th percentile of the field around the canal), its median in place of the bodies, canal (75th
    percentile, CSF) and disc."""
    fields, canals, discs = [], [], []
    middle = (np.array([FIELD.rows, FIELD.columns]) - 1) / 2
    for level in crossed:
        depth_mm = level.frame.depth_mm
        canal_mm = depth_mm / 2 + CANAL_BEHIND_MM - FIELD.axial_shift_mm
        for crop in level.placement.crops(level.slices):
            fields.append(crop.pixels_HW)
            canals.append(_patch(crop.pixels_HW, middle, canal_mm))
            discs.append(_patch(crop.pixels_HW, middle, depth_mm / 4 - FIELD.axial_shift_mm))
    dark, body, bright = np.percentile(fields, [2, 50, 98])
    canal = np.percentile(np.concatenate(canals), 75)
    disc = np.median(np.concatenate(discs))
    return np.array([dark, max(bright, dark + 1e-3), body, canal, disc], np.float32)


def _patch(pixels_HW: NDArray[np.float32], middle: NDArray[np.float64], behind_mm: float) -> NDArray[np.float32]:
    """Values of a square in the midline, ``behind_mm`` behind the middle of an axial crop."""
    row, column = middle + np.array([behind_mm, 0.0]) / FIELD.axial_pixel_mm
    half = PATCH_MM / FIELD.axial_pixel_mm
    rows, columns = (slice(int(max(0, place - half)), int(max(1, place + half))) for place in (row, column))
    return pixels_HW[rows, columns].ravel()


def _same_frame(one: Series, other: Series) -> bool:
    return not (one.frame_of_reference and other.frame_of_reference) or (
        one.frame_of_reference == other.frame_of_reference
    )
