"""The formulas, for many weightings of the patients at once: agreement, ranking, and how good probabilities are.

``confusion`` is (..., K, K), counts or weights, rows the truth (or one rater), columns the decision (or the other).
Each function returns a value for each column of weights, nan where the figure is not defined; scikit-learn's values
where it has the figure. Quadratic kappa and macro F1, which also choose the cuts of a calibration, live in
``spinenet.model.cut_points``. Shape letters: C columns of weights, P patients, N discs, K grades, B bins, U thresholds.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from spinenet.evaluate.intervals import Floats, Indices, Resamples
from spinenet.model.cut_points import macro_f1 as macro_f1
from spinenet.model.cut_points import quadratic_kappa as quadratic_kappa


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Element by element, nan where the denominator is not positive."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    return np.divide(numerator, denominator, out=np.full(denominator.shape, np.nan), where=denominator > 0)


def recall(confusion: Floats) -> Floats:
    """Share of each true grade that was decided so (..., K), nan for a grade that does not occur."""
    return ratio(np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(axis=-1))


def accuracy(confusion: Floats) -> Floats:
    """Share decided rightly."""
    return ratio(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum(axis=(-2, -1)))


def balanced_accuracy(confusion: Floats) -> Floats:
    """Mean recall over the grades that occur in the truth.

    >>> balanced_accuracy(np.array([[[8.0, 0.0], [1.0, 1.0]]])).tolist()
    [0.75]
    """
    each = recall(confusion)
    return ratio(np.nansum(each, axis=-1), np.isfinite(each).sum(axis=-1))


def cohen_kappa(confusion: Floats) -> Floats:
    """Cohen's kappa without weights (Cohen 1960)."""
    return _kappa(confusion, 1 - np.eye(confusion.shape[-1]))


def linear_kappa(confusion: Floats) -> Floats:
    """Cohen's kappa with linear weights."""
    index = np.arange(confusion.shape[-1], dtype=float)
    return _kappa(confusion, np.abs(index[:, None] - index))


def _kappa(confusion: Floats, disagreement_KK: Floats) -> Floats:
    rows, columns = confusion.sum(axis=-1), confusion.sum(axis=-2)
    seen = (confusion * disagreement_KK).sum(axis=(-2, -1)) * rows.sum(axis=-1)
    by_chance = (rows[..., :, None] * columns[..., None, :] * disagreement_KK).sum(axis=(-2, -1))
    return 1 - ratio(seen, by_chance)


def gwet_ac1(confusion: Floats) -> Floats:
    """Gwet's AC1 (Gwet 2008): chance agreement from the mean of both margins, so that rare grades do not sink it.

    >>> round(float(gwet_ac1(np.array([[118.0, 5.0], [2.0, 0.0]]))), 4)
    0.9408
    """
    total = confusion.sum(axis=(-2, -1))
    share = ratio(confusion.sum(axis=-1) + confusion.sum(axis=-2), 2 * total[..., None])
    by_chance = (share * (1 - share)).sum(axis=-1) / (confusion.shape[-1] - 1)
    return ratio(accuracy(confusion) - by_chance, 1 - by_chance)


def matthews(confusion: Floats) -> Floats:
    """Matthews' correlation, for several grades Gorodkin's R_K (2004)."""
    rows, columns, total = confusion.sum(axis=-1), confusion.sum(axis=-2), confusion.sum(axis=(-2, -1))
    hits = np.trace(confusion, axis1=-2, axis2=-1)
    covariance = hits * total - (rows * columns).sum(axis=-1)
    spread = (total**2 - (rows**2).sum(axis=-1)) * (total**2 - (columns**2).sum(axis=-1))
    return ratio(covariance, np.sqrt(spread))


# ---- ranking

Bools = NDArray[np.bool_]
Measured = TypeVar("Measured")

_CELLS_AT_ONCE = 500_000  # what a core's cache holds


def auc_and_precision(
    positive_N: Bools, score_N: Floats, patient_N: Indices, resamples: Resamples
) -> tuple[Floats, Floats]:
    """Area under the ROC curve and average precision, both (C,); nan in columns that lack a class.

    The area is the chance that a positive disc scores above a negative one, ties counting half; average precision is
    the precision at each positive disc, averaged, not interpolated. Both as scikit-learn defines them.

    >>> from spinenet.evaluate.intervals import once
    >>> positive, score = np.array([False, True, True]), np.array([0.2, 0.2, 0.9])
    >>> area, precision = auc_and_precision(positive, score, np.arange(3), once(3))
    >>> area.tolist(), round(float(precision[0]), 4)
    ([0.75], 0.8333)
    """
    areas, precisions = zip(*_by_threshold(_areas, positive_N, score_N, patient_N, resamples), strict=True)
    return np.concatenate(areas), np.concatenate(precisions)


