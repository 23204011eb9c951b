"""Simulated raters: they see each measurement through noise, have habits of their own, and now and then slip.

A rater's impression is the probit of the measurement's rank among patients, plus the rater's bias, plus noise; the
grade is where it falls between the ranks of the true cuts. The noise is chosen so that two raters agree as published
raters do (reference, 1.4 and 5.5).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from spinenet.labels import LEVELS, MIRROR, TARGET, TARGET_INDEX, TARGETS, UNKNOWN
from spinephantom.data import calibration
from spinephantom.truth.grades import Margins, severity

RATERS = 3
NOISE = {
    "canal_stenosis": 0.23,
    "foraminal_stenosis": 0.45,
    "subarticular_stenosis": 0.60,
    "pfirrmann": 0.71,
    "herniation": 0.34,
}
"""Standard deviation of a rater's noise by condition, with bias and gross errors giving the published agreement; it
is known for these only."""
OTHER_NOISE = 0.40
BIAS = 0.10
SWAP_SIDES, SWAP_LEVELS = 0.0125, 0.0125
"""Share of levels at which a rater confuses the sides, or the level with the one above."""
MODIC_TYPE_RIGHT = 0.88
_MODIC_SEEN = (0.3, 0.6, 0.1)

_READ_BY_RSNA = np.array(["rsna2024" in target.labelled_by for target in TARGETS])
Findings = dict[int, dict[str, Margins]]


def impression(values: Margins, condition: str) -> tuple[float, tuple[float, ...]]:
    """Probit of the rank of a finding among patients, and of its cuts."""
    ranks = calibration()["readers"][condition]

    def probit(at: float) -> float:
        share = 0.5 * (np.searchsorted(ranks, at, "left") + np.searchsorted(ranks, at, "right")) / len(ranks)
        return float(ndtri(np.clip(share, 0.002, 0.998)))

    return probit(severity(values)), tuple(probit(float(cut)) for cut in range(1, len(values) + 1))


def rate(rng: np.random.Generator, findings: Findings, truth_LT: NDArray[np.int64]) -> NDArray[np.int64]:
    """Grade indices (RATERS, len(LEVELS), len(TARGETS)), UNKNOWN where ``truth_LT`` is.

    ``findings`` is level index -> target -> signed margins.
    """
    seen = {
        (level, name): impression(values, TARGET[name].condition)
        for level, targets in findings.items()
        for name, values in targets.items()
    }
    return np.stack([_one_rater(rng, seen, truth_LT) for _ in range(RATERS)])


def _one_rater(
    rng: np.random.Generator, seen: dict[tuple[int, str], tuple[float, tuple[float, ...]]], truth_LT: NDArray[np.int64]
) -> NDArray[np.int64]:
    measured = calibration()["readers"]
    bias = {one.name: BIAS * float(rng.standard_normal()) for one in TARGETS if one.condition in measured}
    grades_LT = np.full((len(LEVELS), len(TARGETS)), UNKNOWN)
    for (level, name), (z, cuts) in seen.items():
        noisy = z + bias[name] + NOISE.get(TARGET[name].condition, OTHER_NOISE) * float(rng.standard_normal())
        passed = sum(noisy >= cut for cut in cuts)
        if name == "modic":
            passed *= _modic_type(rng, int(truth_LT[level, TARGET_INDEX[name]]))
        grades_LT[level, TARGET_INDEX[name]] = passed
    grades_LT = _with_swaps(rng, grades_LT)
    return np.where(truth_LT == UNKNOWN, UNKNOWN, grades_LT)


def _modic_type(rng: np.random.Generator, true_type: int) -> int:
    """The type a rater names who sees a change."""
    right, other = rng.random() < MODIC_TYPE_RIGHT, int(rng.choice((1, 2, 3), p=_MODIC_SEEN))
    return true_type if right and true_type > 0 else other


def _with_swaps(rng: np.random.Generator, grades_LT: NDArray[np.int64]) -> NDArray[np.int64]:
    """Gross errors: the sides of a level, or the stenoses of two levels, exchanged."""
    swapped = grades_LT.copy()
    for level in np.flatnonzero((grades_LT[:, _READ_BY_RSNA] != UNKNOWN).all(axis=1)):
        sides, levels = rng.random(2)
        if sides < SWAP_SIDES:
            swapped[level] = swapped[level, list(MIRROR)]
        if levels < SWAP_LEVELS and level and (grades_LT[level - 1, _READ_BY_RSNA] != UNKNOWN).all():
            pair = [level - 1, level]
            swapped[pair, :] = np.where(_READ_BY_RSNA, swapped[pair[::-1], :], swapped[pair, :])
    return swapped
