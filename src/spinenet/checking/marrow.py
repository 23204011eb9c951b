"""A vertebral body whose marrow looks unlike its neighbours' in every contrast: discs beside it look like none learnt.

What it is, a lesion, a fracture or what radiation leaves, is not said; nothing is called absent. Limits were chosen on
patients (notebooks/EXPERIMENTS.md, 2026-11-27). Shape letters: V vertebrae from below, H W of ``metal``.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from spinenet.checking.metal import around_mm, sampled
from spinenet.labels import LEVELS
from spinenet.regions import LUMBAR
from spinenet.study import LevelFrame, LocatedSeries, Note, Scope, Severity

UNLIKE = 0.4
"""How far the median of the marrow lies from its neighbours', in natural logarithms, where it differs least: 3 of 152
patients of SPIDER are beyond and 5 of 381 of Sudirman's; in the seven looked at the body looks changed."""
NEIGHBOURS, FEWEST_BODIES = 4, 4
END_PLATE_MM, WALL_MM, LEAST_MM2 = 8.0, 4.0, 100.0
DARKEST = 0.05
"""Of marrow's grey value: what is darker is taken for as dark."""
_UP_HW, _BACK_HW = np.meshgrid(np.arange(-28.0, 29.0), np.arange(-28.0, 29.0), indexing="ij")


def marrow_flags(sagittal: Sequence[LocatedSeries]) -> Iterator[Note]:
    """Levels beside a body of the region that looks unlike its neighbours in each of at least two contrasts."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for one in sagittal:
        for levels, away in _deviations(one).items():
            views = found.setdefault(levels, {})
            views[str(one.series.view)] = min(away, views.get(str(one.series.view), np.inf))
    for (lower, upper), by_view in found.items():
        if LEVELS.index(upper) <= LUMBAR.usual and len(by_view) > 1 and min(by_view.values()) > UNLIKE:
            text = f"the marrow between {upper} and {lower} looks unlike that of the neighbouring vertebrae: look at it"
            yield from (Note("unlike_marrow", Scope.LEVEL, level, text, Severity.FLAG) for level in (lower, upper))


def _deviations(located: LocatedSeries) -> dict[tuple[str, str], float]:
    """(disc below, disc above) a body -> how far its marrow lies from that of its neighbours."""
    frames = {frame.level: frame for frame in located.frames}
    pairs = [(low, up) for low, up in pairwise(LEVELS) if low in frames and up in frames]
    measured = {pair: _marrow(located, *(frames[level] for level in pair)) for pair in pairs}
    seen = {pair: marrow for pair, marrow in measured.items() if not np.isnan(marrow)}
    if len(seen) < FEWEST_BODIES:
        return {}
    marrow_V, places_V = np.log(list(seen.values())), np.arange(len(seen))
    away = {}
    for place, pair in enumerate(seen):
        nearest_V = sorted(set(places_V) - {place}, key=lambda other: abs(other - place))[:NEIGHBOURS]
        away[pair] = float(abs(marrow_V[place] - np.median(marrow_V[nearest_V])))
    return away


def _marrow(located: LocatedSeries, lower: LevelFrame, upper: LevelFrame) -> float:
    """Median grey value of a body in the midline slice, nan where too little of it is seen."""
    places_HW2 = located.series.to_vox(around_mm(lower, upper, _UP_HW, _BACK_HW))[..., 1:]
    height_mm = float(np.linalg.norm(upper.center_mm - lower.center_mm))
    half_mm = (lower.depth_mm + upper.depth_mm) / 4 - WALL_MM
    body_HW = (np.abs(_UP_HW) < height_mm / 2 - END_PLATE_MM) & (np.abs(_BACK_HW) < half_mm)
    grey_N = sampled(located, located.midline_slice, places_HW2)[body_HW]
    grey_N = grey_N[np.isfinite(grey_N)]
    return max(float(np.median(grey_N)), DARKEST) if len(grey_N) >= LEAST_MM2 else np.nan
