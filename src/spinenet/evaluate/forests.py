"""Figures with intervals side by side: levels, subgroups, raters, and two runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spinenet.evaluate.comparison import Comparison
from spinenet.evaluate.drawing import BLUE, GREEN, GREY, INK, ORANGE, interval_row, panels
from spinenet.evaluate.evaluation import TargetMetrics
from spinenet.evaluate.human import agreement_on
from spinenet.evaluate.intervals import Estimate
from spinenet.evaluate.metrics import CHANCE, MAIN
from spinenet.evaluate.questions import target_named
from spinenet.evaluate.raters import Raters
from spinenet.evaluate.subgroups import FEW_PATIENTS, Subgroup
from spinenet.labels import LEVELS

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
    """Kappa of model and raters with the truth and with each other, the published human agreement as a grey band."""
    names = list(raters.means)
    with panels(len(names), "kappa (quadratic for ordinal grades)", "", columns=3, width=3.6, height=2.0) as drawn:
        drawn[0].subplots_adjust(left=1.7 / drawn[0].get_size_inches()[0], wspace=0.16)
        for index, (axis, name) in enumerate(zip(drawn[1], names, strict=True)):
            _human(axis, name)
            for place, (key, _, colour) in enumerate(RATER_ROWS):
                interval_row(axis, -place, raters.means[name][key], colour)
            words = [label for _, label, _ in RATER_ROWS] if index % 3 == 0 else [""] * len(RATER_ROWS)
            axis.set_yticks([-place for place in range(len(RATER_ROWS))], words, fontsize=7.5)
            axis.set(ylim=(-len(RATER_ROWS) + 0.4, 0.6), xlim=(min(0, *_lows(raters.means[name])) - 0.02, 1.02))
            axis.set_title(target_named(name).title)
    return drawn[0]


def _lows(means: Mapping[str, Estimate]) -> list[float]:
    return [means[key].low for key, *_ in RATER_ROWS if np.isfinite(means[key].low)] or [0.0]


def _human(axis: Axes, name: str) -> None:
    known = agreement_on(name)
    if known:
        axis.axvspan(
            known.low - 0.006, known.high + 0.006, color=GREY, alpha=0.25, linewidth=0, label="published, raters"
        )


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
