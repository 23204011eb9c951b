"""How far grades move, as files: ``tables/movements.csv``, ``tables/levels.csv``, ``report.md`` and a figure."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from spinenet.evaluate.figures import INK, panels, save
from spinenet.evaluate.intervals import plain
from spinenet.evaluate.report import flat, render, write_table
from spinenet.evaluate.robustness.retest import CUT, RENAMED, Movement, Retest, level_shifts, movements
from spinenet.labels import TARGET
from spinenet.system.files import write_text


def write_retests(found: Sequence[Retest], folder: Path, *, model: str, samples: int, seed: int) -> None:
    """Summarise retests and write the folder."""
    moved = movements(found, samples=samples, seed=seed)
    shifts = level_shifts(found, samples=samples, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    write_table((flat(plain(row)) for row in moved), folder / "tables" / "movements.csv")
    write_table((flat(plain(row)) for row in shifts), folder / "tables" / "levels.csv")
    (folder / "figures").mkdir(exist_ok=True)
    save(movement_figure(moved), folder / "figures" / "movements")
    targets = list(dict.fromkeys(row.target for row in moved))
    cells = {(row.kind, row.target): row.changed for row in moved}
    kinds = list(dict.fromkeys(row.kind for row in moved))
    studies = len({one.study for one in found})
    words = {"model": model, "samples": samples, "seed": seed, "cut": CUT, "renamed": RENAMED}
    text = render("robustness", **words, studies=studies, kinds=kinds, targets=targets, cells=cells, shifts=shifts)
    write_text(folder / "report.md", text)


def movement_figure(moved: Sequence[Movement]) -> Figure:
    """Share of grades that change: perturbations down, targets across."""
    targets = list(dict.fromkeys(row.target for row in moved))
    kinds = list(dict.fromkeys(row.kind for row in moved))
    share_KT = np.full((len(kinds), len(targets)), np.nan)
    for row in moved:
        share_KT[kinds.index(row.kind), targets.index(row.target)] = row.changed.value
    with panels(1, "", "", width=1.2 + 0.62 * len(targets), height=1.9 + 0.3 * len(kinds), legend=False) as drawn:
        figure, (axis,) = drawn
        size_x, size_y = figure.get_size_inches()
        figure.subplots_adjust(left=1.75 / size_x, bottom=1.75 / size_y, top=1 - 0.4 / size_y)
        axis.imshow(share_KT, cmap=colormaps["Oranges"], vmin=0, vmax=0.5, aspect="auto")
        for (row_index, column), value in np.ndenumerate(share_KT):
            if np.isfinite(value):
                axis.text(
                    column,
                    row_index,
                    f"{100 * value:.0f}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if value > 0.35 else INK,
                )
        axis.set_yticks(range(len(kinds)), kinds)
        titles = [TARGET[target].title for target in targets]
        axis.set_xticks(range(len(targets)), titles, rotation=40, ha="right", rotation_mode="anchor")
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        axis.set_title("Grades that change, %")
    return figure
