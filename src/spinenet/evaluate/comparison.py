"""Two runs on the same patients: is one better, by how much, and could it be chance?

Both are weighed by the same resamples of the same patients, so the differences are paired. Shape letters: N discs.
"""

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from spinenet.errors import PredictionsError
from spinenet.evaluate.estimates import LOWER_IS_BETTER, MAIN, NEITHER_IS_BETTER, difference, figures_of, severe_figures
from spinenet.evaluate.intervals import COVERAGE, Estimate, Floats, Resamples, max_t, plain, side_by_side, verdict
from spinenet.evaluate.samples import KEY, Sample, check_predictions, make_cohort, target_named
from spinenet.labels import RESEARCH_ONLY


@dataclass(frozen=True)
class Difference:
    """One figure of one target in both runs; ``gap`` is the first minus the second.

    ``p_corrected`` is corrected for all targets that are compared by this figure (``intervals.max_t``). ``question`` is
    "grades" or "severe".
    """

    target: str
    question: str
    metric: str
    n: int
    first: Estimate
    second: Estimate
    gap: Estimate
    gap_C: Floats
    p_corrected: float = float("nan")

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` (of the first run) or ``not shown``, with FAMILY_ERROR over the targets."""
        if self.metric in NEITHER_IS_BETTER:
            return "not asked"
        return verdict(-self.gap.value if self.metric in LOWER_IS_BETTER else self.gap.value, self.p_corrected)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON and tables."""
        return {**plain(self), "verdict": self.verdict}


@dataclass(frozen=True)
class Comparison:
    """All differences on the discs that both runs graded; ``left_out`` labelled discs were graded by one run alone."""

    names: tuple[str, str]
    patients: int
    discs: int
    left_out: int
    samples: int
    seed: int
    differences: tuple[Difference, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, as ``comparison.schema.json`` describes them."""
        return {
            "research_use_only": RESEARCH_ONLY,
            "runs": list(self.names),
            "patients": self.patients,
            "discs": self.discs,
            "left_out": self.left_out,
            "bootstrap": {"unit": "patient", "samples": self.samples, "seed": self.seed, "interval": COVERAGE},
            "differences": [row.to_dict() for row in self.differences],
        }

    def main(self) -> dict[str, Difference]:
        """The difference of each target's main figure."""
        graded = [row for row in self.differences if row.question == "grades"]
        return {row.target: row for row in graded if row.metric == MAIN[target_named(row.target).scale]}


def compare(
    first: pd.DataFrame,
    second: pd.DataFrame,
    names: tuple[str, str],
    *,
    samples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare two checked tables of predictions; PredictionsError where they share no disc or disagree on the truth."""
    ours, theirs, left_out = _on_common_discs(check_predictions(first), check_predictions(second), names)
    cohort, other = (make_cohort(frame, samples=samples, seed=seed) for frame in (ours, theirs))
    both = [(sample, other.graded[name]) for name, sample in cohort.graded.items()]
    rows = sum(side_by_side(lambda pair: _differences(*pair, cohort.resamples), both), [])
    return Comparison(
        names=names,
        patients=len(cohort.patients),
        discs=len(ours[["study", "level"]].drop_duplicates()),
        left_out=left_out,
        samples=samples,
        seed=seed,
        differences=tuple(_corrected(rows, cohort.resamples)),
    )


def _on_common_discs(
    first: pd.DataFrame, second: pd.DataFrame, names: tuple[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    known = [frame[frame["truth"].notna() & frame["grade"].notna()].set_index(KEY) for frame in (first, second)]
    common = known[0].index.intersection(known[1].index).sort_values()
    if not len(common):
        raise PredictionsError(
            f"{names[0]} and {names[1]}: no labelled disc that both graded; compare the same patients"
        )
    ours, theirs = (frame.loc[common] for frame in known)
    unequal = ours["truth"].to_numpy() != theirs["truth"].to_numpy()
    if unequal.any():
        where = ", ".join(common[unequal][0])
        raise PredictionsError(f"{names[0]} and {names[1]}: different truth ({where}; {int(unequal.sum())} such rows)")
    left_out = len(known[0].index.union(known[1].index)) - len(common)
    return ours.reset_index(), theirs.reset_index(), left_out


def _differences(ours: Sample, theirs: Sample, resamples: Resamples) -> list[Difference]:
    rows = []
    for question, figures in (("grades", figures_of), ("severe", severe_figures)):
        first, second = figures(ours, resamples), figures(theirs, resamples)
        for metric in [name for name in first if name in second and name != "prevalence"]:
            gap = difference(first[metric], second[metric])
            rows.append(
                Difference(
                    target=ours.target.name,
                    question=question,
                    metric=metric,
                    n=len(ours),
                    first=first[metric].estimate(resamples),
                    second=second[metric].estimate(resamples),
                    gap=gap.estimate(resamples),
                    gap_C=gap.values_C,
                )
            )
    return rows


def _corrected(rows: list[Difference], resamples: Resamples) -> list[Difference]:
    """p-values corrected over the targets that are compared by the same figure."""
    result = list(rows)
    for family in sorted({(row.question, row.metric) for row in rows}):
        places = [place for place, row in enumerate(rows) if (row.question, row.metric) == family]
        p_values = max_t([rows[place].gap_C for place in places], resamples)
        for place, p in zip(places, p_values, strict=True):
            result[place] = replace(rows[place], p_corrected=float(p))
    return result
