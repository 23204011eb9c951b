"""A vertebra much lower than its neighbours: its discs lie closer to each other than those above and below do.

Fracture is not looked for and never called absent; but discs beside a collapsed body look like none that was learnt.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from spinenet.labels import LEVELS
from spinenet.study import LocatedSeries, Note, Scope, Severity

COLLAPSED = 0.74
"""Share of the mean distance above and below. Of 176 patients of SPIDER six are below it in every series, all with a
vertebra that has collapsed or was wedged; the next lie at 0.75 to 0.78, the median at 1."""


def collapse_flags(sagittal: Sequence[LocatedSeries]) -> Iterator[Note]:
    """Levels beside a vertebra that is low in every sagittal series that shows it and both its neighbours."""
    shares: dict[tuple[str, str], list[float]] = {}
    for one in sagittal:
        for levels, share in _shares(one).items():
            shares.setdefault(levels, []).append(share)
    for (lower, upper), found in shares.items():
        if max(found) < COLLAPSED:
            text = (
                f"{upper} and {lower} lie {max(found):.0%} of their neighbours' distance apart: a collapsed vertebra?"
            )
            yield from (Note("collapsed", Scope.LEVEL, level, text, Severity.FLAG) for level in (lower, upper))


def _shares(located: LocatedSeries) -> dict[tuple[str, str], float]:
    """(disc below, disc above) a vertebra -> their distance in mean distances of the discs of its two neighbours."""
    frames = {frame.level: frame for frame in located.frames}
    steps_mm = {
        (low, up): float(np.linalg.norm(frames[up].center_mm - frames[low].center_mm))
        for low, up in pairwise(LEVELS)
        if low in frames and up in frames
    }
    around = zip(pairwise(LEVELS), list(pairwise(LEVELS))[1:], list(pairwise(LEVELS))[2:], strict=False)
    return {
        pair: 2 * steps_mm[pair] / (steps_mm[below] + steps_mm[above])
        for below, pair, above in around
        if {below, pair, above} <= steps_mm.keys()
    }
