"""One figure of one target that must hold, and how it is computed. Shapes: N discs, C columns of weights."""

from dataclasses import dataclass, replace

import numpy as np

from spinenet.evaluate import estimates
from spinenet.evaluate.discrimination import areas
from spinenet.evaluate.estimates import Figure, answer_figures, answered, figures_of, mean_of, score, severe_figures
from spinenet.evaluate.intervals import FEWEST_PATIENTS, Resamples, bca, once
from spinenet.evaluate.report import METRIC_WORDS
from spinenet.evaluate.samples import PRESENCE, SEVERE, Question, Sample, target_named
from spinenet.labels import TARGET, UNKNOWN

OF_DISCS, OF_PATIENTS = "disc", "patient"
OWN_FIGURES = {
    "graded": "Share of labelled discs graded",
    "false_calls": "False calls a patient",
    "anywhere": "AUC of patients by their highest disc",
    "within_level": "AUC within a level",
    "within_patient": "AUC within a patient",
}
"""Figures of a bar beside those of ``metrics.json``, in words."""
IN_WORDS = OWN_FIGURES | {"calibration_slope": "Calibration slope", "calibration_intercept": "Calibration intercept"}
OF_GRADES = (
    "quadratic_kappa",
    "linear_kappa",
    "kappa",
    "gwet_ac1",
    "matthews",
    "macro_f1",
    "balanced_accuracy",
    "accuracy",
    "graded",
)
"""Figures of all grades, not of the question whether a disc has the finding."""
CALLED = ("sensitivity", "specificity", "ppv", "npv", "false_calls")
"""Figures of calls, which a threshold may make."""
OF_ALL = ("graded", "sensitivity")
"""Figures of all that is labelled: what could not be read is not graded, and what it has was not found."""
OF_PATIENTS_ALONE = ("graded", "false_calls")
"""Figures that rest on all patients, whether or not they have the finding."""
LOWER_IS_BETTER = (*estimates.LOWER_IS_BETTER, "false_calls", "confident_error", "confident_finding_error")
WITHOUT_LIMIT = ("false_calls", "calibration_slope", "calibration_intercept", "brier", "log_loss")
"""Figures that may be above 1."""


@dataclass(frozen=True)
class Bar:
    """``figure`` of ``target`` must be at ``least``, or at ``most``, so high, by its whole 95 % interval.

    ``question`` is "presence" or "severe"; with ``unit`` "patient" a patient has what any of the discs has.
    ``threshold`` is the probability from which it is called, the decided grade without one. Fewer than ``patients``
    with the finding are too few.
    """

    target: str
    figure: str
    least: float | None = None
    most: float | None = None
    patients: int = FEWEST_PATIENTS
    question: str = "presence"
    unit: str = OF_DISCS
    threshold: float | None = None

    @property
    def limit(self) -> float:
        """What ``least`` or ``most`` says."""
        return float(self.least if self.least is not None else self.most or 0.0)

    @property
    def words(self) -> str:
        """The bar in a line."""
        asked = (SEVERE if self.question == "severe" else PRESENCE)[self.target]
        called = "" if self.threshold is None else f", called from {self.threshold:g}"
        limit = f"at least {self.least:g}" if self.most is None else f"at most {self.most:g}"
        title, figure = target_named(self.target).title, IN_WORDS.get(self.figure) or METRIC_WORDS[self.figure][0]
        about = "" if self.figure in OF_GRADES or not asked else f" ({asked.title}, by {self.unit}{called})"
        return f"{title}{about}: {figure} {limit}"


def known_figures(bar: Bar) -> list[str]:
    """What can be judged of such a bar, as it is found of two discs."""
    target, two = TARGET[bar.target], np.arange(2)
    chances = np.eye(len(target.grades))[:2]
    sample = Sample(target, two * 0, two * 0, chances, None, two > 0, patient_N=two, level_N=two, row_N=two)
    own = () if bar.unit == OF_PATIENTS else OWN_FIGURES
    return [*_answers(bar, question_of(bar), sample, once(2)), *own]


def question_of(bar: Bar) -> Question:
    """The yes-or-no question that a bar is about."""
    severe = SEVERE[bar.target]
    return severe if bar.question == "severe" and severe else PRESENCE[bar.target]


def figure_of(bar: Bar, question: Question, sample: Sample, resamples: Resamples) -> Figure:
    """A bar's figure of a sample that holds what was not graded too."""
    if bar.figure == "sensitivity":
        return _sensitivity(bar, question, sample, resamples)
    if bar.figure == "graded":
        return mean_of(sample.grade_N != UNKNOWN, sample.patient_N, resamples)
    graded = sample.predicted
    if bar.figure == "false_calls":
        return _false_calls(bar, question, graded, resamples)
    if bar.figure in OWN_FIGURES:
        return areas(graded, resamples, question)[bar.figure]
    return _answers(bar, question, graded, resamples)[bar.figure]


def _answers(bar: Bar, question: Question, sample: Sample, resamples: Resamples) -> dict[str, Figure]:
    """Those of ``metrics.json`` for the question and the unit of a bar."""
    if bar.unit == OF_PATIENTS:
        return answer_figures(by_patient(sample, question, bar.threshold), question, resamples)
    figures = severe_figures if bar.question == "severe" else figures_of
    return figures(sample, resamples, bar.threshold)


def _sensitivity(bar: Bar, question: Question, sample: Sample, resamples: Resamples) -> Figure:
    """Share found of all discs, or patients, with the finding: what could not be read did not find it."""
    threshold = bar.threshold
    if bar.unit == OF_PATIENTS:
        sample, threshold = by_patient(sample, question, threshold), None
    positive_N = sample.truth_N >= question.first
    return mean_of(answered(sample, question, threshold)[positive_N], sample.patient_N[positive_N], resamples)


def _false_calls(bar: Bar, question: Question, sample: Sample, resamples: Resamples) -> Figure:
    """Calls without the finding, a patient."""
    present_P = np.unique(sample.patient_N)
    false_N = answered(sample, question, bar.threshold) & (sample.truth_N < question.first)
    false_P = np.bincount(sample.patient_N, false_N, resamples.patients)[present_P]
    return mean_of(false_P, present_P, resamples, bca)


def by_patient(sample: Sample, question: Question, threshold: float | None) -> Sample:
    """One row a patient: true where any disc is, called where any is, with the highest score; grades are 0 and the
    first that means yes."""
    score_N, called_N = score(sample, question), answered(sample, question, threshold)
    rows = [np.flatnonzero(sample.patient_N == patient) for patient in np.unique(sample.patient_N)]
    first = np.array([mine[0] for mine in rows])
    worst = np.array([mine[np.argmax(score_N[mine])] for mine in rows])
    yes = np.array([[(sample.truth_N[mine] >= question.first).any(), called_N[mine].any()] for mine in rows])
    one = sample.where(np.isin(np.arange(len(sample)), first))
    return replace(
        one,
        truth_N=yes[:, 0] * question.first,
        grade_N=yes[:, 1] * question.first,
        probabilities_NK=sample.probabilities_NK[worst],
        uncalibrated_NK=None,
    )
