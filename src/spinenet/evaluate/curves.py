"""Curves with 95 % bands over patients: ROC, precision-recall, net benefit, risk over coverage, and reliability.

Bands are pointwise percentile intervals: give ``Resamples.draws``. Shape letters: C columns of weights, S bootstrap
draws, N discs, U thresholds, G grid points of a curve, B bins.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from spinenet.evaluate.estimates import score, stated_and_happened
from spinenet.evaluate.intervals import ENDS, Floats, Indices, Resamples, resting
from spinenet.evaluate.metrics import ratio
from spinenet.evaluate.samples import PRESENCE, Sample

UNIT_GRID = np.linspace(0, 1, 101)
PROBABILITY_GRID = np.linspace(0.01, 0.99, 99)
BINS = 8
"""Bins of a reliability diagram."""
_THRESHOLDS = 200
_FEWEST_IN_BIN = 5


@dataclass(frozen=True)
class Curve:
    """``y_G`` over ``x_G`` with the ends of its band; nan where it is not defined."""

    x_G: Floats
    y_G: Floats
    low_G: Floats
    high_G: Floats


def roc(sample: Sample, resamples: Resamples) -> Curve:
    """Sensitivity over the share of false alarms, of the question whether the finding is present."""
    hits_CU, alarms_CU = _called(sample, resamples, _thresholds(sample))
    sensitivity_CU, false_CU = _over_last(hits_CU), _over_last(alarms_CU)
    zero_C1 = np.zeros((len(hits_CU), 1))
    x_CU, y_CU = np.hstack([zero_C1, false_CU]), np.hstack([zero_C1, sensitivity_CU])
    y_CG = np.stack([np.interp(UNIT_GRID, x, y) for x, y in zip(x_CU, y_CU, strict=True)])
    positive_N, score_N = _asked(sample)
    if positive_N.any() and not positive_N.all():
        false_U, found_U, _ = roc_curve(positive_N, score_N, drop_intermediate=False)
        y_CG[0] = np.interp(UNIT_GRID, false_U, found_U)
    return _curve(UNIT_GRID, y_CG, *_by_class(sample))


def _asked(sample: Sample) -> tuple[NDArray[np.bool_], Floats]:
    """Whether each disc has the finding, and its score, both (N,)."""
    question = PRESENCE[sample.target.name]
    return sample.truth_N >= question.first, score(sample, question)


def _by_class(sample: Sample) -> tuple[Indices, Indices]:
    positive_N, _ = _asked(sample)
    return sample.patient_N[positive_N], sample.patient_N[~positive_N]


def precision_recall(sample: Sample, resamples: Resamples) -> Curve:
    """Precision at the highest threshold that reaches each recall; nothing is interpolated between thresholds."""
    hits_CU, alarms_CU = _called(sample, resamples, _thresholds(sample))
    recall_CU, precision_CU = _over_last(hits_CU), ratio(hits_CU, hits_CU + alarms_CU)
    grid_G = UNIT_GRID[1:]
    last = recall_CU.shape[1] - 1
    reached = [np.minimum(np.searchsorted(recall, grid_G - 1e-12), last) for recall in recall_CU]
    y_CG = np.take_along_axis(precision_CU, np.stack(reached), axis=1)
    positive_N, score_N = _asked(sample)
    if positive_N.any() and not positive_N.all():
        precision_U, recall_U, _ = precision_recall_curve(positive_N, score_N)  # recall falls; the last is not a point
        y_CG[0] = precision_U[np.searchsorted(-recall_U[:-1], -(grid_G - 1e-12), side="right") - 1]
    return _curve(grid_G, y_CG, *_by_class(sample))


def net_benefit(sample: Sample, resamples: Resamples) -> Curve:
    """Decision curve (Vickers and Elkin 2006): true positives minus false ones at the odds of the threshold, per disc.

    Of calling every disc whose probability of the finding reaches the threshold.
    """
    hits_CU, alarms_CU = _called(sample, resamples, PROBABILITY_GRID[::-1])
    odds_G = PROBABILITY_GRID / (1 - PROBABILITY_GRID)
    discs_C1 = resamples.totals(sample.patient_N)[:, :1]
    return _curve(PROBABILITY_GRID, ratio(hits_CU[:, ::-1] - alarms_CU[:, ::-1] * odds_G, discs_C1), *_by_class(sample))


def net_benefit_of_all(prevalence: float) -> Floats:
    """Net benefit over PROBABILITY_GRID of calling every disc; calling none has 0.

    >>> float(net_benefit_of_all(0.5)[49])  # where the threshold is the prevalence
    0.0
    """
    return prevalence - (1 - prevalence) * PROBABILITY_GRID / (1 - PROBABILITY_GRID)


def risk_coverage(sample: Sample, resamples: Resamples) -> Curve:
    """Share decided wrongly among the surest discs, over the share of discs that are kept (Geifman, El-Yaniv 2017).

    A disc is as sure as its decided grade is probable.
    """
    sure_N = decided_probability(sample)
    threshold_U = np.quantile(sure_N, np.linspace(1, 0, _THRESHOLDS))
    wrong_N = sample.grade_N != sample.truth_N
    kept_CU = _at_least(sure_N, threshold_U, sample.patient_N, resamples)
    wrong_CU = _at_least(sure_N[wrong_N], threshold_U, sample.patient_N[wrong_N], resamples)
    risk_CU, share_CU = ratio(wrong_CU, kept_CU), _over_last(kept_CU)
    grid_G = UNIT_GRID[5:]
    curves = [np.interp(grid_G, shares, risks) for shares, risks in zip(share_CU, risk_CU, strict=True)]
    return _curve(grid_G, np.stack(curves), sample.patient_N)


def decided_probability(sample: Sample) -> Floats:
    """The probability (N,) of the grade that was decided."""
    return sample.probabilities_NK[np.arange(len(sample)), sample.grade_N]


def reliability(sample: Sample, resamples: Resamples) -> Curve:
    """Observed frequency over mean stated probability, in bins of equal information, p (1 - p) summed over the discs:
    where a finding is rare, equally many discs a bin would put nearly all bins at the origin.

    Bins of fewer than five discs are left out.
    """
    return _reliability(sample, sample.probabilities_NK, resamples)


def equal_information(stated_N: Floats) -> Indices:
    """Bin (N,) of each probability among BINS that hold as much binomial variance; equal probabilities share a bin."""
    values_U, place_N, discs_U = np.unique(stated_N, return_inverse=True, return_counts=True)
    held_U = discs_U * np.maximum(values_U * (1 - values_U), 1e-6)
    middle_U = (np.cumsum(held_U) - held_U / 2) / held_U.sum()
    return np.minimum((middle_U * BINS).astype(int), BINS - 1)[place_N]


def reliability_before(sample: Sample, resamples: Resamples) -> Curve | None:
    """The same before calibration; None where it is not known."""
    return None if sample.uncalibrated_NK is None else _reliability(sample, sample.uncalibrated_NK, resamples)


def _reliability(sample: Sample, probabilities_NK: Floats, resamples: Resamples) -> Curve:
    stated_N, happened_N = stated_and_happened(sample, probabilities_NK)
    bin_N = equal_information(stated_N)
    discs_B = np.bincount(bin_N, minlength=BINS)
    enough_B = discs_B >= _FEWEST_IN_BIN
    sums_B = np.bincount(bin_N, stated_N, minlength=BINS).astype(float)
    stated_B = ratio(sums_B, discs_B.astype(float))
    seen_CB = resamples.counts(sample.patient_N, bin_N, BINS)
    happened_CB = resamples.counts(sample.patient_N, bin_N, BINS, happened_N.astype(float))
    return _curve(stated_B[enough_B], ratio(happened_CB, seen_CB)[:, enough_B], *_by_class(sample))


CURVES: dict[str, Callable[[Sample, Resamples], Curve | None]] = {
    "roc": roc,
    "precision_recall": precision_recall,
    "decision": net_benefit,
    "risk_coverage": risk_coverage,
    "reliability": reliability,
    "reliability_before": reliability_before,
}
"""Each kind of curve by the name of its table and figure."""


def _curve(x_G: Floats, y_CG: Floats, *patients_N: Indices) -> Curve:
    """The sample's curve with its band over the draws; no band where it rests on too few of these patients."""
    drawn_SG = y_CG[1:]
    mostly_G = np.isfinite(drawn_SG).mean(axis=0) >= 0.5 if len(drawn_SG) else np.zeros(len(x_G), bool)
    ends_2G = np.full((2, len(x_G)), np.nan)
    if np.isfinite(resting(np.zeros(2), *patients_N)[1]) and mostly_G.any():
        ends_2G[:, mostly_G] = np.nanquantile(drawn_SG[:, mostly_G], ENDS, axis=0)
    return Curve(x_G, y_CG[0], *ends_2G)


