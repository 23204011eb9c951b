"""Has anything drifted? Control charts of grades, sets, refusals and measurements, month by month and by scanner.

Every chart is of one number a study. A month stops the use where its mean is further from that of the first studies
than chance puts it: who is of the month and who of the first studies is shuffled, all numbers of a study together, and
the limits are as wide as keeps the chance of any false stop in a month at FALSE_STOPS over all charts (the first step
of the permutation max-T of Westfall and Young 1993). That is exact for shares, counts and what never occurred before,
where a normal or Student's limit is not. No truth is needed, so a chart cannot say whether grades are right, only that
they are no longer what they were. Shapes: P splits of the studies, N studies, Q quantities.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from spinenet.errors import PredictionsError, other_separator
from spinenet.evaluate.figures import BLUE, GREY, ORANGE, panels, save
from spinenet.evaluate.intervals import Floats
from spinenet.evaluate.report import render, write_table
from spinenet.evaluate.samples import read_table
from spinenet.labels import TARGET
from spinenet.report.document import DOCUMENT_FILE, predictions_of, read_document
from spinenet.system.files import write_text

FALSE_STOPS = 0.01
BASELINE = 50
"""Studies that a chart's later months are held against."""
FEWEST_IN_MONTH = 10
"""A month of fewer studies is joined with the next one."""
EVERYWHERE = "all scanners"
_BEYOND = 20
"""So many shuffled months lie beyond the limits: enough for the limits to hardly depend on the seed."""
_DRAWN, _NAMED = 12, 5


@dataclass(frozen=True)
class Point:
    """One month of one chart; ``low`` and ``high`` are the limits of its mean, ``middle`` that of the first studies."""

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

    @property
    def shown_low(self) -> float:
        """``low`` as it is shown: shares and counts are never below 0, where the limit, by which is judged, may lie."""
        return max(self.low, 0.0) if min(self.mean, self.middle) >= 0 else self.low


@dataclass(frozen=True)
class Monitoring:
    """All charts of a folder's studies, and in words what is in none of them."""

    points: tuple[Point, ...]
    left_out: tuple[str, ...]

    @property
    def beyond(self) -> list[Point]:
        """What stops the use."""
        return [point for point in self.points if point.beyond]


def load_results(folder: Path) -> pd.DataFrame:
    """One row a study of a folder of ``spinenet predict``: what each chart is made of."""
    path = folder / DOCUMENT_FILE if folder.is_dir() else folder
    studies = read_document(path).get("studies")
    whole = isinstance(studies, list) and all({"study", "flags", "levels"} <= set(one) for one in studies)
    if not studies or not whole:
        raise PredictionsError(f"{path}: no studies as spinenet predict writes them; name the folder it wrote")
    table = pd.DataFrame([{"study": one["study"], **dict(_numbers(one))} for one in studies])
    if table["study"].duplicated().any():
        raise PredictionsError(f"{path}: study {table['study'][table['study'].duplicated()].iloc[0]} is there twice")
    return table


