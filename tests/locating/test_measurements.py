"""Canal depth and slip in mm, on drawn masks of known size."""

import numpy as np
import pytest

from spinenet.labels import View
from spinenet.locating.discs import CANAL, VERTEBRA, LocatorGrid
from spinenet.locating.measurements import Sampler, measured
from spinenet.study import LevelFrame, Series

PIXEL_MM = 1.25
AFFINE = np.array([[4.0, 0, 0, 0], [0, 0, 0.5, -60.0], [0, -0.5, 0, 80.0], [0, 0, 0, 1]])  # slice pixels of 0.5 mm
SERIES = Series("t2", np.zeros((3, 320, 240), np.float32), AFFINE, "sagittal", View.SAGITTAL_T2)
GRID = LocatorGrid(np.zeros((128, 96), np.float32), np.array([2.5, 2.5]))


def sampler(canal_mm: tuple[float, float], slip_mm: float = 0.0) -> Sampler:
    """A disc about the origin 32 mm deep and 8 mm high; bodies 34 mm deep, the upper one moved forwards."""
    rows, columns = np.indices(GRID.image_HW.shape)
    at_slice = GRID.to_slice(np.stack([rows, columns], -1).reshape(-1, 2).astype(float))
    y, z = (at_slice[:, 1] * 0.5 - 60.0).reshape(rows.shape), (80.0 - at_slice[:, 0] * 0.5).reshape(rows.shape)
    soft = 1.0 / 0.6  # borders a little softer than a pixel

    def inside(low: float, high: float, value: np.ndarray) -> np.ndarray:
        return np.clip((value - low) * soft + 0.5, 0, 1) * np.clip((high - value) * soft + 0.5, 0, 1)

    probabilities = np.zeros((5, *rows.shape), np.float32)
    probabilities[CANAL] = inside(*canal_mm, y)
    upper, lower = inside(-17 - slip_mm, 17 - slip_mm, y) * inside(5, 28, z), inside(-17, 17, y) * inside(-28, -5, z)
    arches = inside(canal_mm[1], canal_mm[1] + 12, y) * (np.abs(z) > 5)
    probabilities[VERTEBRA] = np.maximum(np.maximum(upper, lower), arches)
    return Sampler(probabilities, GRID.from_mm(SERIES))


def frame() -> LevelFrame:
    return LevelFrame("L4/L5", np.zeros(3), np.array([0.0, 1, 0]), np.array([0.0, 0, 1]), 32.0, 8.0)


@pytest.mark.parametrize("depth_mm", [6.0, 11.3, 17.0])
def test_the_depth_of_the_canal_is_found_to_a_fraction_of_a_pixel(depth_mm: float) -> None:
    found = measured(frame(), sampler((17.5, 17.5 + depth_mm)), canal=CANAL, vertebra=VERTEBRA)
    assert found.canal_mm == pytest.approx(depth_mm, abs=0.6)


@pytest.mark.parametrize("slip_mm", [-4.0, 0.0, 3.0, 8.0])
def test_a_slip_forwards_is_positive_and_the_arch_does_not_count(slip_mm: float) -> None:
    found = measured(frame(), sampler((17.5, 30.0), slip_mm), canal=CANAL, vertebra=VERTEBRA)
    assert found.slip_mm == pytest.approx(slip_mm, abs=0.5)


def test_what_is_not_seen_is_not_measured() -> None:
    nothing = Sampler(np.zeros((5, 128, 96), np.float32), GRID.from_mm(SERIES))
    found = measured(frame(), nothing, canal=CANAL, vertebra=VERTEBRA)
    assert (found.canal_mm, found.slip_mm) == (None, None)


def test_a_turned_disc_measures_the_same() -> None:
    turn = np.deg2rad(25)
    turned = LevelFrame(
        "L5/S1",
        np.zeros(3),
        np.array([0.0, np.cos(turn), -np.sin(turn)]),
        np.array([0.0, np.sin(turn), np.cos(turn)]),
        32.0,
        8.0,
    )
    depth = measured(turned, sampler((17.5, 29.5)), canal=CANAL, vertebra=VERTEBRA).canal_mm
    assert depth == pytest.approx(12.0 / np.cos(turn), abs=0.6)
