"""What changed between two studies, in one sentence a level."""

from collections import Counter
from collections.abc import Sequence

from spinenet.labels import LEVELS, TARGET, Scale
from spinenet.locating.measuring.quantities import QUANTITY
from spinenet.report.certainty import BY_READER, Certainty, alternatives, reading_of
from spinenet.report.findings import short_words
from spinenet.report.page.grade_table import SIZES
from spinenet.study import Prediction

Place = tuple[str, str]
"""Level and target, or level and measurement."""


def level_sentences(
    changed: Sequence[tuple[Place, Prediction | float | None, Prediction | float | None]],
    levels: Sequence[str],
    alone: Sequence[str] = (),
) -> list[str]:
    """Sentences of the levels with a change that exceeds the noise, from the head down, one of all the others, and one
    of those that stand ``alone``, in one of the studies."""
    told: dict[str, list[str]] = {}
    others: Counter[str] = Counter()
    for (level, name), prior, current in changed:
        words = _of_grade(level, prior, current) if name in TARGET else _of_size(name, prior, current)
        if words:
            told.setdefault(level, []).append(words)
        elif name not in TARGET:
            others[level] += 1
    for level, count in others.items():
        told.setdefault(level, []).append(f"{count} other size{'s' if count > 1 else ''}, see the table")
    ordered = sorted(set(levels) - set(alone), key=LEVELS.index, reverse=True)
    single = sorted(alone, key=LEVELS.index, reverse=True)
    sentences = [
        f"{level}: {'; '.join(told[level])}; nothing else changed beyond noise." for level in ordered if level in told
    ]
    same = [level for level in ordered if level not in told]
    unchanged = [f"{', '.join(same)}: no change beyond noise."] if same else []
    return [*sentences, *unchanged, *([f"{', '.join(single)}: graded in one study only."] if single else [])]


def _of_grade(level: str, prior: Prediction | float | None, current: Prediction | float | None) -> str:
    if not isinstance(prior, Prediction) or not isinstance(current, Prediction):
        return ""
    target, was, now = TARGET[current.target], _is_told(prior), _is_told(current)
    if target.scale is Scale.BINARY:
        new = f"new {target.at(level)}" if now else f"no {target.at(level)} any more"
        told = new if current.confident else f"likely {new}"
        return "" if now == was else told + (_source(current) or _source(prior, " before"))
    words = _words(prior), _words(current)
    if words[0] == words[1]:
        return ""
    return f"{target.running} from {words[0]}{_source(prior)} to {words[1]}{_source(current)}"


def _source(prediction: Prediction, when: str = "") -> str:
    """Whose grade it is, where it is not the model's as it stands."""
    whose = "experimental" if prediction.experimental else BY_READER.get(prediction.evidence)
    return f" ({whose}{when})" if whose else ""


def _is_told(prediction: Prediction) -> bool:
    reading = reading_of(prediction)
    return reading.is_finding and reading.certainty is not Certainty.OPEN


def _words(prediction: Prediction) -> str:
    """A grade as it is said, without what cannot be excluded; an experimental one as in the table."""
    target, reading = TARGET[prediction.target], reading_of(prediction)
    if prediction.experimental:
        return f"{short_words(target, prediction.grade)}?"
    grades = (prediction.grade,) if reading.certainty is Certainty.OPEN else reading.grades
    words = alternatives([short_words(target, grade) for grade in grades])
    if reading.certainty is Certainty.STANDS:
        return words
    return f"{Certainty.LIKELY if reading.certainty is Certainty.OPEN else reading.word} {words}"


def _of_size(name: str, prior: Prediction | float | None, current: Prediction | float | None) -> str:
    quantity = QUANTITY[name]
    if name not in SIZES:
        return ""
    if isinstance(prior, Prediction) or isinstance(current, Prediction) or prior is None or current is None:
        return ""
    return f"{quantity.words} from {quantity.written(prior)} to {quantity.written(current)} {quantity.sign}".strip()
