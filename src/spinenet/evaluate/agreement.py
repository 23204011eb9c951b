"""Agreement of two sets of grades, from their confusion matrices.

``confusion`` is (..., K, K), counts or weights, rows the truth (or one rater), columns the decision (or the other);
each function returns (...,), nan where the figure is not defined. Quadratic kappa and macro F1, which also choose the
cuts of a calibration, live in ``spinenet.model.cut_points``. K grades.
"""

import numpy as np
from numpy.typing import NDArray

from spinenet.model.cut_points import macro_f1, quadratic_kappa

__all__ = [
    "accuracy",
    "balanced_accuracy",
    "cohen_kappa",
    "gwet_ac1",
    "linear_kappa",
    "macro_f1",
    "matthews",
    "precision",
    "quadratic_kappa",
    "ratio",
    "recall",
]

Floats = NDArray[np.float64]


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Element by element, nan where the denominator is not positive."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    return np.divide(numerator, denominator, out=np.full(denominator.shape, np.nan), where=denominator > 0)


def recall(confusion: Floats) -> Floats:
    """Share of each true grade that was decided so (..., K), nan for a grade that does not occur."""
    return ratio(np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(axis=-1))


def precision(confusion: Floats) -> Floats:
    """Share of each decided grade that is true (..., K), nan for a grade that was never decided."""
    return ratio(np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(axis=-2))


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
