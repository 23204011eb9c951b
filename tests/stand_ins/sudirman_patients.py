"""Patients in the layout of Sudirman's reduced data set: pictures of a straight column with its outlines and grades."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spinenet.datasets.outlines import Outlines
from spinenet.labels import View
from spinenet.study import Series
from spinephantom.write.spider_files import write_mha

PIXEL_MM = 0.6875
AFFINE = np.array([[4.0, 0, 0, 0], [0, 0, PIXEL_MM, 0], [0, -PIXEL_MM, 0, 0], [0, 0, 0, 1]])
HEIGHT, DEPTH, GAP, TILT_DEG = 36.0, 46.0, 14.0, 12.0
NAMES = ("L1", "L2", "L3", "L4", "L5", "S1")


def body(number: int) -> list[list[float]]:
    """Outline of the n-th body from above: rectangles of a straight column that leans forwards on its way down."""
    tilt = np.deg2rad(TILT_DEG)
    down, back = np.array([-np.sin(tilt), np.cos(tilt)]), np.array([np.cos(tilt), np.sin(tilt)])
    middle = np.array([230.0, 60.0]) + number * (HEIGHT + GAP) * down
    corners = [
        middle + x * DEPTH / 2 * back + y * HEIGHT / 2 * down for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))
    ]
    return [corner.tolist() for corner in corners]


COLUMN = {name: [body(number)] for number, name in enumerate(NAMES)}


def picture() -> np.ndarray:
    """A slice that shows the column: bodies grey, discs dark, canal bright behind them."""
    shape = (384, 384)
    values = Outlines({name: np.array(one[0]) for name, one in COLUMN.items()}, shape).values(
        read_like(np.zeros((1, *shape)))
    )[0]
    slice_RC = np.where(values > 200, 60, np.where(values > 0, 120, 30)).astype(np.uint8)
    return slice_RC + np.random.default_rng(0).integers(0, 9, shape).astype(np.uint8)


def read_like(voxels_SRC: np.ndarray) -> Series:
    return Series("t2", voxels_SRC.astype(np.float32), AFFINE, "sagittal", View.SAGITTAL_T2)


def rows_of(*patients: str) -> str:
    rows = [f"{patient},{level},{grade}" for patient in patients
            for level, grade in (("L5/S1", 4), ("L4/L5", 3), ("L3/L4", 2))]  # fmt: skip
    return "\n".join(["patient,level,pfirrmann", *rows]) + "\n"


def write_patients(root: Path, outlines: Mapping[str, Any], series: Sequence[str] = ("t1", "t2")) -> None:
    """Images, outlines and grades of these patients."""
    (root / "images").mkdir(parents=True, exist_ok=True)
    for patient in outlines:
        for name in series:
            write_mha(root / "images" / f"{patient}_{name}.mha", picture()[None], AFFINE, "PIR")
    (root / "vertebrae.json").write_text(json.dumps(outlines))
    (root / "pfirrmann.csv").write_text(rows_of(*outlines))
