"""From calibrated probabilities to one grade: the most probable one, or cuts where they are clearly better.

Shape letters: N discs, K grades (padded columns allowed), G grid positions.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import Scale, Target

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

MIN_CUT_EXAMPLES = 5
"""A target with a grade rarer than this has no cuts."""
CLEAR_GAIN = 0.02
"""Macro F1 (ordinal: mean of it and quadratic kappa) that cuts must gain over the most probable grade."""
PARTS = 10
"""Parts of the discs; each is judged with cuts chosen on the others."""
RESAMPLES, TRIAL_RESAMPLES = 50, 10
"""Resamples over which cuts are averaged, and those of the cuts that are only tried."""

_GRID_PER_GRADE = 200
_PLATEAU = 0.005


def macro_f1(confusion: Floats) -> Floats:
    """Mean F1 over the grades that occur in truth or decision.

    ``confusion`` is (..., K, K), rows the truth, columns the decision, counts or weights. Returns (...,), nan if empty.

    >>> float(macro_f1(np.array([[2.0, 0.0], [2.0, 0.0]])))
    0.3333333333333333
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    total = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    f1 = np.divide(2 * hits, total, out=np.zeros(total.shape), where=total > 0)
    occurring = (total > 0).sum(axis=-1)
    return np.divide(f1.sum(axis=-1), occurring, out=np.full(occurring.shape, np.nan), where=occurring > 0)


def quadratic_kappa(confusion: Floats) -> Floats:
    """Cohen's kappa with quadratic weights (Cohen 1968): 1 perfect, 0 chance.

    ``confusion`` (..., K, K) as in ``macro_f1``; nan where chance agreement is already perfect (one grade only).

    >>> float(quadratic_kappa(np.array([[1.0, 0.0], [0.0, 1.0]])))
    1.0
    """
    index = np.arange(confusion.shape[-1], dtype=float)
    disagreement = (index[:, None] - index) ** 2
    truth, decision = confusion.sum(axis=-1), confusion.sum(axis=-2)
    seen = (confusion * disagreement).sum(axis=(-2, -1)) * truth.sum(axis=-1)
    by_chance = (truth[..., :, None] * decision[..., None, :] * disagreement).sum(axis=(-2, -1))
    return 1 - np.divide(seen, by_chance, out=np.full(by_chance.shape, np.nan), where=by_chance > 0)


def decided_grades(target: Target, probabilities_NK: Floats, cuts: Sequence[float]) -> Indices:
    """Grade index (N,) of each disc: without ``cuts`` the most probable one.

    Cuts are a threshold on the probability of "present" (binary), increasing cuts on the expected grade index
    (ordinal), or weights that multiply the probabilities before the largest is taken (nominal, in older bundles).
    """
    if not len(cuts):
        return np.argmax(probabilities_NK, axis=1)
    if target.scale is Scale.NOMINAL:
        return np.argmax(probabilities_NK * np.array(cuts), axis=1)
    return np.searchsorted(cuts, _expected_grade(probabilities_NK), side="right")


def fit_cuts(target: Target, probabilities_NK: Floats, grades_N: Indices) -> tuple[float, ...]:
    """Cuts of a target where they are clearly better than the most probable grade on discs that did not choose them
    (by ``CLEAR_GAIN``), else none: a grade that is not the most probable one needs a reason."""
    counts = np.bincount(grades_N, minlength=len(target.grades))
    if target.scale is Scale.NOMINAL or counts.min() < MIN_CUT_EXAMPLES:
        return ()
    score = macro_f1 if target.scale is Scale.BINARY else _kappa_and_f1
    positions_N = _expected_grade(probabilities_NK)
    part_N = np.random.default_rng(1).permutation(len(grades_N)) % PARTS
    cut_N = np.zeros(len(grades_N), int)
    for part in range(PARTS):
        here_N = part_N == part
        if len(np.unique(grades_N[~here_N])) < len(target.grades):
            return ()
        cuts = _bagged_cuts(positions_N[~here_N], grades_N[~here_N], score, TRIAL_RESAMPLES)
        cut_N[here_N] = np.searchsorted(cuts, positions_N[here_N], side="right")
    scores = [
        float(score(_confusion(grades_N, decided_N, len(target.grades))))
        for decided_N in (cut_N, np.argmax(probabilities_NK, axis=1))
    ]
    return _bagged_cuts(positions_N, grades_N, score, RESAMPLES) if scores[0] - scores[1] >= CLEAR_GAIN else ()


def _bagged_cuts(
    positions_N: Floats, grades_N: Indices, score: Callable[[Floats], Floats], resamples: int
) -> tuple[float, ...]:
    """Mean of the best cuts of resamples of the discs (Breiman 1996, "Bagging predictors").

    The best cut between rare grades moves far with the few discs that happen to lie near it.
    """
    rng = np.random.default_rng(0)
    found: list[tuple[float, ...]] = []
    while len(found) < resamples:
        drawn_N = rng.integers(0, len(grades_N), len(grades_N))
        if len(np.unique(grades_N[drawn_N])) == len(np.unique(grades_N)):
            found.append(_search_cuts(positions_N[drawn_N], grades_N[drawn_N], score))
    return tuple(float(cut) for cut in np.mean(found, axis=0))


