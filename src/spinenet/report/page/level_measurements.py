"""The measurements of each level beside the patient's other discs and other patients, and what they did to the grades.

Only for a bundle that measures by outlines; the locator's own sizes stand at a glance.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from spinenet.labels import TARGET
from spinenet.locating.measuring.quantities import QUANTITIES, Quantity
from spinenet.locating.measuring.usual import ABOVE, BELOW
from spinenet.report.findings import weight
from spinenet.report.page.page_words import ENGLISH, PageWords
from spinenet.study import Measurement, Prediction, StudyResult

LEAST_CHANGE = 0.1
"""A measurement that moved the log-odds by less is no reason."""
FEWEST_OTHERS = 2
"""A comparison takes so many other discs."""
COLUMNS = (("Disc",), ("Canal", "Alignment", "Vertebra above"))
"""Headings of quantities, side by side on a wide page."""


@dataclass(frozen=True)
class SizeRow:
    """One measurement in words: its value with error and unit, and the median of the patient's other discs.

    ``error`` and ``others`` are "" where unknown; ``percentile`` is None then, and ``place`` is it in words.
    """

    words: str
    value: str
    error: str
    unit: str
    others: str
    percentile: int | None
    place: str


@dataclass(frozen=True)
class GradeReasons:
    """What raised and what lowered one grade, in words."""

    title: str
    grade: str
    raised: str
    lowered: str


@dataclass(frozen=True)
class MeasuredLevel:
    """A level: for each of COLUMNS the headings with their rows, the reasons of its grades, and the names of the series
    that were outlined there."""

    level: str
    columns: tuple[tuple[tuple[str, tuple[SizeRow, ...]], ...], ...]
    reasons: tuple[GradeReasons, ...]
    series: str


def measured_levels(result: StudyResult, levels: Sequence[str], words: PageWords) -> list[MeasuredLevel]:
    """The levels with what is known of them; none where nothing was measured by outlines."""
    if not any(one.series for one in result.measurements):
        return []
    return [
        MeasuredLevel(
            level,
            tuple(tuple(_groups(level, headings, result.measurements, words)) for headings in COLUMNS),
            tuple(filter(None, (reasons_of(one, words) for one in result.predictions if one.level == level))),
            words.phrases("comma").join(_series_at(result, level)),
        )
        for level in levels
    ]


def _series_at(result: StudyResult, level: str) -> list[str]:
    return list(dict.fromkeys(one.series for one in result.measurements if one.level == level and one.series))


def _groups(
    level: str, headings: Sequence[str], measurements: Sequence[Measurement], words: PageWords
) -> Iterator[tuple[str, tuple[SizeRow, ...]]]:
    """The rows of a level below each heading that has any."""
    for heading in headings:
        named = [quantity for quantity in QUANTITIES if quantity.heading == heading]
        rows = (_row(level, one, [size for size in measurements if size.name == one.name], words) for one in named)
        known = tuple(row for row in rows if row is not None)
        if known:
            yield words(heading), known


def _row(level: str, quantity: Quantity, sizes: Sequence[Measurement], words: PageWords) -> SizeRow | None:
    """The row of a level among all ``sizes`` of one quantity; None where it was not measured there."""
    here = next((one for one in sizes if one.level == level), None)
    if here is None:
        return None
    # The locator's are coarser: they are not set beside those by outlines.
    others = [one.value for one in sizes if one.level != level and one.series and here.series]
    compared = len(others) >= FEWEST_OTHERS
    return SizeRow(
        words=words(quantity.words),
        value=words.number(quantity.written(here.value)),
        error="" if here.error_95 is None else words.number(quantity.written(here.error_95)),
        unit=words.unit(quantity),
        others=words.number(quantity.written(float(np.median(others)) + 0.0)) if compared else "",
        percentile=here.percentile,
        place="" if here.percentile is None else place_in_words(here.percentile, words),
    )


def place_in_words(percentile: int, words: PageWords = ENGLISH) -> str:
    """A percentile as it is said.

    >>> [place_in_words(one) for one in (0, 12, 33, 91, 100)]
    ['below 5th', '12th', '33rd', '91st', 'above 95th']
    """
    if percentile in (BELOW, ABOVE):
        return words("below 5th") if percentile == BELOW else words("above 95th")
    endings = {1: "st", 2: "nd", 3: "rd"} if percentile // 10 != 1 else {}
    if not words.is_english:
        return words("{place}th", place=percentile)
    return f"{percentile}{endings.get(percentile % 10, 'th')}"


def reasons_of(prediction: Prediction, words: PageWords = ENGLISH) -> GradeReasons | None:
    """What moved a finding, or a grade that is left open, by LEAST_CHANGE or more; None where nothing did, or where
    there is nothing to explain."""
    moved = [one for one in prediction.reasons if abs(one.change) >= LEAST_CHANGE]
    if not moved or prediction.experimental or (prediction.confident and not weight(prediction)):
        return None
    target = TARGET[prediction.target]
    return GradeReasons(
        words.title(target),
        words.said(prediction),
        ", ".join(one.measurement for one in moved if one.change > 0),
        ", ".join(one.measurement for one in moved if one.change < 0),
    )
