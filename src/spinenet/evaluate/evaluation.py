"""Every target's metrics with intervals, pooled and per level, from one table of predictions."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinenet.evaluate.intervals import Estimate, draw_patients, estimate, estimate_reflected
from spinenet.evaluate.metrics import METRICS, METRICS_OF, confusion
from spinenet.evaluate.table import PredictionsError, Sample, check_predictions, sample_of
from spinenet.labels import LEVELS, TARGETS, UNKNOWN, Target

_INFLATED_BY_NOISE = ("ece", "ece_uncalibrated")


@dataclass(frozen=True)
class TargetMetrics:
    """One target on one set of discs.

    ``n`` discs with a known grade that the model graded, of ``patients`` patients; ``positives`` of them above the
    first grade; ``not_graded`` more have a known grade but no prediction. ``confusion_KK`` rows are the truth.
    ``levels`` holds the same again per level name, from the sacrum up.
    """

    target: Target
    n: int
    patients: int
    positives: int
    not_graded: int
    confusion_KK: NDArray[np.int64]
    estimates: dict[str, Estimate]
    levels: dict[str, "TargetMetrics"]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the keys are documented in ``spinenet.evaluate.outputs``."""
        counts = self.confusion_KK.sum(axis=1)
        return {
            "title": self.target.title,
            "scale": str(self.target.scale),
            "n": self.n,
            "patients": self.patients,
            "positives": self.positives,
            "not_graded": self.not_graded,
            "counts": {str(grade): int(count) for grade, count in zip(self.target.grades, counts, strict=True)},
            "confusion": self.confusion_KK.tolist(),
            "metrics": {name: figure.to_dict() for name, figure in self.estimates.items()},
            "levels": {level: metrics.to_dict() for level, metrics in self.levels.items()},
        }


@dataclass(frozen=True)
class Metrics:
    """All that ``evaluate`` found. ``discs`` counts labelled (study, level) pairs; only labelled targets are listed."""

    patients: int
    discs: int
    samples: int
    seed: int
    targets: dict[str, TargetMetrics]


def evaluate(frame: pd.DataFrame, *, samples: int = 1000, seed: int = 0) -> Metrics:
    """Metrics of every target that has labels, with 95 % intervals from ``samples`` resamples of the patients.

    ``frame`` is what ``load_predictions`` returns, or a table like it. All targets and levels share the same resamples.
    Raises PredictionsError for a bad table or one without a single known label.
    """
    frame = check_predictions(frame)
    labelled = frame[frame["truth"].notna()]
    if labelled.empty:
        raise PredictionsError("predictions: no row has a truth, so there is nothing to evaluate")
    patients = sorted(labelled["study"].unique())
    draws_SP = draw_patients(len(patients), samples, seed)
    tables = {target.name: sample_of(labelled, target, patients) for target in TARGETS}
    return Metrics(
        patients=len(patients),
        discs=len(labelled[["study", "level"]].drop_duplicates()),
        samples=samples,
        seed=seed,
        targets={name: _with_levels(sample, draws_SP) for name, sample in tables.items() if len(sample)},
    )


def _with_levels(sample: Sample, draws_SP: NDArray[np.float64]) -> TargetMetrics:
    levels = {
        LEVELS[index]: _metrics(sample.where(sample.level_N == index), draws_SP, {})
        for index in np.unique(sample.level_N)
    }
    return _metrics(sample, draws_SP, levels)


def _metrics(sample: Sample, draws_SP: NDArray[np.float64], levels: dict[str, TargetMetrics]) -> TargetMetrics:
    graded = sample.predicted
    estimates = {}
    for name in METRICS_OF[sample.target.scale]:
        interval = estimate_reflected if name in _INFLATED_BY_NOISE else estimate
        estimates[name] = interval(partial(METRICS[name], graded), draws_SP, graded.patient_N)
    counts_1KK = confusion(graded.truth_N, graded.grade_N, len(sample.target.grades), np.ones((1, len(graded))))
    return TargetMetrics(
        target=sample.target,
        n=len(graded),
        patients=len(np.unique(graded.patient_N)),
        positives=int((graded.truth_N > 0).sum()),
        not_graded=int((sample.grade_N == UNKNOWN).sum()),
        confusion_KK=counts_1KK[0].astype(int),
        estimates=estimates,
        levels=levels,
    )
