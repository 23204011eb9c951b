"""What changed between two studies, in one sentence a level."""

from collections import Counter
from collections.abc import Sequence

from spinenet.labels import LEVELS, TARGET, Scale
from spinenet.locating.measuring.quantities import QUANTITY
from spinenet.report.certainty import BY_READER, Certainty, reading_of
from spinenet.report.page.grade_table import SIZES
from spinenet.report.page.page_words import ENGLISH, PageWords
from spinenet.study import Prediction

Place = tuple[str, str]
"""Level and target, or level and measurement."""
Value = Prediction | float | None
GONE = ("no {finding} any more", "likely no {finding} any more")
NEW = {"": "new {finding}", "likely": "likely new {finding}", "possible": "possible new {finding}"}
"""By how surely it is said."""


def level_sentences(
    changed: Sequence[tuple[Place, Value, Value]],
    levels: Sequence[str],
    alone: Sequence[str] = (),
    words: PageWords = ENGLISH,
) -> list[str]:
    """Sentences of the levels with a change that exceeds the noise, from the head down, one of all the others, and one
    of those that stand ``alone``, in one of the studies."""
    told: dict[str, list[str]] = {}
    others: Counter[str] = Counter()
    for (level, name), prior, current in changed:
        said = _of_grade(level, prior, current, words) if name in TARGET else _of_size(name, prior, current, words)
        if said:
            told.setdefault(level, []).append(said)
        elif name not in TARGET:
            others[level] += 1
    for level, count in others.items():
        others_told = words.counted(count, "1 other size, see the table", "{count} other sizes, see the table")
        told.setdefault(level, []).append(others_told)
    ordered = sorted(set(levels) - set(alone), key=LEVELS.index, reverse=True)
    single = sorted(alone, key=LEVELS.index, reverse=True)
    changes = {level: words.phrases("then").join(told[level]) for level in ordered if level in told}
    sentences = [
        words("{level}: {changes}; nothing else that was judged changed.", level=words.apart(level), changes=said)
        for level, said in changes.items()
    ]
    same = [level for level in ordered if level not in told]
    if same:
        sentences.append(words("{levels}: nothing that was judged changed.", levels=_listed(same, words)))
    if single:
        sentences.append(words("{levels}: graded in one study only.", levels=_listed(single, words)))
    return sentences


def _listed(levels: Sequence[str], words: PageWords) -> str:
    return words.phrases("comma").join(map(words.apart, levels))


def _of_grade(level: str, prior: Value, current: Value, words: PageWords) -> str:
    if not isinstance(prior, Prediction) or not isinstance(current, Prediction):
        return ""
    target, was, now = TARGET[current.target], _is_told(prior), _is_told(current)
    if target.scale is Scale.BINARY:
        said_so = NEW[reading_of(current).word] if now else GONE[not current.confident]
        told = words(said_so, finding=words.finding(target, level))
        by = _source(current, words) or _source(prior, words, "{whose}, before")
        return "" if now == was else told + by
    said = _said(prior, words), _said(current, words)
    if said[0] == said[1]:
        return ""
    before, after = (text + _source(one, words) for text, one in zip(said, (prior, current), strict=True))
    return words("{finding} from {before} to {after}", finding=words.running(target), before=before, after=after)


def _source(prediction: Prediction, words: PageWords, when: str = "") -> str:
    """Whose grade it is, where it is not the model's as it stands."""
    whose = "experimental" if prediction.experimental else BY_READER.get(prediction.evidence)
    if not whose:
        return ""
    return f" ({words(when, whose=words(whose)) if when else words(whose)})"


def _is_told(prediction: Prediction) -> bool:
    reading = reading_of(prediction)
    return reading.is_finding and reading.certainty is not Certainty.OPEN


def _said(prediction: Prediction, words: PageWords) -> str:
    """A grade as it is said, without what cannot be excluded; an experimental one as in the table."""
    target, reading = TARGET[prediction.target], reading_of(prediction)
    if prediction.experimental:
        return f"{words.grade(target, prediction.grade)}?"
    grades = (prediction.grade,) if reading.certainty is Certainty.OPEN else reading.grades
    told = words.phrases.either([words.grade(target, grade) for grade in grades])
    if reading.certainty is Certainty.STANDS:
        return told
    return f"{words(Certainty.LIKELY if reading.certainty is Certainty.OPEN else reading.word)} {told}"


def _of_size(name: str, prior: Value, current: Value, words: PageWords) -> str:
    quantity = QUANTITY[name]
    if name not in SIZES:
        return ""
    if isinstance(prior, Prediction) or isinstance(current, Prediction) or prior is None or current is None:
        return ""
    before, after = (words.number(quantity.written(value)) for value in (prior, current))
    told = words(
        "{size} from {before} to {after} {unit}",
        size=words(quantity.words), before=before, after=after, unit=words.unit(quantity),
    )  # fmt: skip
    return told.strip()
