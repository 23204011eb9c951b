"""Every target's figures with intervals, pooled, per level and for both sides together, from one table."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinenet.errors import PredictionsError
from spinenet.evaluate.estimates import Figure, confusions, figures_of, severe_figures
from spinenet.evaluate.intervals import Estimate, Resamples, draw_patients, once, patients_of, side_by_side
from spinenet.evaluate.samples import PRESENCE, SEVERE, SIDES, Sample, both_sides, check_predictions, sample_of
from spinenet.labels import LEVELS, TARGETS, UNKNOWN, Target


@dataclass(frozen=True)
class TargetMetrics:
    """One target on one set of discs.

    ``n`` discs with a known grade that the model graded, of ``patients`` patients; in ``positives`` of them the finding
    is present (``questions.PRESENCE``), in ``severe_positives`` it is severe; ``not_graded`` more have a known grade
    but no prediction. ``confusion_KK`` rows are the truth. ``severe`` holds the figures of the question whether a disc
    is severe, empty where the grades have no order. ``levels`` holds the same again per level name, from the sacrum up.
    """

    target: Target
    n: int
    patients: int
    positives: int
    severe_positives: int
    not_graded: int
    confusion_KK: NDArray[np.int64]
    estimates: dict[str, Estimate]
    severe: dict[str, Estimate]
    levels: dict[str, "TargetMetrics"] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, as ``metrics.schema.json`` describes them."""
        counts = self.confusion_KK.sum(axis=1)
        severe = SEVERE[self.target.name]
        return {
            "title": self.target.title,
            "scale": str(self.target.scale),
            "n": self.n,
            "patients": self.patients,
            "positives": self.positives,
            "presence": PRESENCE[self.target.name].title,
            "not_graded": self.not_graded,
            "counts": {str(grade): int(count) for grade, count in zip(self.target.grades, counts, strict=True)},
            "confusion": self.confusion_KK.tolist(),
            "metrics": _plain(self.estimates),
            "severe": severe
            and {"presence": severe.title, "positives": self.severe_positives, "metrics": _plain(self.severe)},
            "levels": {level: metrics.to_dict() for level, metrics in self.levels.items()},
        }


def _plain(estimates: dict[str, Estimate]) -> dict[str, Any]:
    return {name: estimate.to_dict() for name, estimate in estimates.items()}


@dataclass(frozen=True)
class Metrics:
    """All that ``evaluate`` found. ``discs`` counts labelled (study, level) pairs; only labelled targets are listed.

    ``sides`` holds targets of a left and a right side with both taken together. ``threshold`` is the probability from
    which a finding counts as present, None where the decided grades say so.
    """

    patients: int
    discs: int
    samples: int
    seed: int
    threshold: float | None
    targets: dict[str, TargetMetrics]
    sides: dict[str, TargetMetrics]


@dataclass(frozen=True)
class Cohort:
    """A checked table made ready: its resamples and one sample a labelled target, both sides together at the end."""

    frame: pd.DataFrame
    patients: tuple[str, ...]
    resamples: Resamples
    samples: dict[str, Sample]

    @property
    def graded(self) -> dict[str, Sample]:
        """The discs that the model graded, of targets with any."""
        graded = {name: sample.predicted for name, sample in self.samples.items()}
        return {name: sample for name, sample in graded.items() if len(sample)}


def make_cohort(frame: pd.DataFrame, *, samples: int, seed: int) -> Cohort:
    """Draw the patients of a checked table; PredictionsError where it has not a single known label."""
    labelled = frame[frame["truth"].notna()]
    if labelled.empty:
        raise PredictionsError("predictions: no row has a truth, so there is nothing to evaluate")
    patients = tuple(sorted(labelled["patient"].unique()))
    tables = {target.name: sample_of(labelled, target, patients) for target in _targets(set(labelled["target"]))}
    return Cohort(frame, patients, draw_patients(len(patients), samples, seed), tables)


def _targets(labelled: set[str]) -> Iterable[Target]:
    yield from (target for target in TARGETS if target.name in labelled)
    yield from (both_sides(name) for name, sides in SIDES.items() if set(sides) <= labelled)


def evaluate(frame: pd.DataFrame, *, samples: int = 1000, seed: int = 0, threshold: float | None = None) -> Metrics:
    """Figures of every target that has labels, with 95 % intervals from ``samples`` resamples of the patients.

    ``frame`` is what ``load_predictions`` returns, or a table like it. All targets and levels share the same resamples.
    Raises PredictionsError for a bad table or one without a single known label.
    """
    return evaluate_cohort(
        make_cohort(check_predictions(frame), samples=samples, seed=seed), seed=seed, threshold=threshold
    )


def evaluate_cohort(cohort: Cohort, *, seed: int, threshold: float | None = None) -> Metrics:
    """As ``evaluate``, of a table that is ready."""
    done = side_by_side(lambda sample: _with_levels(sample, cohort.resamples, threshold), cohort.samples.values())
    found = dict(zip(cohort.samples, done, strict=True))
    labelled = cohort.frame[cohort.frame["truth"].notna()]
    return Metrics(
        patients=len(cohort.patients),
        discs=len(labelled[["study", "level"]].drop_duplicates()),
        samples=cohort.resamples.samples,
        seed=seed,
        threshold=threshold,
        targets={name: metrics for name, metrics in found.items() if name not in SIDES},
        sides={name: metrics for name, metrics in found.items() if name in SIDES},
    )


def _with_levels(sample: Sample, resamples: Resamples, threshold: float | None) -> TargetMetrics:
    levels = {
        LEVELS[index]: _metrics(sample.where(sample.level_N == index), resamples, threshold)
        for index in np.unique(sample.level_N)
    }
    return _metrics(sample, resamples, threshold, levels)


def _metrics(
    sample: Sample, resamples: Resamples, threshold: float | None, levels: dict[str, TargetMetrics] | None = None
) -> TargetMetrics:
    graded, target = sample.predicted, sample.target
    severe = SEVERE[target.name]
    return TargetMetrics(
        target=target,
        n=len(graded),
        patients=patients_of(graded.patient_N),
        positives=int((graded.truth_N >= PRESENCE[target.name].first).sum()),
        severe_positives=int((graded.truth_N >= severe.first).sum()) if severe else 0,
        not_graded=int((sample.grade_N == UNKNOWN).sum()),
        confusion_KK=confusions(graded, once(resamples.patients))[0].astype(int),
        estimates=estimates(figures_of(graded, resamples, threshold), resamples),
        severe=estimates(severe_figures(graded, resamples, threshold), resamples),
        levels=levels or {},
    )


def estimates(figures: dict[str, Figure], resamples: Resamples) -> dict[str, Estimate]:
    """Values with intervals."""
    return {name: figure.estimate(resamples) for name, figure in figures.items()}
