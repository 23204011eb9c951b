"""Grades in a few words: what stands out at a level, what the model leaves open, and how urgent a study is."""

from collections.abc import Iterable, Sequence

from spinenet.labels import TARGET, Scale, Target
from spinenet.study import Prediction

SYNTHETIC_MARK = "*"
SYNTHETIC_NOTE = f"{SYNTHETIC_MARK} learnt from synthetic studies alone"
URGENCIES = ("none", "low", "moderate", "high")


def weight_of(target: Target, index: int) -> int:
    """How much a grade stands out on a page; 0 up to Pfirrmann grade II and for whatever is absent or normal.

    >>> [weight_of(TARGET["pfirrmann"], index) for index in range(5)]
    [0, 0, 1, 1, 2]
    """
    if target.scale is not Scale.ORDINAL:
        return min(index, 1)
    share = index / (len(target.grades) - 1)
    return int(share > 0.3) + int(share == 1)


def weight(prediction: Prediction) -> int:
    """``weight_of`` the decided grade."""
    target = TARGET[prediction.target]
    return weight_of(target, target.index_of(prediction.grade))


def findings_of(predictions: Sequence[Prediction]) -> str:
    """The confident findings of a level in one line, the weightiest first."""
    found = [one for one in predictions if one.confident and weight(one)]
    return ", ".join(in_words(one) for one in sorted(found, key=weight, reverse=True))


def uncertain_of(predictions: Sequence[Prediction]) -> str:
    """What the model leaves open at a level, whichever way it leans."""
    return ", ".join(running(TARGET[one.target]) + _mark(one) for one in predictions if not one.confident)


def in_words(prediction: Prediction) -> str:
    """One grade as a phrase, marked where it was learnt from synthetic studies alone.

    >>> in_words(Prediction("L4/L5", "canal_stenosis", 2, (0.1, 0.1, 0.8), True, "synthetic"))
    'Spinal canal stenosis: severe*'
    """
    target = TARGET[prediction.target]
    words = target.words[target.index_of(prediction.grade)]
    told = f"{target.title}: {words}"
    if target.scale is Scale.BINARY and prediction.grade:
        told = target.title
    elif target.name in ("pfirrmann", "modic"):
        told = words if target.name == "modic" else f"Pfirrmann {words}"
    return told + _mark(prediction)


def running(target: Target) -> str:
    """A target's title within a sentence.

    >>> running(TARGET["bulging"]), running(TARGET["modic"])
    ('disc bulging', 'Modic change')
    """
    return target.title if target.title.startswith(("Pfirrmann", "Modic")) else target.title.lower()


def short_words(target: Target, grade: int) -> str:
    """A grade in as few words as its column allows.

    >>> short_words(TARGET["pfirrmann"], 4), short_words(TARGET["modic"], 0), short_words(TARGET["bulging"], 1)
    ('IV', 'none', 'present')
    """
    words = target.words[target.index_of(grade)]
    return "none" if words == "no Modic change" else words.removeprefix("grade ").removeprefix("Modic type ")


def urgency_of(predictions: Iterable[Prediction]) -> int:
    """Index into URGENCIES. High: severe stenosis of the canal. Moderate: another severe stenosis, or moderate of the
    canal, or spondylolisthesis. Low: herniation or moderate stenosis elsewhere.

    An uncertain grade counts like a sure one: a list that is read from the top must not hide what is left open. The
    order is a rule of thumb for reading, no triage of patients.
    """
    return max((urgency(one) for one in predictions), default=0)


def _mark(prediction: Prediction) -> str:
    return SYNTHETIC_MARK if prediction.evidence == "synthetic" else ""


def urgency(prediction: Prediction) -> int:
    """Of one grade, as ``urgency_of`` says."""
    if prediction.target == "canal_stenosis":
        return (0, 2, 3)[prediction.grade]
    if "stenosis" in prediction.target:
        return prediction.grade
    return {"spondylolisthesis": 2, "herniation": 1}.get(prediction.target, 0) * int(prediction.grade > 0)
