"""Do two studies of a patient agree better where all levels of one are named differently by one?

A count from the sacrum that begins at another disc, for a transitional vertebra or a sacrum seen another way, moves
every name. Then each disc is compared with its neighbour, and the profile down the spine, of grades and sizes, is
shifted.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from spinenet.labels import LEVELS, TARGET, Scale
from spinenet.study import Prediction

SHIFTED = (
    "the levels may be named differently by one: taken one {way} in the later study, they agree better with the "
    "earlier one"
)
FEWEST_LEVELS = 3
"""A profile has so many levels in common at least."""
MOST = 3.0
"""A difference counts no more than so many times its noise: one new finding moves no name."""
LEAST_DIFFERENCE, LEAST_GAIN = 0.4, 0.5
"""Names are doubted where the mean difference, in units of noise, is larger than the first as they are, and smaller by
a share of the second under other names."""
Values = Mapping[tuple[str, str], Prediction | float]


def better_shift(before: Values, after: Values, noise: Mapping[str, float]) -> int:
    """By how much the names of the later study have to move to agree better, 1 towards the head; 0 where they stand."""
    as_named = _difference(before, after, noise, 0)
    if as_named is None or as_named < LEAST_DIFFERENCE:
        return 0
    others = {shift: _difference(before, after, noise, shift) for shift in (1, -1)}
    known = {shift: value for shift, value in others.items() if value is not None}
    best = min(known, key=lambda shift: known[shift], default=0)
    return best if best and known[best] < (1 - LEAST_GAIN) * as_named else 0


def renamed(values: Values, shift: int) -> dict[tuple[str, str], Prediction | float]:
    """What a study says, with every level named one disc further towards the head (1) or the feet (-1)."""
    places = ((LEVELS.index(level) + shift, name, value) for (level, name), value in values.items())
    return {(LEVELS[place], name): value for place, name, value in places if 0 <= place < len(LEVELS)}


def _difference(before: Values, after: Values, noise: Mapping[str, float], shift: int) -> float | None:
    """Mean difference in units of noise; None where too few levels are in common."""
    told = list(_pairs(before, after, noise, shift))
    if len({level for level, _ in told}) < FEWEST_LEVELS:
        return None
    return float(np.mean([min(value, MOST) for _, value in told]))


def _pairs(before: Values, after: Values, noise: Mapping[str, float], shift: int) -> Iterator[tuple[str, float]]:
    """Level and difference of all that both studies know and whose noise is known."""
    later = renamed(after, shift)
    for (level, name), value in before.items():
        other = later.get((level, name))
        was, now = _number(value), None if other is None else _number(other)
        if was is not None and now is not None and noise.get(name):
            yield level, abs(now - was) / noise[name]


def _number(value: Prediction | float) -> float | None:
    """A size, or the expected grade of an ordered scale that was learnt from patients."""
    if not isinstance(value, Prediction):
        return value
    if value.experimental or TARGET[value.target].scale is Scale.NOMINAL:
        return None
    return float(np.dot(value.probabilities, np.arange(len(value.probabilities))))
