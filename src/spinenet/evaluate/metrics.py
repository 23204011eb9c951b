"""The formulas, each for many bootstrap resamples at once.

Every function takes non-negative weights per disc (S, N), one row a resample (how often each disc was drawn; ones for
the sample itself), and returns one value a resample (S,). A value that is not defined there, most often because only
one class was drawn, is nan. Shape letters: S resamples, N discs, K grades, U distinct scores, B bins.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from spinenet.calibration import macro_f1, quadratic_kappa
from spinenet.evaluate.table import Sample
from spinenet.labels import Scale

Floats = NDArray[np.float64]
Metric = Callable[[Sample, Floats], Floats]

BINS = 10
"""Equal-width bins of probability for the calibration error and the reliability diagrams."""


def confusion(truth_N: NDArray[np.int64], grade_N: NDArray[np.int64], grades: int, weights_SN: Floats) -> Floats:
    """Weighted counts (S, K, K), rows the truth, columns the decided grade."""
    cells_NC = np.eye(grades**2)[truth_N * grades + grade_N]
    return (weights_SN @ cells_NC).reshape(-1, grades, grades)


def recall(confusion_SKK: Floats) -> Floats:
    """Share of each true grade that was decided so (S, K), nan for a grade that does not occur."""
    truth_SK = confusion_SKK.sum(axis=2)
    return _ratio(np.diagonal(confusion_SKK, axis1=1, axis2=2), truth_SK)


def balanced_accuracy(confusion_SKK: Floats) -> Floats:
    """Mean recall over the grades that occur in the truth.

    >>> balanced_accuracy(np.array([[[8.0, 0.0], [1.0, 1.0]]])).tolist()
    [0.75]
    """
    recall_SK = recall(confusion_SKK)
    occurring_S = np.isfinite(recall_SK).sum(axis=1)
    return _ratio(np.nansum(recall_SK, axis=1), occurring_S)


def auc(positive_N: NDArray[np.bool_], score_N: Floats, weights_SN: Floats) -> Floats:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting half.

    >>> auc(np.array([False, True, True]), np.array([0.2, 0.2, 0.9]), np.ones((1, 3))).tolist()
    [0.75]
    """
    hits_SU, alarms_SU = roc_counts(positive_N, score_N, weights_SN)
    area_S = (np.diff(alarms_SU, axis=1) * (hits_SU[:, 1:] + hits_SU[:, :-1])).sum(axis=1) / 2
    return _ratio(area_S, hits_SU[:, -1] * alarms_SU[:, -1])


def average_precision(positive_N: NDArray[np.bool_], score_N: Floats, weights_SN: Floats) -> Floats:
    """Precision averaged over recall steps, not interpolated; nan where positives or negatives are lacking."""
    hits_SU, alarms_SU = roc_counts(positive_N, score_N, weights_SN)
    called_SU = hits_SU[:, 1:] + alarms_SU[:, 1:]
    precision_SU = np.divide(hits_SU[:, 1:], called_SU, out=np.zeros_like(called_SU), where=called_SU > 0)
    precision_S = _ratio((np.diff(hits_SU, axis=1) * precision_SU).sum(axis=1), hits_SU[:, -1])
    return np.where(alarms_SU[:, -1] > 0, precision_S, np.nan)


def roc_counts(positive_N: NDArray[np.bool_], score_N: Floats, weights_SN: Floats) -> tuple[Floats, Floats]:
    """True and false positives (S, 1 + U) as the threshold falls through the distinct scores, from none called."""
    order = np.argsort(-score_N, kind="stable")
    ends = np.flatnonzero(np.diff(score_N[order], append=-np.inf))
    drawn_SN = weights_SN[:, order]
    hits_SU = np.cumsum(drawn_SN * positive_N[order], axis=1)[:, ends]
    alarms_SU = np.cumsum(drawn_SN, axis=1)[:, ends] - hits_SU
    none_S1 = np.zeros((len(weights_SN), 1))
    return np.concatenate([none_S1, hits_SU], axis=1), np.concatenate([none_S1, alarms_SU], axis=1)


def brier(truth_N: NDArray[np.int64], probabilities_NK: Floats, weights_SN: Floats) -> Floats:
    """Mean squared error of the probabilities: of "present" for two grades (0 to 1), else of all, summed (0 to 2)."""
    error_NK = (probabilities_NK - np.eye(probabilities_NK.shape[1])[truth_N]) ** 2
    error_N = error_NK[:, 1] if error_NK.shape[1] == 2 else error_NK.sum(axis=1)
    return _ratio(weights_SN @ error_N, weights_SN.sum(axis=1))


