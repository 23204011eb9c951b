"""Every figure of one target on one set of discs, for all columns of weights at once, with its kind of interval.

Shape letters: C columns of weights, N discs, K grades.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinenet.evaluate import metrics
from spinenet.evaluate.intervals import (
    Estimate,
    Floats,
    Indices,
    Interval,
    Resamples,
    bca,
    jackknife,
    patients_of,
    percentile,
    reflected,
    resting,
    share,
)
from spinenet.evaluate.metrics import ratio
from spinenet.evaluate.samples import NORMAL_BELOW, PRESENCE, SEVERE, Question, Sample
from spinenet.labels import Scale


@dataclass(frozen=True)
class Figure:
    """A figure's value in every column of weights (C,), and how its interval is made of them."""

    values_C: Floats
    interval: Interval = bca

    def estimate(self, resamples: Resamples) -> Estimate:
        """The sample's value with its interval."""
        return self.interval(self.values_C, resamples)


MAIN = {Scale.ORDINAL: "quadratic_kappa", Scale.NOMINAL: "auc", Scale.BINARY: "auc"}
"""The one figure that stands for a target where there is room for one."""

CHANCE = {"quadratic_kappa": 0.0, "auc": 0.5}
"""What a main figure is for a rater who guesses."""

LOWER_IS_BETTER = ("brier", "log_loss", "ece", "ece_adaptive", "ece_uncalibrated", "called_normal")
NEITHER_IS_BETTER = ("prevalence", "coverage", "finding_coverage", "calibration_slope", "calibration_intercept")


def figures_of(sample: Sample, resamples: Resamples, threshold: float | None = None) -> dict[str, Figure]:
    """Figures of a target's grades, of the question whether the finding is present, and of its probabilities.

    ``sample`` holds graded discs only. ``threshold`` is the probability from which a disc counts as present; None
    takes the decided grades.
    """
    by_class = _classes(sample, PRESENCE[sample.target.name])
    figures = dict(_of_grades(sample, by_class, resamples))
    figures |= answer_figures(sample, PRESENCE[sample.target.name], resamples, threshold)
    figures |= dict(_of_probabilities(sample, by_class, resamples))
    return figures | dict(_of_confidence(sample, resamples))


def _classes(sample: Sample, question: Question) -> tuple[Indices, Indices]:
    """Whose discs have the finding, and whose have not: a figure that needs both rests on the fewer patients."""
    positive_N = sample.truth_N >= question.first
    return sample.patient_N[positive_N], sample.patient_N[~positive_N]


def severe_figures(sample: Sample, resamples: Resamples, threshold: float | None = None) -> dict[str, Figure]:
    """Figures of the question whether a disc is severe, for an ordinal target; empty for others."""
    question = SEVERE[sample.target.name]
    if question is None:
        return {}
    figures = answer_figures(sample, question, resamples, threshold)
    severe_N = sample.truth_N >= question.first
    normal_N = sample.grade_N[severe_N] < NORMAL_BELOW[sample.target.name]
    figures["called_normal"] = mean_of(normal_N, sample.patient_N[severe_N], resamples)
    return figures


def answer_figures(
    sample: Sample, question: Question, resamples: Resamples, threshold: float | None = None
) -> dict[str, Figure]:
    """How well a yes-or-no question is answered and ranked."""
    positive_N, score_N = sample.truth_N >= question.first, score(sample, question)
    called_N = answered(sample, question, threshold)
    area_C, precision_C = metrics.auc_and_precision(positive_N, score_N, sample.patient_N, resamples)
    patient_N, by_class = sample.patient_N, _classes(sample, question)
    return {
        "auc": Figure(resting(area_C, *by_class)),
        "average_precision": Figure(resting(precision_C, *by_class), jackknife),
        "sensitivity": mean_of(called_N[positive_N], patient_N[positive_N], resamples),
        "specificity": mean_of(~called_N[~positive_N], patient_N[~positive_N], resamples),
        "ppv": mean_of(positive_N[called_N], patient_N[called_N], resamples),
        "npv": mean_of(~positive_N[~called_N], patient_N[~called_N], resamples),
        "prevalence": Figure(resting(mean_of(positive_N, patient_N, resamples).values_C, by_class[0])),
    }


