"""Has anything drifted? Control charts of grades, sets, refusals and measurements, month by month and by scanner.

Every chart is of one number a study. The first studies set its middle and spread; a month's mean that lies beyond the
limits stops the use: limits are as wide as keeps the chance of any false stop in a month at FALSE_STOPS over all
charts together. No truth is needed, so a chart cannot say whether grades are right, only that they are no longer what
they were.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import t as student

from spinenet.errors import PredictionsError, in_words
from spinenet.evaluate.figures import BLUE, GREY, ORANGE, panels, save
from spinenet.evaluate.report import render, write_table
from spinenet.evaluate.samples import read_table
from spinenet.labels import TARGET
from spinenet.system.files import write_text

FALSE_STOPS = 0.01
BASELINE = 50
"""Studies that set the middle and the spread of a chart."""
FEWEST_IN_MONTH = 10
"""A month of fewer studies is joined with the next one."""
EVERYWHERE = "all scanners"
RESULTS_FILE = "predictions.json"


@dataclass(frozen=True)
class Point:
    """One month of one chart; ``low`` and ``high`` are the limits of its mean."""

    scanner: str
    quantity: str
    month: str
    studies: int
    mean: float
    middle: float
    low: float
    high: float

    @property
    def beyond(self) -> bool:
        """Whether the use should stop until someone knows why."""
        return not self.low <= self.mean <= self.high


def load_results(folder: Path) -> pd.DataFrame:
    """One row a study of a folder of ``spinenet predict``: what each chart is made of."""
    path = folder / RESULTS_FILE if folder.is_dir() else folder
    try:
        studies = json.loads(path.read_text(encoding="utf-8"))["studies"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PredictionsError(f"{path}: not the predictions.json of spinenet predict ({in_words(error)})") from error
    return pd.DataFrame([{"study": one["study"], **dict(_numbers(one))} for one in studies])


def _numbers(study: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    grades = [grade for level in study["levels"] for grade in level["grades"]]
    yield "not graded", float(not grades)
    yield "levels graded", float(sum(bool(level["grades"]) for level in study["levels"]))
    yield "flags", float(len(study["flags"]))
    for name in dict.fromkeys(grade["target"] for grade in grades):
        target, mine = TARGET[name], [grade for grade in grades if grade["target"] == name]
        found = [target.index_of(grade["grade"]) >= target.finding_from for grade in mine]
        yield f"{target.title}: findings", float(np.mean(found))
        sets = [len(grade["grade_set"]) for grade in mine if grade.get("grade_set")]
        if sets:
            yield f"{target.title}: grades in a set", float(np.mean(sets))
        yield f"{target.title}: confident", float(np.mean([grade["confident"] for grade in mine]))
    measured: dict[str, list[float]] = {}
    for level in study["levels"]:
        for name, value in level["measurements"].items():
            measured.setdefault(name, []).append(value)
    yield from ((name, float(np.mean(values))) for name, values in measured.items())


def load_days(path: Path) -> pd.DataFrame:
    """``study, date`` and optionally ``scanner``: results say neither, because they identify nobody."""
    table = read_table(path)
    if not {"study", "date"} <= set(table.columns):
        raise PredictionsError(f"{path}: needs the columns study and date (as 2026-11-27), and may have scanner")
    dates = pd.to_datetime(table["date"], format="%Y-%m-%d", errors="coerce")
    if dates.isna().any() or table["study"].duplicated().any():
        row = table[dates.isna() | table["study"].duplicated()].iloc[0]
        raise PredictionsError(f"{path}: study {row['study']}: date {row['date']!r} is no day, or it has two rows")
    scanner = table.get("scanner", EVERYWHERE)
    return pd.DataFrame({"study": table["study"], "date": dates, "scanner": scanner})


def charts(results: pd.DataFrame, days: pd.DataFrame, *, baseline: int = BASELINE) -> list[Point]:
    """Every month after the baseline of every quantity, of all scanners together and of each with enough studies."""
    dated = results.merge(days, on="study")
    if dated.empty:
        raise PredictionsError(f"none of {len(results)} studies has a date; see the column study of predictions.csv")
    dated = dated.sort_values(["date", "study"], ignore_index=True)
    groups = {EVERYWHERE: dated}
    scanners = dated["scanner"].unique()
    groups |= {name: rows for name, rows in dated.groupby("scanner") if len(scanners) > 1}
    groups = {name: rows for name, rows in groups.items() if len(rows) >= baseline + FEWEST_IN_MONTH}
    if not groups:
        raise PredictionsError(f"{len(dated)} dated studies; a chart needs {baseline} and {FEWEST_IN_MONTH} after them")
    quantities = [name for name in results.columns if name != "study"]
    asked = [(name, rows, one) for name, rows in groups.items() for one in quantities if _varies(rows[one][:baseline])]
    return [point for name, rows, one in asked for point in _chart(name, one, rows, baseline, len(asked))]


def _varies(first: pd.Series) -> bool:
    known = first.dropna()
    return len(known) >= FEWEST_IN_MONTH and known.std() > 0


def _chart(scanner: str, quantity: str, rows: pd.DataFrame, baseline: int, charts_asked: int) -> Iterator[Point]:
    first, later = rows[quantity][:baseline].dropna(), rows[baseline:]
    middle, spread = float(first.mean()), float(first.std())
    for month, values in _months(later, quantity):
        reach = student.isf(FALSE_STOPS / (2 * charts_asked), len(first) - 1)
        half = float(reach * spread * np.sqrt(1 / len(values) + 1 / len(first)))
        yield Point(scanner, quantity, month, len(values), float(values.mean()), middle, middle - half, middle + half)


def _months(rows: pd.DataFrame, quantity: str) -> Iterator[tuple[str, pd.Series]]:
    """Months with enough studies, small ones joined with the next; what is left at the end waits."""
    kept: list[pd.Series] = []
    for month, mine in rows.groupby(rows["date"].dt.strftime("%Y-%m"))[quantity]:
        kept.append(mine.dropna())
        if sum(map(len, kept)) >= FEWEST_IN_MONTH:
            yield str(month), pd.concat(kept)
            kept = []


def write_monitoring(points: Sequence[Point], folder: Path) -> bool:
    """``monitoring.csv``, ``report.md`` and the charts that went beyond; true where the use should stop."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{**vars(point), "beyond": point.beyond} for point in points]
    write_table(rows, folder / "monitoring.csv")
    beyond = [point for point in points if point.beyond]
    shown = list(dict.fromkeys((point.scanner, point.quantity) for point in [*beyond, *points]))[:12]
    save(chart_figure(points, shown), folder / "charts")
    charts_asked = len({(point.scanner, point.quantity) for point in points})
    text = render("monitoring", points=points, beyond=beyond, charts=charts_asked, false_stops=FALSE_STOPS)
    write_text(folder / "report.md", text)
    return bool(beyond)


def chart_figure(points: Sequence[Point], shown: Sequence[tuple[str, str]]) -> Figure:
    """Means by month within their limits, what lies beyond in orange."""
    with panels(len(shown), "month", "mean of the studies", columns=3, width=3.6, legend=False) as drawn:
        for axis, key in zip(drawn[1], shown, strict=True):
            mine = [point for point in points if (point.scanner, point.quantity) == key]
            place = np.arange(len(mine))
            axis.fill_between(place, [p.low for p in mine], [p.high for p in mine], color=BLUE, alpha=0.15, linewidth=0)
            axis.axhline(mine[0].middle, color=GREY, linewidth=0.8, linestyle=":")
            axis.plot(place, [p.mean for p in mine], color=BLUE, linewidth=1)
            colours = [ORANGE if p.beyond else BLUE for p in mine]
            axis.scatter(place, [p.mean for p in mine], c=colours, s=18, zorder=3)
            axis.set_xticks(
                place[:: max(1, len(place) // 4)], [p.month for p in mine][:: max(1, len(place) // 4)], fontsize=7
            )
            axis.set_title(f"{key[1]}\n{key[0]}", fontsize=8)
    return drawn[0]
