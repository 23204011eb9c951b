"""A body whose marrow looks unlike its neighbours' in every contrast is told; what one contrast shows is not."""

import numpy as np
import pytest

from spinenet.checking.marrow import marrow_flags
from spinenet.labels import LEVELS, View
from spinenet.study import LevelFrame, LocatedSeries, Series

STEP_MM, LOWEST_ROW, SIZE = 36.0, 270, (320, 120)
T1, T2 = View.SAGITTAL_T1, View.SAGITTAL_T2


def row_of(index: float) -> float:
    return LOWEST_ROW - STEP_MM * index


def spine(view: View, *, body: int = 2, grey: float = 100.0, radius_mm: float = 12.0) -> LocatedSeries:
    """Six discs in marrow of grey value 100, and a ball of another in the body above one of them."""
    image_RC = np.random.default_rng(len(view)).normal(100.0, 6.0, SIZE).astype(np.float32)
    rows_RC, columns_RC = np.indices(SIZE)
    image_RC[np.hypot(rows_RC - row_of(body + 0.5), columns_RC - 60) < radius_mm] = grey
    frames = tuple(
        LevelFrame(
            level, np.array([0.0, 60.0, 300 - row_of(index)]), np.array([0.0, 1, 0]), np.array([0.0, 0, 1]), 36.0, 9.0
        )
        for index, level in enumerate(LEVELS[:7])
    )
    affine = np.array([[4.0, 0, 0, 0], [0, 0, 1.0, 0], [0, -1.0, 0, 300.0], [0, 0, 0, 1.0]])
    series = Series(f"{view}", image_RC[None], affine, "sagittal", view)
    return LocatedSeries(series, frames, 0, np.array([0, 250, 100, 200, 60], np.float32))


@pytest.mark.parametrize("grey", [(200.0, 190.0), (45.0, 250.0), (45.0, 50.0)])
def test_discs_beside_a_body_that_holds_a_large_lesion_are_flagged(grey: tuple[float, float]) -> None:
    flags = list(marrow_flags([spine(T1, grey=grey[0]), spine(T2, grey=grey[1])]))
    assert {(flag.code, flag.subject) for flag in flags} == {("unlike_marrow", "L3/L4"), ("unlike_marrow", "L2/L3")}
    assert all("between L2/L3 and L3/L4 looks unlike" in flag.text for flag in flags)


def test_what_one_contrast_alone_shows_is_not_flagged() -> None:
    assert list(marrow_flags([spine(T1), spine(T2, grey=250.0)])) == []
    assert list(marrow_flags([spine(T2, grey=250.0)])) == list(marrow_flags([spine(T2, grey=250.0)] * 2)) == []


def test_a_small_island_and_bodies_above_the_lumbar_spine_are_not_judged() -> None:
    assert list(marrow_flags([spine(view, grey=250.0, radius_mm=4.0) for view in (T1, T2)])) == []
    assert list(marrow_flags([spine(view, grey=250.0, body=5) for view in (T1, T2)])) == []
