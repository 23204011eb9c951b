"""Metal in bodies, pedicles and discs leaves voids wherever it lies, and nothing else is taken for it."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from spinenet.checking.metal import metal_flags
from spinenet.labels import LEVELS, View
from spinenet.study import LevelFrame, LocatedSeries, Series

SLICES, HEIGHT = 11, 260
STEP_MM = 4.0
"""Distance of the slices; the midline is the middle one."""
AFFINE = np.array([[STEP_MM, 0, 0, -20.0], [0, 0, 1.0, 0], [0, -1.0, 0, 250.0], [0, 0, 0, 1.0]])
FRAMES = tuple(
    LevelFrame(
        LEVELS[index],
        np.array([0.0, 100.0, 40.0 + 35 * index]),
        np.array([0.0, 1, 0]),
        np.array([0.0, 0, 1]),
        34.0,
        9.0,
    )
    for index in range(5)
)


def places() -> NDArray[np.float64]:
    """LPS mm of every voxel, (3, slice, row, column), from the middle of L4/L5."""
    indices = np.moveaxis(np.indices((SLICES, HEIGHT, 200)), 0, -1)
    points_mm = indices @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    return np.moveaxis(points_mm - FRAMES[1].center_mm, -1, 0)


X_MM, BACK_MM, UP_MM = places()


def series(view: View, metal: NDArray[np.bool_] | None = None, disc: float = 30.0) -> LocatedSeries:
    """A column of bone with discs of a grey value, a canal and noise; no signal where there is metal."""
    grey = np.random.default_rng(1).normal(80.0, 3.0, X_MM.shape)
    grey[(np.abs(BACK_MM) < 17) & (np.abs((UP_MM + 17.5) % 35 - 17.5) < 4.5)] = disc
    grey[(np.abs(X_MM) < 9) & (BACK_MM > 18) & (BACK_MM < 34)] = 10.0 if view is View.SAGITTAL_T1 else 200.0
    grey[BACK_MM < -20] = 1.0  # vessels and air in front
    if metal is not None:
        grey[metal] = 1.0
    image = Series(str(view), grey.astype(np.float32), AFFINE, "sagittal", view)
    return LocatedSeries(image, FRAMES, SLICES // 2, np.array([0.0, 220.0, 80.0, 200.0, 30.0], np.float32))


def flagged(metal: NDArray[np.bool_] | None, **more: float) -> list[str]:
    both = [series(view, metal, **more) for view in (View.SAGITTAL_T1, View.SAGITTAL_T2)]
    return [flag.subject for flag in metal_flags(both)]


def screw(x_mm: float, half_mm: float = 6.0) -> NDArray[np.bool_]:
    """Through a pedicle of L4 into its body."""
    beside = np.abs(X_MM - x_mm) < half_mm
    return beside & (np.abs(UP_MM - 17.5) < half_mm) & (BACK_MM > -12) & (BACK_MM < 36)


@pytest.mark.parametrize("x_mm", [-16.0, 12.0, 20.0])
def test_a_screw_beside_the_midline_is_flagged_at_the_levels_of_its_vertebra(x_mm: float) -> None:
    assert flagged(screw(x_mm)) == ["L4/L5", "L3/L4"]


def test_a_cage_is_flagged_and_a_worn_disc_is_not() -> None:
    cage = (np.abs(X_MM) < 10) & (np.abs(BACK_MM) < 12) & (np.abs(UP_MM) < 6)
    assert flagged(cage) == ["L4/L5"]
    worn = [series(View.SAGITTAL_T1), series(View.SAGITTAL_T2, disc=3.0)]
    assert list(metal_flags(worn)) == [] and list(metal_flags(worn[1:])) == []


def test_a_sound_column_is_not_flagged_nor_what_lies_in_front_or_far_beside() -> None:
    assert flagged(None) == []
    assert flagged((BACK_MM < -18) & (np.abs(X_MM) < 20)) == []
    assert flagged(screw(34.0, 4.0)) == []


def test_the_end_of_the_coil_is_no_metal() -> None:
    fading = [
        replace(one, series=replace(one.series, voxels_SRC=one.series.voxels_SRC * fade.astype(np.float32)))
        for one in (series(View.SAGITTAL_T1), series(View.SAGITTAL_T2))
        for fade in [np.clip(1.2 - np.abs(UP_MM - 20) / 100, 0.05, 1)]
    ]
    assert list(metal_flags(fading)) == []


def test_what_one_contrast_alone_lacks_is_no_metal() -> None:
    dark = (np.abs(UP_MM - 17.5) < 14) & (np.abs(BACK_MM) < 17)  # a vertebra that is sclerotic or full of water
    assert list(metal_flags([series(View.SAGITTAL_T1, dark), series(View.SAGITTAL_T2)])) == []
