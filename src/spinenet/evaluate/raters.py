"""Model against raters and rater against rater, on the same discs.

A rater's table is a CSV of ``rater, study, level, target, grade``, published grades, empty where a rater gave none.
Shape letters: N discs.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spinenet.errors import PredictionsError
from spinenet.evaluate.estimates import Figure, agreement_figures, confusions_of
from spinenet.evaluate.evaluation import Cohort, estimates
from spinenet.evaluate.intervals import (
    Estimate,
    Floats,
    Indices,
    Resamples,
    finite,
    max_t,
    patients_of,
    percentile,
)
from spinenet.evaluate.samples import KEY, Sample, read_table, target_named
from spinenet.labels import TARGET, UNKNOWN, Scale

MODEL, TRUTH = "model", "truth"


@dataclass(frozen=True)
class Pair:
    """How two raters agree on ``n`` discs that both graded; ``MODEL`` and ``TRUTH`` are raters too."""

    target: str
    first: str
    second: str
    n: int
    patients: int
    figures: dict[str, Estimate]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        figures = {name: figure.to_dict() for name, figure in self.figures.items()}
        return {**{name: getattr(self, name) for name in ("target", "first", "second", "n", "patients")}, **figures}


@dataclass(frozen=True)
class Raters:
    """All pairs, and per target in ``means`` what a reviewer asks first, as mean kappas with intervals.

    ``rater_rater``: raters among themselves; ``model_rater``: the model with the raters; ``gap``: the second minus
    the first; ``model_truth``, ``rater_truth``, ``gap_truth``: the same against the truth. ``p`` and ``p_truth``
    belong to the gaps. A figure that needs raters or pairs that are not there is undefined.
    """

    pairs: tuple[Pair, ...]
    means: dict[str, dict[str, Estimate]]
    p: dict[str, float]
    p_truth: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        means = {name: {key: one.to_dict() for key, one in mean.items()} for name, mean in self.means.items()}
        chances = {name: {"p": finite(self.p[name]), "p_truth": finite(self.p_truth[name])} for name in self.means}
        return {"pairs": [pair.to_dict() for pair in self.pairs], "means": means, "p": chances}


def load_raters(path: Path) -> pd.DataFrame:
    """Raters' grades, checked: one row a rater, study, level and target, ``grade`` a float; empty ones left out."""
    table = read_table(path)
    missing = [column for column in ("rater", *KEY, "grade") if column not in table.columns]
    if missing:
        raise PredictionsError(f"{path}: no column {', '.join(missing)}; needed are rater, {', '.join(KEY)}, grade")
    table = table[table["grade"].str.strip() != ""]
    table = table.assign(grade=pd.to_numeric(table["grade"], errors="coerce"))
    for wrong, what in (
        (~table["target"].isin(list(TARGET)), "unknown target"),
        (table.duplicated(["rater", *KEY]), "a second grade of the same rater"),
        (table["rater"].isin([MODEL, TRUTH]) | (table["rater"].str.strip() == ""), "rater has no name of its own"),
        (~_on_scale(table), "grade is not on the target's scale"),
    ):
        if wrong.any():
            row = table[wrong].iloc[0]
            where = f"rater {row['rater']}, study {row['study']}, level {row['level']}, target {row['target']}"
            raise PredictionsError(f"{path}: {what} ({where}; {int(wrong.sum())} such rows)")
    return table


def _on_scale(table: pd.DataFrame) -> pd.Series:
    scales = {name: set(target.grades) for name, target in TARGET.items()}
    pairs = zip(table["target"], table["grade"], strict=True)
    return pd.Series([grade in scales.get(name, ()) for name, grade in pairs], table.index, dtype=bool)


def consensus(raters: pd.DataFrame) -> pd.DataFrame:
    """The raters' own truth: ``study, level, target, truth``. The lower median of ordered grades, else the commonest.

    Where as many raters say one as the other the lower grade is taken.
    """
    ordered = raters["target"].map({name: target.scale is not Scale.NOMINAL for name, target in TARGET.items()})
    medians = raters[ordered].groupby(KEY)["grade"].quantile(0.5, interpolation="lower")
    modes = raters[~ordered].groupby(KEY)["grade"].agg(lambda grades: grades.mode().min())
    return pd.concat([medians, modes]).rename("truth").reset_index()


