"""Pictures of a report: what is drawn lies where it is in the patient."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from spinenet.labels import View
from spinenet.report.page.pictures import Window, data_uri, grey_of, mark_of, overview, spine_window, window_of
from spinenet.study import LevelFrame, LocatedSeries, Series

# 5 sagittal slices 4 mm apart, 40 rows of 0.5 mm downwards, 30 columns of 0.8 mm backwards
AFFINE = np.array([[4.0, 0, 0, -8], [0, 0, 0.8, -12], [0, -0.5, 0, 10], [0, 0, 0, 1]])
REFERENCE = np.array([0.0, 1.0, 0.5, 1.0, 0.5], np.float32)


def frame_at(slice_row_column: tuple[float, float, float], depth_mm: float = 8.0) -> LevelFrame:
    center_mm = (AFFINE @ np.array([*slice_row_column, 1.0]))[:3]
    return LevelFrame("L4/L5", center_mm, np.array([0.0, 1, 0]), np.array([0.0, 0, 1]), depth_mm, 3.0)


def pixels_of(uri: str) -> np.ndarray:
    prefix = "data:image/png;base64,"
    assert uri.startswith(prefix)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.removeprefix(prefix)))))


def test_a_mark_runs_along_the_disc_in_mm_of_the_slice() -> None:
    mark = mark_of(frame_at((2, 20, 15)), Series("t2", np.zeros((5, 40, 30), np.float32), AFFINE, "sagittal", None))
    assert mark.anterior_mm == pytest.approx((15.5 * 0.8 - 4, 20.5 * 0.5))
    assert mark.posterior_mm == pytest.approx((15.5 * 0.8 + 4, 20.5 * 0.5))


def test_a_mark_is_where_the_disc_is_bright() -> None:
    voxels_SRC = np.zeros((5, 40, 30), np.float32)
    voxels_SRC[2, 20, 15] = 1.0
    series = Series("t2", voxels_SRC, AFFINE, "sagittal", View.SAGITTAL_T2)
    shown = overview(LocatedSeries(series, (frame_at((2, 20, 15), 0.0),), 2, REFERENCE))
    row, column = np.unravel_index(pixels_of(shown.image).argmax(), (40, 30))
    x_mm, y_mm = shown.marks[0].anterior_mm
    assert (int(y_mm / shown.height_mm * 40), int(x_mm / shown.width_mm * 30)) == (row, column)


def test_an_overview_is_true_to_scale() -> None:
    series = Series("t2", np.random.default_rng(0).random((5, 40, 30), np.float32), AFFINE, "sagittal", None)
    shown = overview(LocatedSeries(series, (), 2, REFERENCE))
    assert (shown.width_mm, shown.height_mm) == pytest.approx((24.0, 20.0))


def test_bright_fat_does_not_darken_the_spine() -> None:
    voxels_SRC = np.full((5, 100, 100), 60.0, np.float32)
    voxels_SRC[..., -2:] = 1000.0
    series = Series("t2", voxels_SRC, AFFINE, "sagittal", View.SAGITTAL_T2)
    located = LocatedSeries(series, (), 2, np.array([10.0, 110.0, 60, 90, 50], np.float32))
    assert spine_window(located) == Window(10.0, 120.0)


def test_fat_that_fills_a_t1_is_not_shown_as_pure_white() -> None:
    fat_SRC = np.random.default_rng(0).normal(400, 60, (5, 100, 100)).astype(np.float32)
    fat_SRC[..., :40] = 60.0
    series = Series("t1", fat_SRC, AFFINE, "sagittal", View.SAGITTAL_T1)
    window = spine_window(LocatedSeries(series, (), 2, np.array([80.0, 110.0, 60, 90, 50], np.float32)))
    assert np.mean(fat_SRC[2] > window.white) < 0.01 and window.black == 60.0
    assert np.mean(grey_of(fat_SRC[2], window) == 255) < 0.01


def test_a_window_maps_black_and_white_and_clips_beyond() -> None:
    picture = pixels_of(data_uri(np.array([[-5.0, 10.0], [20.0, 99.0]], np.float32), Window(0.0, 20.0)))
    assert picture.tolist() == [[0, 128], [255, 255]]


def test_pictures_that_are_compared_share_one_window() -> None:
    dark, bright = np.zeros((10, 10), np.float32), np.full((10, 10), 8.0, np.float32)
    assert window_of([dark, bright]) == Window(0.0, 8.0)


def test_a_constant_picture_is_shown_without_dividing_by_zero() -> None:
    constant = np.full((4, 4), 7.0, np.float32)
    assert pixels_of(data_uri(constant, window_of([constant]))).max() == 0


def test_a_huge_slice_is_shrunk_for_the_page() -> None:
    picture = pixels_of(data_uri(np.zeros((2000, 1000), np.float32), Window(0, 1)))
    assert picture.shape == (768, 384)
