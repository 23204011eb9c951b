"""Is this better than chance, than the previous run, than a rater? One row a target."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from spinenet.evaluate.comparison import Comparison, Difference
from spinenet.evaluate.correction import corrected
from spinenet.evaluate.evaluation import Cohort
from spinenet.evaluate.intervals import Estimate, p_value
from spinenet.evaluate.metrics import CHANCE, MAIN, main_figure
from spinenet.evaluate.raters import Raters

ALPHA = 0.05


@dataclass(frozen=True)
class Verdict:
    """A target's main figure against guessing, another run and raters; p-values corrected over the targets.

    ``rater_gap``: kappa of the model with the truth minus the raters' mean kappa with it or, where the truth is the
    raters' own consensus, kappa of the model with the raters minus theirs among themselves.
    """

    target: str
    metric: str
    estimate: Estimate
    p_chance: float
    previous: Difference | None
    rater_gap: Estimate | None
    p_rater: float

    @property
    def answers(self) -> tuple[str, str, str]:
        """``better``, ``worse``, ``not shown`` or ``not asked``: than chance, the previous run, a rater."""
        chance = _verdict(self.estimate.value - CHANCE[self.metric], self.p_chance)
        previous = "not asked" if self.previous is None else self.previous.verdict
        rater = "not asked" if self.rater_gap is None else _verdict(self.rater_gap.value, self.p_rater)
        return chance, previous, rater

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON and tables."""
        chance, previous, rater = self.answers
        return {
            "target": self.target,
            "metric": self.metric,
            "estimate": self.estimate.to_dict(),
            "than_chance": {"verdict": chance, "p": _finite(self.p_chance)},
            "than_previous": {"verdict": previous, "gap": self.previous and self.previous.gap.to_dict()},
            "than_rater": {
                "verdict": rater,
                "p": _finite(self.p_rater),
                "gap": self.rater_gap and self.rater_gap.to_dict(),
            },
        }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _verdict(gap: float, p: float) -> str:
    if not p < ALPHA:
        return "not shown"
    return "better" if gap > 0 else "worse"


def verdicts(
    cohort: Cohort,
    previous: Comparison | None = None,
    raters: Raters | None = None,
    *,
    consensus: bool = False,
    correction: str = "holm",
) -> list[Verdict]:
    """One verdict a graded target; ``consensus`` says that the truth was made of these raters' grades."""
    names, rows = list(cohort.graded), []
    figures = {name: main_figure(sample, cohort.resamples) for name, sample in cohort.graded.items()}
    metric = {name: MAIN[sample.target.scale] for name, sample in cohort.graded.items()}
    by_chance = [p_value(figures[name].values_C, cohort.resamples, CHANCE[metric[name]]) for name in names]
    p_chance = corrected(np.array(by_chance, float), correction)
    kind = "gap" if consensus else "gap_truth"
    p_raters = {} if raters is None else (raters.p if consensus else raters.p_truth)
    asked = [name for name in names if np.isfinite(p_raters.get(name, np.nan))]
    p_rater = dict(zip(asked, corrected(np.array([p_raters[name] for name in asked]), correction), strict=True))
    before = {} if previous is None else previous.main()
    for name, p in zip(names, p_chance, strict=True):
        gap = raters.means[name][kind] if raters is not None and name in p_rater else None
        rows.append(
            Verdict(
                target=name,
                metric=metric[name],
                estimate=figures[name].estimate(cohort.resamples),
                p_chance=float(p),
                previous=before.get(name),
                rater_gap=gap,
                p_rater=float(p_rater.get(name, np.nan)),
            )
        )
    return rows
