"""How a grade is said: plainly, as likely or possible, or as what cannot be excluded; never just "uncertain".

Said plainly is what the model stands by. Of the others, a finding that is more probable than not is likely, and one
that the model decides for though it is less probable (by a cut, as for rare findings) is possible. One that it decides
against, and that is yet in the prediction set or above what the set may miss, cannot be excluded. What is left is
likely unremarkable.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from spinenet.labels import TARGET, Scale, Target
from spinenet.model.conformal import COVERAGE
from spinenet.report.findings import LIKELY, chance, short_words
from spinenet.study import Prediction


class Certainty(StrEnum):
    """How far a grade is stood by; each value is the word before the grade (``Reading.word``)."""

    STANDS = ""
    LIKELY = "likely"
    OPEN = "cannot exclude"


BY_READER = {"reader": "by the reader", "approved": "approved by the reader"}
"""What is said in the place of a probability of grades with this evidence."""
POSSIBLE = "possible"
"""Said instead of "likely" where that is less probable than not."""
PLAINLY = "Said plainly: the model stands by it."
PLAINLY_OF_A_READER = (
    "Said plainly: the reader gave or approved it, as stands below it; where a per cent stands instead, the model "
    "stands by it."
)
LOCATOR_ERRORS = "to about 1 mm (height) and 3 mm (canal depth, slip)"
"""How well sizes are known that the locator alone gave."""
EXPLAINED = (
    "Likely: more probable than not, and the model does not stand by it. "
    "Possible: less probable than not, and yet what the model decides for, as of rare findings. Cannot exclude: the "
    f"model decides against it, and yet it is among the grades that hold the true one of {COVERAGE:.0%} of such discs, "
    "or more probable than they leave out."
).replace("90%", "90 %")


@dataclass(frozen=True)
class Reading:
    """A grade as it is said: which ``grades`` (published values, in order), how surely, and their probability, or of
    what cannot be excluded that of any finding.

    ``is_finding`` tells a finding from what is unremarkable.
    """

    certainty: Certainty
    grades: tuple[int, ...]
    share: float
    is_finding: bool

    @property
    def percent(self) -> int:
        """Its probability in per cent, never 100: no grade is certain."""
        return min(round(100 * self.share), 99)

    @property
    def word(self) -> str:
        """The word before the grade."""
        is_less = self.certainty is Certainty.LIKELY and self.is_finding and self.share < LIKELY
        return POSSIBLE if is_less else self.certainty.value


def reading_of(prediction: Prediction) -> Reading:
    """How one grade is said.

    >>> reading_of(Prediction("L4/L5", "canal_stenosis", 1, (0.1, 0.5, 0.4), False, grade_set=(1, 2)))
    Reading(certainty=<Certainty.LIKELY: 'likely'>, grades=(1, 2), share=0.9, is_finding=True)
    >>> reading_of(Prediction("L4/L5", "herniation", 0, (0.7, 0.3), False, grade_set=(0, 1)))
    Reading(certainty=<Certainty.OPEN: 'cannot exclude'>, grades=(1,), share=0.3, is_finding=True)
    >>> reading_of(Prediction("L4/L5", "herniation", 1, (0.7, 0.3), False, grade_set=(0, 1))).word
    'possible'
    """
    target, finding = TARGET[prediction.target], chance(prediction)
    is_finding = target.index_of(prediction.grade) >= target.finding_from
    if prediction.confident:
        return _reading(prediction, Certainty.STANDS, (prediction.grade,), is_finding)
    listed = prediction.grade_set or (prediction.grade,)
    found = tuple(grade for grade in listed if target.index_of(grade) >= target.finding_from)
    if finding >= LIKELY or is_finding:
        return _reading(prediction, Certainty.LIKELY, found or (_most_probable_finding(prediction),), True)
    if found or finding > 1 - COVERAGE:
        grades = found or (_most_probable_finding(prediction),)
        return Reading(Certainty.OPEN, grades, round(finding, 6), True)
    return _reading(prediction, Certainty.LIKELY, listed, False)


def _reading(prediction: Prediction, certainty: Certainty, grades: tuple[int, ...], is_finding: bool) -> Reading:
    target = TARGET[prediction.target]
    share = sum(prediction.probabilities[target.index_of(grade)] for grade in grades)
    return Reading(certainty, grades, round(share, 6), is_finding)


def _most_probable_finding(prediction: Prediction) -> int:
    target = TARGET[prediction.target]
    return max(target.grades[target.finding_from :], key=lambda grade: prediction.probabilities[target.index_of(grade)])


def said(prediction: Prediction) -> str:
    """A grade below its target's title, with how surely.

    >>> said(Prediction("L4/L5", "pfirrmann", 3, (0.0, 0.1, 0.5, 0.4, 0.0), False, grade_set=(3, 4)))
    'likely III or IV'
    >>> said(Prediction("L4/L5", "herniation", 0, (0.7, 0.3), False, grade_set=(0, 1)))
    'cannot exclude'
    """
    return _said(prediction, short_words)


def label(prediction: Prediction) -> str:
    """A grade in a table, in the words of its scale and with how surely, as everywhere else; experimental ones with a
    question mark.

    >>> label(Prediction("L4/L5", "pfirrmann", 3, (0.0, 0.1, 0.5, 0.4, 0.0), False, grade_set=(3, 4)))
    'likely grade III or IV'
    >>> label(Prediction("L4/L5", "herniation", 1, (0.6, 0.4), False, grade_set=(0, 1)))
    'possible'
    """
    if prediction.experimental:
        return f"{_words(TARGET[prediction.target], prediction.grade)}?"
    return _said(prediction, _words)


def _words(target: Target, grade: int) -> str:
    return target.step(grade).words


def _said(prediction: Prediction, words_of: Callable[[Target, int], str]) -> str:
    reading, target = reading_of(prediction), TARGET[prediction.target]
    words = alternatives([words_of(target, grade) for grade in reading.grades])
    if is_word_enough(reading, target):
        return reading.word
    return f"{reading.word} {words}".strip()


def is_word_enough(reading: Reading, target: Target) -> bool:
    """Whether the word says all below a title that names a finding: "likely", not "likely present"."""
    return reading.word != "" and reading.is_finding and target.scale is Scale.BINARY


def alternatives(words: Sequence[str], *, either: str = "or", until: str = "to") -> str:
    """Grades in a row as words.

    >>> alternatives(["II", "III"]), alternatives(["II", "III", "IV"]), alternatives(["type 1", "type 2"])
    ('II or III', 'II to IV', 'type 1 or 2')
    """
    first, *others = words
    if not others:
        return first
    last = others[-1].removeprefix(first.rpartition(" ")[0]).strip() if " " in first else others[-1]
    return f"{first} {until if len(words) > 2 else either} {last}"


def in_full(prediction: Prediction) -> str:
    """A grade as a phrase of its own, with how surely and how probable.

    >>> in_full(Prediction("L4/L5", "canal_stenosis", 1, (0.1, 0.5, 0.4), False, grade_set=(1, 2)))
    'L4/L5 spinal canal stenosis: likely moderate or severe (90 %)'
    """
    what = f"{prediction.level} {TARGET[prediction.target].at(prediction.level)}"
    how = BY_READER.get(prediction.evidence) or f"{reading_of(prediction).percent} %"
    return f"{what}: {said(prediction)} ({how})"


def with_percent(predictions: Sequence[Prediction], certainty: Certainty) -> str:
    """The findings among these grades that are said this surely, the likeliest first, in one line.

    >>> with_percent([Prediction("L4/L5", "herniation", 0, (0.6, 0.4), False, grade_set=(0, 1))], Certainty.OPEN)
    'disc herniation 40 %'
    """
    read = [(one, reading_of(one)) for one in predictions if not one.experimental]
    found = [pair for pair in read if pair[1].is_finding and pair[1].certainty is certainty]
    found.sort(key=lambda pair: -pair[1].share)
    return ", ".join(f"{_named(one, reading)} {reading.percent} %" for one, reading in found)


def _named(prediction: Prediction, reading: Reading) -> str:
    target = TARGET[prediction.target]
    if target.scale is Scale.BINARY:
        return target.at(prediction.level)
    return f"{target.running} {alternatives([short_words(target, grade) for grade in reading.grades])}"
