"""Simulated raters: they see each measurement through noise, have habits of their own, and now and then slip.

A rater's impression is the probit of the measurement's rank among patients, plus the rater's bias, plus noise; the
grade is where it falls between the ranks of the true cuts. The noise is chosen so that two raters agree as published
raters do.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from spinenet.labels import LEVELS, MIRROR, TARGET, TARGET_INDEX, TARGETS, UNKNOWN
from spinephantom.data import calibration, record
from spinephantom.truth.grades import Margins, severity


@dataclass(frozen=True)
class RaterHabits:
    """How raters differ (data/raters.toml); ``noise`` is known for the conditions only that agreement is known for."""

    count: int
    noise: dict[str, float]
    other_noise: float
    bias: float
    swapped_sides: float
    swapped_levels: float
    modic_type_right: float
    modic_types_else: tuple[float, float, float]


HABITS = record(RaterHabits, "raters", "raters")
_READ_BY_RSNA = np.array(["rsna2024" in target.labelled_by for target in TARGETS])
Findings = dict[int, dict[str, Margins]]


def impression(values: Margins, condition: str) -> tuple[float, tuple[float, ...]]:
    """Probit of the rank of a finding among patients, and of its cuts."""
    ranks = calibration()["raters"][condition]

    def probit(at: float) -> float:
        share = 0.5 * (np.searchsorted(ranks, at, "left") + np.searchsorted(ranks, at, "right")) / len(ranks)
        return float(ndtri(np.clip(share, 0.002, 0.998)))

    return probit(severity(values)), tuple(probit(float(cut)) for cut in range(1, len(values) + 1))


def rate(rng: np.random.Generator, findings: Findings, truth_LT: NDArray[np.int64]) -> NDArray[np.int64]:
    """Grade indices (raters, len(LEVELS), len(TARGETS)), UNKNOWN where ``truth_LT`` is.

    ``findings`` is level index -> target -> signed margins.
    """
    seen = {
        (level, name): impression(values, TARGET[name].condition)
        for level, targets in findings.items()
        for name, values in targets.items()
    }
    return np.stack([_one_rater(rng, seen, truth_LT) for _ in range(HABITS.count)])


def _one_rater(
    rng: np.random.Generator, seen: dict[tuple[int, str], tuple[float, tuple[float, ...]]], truth_LT: NDArray[np.int64]
) -> NDArray[np.int64]:
    measured = calibration()["raters"]
    bias = {one.name: HABITS.bias * float(rng.standard_normal()) for one in TARGETS if one.condition in measured}
    grades_LT = np.full((len(LEVELS), len(TARGETS)), UNKNOWN)
    for (level, name), (z, cuts) in seen.items():
        noisy = (
            z + bias[name] + HABITS.noise.get(TARGET[name].condition, HABITS.other_noise) * float(rng.standard_normal())
        )
        passed = sum(noisy >= cut for cut in cuts)
        if name == "modic":
            passed *= _modic_type(rng, int(truth_LT[level, TARGET_INDEX[name]]))
        grades_LT[level, TARGET_INDEX[name]] = passed
    grades_LT = _with_swaps(rng, grades_LT)
    return np.where(truth_LT == UNKNOWN, UNKNOWN, grades_LT)


def _modic_type(rng: np.random.Generator, true_type: int) -> int:
    """The type a rater names who sees a change."""
    right, other = rng.random() < HABITS.modic_type_right, int(rng.choice((1, 2, 3), p=HABITS.modic_types_else))
    return true_type if right and true_type > 0 else other


def _with_swaps(rng: np.random.Generator, grades_LT: NDArray[np.int64]) -> NDArray[np.int64]:
    """Gross errors: the sides of a level, or the stenoses of two levels, exchanged."""
    swapped = grades_LT.copy()
    for level in np.flatnonzero((grades_LT[:, _READ_BY_RSNA] != UNKNOWN).all(axis=1)):
        sides, levels = rng.random(2)
        if sides < HABITS.swapped_sides:
            swapped[level] = swapped[level, list(MIRROR)]
        if levels < HABITS.swapped_levels and level and (grades_LT[level - 1, _READ_BY_RSNA] != UNKNOWN).all():
            pair = [level - 1, level]
            swapped[pair, :] = np.where(_READ_BY_RSNA, swapped[pair[::-1], :], swapped[pair, :])
    return swapped
