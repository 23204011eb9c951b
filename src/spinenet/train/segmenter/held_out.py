"""A segmenter on patients it has not learnt from: overlap with their label images, and what that does to measurements.

Both masks are measured in the same frame, which is moved as a locator may err. Shapes: L level, C class, H W pixels.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinenet.datasets.fine_masks import soft_masks
from spinenet.datasets.labelled import LabelledStudy
from spinenet.datasets.masks import locate_masked
from spinenet.locating.measuring.accuracy import BLUR_MM, ERRORS_95
from spinenet.locating.measuring.alignment import connected
from spinenet.locating.measuring.fine_crops import COLUMNS, DISC, FINE_CLASSES, PIXEL_MM, ROWS, SHIFT_MM
from spinenet.locating.measuring.measured_study import normalised_crops
from spinenet.locating.measuring.series import Outline, measure_series
from spinenet.readers import opened, read_study
from spinenet.study import LocatedSeries
from spinenet.system.files import write_text
from spinenet.train.segmenter.disc_crops import jittered

LOCATOR_MM, LOCATOR_DEG = 1.0, 2.5
"""Standard deviations by which frames are moved and turned: somewhat more than a locator errs."""
FEWEST_PX = 60
"""A class of which a crop shows less is not judged in it."""
BLURS = ("clear", "middling", "blurred")
Row = dict[str, Any]


def judge(studies: Iterable[LabelledStudy], outline: Outline, out: Path) -> None:
    """Write ``dice.csv`` (series, class: discs, median, 5th percentile) and ``measured.csv`` (series, measurement:
    discs, bias, median and 95 % of the error, the latter by how blurred the border is, and the share not measured)."""
    overlaps: list[Row] = []
    errors: list[Row] = []
    random = np.random.RandomState(0)
    for study in studies:
        for located, mask_SRC in _masked_series(study):
            frames = tuple(jittered(frame, random, LOCATOR_MM, LOCATOR_DEG) for frame in located.frames)
            moved = replace(located, frames=frames)
            true_LCHW, said_LCHW = soft_masks(moved, mask_SRC), outline(normalised_crops(moved))
            overlaps += _overlaps(moved, said_LCHW, true_LCHW)
            errors += _errors(moved, said_LCHW, true_LCHW)
    if overlaps:
        write_text(out / "dice.csv", _dice_table(pd.DataFrame(overlaps)).to_csv(index=False))
    if errors:
        write_text(out / "measured.csv", _error_table(pd.DataFrame(errors)).to_csv(index=False))


def _masked_series(study: LabelledStudy) -> Iterator[tuple[LocatedSeries, NDArray[np.uint8]]]:
    masks = {name: mask for name, mask in study.masks.items() if mask.whole}
    if not masks:
        return
    located, _ = locate_masked(read_study(opened(study.source)).series, masks)
    for one in located:
        if one.series.plane == "sagittal":
            yield one, masks[one.series.name].values(one.series)


def _overlaps(located: LocatedSeries, said_LCHW: NDArray[np.float32], true_LCHW: NDArray[np.float32]) -> Iterator[Row]:
    for said_CHW, true_CHW in zip(said_LCHW, true_LCHW, strict=True):
        class_HW = said_CHW.argmax(0)
        for index, name in enumerate(FINE_CLASSES[1:], start=1):
            true_HW, said_HW = true_CHW[index] > 0.5, class_HW == index
            if index == DISC:
                said_HW = connected(said_HW, ((ROWS - 1) / 2, (COLUMNS - 1) / 2 - SHIFT_MM / PIXEL_MM))
            if true_HW.sum() >= FEWEST_PX:
                dice = 2 * (true_HW & said_HW).sum() / (true_HW.sum() + said_HW.sum())
                yield {"series": located.series.name, "class": name, "dice": float(dice)}


def _errors(located: LocatedSeries, said_LCHW: NDArray[np.float32], true_LCHW: NDArray[np.float32]) -> Iterator[Row]:
    said, true = measure_series(located, said_LCHW), measure_series(located, true_LCHW)
    for level in said.keys() & true.keys():
        blur = BLURS[bisect_left(BLUR_MM, said[level]["border_mm"])]
        for name in filter(said[level].__contains__, ERRORS_95):  # one slice shows no cross-section
            key = {"series": located.series.name, "measurement": name, "blur": blur}
            yield {**key, "said": said[level][name], "true": true[level][name]}


def _dice_table(rows: pd.DataFrame) -> pd.DataFrame:
    groups = rows.groupby(["series", "class"], sort=False)["dice"]
    table = groups.agg(discs="size", median="median", percentile_5=lambda one: one.quantile(0.05))
    return table.round(4).reset_index()


def _error_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Differences of measurements from those on label images; 95 % are of what is left when the bias is taken off."""
    rows = rows[rows["true"].notna()].assign(error=lambda one: one["said"] - one["true"])
    table = []
    for (series, name), one in rows.groupby(["series", "measurement"], sort=False):
        bias = one["error"].median()
        far = (one["error"] - bias).abs()
        row = {"series": series, "measurement": name, "discs": int(one["error"].notna().sum()), "bias": bias}
        row |= {"median_error": one["error"].abs().median(), "error_95": far.quantile(0.95)}
        row |= {f"error_95_{blur}": far[one["blur"] == blur].quantile(0.95) for blur in BLURS}
        table.append(row | {"not_measured": float(one["said"].isna().mean())})
    return pd.DataFrame(table).round(3)