def auc(positive_N: Bools, score_N: Floats, patient_N: Indices, resamples: Resamples) -> Floats:
    """The area of ``auc_and_precision`` alone (C,), in half the time."""
    return np.concatenate(_by_threshold(_area, positive_N, score_N, patient_N, resamples))


def _by_threshold(
    measure: Callable[..., Measured], positive_N: Bools, score_N: Floats, patient_N: Indices, resamples: Resamples
) -> list[Measured]:
    """A measure of positives and tied negatives at each threshold, and of negatives between it and the one above, a
    block of columns at a time."""
    hits_UP, ties_UP, between_UP = _cells(positive_N, score_N, patient_N, resamples.patients)
    block = max(1, _CELLS_AT_ONCE // max(1, hits_UP.shape[0]))
    return [
        measure(hits_UP @ weights_PC, ties_UP @ weights_PC, between_UP @ weights_PC)
        for weights_PC in _blocks(resamples.weights_CP, block)
    ]


def _area(hits_UC: Floats, ties_UC: Floats, between_UC: Floats) -> Floats:
    at_UC = between_UC[:-1] + ties_UC
    negatives_C = at_UC.sum(axis=0) + between_UC[-1]
    beaten_UC = negatives_C - np.cumsum(at_UC, axis=0) + ties_UC / 2
    return ratio(np.einsum("uc,uc->c", hits_UC, beaten_UC), hits_UC.sum(axis=0) * negatives_C)


def _areas(hits_UC: Floats, ties_UC: Floats, between_UC: Floats) -> tuple[Floats, Floats]:
    found_UC = np.cumsum(hits_UC, axis=0)
    called_UC = found_UC + np.cumsum(between_UC[:-1] + ties_UC, axis=0)
    precision_UC = np.divide(found_UC, called_UC, out=np.zeros_like(called_UC), where=called_UC > 0)
    area_C, positives_C = _area(hits_UC, ties_UC, between_UC), hits_UC.sum(axis=0)
    precision_C = ratio(np.einsum("uc,uc->c", hits_UC, precision_UC), positives_C)
    return area_C, np.where(np.isfinite(area_C), precision_C, np.nan)


def _cells(
    positive_N: Bools, score_N: Floats, patient_N: Indices, patients: int
) -> tuple[sparse.csr_array, sparse.csr_array, sparse.csr_array]:
    """Discs counted by threshold and patient: positives (U, P), tied negatives (U, P), negatives between (U + 1, P)."""
    threshold_U, of_positive = np.unique(-score_N[positive_N], return_inverse=True)
    negative, patient = -score_N[~positive_N], patient_N[~positive_N]
    cell = np.searchsorted(threshold_U, negative, side="left")
    tied = np.zeros(len(cell), bool)
    inside = cell < len(threshold_U)
    tied[inside] = threshold_U[cell[inside]] == negative[inside]
    rows = len(threshold_U)
    return (
        _count(of_positive, patient_N[positive_N], (rows, patients)),
        _count(cell[tied], patient[tied], (rows, patients)),
        _count(cell[~tied], patient[~tied], (rows + 1, patients)),
    )


def _count(row: Indices, column: Indices, shape: tuple[int, int]) -> sparse.csr_array:
    return sparse.csr_array((np.ones(len(row)), (row, column)), shape=shape)


def _blocks(weights_CP: Floats, block: int) -> Iterator[Floats]:
    """Columns of weights (P, C), a block at a time to bound the memory."""
    for start in range(0, len(weights_CP), block):
        yield np.ascontiguousarray(weights_CP[start : start + block].T)


# ---- probabilities

BINS = 10
"""Bins of the calibration errors and the reliability diagrams."""
LINE_BINS = 300
NEWTON_STEPS, STILL = 12, 1e-3
"""Steps of the logistic regression, and the last one's length if it found its end."""


def brier_errors(truth_N: Indices, probabilities_NK: Floats) -> Floats:
    """Squared error of each disc (N,): of "present" for two grades (0 to 1), else of all, summed (0 to 2)."""
    error_NK = (probabilities_NK - np.eye(probabilities_NK.shape[1])[truth_N]) ** 2
    return error_NK[:, 1] if error_NK.shape[1] == 2 else error_NK.sum(axis=1)


def log_losses(truth_N: Indices, probabilities_NK: Floats) -> Floats:
    """Minus the log of the true grade's probability (N,); probabilities are clipped at machine precision."""
    tiny = np.finfo(float).eps
    return -np.log(np.clip(probabilities_NK[np.arange(len(truth_N)), truth_N], tiny, 1 - tiny))


def brier_of_prevalence(counts_CK: Floats) -> Floats:
    """The Brier error (C,) of stating each grade's own frequency in the column for every disc."""
    share_CK = ratio(counts_CK, counts_CK.sum(axis=1, keepdims=True))
    return share_CK.prod(axis=1) if counts_CK.shape[1] == 2 else 1 - (share_CK**2).sum(axis=1)


def calibration_line(
    stated_N: Floats, happened_N: NDArray[np.bool_], patient_N: Indices, resamples: Resamples
) -> tuple[Floats, Floats]:
    """Slope and intercept (C,) of the line from stated log-odds to those of what happened; 1 and 0 are perfect.

    Logistic regression (Cox 1958) by Newton's method; a slope below 1: too sure, an intercept above 0: too rarely
    stated. Nan where all happened or nothing did, and where the stated tell them apart without error. The first column
    is exact; the others stand on at most LINE_BINS groups of discs of nearly the same log-odds in each class.
    """
    tiny = 1e-6
    stated_N = np.clip(stated_N, tiny, 1 - tiny)
    logit_N = np.log(stated_N / (1 - stated_N))
    exact = _line(logit_N, happened_N.astype(float), resamples.weights_CP[:1, patient_N], (1.0, 0.0))
    group_N = np.zeros(len(logit_N), int)
    for offset, class_N in ((0, ~happened_N), (LINE_BINS, happened_N)):
        rank_N = np.argsort(np.argsort(logit_N[class_N], kind="stable"))
        group_N[class_N] = offset + rank_N * LINE_BINS // max(len(rank_N), LINE_BINS)
    discs_G = np.bincount(group_N, minlength=2 * LINE_BINS).astype(float)
    used_G = discs_G > 0
    mean_G = np.bincount(group_N, logit_N, 2 * LINE_BINS)[used_G] / discs_G[used_G]
    counts_CG = resamples.counts(patient_N, group_N, 2 * LINE_BINS)[1:, used_G]
    start = (exact[0][0], exact[1][0]) if np.isfinite(exact).all() else (1.0, 0.0)
    rest = _line(mean_G, np.repeat([0.0, 1.0], LINE_BINS)[used_G], counts_CG, start)
    return np.concatenate([exact[0], rest[0]]), np.concatenate([exact[1], rest[1]])


def _line(logit_N: Floats, happened_N: Floats, weights_CN: Floats, start: tuple[float, float]) -> tuple[Floats, Floats]:
    tiny = 1e-6
    slope_C, intercept_C = (np.full(len(weights_CN), value) for value in start)
    step_C = slope_C
    for _ in range(NEWTON_STEPS):
        fitted_CN = 1 / (1 + np.exp(-np.clip(slope_C[:, None] * logit_N + intercept_C[:, None], -30, 30)))
        miss_CN, curve_CN = weights_CN * (happened_N - fitted_CN), weights_CN * fitted_CN * (1 - fitted_CN)
        first_C, second_C = miss_CN @ logit_N, miss_CN.sum(axis=1)
        a_C, b_C, c_C = curve_CN @ logit_N**2, curve_CN @ logit_N, curve_CN.sum(axis=1)
        spread_C = np.where((spread_C := a_C * c_C - b_C**2) > tiny, spread_C, np.nan)
        slope_step_C = (c_C * first_C - b_C * second_C) / spread_C
        intercept_step_C = (a_C * second_C - b_C * first_C) / spread_C
        slope_C, intercept_C = slope_C + slope_step_C, intercept_C + intercept_step_C
        step_C = np.maximum(np.abs(slope_step_C), np.abs(intercept_step_C))
        if not (step_C >= tiny).any():  # each step squares the error
            break
    return np.where(step_C < STILL, slope_C, np.nan), np.where(step_C < STILL, intercept_C, np.nan)


def equal_width(stated_N: Floats) -> Indices:
    """Bin (N,) of each probability among ``BINS`` of equal width; 1 belongs to the last.

    >>> equal_width(np.array([0.0, 0.3, 0.99, 1.0])).tolist()
    [0, 3, 9, 9]
    """
    return np.minimum((stated_N * BINS).astype(int), BINS - 1)


def equal_mass(stated_N: Floats) -> Indices:
    """Bin (N,) of each probability among at most ``BINS`` with equally many discs; equal probabilities share a bin.

    >>> equal_mass(np.array([0.1, 0.1, 0.2, 0.9])).tolist()
    [0, 0, 5, 7]
    """
    order = np.sort(stated_N)
    return np.searchsorted(order, stated_N, side="left") * BINS // len(order) if len(order) else stated_N.astype(int)


def calibration_error(
    stated_N: Floats, happened_N: NDArray[np.bool_], bin_N: Indices, patient_N: Indices, resamples: Resamples
) -> Floats:
    """Mean gap between stated probability and observed frequency (C,), over bins, weighted by their discs.

    With ``equal_width`` bins the expected calibration error (Naeini et al. 2015), with ``equal_mass`` bins the adaptive
    one (Nguyen and O'Connor 2015).
    """
    gaps_CB = resamples.counts(patient_N, bin_N, BINS, stated_N - happened_N)
    return ratio(np.abs(gaps_CB).sum(axis=1), resamples.totals(patient_N)[:, 0])
