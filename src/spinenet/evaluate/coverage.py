"""How often prediction sets hold the true grade, measured on patients who did not choose their thresholds.

From a table of out-of-fold predictions the patients are dealt into folds; each fold's sets come from a calibration
fitted on the others, as a new patient's would. Shape letters: N discs, K grades.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinenet.calibration import decide, fit, probabilities
from spinenet.conformal import COVERAGE, in_set
from spinenet.evaluate.intervals import Estimate, draw_patients, estimate
from spinenet.evaluate.table import PredictionsError, Sample, check_predictions, sample_of
from spinenet.labels import TARGETS, Target

FOLDS = 5


@dataclass(frozen=True)
class SetFigures:
    """One target: ``coverage`` of all discs and of those of each grade (by published grade), mean ``size`` of the sets,
    share of ``single`` grades, and of ``confident`` decisions."""

    target: Target
    n: int
    coverage: Estimate
    size: Estimate
    single: Estimate
    confident: Estimate
    coverage_of_grade: dict[int, Estimate]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        figures = {name: getattr(self, name).to_dict() for name in ("coverage", "size", "single", "confident")}
        by_grade = {str(grade): one.to_dict() for grade, one in self.coverage_of_grade.items()}
        return {"stated": COVERAGE, "n": self.n, **figures, "coverage_of_grade": by_grade}


def measure_coverage(frame: pd.DataFrame, *, samples: int = 1000, seed: int = 0) -> dict[str, SetFigures]:
    """Figures of every target that has labels, with intervals over patients; PredictionsError without the ``u_i``."""
    frame = check_predictions(frame)
    labelled = frame[frame["truth"].notna()]
    patients = sorted(labelled["study"].unique())
    fold_P = np.random.default_rng(seed).permutation(len(patients)) % FOLDS
    draws_SP = draw_patients(len(patients), samples, seed)
    tables = {target.name: sample_of(labelled, target, patients).predicted for target in TARGETS}
    return {name: _figures(sample, fold_P, draws_SP) for name, sample in tables.items() if len(sample)}


def _figures(sample: Sample, fold_P: NDArray[np.int64], draws_SP: NDArray[np.float64]) -> SetFigures:
    inside_NK, confident_N = _sets(sample, fold_P[sample.patient_N])
    held_N, size_N = inside_NK[np.arange(len(sample)), sample.truth_N], inside_NK.sum(axis=1)

    def mean(values_N: NDArray[Any], mask_N: NDArray[np.bool_] | None = None) -> Estimate:
        mask_N = np.ones(len(sample), bool) if mask_N is None else mask_N
        return estimate(_mean_of(values_N[mask_N].astype(float)), draws_SP, sample.patient_N[mask_N])

    grades = {grade: sample.truth_N == index for index, grade in enumerate(sample.target.grades)}
    return SetFigures(
        target=sample.target,
        n=len(sample),
        coverage=mean(held_N),
        size=mean(size_N),
        single=mean(size_N == 1),
        confident=mean(confident_N),
        coverage_of_grade={grade: mean(held_N, mask_N) for grade, mask_N in grades.items() if mask_N.any()},
    )


def _sets(sample: Sample, fold_N: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Sets (N, K) and decisions stood by (N,), each fold's from a calibration on the others."""
    if sample.uncalibrated_NK is None:
        raise PredictionsError(f"predictions: {sample.target.name} has no u_0, u_1, ...; coverage needs them")
    logp_NK = np.log(np.maximum(sample.uncalibrated_NK, 1e-9))
    inside_NK, confident_N = np.zeros(logp_NK.shape, bool), np.zeros(len(sample), bool)
    for fold in range(FOLDS):
        here_N = fold_N == fold
        fitted = fit(sample.target, logp_NK[~here_N], sample.truth_N[~here_N])
        p_NK = probabilities(logp_NK[here_N], fitted)
        grades_N, confident_N[here_N] = decide(sample.target, p_NK, fitted)
        thresholds = fitted.set_thresholds or (0.0,) * p_NK.shape[1]
        inside_NK[here_N] = in_set(sample.target, p_NK, grades_N, thresholds)
    return inside_NK, confident_N


def _mean_of(values_N: NDArray[np.float64]) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    def mean(weights_SN: NDArray[np.float64]) -> NDArray[np.float64]:
        total = weights_SN.sum(axis=1)
        return np.divide(weights_SN @ values_N, total, out=np.full(len(total), np.nan), where=total > 0)

    return mean
