"""Voids of signal within the column, as metal leaves them: in bodies, pedicles, joints and discs, in all slices.

Vessels and bowel before the bodies have no signal either, so nothing in front of them is looked at, and where the field
of the coil ends all is dark, so what is dark is told by the bone around it. Metal is so in every contrast; a worn disc
is dark in T2 alone. Limits lie between what real spines have and what painted screws and cages leave
(notebooks/EXPERIMENTS.md, 2026-11-27). Shape letters: H rows of a grid across the column, W along it, upwards.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import LEVELS, View
from spinenet.study import LevelFrame, LocatedSeries, Note, Scope, Severity

BODY_MM2, DISC_MM2 = 300.0, 200.0
"""Larger voids are flagged. Of a body and its arch 56 mm2 at most in the midline of 177 patients of SPIDER and 200 of
Sudirman's, 268 in all slices of 30; of a disc 120 in T1 and T2 of the 377; painted screws 8 and 14 mm wide leave 330
and more, cages 240."""
STEP_MM = 2.0
REACH_MM, DISC_REACH_MM = 24.0, 12.0
"""So far beside the midline are arches and joints, and the middle of a disc."""
CANAL_MM = 6.0
"""Nearer to the midline lies the canal behind the body, not a pedicle."""
ARCH_MM = 22.0
MARGIN_MM, END_PLATE_MM, CORE_MM, HALF_DISC_MM = 3.0, 2.0, 6.0, 8.0
DARK, FAINT = 0.12, 0.3
"""A void has less than this share of the bone around it, which counts as no darker than a share of the usual marrow."""
BONE_PERCENTILE = 75
IN_VIEW = 0.9
STACK = 3
"""Series of fewer slices have a word only where there is no stack."""
_UP_HW, _BACK_HW = np.meshgrid(np.arange(-28, 29, STEP_MM), np.arange(-24, 57, STEP_MM), indexing="ij")


@dataclass(frozen=True)
class _Voids:
    """Largest void of a vertebra with its arch and of the disc above, mm2; nan where they are not in view."""

    body_mm2: float = np.nan
    disc_mm2: float = np.nan


@dataclass(frozen=True)
class _Regions:
    """Parts of the grid: a body, the same with its arch, the body without what may be end-plate, and the disc above."""

    body_HW: NDArray[np.bool_]
    arch_HW: NDArray[np.bool_]
    core_HW: NDArray[np.bool_]
    disc_HW: NDArray[np.bool_]


def metal_flags(sagittal: Sequence[LocatedSeries]) -> Iterator[Note]:
    """Levels at which something leaves no signal in any of the series that show it."""
    stacks = [one for one in sagittal if len(one.series.voxels_SRC) >= STACK] or list(sagittal)
    found = [(one, _voids(one)) for one in stacks]
    for lower, upper in pairwise(LEVELS):
        shown = [(one, voids[upper]) for one, voids in found if upper in voids and lower in _levels(one)]
        in_body = [void.body_mm2 for _, void in shown if not np.isnan(void.body_mm2)]
        in_disc = [(one, void.disc_mm2) for one, void in shown if not np.isnan(void.disc_mm2)]
        if in_body and min(in_body) > BODY_MM2:
            text = f"no signal over {min(in_body) / 100:.1f} cm2 of the vertebra between {upper} and {lower}: metal?"
            yield from (Note("signal_void", Scope.LEVEL, level, text, Severity.FLAG) for level in (lower, upper))
        elif (
            any(one.series.view is View.SAGITTAL_T1 for one, _ in in_disc)
            and min(area for _, area in in_disc) > DISC_MM2
        ):
            text = f"no signal over {min(area for _, area in in_disc) / 100:.1f} cm2 of the disc: metal or gas?"
            yield Note("signal_void", Scope.LEVEL, upper, text, Severity.FLAG)


def _levels(located: LocatedSeries) -> set[str]:
    return {frame.level for frame in located.frames}


def _voids(located: LocatedSeries) -> dict[str, _Voids]:
    """Name of the disc above -> voids of the vertebra between two neighbouring discs and of that disc."""
    frames = {frame.level: frame for frame in located.frames}
    pairs = [(frames[low], frames[up]) for low, up in pairwise(LEVELS) if low in frames and up in frames]
    return {upper.level: _around(located, lower, upper) for lower, upper in pairs}


def _around(located: LocatedSeries, lower: LevelFrame, upper: LevelFrame) -> _Voids:
    series = located.series
    center_mm, between_mm = (lower.center_mm + upper.center_mm) / 2, upper.center_mm - lower.center_mm
    places_HW2 = series.to_vox(around_mm(lower, upper, _UP_HW, _BACK_HW))[..., 1:]
    slices = np.arange(len(series.voxels_SRC))
    beside_mm = np.abs(slices - series.to_vox(center_mm)[0]) * series.spacing_mm[0] * (len(slices) > 1)
    regions = _regions(float(np.linalg.norm(between_mm)), (lower.depth_mm + upper.depth_mm) / 2)
    bodies, discs = [np.nan], [np.nan]
    for index in slices[beside_mm <= REACH_MM]:
        grey_HW = sampled(located, index, places_HW2)
        bone_HW = regions.arch_HW if beside_mm[index] > CANAL_MM else regions.body_HW
        bodies.append(_largest(grey_HW, bone_HW, bone_HW, BODY_MM2))
        if beside_mm[index] <= DISC_REACH_MM:
            discs.append(_largest(grey_HW, regions.disc_HW, regions.core_HW, DISC_MM2))
    return _Voids(float(np.fmax.reduce(bodies)), float(np.fmax.reduce(discs)))


def around_mm(
    lower: LevelFrame, upper: LevelFrame, up_HW: NDArray[np.float64], back_HW: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Places (H, W, 3) so many mm above and behind the middle between two neighbouring discs."""
    center_mm, between_mm = (lower.center_mm + upper.center_mm) / 2, upper.center_mm - lower.center_mm
    up = between_mm / np.linalg.norm(between_mm)
    back = lower.posterior + upper.posterior
    back = back - up * (back @ up)
    places: NDArray[np.float64] = center_mm + up_HW[..., None] * up + back_HW[..., None] * back / np.linalg.norm(back)
    return places


