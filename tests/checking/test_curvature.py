"""A spine that curves to the side is told by two stacks; one that is oblique to the slices, or straight, is not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from spinenet.checking.curvature import bend_mm, curvature_flags
from spinenet.labels import LEVELS, View
from spinenet.study import LevelFrame, LocatedSeries, Series

GAP_MM, SLICES, ROWS, COLUMNS = 4.0, 13, 300, 130
STEP_MM, LOWEST_MM = 36.0, 30.0
T1, T2 = View.SAGITTAL_T1, View.SAGITTAL_T2
Course = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def bowed(by_mm: float) -> Course:
    return lambda z_mm: by_mm * np.sin(np.pi * (z_mm - LOWEST_MM) / (5 * STEP_MM))


def spine(view: View, course: Course, *, slices: int = SLICES) -> LocatedSeries:
    """A canal 18 mm wide with pedicles, roots and bodies beside it, along a course across the slices."""
    slice_SRC, row_SRC, column_SRC = np.indices((slices, ROWS, COLUMNS)).astype(float)
    z_mm, y_mm = 299 - row_SRC, column_SRC
    x_mm = (slice_SRC - (slices - 1) / 2) * GAP_MM - course(z_mm)
    along = 2 * np.pi * (z_mm - LOWEST_MM) / STEP_MM
    grey = 80 + 40 * np.cos(along) + 30 * np.exp(-((x_mm / 30) ** 2)) * (y_mm < 70)
    canal = (np.abs(x_mm) < 9) & (np.abs(y_mm - 85) < 8)
    foramen = (np.abs(np.abs(x_mm) - 15) < 5) & (np.abs(y_mm - 85) < 8) & (np.cos(along) > 0)
    grey = np.where(canal, 220.0 if view is T2 else 40.0, np.where(foramen, 190.0, grey))
    grey += np.random.default_rng(len(view)).normal(0, 6, grey.shape)
    affine = np.array([[GAP_MM, 0, 0, -(slices - 1) / 2 * GAP_MM], [0, 0, 1.0, 0], [0, -1.0, 0, 299.0], [0, 0, 0, 1.0]])
    frames = tuple(
        LevelFrame(
            level,
            np.array([0.0, 60.0, LOWEST_MM + STEP_MM * index]),
            np.array([0.0, 1, 0]),
            np.array([0.0, 0, 1]),
            34.0,
            9.0,
        )
        for index, level in enumerate(LEVELS[:6])
    )
    series = Series(f"{view}", grey.astype(np.float32), affine, "sagittal", view)
    return LocatedSeries(series, frames, slices // 2, np.array([0, 220, 100, 200, 60], np.float32))


@pytest.mark.parametrize("side", [-1, 1])
def test_a_spine_that_curves_to_a_side_is_flagged_with_how_far(side: int) -> None:
    (flag,) = curvature_flags([spine(view, bowed(side * 12.0)) for view in (T1, T2)])
    assert flag.code == "curved" and "curves to the side by" in flag.text
    assert bend_mm(spine(T2, bowed(side * 12.0))) == pytest.approx(12 * 0.9, abs=2.5)


@pytest.mark.parametrize("course", [bowed(0.0), bowed(2.0), lambda z_mm: (z_mm - 120) * 0.1])
def test_a_straight_spine_is_not_flagged_though_it_lies_oblique_to_the_slices(course: Course) -> None:
    assert list(curvature_flags([spine(view, course) for view in (T1, T2)])) == []


def test_one_stack_alone_or_narrow_ones_or_few_levels_say_nothing() -> None:
    assert list(curvature_flags([spine(T2, bowed(12.0))])) == []
    assert list(curvature_flags([spine(view, bowed(12.0), slices=7) for view in (T1, T2)])) == []
    assert list(curvature_flags([spine(T1, bowed(12.0)), spine(T2, bowed(0.0))])) == []
    few = spine(T2, bowed(12.0))
    assert bend_mm(LocatedSeries(few.series, few.frames[:4], few.midline_slice, few.reference)) is None


def test_levels_beyond_the_image_add_nothing() -> None:
    whole = spine(T2, bowed(0.0))
    beyond = replace(whole.frames[5], level=LEVELS[6], center_mm=np.array([0.0, 60.0, 420.0]))
    assert bend_mm(replace(whole, frames=(*whole.frames, beyond))) == pytest.approx(bend_mm(whole), abs=1.0)
