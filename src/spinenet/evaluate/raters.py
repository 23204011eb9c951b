"""Model against raters and rater against rater, on the same discs.

A rater's table is a CSV of ``rater, study, level, target, grade``, published grades, empty where a rater gave none.
Shape letters: N discs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spinenet.errors import PredictionsError
from spinenet.evaluate.estimates import Figure, agreement_figures, confusions_of, estimates
from spinenet.evaluate.intervals import (
    Estimate,
    Floats,
    Indices,
    Resamples,
    max_t,
    patients_of,
    percentile,
    plain,
)
from spinenet.evaluate.samples import KEY, Cohort, Sample, load_grades
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
        """Plain values for JSON, the figures beside the rest."""
        values: dict[str, Any] = plain(self)
        return values | values.pop("figures")


@dataclass(frozen=True)
class Raters:
    """All pairs, and per target in ``means`` what a reviewer asks first, as mean kappas with intervals.

    ``rater_rater``: raters among themselves; ``model_rater``: the model with the raters; ``gap``: the second minus
    the first; ``model_truth``, ``rater_truth``, ``gap_truth``: the same against the truth. ``p`` of the gaps, as ``p``
    and ``p_truth``. A figure that needs raters or pairs that are not there is undefined.
    """

    pairs: tuple[Pair, ...]
    means: dict[str, dict[str, Estimate]]
    p: dict[str, dict[str, float]]


def load_raters(path: Path) -> pd.DataFrame:
    """Raters' grades, checked: one row a rater, study, level and target, ``grade`` a float; empty ones left out."""
    table = load_grades(path, ["rater", *KEY], "grade")
    names = table["rater"].str.strip()
    if (nameless := names.isin(["", MODEL, TRUTH])).any():
        raise PredictionsError(f"{path}: rater {names[nameless].iloc[0]!r} has no name of its own")
    return table[table["grade"].notna()]


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
    families = [max_t(gaps, cohort.resamples).tolist() for gaps in zip(*gaps_C, strict=True)]
    p = {name: dict(zip(("p", "p_truth"), both, strict=True)) for name, *both in zip(means, *families, strict=True)}
    return Raters(tuple(pairs), means, p)


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


_LURIE = "4 raters of SPORT, Lurie et al., Spine 2008;33:991"
AGREEMENT = {
    "herniation": f"0.81 (60 patients; disc morphology, {_LURIE})",
    "canal_stenosis": f"0.54 (60 patients; compression of the thecal sac, {_LURIE})",
    "subarticular_stenosis": f"0.47 (60 patients; impingement of the root, {_LURIE})",
}
"""Kappa of raters among themselves with linear weights, by condition. Published agreements whose weights or number of
patients are not known to us are not here."""

LEVELS_MISNAMED = 0.141
"""Share of patients in whom a level is numbered wrongly from lumbar images alone."""
