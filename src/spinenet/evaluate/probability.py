"""How good probabilities are: squared error, log loss and calibration error, for many weightings of patients at once.

Shape letters: C columns of weights, N discs, K grades, B bins.
"""

import numpy as np
from numpy.typing import NDArray

from spinenet.evaluate.agreement import ratio
from spinenet.evaluate.intervals import Floats, Indices, Resamples

BINS = 10
"""Bins of the calibration errors and the reliability diagrams."""
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


def calibration_line(
    stated_N: Floats, happened_N: NDArray[np.bool_], patient_N: Indices, resamples: Resamples
) -> tuple[Floats, Floats]:
    """Slope and intercept (C,) of the line from stated log-odds to those of what happened; 1 and 0 are perfect.

    Logistic regression (Cox 1958) by Newton's method. A slope below 1: too sure; an intercept above 0: too rarely
    stated. Nan where all happened or nothing did, and where the stated tell them apart without error.
    """
    tiny = 1e-6
    stated_N = np.clip(stated_N, tiny, 1 - tiny)
    logit_N, weights_CN = np.log(stated_N / (1 - stated_N)), resamples.weights_CP[:, patient_N]
    slope_C, intercept_C = np.ones(len(weights_CN)), np.zeros(len(weights_CN))
    for _ in range(NEWTON_STEPS):
        fitted_CN = 1 / (1 + np.exp(-np.clip(slope_C[:, None] * logit_N + intercept_C[:, None], -30, 30)))
        miss_CN, curve_CN = weights_CN * (happened_N - fitted_CN), weights_CN * fitted_CN * (1 - fitted_CN)
        first_C, second_C = miss_CN @ logit_N, miss_CN.sum(axis=1)
        a_C, b_C, c_C = curve_CN @ logit_N**2, curve_CN @ logit_N, curve_CN.sum(axis=1)
        spread_C = np.where((spread_C := a_C * c_C - b_C**2) > tiny, spread_C, np.nan)
        slope_step_C, intercept_step_C = (c_C * first_C - b_C * second_C), (a_C * second_C - b_C * first_C)
        slope_C, intercept_C = slope_C + slope_step_C / spread_C, intercept_C + intercept_step_C / spread_C
    settled_C = (np.abs(slope_step_C) < STILL * spread_C) & (np.abs(intercept_step_C) < STILL * spread_C)
    return np.where(settled_C, slope_C, np.nan), np.where(settled_C, intercept_C, np.nan)


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
