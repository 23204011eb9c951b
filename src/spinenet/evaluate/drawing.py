"""What all figures share: colours, style, panels, intervals as bars, and how they are saved.

Colours are Okabe and Ito's, told apart by colour-blind readers. No pyplot: nothing global is touched.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spinenet.evaluate.intervals import Estimate
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
    """A figure as a dot with its interval as a bar, at a height; nothing where it is not defined."""
    if np.isnan(estimate.value):
        return
    if np.isfinite(estimate.low):
        axis.plot([estimate.low, estimate.high], [row, row], color=colour, linewidth=1.6, solid_capstyle="butt")
    axis.plot(estimate.value, row, "o", color=colour, markersize=4.5, label=label)


def save(figure: Figure, path: Path) -> None:
    """Write ``path`` + ``.png`` and ``.svg``, without a date, so that the same figure gives the same bytes."""
    options: dict[str, dict[str, Any]] = {"png": {"dpi": 130}, "svg": {"metadata": {"Date": None}}}
    for kind, more in options.items():
        with rc_context(STYLE), replacing(path.with_suffix(f".{kind}")) as partial:
            figure.savefig(partial, format=kind, facecolor="white", **more)
