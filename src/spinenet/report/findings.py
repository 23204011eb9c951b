"""Grades in a few words: what stands out at a level.

Experimental grades are none of these: ``experimental_of`` alone says them.
"""

from collections.abc import Sequence

from spinenet.labels import TARGET, Scale, Target
from spinenet.study import Prediction

LIKELY = 0.5
URGENCIES = ("routine", "low", "moderate", "high")
"""How soon a study should be read, by the worst that is said of it: a rule of thumb, no triage of patients."""


def weight_of(target: Target, index: int) -> int:
    """How much a grade stands out on a page: 0 for what is no finding, 1 for a finding, 2 for the end of its scale.

    >>> [weight_of(TARGET["pfirrmann"], index) for index in range(5)]
    [0, 0, 1, 1, 2]
    """
    ends_scale = target.scale is Scale.ORDINAL and index == len(target.grades) - 1
    return int(index >= target.finding_from) + int(ends_scale)


def weight(prediction: Prediction) -> int:
    """``weight_of`` the decided grade."""
    target = TARGET[prediction.target]
    return weight_of(target, target.index_of(prediction.grade))


def findings_of(predictions: Sequence[Prediction]) -> str:
    """The confident findings of a level in one line, the weightiest first."""
    found = [one for one in predictions if is_found(one)]
    return ", ".join(in_words(one) for one in sorted(found, key=weight, reverse=True))


def chance(prediction: Prediction) -> float:
    """Probability of a finding, whichever of its grades it is.

    >>> round(chance(Prediction("L4/L5", "modic", 0, (0.4, 0.1, 0.4, 0.1), False)), 3)
    0.6
    """
    return sum(prediction.probabilities[TARGET[prediction.target].finding_from :])


def is_found(prediction: Prediction) -> bool:
    """Whether it is a finding that is stood by."""
    return prediction.confident and weight(prediction) > 0 and not prediction.experimental


def is_open(prediction: Prediction) -> bool:
    """Whether the model could stand by such a grade and does not stand by this one."""
    return not prediction.confident and not prediction.experimental


def experimental_of(predictions: Sequence[Prediction]) -> str:
    """The experimental grades of a level that would be findings, the weightiest first, each with a question mark."""
    found = [one for one in predictions if one.experimental and weight(one)]
    return ", ".join(f"{in_words(one)}?" for one in sorted(found, key=weight, reverse=True))


def in_words(prediction: Prediction) -> str:
    """One grade as a phrase.

    >>> in_words(Prediction("L4/L5", "canal_stenosis", 2, (0.1, 0.1, 0.8), True))
    'Spinal canal stenosis: severe'
    """
    target = TARGET[prediction.target]
    step = target.step(prediction.grade)
    told = step.phrase or f"{target.title}: {step.words}"
    if target.scale is Scale.BINARY and prediction.grade:
        told = target.title
    return told


def short_words(target: Target, grade: int) -> str:
    """A grade in as few words as its column allows.

    >>> short_words(TARGET["pfirrmann"], 4), short_words(TARGET["modic"], 0), short_words(TARGET["bulging"], 1)
    ('IV', 'none', 'present')
    """
    step = target.step(grade)
    return step.short or step.words
