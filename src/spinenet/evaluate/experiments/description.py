"""What data sets hold, as tables and figures: labels by level, grey values and shapes, example studies, and the discs
where a model is surest and wrong, or right and least sure."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from spinenet.datasets import LabelledStudy
from spinenet.datasets.masks import locate_all
from spinenet.labels import LEVELS, MAX_GRADES, RESEARCH_ONLY, TARGET, TARGETS, View
from spinenet.readers import read_study
from spinenet.study import LocatedSeries, Series

SERIES_COLUMNS = ("data", "view", "body", "canal", "disc", "disc height mm", "disc depth mm")


def label_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Discs by target and true grade, with the share of all labelled discs in percent."""
    known = frame[frame["truth"].notna()].astype({"truth": int})
    counts = known.groupby(["target", "truth"], observed=True).size().unstack(fill_value=0)
    counts = counts.reindex([target.name for target in TARGETS if target.name in counts.index])
    shares = (100 * counts.div(counts.sum(axis=1), axis=0)).round(1)
    cells = counts.astype(str) + " (" + shares.astype(str) + " %)"
    cells = cells.where(counts > 0, "")
    return cells.rename(index={name: TARGET[name].title for name in cells.index}).rename_axis(None, axis=1)


def label_figure(frame: pd.DataFrame, title: str) -> Figure:
    """Share of each grade at each level, one panel a target, levels from the head down."""
    known = frame[frame["truth"].notna()]
    names = [target.name for target in TARGETS if target.name in set(known["target"])]
    rows = -(-len(names) // 4)
    figure = Figure(figsize=(11, 2.3 * rows + 0.4), layout="constrained")
    figure.suptitle(f"{title}: share of each grade by level (number of discs on the right)", fontsize=10)
    axes = figure.subplots(rows, 4, squeeze=False).ravel()
    for axis in axes[len(names) :]:
        axis.set_axis_off()
    for axis, name in zip(axes, names, strict=False):
        table = pd.crosstab(known.loc[known["target"] == name, "level"], known["truth"])
        table = table.reindex([level for level in LEVELS if level in table.index])
        left = np.zeros(len(table))
        for index, grade in enumerate(TARGET[name].grades):
            share = (table[grade] / table.sum(axis=1)).to_numpy() if grade in table else np.zeros(len(table))
            shade = 0.9 - 0.8 * index / (len(TARGET[name].grades) - 1)
            axis.barh(table.index, share, left=left, color=str(shade), edgecolor="0.5", linewidth=0.3, label=f"{grade}")
            left = left + share
        for row, total in enumerate(table.sum(axis=1)):
            axis.text(1.02, row, f"{total}", fontsize=6, va="center")
        axis.set(xlim=(0, 1.15), title=TARGET[name].title)
        axis.title.set_fontsize(8)
        axis.tick_params(labelsize=6)
        handles, names_of = axis.get_legend_handles_labels()
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.08), "frameon": False}
        axis.legend(handles, names_of, fontsize=6, ncols=5, handlelength=1, columnspacing=0.8, **below)
    return figure


def series_table(studies: Iterable[LabelledStudy], data: str) -> pd.DataFrame:
    """One row a sagittal series with masks: grey values on its own scale and the mean size of its discs in mm."""
    rows = [
        _series_row(located, data)
        for study in studies
        for located in locate_all(read_study(study.source).series, study.masks)
        if located.series.plane == "sagittal" and located.frames
    ]
    return pd.DataFrame(rows, columns=list(SERIES_COLUMNS)).round(3)


def _series_row(located: LocatedSeries, data: str) -> tuple[object, ...]:
    dark, bright = located.reference[:2]
    body, canal, disc = (float((value - dark) / (bright - dark)) for value in located.reference[2:])
    height = float(np.mean([frame.height_mm for frame in located.frames]))
    depth = float(np.mean([frame.depth_mm for frame in located.frames]))
    return data, located.series.view, body, canal, disc, height, depth


def contrast_figure(described: pd.DataFrame) -> Figure:
    """Boxes of every column of ``series_table`` by view, the data sets side by side."""
    names = SERIES_COLUMNS[2:]
    figure = Figure(figsize=(12, 3.2), layout="constrained")
    views, sets = sorted(described["view"].dropna().unique()), sorted(described["data"].unique())
    groups = [(view, data) for view in views for data in sets]
    for axis, name in zip(figure.subplots(1, len(names)), names, strict=True):
        chosen = [described[(described["view"] == view) & (described["data"] == data)][name] for view, data in groups]
        kept = [(values, group) for values, group in zip(chosen, groups, strict=True) if len(values)]
        labels = [f"{view.removeprefix('sagittal_')}, {data} ({len(values)})" for values, (view, data) in kept]
        axis.boxplot([values for values, _ in kept], tick_labels=labels, showfliers=False)
        axis.set_title(name, fontsize=9)
        axis.tick_params(axis="x", labelsize=6, rotation=90)
        axis.tick_params(axis="y", labelsize=7)
    return figure


