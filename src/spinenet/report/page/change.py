"""Two studies of one patient, an earlier and a later one: what changed, by how much, and is that more than noise?

A change is measured on the expected grade (ordered scales) or by the probability that moved between grades (Modic).
Noise is how far 95 of 100 repeated readings of one study stay from each other (``scripts/measure_noise.py``), measured
per target and stored in the bundle. Levels are paired by name.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from spinenet import __version__
from spinenet.errors import OutputError
from spinenet.labels import LEVELS, TARGET, TARGETS, Scale
from spinenet.locating.measuring.quantities import QUANTITIES, QUANTITY
from spinenet.report.certainty import BY_READER, label
from spinenet.report.corrections import APPROVED, CORRECTED
from spinenet.report.document import predictions_of
from spinenet.report.options import Language
from spinenet.report.page.change_sentences import Place, level_sentences
from spinenet.report.page.html import environment, in_script, inline_script
from spinenet.report.page.one_person import are_unlike
from spinenet.report.page.page_slices import slices_of
from spinenet.report.page.page_words import PageWords, page_words
from spinenet.report.page.shifted_names import SHIFTED, better_shift, renamed
from spinenet.report.page.study_pairs import StudyPair, dated_studies, study_pairs
from spinenet.report.text.language import sentence
from spinenet.study import Prediction

BEYOND, WITHIN, MOVED, SAME, UNKNOWN, ALONE = (
    "changed",
    "within noise",
    "same grade, probability moved",
    "same",
    "noise not known",
    "in one study only",
)
TITLES = {target.name: target.title for target in TARGETS} | {one.name: one.title for one in QUANTITIES}
TWO_PERSONS = (
    "These two look like two persons: their vertebrae and discs differ in size more than those of one person do. What "
    "follows is then no change."
)
WHICH = {
    (True, False): "the earlier study was",
    (False, True): "the later study was",
    (True, True): "both studies were",
}
REVIEWED = "{which} corrected or approved by a reader: a difference may be that of reader and model, not the patient's"
VERDICTS = (BEYOND, ALONE, UNKNOWN, WITHIN, MOVED, SAME)
"""In the order of interest."""


@dataclass(frozen=True)
class Change:
    """One level and target, or measurement, in both studies.

    ``difference`` is later minus earlier: of the expected grade, of a measurement in its unit, or for Modic the
    probability that moved, which has no sign. ``noise`` is what it has to exceed, None where that was not measured.
    ``confident`` is false where the model does not stand by one of the grades, ``experimental`` true where they were
    learnt from synthetic studies and not verified on patients: such changes come last and none is pointed out. None is
    experimental where one of the grades is a reader's, and another grade by a reader is beyond noise, which is the
    model's.
    """

    prior_study: str
    current_study: str
    level: str
    target: str
    prior: str
    current: str
    difference: float | None
    noise: float | None
    verdict: str
    confident: bool
    experimental: bool = False


COLUMNS = tuple(field.name for field in fields(Change))


Values = Mapping[Place, Prediction | float]


@dataclass(frozen=True)
class ComparedPair:
    """Two studies that were compared: their keys, with the date where it is known, what calls for caution, and what
    changed in one sentence a level."""

    prior_study: str
    current_study: str
    prior: str
    current: str
    caution: str
    sentences: tuple[str, ...]
    pages: tuple[Path | None, Path | None] = (None, None)
    """Of the earlier and the later study."""
    values: tuple[Values, Values] = ({}, {})
    """What they say, by level and target or measurement."""
    is_doubted: bool = False
    """Whether they look like two persons, where nothing says that they are one."""


@dataclass(frozen=True)
class Comparison:
    """All changes of all pairs, and the keys of studies that had no partner."""

    changes: tuple[Change, ...]
    unpaired: tuple[str, ...]
    model: Mapping[str, Any]
    pairs: tuple[ComparedPair, ...] = ()
    language: Language = Language.EN


def compare(prior: Path, current: Path, language: Language = Language.EN) -> Comparison:
    """Compare two output folders or two ``predictions.json`` files.

    One study on each side makes a pair, the earlier one first whatever the order given; more are paired by person and
    date where results name patients, else by their key. Sentences are in a language. Raises OutputError where a file
    cannot be read, nothing can be paired, both are the same study, of two persons, or predicted by different models.
    """
    (old_model, before), (model, after) = (dated_studies(path) for path in (prior, current))
    if old_model.get("digest") != model.get("digest") or old_model["name"] != model["name"]:
        raise OutputError(f"{prior} and {current}: predicted by different models; predict both with the same one")
    pairs = study_pairs(before, after)
    if not pairs:
        raise OutputError(f"{prior} and {current}: no study in common; name two files, reports/STUDY.json")
    pairs = [pair for pair in pairs if pair.prior.study != pair.current.study]
    if not pairs:
        raise OutputError(f"{prior} and {current}: the same results twice; name those of another examination")
    paired = {one.key for pair in pairs for one in (pair.prior, pair.current)}
    noise = noise_of(model)
    found = [(pair, tuple(changes_of(pair.prior.study, pair.current.study, noise))) for pair in pairs]
    changes = [change for _, several in found for change in several]
    unpaired = tuple(dict.fromkeys(one.key for one in (*before, *after) if one.key not in paired))
    told = tuple(_told(pair, several, noise, page_words(language)) for pair, several in found)
    return Comparison(tuple(sorted(changes, key=_interest)), unpaired, model, told, language)


def noise_of(model: Mapping[str, Any]) -> dict[str, float]:
    """Target or measurement -> what a change has to exceed: the more of what another reading of the same images moves
    it by and what another scan does, as far as the bundle says them."""
    tables = [model.get(name, {}) for name in ("noise", "rescan_noise")]
    return {name: max(table[name] for table in tables if name in table) for name in dict.fromkeys(chain(*tables))}


def _told(pair: StudyPair, changes: Sequence[Change], noise: Mapping[str, float], words: PageWords) -> ComparedPair:
    """What is said of a pair; experimental grades are not."""
    before, after = (_values(one.study) for one in (pair.prior, pair.current))
    beyond = [(one.level, one.target) for one in changes if one.verdict == BEYOND and not one.experimental]
    levels = tuple(dict.fromkeys(one.level for one in changes if not one.experimental))
    shared = {one.level for one in changes if one.verdict != ALONE}
    alone = [level for level in levels if level not in shared]
    moved = [(one, before.get(one), after.get(one)) for one in beyond]
    shift = better_shift(before, after, noise)
    return ComparedPair(
        prior_study=pair.prior.key,
        current_study=pair.current.key,
        prior=pair.prior.dated,
        current=pair.current.dated,
        caution=words.phrases("then").join(map(words, filter(None, (pair.caution, _reviewed(pair))))),
        sentences=(
            *_shifted(shift, words),
            *level_sentences(moved, levels, alone, words),
            *_not_judged(changes, words),
        ),
        pages=(pair.prior.page, pair.current.page),
        values=(before, after),
        is_doubted=bool(pair.caution) and are_unlike(before, renamed(after, shift)),
    )


def _not_judged(changes: Sequence[Change], words: PageWords) -> tuple[str, ...]:
    """What differs and was not judged: sizes whose noise is not known, and experimental grades."""
    names = dict.fromkeys(one.target for one in changes if one.verdict == UNKNOWN and not one.experimental)
    tried = sum(one.experimental and one.prior != one.current for one in changes)
    told = [_running(name, words) for name in names]
    told += [words.counted(tried, "1 experimental grade", "{count} experimental grades")] if tried else []
    things = words.phrases("comma").join(told)
    return (words("Differs, and was not judged: {things}.", things=things),) if told else ()


def _running(name: str, words: PageWords) -> str:
    return words.running(TARGET[name]) if name in TARGET else words(QUANTITY[name].words)


def _shifted(shift: int, words: PageWords) -> tuple[str, ...]:
    """That all levels may be named differently by one, where the studies agree better so."""
    return (f"{sentence(words(SHIFTED, way=words('up' if shift > 0 else 'down')))}",) if shift else ()


def _reviewed(pair: StudyPair) -> str:
    """Which of the two a reader corrected or approved; "" where it is neither."""
    before, after = (
        any(note["code"] in (APPROVED, CORRECTED) for note in one.study["notes"]) for one in (pair.prior, pair.current)
    )
    return REVIEWED.format(which=WHICH[before, after]) if before or after else ""


def _values(study: Mapping[str, Any]) -> dict[Place, Prediction | float]:
    """(level, target or measurement) -> what a study says of it."""
    found: dict[Place, Prediction | float] = {(one.level, one.target): one for one in predictions_of(study)}
    for level in study["levels"]:
        found |= {(level["level"], name): value for name, value in level["measurements"].items()}
    return found


def changes_of(prior: Mapping[str, Any], current: Mapping[str, Any], noise: Mapping[str, float]) -> Iterator[Change]:
    """Every level and target of two studies of a document, the measurements too."""
    for study in (prior, current):
        if study["status"] == "failed":
            raise OutputError(f"{study['study']}: was not graded ({study['message']}); there is nothing to compare")
    keys = (prior["study"], current["study"])
    before, after = ({(one.level, one.target): one for one in predictions_of(study)} for study in (prior, current))
    for level, name in dict.fromkeys((*before, *after)):
        yield _of_grade(keys, (level, name), before.get((level, name)), after.get((level, name)), noise.get(name))
    measured = [{level["level"]: level["measurements"] for level in study["levels"]} for study in (prior, current)]
    for level in measured[0]:
        for name in measured[0][level].keys() & measured[1].get(level, {}).keys():
            yield _of_size(keys, (level, name), measured[0][level][name], measured[1][level][name], noise.get(name))


def shift(prior: Prediction, current: Prediction) -> float:
    """How far a grade moved: of the expected grade; nominal targets: the share of probability that moved.

    >>> shift(Prediction("", "bulging", 0, (0.9, 0.1), True), Prediction("", "bulging", 1, (0.2, 0.8), True))
    0.7
    """
    moved = np.array(current.probabilities) - np.array(prior.probabilities)
    if TARGET[prior.target].scale is Scale.NOMINAL:
        return round(float(np.abs(moved).sum() / 2), 6)
    return round(float(moved @ np.arange(len(moved))), 6)


def page(comparison: Comparison) -> str:
    """The changes as a page; what stayed the same is counted."""
    of_pair: dict[tuple[str, str], list[Change]] = {}
    for change in comparison.changes:
        of_pair.setdefault((change.prior_study, change.current_study), []).append(change)
    words = page_words(comparison.language)
    pairs = [
        (one, _rows(one, of_pair.get((one.prior_study, one.current_study), []), words)) for one in comparison.pairs
    ]
    only = comparison.pairs[0].pages if len(comparison.pairs) == 1 else ()
    shown = [slices_of(path) for path in only]
    slices = [in_script(one) for one in shown] if shown and all(shown) else []
    script, script_hash = inline_script("page.js", "viewer.js") if slices else ("", "")
    return (
        environment()
        .get_template("compare.html")
        .render(
            two_persons=words(TWO_PERSONS),
            pairs=pairs,
            unpaired=comparison.unpaired,
            titles={name: title_of(name, words) for name in TITLES},
            model=comparison.model,
            **words.frame,
            version=__version__,
            rescanned="rescan_noise" in comparison.model,
            t=words,
            script_words=in_script(words.in_scripts(script)) or "{}",
            slices=slices,
            script=script,
            script_hash=script_hash,
        )
    )


def _rows(pair: ComparedPair, changes: Sequence[Change], words: PageWords) -> list[tuple[Change, str, str]]:
    """The changes of a pair, each with what the two studies say in the words of a page."""
    before, after = pair.values
    return [(one, cell_of(one, before, words), cell_of(one, after, words)) for one in changes]


def cell_of(change: Change, values: Values, words: PageWords) -> str:
    """What a study says of a row."""
    value = values.get((change.level, change.target))
    if value is None:
        return words("not graded")
    return words.label(value) if isinstance(value, Prediction) else words.number(QUANTITY[change.target].written(value))


def title_of(name: str, words: PageWords) -> str:
    """A target or measurement at the head of a row."""
    if name in TARGET:
        return words.title(TARGET[name])
    return QUANTITY[name].title if words.is_english else words.size(QUANTITY[name])


def table(changes: Sequence[Change]) -> str:
    """The changes as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for change in changes:
        writer.writerow({name: _cell(value) for name, value in asdict(change).items()})
    return text.getvalue()


