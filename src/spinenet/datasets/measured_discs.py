"""A labelled data set measured: one row a disc and series, from its label images."""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from spinenet.datasets.fine_masks import soft_masks
from spinenet.datasets.labelled import LabelledStudy
from spinenet.datasets.masks import locate_masked
from spinenet.errors import DatasetError, SpinenetError
from spinenet.locating.measuring.accuracy import ERRORS_95, error_95
from spinenet.locating.measuring.lengths import meyerding
from spinenet.locating.measuring.series import Numbers, measure_series
from spinenet.readers import opened, read_study
from spinenet.system.files import replacing

Cell = str | float | int | None
DIGITS = 4


@dataclass(frozen=True)
class StudyMeasurements:
    """A study's rows, or why it has none."""

    rows: tuple[dict[str, Cell], ...]
    problem: str = ""


def measured_study(study: LabelledStudy) -> StudyMeasurements:
    """Every disc of a study as each of its sagittal series with a whole label image shows it."""
    try:
        return StudyMeasurements(tuple(_rows(study)))
    except SpinenetError as error:
        return StudyMeasurements((), str(error))


def _rows(study: LabelledStudy) -> Iterator[dict[str, Cell]]:
    masks = {name: mask for name, mask in study.masks.items() if mask.whole}
    located, _ = locate_masked(read_study(opened(study.source)).series, masks)
    sagittal = [one for one in located if one.series.plane == "sagittal"]
    if not sagittal:
        raise DatasetError(f"{study.key}: no label image shows a disc of its series; nothing is measured")
    for one in sagittal:
        measured = measure_series(one, soft_masks(one, masks[one.series.name].values(one.series)))
        for level, numbers in measured.items():
            yield {"study": study.key, "series": one.series.name, "level": level, **_cells(numbers)}


def _cells(numbers: Numbers) -> dict[str, Cell]:
    """Every measurement, behind it its 95 % error where one is known; unknown is an empty cell."""
    cells: dict[str, Cell] = {}
    for name, value in numbers.items():
        known = not math.isnan(value)
        cells[name] = round(value, DIGITS) if known else None
        if name in ERRORS_95:
            cells[f"{name}_error95"] = error_95(name, value=value) if known else None
    cells["meyerding"] = meyerding(numbers["slip_mm"], numbers["slip_percent"])
    return cells


def write_rows(path: Path, rows: Sequence[dict[str, Cell]]) -> None:
    """Write rows, all of the same columns, as a CSV (whole or not at all)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
