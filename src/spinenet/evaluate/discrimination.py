"""What a pooled area hides: what names alone tell, one level, one patient, whether a patient has one anywhere, twins.

Baselines see no image: a logistic regression on the level's name, alone or with what the readers wrote of a companion
finding at the same disc. It is fitted on the very discs it is judged on, so if anything it is too good: scores of
several folds would not rank together. Shape letters: C columns of weights, P patients,
N discs, K grades.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from spinenet.evaluate.estimates import MAIN, Figure, answered, difference, estimates, main_figure, mean_of, score
from spinenet.evaluate.intervals import Estimate, Floats, Indices, Resamples, bca, max_t, plain, resting, verdict
from spinenet.evaluate.metrics import auc, ratio
from spinenet.evaluate.samples import PRESENCE, Cohort, Question, Sample

COMPANION = {"herniation": "bulging"}
"""The finding that is told beside the level; of other targets degeneration, of that one none."""
DEGENERATION = "pfirrmann"
TWINS = ("endplate_upper", "endplate_lower")
"""Two targets that are nearly one finding in the data sets that label them."""


@dataclass(frozen=True)
class Discrimination:
    """One target's main figure beside those of the baselines (``companion`` is "" where there is none), the areas of
    "present" pooled, within one level, within one patient and of patients, and the count of ``called`` findings.

    ``p_level`` and ``p_companion`` are corrected over all targets (``max_t``). ``errors``, ``missed``, ``false_calls``
    are means a patient; the right finding at the wrong level is two errors, in ``wrong_level`` patients.
    """

    target: str
    metric: str
    estimate: Estimate
    level_alone: Estimate
    gap_level: Estimate
    companion: str
    with_companion: Estimate
    gap_companion: Estimate
    areas: dict[str, Estimate]
    count: dict[str, Estimate]
    wrong_level: int
    p_level: float = float("nan")
    p_companion: float = float("nan")

    @property
    def answers(self) -> tuple[str, str]:
        """``better``, ``worse``, ``not shown`` or ``not asked``: than the level's name, than it with its companion."""
        return verdict(self.gap_level.value, self.p_level), verdict(self.gap_companion.value, self.p_companion)

    @property
    def better(self) -> str:
        """In a word: better than all that was asked?"""
        asked = set(self.answers) - {"not asked"}
        return "–" if not asked else "yes" if asked == {"better"} else "not shown"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON and tables."""
        return {**plain(self), "better_than_level": self.answers[0], "better_than_companion": self.answers[1]}


@dataclass(frozen=True)
class Twins:
    """Upper and lower end-plate as one finding ("either") and apart: ``n`` discs, labels ``alike`` in a share of them;
    on the ``differing`` discs of ``patients`` patients, how often the side that has it scores above the other."""

    n: int
    alike: Estimate
    either: Estimate
    differing: int
    patients: int
    told_apart: Estimate


def discriminations(cohort: Cohort) -> list[Discrimination]:
    """One row a graded target; p-values corrected over all targets and both baselines together."""
    found, gaps_C = [], []
    for sample in cohort.graded.values():
        row, both_C = _discrimination(cohort, sample)
        found.append(row)
        gaps_C += both_C
    p_G2 = max_t(gaps_C, cohort.resamples).reshape(-1, 2).tolist()
    return [replace(row, p_level=p, p_companion=q) for row, (p, q) in zip(found, p_G2, strict=True)]


def _discrimination(cohort: Cohort, sample: Sample) -> tuple[Discrimination, list[Floats]]:
    """A target without its p-values, and the draws of both gaps."""
    resamples, name = cohort.resamples, sample.target.name
    companion = COMPANION.get(name, DEGENERATION)
    told_N = _told(cohort, sample, companion) if name != DEGENERATION else None
    ours = main_figure(sample, resamples)
    alone = _baseline(sample, sample.level_N[:, None], resamples)
    beside = Figure(np.full(len(ours.values_C), np.nan))
    if told_N is not None:
        beside = _baseline(sample, np.stack([sample.level_N, told_N], axis=1), resamples)
    gaps = difference(ours, alone), difference(ours, beside)
    count, wrong_level = _count(sample, resamples)
    row = Discrimination(
        target=name,
        metric=MAIN[sample.target.scale],
        estimate=ours.estimate(resamples),
        level_alone=alone.estimate(resamples),
        gap_level=gaps[0].estimate(resamples),
        companion="" if told_N is None else companion,
        with_companion=beside.estimate(resamples),
        gap_companion=gaps[1].estimate(resamples),
        areas=estimates(areas(sample, resamples), resamples),
        count=count,
        wrong_level=wrong_level,
    )
    return row, [gap.values_C for gap in gaps]


def _told(cohort: Cohort, sample: Sample, companion: str) -> Indices | None:
    """The readers' grade of the companion at each disc (N,), -1 where it is unknown; None where it always is."""
    if companion not in cohort.samples:
        return None
    rows = cohort.frame[cohort.frame["target"] == companion].set_index(["study", "level"])["truth"]
    keys = cohort.frame.loc[sample.row_N, ["study", "level"]]
    return rows.reindex(list(keys.itertuples(index=False, name=None))).fillna(-1).to_numpy(int)


def _baseline(sample: Sample, names_NF: Indices, resamples: Resamples) -> Figure:
    """The main figure of what these names tell; the expected grade is decided."""
    seen, columns_NF = np.unique(sample.truth_N), [names_N[:, None] == np.unique(names_N) for names_N in names_NF.T]
    p_NK = np.zeros((len(sample), len(sample.target.grades)))
    p_NK[:, seen] = 1 if len(seen) == 1 else _fitted(np.concatenate(columns_NF, axis=1).astype(float), sample.truth_N)
    decided_N = np.round(p_NK @ np.arange(p_NK.shape[1])).astype(int)
    return main_figure(replace(sample, probabilities_NK=p_NK, grade_N=decided_N), resamples)