def compare_raters(cohort: Cohort, raters: pd.DataFrame) -> Raters:
    """Agreement of all raters on the discs of a cohort that have a truth, target by target."""
    by_key = {str(name): rows.set_index(KEY)["grade"] for name, rows in raters.groupby("rater")}
    keys = pd.MultiIndex.from_frame(cohort.frame[KEY])
    given = {name: grades.reindex(keys).to_numpy(float) for name, grades in by_key.items()}
    pairs: list[Pair] = []
    means, gaps_C = {}, []
    for name, sample in cohort.graded.items():
        graded_by = _raters(sample, given)
        if len(graded_by) < 3:
            continue
        found = dict(_pairs(sample, graded_by, cohort.resamples))
        pairs += [pair for pair, _ in found.values()]
        values = _means({names: kappa for names, (_, kappa) in found.items()}, list(graded_by)[2:], cohort.resamples)
        means[name] = {key: percentile(values_C, cohort.resamples) for key, values_C in values.items()}
        gaps_C.append([values["gap"], values["gap_truth"]])
    p, p_truth = ({}, {}) if not means else (_family(means, gaps_C, which, cohort.resamples) for which in (0, 1))
    return Raters(tuple(pairs), means, p, p_truth)


def _family(
    names: Iterable[str], gaps_C: Sequence[Sequence[Floats]], which: int, resamples: Resamples
) -> dict[str, float]:
    return dict(zip(names, max_t([gaps[which] for gaps in gaps_C], resamples).tolist(), strict=True))


def _raters(sample: Sample, given: dict[str, np.ndarray]) -> dict[str, Indices]:
    """Grade indices (N,) of truth, model and every rater who graded any of the discs."""
    index = {float(grade): position for position, grade in enumerate(sample.target.grades)}
    raters = {TRUTH: sample.truth_N, MODEL: sample.grade_N}
    for rater, grades in given.items():
        grade_N = np.array([index.get(grade, UNKNOWN) for grade in grades[sample.row_N]], int)
        if (grade_N != UNKNOWN).any():
            raters[rater] = grade_N
    return raters


def _pairs(
    sample: Sample, raters: dict[str, Indices], resamples: Resamples
) -> Iterator[tuple[tuple[str, str], tuple[Pair, Figure]]]:
    scale, grades = sample.target.scale, len(sample.target.grades)
    for first, second in combinations(raters, 2):
        both_N = (raters[first] != UNKNOWN) & (raters[second] != UNKNOWN)
        if both_N.any():
            patient_N = sample.patient_N[both_N]
            counts = confusions_of(raters[first][both_N], raters[second][both_N], grades, patient_N, resamples)
            figures = agreement_figures(counts, scale, patient_N)
            kappa = figures["quadratic_kappa" if scale is Scale.ORDINAL else "kappa"]
            size = (int(both_N.sum()), patients_of(patient_N))
            pair = Pair(sample.target.name, first, second, *size, estimates(figures, resamples))
            yield (first, second), (pair, kappa)


def _means(kappas: dict[tuple[str, str], Figure], raters: list[str], resamples: Resamples) -> dict[str, Floats]:
    among = [kappas[pair] for pair in combinations(raters, 2) if pair in kappas]
    values = {
        "rater_rater": _mean(among, resamples),
        "model_rater": _mean([kappas[MODEL, rater] for rater in raters if (MODEL, rater) in kappas], resamples),
        "model_truth": _mean([kappas[TRUTH, MODEL]], resamples),
        "rater_truth": _mean([kappas[TRUTH, rater] for rater in raters if (TRUTH, rater) in kappas], resamples),
    }
    values["gap"] = values["model_rater"] - values["rater_rater"]
    values["gap_truth"] = values["model_truth"] - values["rater_truth"]
    return values


def _mean(figures: list[Figure], resamples: Resamples) -> Floats:
    if not figures:
        return np.full(len(resamples.weights_CP), np.nan)
    return np.mean([figure.values_C for figure in figures], axis=0)


@dataclass(frozen=True)
class PublishedAgreement:
    """Kappa of raters among themselves with linear weights, on ``n`` patients: what was graded and where it is said."""

    kappa: float
    n: int
    source: str

    def text(self) -> str:
        """For a table.

        >>> PublishedAgreement(0.54, 60, "thecal sac, Lurie 2008").text()
        '0.54 (60 patients; thecal sac, Lurie 2008)'
        """
        return f"{self.kappa:.2f} ({self.n} patients; {self.source})"


_LURIE = "4 raters of SPORT, Lurie et al., Spine 2008;33:991"
AGREEMENT = {
    "herniation": PublishedAgreement(0.81, 60, f"disc morphology, {_LURIE}"),
    "canal_stenosis": PublishedAgreement(0.54, 60, f"compression of the thecal sac, {_LURIE}"),
    "subarticular_stenosis": PublishedAgreement(0.47, 60, f"impingement of the root, {_LURIE}"),
}
"""By condition. Published agreements whose weights or number of patients are not known to us are not here."""

LEVELS_MISNAMED = 0.141
"""Share of patients in whom a level is numbered wrongly from lumbar images alone."""


def agreement_on(name: str) -> PublishedAgreement | None:
    """What is published for a target, or for both sides of one under their condition."""
    return AGREEMENT.get(target_named(name).condition)
