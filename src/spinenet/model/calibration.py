"""From log probabilities to calibrated probabilities, a decided grade, and whether to stand by it.

Each target has a temperature (Guo et al. 2017, "On calibration of modern neural networks"), cuts that turn
probabilities into one grade, and a probability below which the model abstains: chosen on validation data, shipped in
``model.json``.
Shape letters: N discs, K grades (padded columns allowed), G grid positions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import Scale, Target
from spinenet.model import conformal

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

TEMPERATURE_RANGE = (0.25, 8.0)
MIN_KNOWN = 10
"""With fewer known labels nothing is fitted."""
MIN_CUT_EXAMPLES = 5
"""A binary or ordinal target with a grade rarer than this keeps neutral cuts."""
MIN_WEIGHT_EXAMPLES = 10
"""A nominal grade rarer than this has no weight of its own."""
MIN_COVERAGE = 0.8
"""Share of validation discs the model must stand by."""
SURE = 0.75
"""A decided grade at least this probable is never withheld."""
RESAMPLES = 50
"""Resamples over which cuts are averaged."""

_GRID_PER_GRADE = 200
_PLATEAU = 0.005
_WEIGHTS = tuple(2.0**exponent for exponent in (-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2))
_WEIGHT_PENALTY = 0.01


@dataclass(frozen=True)
class TargetCalibration:
    """How one target's log probabilities become a grade.

    ``cuts``: binary, the threshold on the probability of "present"; ordinal, K - 1 increasing cuts on the expected
    grade index; nominal, K weights that multiply the probabilities before the largest is taken. ``abstain_below`` is
    compared with the calibrated probability of the decided grade. ``set_thresholds`` are those of ``conformal``, empty
    where no coverage is stated.
    """

    temperature: float
    cuts: tuple[float, ...]
    abstain_below: float = 0.0
    set_thresholds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not (np.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError(f"temperature {self.temperature} is not a positive number")
        if not np.isfinite([*self.cuts, self.abstain_below, *self.set_thresholds]).all():
            raise ValueError(f"cuts {self.cuts}, abstain_below {self.abstain_below} and set_thresholds must be finite")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; ``from_dict`` gives the same calibration back."""
        values = {"temperature": self.temperature, "cuts": list(self.cuts), "abstain_below": self.abstain_below}
        sets = {"coverage": conformal.COVERAGE, "set_thresholds": list(self.set_thresholds)}
        return values | (sets if self.set_thresholds else {})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TargetCalibration":
        """The calibration of a ``model.json``; raises ValueError if a value is missing or is not a number.

        >>> TargetCalibration.from_dict({"temperature": 2, "cuts": [0.5], "abstain_below": 0})
        TargetCalibration(temperature=2.0, cuts=(0.5,), abstain_below=0.0, set_thresholds=())
        """
        try:
            cuts = tuple(float(cut) for cut in values["cuts"])
            thresholds = tuple(float(threshold) for threshold in values.get("set_thresholds", ()))
            return cls(float(values["temperature"]), cuts, float(values["abstain_below"]), thresholds)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a calibration: {dict(values)}") from error


def neutral(target: Target) -> TargetCalibration:
    """Nothing learnt: probabilities as they are, the nearest or most probable grade, no abstention."""
    grades = len(target.grades)
    if target.scale is Scale.NOMINAL:
        return TargetCalibration(1.0, (1.0,) * grades)
    return TargetCalibration(1.0, tuple(index + 0.5 for index in range(grades - 1)))


