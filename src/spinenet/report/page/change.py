"""Two studies of one patient, an earlier and a later one: what changed, by how much, and is that more than noise?

A change is measured on the expected grade (ordered scales) or by the probability that moved between grades (Modic).
Noise is how far 95 of 100 repeated readings of one study stay from each other (``scripts/measure_noise.py``), measured
per target and stored in the bundle. Levels are paired by name.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from spinenet import __version__
from spinenet.errors import OutputError
from spinenet.labels import EXPERIMENTAL, LEVELS, RESEARCH_ONLY, TARGET, TARGETS, Scale, Target
from spinenet.locating.discs import NUMBERING
from spinenet.locating.measuring.quantities import QUANTITIES, QUANTITY
from spinenet.report.document import DOCUMENT_FILE, predictions_of, read_document
from spinenet.report.page.html import environment
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
VERDICTS = (BEYOND, ALONE, UNKNOWN, WITHIN, MOVED, SAME)
"""In the order of interest."""


@dataclass(frozen=True)
class Change:
    """One level and target, or measurement, in both studies.

    ``difference`` is later minus earlier: of the expected grade, of a measurement in its unit, or for Modic the
    probability that moved, which has no sign. ``noise`` is what it has to exceed, None where that was not measured.
    ``confident`` is false where the model does not stand by one of the grades, ``experimental`` true where they were
    learnt from synthetic studies and not verified on patients: such changes come last and none is pointed out.
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


@dataclass(frozen=True)
class Comparison:
    """All changes of all pairs, and the keys of studies that had no partner."""

    changes: tuple[Change, ...]
    unpaired: tuple[str, ...]
    model: Mapping[str, Any]


def compare(prior: Path, current: Path) -> Comparison:
    """Compare two output folders or two ``predictions.json`` files.

    One study on each side makes a pair, more are paired by their key. Raises OutputError where a file cannot be read,
    nothing can be paired, or the two were predicted by different models.
    """
    before, after = (_document(path) for path in (prior, current))
    model = after["model"]
    if before["model"].get("digest") != model.get("digest") or before["model"]["name"] != model["name"]:
        raise OutputError(f"{prior} and {current}: predicted by different models; predict both with the same one")
    pairs = _pairs(before["studies"], after["studies"])
    if not pairs:
        raise OutputError(f"{prior} and {current}: no study in common; name two files, reports/STUDY.json")
    paired = {study["study"] for pair in pairs for study in pair}
    keys = [study["study"] for study in (*before["studies"], *after["studies"])]
    changes = [change for pair in pairs for change in changes_of(*pair, model.get("noise", {}))]
    unpaired = tuple(dict.fromkeys(key for key in keys if key not in paired))
    return Comparison(tuple(sorted(changes, key=_interest)), unpaired, model)


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
    pairs: dict[tuple[str, str], list[Change]] = {}
    for change in comparison.changes:
        pairs.setdefault((change.prior_study, change.current_study), []).append(change)
    return (
        environment()
        .get_template("compare.html")
        .render(
            pairs=pairs.items(),
            unpaired=comparison.unpaired,
            titles=TITLES,
            model=comparison.model,
            numbering=NUMBERING.text,
            research_only=RESEARCH_ONLY,
            experimental=EXPERIMENTAL,
            version=__version__,
        )
    )


def table(changes: Sequence[Change]) -> str:
    """The changes as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for change in changes:
        writer.writerow({name: _cell(value) for name, value in asdict(change).items()})
    return text.getvalue()


def _document(path: Path) -> dict[str, Any]:
    return read_document(path / DOCUMENT_FILE if path.is_dir() else path)


def _pairs(before: Sequence[Any], after: Sequence[Any]) -> list[tuple[Any, Any]]:
    if len(before) == len(after) == 1:
        return [(before[0], after[0])]
    later = {study["study"]: study for study in after}
    usable = [study for study in before if study["study"] in later]
    pairs = [(study, later[study["study"]]) for study in usable]
    return [pair for pair in pairs if all(study["status"] != "failed" for study in pair)]


def _of_grade(
    keys: tuple[str, str],
    place: tuple[str, str],
    prior: Prediction | None,
    current: Prediction | None,
    noise: float | None,
) -> Change:
    words = [_words(TARGET[place[1]], one) for one in (prior, current)]
    given = [one for one in (prior, current) if one is not None]
    sure, tried = all(one.confident for one in given), any(one.experimental for one in given)
    if prior is None or current is None:
        return Change(*keys, *place, words[0], words[1], None, noise, ALONE, sure, tried)
    difference = shift(prior, current)
    verdict = _verdict(prior.grade != current.grade, difference, noise)
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


def _words(target: Target, prediction: Prediction | None) -> str:
    return "" if prediction is None else target.words[target.index_of(prediction.grade)]


def _interest(change: Change) -> tuple[str, bool, int, int, float]:
    place, verdict = LEVELS.index(change.level), VERDICTS.index(change.verdict)
    return change.prior_study, change.experimental, verdict, place, -abs(change.difference or 0.0)


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value
