"""Confusion matrices, ROC curves with bands and reliability diagrams. Each function returns one matplotlib figure.

Colours are Okabe and Ito's, told apart by colour-blind readers. No pyplot: nothing global is touched. Shape letters as
in ``metrics``: S resamples, N discs, K grades, B bins.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from spinenet.evaluate import metrics
from spinenet.evaluate.evaluation import TargetMetrics
from spinenet.evaluate.intervals import COVERAGE, Floats, weights_of_discs
from spinenet.evaluate.table import Sample
from spinenet.labels import Scale

BLUE, ORANGE, GREY, INK = "#0072B2", "#D55E00", "#6B7280", "#111827"

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "legend.frameon": False,
    "svg.hashsalt": "spinenet",  # the same figure gives the same file
}
FALSE_ALARM_RATES = np.linspace(0, 1, 101)
_ENDS = ((1 - COVERAGE) / 2, (1 + COVERAGE) / 2)
_FEWEST_IN_BIN = 5


def confusion_figure(targets: Sequence[TargetMetrics]) -> Figure:
    """One matrix a target: discs in the cells, shade by share of the true grade."""
    with rc_context(STYLE):
        figure, axes = _panels(len(targets), columns=3, inches=3.2)
        for axis, target in zip(axes, targets, strict=True):
            _draw_confusion(axis, target)
        figure.supxlabel("decided grade", fontsize=9)
        figure.supylabel("true grade (discs)", fontsize=9)
    return figure


def roc_figure(samples: Sequence[Sample], targets: Sequence[TargetMetrics], draws_SP: Floats) -> Figure:
    """One ROC curve a target with its 95 % band over patients; the dot is where the decided grades lie."""
    with rc_context(STYLE):
        figure, axes = _panels(len(targets), columns=4)
        for axis, sample, target in zip(axes, samples, targets, strict=True):
            _draw_roc(axis, sample.predicted, target, draws_SP)
        figure.supxlabel("1 − specificity", fontsize=9)
        figure.supylabel("sensitivity", fontsize=9)
        _legend(figure, axes)
    return figure


def reliability_figure(samples: Sequence[Sample], targets: Sequence[TargetMetrics], draws_SP: Floats) -> Figure:
    """Observed frequency over stated probability after calibration, and before it where that is known.

    Bins with fewer than five discs are not drawn; the bars are 95 % intervals over patients, the grey columns the share
    of discs in each bin.
    """
    with rc_context(STYLE):
        figure, axes = _panels(len(targets), columns=4, head_inches=0.5)
        for axis, sample, target in zip(axes, samples, targets, strict=True):
            _draw_reliability(axis, sample.predicted, target, draws_SP)
        figure.supxlabel("stated probability (present, or the most probable grade)", fontsize=9)
        figure.supylabel("observed frequency", fontsize=9)
        _legend(figure, axes)
    return figure


def presence_title(target: TargetMetrics) -> str:
    """What the ROC curve of a target is of."""
    return f"Any {target.target.title}" if target.target.scale is Scale.NOMINAL else target.target.title


def roc_band(sample: Sample, draws_SP: Floats) -> tuple[Floats, Floats]:
    """Ends of the 95 % band of sensitivity at each of FALSE_ALARM_RATES, pointwise over resamples with both classes.

    Both nan where no resample has both classes.
    """
    positive_N, score_N = metrics.positive_and_score(sample)
    curves = [
        np.interp(FALSE_ALARM_RATES, alarms_U / alarms_U[-1], hits_U / hits_U[-1])
        for weights_SN in weights_of_discs(draws_SP, sample.patient_N)
        for hits_U, alarms_U in zip(*metrics.roc_counts(positive_N, score_N, weights_SN), strict=True)
        if hits_U[-1] > 0 and alarms_U[-1] > 0
    ]
    low, high = np.quantile(curves or [np.full(len(FALSE_ALARM_RATES), np.nan)], _ENDS, axis=0)
    return low, high


def reliability(sample: Sample, probabilities_NK: Floats, draws_SP: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Mean stated probability, observed frequency and the two ends of its interval, for each bin with enough discs."""
    stated_N, happened_N = metrics.stated_and_happened(sample, probabilities_NK)
    members_NB = np.eye(metrics.BINS)[metrics.bin_of(stated_N)]
    members_NB = members_NB[:, members_NB.sum(axis=0) >= _FEWEST_IN_BIN]
    discs_B = members_NB.sum(axis=0)
    if not len(discs_B):
        return discs_B, discs_B, discs_B, discs_B
    observed_SB = np.concatenate(
        [
            _share(weights_SN @ (members_NB * happened_N[:, None]), weights_SN @ members_NB)
            for weights_SN in weights_of_discs(draws_SP, sample.patient_N)
        ]
    )
    low, high = np.nanquantile(observed_SB, _ENDS, axis=0)
    return stated_N @ members_NB / discs_B, happened_N @ members_NB / discs_B, low, high


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def _panels(count: int, columns: int, inches: float = 2.6, head_inches: float = 0.15) -> tuple[Figure, list[Axes]]:
    """Square panels in rows of at most ``columns``, unused ones hidden."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(columns * inches, rows * (inches + head_inches) + 0.3), layout="constrained")
    axes: list[Axes] = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes[count:]:
        axis.set_visible(False)
    return figure, axes[:count]


def _draw_confusion(axis: Axes, target: TargetMetrics) -> None:
    counts_KK: NDArray[np.int64] = target.confusion_KK
    share_KK = np.nan_to_num(_share(counts_KK.astype(float), counts_KK.sum(axis=1, keepdims=True) + 0 * counts_KK))
    axis.imshow(share_KK, cmap=colormaps["Blues"], vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts_KK):
        colour = "white" if share_KK[row, column] > 0.55 else INK
        axis.text(column, row, f"{count}", ha="center", va="center", color=colour)
    grades, totals = target.target.grades, counts_KK.sum(axis=1)
    axis.set_xticks(range(len(grades)), [f"{grade}" for grade in grades])
    axis.set_yticks(range(len(grades)), [f"{grade} ({total})" for grade, total in zip(grades, totals, strict=True)])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_title(target.target.title)


def _draw_roc(axis: Axes, sample: Sample, target: TargetMetrics, draws_SP: Floats) -> None:
    _square(axis, presence_title(target))
    text = f"AUC {target.estimates['auc']}\n{target.positives} of {target.n} positive"
    axis.text(0.98, 0.04, text, ha="right", va="bottom", fontsize=8, color=INK)
    positive_N, score_N = metrics.positive_and_score(sample)
    (hits_U,), (alarms_U,) = metrics.roc_counts(positive_N, score_N, np.ones((1, len(sample))))
    if hits_U[-1] == 0 or alarms_U[-1] == 0:
        axis.text(0.5, 0.25, "one class only", ha="center", color=GREY)
        return
    if target.patients > 1:
        band = roc_band(sample, draws_SP)
        axis.fill_between(FALSE_ALARM_RATES, *band, color=BLUE, alpha=0.2, linewidth=0, label="95 % band over patients")
    axis.plot(alarms_U / alarms_U[-1], hits_U / hits_U[-1], color=BLUE, linewidth=1.6)
    sensitivity, specificity = target.estimates["sensitivity"].value, target.estimates["specificity"].value
    axis.scatter(1 - specificity, sensitivity, s=40, color=ORANGE, edgecolor="white", zorder=3, label="decided grades")


def _draw_reliability(axis: Axes, sample: Sample, target: TargetMetrics, draws_SP: Floats) -> None:
    error, error_before = target.estimates["ece"].value, target.estimates["ece_uncalibrated"].value
    _square(axis, target.target.title)
    before = "" if sample.uncalibrated_NK is None else f"{error_before:.3f} before, "
    axis.set_title(target.target.title, pad=17)
    axis.text(0, 1.03, f"ECE {before}{error:.3f} after", transform=axis.transAxes, fontsize=8, color=GREY)
    stated_N, _ = metrics.stated_and_happened(sample, sample.probabilities_NK)
    share_B = np.bincount(metrics.bin_of(stated_N), minlength=metrics.BINS) / max(len(sample), 1)
    edges = np.arange(metrics.BINS) / metrics.BINS
    axis.bar(edges, share_B, width=1 / metrics.BINS, align="edge", color=GREY, alpha=0.18, linewidth=0)
    if sample.uncalibrated_NK is not None:
        stated, observed, *_ = reliability(sample, sample.uncalibrated_NK, draws_SP)
        axis.plot(stated, observed, "x--", color=ORANGE, linewidth=1, markersize=5, label="before calibration")
    stated, observed, low, high = reliability(sample, sample.probabilities_NK, draws_SP)
    axis.vlines(stated, low, high, color=BLUE, linewidth=1)
    axis.plot(stated, observed, "o-", color=BLUE, linewidth=1.4, markersize=4, label="after calibration")


def _legend(figure: Figure, axes: Sequence[Axes]) -> None:
    """One legend for all panels: each label once."""
    drawn = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    if drawn:
        columns = min(len(drawn), len(axes))  # a lone panel is too narrow for labels side by side
        figure.legend(drawn.values(), drawn.keys(), loc="outside upper right", ncols=columns, fontsize=8)


def _square(axis: Axes, title: str) -> None:
    """Unit square with its diagonal."""
    axis.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axis.set_title(title)
    axis.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axis.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])


def save(figure: Figure, path: Path) -> None:
    """Write ``path`` + ``.png`` and ``.svg``, without a date, so that the same figure gives the same bytes."""
    with rc_context(STYLE):
        figure.savefig(path.with_suffix(".png"), dpi=150, facecolor="white")
        figure.savefig(path.with_suffix(".svg"), facecolor="white", metadata={"Date": None})
