"""Lengths and signals on drawn masks of known shape."""

from typing import Any

import numpy as np
import pytest

from spinenet.locating.measuring.fine_crops import (
    CANAL,
    COLUMNS,
    DISC,
    FINE_CLASSES,
    LOWER,
    PIXEL_MM,
    ROWS,
    SHIFT_MM,
    UPPER,
)
from spinenet.locating.measuring.lengths import CANAL_CUT, meyerding
from spinenet.locating.measuring.lines import fit_line
from spinenet.locating.measuring.series import measure_levels
from spinenet.study import LevelFrame

FRAME = LevelFrame("L4/L5", np.zeros(3), np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0]), 36.0, 10.0)
DEPTH = 36.0
Drawing = tuple[np.ndarray, np.ndarray]


def drawn(
    *, height: float = 10.0, slip: float = 0.0, bulge: float = 0.0, canal: float = 12.0, angle: float = 0.0
) -> Drawing:
    """A level of boxes, turned by ``angle`` degrees; the body above stands ``slip`` mm in front."""
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    u, v = (columns - (COLUMNS - 1) / 2) * PIXEL_MM + SHIFT_MM, ((ROWS - 1) / 2 - rows) * PIXEL_MM
    a = np.deg2rad(angle)
    u, v = u * np.cos(a) + v * np.sin(a), v * np.cos(a) - u * np.sin(a)

    def box(u0: float, u1: float, v0: float, v1: float) -> np.ndarray:
        edge_px = np.minimum(np.minimum(u - u0, u1 - u), np.minimum(v - v0, v1 - v)) / PIXEL_MM
        return np.clip(edge_px + 0.5, 0, 1)

    half, h = DEPTH / 2, height / 2
    soft = np.zeros((len(FINE_CLASSES), ROWS, COLUMNS), np.float32)
    soft[DISC] = box(-half, half + bulge, -h, h)
    soft[UPPER] = box(-half - slip, half - slip, h, h + 26)
    soft[LOWER] = box(-half, half, -h - 26, -h)
    soft[CANAL] = box(half + 3, half + 3 + canal, -60, 60)
    annulus = box(-half, -half + 12, -h, h)
    grey = 0.1 + 0.3 * (soft[UPPER] + soft[LOWER]) + 0.6 * soft[CANAL] + 0.2 * soft[DISC] - 0.25 * annulus
    return soft, grey.astype(np.float32)


def measured(**shape: Any) -> dict[str, float]:
    soft, grey = drawn(**shape)
    return measure_levels([FRAME], soft[None], [grey])["L4/L5"]


@pytest.mark.parametrize("height", [4.0, 7.0, 12.0])
def test_height_is_read_to_a_fraction_of_a_pixel(height: float) -> None:
    found = measured(height=height)
    assert [found[f"height_{part}_mm"] for part in ("front", "middle", "back")] == pytest.approx([height] * 3, abs=0.3)


@pytest.mark.parametrize("angle", [-12.0, 0.0, 12.0])
def test_sizes_do_not_depend_on_how_the_disc_lies(angle: float) -> None:
    found = measured(angle=angle)
    assert found["depth_mm"] == pytest.approx(DEPTH, abs=0.8)
    assert found["height_middle_mm"] == pytest.approx(10.0, abs=0.3)
    assert abs(found["tilt_deg"]) == pytest.approx(abs(angle), abs=1.0)


@pytest.mark.parametrize("slip", [-6.0, 0.0, 4.0, 9.0])
def test_slip_is_the_shift_of_the_posterior_walls_and_forward_is_positive(slip: float) -> None:
    found = measured(slip=slip)
    assert found["slip_mm"] == pytest.approx(slip, abs=0.7)
    assert found["slip_percent"] == pytest.approx(100 * slip / DEPTH, abs=2.0)


def test_slip_is_unknown_where_a_body_is_not_seen() -> None:
    soft, grey = drawn(slip=5)
    soft[LOWER] = 0
    found = measure_levels([FRAME], soft[None], [grey])["L4/L5"]
    assert np.isnan(found["slip_mm"])
    assert meyerding(found["slip_mm"], found["slip_percent"]) is None