def score(sample: Sample, question: Question) -> Floats:
    """Probability (N,) that the answer is yes."""
    return sample.probabilities_NK[:, question.first :].sum(axis=1)


def answered(sample: Sample, question: Question, threshold: float | None) -> NDArray[np.bool_]:
    """Whether the answer is yes (N,): by the decided grade, or by a threshold on its probability."""
    return sample.grade_N >= question.first if threshold is None else score(sample, question) >= threshold


def confusions(sample: Sample, resamples: Resamples) -> Floats:
    """(C, K, K) weighted counts, rows the truth, columns the decided grade."""
    return confusions_of(sample.truth_N, sample.grade_N, len(sample.target.grades), sample.patient_N, resamples)


def confusions_of(first_N: Indices, second_N: Indices, grades: int, patient_N: Indices, resamples: Resamples) -> Floats:
    """(C, K, K) weighted counts of two sets of grade indices."""
    counts = resamples.counts(patient_N, first_N * grades + second_N, grades**2)
    return counts.reshape(-1, grades, grades)


def agreement_figures(confusion_CKK: Floats, scale: Scale, *patients_N: Indices) -> dict[str, Figure]:
    """Chance-corrected agreement, where the grades have an order with weights too; it rests on these patients."""
    measures: dict[str, Callable[[Floats], Floats]] = {"kappa": metrics.cohen_kappa, "gwet_ac1": metrics.gwet_ac1}
    if scale is Scale.ORDINAL:
        measures |= {"quadratic_kappa": metrics.quadratic_kappa, "linear_kappa": metrics.linear_kappa}
    return {name: Figure(resting(measure(confusion_CKK), *patients_N)) for name, measure in measures.items()}