def _kappa_and_f1(confusion: Floats) -> Floats:
    return (quadratic_kappa(confusion) + macro_f1(confusion)) / 2


def _search_cuts(positions_N: Floats, grades_N: Indices, score: Callable[[Floats], Floats]) -> tuple[float, ...]:
    """Increasing cuts on ``positions_N`` (0 .. K - 1) that score best, each in the middle of its plateau.

    Coordinate ascent on a fixed grid from two starts: halfway between grades, and where the decided grades would be as
    frequent as the true ones. Every grade must occur.
    """
    grades = int(grades_N.max()) + 1
    grid_G = np.arange((grades - 1) * _GRID_PER_GRADE + 1) / _GRID_PER_GRADE
    below_GK = _counts_below(grid_G, positions_N, grades_N)
    halfway = (np.arange(grades - 1) + 0.5) * _GRID_PER_GRADE
    as_frequent = np.searchsorted(below_GK.sum(axis=1), np.cumsum(np.bincount(grades_N))[:-1])
    ascents = [_ascend(below_GK, _apart(start, len(grid_G)), score) for start in (halfway, as_frequent)]
    best = max(ascents, key=lambda cuts: float(score(_confusion_at(below_GK, np.array(cuts)))))
    for cut in range(grades - 1):
        best = _moved(below_GK, best, cut, score, _plateau_middle)
    return tuple(float(grid_G[index]) for index in best)


def _counts_below(grid_G: Floats, positions_N: Floats, grades_N: Indices) -> Floats:
    """How many discs of each grade lie below each grid position (G, K); the first row is 0, the last counts all."""
    by_grade = [np.sort(positions_N[grades_N == grade]) for grade in range(int(grades_N.max()) + 1)]
    below_GK = np.stack([np.searchsorted(values, grid_G, side="left") for values in by_grade], axis=1)
    below_GK[-1] = [len(values) for values in by_grade]
    return below_GK.astype(float)


def _apart(cuts: NDArray[Any], positions: int) -> list[int]:
    """Grid indices strictly inside the grid and strictly increasing, near ``cuts``."""
    order = np.arange(len(cuts))
    spread = np.clip(cuts, 1, None).astype(int) + order
    return [int(index) for index in np.minimum(spread, positions - 1 - len(cuts) + order)]


def _ascend(below_GK: Floats, cuts: list[int], score: Callable[[Floats], Floats], rounds: int = 20) -> list[int]:
    for _ in range(rounds):
        before = cuts
        for cut in range(len(cuts)):
            cuts = _moved(below_GK, cuts, cut, score, lambda scores: int(np.argmax(scores)))
        if cuts == before:
            break
    return cuts


def _moved(
    below_GK: Floats,
    cuts: list[int],
    cut: int,
    score: Callable[[Floats], Floats],
    pick: Callable[[Floats], int],
) -> list[int]:
    """The cuts with one of them moved between its neighbours to where ``pick`` says."""
    fence = [0, *cuts, len(below_GK) - 1]
    candidates = np.arange(fence[cut] + 1, fence[cut + 2])
    tried = np.tile(np.array(cuts), (len(candidates), 1))
    tried[:, cut] = candidates
    chosen = pick(np.nan_to_num(score(_confusion_at(below_GK, tried)), nan=-1.0))
    return [int(index) for index in tried[chosen]]


def _confusion_at(below_GK: Floats, cuts: Indices) -> Floats:
    """Confusion (..., K, K), rows the truth, of the cuts at grid indices ``cuts`` (..., K - 1)."""
    ends = np.zeros((*cuts.shape[:-1], 1), int)
    edges = np.concatenate([ends, cuts, ends + len(below_GK) - 1], axis=-1)
    return np.swapaxes(np.diff(below_GK[edges], axis=-2), -2, -1)


def _plateau_middle(scores: Floats) -> int:
    """Middle of the run of candidates around the best that score as well but for ``_PLATEAU``.

    >>> _plateau_middle(np.array([0.1, 0.8, 0.8, 0.8, 0.2]))
    2
    """
    best = int(np.argmax(scores))
    worse = np.flatnonzero(scores < scores[best] - _PLATEAU)
    first = int(worse[worse < best].max(initial=-1)) + 1
    last = int(worse[worse > best].min(initial=len(scores))) - 1
    return (first + last) // 2


def _confusion(truth_N: Indices, decided_N: Indices, grades: int) -> Floats:
    return np.bincount(truth_N * grades + decided_N, minlength=grades**2).reshape(grades, grades).astype(float)


def _expected_grade(probabilities_NK: Floats) -> Floats:
    return probabilities_NK @ np.arange(probabilities_NK.shape[1])


def _decided_probability(values_NK: Floats, grades_N: Indices) -> Floats:
    return np.take_along_axis(values_NK, grades_N[:, None], axis=1)[:, 0]
