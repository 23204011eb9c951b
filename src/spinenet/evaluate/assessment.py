"""Everything that is said of one table of predictions: figures, curves, subgroups, raters, another run, verdicts."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from spinenet.evaluate.comparison import Comparison, compare
from spinenet.evaluate.curves import CURVES, Curve, CurveOf, reliability_before
from spinenet.evaluate.discrimination import Discrimination, Twins, discriminations, twins
from spinenet.evaluate.evaluation import Cohort, Metrics, TargetMetrics, evaluate_cohort, make_cohort
from spinenet.evaluate.intervals import COVERAGE, FAMILY_ERROR, Estimate, Resamples, side_by_side
from spinenet.evaluate.levels import LevelErrors
from spinenet.evaluate.raters import Raters, compare_raters, consensus, load_raters
from spinenet.evaluate.rsna_score import rsna_estimates
from spinenet.evaluate.samples import SIDES, Sample, check_predictions, load_predictions, load_truth
from spinenet.evaluate.subgroups import Subgroup, load_cases, subgroups
from spinenet.labels import RESEARCH_ONLY

CONSENSUS = "consensus"


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
    """All results of one evaluation. ``curves`` is kind -> target -> curve, of ``shown`` targets alone."""

    settings: Settings
    metrics: Metrics
    curves: dict[str, dict[str, Curve]]
    curves_before: dict[str, Curve | None]
    subgroups: tuple[Subgroup, ...]
    discriminations: tuple[Discrimination, ...]
    twins: Twins | None
    rsna: dict[str, Estimate]
    levels: LevelErrors | None
    raters: Raters | None
    previous: Comparison | None
    synthetic: tuple[str, ...]
    """Targets whose grades were learnt from synthetic studies alone."""
    refused: dict[str, int]
    """Codes of refusal -> labelled grades that were not given for it, the commonest first."""
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
            "bootstrap": {"unit": "patient", "samples": metrics.samples, "seed": metrics.seed, "interval": COVERAGE},
            "threshold": settings.threshold,
            "family_error": FAMILY_ERROR,
            "targets": {name: target.to_dict() for name, target in metrics.targets.items()},
            "sides": {name: target.to_dict() for name, target in metrics.sides.items()},
            "levels": None if self.levels is None else self.levels.to_dict(),
            "rsna_score": {name: estimate.to_dict() for name, estimate in self.rsna.items()} or None,
            "discrimination": [one.to_dict() for one in self.discriminations],
            "endplates": None if self.twins is None else self.twins.to_dict(),
            "subgroups": [subgroup.to_dict() for subgroup in self.subgroups],
            "raters": None if self.raters is None else self.raters.to_dict(),
            "previous": None if self.previous is None else self.previous.to_dict(),
            "synthetic": list(self.synthetic),
            "refused": self.refused,
        }


def assess(frame: pd.DataFrame, settings: Settings, beside: Beside) -> Assessment:
    """Evaluate a table of predictions; PredictionsError for one that can't be evaluated."""
    cohort = make_cohort(check_predictions(frame), samples=settings.samples, seed=settings.seed)
    metrics = evaluate_cohort(cohort, seed=settings.seed, threshold=settings.threshold)
    raters = None if beside.raters is None else compare_raters(cohort, beside.raters)
    previous = None
    if beside.previous is not None:
        names = ("this run", "previous run")
        previous = compare(frame, beside.previous, names, samples=settings.samples, seed=settings.seed)
    curves, before = _curves(cohort)
    return Assessment(
        settings=settings,
        metrics=metrics,
        curves=curves,
        curves_before=before,
        subgroups=tuple(subgroups(cohort, beside.cases)),
        discriminations=tuple(discriminations(cohort)),
        twins=twins(cohort),
        rsna=rsna_estimates(cohort),
        levels=beside.levels,
        raters=raters,
        previous=previous,
        synthetic=_synthetic(cohort.frame),
        refused=_refused(cohort.frame),
        consensus=beside.consensus,
    )


def _curves(cohort: Cohort) -> tuple[dict[str, dict[str, Curve]], dict[str, Curve | None]]:
    apart = {name for sides in SIDES if sides in cohort.graded for name in SIDES[sides]}
    shown = {name: sample for name, sample in cohort.graded.items() if name not in apart}
    draws = cohort.resamples.draws
    curves = {
        kind: dict(zip(shown, side_by_side(partial(_curve, curve, draws), shown.values()), strict=True))
        for kind, curve in CURVES.items()
    }
    return curves, {name: reliability_before(sample, draws) for name, sample in shown.items()}


def _curve(curve: CurveOf, draws: Resamples, sample: Sample) -> Curve:
    return curve(sample, draws)


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
