"""Figures of one evaluation, one panel a target, and of two runs. Each function returns one matplotlib figure.

Colours are Okabe and Ito's, told apart by colour-blind readers. No pyplot: nothing global is touched.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spinenet.evaluate.comparison import Comparison
from spinenet.evaluate.curves import PROBABILITY_GRID, Curve, net_benefit_of_all
from spinenet.evaluate.estimates import CHANCE, MAIN
from spinenet.evaluate.evaluation import TargetMetrics
from spinenet.evaluate.intervals import Estimate
from spinenet.evaluate.metrics import ratio
from spinenet.evaluate.raters import Raters
from spinenet.evaluate.samples import PRESENCE, target_named
from spinenet.evaluate.subgroups import FEW_PATIENTS, Subgroup
from spinenet.labels import LEVELS, Scale
from spinenet.system.files import replacing

BLUE, ORANGE, GREEN, GREY, INK = "#0072B2", "#D55E00", "#009E73", "#6B7280", "#111827"

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "legend.frameon": False,
    "svg.hashsalt": "spinenet",  # the same figure gives the same file
    "path.simplify": True,
}


TITLE_LETTERS = 10
"""Of a panel's title, to the inch; a longer one gets a second line."""


@contextmanager
def panels(
    count: int,
    xlabel: str,
    ylabel: str,
    *,
    columns: int = 4,
    width: float = 2.5,
    height: float = 2.6,
    legend: bool = True,
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of so many panels in rows, unused places empty; one legend of all panels on top."""
    columns = min(columns, count)
    rows = -(-count // columns)
    with rc_context(STYLE):
        head = 0.45 if legend else 0.1
        figure = Figure(figsize=(columns * width + 0.6, rows * height + 0.5 + head))
        # laid out by hand in inches: ten times faster than a constrained layout
        size_x, size_y = figure.get_size_inches()
        figure.subplots_adjust(
            left=0.75 / size_x,
            right=1 - 0.1 / size_x,
            bottom=0.62 / size_y,
            top=1 - (head + 0.35) / size_y,
            wspace=0.55 / (width - 0.55),
            hspace=0.75 / (height - 0.75),
        )
        axes: list[Axes] = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axis in axes[count:]:
            axis.set_visible(False)
        yield figure, axes[:count]
        for axis in axes[:count]:
            axis.set_title(fill(axis.get_title("left"), round(TITLE_LETTERS * width)))
        figure.text(0.5, 0.12 / size_y, xlabel, ha="center", va="bottom")
        figure.text(0.1 / size_x, 0.5, ylabel, ha="left", va="center", rotation=90)
        if legend:
            _legend(figure, axes[:count])


def _legend(figure: Figure, axes: Sequence[Axes]) -> None:
    drawn = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    if drawn:
        columns = len(drawn) if len(axes) > 1 else 1  # a lone panel is too narrow for labels side by side
        figure.legend(drawn.values(), drawn.keys(), loc="upper right", ncols=columns, fontsize=8)


def unit_square(axis: Axes, title: str) -> None:
    """Both axes from 0 to 1."""
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axis.set_title(title)
    axis.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axis.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])


CORNERS = {"lower right": (0.98, 0.03), "upper right": (0.98, 0.97), "upper left": (0.03, 0.97)}


def note(axis: Axes, text: str, corner: str = "lower right") -> None:
    """Small words in a corner of a panel."""
    vertical, horizontal = corner.split()
    place: dict[str, Any] = {"ha": horizontal, "va": {"lower": "bottom", "upper": "top"}[vertical]}
    axis.text(*CORNERS[corner], text, transform=axis.transAxes, fontsize=7.5, color=INK, **place)


def interval_row(axis: Axes, row: float, estimate: Estimate, colour: str = BLUE, label: str | None = None) -> None:
    """A figure as a dot with its interval as a bar, at a height; hollow without one, nothing where not defined."""
    if np.isnan(estimate.value):
        return
    if np.isfinite(estimate.low):
        axis.plot([estimate.low, estimate.high], [row, row], color=colour, linewidth=1.6, solid_capstyle="butt")
    inside = colour if np.isfinite(estimate.low) else "white"
    axis.plot(estimate.value, row, "o", color=colour, markerfacecolor=inside, markersize=4.5, label=label)


def save(figure: Figure, path: Path) -> None:
    """Write ``path`` + ``.png`` and ``.svg``, without a date, so that the same figure gives the same bytes."""
    options: dict[str, dict[str, Any]] = {"png": {"dpi": 130}, "svg": {"metadata": {"Date": None}}}
    for kind, more in options.items():
        with rc_context(STYLE), replacing(path.with_suffix(f".{kind}")) as partial:
            figure.savefig(partial, format=kind, facecolor="white", **more)


# ---- one panel a target

Curves = Mapping[str, Curve]
BAND = "95 % band over patients"


def confusion_figure(targets: Sequence[TargetMetrics]) -> Figure:
    """One matrix a target: discs in the cells, shade by share of the true grade."""
    with panels(len(targets), "decided grade", "true grade (discs)", width=2.7, height=2.7, legend=False) as drawn:
        for axis, target in zip(drawn[1], targets, strict=True):
            _draw_confusion(axis, target)
    return drawn[0]


def _draw_confusion(axis: Axes, target: TargetMetrics) -> None:
    counts_KK = target.confusion_KK
    share_KK = np.nan_to_num(ratio(counts_KK.astype(float), counts_KK.sum(axis=1, keepdims=True).astype(float)))
    axis.imshow(share_KK, cmap=colormaps["Blues"], vmin=0, vmax=1, aspect="auto")
    for (row, column), count in np.ndenumerate(counts_KK):
        colour = "white" if share_KK[row, column] > 0.55 else INK
        axis.text(column, row, f"{count}", ha="center", va="center", color=colour, fontsize=8)
    grades, totals = target.target.grades, counts_KK.sum(axis=1)
    axis.set_xticks(range(len(grades)), [f"{grade}" for grade in grades])
    rows = [f"{grade}\n({total})" for grade, total in zip(grades, totals, strict=True)]
    axis.set_yticks(range(len(grades)), rows, fontsize=7)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_title(target.target.title)


def roc_figure(targets: Sequence[TargetMetrics], curves: Curves) -> Figure:
    """One ROC curve a target with its band; the dot is where the decided grades (or the threshold) lie."""
    with panels(len(targets), "1 − specificity", "sensitivity") as drawn:
        for axis, target in zip(drawn[1], targets, strict=True):
            unit_square(axis, _title(target))
            axis.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":", label="chance")
            note(axis, f"AUC {target.estimates['auc']}\n{target.positives} of {target.n} {_asked(target)}")
            if _line(axis, curves[target.target.name]):
                figures = target.estimates
                place = (1 - figures["specificity"].value, figures["sensitivity"].value)
                _dot(axis, place, "as decided")
    return drawn[0]


def precision_recall_figure(targets: Sequence[TargetMetrics], curves: Curves) -> Figure:
    """One precision-recall curve a target with its band and its floor, the share of positives."""
    with panels(len(targets), "recall (sensitivity)", "precision (positive predictive value)") as drawn:
        for axis, target in zip(drawn[1], targets, strict=True):
            unit_square(axis, _title(target))
            figures = target.estimates
            axis.axhline(figures["prevalence"].value, color=GREY, linewidth=0.8, linestyle=":", label="chance")
            high = figures["average_precision"].value > 0.6
            note(axis, f"AP {figures['average_precision']}", "lower right" if high else "upper right")
            if _line(axis, curves[target.target.name]):
                place = (figures["sensitivity"].value, figures["ppv"].value)
                _dot(axis, place, "as decided")
    return drawn[0]


def decision_figure(targets: Sequence[TargetMetrics], curves: Curves) -> Figure:
    """Net benefit over the threshold, beside calling every disc and calling none."""
    with panels(len(targets), "threshold on the probability of the finding", "net benefit per disc") as drawn:
        for axis, target in zip(drawn[1], targets, strict=True):
            prevalence = target.estimates["prevalence"].value
            axis.set_title(_title(target))
            axis.plot(
                PROBABILITY_GRID, net_benefit_of_all(prevalence), color=ORANGE, linewidth=1, label="call every disc"
            )
            axis.axhline(0, color=GREY, linewidth=0.8, label="call none")
            _line(axis, curves[target.target.name])
            top = max(prevalence, 0.01)
            axis.set(xlim=(0, 1), ylim=(-0.3 * top, 1.1 * top))
            axis.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    return drawn[0]


def reliability_figure(targets: Sequence[TargetMetrics], curves: Curves, before: Curves) -> Figure:
    """Observed frequency over stated probability after calibration, and before it where that is known."""
    xlabel = "stated probability (of the finding, or of the most probable grade)"
    with panels(len(targets), xlabel, "observed frequency") as drawn:
        for axis, target in zip(drawn[1], targets, strict=True):
            unit_square(axis, target.target.title)
            axis.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":", label="as stated")
            note(axis, _calibration_note(target), "upper left")
            earlier, now = before.get(target.target.name), curves[target.target.name]
            if earlier is not None:
                style: dict[str, Any] = {"color": ORANGE, "linewidth": 0.9, "markersize": 4}
                axis.plot(earlier.x_G, earlier.y_G, "x--", **style, label="before calibration")
            axis.vlines(now.x_G, now.low_G, now.high_G, color=BLUE, linewidth=1)
            axis.plot(now.x_G, now.y_G, "o-", color=BLUE, linewidth=1.2, markersize=3.5, label="stated (95 % interval)")
    return drawn[0]


def _calibration_note(target: TargetMetrics) -> str:
    names = {"slope": "calibration_slope", "intercept": "calibration_intercept"}
    return "\n".join(f"{word} {target.estimates[name]}" for word, name in names.items())


def risk_coverage_figure(targets: Sequence[TargetMetrics], curves: Curves) -> Figure:
    """Share decided wrongly among the surest discs; the dot is of the grades called confident, which are not simply the
    surest: folds have limits of their own, and doubtful names are left out."""
    with panels(len(targets), "share of discs kept, the surest first", "share of them decided wrongly") as drawn:
        for axis, target in zip(drawn[1], targets, strict=True):
            curve = curves[target.target.name]
            wrong = 1 - target.estimates["accuracy"].value
            axis.axhline(wrong, color=GREY, linewidth=0.8, linestyle=":", label="abstaining at random")
            _line(axis, curve)
            place = (target.estimates["coverage"].value, target.estimates["confident_error"].value)
            _dot(axis, place, "confident")
            axis.set_title(target.target.title)
            top = np.nanmax([*curve.high_G, wrong, place[1], 0.02])
            axis.set(xlim=(0, 1.02), ylim=(0, 1.05 * top))
            axis.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    return drawn[0]


def _dot(axis: Axes, place: tuple[float, float], label: str) -> None:
    axis.plot(*place, "o", markersize=6, color=ORANGE, markeredgecolor="white", label=label, zorder=3)


def _line(axis: Axes, curve: Curve) -> bool:
    """A curve with its band; says so and returns false where it is not defined."""
    if not np.isfinite(curve.y_G).any():
        axis.text(0.5, 0.5, "one class only", transform=axis.transAxes, ha="center", color=GREY)
        return False
    axis.fill_between(curve.x_G, curve.low_G, curve.high_G, color=BLUE, alpha=0.2, linewidth=0, label=BAND)
    axis.plot(curve.x_G, curve.y_G, color=BLUE, linewidth=1.5, label="model")
    return True


def _asked(target: TargetMetrics) -> str:
    return "positive" if target.target.scale is Scale.BINARY else PRESENCE[target.target.name].title


def _title(target: TargetMetrics) -> str:
    return f"Any {target.target.title}" if target.target.scale is Scale.NOMINAL else target.target.title


# ---- intervals side by side

RATER_ROWS = (
    ("model_truth", "model – truth", BLUE),
    ("rater_truth", "raters – truth", GREEN),
    ("model_rater", "model – raters", BLUE),
    ("rater_rater", "raters among themselves", GREEN),
)


def levels_figure(targets: Sequence[TargetMetrics]) -> Figure:
    """The main figure of each target at each level, and pooled; orange where there are fewer than 30 patients."""
    with panels(len(targets), "quadratic kappa, or AUC", "level", columns=4, legend=False) as drawn:
        for axis, target in zip(drawn[1], targets, strict=True):
            metric = MAIN[target.target.scale]
            rows = {"all": target.estimates[metric]}
            rows |= {level: target.levels[level].estimates[metric] for level in LEVELS if level in target.levels}
            _forest(axis, rows, metric, {level: one.patients < FEW_PATIENTS for level, one in target.levels.items()})
            axis.set_title(target.target.title)
    return drawn[0]


def _forest(axis: Axes, rows: Mapping[str, Estimate], metric: str, few: Mapping[str, bool] | None = None) -> None:
    """Intervals under each other, the first on top in ink; groups of few patients in orange."""
    for place, (name, estimate) in enumerate(rows.items()):
        colour = INK if place == 0 else ORANGE if (few or {}).get(name) else BLUE
        interval_row(axis, -place, estimate, colour)
    axis.axvline(CHANCE[metric], color=GREY, linewidth=0.8, linestyle=":")
    axis.set_yticks([-place for place in range(len(rows))], list(rows), fontsize=7)
    axis.set_ylim(-len(rows) + 0.4, 0.6)
    lowest = min([estimate.low for estimate in rows.values() if np.isfinite(estimate.low)], default=0.0)
    axis.set_xlim(min(lowest, CHANCE[metric]) - 0.03, 1.02)


def subgroup_figure(variable: str, groups: Sequence[Subgroup], pooled: Mapping[str, Estimate]) -> Figure:
    """The main figure of each target in each group of one variable; orange where there are fewer than 30 patients."""
    names = list(dict.fromkeys(group.target for group in groups))
    height = 1.15 + 0.2 * (1 + len({group.group for group in groups}))
    size: dict[str, Any] = {"columns": 3, "width": 3.4, "height": height}
    with panels(len(names), "quadratic kappa, or AUC", variable, **size, legend=False) as drawn:
        drawn[0].subplots_adjust(left=1.3 / drawn[0].get_size_inches()[0], wspace=0.55)
        for axis, name in zip(drawn[1], names, strict=True):
            mine = [group for group in groups if group.target == name]
            rows = {"all": pooled[name]} | {f"{one.group} ({one.patients})": one.estimate for one in mine}
            _forest(axis, rows, mine[0].metric, {f"{one.group} ({one.patients})": one.few for one in mine})
            axis.set_title(target_named(name).title)
    return drawn[0]


def raters_figure(raters: Raters) -> Figure:
    """Kappa of model and raters with the truth and with each other."""
    names = list(raters.means)
    with panels(len(names), "kappa (quadratic for ordinal grades)", "", columns=3, width=3.6, height=2.0) as drawn:
        drawn[0].subplots_adjust(left=1.7 / drawn[0].get_size_inches()[0], wspace=0.16)
        for index, (axis, name) in enumerate(zip(drawn[1], names, strict=True)):
            for place, (key, _, colour) in enumerate(RATER_ROWS):
                interval_row(axis, -place, raters.means[name][key], colour)
            words = [label for _, label, _ in RATER_ROWS] if index % 3 == 0 else [""] * len(RATER_ROWS)
            axis.set_yticks([-place for place in range(len(RATER_ROWS))], words, fontsize=7.5)
            axis.set(ylim=(-len(RATER_ROWS) + 0.4, 0.6), xlim=(min(0, *_lows(raters.means[name])) - 0.02, 1.02))
            axis.set_title(target_named(name).title)
    return drawn[0]


def _lows(means: Mapping[str, Estimate]) -> list[float]:
    return [means[key].low for key, *_ in RATER_ROWS if np.isfinite(means[key].low)] or [0.0]


def comparison_figure(comparison: Comparison) -> Figure:
    """How much better the first run is in each target's main figure, with the interval of the difference."""
    rows = comparison.main()
    size: dict[str, Any] = {"width": 6.4, "height": 0.6 + 0.3 * len(rows)}
    with panels(1, f"difference: {comparison.names[0]} − {comparison.names[1]}", "", **size, legend=False) as drawn:
        drawn[0].subplots_adjust(left=0.4)
        axis = drawn[1][0]
        axis.axvline(0, color=GREY, linewidth=0.8, linestyle=":")
        for place, row in enumerate(rows.values()):
            colour = {"better": GREEN, "worse": ORANGE}.get(row.verdict, BLUE)
            interval_row(axis, -place, row.gap, colour)
        words = [
            f"{target_named(name).title} ({'AUC' if row.metric == 'auc' else 'kappa'})" for name, row in rows.items()
        ]
        axis.set_yticks([-place for place in range(len(rows))], words)
        axis.set_ylim(-len(rows) + 0.4, 0.6)
    return drawn[0]
