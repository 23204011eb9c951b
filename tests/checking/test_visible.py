"""A target is graded where slices can show it: not a foramen from a midline slice, nor a side nobody knows."""

from dataclasses import replace

import numpy as np
import pytest

from spinenet.checking.visible import visible_targets
from spinenet.crops import CropSpec, build_bag
from spinenet.labels import MIRROR, TARGETS, View, columns_of
from spinenet.study import LevelFrame, LocatedSeries, Series

SPEC = CropSpec(rows=16, columns=16)
SAGITTAL = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]]).T
AXIAL = np.array([[0.0, 0, 1.0], [0, 1.0, 0], [1.0, 0, 0]]).T


def series(view, first_mm, count, *, sided=True, directions=SAGITTAL):
    affine = np.eye(4)
    affine[:3, :3] = directions * np.array([4.0, 1.0, 1.0])
    affine[:3, 3] = directions @ np.array([first_mm, -30.0, -30.0])
    plane = "axial" if directions is AXIAL else "sagittal"
    one = Series(view.value, np.random.default_rng(0).random((count, 80, 80), np.float32), affine, plane, view)
    return LocatedSeries(one if sided else unsided(one), (), count // 2, np.array([0, 1, 0.5, 0.5, 0.5], np.float32))


def unsided(one):
    return replace(one, laterality_known=False)


def seen(*located, level="L4/L5"):
    """Names of the targets that can be seen at one level."""
    frame = LevelFrame(level, np.zeros(3), np.array([0, 1.0, 0]), np.array([0, 0, 1.0]), 35.0, 10.0)
    located = [replace(one, frames=(frame,)) for one in located]
    return {TARGETS[index].name for index in np.flatnonzero(visible_targets(build_bag(located, SPEC), located)[0])}


DISC = set(columns_of("spider").values())
FORAMINA = {"foraminal_stenosis_left", "foraminal_stenosis_right"}
RECESSES = {"subarticular_stenosis_left", "subarticular_stenosis_right"}


@pytest.mark.parametrize(
    ("located", "expected"),
    [
        ([series(View.SAGITTAL_T1, 0, 1)], set()),
        ([series(View.SAGITTAL_T2, 0, 1)], {"canal_stenosis"}),
        ([series(View.SAGITTAL_T1, -20, 11)], FORAMINA),
        ([series(View.SAGITTAL_T1, 0, 6)], {"foraminal_stenosis_left"}),
        ([series(View.SAGITTAL_T1, -20, 6)], {"foraminal_stenosis_right"}),
        ([series(View.SAGITTAL_STIR, -20, 11)], {"canal_stenosis"} | FORAMINA),
        ([series(View.SAGITTAL_T2, -20, 11, sided=False)], {"canal_stenosis"}),
        (
            [series(View.SAGITTAL_T1, 0, 1), series(View.AXIAL_T2, -8, 5, directions=AXIAL)],
            {"canal_stenosis"} | RECESSES,
        ),
    ],
    ids=["midline T1", "midline T2", "T1", "left half", "right half", "STIR", "side unknown", "axial"],
)
def test_stenosis_is_graded_where_slices_show_it(located, expected):
    assert seen(*located) == DISC | expected


def test_stenosis_is_not_graded_above_the_lumbar_spine():
    assert seen(series(View.SAGITTAL_T2, -20, 11), level="T12/L1") == DISC


def test_sides_are_the_patients():
    left = seen(series(View.SAGITTAL_T1, 0, 6)) - DISC
    right = seen(series(View.SAGITTAL_T1, -20, 6)) - DISC
    names = [target.name for target in TARGETS]
    assert {names[MIRROR[names.index(name)]] for name in left} == right
