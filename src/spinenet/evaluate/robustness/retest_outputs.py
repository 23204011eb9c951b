"""How far grades move, as files: ``tables/movements.csv``, ``tables/levels.csv``, ``report.md`` and a figure."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from spinenet.evaluate.figures import INK, panels, save
from spinenet.evaluate.markdown import markdown
from spinenet.evaluate.report import flat, write_table
from spinenet.evaluate.robustness.retest import CUT, RENAMED, LevelShift, Movement, Retest, level_shifts, movements
from spinenet.labels import RESEARCH_ONLY, TARGET
from spinenet.system.files import write_text

EXPLAINED = (
    "Each study was graded as it is and again changed: re-sliced to coarser pixels, with noise, with a moved field of "
    "view, turned, with other grey values, mirrored (grades compared with the other side's), with less acquired. "
    f'"{CUT}": the image ends above L5/S1; a radiologist would refuse, a name that moves is the worst error. '
    f'"{RENAMED}": the same pixels graded under the name of the level above. No truth is used.'
)


def write_retests(found: Sequence[Retest], folder: Path, *, model: str, samples: int, seed: int) -> None:
    """Summarise retests and write the folder."""
    moved = movements(found, samples=samples, seed=seed)
    shifts = level_shifts(found, samples=samples, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    write_table((flat(_plain(row)) for row in moved), folder / "tables" / "movements.csv")
    write_table((flat(_plain(row)) for row in shifts), folder / "tables" / "levels.csv")
    (folder / "figures").mkdir(exist_ok=True)
    save(movement_figure(moved), folder / "figures" / "movements")
    studies = len({one.study for one in found})
    sections = (
        "# How far grades move",
        f"> {RESEARCH_ONLY}",
        f"{studies} studies, model {model}. Brackets hold 95 % intervals from {samples} bootstrap samples of studies "
        f"(seed {seed}). {EXPLAINED}",
        "## Share of grades that change",
        changed_table(moved),
        "![Share of grades that change](figures/movements.png)",
        "Grades that move by two or more, and how far probabilities move: tables/movements.csv.",
        "## Names of levels",
        levels_table(shifts),
    )
    write_text(folder / "report.md", "\n\n".join(sections) + "\n")


def _plain(row: Movement | LevelShift) -> dict[str, object]:
    return asdict(row)


def changed_table(moved: Sequence[Movement]) -> str:
    """One row a perturbation, one column a target: the share of grades that differ."""
    targets = list(dict.fromkeys(row.target for row in moved))
    cells = {(row.kind, row.target): str(row.changed) for row in moved}
    kinds = dict.fromkeys(row.kind for row in moved)
    rows = [[kind, *(cells.get((kind, target), "–") for target in targets)] for kind in kinds]
    return markdown(["Shown", *(TARGET[target].title for target in targets)], rows)


def levels_table(shifts: Sequence[LevelShift]) -> str:
    """One row a perturbation: studies refused, levels that lost their name, and names that moved to another disc."""
    rows = [
        [row.kind, f"{row.studies}", f"{row.refused}", f"{row.levels}", str(row.lost), row.misnamed.text(3)]
        for row in shifts
    ]
    return markdown(["Shown", "Studies", "Refused", "Levels", "Not found", "Name at another disc"], rows)


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
