"""The table a page opens with: levels by findings, every grade as it is said, and the sizes beside them."""

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from spinenet.checking.measured_findings import SLIP
from spinenet.labels import TARGET, TARGETS
from spinenet.locating.measuring.dural_sac import SAC_AREA
from spinenet.locating.measuring.quantities import QUANTITY, Quantity
from spinenet.report.certainty import Certainty, reading_of
from spinenet.report.deciding_slices import is_of_midline
from spinenet.report.findings import weight_of
from spinenet.report.page.page_words import ENGLISH, PageWords
from spinenet.study import Measurement, Prediction, StudyResult

SIZES = ("disc_height_mm", "canal_depth_least_mm", SAC_AREA, "slip_mm")
"""The measurements that stand in the table."""
COARSE = {"canal_depth_least_mm": "canal_depth_mm"}
"""What has a column in the place of a measurement where the locator alone measured."""
NARROW = ("", "narrow", "very narrow")
"""What is said of a size of the canal, by the weight it is coloured with."""


@dataclass(frozen=True)
class Cell:
    """One grade as a page shows it. ``kind`` is ``stands``, ``likely`` or ``open``; ``weight`` 0 unremarkable, 1 a
    finding, 2 the end of its scale; ``full`` says it where nothing else tells level and target."""

    target: str
    words: str
    percent: int
    kind: str
    weight: int
    bar: tuple[tuple[str, float, bool], ...]
    """(words, percent, whether it is said) of every grade on the scale."""
    grade_set: str
    """The grades of the prediction set in words; empty where the model states no coverage."""
    full: str
    by: str = ""
    """Who gave it, or that a reader approved it, where that is said in the place of its probability."""


@dataclass(frozen=True)
class SizeCell:
    """A size with how far it may be off, and what is said of it with its ``weight``; "" where there is none."""

    text: str
    error: str = ""
    remark: str = ""
    weight: int = 0


@dataclass(frozen=True)
class GradeTable:
    """Levels from the head down by targets; a row is a level, its cells and its sizes. A cell without a grade is None,
    or the word that says what stands elsewhere."""

    columns: tuple[str, ...]
    sizes: tuple[str, ...]
    names: tuple[str, ...]
    """Of the sizes, as measurements have them."""
    rows: tuple[tuple[str, tuple[Cell | str | None, ...], tuple[SizeCell, ...]], ...]


def grade_table(
    predictions: Sequence[Prediction],
    levels: Sequence[str],
    measurements: Sequence[Measurement] = (),
    words: PageWords = ENGLISH,
    others: Sequence[Prediction] = (),
    narrow: Mapping[tuple[str, str], int] = MappingProxyType({}),
    doubted: Collection[str] = (),
) -> GradeTable:
    """The table of these grades, with those of SIZES that are among the measurements; of grades of the same targets
    that are among ``others``, in another table, it says that they are experimental or a reader's; of sizes (level and
    name) among ``narrow``, each with its index into NARROW, that they are; of an absent slip at levels where a measured
    one was left out, ``doubted``, that it is in doubt."""
    by_key = {(prediction.level, prediction.target): prediction for prediction in predictions}
    elsewhere = {(one.level, one.target): "experimental" if one.experimental else "reader" for one in others}
    targets = [target for target in TARGETS if any(one.target == target.name for one in predictions)]
    values = {(one.level, one.name): one for one in measurements}
    there = {one.name for one in measurements}
    shown = [QUANTITY[name] for one in SIZES if (name := one if one in there else COARSE.get(one, one)) in there]
    rows = []
    for level in levels:
        keys = [(level, target.name) for target in targets]
        cells = tuple(
            _cell_at(by_key[key], level in doubted, words)
            if key in by_key
            else words(elsewhere[key])
            if key in elsewhere
            else None
            for key in keys
        )
        sizes = (
            _size_cell(one, values.get((level, one.name)), narrow.get((level, one.name), 0), words) for one in shown
        )
        rows.append((level, cells, tuple(sizes)))
    return GradeTable(
        tuple(map(words.title, targets)), tuple(map(words.size, shown)), tuple(one.name for one in shown), tuple(rows)
    )


def midline_columns(result: StudyResult, predictions: Sequence[Prediction]) -> list[tuple[bool, int]]:
    """Of the columns of these grades, from the first on: whether all of their grades were read in the mid-sagittal
    slices alone, and for how many columns in a row; empty where that is so of none."""
    names = [target.name for target in TARGETS if any(one.target == target.name for one in predictions)]
    of_midline = [all(is_of_midline(result, one) for one in predictions if one.target == name) for name in names]
    if not any(of_midline):
        return []
    return [(is_so, len(list(columns))) for is_so, columns in itertools.groupby(of_midline)]


def _size_cell(quantity: Quantity, measured: Measurement | None, weight: int, words: PageWords) -> SizeCell:
    """A size with its error, or after a sign for "about" where the locator alone gave it."""
    if measured is None:
        return SizeCell("–")
    about = "" if measured.series else "≈ "
    error = "" if measured.error_95 is None else f"± {words.number(quantity.written(measured.error_95))}"
    remark = words(NARROW[weight]) if weight else ""
    return SizeCell(f"{about}{words.number(quantity.written(measured.value))}", error, remark, weight)


def _cell_at(prediction: Prediction, is_doubted: bool, words: PageWords) -> Cell:
    """A grade; that a slip is absent is in doubt where a measured one was left out."""
    cell = cell_of(prediction, words)
    if not is_doubted or prediction.target != SLIP or reading_of(prediction).is_finding:
        return cell
    full = f"{words.at(TARGET[SLIP], prediction.level)}: {words('in doubt')} ({words('see text')})"
    return replace(cell, words=words("in doubt"), kind="open", weight=0, full=full, by="see text")


def cell_of(prediction: Prediction, words: PageWords = ENGLISH) -> Cell:
    """A grade as it is said, with its probability and those of the whole scale."""
    target, reading = TARGET[prediction.target], reading_of(prediction)
    chosen = (prediction.grade,) if prediction.experimental else reading.grades
    worst = max(target.index_of(grade) for grade in reading.grades)
    shares = zip(target.steps, prediction.probabilities, strict=True)
    bar = tuple((words(step.words), round(100 * share, 2), step.value in chosen) for step, share in shares)
    if prediction.experimental:
        told, percent = f"{words.grade(target, prediction.grade)}?", round(bar[target.index_of(prediction.grade)][1])
        full = f"{words.at(target, prediction.level)}: {told} ({words('experimental')}, {words.percent(percent)})"
        return Cell(target.name, told, percent, "open", 0, bar, "", full)
    return Cell(
        target=target.name,
        words=words.said(prediction),
        percent=reading.percent,
        kind={Certainty.STANDS: "stands", Certainty.LIKELY: "likely", Certainty.OPEN: "open"}[reading.certainty],
        weight=0 if reading.certainty is Certainty.OPEN else weight_of(target, worst),
        bar=bar,
        grade_set=words.phrases("comma").join(words.grade(target, grade) for grade in prediction.grade_set),
        full=words.in_full(prediction),
        by={"reader": "reader", "approved": "approved"}.get(prediction.evidence, ""),
    )