def _thresholds(sample: Sample) -> Floats:
    """Falling scores at which the curves are computed: all that occur, or so many quantiles of each class."""
    positive_N, score_N = _asked(sample)
    distinct = np.unique(score_N)
    if len(distinct) > _THRESHOLDS:
        classes = [score_N[of_class] for of_class in (positive_N, ~positive_N) if of_class.any()]
        chosen = [np.quantile(scores, np.linspace(0, 1, _THRESHOLDS // 2), method="lower") for scores in classes]
        distinct = np.unique(np.concatenate(chosen))
    return distinct[::-1]


def _called(sample: Sample, resamples: Resamples, threshold_U: Floats) -> tuple[Floats, Floats]:
    """True and false positives (C, U) at falling thresholds."""
    positive_N, score_N = _asked(sample)
    hits, alarms = (
        _at_least(score_N[of_class], threshold_U, sample.patient_N[of_class], resamples)
        for of_class in (positive_N, ~positive_N)
    )
    return hits, alarms


def _at_least(value_N: Floats, threshold_U: Floats, patient_N: Indices, resamples: Resamples) -> Floats:
    """(C, U): weighted number of discs whose value reaches each of the falling thresholds."""
    cell_N = np.searchsorted(-threshold_U, -value_N, side="left")
    counts_CU = resamples.counts(patient_N, cell_N, len(threshold_U) + 1)[:, :-1]
    return np.cumsum(counts_CU, axis=1)


def _over_last(counts_CU: NDArray[np.float64]) -> Floats:
    """Shares of the last count, nan in columns where it is 0."""
    return ratio(counts_CU, counts_CU[:, -1:])
