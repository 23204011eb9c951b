"""Figures of one evaluation, one panel a target. Each function returns one matplotlib figure."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spinenet.evaluate.agreement import ratio
from spinenet.evaluate.curves import PROBABILITY_GRID, Curve, net_benefit_of_all
from spinenet.evaluate.drawing import BLUE, GREY, INK, ORANGE, note, panels, unit_square
from spinenet.evaluate.evaluation import TargetMetrics
from spinenet.evaluate.questions import PRESENCE
from spinenet.labels import Scale

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
                axis.plot(
                    *place, "o", markersize=6, color=ORANGE, markeredgecolor="white", label="as decided", zorder=3
                )
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
                axis.plot(
                    *place, "o", markersize=6, color=ORANGE, markeredgecolor="white", label="as decided", zorder=3
                )
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


def reliability_figure(targets: Sequence[TargetMetrics], curves: Curves, before: Mapping[str, Curve | None]) -> Figure:
    """Observed frequency over stated probability after calibration, and before it where that is known."""
    xlabel = "stated probability (of the finding, or of the most probable grade)"
    with panels(len(targets), xlabel, "observed frequency") as drawn:
        for axis, target in zip(drawn[1], targets, strict=True):
            unit_square(axis, target.target.title)
            axis.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":", label="as stated")
            note(axis, _calibration_note(target), "upper left")
            earlier, now = before[target.target.name], curves[target.target.name]
            if earlier is not None:
                axis.plot(
                    earlier.x_G,
                    earlier.y_G,
                    "x--",
                    color=ORANGE,
                    linewidth=0.9,
                    markersize=4,
                    label="before calibration",
                )
            axis.vlines(now.x_G, now.low_G, now.high_G, color=BLUE, linewidth=1)
            axis.plot(now.x_G, now.y_G, "o-", color=BLUE, linewidth=1.2, markersize=3.5, label="stated (95 % interval)")
    return drawn[0]


def _calibration_note(target: TargetMetrics) -> str:
    lines = [f"ECE {target.estimates['ece'].text(3)}"]
    if "ece_uncalibrated" in target.estimates:
        lines.insert(0, f"before {target.estimates['ece_uncalibrated'].value:.3f}")
    return "\n".join(lines)


def risk_coverage_figure(targets: Sequence[TargetMetrics], curves: Curves) -> Figure:
    """Share decided wrongly among the surest discs; the dot is where the model abstains now."""
    with panels(len(targets), "share of discs kept, the surest first", "share of them decided wrongly") as drawn:
        for axis, target in zip(drawn[1], targets, strict=True):
            curve = curves[target.target.name]
            wrong = 1 - target.estimates["accuracy"].value
            axis.axhline(wrong, color=GREY, linewidth=0.8, linestyle=":", label="abstaining at random")
            _line(axis, curve)
            coverage = target.estimates["coverage"].value
            place = (coverage, float(np.interp(coverage, curve.x_G, curve.y_G)))
            axis.plot(*place, "o", markersize=6, color=ORANGE, markeredgecolor="white", label="confident", zorder=3)
            axis.set_title(target.target.title)
            top = np.nanmax([*curve.high_G, wrong, 0.02])
            axis.set(xlim=(0, 1.02), ylim=(0, 1.05 * top))
            axis.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    return drawn[0]


def _line(axis: Axes, curve: Curve) -> bool:
    """A curve with its band; says so and returns false where it is not defined."""
    if not np.isfinite(curve.y_G).any():
        axis.text(0.5, 0.5, "one class only", transform=axis.transAxes, ha="center", color=GREY)
        return False
    axis.fill_between(curve.x_G, curve.low_G, curve.high_G, color=BLUE, alpha=0.2, linewidth=0, label=BAND)
    axis.plot(curve.x_G, curve.y_G, color=BLUE, linewidth=1.5)
    return True


def _asked(target: TargetMetrics) -> str:
    return "positive" if target.target.scale is Scale.BINARY else PRESENCE[target.target.name].title


def _title(target: TargetMetrics) -> str:
    return f"Any {target.target.title}" if target.target.scale is Scale.NOMINAL else target.target.title
