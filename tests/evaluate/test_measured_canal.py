"""Canals measured in label images, and how grades follow them."""

import numpy as np
import pandas as pd
import pytest

from spinenet.datasets.masks import CANAL_VALUE
from spinenet.evaluate.robustness.measured_canal import (
    extremes,
    measure_canal,
    rank_correlations,
    with_relative_area,
)
from spinenet.study import LevelFrame, Series

LEFT, POSTERIOR, SUPERIOR = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def sagittal_series(mask_SRC: np.ndarray) -> Series:
    """1 mm voxels; slices to the left, rows downwards, columns backwards."""
    affine = np.eye(4)
    affine[:3, :3] = np.array([LEFT, (0.0, 0.0, -1.0), POSTERIOR]).T
    return Series("t2", mask_SRC.astype(np.float32), affine, "sagittal", None)


def disc_frame(center_mm: tuple[float, float, float]) -> LevelFrame:
    return LevelFrame("L4/L5", np.array(center_mm), np.array(POSTERIOR), np.array(SUPERIOR), 30.0, 10.0)


def test_a_box_measures_its_own_depth_and_area() -> None:
    mask_SRC = np.zeros((41, 40, 60), np.uint8)
    mask_SRC[12:29, :, 36:46] = CANAL_VALUE  # 17 mm wide, 10 mm deep, behind a disc that ends at 35 mm
    canal = measure_canal(mask_SRC, sagittal_series(mask_SRC), disc_frame((20.0, 20.0, -20.0)))
    assert canal is not None
    assert canal.depth_mm == pytest.approx(10.0, abs=0.5)
    assert canal.area_mm2 == pytest.approx(170.0, rel=0.06)


def test_the_narrowest_plane_counts() -> None:
    mask_SRC = np.zeros((41, 40, 60), np.uint8)
    mask_SRC[12:29, :, 36:46] = CANAL_VALUE
    mask_SRC[:, 16, 36:42] = 0  # 4 mm above the disc the canal is 4 mm deep
    canal = measure_canal(mask_SRC, sagittal_series(mask_SRC), disc_frame((20.0, 20.0, -20.0)))
    assert canal is not None
    assert canal.depth_mm == pytest.approx(4.0, abs=0.5)


def test_a_canal_out_of_the_image_is_not_measured() -> None:
    mask_SRC = np.zeros((41, 40, 60), np.uint8)
    mask_SRC[12:29, 20:, 36:46] = CANAL_VALUE
    assert measure_canal(mask_SRC, sagittal_series(mask_SRC), disc_frame((20.0, 20.0, -20.0))) is None


def test_grades_that_follow_the_area_correlate_with_it_and_noise_does_not() -> None:
    rng = np.random.default_rng(0)
    area = rng.uniform(60.0, 250.0, 150)
    frame = pd.DataFrame(
        {
            "study": [f"{n // 5}" for n in range(150)],
            "level": "L4/L5",
            "area_mm2": area,
            "expected_grade": 2.0 - area / 150.0,
            "depth_mm": rng.normal(size=150),
        }
    )
    found = rank_correlations(with_relative_area(frame), samples=100)
    assert found["area_mm2"].value == pytest.approx(-1.0)
    assert found["depth_mm"].low < 0.0 < found["depth_mm"].high
    most, least = extremes(frame, 3)
    assert most.area_mm2.max() < least.area_mm2.min()
    assert most.study.is_unique
