"""How often prediction sets hold the true grade, measured on patients who did not choose their thresholds.

From a table of out-of-fold predictions the patients are dealt into folds; each fold's sets come from a calibration
fitted on the others, as a new patient's would. Shape letters: N discs, K grades.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinenet.errors import PredictionsError
from spinenet.evaluate.estimates import mean_of
from spinenet.evaluate.intervals import Estimate, Resamples, bca
from spinenet.evaluate.samples import Sample, make_cohort
from spinenet.labels import TARGET, Target
from spinenet.model.calibration import decision, fit
from spinenet.model.conformal import in_set

FOLDS = 5


@dataclass(frozen=True)
class SetFigures:
    """One target: ``coverage`` of all discs and of those of each grade (by published grade), mean ``size`` of the sets,
    and share of ``single`` grades."""

    target: Target
    n: int
    coverage: Estimate
    size: Estimate
    single: Estimate
    coverage_of_grade: dict[int, Estimate]


def measure_coverage(frame: pd.DataFrame, *, samples: int = 1000, seed: int = 0) -> dict[str, SetFigures]:
    """Figures of every target that has labels, with intervals over patients; PredictionsError without the ``u_i``."""
    cohort = make_cohort(frame, samples=samples, seed=seed)
    fold_P = np.random.default_rng(seed).permutation(len(cohort.patients)) % FOLDS
    graded = {name: sample for name, sample in cohort.graded.items() if name in TARGET}
    return {name: _figures(sample, fold_P, cohort.resamples) for name, sample in graded.items()}


def _figures(sample: Sample, fold_P: NDArray[np.int64], resamples: Resamples) -> SetFigures:
    inside_NK = _sets(sample, fold_P[sample.patient_N])
    held_N, size_N = inside_NK[np.arange(len(sample)), sample.truth_N], inside_NK.sum(axis=1)

    def mean(values_N: NDArray[Any], mask_N: NDArray[np.bool_] | slice = slice(None)) -> Estimate:
        return mean_of(values_N[mask_N], sample.patient_N[mask_N], resamples).estimate(resamples)

    grades = {grade: sample.truth_N == index for index, grade in enumerate(sample.target.grades)}
    return SetFigures(
        target=sample.target,
        n=len(sample),
        coverage=mean(held_N),
        size=mean_of(size_N, sample.patient_N, resamples, bca).estimate(resamples),
        single=mean(size_N == 1),
        coverage_of_grade={grade: mean(held_N, mask_N) for grade, mask_N in grades.items() if mask_N.any()},
    )


def _sets(sample: Sample, fold_N: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Sets (N, K), each fold's from a calibration on the others."""
    if sample.uncalibrated_NK is None:
        raise PredictionsError(f"predictions: {sample.target.name} has no u_0, u_1, ...; coverage needs them")
    logp_NK = np.log(np.maximum(sample.uncalibrated_NK, 1e-9))
    inside_NK = np.zeros(logp_NK.shape, bool)
    for fold in range(FOLDS):
        here_N = fold_N == fold
        fitted = fit(sample.target, logp_NK[~here_N], sample.truth_N[~here_N])
        decided = decision(sample.target, logp_NK[here_N], fitted)
        thresholds = fitted.set_thresholds or (0.0,) * decided.p_NK.shape[1]
        inside_NK[here_N] = in_set(sample.target, decided.p_NK, decided.grade_N, thresholds)
    return inside_NK
