"""The canal's cross-section from sagittal slices: a tube of known width and depth behind a disc."""

import numpy as np
import pytest
from numpy.typing import NDArray

from spinenet.labels import View
from spinenet.locating.measuring.cross_section import cross_sections
from spinenet.locating.measuring.fine_crops import CANAL, FINE_CLASSES
from spinenet.locating.measuring.measured_study import normalised_crops
from spinenet.study import LevelFrame, LocatedSeries, Series

DEPTH_MM, WIDTH_MM = 12.0, 20.0
DISC_MM = 34.0


def scan(step_mm: float, slices: int, middle: int | None = None) -> LocatedSeries:
    """Sagittal slices of a bright tube, an ellipse in cross-section, that runs down behind a disc at the origin."""
    middle = slices // 2 if middle is None else middle
    to_mm = np.array([[step_mm, 0, 0, -middle * step_mm], [0, 0, 0.5, -50], [0, -0.5, 0, 50], [0, 0, 0, 1.0]])
    beside_S = (np.arange(slices) - middle) * step_mm
    half_S = 0.5 * DEPTH_MM * np.sqrt(np.clip(1 - (2 * beside_S / WIDTH_MM) ** 2, 0, None))
    y_mm = np.arange(200) * 0.5 - 50 - (DISC_MM / 2 + DEPTH_MM / 2)
    inside_SC = np.abs(y_mm)[None] <= half_S[:, None]
    voxels_SRC = np.repeat(inside_SC[:, None], 200, axis=1).astype(np.float32)
    series = Series("t2", voxels_SRC, to_mm, "sagittal", View.SAGITTAL_T2)
    frame = LevelFrame("L4/L5", np.zeros(3), np.array([0.0, 1, 0]), np.array([0.0, 0, 1]), DISC_MM, 9.0)
    return LocatedSeries(series, (frame,), middle, np.zeros(5, np.float32))


def bright(crops_NHW: NDArray[np.float32]) -> NDArray[np.float32]:
    soft_NCHW = np.zeros((len(crops_NHW), len(FINE_CLASSES), *crops_NHW.shape[1:]), np.float32)
    soft_NCHW[:, CANAL] = crops_NHW > 0.5
    return soft_NCHW


def areas(located: LocatedSeries) -> dict[str, float]:
    outlines = dict(zip(["L4/L5"], (255 * bright(normalised_crops(located))).astype(np.uint8), strict=True))
    return cross_sections(located, outlines, bright)


@pytest.mark.parametrize(("step_mm", "slices"), [(1.0, 31), (3.3, 11), (4.4, 13)])
def test_area_is_that_of_the_tube_however_far_apart_slices_are(step_mm: float, slices: int) -> None:
    assert areas(scan(step_mm, slices))["L4/L5"] == pytest.approx(np.pi / 4 * DEPTH_MM * WIDTH_MM, rel=0.1)


@pytest.mark.parametrize(
    "located", [scan(4.4, 1), scan(4.4, 3), scan(7.0, 9), scan(4.0, 9, middle=1)], ids=["one", "few", "far", "one side"]
)
def test_slices_that_do_not_cross_the_canal_give_no_area(located: LocatedSeries) -> None:
    assert areas(located) == {}


def test_what_shines_beside_the_canal_is_not_counted() -> None:
    located = scan(2.0, 21)
    located.series.voxels_SRC[3] = located.series.voxels_SRC[10]  # 14 mm beside the midline, a gap between
    assert areas(located)["L4/L5"] == pytest.approx(np.pi / 4 * DEPTH_MM * WIDTH_MM, rel=0.1)


def test_no_canal_is_not_an_area_of_zero() -> None:
    located = scan(4.0, 11)
    located.series.voxels_SRC[:] = 0
    assert areas(located) == {}