def expected_calibration_error(stated_N: Floats, happened_N: NDArray[np.bool_], weights_SN: Floats) -> Floats:
    """Mean gap between stated probability and observed frequency over ``BINS`` equal-width bins, weighted by discs."""
    gap_NB = np.eye(BINS)[bin_of(stated_N)] * (stated_N - happened_N)[:, None]
    return _ratio(np.abs(weights_SN @ gap_NB).sum(axis=1), weights_SN.sum(axis=1))


def bin_of(stated_N: Floats) -> NDArray[np.int64]:
    """Bin (N,) of each probability; 1 belongs to the last."""
    return np.minimum((stated_N * BINS).astype(int), BINS - 1)


def stated_and_happened(sample: Sample, probabilities_NK: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """What the calibration error compares, both (N,).

    Of a binary target P(present) and presence, of others the top probability and whether its grade is true.
    """
    if sample.target.scale is Scale.BINARY:
        return probabilities_NK[:, 1], sample.truth_N == 1
    return probabilities_NK.max(axis=1), probabilities_NK.argmax(axis=1) == sample.truth_N


def positive_and_score(sample: Sample) -> tuple[NDArray[np.bool_], Floats]:
    """What the ROC curve is of: any grade but the first, scored by one minus the first grade's probability."""
    return sample.truth_N > 0, 1 - sample.probabilities_NK[:, 0]


def _ratio(numerator: Floats, denominator: Floats | NDArray[np.int64]) -> Floats:
    return np.divide(numerator, denominator, out=np.full(np.shape(denominator), np.nan), where=denominator > 0)


def _confusion_of(sample: Sample, weights_SN: Floats) -> Floats:
    return confusion(sample.truth_N, sample.grade_N, len(sample.target.grades), weights_SN)


def _any_confusion_of(sample: Sample, weights_SN: Floats) -> Floats:
    """Two grades: none, any."""
    return confusion((sample.truth_N > 0).astype(int), (sample.grade_N > 0).astype(int), 2, weights_SN)


def _over_the_samples_grades(metric: Callable[[Floats], Floats]) -> Metric:
    """A mean over grades, undefined in a resample that lost a grade, so that all resamples average the same grades."""

    def over_grades(sample: Sample, weights_SN: Floats) -> Floats:
        confusion_SKK = _confusion_of(sample, weights_SN)
        occurs_K = np.bincount(sample.truth_N, minlength=confusion_SKK.shape[1]) > 0
        lost_S = (occurs_K & (confusion_SKK.sum(axis=2) == 0)).any(axis=1)
        return np.where(lost_S, np.nan, metric(confusion_SKK))

    return over_grades


def _uncalibrated_error(sample: Sample, weights_SN: Floats) -> Floats:
    if sample.uncalibrated_NK is None:
        return np.full(len(weights_SN), np.nan)
    return expected_calibration_error(*stated_and_happened(sample, sample.uncalibrated_NK), weights_SN)


METRICS: dict[str, Metric] = {
    "quadratic_kappa": lambda sample, weights_SN: quadratic_kappa(_confusion_of(sample, weights_SN)),
    "macro_f1": _over_the_samples_grades(macro_f1),
    "balanced_accuracy": _over_the_samples_grades(balanced_accuracy),
    "auc": lambda sample, weights_SN: auc(*positive_and_score(sample), weights_SN),
    "average_precision": lambda sample, weights_SN: average_precision(*positive_and_score(sample), weights_SN),
    "sensitivity": lambda sample, weights_SN: recall(_any_confusion_of(sample, weights_SN))[:, 1],
    "specificity": lambda sample, weights_SN: recall(_any_confusion_of(sample, weights_SN))[:, 0],
    "brier": lambda sample, weights_SN: brier(sample.truth_N, sample.probabilities_NK, weights_SN),
    "ece": lambda sample, weights_SN: expected_calibration_error(
        *stated_and_happened(sample, sample.probabilities_NK), weights_SN
    ),
    "ece_uncalibrated": _uncalibrated_error,
    "coverage": lambda sample, weights_SN: _ratio(weights_SN @ sample.confident_N, weights_SN.sum(axis=1)),
}

_OF_GRADES = ("macro_f1", "balanced_accuracy")
_OF_PRESENCE = ("auc", "average_precision", "sensitivity", "specificity")
_OF_PROBABILITIES = ("brier", "ece", "ece_uncalibrated", "coverage")
METRICS_OF: dict[Scale, tuple[str, ...]] = {
    Scale.ORDINAL: ("quadratic_kappa", *_OF_GRADES, *_OF_PROBABILITIES),
    Scale.BINARY: (*_OF_PRESENCE, *_OF_GRADES, *_OF_PROBABILITIES),
    Scale.NOMINAL: (*_OF_GRADES, *_OF_PRESENCE, *_OF_PROBABILITIES),
}
"""Which metrics a target gets, most telling first. Presence in a nominal target means any grade but the first."""
