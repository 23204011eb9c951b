"""Does the spine curve to the side, so that no sagittal slice is the midline of all levels?

Neighbouring vertebrae, held over each other across the slices, fit best where one lies as far to the side as the other.
From how far each has to move the course of the column follows; a straight one that is oblique to the slices is none.
Limits were chosen on phantoms (notebooks/EXPERIMENTS.md, 2026-11-27). Shape letters: V vertebrae, N pairs of them,
X places across, 1 mm apart, F places in a slice.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from spinenet.checking.metal import around_mm
from spinenet.labels import LEVELS
from spinenet.regions import LUMBAR
from spinenet.study import LocatedSeries, Note, Scope, Severity

Floats = NDArray[np.float64]

BENT_MM = 4.0
"""How far the vertebrae lie to both sides of a straight line in all, by the contrast that says least: 41 phantoms as
they are reach 3.1 mm, bent by 10 mm in their middle 33 of them are beyond it, by 20 mm all."""
WIDE_MM, FEWEST_VERTEBRAE, FEWEST_STACKS = 36.0, 4, 2
"""One stack alone says too much in 4 of 82, and so do narrow ones."""
ACROSS_MM = 24
REACH_MM = 14
LEAST_SHARED = 0.6
"""Of the places across, so many of both must be in the stack where one is held over the other."""
STRAY_MM = 1.5
"""A pair that is farther from what the others say counts less."""
HIGHEST = LUMBAR.usual + 1
_UP_HW, _BACK_HW = np.meshgrid(np.arange(-28.0, 29.0, 4.0), np.arange(-20.0, 45.0, 4.0), indexing="ij")


def curvature_flags(sagittal: Sequence[LocatedSeries]) -> Iterator[Note]:
    """A flag of the study where every wide stack of several shows the spine curved to the side."""
    wide = [one for one in sagittal if len(one.series.voxels_SRC) * one.series.spacing_mm[0] >= WIDE_MM]
    known: list[float] = []
    for bend in map(bend_mm, wide):
        known += [] if bend is None else [bend]
        if known and known[-1] <= BENT_MM:  # most spines: the other stacks need not be looked at
            return
    if len(known) >= FEWEST_STACKS:
        text = f"the spine curves to the side by {min(known):.0f} mm or more (scoliosis?): no slice is all its midline"
        yield Note("curved", Scope.STUDY, "", text, Severity.FLAG)


def bend_mm(located: LocatedSeries) -> float | None:
    """How far the vertebrae lie to both sides of a straight line in all, None where too few are seen."""
    frames = {frame.level: frame for frame in located.frames}
    pairs = [(low, up) for low, up in pairwise(LEVELS[: HIGHEST + 1]) if low in frames and up in frames]
    if len(pairs) < FEWEST_VERTEBRAE:
        return None
    left = located.series.affine_vox2mm[:3, 0] / located.series.spacing_mm[0]
    across_X3 = np.arange(-ACROSS_MM, ACROSS_MM + 1.0)[:, None] * left
    seen, z_V = [], []
    for low, up in pairs:
        places_mm = around_mm(frames[low], frames[up], _UP_HW, _BACK_HW).reshape(-1, 3)
        seen.append(_seen(located, across_X3[:, None] + places_mm))
        z_V.append(float(frames[low].center_mm[2] + frames[up].center_mm[2]) / 2)
    side_V = _sides_mm(seen)
    line_V = np.polyval(np.polyfit(z_V, side_V, 1), z_V)
    return float(np.ptp(side_V - line_V))


def _seen(located: LocatedSeries, places_XF3: Floats) -> Floats:
    """Grey values (X, F) about their mean; nan where a place across is beyond the stack, 0 beyond the image."""
    from scipy.ndimage import map_coordinates

    series = located.series
    places = np.moveaxis(series.to_vox(places_XF3), -1, 0)
    grey_XF = map_coordinates(series.voxels_SRC, places, order=1, cval=np.nan, output=np.float64)
    if not np.isfinite(grey_XF).any():
        return np.full_like(grey_XF, np.nan)
    grey_XF = np.clip(grey_XF, *np.nanpercentile(grey_XF, [1, 99]))
    grey_XF = np.nan_to_num(grey_XF - np.nanmean(grey_XF))
    beyond_X = (places[0] < 0).any(axis=1) | (places[0] > len(series.voxels_SRC) - 1).any(axis=1)
    grey_XF[beyond_X] = np.nan
    return grey_XF


def _sides_mm(seen: Sequence[Floats]) -> Floats:
    """How far each vertebra lies to the side, (V,) mm from the mean of all, by its neighbours and theirs."""
    pairs = [(one, other) for one, other in combinations(range(len(seen)), 2) if other - one <= 2]
    found_N2 = np.array([_shift(seen[one], seen[other]) for one, other in pairs])
    equations_NV = np.zeros((len(pairs), len(seen)))
    for row, (one, other) in enumerate(pairs):
        equations_NV[row, [one, other]] = -1.0, 1.0
    shift_N, weight_N = found_N2[:, 0], np.clip(found_N2[:, 1], 0, None) ** 2
    side_V, trust_N = np.zeros(len(seen)), np.ones(len(pairs))
    for _ in range(4):  # strays count less each time
        scale_N = weight_N * trust_N
        side_V = np.linalg.lstsq(equations_NV * scale_N[:, None], shift_N * scale_N, rcond=None)[0]
        trust_N = 1 / np.maximum(1, np.abs(equations_NV @ side_V - shift_N) / STRAY_MM)
    return side_V


def _shift(one_XF: Floats, other_XF: Floats) -> tuple[float, float]:
    """By how many mm another vertebra has to move to lie over one, and their correlation there."""
    count, best = len(one_XF), (0.0, 0.0)
    inside = min(np.isfinite(one_XF[:, 0]).sum(), np.isfinite(other_XF[:, 0]).sum())
    for shift in range(-REACH_MM, REACH_MM + 1):
        one, other = one_XF[max(0, -shift) : count - max(0, shift)], other_XF[max(0, shift) : count - max(0, -shift)]
        both = np.isfinite(one[:, 0]) & np.isfinite(other[:, 0])
        if both.sum() < LEAST_SHARED * inside or not both.any():
            continue
        one, other = one[both], other[both]
        alike = float((one * other).sum() / (np.linalg.norm(one) * np.linalg.norm(other) + 1e-9))
        best = max(best, (float(shift), alike), key=lambda found: found[1])
    return best
