"""Everything that is said of one table of predictions: figures pooled, by level and of both sides together, curves,
baselines, subgroups, raters, another run."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinenet.errors import PredictionsError
from spinenet.evaluate.comparison import Comparison, compare
from spinenet.evaluate.curves import CURVES, Curve
from spinenet.evaluate.discrimination import Discrimination, Twins, discriminations, twins
from spinenet.evaluate.estimates import MAIN, confusions, estimates, figures_of, severe_figures
from spinenet.evaluate.intervals import (
    COVERAGE,
    FAMILY_ERROR,
    Estimate,
    Resamples,
    once,
    patients_of,
    plain,
    side_by_side,
)
from spinenet.evaluate.levels import LevelErrors
from spinenet.evaluate.raters import Raters, compare_raters, consensus, load_raters
from spinenet.evaluate.rsna_score import rsna_estimates
from spinenet.evaluate.samples import PRESENCE, SEVERE, SIDES, Cohort, Sample, load_predictions, load_truth, make_cohort
from spinenet.evaluate.subgroups import Subgroup, load_cases, subgroups
from spinenet.evaluate.wording import Wording, wordings
from spinenet.labels import LEVELS, RESEARCH_ONLY, UNKNOWN, Scale, Target

CONSENSUS = "consensus"


@dataclass(frozen=True)
class TargetMetrics:
    """One target on one set of discs.

    ``n`` discs with a known grade that the model graded, of ``patients`` patients; in ``positives`` of them the finding
    is present (``samples.PRESENCE``), in ``severe_positives`` it is severe; ``not_graded`` more have a known grade
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

    @property
    def main(self) -> Estimate:
        """The one figure that stands for the target."""
        return self.estimates[MAIN[self.target.scale]]

    @property
    def size(self) -> str:
        """Discs, and how many of them have the finding where the grades are not ordinal."""
        return f"{self.n}" if self.target.scale is Scale.ORDINAL else f"{self.n} ({self.positives})"

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
            "metrics": plain(self.estimates),
            "severe": severe
            and {"presence": severe.title, "positives": self.severe_positives, "metrics": plain(self.severe)},
            "levels": {level: metrics.to_dict() for level, metrics in self.levels.items()},
        }


@dataclass(frozen=True)
class Metrics:
    """All that ``evaluate`` found. ``discs`` counts labelled (study, level) pairs; only labelled targets are listed.
    ``sides`` holds targets of a left and a right side with both taken together."""

    patients: int
    discs: int
    targets: dict[str, TargetMetrics]
    sides: dict[str, TargetMetrics]


@dataclass(frozen=True)
class Settings:
    """How an evaluation is made. ``threshold`` is the probability from which a finding counts as present; None takes
    the decided grades."""

    title: str
    samples: int = 1000
    seed: int = 0
    threshold: float | None = None


@dataclass(frozen=True)
class Beside:
    """What an evaluation may be given besides the predictions: each is left out where it is None.

    ``cases`` and ``raters`` as ``load_cases`` and ``load_raters`` give them, ``previous`` another run's predictions
    of the same patients, ``levels`` how well discs were found. ``consensus`` says that ``raters`` made the truth.
    """

    cases: pd.DataFrame | None = None
    raters: pd.DataFrame | None = None
    previous: pd.DataFrame | None = None
    levels: LevelErrors | None = None
    consensus: bool = False


@dataclass(frozen=True)
class Assessment:
    """All results of one evaluation.

    ``curves`` is kind -> target -> curve, of ``shown`` targets alone. ``synthetic`` are targets whose grades were
    learnt from synthetic studies alone, ``refused`` is code of refusal -> labelled grades that were not given for it,
    the commonest first.
    """

    settings: Settings
    metrics: Metrics
    curves: dict[str, dict[str, Curve]]
    subgroups: tuple[Subgroup, ...]
    discriminations: tuple[Discrimination, ...]
    wordings: tuple[Wording, ...]
    twins: Twins | None
    rsna: dict[str, Estimate]
    levels: LevelErrors | None
    raters: Raters | None
    previous: Comparison | None
    synthetic: tuple[str, ...]
    refused: dict[str, int]
    consensus: bool

    @property
    def targets(self) -> dict[str, TargetMetrics]:
        """All targets by name, both sides together at the end."""
        return self.metrics.targets | self.metrics.sides

    @property
    def shown(self) -> list[TargetMetrics]:
        """The targets of figures: those with a graded disc, both sides in one."""
        apart = {name for sides in self.metrics.sides for name in SIDES[sides]}
        return [target for name, target in self.targets.items() if target.n and name not in apart]

    def to_dict(self) -> dict[str, Any]:
        """The content of ``metrics.json``; ``metrics.schema.json`` beside this file describes it."""
        metrics, settings = self.metrics, self.settings
        return {
            "title": settings.title,
            "research_use_only": RESEARCH_ONLY,
            "patients": metrics.patients,
            "discs": metrics.discs,
            "bootstrap": {"unit": "patient", "samples": settings.samples, "seed": settings.seed, "interval": COVERAGE},
            "threshold": settings.threshold,
            "family_error": FAMILY_ERROR,
            "targets": {name: target.to_dict() for name, target in metrics.targets.items()},
            "sides": {name: target.to_dict() for name, target in metrics.sides.items()},
            "levels": plain(self.levels),
            "rsna_score": plain(self.rsna) or None,
            "discrimination": [one.to_dict() for one in self.discriminations],
            "wordings": plain(self.wordings),
            "endplates": plain(self.twins),
            "subgroups": [subgroup.to_dict() for subgroup in self.subgroups],
            "raters": self.raters and {**plain(self.raters), "pairs": [one.to_dict() for one in self.raters.pairs]},
            "previous": self.previous and self.previous.to_dict(),
            "synthetic": list(self.synthetic),
            "refused": self.refused,
        }