def fit(target: Target, log_probabilities_NK: Floats, grades_N: Indices) -> TargetCalibration:
    """Temperature, cuts and abstention of one target from validation data.

    ``log_probabilities_NK`` are log softmax values (or logits), one row a disc, with at least as many columns as the
    target has grades; ``grades_N`` grade indices, UNKNOWN ignored. With fewer than ``MIN_KNOWN`` known labels or one
    grade only, the neutral calibration. Raises ValueError where the shapes do not fit.
    """
    grades_N = np.asarray(grades_N)
    log_probabilities_NK = np.asarray(log_probabilities_NK, float)
    if log_probabilities_NK.ndim != 2 or len(log_probabilities_NK) != len(grades_N):
        raise ValueError(f"{target.name}: log probabilities {log_probabilities_NK.shape}, grades {grades_N.shape}")
    if log_probabilities_NK.shape[1] < len(target.grades):
        raise ValueError(f"{target.name}: {log_probabilities_NK.shape[1]} columns for {len(target.grades)} grades")
    known_N = grades_N >= 0
    log_probabilities_NK, grades_N = log_probabilities_NK[known_N, : len(target.grades)], grades_N[known_N]
    if len(grades_N) < MIN_KNOWN or len(np.unique(grades_N)) < 2:
        return neutral(target)
    uncut = TargetCalibration(_fit_temperature(log_probabilities_NK, grades_N), neutral(target).cuts)
    probabilities_NK = probabilities(log_probabilities_NK, uncut)
    cuts = _fit_cuts(target, probabilities_NK, grades_N)
    decided = TargetCalibration(uncut.temperature, cuts)
    abstain_below = _fit_abstention(target, probabilities_NK, decided)
    thresholds = conformal.fit_thresholds(target, probabilities_NK, grades_N)
    return TargetCalibration(uncut.temperature, cuts, abstain_below, tuple(thresholds))


def probabilities(log_probabilities_NK: Floats, calibration: TargetCalibration) -> Floats:
    """Calibrated probabilities (N, K): softmax of the log probabilities divided by the temperature.

    Padded grades carry a log probability of -1e4 or less and get exactly 0.
    """
    scaled_NK = np.asarray(log_probabilities_NK, float) / calibration.temperature
    unnormed_NK = np.exp(scaled_NK - scaled_NK.max(axis=1, keepdims=True))
    return unnormed_NK / unnormed_NK.sum(axis=1, keepdims=True)


def decide(
    target: Target, probabilities_NK: Floats, calibration: TargetCalibration
) -> tuple[Indices, NDArray[np.bool_]]:
    """Grade index (N,) of each disc and whether the model stands by it (N,).

    It does where the grade's probability is not below the limit and the prediction set, if there is one, leaves no more
    grades open than it may.
    """
    probabilities_NK = np.asarray(probabilities_NK, float)[:, : len(target.grades)]
    if target.scale is Scale.NOMINAL:
        grades_N = np.argmax(probabilities_NK * np.array(calibration.cuts), axis=1)
    else:
        grades_N = np.searchsorted(calibration.cuts, _expected_grade(probabilities_NK), side="right")
    likely_N = _decided_probability(probabilities_NK, grades_N) >= calibration.abstain_below
    if not calibration.set_thresholds:
        return grades_N, likely_N
    inside_NK = conformal.in_set(target, probabilities_NK, grades_N, calibration.set_thresholds)
    return grades_N, likely_N & (inside_NK.sum(axis=1) <= conformal.most_open(target))


def grade_sets(target: Target, probabilities_NK: Floats, calibration: TargetCalibration) -> list[tuple[int, ...]]:
    """Published grades in each disc's prediction set, with ``model.conformal.COVERAGE``; empty where none is stated."""
    probabilities_NK = np.asarray(probabilities_NK, float)[:, : len(target.grades)]
    if not calibration.set_thresholds:
        return [()] * len(probabilities_NK)
    grades_N, _ = decide(target, probabilities_NK, calibration)
    inside_NK = conformal.in_set(target, probabilities_NK, grades_N, calibration.set_thresholds)
    return [tuple(grade for grade, is_in in zip(target.grades, row, strict=True) if is_in) for row in inside_NK]


@dataclass(frozen=True)
class Decision:
    """One target's discs decided: calibrated probabilities, index of the grade, whether the model stands by it, and the
    published grades of the prediction set."""

    p_NK: Floats
    grade_N: Indices
    confident_N: NDArray[np.bool_]
    sets_N: list[tuple[int, ...]]


def decision(target: Target, log_probabilities_NK: Floats, calibration: TargetCalibration) -> Decision:
    """Calibrate and decide one target's discs; columns beyond its grades are left out."""
    p_NK = probabilities(log_probabilities_NK[:, : len(target.grades)], calibration)
    grade_N, confident_N = decide(target, p_NK, calibration)
    return Decision(p_NK, grade_N, confident_N, grade_sets(target, p_NK, calibration))


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


