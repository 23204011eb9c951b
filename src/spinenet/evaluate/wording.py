"""How often is the page right when it says something so surely? Discs by the words in which a finding is said of them.

The words are those of ``report.certainty``, of the same grade, probabilities and prediction set; what a reader makes of
them differs from the decided grade, whose errors the other figures count. Experimental grades are said with a question
mark and in no such words.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spinenet.evaluate.estimates import estimates, mean_of
from spinenet.evaluate.intervals import Estimate, Resamples, patients_of
from spinenet.evaluate.samples import PRESENCE, PROBABILITIES, SIDES, Cohort, Sample
from spinenet.labels import UNKNOWN, is_experimental
from spinenet.report.certainty import POSSIBLE, Certainty, reading_of
from spinenet.study import Prediction

NOT_MENTIONED = "not mentioned"
PLAINLY = "said plainly"
SAID = (PLAINLY, Certainty.LIKELY.value, POSSIBLE, Certainty.OPEN.value)
"""How a finding is said, the surest first."""


@dataclass(frozen=True)
class Said:
    """Discs of which a finding is said in these ``words``: how many have it, and what a reader finds who takes these
    words and all surer ones for a finding (not of what is not mentioned)."""

    words: str
    discs: int
    patients: int
    have_it: Estimate
    sensitivity: Estimate | None
    specificity: Estimate | None


@dataclass(frozen=True)
class Wording:
    """One target: its graded discs with a label, how many have the finding, and each way of saying it."""

    target: str
    n: int
    positives: int
    by_grade: Estimate
    said: tuple[Said, ...]


def wordings(cohort: Cohort) -> Iterator[Wording]:
    """Every target whose prediction sets are known and whose grades are no experiment."""
    if "grade_set" not in cohort.frame:
        return
    rows: list[dict[str, Any]] = cohort.frame.to_dict("records")
    for name, sample in cohort.graded.items():
        mine = [rows[index] for index in sample.row_N]
        if name not in SIDES and not any(is_experimental(str(row.get("evidence", ""))) for row in mine):
            yield _wording(sample, np.array([_place(row) for row in mine]), cohort.resamples)


def _place(row: Mapping[str, Any]) -> int:
    """Of a table's row: index into SAID, or past its end where no finding is mentioned."""
    probabilities = tuple(float(row[name]) for name in PROBABILITIES if row[name] == row[name])
    grade_set = tuple(map(int, str(row["grade_set"]).split()))
    said = reading_of(
        Prediction(row["level"], row["target"], int(row["grade"]), probabilities, row["confident"], grade_set=grade_set)
    )
    return SAID.index(said.word or PLAINLY) if said.is_finding else len(SAID)


def _wording(sample: Sample, place_N: np.ndarray, resamples: Resamples) -> Wording:
    first, patient_N = PRESENCE[sample.target.name].first, sample.patient_N
    positive_N, found_N = sample.truth_N >= first, (sample.grade_N != UNKNOWN) & (sample.grade_N >= first)
    by_grade = mean_of(found_N[positive_N], patient_N[positive_N], resamples)
    said = []
    for place, words in enumerate([*SAID, NOT_MENTIONED]):
        here_N, called_N = place_N == place, place_N <= place
        figures = {"have_it": mean_of(positive_N[here_N], patient_N[here_N], resamples)}
        if words != NOT_MENTIONED:
            figures["sensitivity"] = mean_of(called_N[positive_N], patient_N[positive_N], resamples)
            figures["specificity"] = mean_of(~called_N[~positive_N], patient_N[~positive_N], resamples)
        found = {"sensitivity": None, "specificity": None, **estimates(figures, resamples)}
        said.append(Said(words, int(here_N.sum()), patients_of(patient_N[here_N]), **found))  # type: ignore[arg-type]
    positives = int(positive_N.sum())
    return Wording(sample.target.name, len(sample), positives, by_grade.estimate(resamples), tuple(said))