@pytest.mark.parametrize("bulge", [0.0, 3.0, 6.0])
def test_a_disc_that_bulges_stands_behind_the_corners_of_the_bodies(bulge: float) -> None:
    assert measured(bulge=bulge)["behind_mm"] == pytest.approx(bulge, abs=0.6)


@pytest.mark.parametrize("canal", [6.0, 12.0, 18.0])
def test_the_canal_is_measured_across_its_own_course(canal: float) -> None:
    found = measured(canal=canal, angle=8.0)
    assert found["canal_mm"] == pytest.approx(canal, abs=0.6)
    assert found["canal_above_mm"] == pytest.approx(canal, abs=0.6)


def test_without_a_disc_nothing_is_measured() -> None:
    soft, grey = drawn()
    soft[DISC] = 0
    assert measure_levels([FRAME], soft[None], [grey]) == {}


def test_a_disc_alone_has_its_sizes_and_what_needs_bodies_or_canal_is_unknown() -> None:
    soft, grey = drawn()
    soft[[UPPER, LOWER, CANAL]] = 0
    found = measure_levels([FRAME], soft[None], [grey])["L4/L5"]
    assert found["height_middle_mm"] == pytest.approx(10.0, abs=0.3)
    assert all(np.isnan(found[name]) for name in ("slip_mm", "behind_mm", "canal_mm", "body_front_mm"))


def test_signal_is_a_share_of_the_way_from_dark_to_fluid() -> None:
    found = measured()
    assert found["nucleus"] == pytest.approx((0.3 - 0.05) / (0.7 - 0.05), abs=0.1)
    assert found["annulus_front"] < 0.1 < found["nucleus"]


def test_flat_end_plates_are_neither_rough_nor_hollow() -> None:
    found = measured()
    assert found["plate_upper_rough_mm"] < 0.1
    assert abs(found["plate_lower_hollow_mm"]) < 0.3


def test_a_node_of_schmorl_hollows_the_end_plate_and_does_not_tilt_it() -> None:
    soft, grey = drawn()
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    u, v = (columns - (COLUMNS - 1) / 2) * PIXEL_MM + SHIFT_MM, ((ROWS - 1) / 2 - rows) * PIXEL_MM
    node = np.hypot(u, v - 5.0) < 4.0
    soft[DISC][node], soft[UPPER][node] = 1, 0
    found = measure_levels([FRAME], soft[None], [grey])["L4/L5"]
    assert found["plate_upper_hollow_mm"] == pytest.approx(4.0, abs=0.8)
    assert abs(found["plate_angle_deg"]) < 1.0


def test_a_vertebra_is_as_high_as_its_end_plates_lie_apart() -> None:
    soft, grey = drawn()
    up = LevelFrame("L3/L4", np.array([0.0, 0.0, 36.0]), FRAME.posterior, FRAME.superior, 36.0, 10.0)
    found = measure_levels([FRAME, up], np.stack([soft, soft]), [grey, grey])
    assert found["L4/L5"]["body_front_mm"] == pytest.approx(26.0, abs=0.5)
    assert found["L4/L5"]["body_wedge"] == pytest.approx(1.0, abs=0.03)
    assert np.isnan(found["L3/L4"]["body_front_mm"])  # the disc above is not there


def test_a_line_ignores_outliers() -> None:
    x = np.arange(20.0)
    y = 1 + 0.5 * x + np.sin(7 * x) * 0.05
    y[5] += 9
    line = fit_line(x, y, least=5)
    assert line is not None
    assert line.slope == pytest.approx(0.5, abs=0.02)


def test_a_canal_that_goes_on_beyond_what_is_seen_is_known_to_be_cut() -> None:
    """Behind a slipped body or a deep disc the crop ends before the canal does, and its depth would be too low."""
    assert measured(canal=12.0)[CANAL_CUT] == 0
    assert measured(canal=24.0)[CANAL_CUT] == 1
