"""Variance of areas under the ROC curve without a bootstrap, for discs that come in patients.

DeLong, DeLong and Clarke-Pearson 1988 for independent discs; Obuchowski 1997 ("Nonparametric analysis of clustered ROC
curve data") for several discs of one patient, which is the same where every patient has one disc. Shape letters: R
scores (models), N discs, P patients.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import rankdata

from spinenet.evaluate.intervals import Floats, Indices


@dataclass(frozen=True)
class Areas:
    """Areas (R,) of several scores of the same discs and their covariance (R, R), nan where a class is lacking."""

    area_R: Floats
    covariance_RR: Floats

    def difference(self, first: int, second: int) -> tuple[float, float]:
        """First area minus second, and its standard error."""
        contrast = np.zeros(len(self.area_R))
        contrast[first] += 1
        contrast[second] -= 1
        return float(contrast @ self.area_R), float(np.sqrt(max(float(contrast @ self.covariance_RR @ contrast), 0.0)))

    def p_of_difference(self, first: int, second: int) -> float:
        """Two-sided p of "both areas are equal"; nan where it is not defined."""
        gap, error = self.difference(first, second)
        if gap == 0:
            return 1.0
        return float(2 * ndtr(-abs(gap) / error)) if error > 0 else float("nan")


def areas(positive_N: NDArray[np.bool_], score_RN: Floats, patient_N: Indices) -> Areas:
    """Areas under the ROC curves of several scores of the same discs, with their covariance over patients."""
    count = len(score_RN)
    if positive_N.all() or not positive_N.any():
        return Areas(np.full(count, np.nan), np.full((count, count), np.nan))
    placed = [_placements(positive_N, score_N) for score_N in score_RN]
    area_R = np.array([place_N[positive_N].mean() for place_N in placed])
    centred_RN = np.stack(placed) - area_R[:, None]
    hits_PR = _by_patient(centred_RN[:, positive_N], patient_N[positive_N], patient_N)
    alarms_PR = _by_patient(centred_RN[:, ~positive_N], patient_N[~positive_N], patient_N)
    positives, negatives = int(positive_N.sum()), int((~positive_N).sum())
    with_hits, with_alarms, patients = (
        len(np.unique(patient_N[of])) for of in (positive_N, ~positive_N, np.ones_like(positive_N))
    )
    if min(with_hits, with_alarms) < 2:
        return Areas(area_R, np.full((count, count), np.nan))
    cross_RR = hits_PR.T @ alarms_PR
    covariance_RR = (
        with_hits / (with_hits - 1) * (hits_PR.T @ hits_PR) / positives**2
        + with_alarms / (with_alarms - 1) * (alarms_PR.T @ alarms_PR) / negatives**2
        + patients / (patients - 1) * (cross_RR + cross_RR.T) / (positives * negatives)
    )
    return Areas(area_R, covariance_RR)


def _placements(positive_N: NDArray[np.bool_], score_N: Floats) -> Floats:
    """For each disc the share of the other class that it is on the right side of (N,), ties counting half."""
    ranks_N = rankdata(score_N)
    positives, negatives = positive_N.sum(), (~positive_N).sum()
    place_N = np.empty(len(score_N))
    place_N[positive_N] = (ranks_N[positive_N] - rankdata(score_N[positive_N])) / negatives
    place_N[~positive_N] = 1 - (ranks_N[~positive_N] - rankdata(score_N[~positive_N])) / positives
    return place_N


def _by_patient(values_RN: Floats, patient_N: Indices, all_patients: Indices) -> Floats:
    """Sums of each patient's discs (P, R)."""
    length = int(all_patients.max()) + 1
    return np.stack([np.bincount(patient_N, values_N, minlength=length) for values_N in values_RN], axis=1)
