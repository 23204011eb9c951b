"""How a run went: loss and task metrics of every epoch as ``curves.png``, from the tables that it keeps."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from spinenet.labels import TARGET
from spinenet.system.files import replacing

METRICS, CURVES = "metrics.csv", "curves.png"
Series = dict[str, list[tuple[int, float]]]
"""Figure -> its values by epoch."""


def draw_curves(out: Path) -> None:
    """Write ``out/curves.png``: losses, and what each target was ranked by in validation; nothing without an epoch."""
    found = read_metrics(sorted(out.glob("metrics-*.csv"), key=_number) + [out / METRICS])
    if not found:
        return
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, values in found.items():
        axis = left if name.endswith("_loss") else right
        axis.plot(*zip(*values, strict=True), marker=".", linewidth=1, label=_title(name))
    left.set(xlabel="epoch", ylabel="loss")
    right.set(xlabel="epoch", ylabel="in validation, higher is better")
    for axis in (left, right):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.legend(fontsize=7)
    figure.legend(*right.get_legend_handles_labels(), loc="outside right center", fontsize=7)
    with replacing(out / CURVES) as partial:
        figure.savefig(partial, format="png", dpi=110)


def read_metrics(tables: Sequence[Path]) -> Series:
    """Losses and validation figures by epoch; of an epoch that was made again after a stop, the later values."""
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for path in tables:
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    for name, value in row.items():
                        if value and (name == "train_loss" or name.startswith("validation_")):
                            found[name][int(row["epoch"]) + 1] = float(value)
    return {name: sorted(values.items()) for name, values in found.items()}


def _number(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])


def _title(name: str) -> str:
    """A target's title for ``validation_<target>``, else the name in words."""
    target = name.removeprefix("validation_")
    return TARGET[target].title if target in TARGET else name.replace("_", " ")
