"""Which discs to look at: the surest mistakes and the least sure rights, and a picture of them."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from spinenet.labels import MAX_GRADES, RESEARCH_ONLY, TARGET

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