def example_figure(examples: Mapping[str, Sequence[Series]], title: str) -> Figure:
    """One study a row, by its caption: mid-sagittal images of two series, one beside the canal, and an axial slice."""
    figure = Figure(figsize=(11, 2.9 * len(examples)), layout="constrained")
    figure.suptitle(f"{title}. {RESEARCH_ONLY}", fontsize=8)
    rows = figure.subplots(len(examples), 4, squeeze=False)
    for row, (caption, series) in zip(rows, examples.items(), strict=True):
        sagittal = [one for one in series if one.plane == "sagittal"]
        axial = [one for one in series if one.view is View.AXIAL_T2]
        shown = [(one, 0.5) for one in sagittal[:2]] + [(sagittal[0], 0.3)] + [(one, 0.5) for one in axial[:1]]
        for axis in row:
            axis.set_axis_off()
        for axis, (one, place) in zip(row, shown, strict=False):
            axis.imshow(_slice(one, place), cmap="gray")
            axis.set_title(f"{caption}: {one.view}", fontsize=7)
    return figure


def _slice(series: Series, place: float) -> np.ndarray:
    slice_RC = series.voxels_SRC[int(place * len(series.voxels_SRC))]
    low, high = np.quantile(slice_RC, (0.01, 0.995))
    return np.clip((slice_RC - low) / max(high - low, 1e-6), 0, 1)


# ---- which discs to look at

SHOWN_TARGETS = ("pfirrmann", "modic", "herniation", "narrowing")
EACH = 6


def ranked(frame: pd.DataFrame, target: str, *, right: bool) -> pd.DataFrame:
    """Discs of one target decided rightly, least sure first, or wrongly, surest first; ``p`` is of the decided grade.

    ``frame`` is a predictions table with ``truth``; discs without a grade or a truth are left out.
    """
    rows = frame[(frame["target"] == target) & frame["truth"].notna() & frame["grade"].notna()]
    grades = np.array(TARGET[target].grades)
    index_N = np.searchsorted(grades, rows["grade"].to_numpy(int))
    p_NK = rows[[f"p_{k}" for k in range(MAX_GRADES)]].to_numpy(float)
    rows = rows.assign(p=p_NK[np.arange(len(rows)), index_N])
    rows = rows[(rows["grade"] == rows["truth"]) == right]
    return rows.sort_values("p", ascending=right, kind="stable")


def example_discs(frame: pd.DataFrame) -> pd.DataFrame:
    """The first of each ranking of each shown target: the discs whose slices are worth keeping."""
    targets = [target for target in SHOWN_TARGETS if target in set(frame["target"])]
    parts = [ranked(frame, target, right=right).head(EACH) for target in targets for right in (False, True)]
    return pd.concat(parts) if parts else frame.head(0)


def gallery(
    frame: pd.DataFrame, slices: Mapping[tuple[str, str], NDArray[np.uint8]], target: str, *, right: bool
) -> Figure:
    """One column a disc: its slices with what was true, what was decided and how surely; discs without slices are
    left out."""
    rows = [row for row in ranked(frame, target, right=right).head(EACH).itertuples() if _key(row) in slices]
    figure = Figure(figsize=(2.0 * max(len(rows), 1), 5.6), layout="constrained")
    kind = "least sure rights" if right else "surest mistakes"
    figure.suptitle(f"{TARGET[target].title}: {kind}. {RESEARCH_ONLY}", fontsize=8)
    deepest = max((len(slices[_key(row)]) for row in rows), default=1)
    axes = figure.subplots(deepest, max(len(rows), 1), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for column, row in enumerate(rows):
        axes[0, column].set_title(
            f"{row.level}, study {row.study}\ntrue {int(row.truth)}, decided {int(row.grade)}\np = {row.p:.2f}",
            fontsize=7,
        )
        for axis, pixels_HW in zip(axes[:, column], slices[_key(row)], strict=False):
            axis.imshow(pixels_HW, cmap="gray", vmin=0, vmax=255)
    if not rows:
        axes[0, 0].text(0.5, 0.5, "no such disc", ha="center")
    return figure


def _key(row: object) -> tuple[str, str]:
    return str(row.study), str(row.level)  # type: ignore[attr-defined]