def _of_grade(
    keys: tuple[str, str],
    place: tuple[str, str],
    prior: Prediction | None,
    current: Prediction | None,
    noise: float | None,
) -> Change:
    words = [_words(one) for one in (prior, current)]
    given = [one for one in (prior, current) if one is not None]
    read = any(one.evidence in BY_READER for one in given)
    sure, tried = all(one.confident for one in given), not read and any(one.experimental for one in given)
    if prior is None or current is None:
        return Change(*keys, *place, words[0], words[1], None, noise, ALONE, sure, tried)
    difference = shift(prior, current)
    by_reader = any(one.evidence == "reader" for one in given)
    verdict = _verdict(prior.grade != current.grade, difference, 0.0 if by_reader else noise)
    return Change(*keys, *place, words[0], words[1], difference, noise, verdict, sure, tried)


def _of_size(
    keys: tuple[str, str], place: tuple[str, str], prior: float, current: float, noise: float | None
) -> Change:
    difference = round(current - prior, 2)
    beyond = UNKNOWN if noise is None else BEYOND
    verdict = beyond if abs(difference) > (noise or 0.0) else SAME
    written = QUANTITY[place[1]].written
    return Change(*keys, *place, written(prior), written(current), difference, noise, verdict, True)


def _verdict(other_grade: bool, difference: float, noise: float | None) -> str:
    if noise is None:
        return UNKNOWN if other_grade else SAME
    beyond = abs(difference) > noise
    if other_grade:
        return BEYOND if beyond else WITHIN
    return MOVED if beyond else SAME


def _words(prediction: Prediction | None) -> str:
    return "" if prediction is None else label(prediction)


def _interest(change: Change) -> tuple[str, bool, int, int, float]:
    place, verdict = LEVELS.index(change.level), VERDICTS.index(change.verdict)
    return change.prior_study, change.experimental, verdict, place, -abs(change.difference or 0.0)


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value
