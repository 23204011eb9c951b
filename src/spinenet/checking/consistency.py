"""Do the images of a study bear out what their headers say of places? Slices in their order, and one size of the spine.

Neighbouring slices look more alike than those two apart; where they do not, positions were shuffled against pixels. T1
and T2 show one spine: where its discs lie farther apart or reach deeper in one of them, a pixel spacing is wrong, or
they are not of one patient. Limits and how well they tell are in notebooks/EXPERIMENTS.md (2026-11-27).
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from spinenet.study import LocatedSeries, Note, Scope, Series, Severity

IN_ORDER, SHUFFLED = 0.87, 0.8
"""Share of neighbours that are more alike: 0.90 and more in 58 sagittal series, below the second when shuffled."""
FEWEST_SLICES = 6
SAME_SPAN, SAME_DEPTH = 1.06, 1.15
"""T1 and T2 of 16 patients differed by 1.009 and 1.068 at most."""
FEWEST_LEVELS = 3
PARALLEL = 0.99
NARROWER = "narrower"
"""Code of the flag that a series shows less of one side than another of the same slices does."""
SAME_END, OTHER_END = 1.0, 2.5
"""In slice distances, chosen by hand: T1 and T2 whose ends agree within the first on one side and not within the second
on the other were not copied whole."""
COARSE = 64
"""Pixels along a side that order is told by."""


def order_of(voxels_SRC: NDArray[np.float32]) -> float:
    """Share of pairs of neighbours that are more alike than the slices on both sides of them, 1 where all are in order.

    >>> ramp = np.linspace(0, 1, 8)[:, None, None] * np.random.default_rng(0).normal(size=(1, 20, 20))
    >>> order_of((ramp + np.random.default_rng(1).normal(size=(8, 20, 20)).cumsum(axis=0)).astype(np.float32)) > 0.8
    True
    """
    count = len(voxels_SRC)
    rows, columns = (max(1, size // COARSE) for size in voxels_SRC.shape[1:])
    flat = voxels_SRC[:, ::rows, ::columns].reshape(count, -1).astype(float)
    flat = np.clip(flat, *np.percentile(flat, [1, 99]))
    flat = flat - flat.mean(axis=1, keepdims=True)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True) + 1e-9
    alike = flat @ flat.T
    near, far = np.diag(alike, 1), np.diag(alike, 2)
    return float(np.mean([near[:-1] > far, near[1:] > far]))


def out_of_order(located: LocatedSeries) -> Iterator[Note]:
    """What is to be said of a series whose slices do not look like neighbours where they are said to be."""
    series = located.series
    if len(series.voxels_SRC) < FEWEST_SLICES:
        return
    share = order_of(series.voxels_SRC)
    if share < IN_ORDER:
        text = "neighbouring slices are no more alike than others: were their positions mixed up?"
        yield Note(
            "slice_order", Scope.SERIES, series.name, text, Severity.REFUSE if share < SHUFFLED else Severity.FLAG
        )


def of_two_sizes(sagittal: Sequence[LocatedSeries]) -> Iterator[Note]:
    """Pairs of sagittal series that show the spine at different sizes."""
    for one, other in combinations(sagittal, 2):
        mine, theirs = ({frame.level: frame for frame in located.frames} for located in (one, other))
        levels = [level for level in mine if level in theirs]
        if len(levels) < FEWEST_LEVELS:
            continue
        first, last = levels[0], levels[-1]
        spans = [float(np.linalg.norm(frames[first].center_mm - frames[last].center_mm)) for frames in (mine, theirs)]
        depth = float(np.median([mine[level].depth_mm / theirs[level].depth_mm for level in levels]))
        for ratio, limit, what in ((spans[0] / max(spans[1], 1e-6), SAME_SPAN, "discs"), (depth, SAME_DEPTH, "depths")):
            if abs(np.log(max(ratio, 1e-6))) > np.log(limit):
                text = (
                    f"{one.series.name} and {other.series.name} show the spine at two sizes ({what} in the ratio "
                    f"{ratio:.2f}): a pixel spacing is wrong, or they are not of one patient"
                )
                yield Note("two_sizes", Scope.STUDY, "", text, Severity.REFUSE)
                break


def of_two_widths(sagittal: Sequence[LocatedSeries]) -> Iterator[Note]:
    """Sagittal series that end on one side where another of the same slices does, and long before it on the other."""
    for one, other in combinations([located.series for located in sagittal], 2):
        if one.frame_of_reference != other.frame_of_reference:
            continue
        across, step_mm = _across(one), float(max(one.spacing_mm[0], other.spacing_mm[0]))
        if across @ _across(other) < PARALLEL:
            continue
        away = (_ends_mm(one, across) - _ends_mm(other, across)) * [1, -1] / step_mm
        if min(abs(away)) <= SAME_END and max(abs(away)) > OTHER_END:
            end = int(np.argmax(abs(away)))
            narrow, wide = (one, other) if away[end] > 0 else (other, one)
            side = ("the right", "the left")[end] if narrow.laterality_known and wide.laterality_known else "one side"
            text = f"{max(abs(away)):.0f} slices fewer than in {wide.name} towards {side}: were all images copied?"
            yield Note(NARROWER, Scope.SERIES, narrow.name, text, Severity.FLAG)


def _across(series: Series) -> NDArray[np.float64]:
    across: NDArray[np.float64] = series.affine_vox2mm[:3, 0]
    return across / np.linalg.norm(across)


def _ends_mm(series: Series, across: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places of the first and the last slice, by the middle of their image."""
    count, rows, columns = series.voxels_SRC.shape
    ends = [series.to_mm(np.array([end, (rows - 1) / 2, (columns - 1) / 2])) @ across for end in (0, count - 1)]
    return np.array(ends)
