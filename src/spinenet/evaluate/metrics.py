"""Every figure of one target on one set of discs, for all columns of weights at once, with its kind of interval.

Shape letters: C columns of weights, N discs, K grades.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from spinenet.evaluate import agreement
from spinenet.evaluate.agreement import ratio
from spinenet.evaluate.intervals import (
    Estimate,
    Floats,
    Indices,
    Interval,
    Resamples,
    bca,
    patients_of,
    percentile,
    reflected,
    share,
    without_interval,
)
from spinenet.evaluate.probability import (
    brier_errors,
    calibration_error,
    calibration_line,
    equal_mass,
    equal_width,
    log_losses,
)
from spinenet.evaluate.questions import NORMAL_BELOW, PRESENCE, SEVERE, Question
from spinenet.evaluate.ranking import auc_and_precision
from spinenet.evaluate.samples import Sample
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


def figures_of(sample: Sample, resamples: Resamples, threshold: float | None = None) -> dict[str, Figure]:
    """Figures of a target's grades, of the question whether the finding is present, and of its probabilities.

    ``sample`` holds graded discs only. ``threshold`` is the probability from which a disc counts as present; None
    takes the decided grades.
    """
    figures = dict(_of_grades(sample, resamples))
    figures |= answer_figures(sample, PRESENCE[sample.target.name], resamples, threshold)
    figures |= dict(_of_probabilities(sample, resamples))
    figures |= dict(_of_confidence(sample, resamples))
    return _where_patients_vary(figures, sample)


def severe_figures(sample: Sample, resamples: Resamples, threshold: float | None = None) -> dict[str, Figure]:
    """Figures of the question whether a disc is severe, for an ordinal target; empty for others."""
    question = SEVERE[sample.target.name]
    if question is None:
        return {}
    figures = answer_figures(sample, question, resamples, threshold)
    severe_N = sample.truth_N >= question.first
    normal_N = sample.grade_N[severe_N] < NORMAL_BELOW[sample.target.name]
    severe_C, overlooked_C = resamples.totals(sample.patient_N[severe_N], normal_N).T
    figures["called_normal"] = _share(ratio(overlooked_C, severe_C), sample.patient_N[severe_N])
    return _where_patients_vary(figures, sample)


def answer_figures(
    sample: Sample, question: Question, resamples: Resamples, threshold: float | None = None
) -> dict[str, Figure]:
    """How well a yes-or-no question is answered and ranked."""
    positive_N, score_N = sample.truth_N >= question.first, score(sample, question)
    called_N = answered(sample, question, threshold)
    area_C, precision_C = auc_and_precision(positive_N, score_N, sample.patient_N, resamples)
    counts_CKK = confusions_of(positive_N.astype(int), called_N.astype(int), 2, sample.patient_N, resamples)
    recall_CK, precision_CK = agreement.recall(counts_CKK), agreement.precision(counts_CKK)
    patient_N = sample.patient_N
    return {
        "auc": Figure(area_C),
        "average_precision": Figure(precision_C),
        "sensitivity": _share(recall_CK[:, 1], patient_N[positive_N]),
        "specificity": _share(recall_CK[:, 0], patient_N[~positive_N]),
        "ppv": _share(precision_CK[:, 1], patient_N[called_N]),
        "npv": _share(precision_CK[:, 0], patient_N[~called_N]),
        "prevalence": _share(ratio(counts_CKK[:, 1].sum(axis=1), counts_CKK.sum(axis=(1, 2))), patient_N),
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


def agreement_figures(confusion_CKK: Floats, scale: Scale) -> dict[str, Figure]:
    """Chance-corrected agreement, weighted by distance where the grades have an order."""
    measures: dict[str, Callable[[Floats], Floats]] = {"kappa": agreement.cohen_kappa}
    if scale is Scale.ORDINAL:
        measures = {"quadratic_kappa": agreement.quadratic_kappa, "linear_kappa": agreement.linear_kappa}
    measures["gwet_ac1"] = agreement.gwet_ac1
    return {name: Figure(measure(confusion_CKK)) for name, measure in measures.items()}


def stated_and_happened(sample: Sample, probabilities_NK: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """What the calibration errors compare, both (N,).

    Of a binary target P(present) and presence, of others the top probability and whether its grade is true.
    """
    if sample.target.scale is Scale.BINARY:
        return probabilities_NK[:, 1], sample.truth_N == 1
    return probabilities_NK.max(axis=1), probabilities_NK.argmax(axis=1) == sample.truth_N


def _of_grades(sample: Sample, resamples: Resamples) -> Iterator[tuple[str, Figure]]:
    confusion_CKK = confusions(sample, resamples)
    yield from agreement_figures(confusion_CKK, sample.target.scale).items()
    yield "matthews", Figure(agreement.matthews(confusion_CKK))
    # A mean over grades is undefined in a draw that lost a grade, so that all draws average the same grades.
    occurs_K = np.bincount(sample.truth_N, minlength=confusion_CKK.shape[1]) > 0
    lost_C = (occurs_K & (confusion_CKK.sum(axis=2) == 0)).any(axis=1)
    for name, mean in (("macro_f1", agreement.macro_f1), ("balanced_accuracy", agreement.balanced_accuracy)):
        yield name, Figure(np.where(lost_C, np.nan, mean(confusion_CKK)))
    yield "accuracy", Figure(agreement.accuracy(confusion_CKK))


def _of_probabilities(sample: Sample, resamples: Resamples) -> Iterator[tuple[str, Figure]]:
    patient_N = sample.patient_N
    losses_N = [errors(sample.truth_N, sample.probabilities_NK) for errors in (brier_errors, log_losses)]
    discs_C, brier_C, log_C = resamples.totals(patient_N, *losses_N).T
    yield "brier", Figure(ratio(brier_C, discs_C))
    yield "log_loss", Figure(ratio(log_C, discs_C))
    stated_N, happened_N = stated_and_happened(sample, sample.probabilities_NK)
    for name, bins in (("ece", equal_width), ("ece_adaptive", equal_mass)):
        error_C = calibration_error(stated_N, happened_N, bins(stated_N), patient_N, resamples)
        yield name, Figure(error_C, reflected)
    if sample.uncalibrated_NK is not None:
        stated_N, happened_N = stated_and_happened(sample, sample.uncalibrated_NK)
        error_C = calibration_error(stated_N, happened_N, equal_width(stated_N), patient_N, resamples)
        yield "ece_uncalibrated", Figure(error_C, reflected)
    question = PRESENCE[sample.target.name]
    is_present_N = sample.truth_N >= question.first
    slope_C, intercept_C = calibration_line(score(sample, question), is_present_N, patient_N, resamples)
    yield "calibration_slope", Figure(slope_C, percentile)
    yield "calibration_intercept", Figure(intercept_C, percentile)


def _of_confidence(sample: Sample, resamples: Resamples) -> Iterator[tuple[str, Figure]]:
    """How many grades are stood by and how many of those are wrong, of all discs and of those decided as findings."""
    finding_N = sample.grade_N >= PRESENCE[sample.target.name].first
    for among, mask_N in (("", np.ones(len(sample), bool)), ("finding_", finding_N)):
        confident_N = mask_N & sample.confident_N
        wrong_N = sample.grade_N[confident_N] != sample.truth_N[confident_N]
        discs_C = resamples.totals(sample.patient_N[mask_N])[:, 0]
        called_C, wrong_C = resamples.totals(sample.patient_N[confident_N], wrong_N).T
        yield f"{among}coverage", _share(ratio(called_C, discs_C), sample.patient_N[mask_N])
        yield f"confident_{among}error", _share(ratio(wrong_C, called_C), sample.patient_N[confident_N])


def _share(values_C: Floats, patient_N: Indices) -> Figure:
    """A share, with an interval that knows of how many patients the discs are that it is of."""
    return Figure(values_C, partial(share, patients=patients_of(patient_N)))


def _where_patients_vary(figures: dict[str, Figure], sample: Sample) -> dict[str, Figure]:
    return {
        name: Figure(without_interval(figure.values_C, sample.patient_N), figure.interval)
        for name, figure in figures.items()
    }


def difference(first: Figure, second: Figure) -> Figure:
    """First minus second in every column: a paired comparison, because both weigh the same patients alike."""
    return Figure(first.values_C - second.values_C, percentile)


def main_figure(sample: Sample, resamples: Resamples) -> Figure:
    """The figure of MAIN alone: quadratic kappa of an ordinal target, else the area of "present"."""
    if sample.target.scale is Scale.ORDINAL:
        values_C = agreement.quadratic_kappa(confusions(sample, resamples))
    else:
        question = PRESENCE[sample.target.name]
        positive_N = sample.truth_N >= question.first
        values_C, _ = auc_and_precision(positive_N, score(sample, question), sample.patient_N, resamples)
    return Figure(without_interval(values_C, sample.patient_N))


def error_figure(sample: Sample, resamples: Resamples) -> Figure:
    """Share of the discs decided wrongly."""
    discs_C, wrong_C = resamples.totals(sample.patient_N, sample.grade_N != sample.truth_N).T
    return Figure(without_interval(ratio(wrong_C, discs_C), sample.patient_N))
