"""Axial stacks in the frames of the sagittal levels: which discs a stack crosses, and its scale of grey values.

Discs are found in sagittal series alone. Where an axial stack lies in the same frame of reference, or in another one
whose coordinates the image bears out (``agreement``), world coordinates say which of its slices cross which disc,
whatever their tilt and in however many stacks they were acquired.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinenet.crops import CropSpec, LevelSlices, levels_shown
from spinenet.labels import LEVELS, View
from spinenet.locating.agreement import axial_points, displacement, displacement_along, share_frame
from spinenet.study import LevelFrame, LocatedSeries, Note, Scope, Series, Severity

VIEWS_LIKE_AXIAL = (View.SAGITTAL_T2, View.SAGITTAL_STIR, View.SAGITTAL_T1)
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
    stacks = [one for one in series if one.view is View.AXIAL_T2]
    anchors = {key: _anchor([one for one in stacks if one.frame_of_reference == key], sagittal)
               for key in dict.fromkeys(one.frame_of_reference for one in stacks)}  # fmt: skip
    for one in stacks:
        anchor = anchors[one.frame_of_reference]
        crossed = levels_shown(one, study_frames(anchor.sagittal), FIELD)
        if not one.laterality_known:
            notes.append(_left_out(one, "sides_unknown", "it does not say which side is left"))
        elif not anchor.sagittal:
            notes.append(_left_out(one, "not_placed", anchor.text))
        elif not crossed:
            notes.append(_left_out(one, "no_disc_crossed", "crosses none of the discs that were found"))
        else:
            frames = tuple(level.frame for level in crossed)
            said = (Note("placed_by_image", Scope.SERIES, one.name, anchor.text),) if anchor.text else ()
            located.append(LocatedSeries(one, frames, len(one.voxels_SRC) // 2, axial_reference(crossed), said))
    return tuple(located), notes


@dataclass(frozen=True)
class _Anchor:
    """The sagittal series in whose coordinates axial stacks lie, none where they cannot be placed, and what to say."""

    sagittal: tuple[LocatedSeries, ...]
    text: str = ""


def _anchor(stacks: Sequence[Series], sagittal: Sequence[LocatedSeries]) -> _Anchor:
    """Where stacks of one frame of reference belong: with the sagittal series of that frame, unless their image shows
    that the patient moved, else with those of the frame of the series most like them, if its image bears out that they
    lie where the coordinates say."""
    shared = tuple(other for other in sagittal if share_frame(stacks[0], other.series))
    best = next(one for view in VIEWS_LIKE_AXIAL for one in shared or sagittal if one.series.view is view)
    if shared:
        found = displacement_along(axial_points(stacks, best.frames), best.series)
        text = f"{found.words} in {best.series.name}: did the patient move?"
        return _Anchor((), text) if found.contradicts else _Anchor(shared)
    found = displacement(axial_points(stacks, best.frames), best.series)
    where = "in another frame of reference than the sagittal series"
    if not found.agrees:
        return _Anchor((), f"{where}, and {found.words}, so it cannot be placed")
    with_best = tuple(other for other in sagittal if share_frame(best.series, other.series))
    return _Anchor(with_best, f"{where}; placed by its coordinates, which the image of {best.series.name} bears out")


def _left_out(series: Series, code: str, reason: str) -> Note:
    return Note(code, Scope.SERIES, series.name, f"{reason}; the series is left out", Severity.FLAG)


def study_frames(sagittal: Sequence[LocatedSeries]) -> tuple[LevelFrame, ...]:
    """One frame a level, from the sacrum up, from the view most like axial T2."""
    best: dict[str, LevelFrame] = {}
    for view in VIEWS_LIKE_AXIAL:
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
