"""A segmenter of sacs on patients it has not learnt from: overlap with their label images, and the area's error.

A volume is judged where it shows the sac: the part beside it is nobody's. Shapes: N crop, C class, H W pixels.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinenet.datasets.labelled import LabelledStudy
from spinenet.locating.measuring.dural_sac import PIXEL_MM, SAC, OutlineSacs, sac_of
from spinenet.system.files import write_text
from spinenet.train.segmenter.sac_crops import PlainSac
from spinenet.train.segmenter.sac_samples import ReadSacs

Row = dict[str, Any]


def judge_sacs(studies: Iterable[LabelledStudy], outline: OutlineSacs, out: Path) -> None:
    """Write ``sacs.csv``, a row a slice (study, level, dice, said and true mm²), and ``sac_errors.csv``, by level and
    over all: slices, Dice (median, 5th percentile), bias, median and 95 % of the area's absolute error."""
    rows = pd.DataFrame([row for study in studies for row in sac_rows(study, outline)])
    if len(rows):
        write_text(out / "sacs.csv", rows.to_csv(index=False))
        write_text(out / "sac_errors.csv", sac_errors(rows).to_csv(index=False))


def sac_rows(study: LabelledStudy, outline: OutlineSacs) -> Iterator[Row]:
    """What is said of a study's sacs beside what its label images say; ``whole`` where all of the crop is known."""
    samples = ReadSacs()(study)
    if not samples:
        return
    items = [PlainSac()(one) for one in samples]
    soft_NCHW = outline(np.stack([item["crop"][0] for item in items]))
    for sample, item, soft_CHW in zip(samples, items, soft_NCHW, strict=True):
        known_HW = item["allowed"].sum(0) == 1
        true_HW = item["allowed"][SAC] & known_HW
        said_HW = sac_of(soft_CHW[SAC] > 0.5) & known_HW
        yield {
            "study": study.key,
            "level": sample.level,
            "whole": bool(known_HW.all()),
            "dice": 2 * float((said_HW & true_HW).sum()) / max(1.0, float(said_HW.sum() + true_HW.sum())),
            "said_mm2": _area_mm2(said_HW),
            "true_mm2": _area_mm2(true_HW),
        }


def _area_mm2(mask_HW: NDArray[np.bool_]) -> float:
    return round(float(mask_HW.sum()) * PIXEL_MM**2, 1)


def sac_errors(rows: pd.DataFrame) -> pd.DataFrame:
    """Errors by level, and over ``all``."""
    table = []
    for level, one in [*rows.groupby("level", sort=False), ("all", rows)]:
        error = one["said_mm2"] - one["true_mm2"]
        row: Row = {"level": level, "slices": len(one), "dice": one["dice"].median()}
        row |= {"dice_5": one["dice"].quantile(0.05), "bias_mm2": error.median()}
        row |= {"median_error_mm2": error.abs().median(), "error_95_mm2": error.abs().quantile(0.95)}
        table.append(row)
    return pd.DataFrame(table).round(3)