def _regions(height_mm: float, depth_mm: float) -> _Regions:
    """Where a vertebra lies on the grid whose discs are so far apart and so deep."""
    half_mm, end_mm = depth_mm / 2 - MARGIN_MM, height_mm / 2 - END_PLATE_MM
    middle_HW, between_HW = np.abs(_BACK_HW) < half_mm, np.abs(_UP_HW) < end_mm
    is_arch_HW = np.abs(_BACK_HW - depth_mm / 4 - (ARCH_MM - half_mm) / 2) < (depth_mm / 2 + ARCH_MM + half_mm) / 2
    return _Regions(
        body_HW=between_HW & middle_HW,
        arch_HW=between_HW & is_arch_HW,
        core_HW=(np.abs(_UP_HW) < height_mm / 2 - CORE_MM) & middle_HW,
        disc_HW=(np.abs(_UP_HW - height_mm / 2) < HALF_DISC_MM) & middle_HW,
    )


def sampled(located: LocatedSeries, index: int, places_HW2: NDArray[np.float64]) -> NDArray[np.float32]:
    """Grey values on the grid from the darkest, 0, to marrow, 1; nan outside of the slice."""
    from scipy.ndimage import map_coordinates

    dark, _, marrow, *_ = (float(value) for value in located.reference)
    image_RC = located.series.voxels_SRC[index]
    grey_HW = map_coordinates(image_RC, np.moveaxis(places_HW2, -1, 0), order=1, cval=np.nan)
    return (grey_HW - dark) / max(marrow - dark, 1e-6)


def _largest(
    grey_HW: NDArray[np.float32], region_HW: NDArray[np.bool_], bone_HW: NDArray[np.bool_], least_mm2: float
) -> float:
    """Area of the largest void of a region, 0 where it cannot reach ``least_mm2``, nan where the region is cut off."""
    from scipy.ndimage import binary_opening, label

    seen_HW = ~np.isnan(grey_HW)
    if (seen_HW & region_HW).sum() < IN_VIEW * region_HW.sum() or not (seen_HW & bone_HW).any():
        return np.nan
    bone_N, grey_N = grey_HW[seen_HW & bone_HW], grey_HW[seen_HW & region_HW]

    def is_small(bone: float) -> bool:
        return float((grey_N < DARK * max(bone, FAINT)).sum()) * STEP_MM**2 < least_mm2

    # The brightest bone bounds the percentile, which takes longer: hardly any slice needs it.
    if is_small(float(bone_N.max())) or is_small(bone := float(np.percentile(bone_N, BONE_PERCENTILE))):
        return 0.0
    void_HW = region_HW & seen_HW & (np.nan_to_num(grey_HW, nan=1.0) < DARK * max(bone, FAINT))
    parts_HW, _ = label(binary_opening(void_HW))
    return float(np.bincount(parts_HW.ravel(), minlength=2)[1:].max()) * STEP_MM**2