def _fit_temperature(log_probabilities_NK: Floats, grades_N: Indices) -> float:
    """Temperature with the least mean negative log likelihood, within ``TEMPERATURE_RANGE``."""
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    def negative_log_likelihood(log_temperature: float) -> float:
        scaled_NK = log_probabilities_NK / np.exp(log_temperature)
        return float(np.mean(logsumexp(scaled_NK, axis=1) - _decided_probability(scaled_NK, grades_N)))

    bounds = tuple(np.log(TEMPERATURE_RANGE))
    return float(np.exp(minimize_scalar(negative_log_likelihood, bounds=bounds, method="bounded").x))


def _fit_cuts(target: Target, probabilities_NK: Floats, grades_N: Indices) -> tuple[float, ...]:
    counts = np.bincount(grades_N, minlength=len(target.grades))
    if target.scale is Scale.NOMINAL:
        return _nominal_weights(probabilities_NK, grades_N, counts)
    if counts.min() < MIN_CUT_EXAMPLES:
        return neutral(target).cuts
    score = macro_f1 if target.scale is Scale.BINARY else _kappa_and_f1
    return _bagged_cuts(_expected_grade(probabilities_NK), grades_N, score)


def _bagged_cuts(positions_N: Floats, grades_N: Indices, score: Callable[[Floats], Floats]) -> tuple[float, ...]:
    """Mean of the best cuts of RESAMPLES resamples of the discs (Breiman 1996, "Bagging predictors").

    The best cut between rare grades moves far with the few discs that happen to lie near it.
    """
    rng = np.random.default_rng(0)
    found: list[tuple[float, ...]] = []
    while len(found) < RESAMPLES:
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


def _nominal_weights(probabilities_NK: Floats, grades_N: Indices, counts_K: Indices) -> tuple[float, ...]:
    """Weights that maximise macro F1, with a price on leaving 1.

    The commonest grade has weight 1. A grade with ``MIN_WEIGHT_EXAMPLES`` gets its own weight. Rarer grades share one,
    found on all of them together, because a handful of discs can't say more than "the model is too shy (or too bold)
    with rare grades"; if even together they are fewer, it stays 1. A coarse grid within a factor of four and a price of
    0.01 macro F1 for every factor of two keep a lucky hit among a few discs from setting a weight.
    """
    common = int(np.argmax(counts_K))
    own = [[grade] for grade, count in enumerate(counts_K) if count >= MIN_WEIGHT_EXAMPLES and grade != common]
    rare = [grade for grade, count in enumerate(counts_K) if count < MIN_WEIGHT_EXAMPLES]
    groups = [*own, rare] if counts_K[rare].sum() >= MIN_WEIGHT_EXAMPLES else own
    best, best_score = np.ones(len(counts_K)), -np.inf
    for choice in product(_WEIGHTS, repeat=len(groups)):
        weights_K = np.ones(len(counts_K))
        for group, weight in zip(groups, choice, strict=True):
            weights_K[group] = weight
        decided_N = np.argmax(probabilities_NK * weights_K, axis=1)
        price = _WEIGHT_PENALTY * np.abs(np.log2(choice)).sum()
        score = float(macro_f1(_confusion(grades_N, decided_N, len(counts_K)))) - price
        if score > best_score:
            best, best_score = weights_K, score
    return tuple(float(weight) for weight in best)


def _fit_abstention(target: Target, probabilities_NK: Floats, calibration: TargetCalibration) -> float:
    """Probability below which a decided grade is withheld: at most ``SURE``, and low enough for ``MIN_COVERAGE``."""
    grades_N, _ = decide(target, probabilities_NK, calibration)
    decided = np.sort(_decided_probability(probabilities_NK, grades_N))
    return float(min(decided[int((1 - MIN_COVERAGE) * len(decided))], SURE))


def _confusion(truth_N: Indices, decided_N: Indices, grades: int) -> Floats:
    return np.bincount(truth_N * grades + decided_N, minlength=grades**2).reshape(grades, grades).astype(float)


def _expected_grade(probabilities_NK: Floats) -> Floats:
    return probabilities_NK @ np.arange(probabilities_NK.shape[1])


def _decided_probability(values_NK: Floats, grades_N: Indices) -> Floats:
    return np.take_along_axis(values_NK, grades_N[:, None], axis=1)[:, 0]