def evaluate(frame: pd.DataFrame, *, samples: int = 1000, seed: int = 0, threshold: float | None = None) -> Metrics:
    """Figures of every target that has labels, with 95 % intervals from ``samples`` resamples of the patients.

    ``frame`` is what ``load_predictions`` returns, or a table like it. All targets and levels share the same resamples.
    Raises PredictionsError for a bad table or one without a single known label.
    """
    return _of_cohort(make_cohort(frame, samples=samples, seed=seed), threshold)


def assess(frame: pd.DataFrame, settings: Settings, beside: Beside) -> Assessment:
    """Evaluate a table of predictions; PredictionsError for one that can't be evaluated."""
    draw = {"samples": settings.samples, "seed": settings.seed}
    for name, table in (("cases", beside.cases), ("raters", beside.raters)):
        _must_share_studies(name, table, frame)
    cohort, previous, names = make_cohort(frame, **draw), beside.previous, ("this run", "previous run")
    return Assessment(
        settings=settings,
        metrics=_of_cohort(cohort, settings.threshold),
        curves=_curves(cohort),
        subgroups=tuple(subgroups(cohort, beside.cases)),
        discriminations=tuple(discriminations(cohort)),
        wordings=tuple(wordings(cohort)),
        twins=twins(cohort),
        rsna=rsna_estimates(cohort),
        levels=beside.levels,
        raters=None if beside.raters is None else compare_raters(cohort, beside.raters),
        previous=None if previous is None else compare(frame, previous, names, **draw),
        synthetic=_synthetic(cohort.frame),
        refused=_refused(cohort.frame),
        consensus=beside.consensus,
    )


def _must_share_studies(name: str, table: pd.DataFrame | None, frame: pd.DataFrame) -> None:
    if table is not None and not table["study"].astype(str).isin(frame["study"].astype(str)).any():
        theirs, ours = table["study"].iloc[0], frame["study"].iloc[0]
        raise PredictionsError(f"{name}: none of its studies ({theirs}, ...) is among those judged ({ours}, ...)")


def _of_cohort(cohort: Cohort, threshold: float | None) -> Metrics:
    done = side_by_side(lambda sample: _with_levels(sample, cohort.resamples, threshold), cohort.samples.values())
    found = dict(zip(cohort.samples, done, strict=True))
    labelled = cohort.frame[cohort.frame["truth"].notna()]
    return Metrics(
        patients=len(cohort.patients),
        discs=len(labelled[["study", "level"]].drop_duplicates()),
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


def _curves(cohort: Cohort) -> dict[str, dict[str, Curve]]:
    apart = {name for sides in SIDES if sides in cohort.graded for name in SIDES[sides]}
    shown = {name: sample for name, sample in cohort.graded.items() if name not in apart}
    draws = cohort.resamples.draws
    done = side_by_side(lambda sample: {kind: of(sample, draws) for kind, of in CURVES.items()}, shown.values())
    drawn = dict(zip(shown, done, strict=True))
    return {
        kind: {name: curve for name, curves in drawn.items() if (curve := curves[kind]) is not None} for kind in CURVES
    }


def _synthetic(frame: pd.DataFrame) -> tuple[str, ...]:
    if "evidence" not in frame:
        return ()
    return tuple(sorted(frame.loc[frame["evidence"] == "synthetic", "target"].unique()))


def _refused(frame: pd.DataFrame) -> dict[str, int]:
    """Counts of the column that ``collect.to_frame`` writes; none in a table that has no such column."""
    if "refused" not in frame:
        return {}
    reasons = frame.loc[frame["truth"].notna() & frame["grade"].isna(), "refused"].fillna("").astype(str)
    return {str(code): int(count) for code, count in reasons[reasons != ""].value_counts().items()}


def read_truth(truth: str | None, raters: str | None) -> pd.DataFrame | None:
    """The truth of a table of predictions that has none of its own: from a CSV, or the raters' consensus."""
    if truth is None:
        return None
    return consensus(load_raters(Path(raters or ""))) if truth == CONSENSUS else load_truth(Path(truth))


def read_beside(
    cases: str | None, raters: str | None, previous: str | None, truth: pd.DataFrame | None, *, consensus: bool
) -> Beside:
    """Whatever else is named: CSV files of cases, of raters and of another run on patients of this truth."""
    return Beside(
        cases=load_cases(Path(cases)) if cases else None,
        raters=load_raters(Path(raters)) if raters else None,
        previous=load_predictions(Path(previous), truth) if previous else None,
        consensus=consensus,
    )