def _numbers(study: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    grades = predictions_of(study)
    yield "not graded", float(not grades)
    yield "levels graded", float(len({grade.level for grade in grades}))
    yield "flags", float(len(study["flags"]))
    for name in dict.fromkeys(grade.target for grade in grades):
        target, mine = TARGET[name], [grade for grade in grades if grade.target == name]
        yield f"{target.title}: findings", _mean(target.index_of(one.grade) >= target.finding_from for one in mine)
        if any(one.grade_set for one in mine):
            yield f"{target.title}: grades in a set", _mean(len(one.grade_set) for one in mine if one.grade_set)
        yield f"{target.title}: confident", _mean(one.confident for one in mine)
    measured: dict[str, list[float]] = {}
    for level in study["levels"]:
        for name, value in level["measurements"].items():
            measured.setdefault(name, []).append(value)
    yield from ((name, _mean(values)) for name, values in measured.items())


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def load_days(path: Path) -> pd.DataFrame:
    """``study, date`` and optionally ``scanner``: results say neither, because they identify nobody."""
    table = read_table(path)
    if not {"study", "date"} <= set(table.columns):
        there = f"{', '.join(map(str, table.columns))}{other_separator(table.columns)}"
        raise PredictionsError(
            f"{path}: needs the columns study and date (as 2026-11-27), and may have scanner; it has {there}"
        )
    dates = pd.to_datetime(table["date"], format="%Y-%m-%d", errors="coerce")
    for wrong, what in (
        (dates.isna(), "date {date!r} is no day such as 2026-11-27"),
        (dates > pd.Timestamp.now() + pd.Timedelta(days=1), "date {date!r} lies in the future"),
        (table["study"].duplicated(), "it has two rows"),
    ):
        if wrong.any():
            row = table[wrong].iloc[0]
            raise PredictionsError(f"{path}: study {row['study']}: {what.format(date=row['date'])}")
    if table.empty:
        raise PredictionsError(f"{path}: no rows")
    scanner = table["scanner"].str.strip().replace("", "unknown") if "scanner" in table else EVERYWHERE
    return pd.DataFrame({"study": table["study"], "date": dates, "scanner": scanner})


def charts(results: pd.DataFrame, days: pd.DataFrame, *, baseline: int = BASELINE, seed: int = 0) -> Monitoring:
    """Every month after the baseline of every quantity, of all scanners together and of each with enough studies."""
    dated = results.merge(days, on="study").sort_values(["date", "study"], ignore_index=True)
    needed = baseline + FEWEST_IN_MONTH
    if dated.empty:
        raise PredictionsError(
            f"none of {len(results)} studies ({results['study'][0]}, ...) is among those with a date "
            f"({', '.join(days['study'][:1])}, ...); name them as the column study of predictions.csv does"
        )
    if len(dated) < needed:
        raise PredictionsError(f"{len(dated)} dated studies; a chart needs {baseline} and {FEWEST_IN_MONTH} after them")
    scanners = dict(list(dated.groupby("scanner"))) if dated["scanner"].nunique() > 1 else {}
    groups = {EVERYWHERE: dated} | {name: rows for name, rows in scanners.items() if len(rows) >= needed}
    rng, points, left_out = np.random.default_rng(seed), [], _undated(results, days)
    for name, rows in groups.items():
        found, waiting = _of_group(name, rows.reset_index(drop=True), baseline, FALSE_STOPS / len(groups), rng)
        points += found
        left_out += [f"{name}: the last {waiting} studies wait for a month of {FEWEST_IN_MONTH}."] if waiting else []
    few = [f"{name} ({len(rows)})" for name, rows in scanners.items() if name not in groups]
    left_out += [f"Scanners with too few studies for charts of their own ({needed}): {', '.join(few)}."] if few else []
    same = [name for name in _quantities(results) if name not in {point.quantity for point in points}]
    left_out += [f"Always the same, or not known before and after: {', '.join(same)}."] if same else []
    if not points:
        raise PredictionsError(f"all {len(dated)} dated studies have the same numbers; there is nothing to chart")
    return Monitoring(tuple(points), tuple(left_out))


def _quantities(results: pd.DataFrame) -> list[str]:
    return [name for name in results.columns if name not in ("study", "date", "scanner")]


def _undated(results: pd.DataFrame, days: pd.DataFrame) -> list[str]:
    """Studies that no chart holds because one of the two tables does not know them."""
    lacking = {
        f"of {len(results)} studies have no date": results.loc[~results["study"].isin(days["study"]), "study"],
        f"of {len(days)} dates are of no study of these results": days.loc[
            ~days["study"].isin(results["study"]), "study"
        ],
    }
    return [
        f"{len(names)} {words}: {', '.join(names[:_NAMED])}{', ...' if len(names) > _NAMED else ''}."
        for words, names in lacking.items()
        if len(names)
    ]


def _of_group(
    scanner: str, rows: pd.DataFrame, baseline: int, chance: float, rng: np.random.Generator
) -> tuple[list[Point], int]:
    """The months of one group's charts, small ones joined with the next, and how many studies wait at the end."""
    points: list[Point] = []
    kept: list[int] = []
    names = _quantities(rows)
    for month, mine in rows[baseline:].groupby(rows["date"].dt.strftime("%Y-%m")):
        kept += mine.index.tolist()
        if len(kept) >= FEWEST_IN_MONTH:
            studies = rows.loc[[*range(baseline), *kept], names]
            points += _points((scanner, str(month)), studies, baseline, chance, rng)
            kept = []
    return points, len(kept)


def _points(
    where: tuple[str, str], studies: pd.DataFrame, baseline: int, chance: float, rng: np.random.Generator
) -> Iterator[Point]:
    """One month of all charts of a group; those that never vary, or are known on one side alone, have no point."""
    values_NQ = studies.to_numpy(float)
    later_N = np.arange(len(values_NQ)) >= baseline
    shuffled_PN = rng.permuted(np.tile(later_N, (int(np.ceil(_BEYOND / chance)) - 1, 1)), axis=1)
    gap_PQ, reach_PQ = _gaps(values_NQ, np.vstack([later_N, shuffled_PN]))
    size_PQ = np.nan_to_num(np.abs(gap_PQ) / np.where(reach_PQ > 0, reach_PQ, np.nan))
    limit = float(np.sort(size_PQ[1:].max(axis=1))[-_BEYOND]) * (1 + 1e-9)
    for index, name in enumerate(studies.columns):
        gap, half = float(gap_PQ[0, index]), limit * float(reach_PQ[0, index])
        if np.isfinite(gap) and half > 0:
            known, middle = int(studies[name][baseline:].count()), float(studies[name][:baseline].mean())
            yield Point(where[0], name, where[1], known, middle + gap, middle, middle - half, middle + half)


def _gaps(values_NQ: Floats, later_PN: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """(P, Q) how far the mean of the later studies lies from that of the others, and how far one spread of all of them
    is; nan where either has no known value."""
    known_NQ = np.isfinite(values_NQ)
    with np.errstate(invalid="ignore", divide="ignore"):
        all_Q = known_NQ.sum(axis=0)
        from_middle_NQ = np.where(known_NQ, values_NQ - np.nansum(values_NQ, axis=0) / all_Q, 0.0)
        spread_Q = np.sqrt((from_middle_NQ**2).sum(axis=0) / all_Q)
        later_PQ, sum_PQ = later_PN @ known_NQ.astype(float), later_PN @ from_middle_NQ
        gap_PQ = sum_PQ * (1 / later_PQ + 1 / (all_Q - later_PQ))  # both sums are the same but for their sign
        return gap_PQ, spread_Q * np.sqrt(1 / later_PQ + 1 / (all_Q - later_PQ))


def write_monitoring(found: Monitoring, folder: Path) -> None:
    """``monitoring.csv``, ``report.md`` and the charts, those that went beyond first."""
    folder.mkdir(parents=True, exist_ok=True)
    write_table(({**vars(point), "beyond": point.beyond} for point in found.points), folder / "monitoring.csv")
    shown = list(dict.fromkeys((point.scanner, point.quantity) for point in [*found.beyond, *found.points]))
    save(chart_figure(found.points, shown[:_DRAWN]), folder / "charts")
    months = len({(point.scanner, point.month) for point in found.points})
    text = render("monitoring", found=found, charts=shown, drawn=_DRAWN, months=months, false_stops=FALSE_STOPS)
    write_text(folder / "report.md", text)


def chart_figure(points: Sequence[Point], shown: Sequence[tuple[str, str]]) -> Figure:
    """Means by month within their limits, what lies beyond in orange."""
    with panels(len(shown), "month", "mean of the studies", columns=3, width=3.6, legend=False) as drawn:
        for axis, key in zip(drawn[1], shown, strict=True):
            mine = [point for point in points if (point.scanner, point.quantity) == key]
            place = np.arange(len(mine))
            axis.fill_between(
                place, [p.shown_low for p in mine], [p.high for p in mine], color=BLUE, alpha=0.15, linewidth=0
            )
            axis.axhline(mine[0].middle, color=GREY, linewidth=0.8, linestyle=":")
            axis.plot(place, [p.mean for p in mine], color=BLUE, linewidth=1)
            colours = [ORANGE if p.beyond else BLUE for p in mine]
            axis.scatter(place, [p.mean for p in mine], c=colours, s=18, zorder=3)
            axis.set_xticks(
                place[:: max(1, len(place) // 4)], [p.month for p in mine][:: max(1, len(place) // 4)], fontsize=7
            )
            axis.set_title(f"{key[1]}, {key[0]}", fontsize=8)
    return drawn[0]