def stated_and_happened(sample: Sample, probabilities_NK: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """What the calibration errors compare, both (N,).

    Of a binary target P(present) and presence, of others the top probability and whether its grade is true.
    """
    if sample.target.scale is Scale.BINARY:
        return probabilities_NK[:, 1], sample.truth_N == 1
    return probabilities_NK.max(axis=1), probabilities_NK.argmax(axis=1) == sample.truth_N


def _of_grades(sample: Sample, by_class: tuple[Indices, Indices], resamples: Resamples) -> Iterator[tuple[str, Figure]]:
    confusion_CKK = confusions(sample, resamples)
    yield from agreement_figures(confusion_CKK, sample.target.scale, *by_class).items()
    yield "matthews", Figure(resting(metrics.matthews(confusion_CKK), *by_class))
    yield "accuracy", mean_of(sample.grade_N == sample.truth_N, sample.patient_N, resamples, bca)
    yield "macro_f1", _mean_over_grades(sample, confusion_CKK, metrics.macro_f1)
    yield "balanced_accuracy", _mean_over_grades(sample, confusion_CKK, metrics.balanced_accuracy)
    probable = replace(sample, grade_N=sample.probabilities_NK.argmax(axis=1))
    if (probable.grade_N != sample.grade_N).any():
        neutral = _mean_over_grades(sample, confusions(probable, resamples), metrics.macro_f1)
        decided = _mean_over_grades(sample, confusion_CKK, metrics.macro_f1)
        yield "macro_f1_neutral", neutral
        yield "macro_f1_gain", difference(decided, neutral)


def _mean_over_grades(sample: Sample, confusion_CKK: Floats, mean: Callable[[Floats], Floats]) -> Figure:
    """Undefined in a draw that lost a grade, so that all draws average the same grades; rests on the rarest grade."""
    occurring = np.unique(sample.truth_N)
    lost_C = (confusion_CKK[:, occurring].sum(axis=2) == 0).any(axis=1)
    by_grade = (sample.patient_N[sample.truth_N == grade] for grade in occurring)
    return Figure(resting(np.where(lost_C, np.nan, mean(confusion_CKK)), *by_grade))


def _of_probabilities(
    sample: Sample, by_class: tuple[Indices, Indices], resamples: Resamples
) -> Iterator[tuple[str, Figure]]:
    patient_N, grades = sample.patient_N, sample.probabilities_NK.shape[1]
    losses_N = [
        errors(sample.truth_N, sample.probabilities_NK) for errors in (metrics.brier_errors, metrics.log_losses)
    ]
    discs_C, brier_C, log_C = resamples.totals(patient_N, *losses_N).T
    counts_CK = resamples.counts(patient_N, sample.truth_N, grades)
    brier_C, uninformed_C = ratio(brier_C, discs_C), metrics.brier_of_prevalence(counts_CK)
    yield "brier", Figure(resting(brier_C, *by_class))
    yield "brier_skill", Figure(resting(1 - ratio(brier_C, uninformed_C), *by_class))
    yield "log_loss", Figure(resting(ratio(log_C, discs_C), *by_class))
    asked = {"ece": metrics.equal_width, "ece_adaptive": metrics.equal_mass}
    tables = [(name, sample.probabilities_NK, bins) for name, bins in asked.items()]
    if sample.uncalibrated_NK is not None:
        tables.append(("ece_uncalibrated", sample.uncalibrated_NK, metrics.equal_width))
    for name, p_NK, bins in tables:
        stated_N, happened_N = stated_and_happened(sample, p_NK)
        error_C = metrics.calibration_error(stated_N, happened_N, bins(stated_N), patient_N, resamples)
        yield name, Figure(resting(error_C, *by_class), reflected)
    question = PRESENCE[sample.target.name]
    positive_N = sample.truth_N >= question.first
    line = metrics.calibration_line(score(sample, question), positive_N, patient_N, resamples)
    for name, values_C in zip(("calibration_slope", "calibration_intercept"), line, strict=True):
        yield name, Figure(resting(values_C, *by_class), percentile)


def _of_confidence(sample: Sample, resamples: Resamples) -> Iterator[tuple[str, Figure]]:
    """How many grades are stood by and how many of those are wrong, of all discs and of those decided as findings."""
    wrong_N, finding_N = sample.grade_N != sample.truth_N, sample.grade_N >= PRESENCE[sample.target.name].first
    for among, mask_N in (("", np.ones(len(sample), bool)), ("finding_", finding_N)):
        confident_N = mask_N & sample.confident_N
        yield f"{among}coverage", mean_of(sample.confident_N[mask_N], sample.patient_N[mask_N], resamples)
        yield f"confident_{among}error", mean_of(wrong_N[confident_N], sample.patient_N[confident_N], resamples)


def mean_of(
    values_N: NDArray[Any], patient_N: Indices, resamples: Resamples, interval: Interval | None = None
) -> Figure:
    """The mean over discs, or over anything else of patients; where no other ``interval`` is named, that of a share,
    which knows of how many patients the discs are."""
    discs_C, sum_C = resamples.totals(patient_N, values_N).T
    values_C = resting(ratio(sum_C, discs_C), patient_N)
    return Figure(values_C, interval or partial(share, patients=patients_of(patient_N)))


def difference(first: Figure, second: Figure) -> Figure:
    """First minus second in every column: a paired comparison, because both weigh the same patients alike."""
    return Figure(first.values_C - second.values_C, percentile)


def main_figure(sample: Sample, resamples: Resamples) -> Figure:
    """The figure of MAIN alone: quadratic kappa of an ordinal target, else the area of "present"."""
    question = PRESENCE[sample.target.name]
    if sample.target.scale is Scale.ORDINAL:
        values_C = metrics.quadratic_kappa(confusions(sample, resamples))
    else:
        positive_N = sample.truth_N >= question.first
        values_C = metrics.auc(positive_N, score(sample, question), sample.patient_N, resamples)
    return Figure(resting(values_C, *_classes(sample, question)))


def estimates(figures: dict[str, Figure], resamples: Resamples) -> dict[str, Estimate]:
    """Values with intervals."""
    return {name: figure.estimate(resamples) for name, figure in figures.items()}
