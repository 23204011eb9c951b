"""Sets of grades that hold the true one with a stated coverage: split conformal prediction.

A grade is in the set where its calibrated probability reaches a threshold that COVERAGE of the held-out discs with that
grade reached (Vovk 2012, "Conditional validity of inductive conformal predictors": a coverage of its own for each
grade). Sets of ordinal grades are contiguous; whatever is added to a set can only raise its coverage.
Shape letters: N discs, K grades.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import Scale, Target

COVERAGE = 0.9
MIN_OWN = 20
"""A grade seen less often has no threshold of its own but that of all discs, and no coverage of its own."""


def fit_thresholds(target: Target, probabilities_NK: NDArray[np.float64], grades_N: NDArray[np.int64]) -> list[float]:
    """Threshold of each grade, (K,), from held-out discs with known ``grades_N`` (indices)."""
    reached_N = probabilities_NK[np.arange(len(grades_N)), grades_N]
    of_all = _threshold(reached_N)
    own = [reached_N[grades_N == grade] for grade in range(len(target.grades))]
    return [_threshold(reached) if len(reached) >= MIN_OWN else of_all for reached in own]


def in_set(
    target: Target, probabilities_NK: NDArray[np.float64], decided_N: NDArray[np.int64], thresholds: Sequence[float]
) -> NDArray[np.bool_]:
    """Which grades each disc's set holds, (N, K); the decided grade is always one of them."""
    inside_NK = probabilities_NK >= np.array(thresholds)
    inside_NK[np.arange(len(decided_N)), decided_N] = True
    if target.scale is Scale.ORDINAL:
        from_below = np.logical_or.accumulate(inside_NK, axis=1)
        from_above = np.logical_or.accumulate(inside_NK[:, ::-1], axis=1)[:, ::-1]
        inside_NK = from_below & from_above
    return inside_NK


def _threshold(reached_N: NDArray[np.float64]) -> float:
    """The largest value that a new disc reaches with at least COVERAGE, 0 where there are too few to say.

    >>> _threshold(np.arange(1, 20) / 20), _threshold(np.array([0.5]))
    (0.1, 0.0)
    """
    rank = int(np.floor((1 - COVERAGE) * (len(reached_N) + 1) + 1e-9))
    return float(np.sort(reached_N)[rank - 1]) if rank > 0 else 0.0