def _fitted(columns_NF: Floats, truth_N: Indices) -> Floats:
    return np.asarray(LogisticRegression(max_iter=1000).fit(columns_NF, truth_N).predict_proba(columns_NF))


def areas(sample: Sample, resamples: Resamples, question: Question | None = None) -> dict[str, Figure]:
    """Area of "present", or of another question: over all pairs of discs, over pairs at one level, over pairs in one
    patient, and of patients by their highest disc."""
    question = question or PRESENCE[sample.target.name]
    positive_N, score_N = sample.truth_N >= question.first, score(sample, question)
    patient_N = sample.patient_N
    pooled_C = auc(positive_N, score_N, patient_N, resamples)
    by_class = patient_N[positive_N], patient_N[~positive_N]
    present_P = np.unique(patient_N)
    any_P = np.bincount(patient_N, positive_N, resamples.patients)[present_P] > 0
    highest_P = np.full(resamples.patients, -np.inf)
    np.maximum.at(highest_P, patient_N, score_N)
    anywhere_C = auc(any_P, highest_P[present_P], present_P, resamples)
    return {
        "pooled": Figure(resting(pooled_C, *by_class)),
        "within_level": Figure(resting(_within_level(sample, positive_N, score_N, resamples), *by_class)),
        "within_patient": _within_patient(patient_N, positive_N, score_N, resamples),
        "anywhere": Figure(resting(anywhere_C, present_P[any_P], present_P[~any_P])),
    }


def _within_level(sample: Sample, positive_N: NDArray[np.bool_], score_N: Floats, resamples: Resamples) -> Floats:
    right_C = pairs_C = np.zeros(len(resamples.weights_CP))
    for level in np.unique(sample.level_N):
        here_N = sample.level_N == level
        patient_N = sample.patient_N[here_N]
        area_C = auc(positive_N[here_N], score_N[here_N], patient_N, resamples)
        discs_C, positives_C = resamples.totals(patient_N, positive_N[here_N]).T
        met_C = positives_C * (discs_C - positives_C)
        right_C, pairs_C = right_C + np.nan_to_num(area_C) * met_C, pairs_C + met_C
    return ratio(right_C, pairs_C)


def _within_patient(patient_N: Indices, positive_N: NDArray[np.bool_], score_N: Floats, resamples: Resamples) -> Figure:
    """A patient's pairs count as often as the patient is drawn."""
    right_P, pairs_P = np.zeros(resamples.patients), np.zeros(resamples.patients)
    for patient in np.unique(patient_N[positive_N]):
        mine_N = patient_N == patient
        with_it, without = score_N[mine_N & positive_N, None], score_N[mine_N & ~positive_N]
        right_P[patient] = (with_it > without).sum() + (with_it == without).sum() / 2
        pairs_P[patient] = with_it.size * without.size
    values_C = ratio(resamples.weights_CP @ right_P, resamples.weights_CP @ pairs_P)
    return Figure(resting(values_C, np.flatnonzero(pairs_P)))


def _count(sample: Sample, resamples: Resamples) -> tuple[dict[str, Estimate], int]:
    """Called and true findings, patient by patient and level by level."""
    question = PRESENCE[sample.target.name]
    positive_N, called_N = sample.truth_N >= question.first, answered(sample, question, None)
    present_P = np.unique(sample.patient_N)
    missed_P, false_P = (
        np.bincount(sample.patient_N, wrong_N, resamples.patients)[present_P]
        for wrong_N in (positive_N & ~called_N, ~positive_N & called_N)
    )
    counts = {"errors": missed_P + false_P, "missed": missed_P, "false_calls": false_P}
    found = {name: mean_of(count_P, present_P, resamples, bca) for name, count_P in counts.items()}
    found["wholly_right"] = mean_of(counts["errors"] == 0, present_P, resamples)
    return estimates(found, resamples), int((np.minimum(missed_P, false_P) > 0).sum())


def twins(cohort: Cohort) -> Twins | None:
    """The end-plates of one disc taken together; None where not both are graded."""
    graded = [cohort.graded.get(name) for name in TWINS]
    if graded[0] is None or graded[1] is None:
        return None
    tables = [
        cohort.frame.loc[one.row_N, ["study", "level"]].assign(
            truth=one.truth_N, p=one.probabilities_NK[:, 1], patient=one.patient_N
        )
        for one in graded
        if one is not None
    ]
    both = tables[0].merge(tables[1].drop(columns="patient"), on=["study", "level"], suffixes=("", "_other"))
    if both.empty:
        return None
    resamples, patient_N = cohort.resamples, both["patient"].to_numpy(int)
    alike_N = (both["truth"] == both["truth_other"]).to_numpy()
    either_N = both[["truth", "truth_other"]].max(axis=1).to_numpy() > 0
    area_C = auc(either_N, both[["p", "p_other"]].max(axis=1).to_numpy(), patient_N, resamples)
    apart = both[~alike_N]
    lead_N = np.sign((apart["p"] - apart["p_other"]) * (apart["truth"] - apart["truth_other"])).to_numpy() / 2 + 0.5
    return Twins(
        n=len(both),
        alike=mean_of(alike_N, patient_N, resamples).estimate(resamples),
        either=Figure(resting(area_C, patient_N[either_N], patient_N[~either_N])).estimate(resamples),
        differing=len(apart),
        patients=apart["patient"].nunique(),
        told_apart=mean_of(lead_N, patient_N[~alike_N], resamples).estimate(resamples),
    )
