"""A target is graded where slices can show it: not a foramen from a midline slice, nor a side nobody knows."""

from dataclasses import replace

import numpy as np
import pytest

from spinenet.checking.visible import not_shown, visible_targets
from spinenet.crops import CropSpec, build_bag
from spinenet.labels import MIRROR, TARGET, TARGETS, View, columns_of
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


SHAPE = set(columns_of("spider").values()) - {"pfirrmann", "modic"}
"""What any sagittal series shows."""
FORAMINA = {"foraminal_stenosis_left", "foraminal_stenosis_right"}
RECESSES = {"subarticular_stenosis_left", "subarticular_stenosis_right"}
T1, T2, STIR = series(View.SAGITTAL_T1, 0, 1), series(View.SAGITTAL_T2, 0, 1), series(View.SAGITTAL_STIR, 0, 1)
AXIAL_T2 = series(View.AXIAL_T2, -8, 5, directions=AXIAL)


@pytest.mark.parametrize(
    ("located", "expected"),
    [
        ([T1], set()),
        ([T2], {"pfirrmann", "canal_stenosis"}),
        ([STIR], {"canal_stenosis"}),
        ([T1, T2], {"pfirrmann", "modic", "canal_stenosis"}),
        ([T1, STIR], {"modic", "canal_stenosis"}),
        ([T2, STIR], {"pfirrmann", "canal_stenosis"}),
        ([series(View.SAGITTAL_T1, -20, 11)], FORAMINA),
        ([series(View.SAGITTAL_T1, 0, 6)], {"foraminal_stenosis_left"}),
        ([series(View.SAGITTAL_T1, -20, 6)], {"foraminal_stenosis_right"}),
        ([series(View.SAGITTAL_STIR, -20, 11)], {"canal_stenosis"} | FORAMINA),
        ([series(View.SAGITTAL_T2, -20, 11, sided=False)], {"pfirrmann", "canal_stenosis"}),
        ([T1, AXIAL_T2], {"canal_stenosis"} | RECESSES),
    ],
    ids=[
        *("midline T1", "midline T2", "midline STIR", "T1 and T2", "T1 and STIR", "T2 and STIR"),
        *("T1", "left half", "right half", "STIR", "side unknown", "axial"),
    ],
)
def test_a_target_is_graded_where_slices_show_it(located, expected):
    assert seen(*located) == SHAPE | expected


def cut(located, columns, *, padded):
    """An axial series with an image in these columns alone: the rest padding, or not there at all."""
    one = located.series
    voxels = one.voxels_SRC.copy()
    if padded:
        voxels[:, :, : columns.start], voxels[:, :, columns.stop :] = 0.0, 0.0
        return replace(located, series=replace(one, voxels_SRC=voxels))
    affine = one.affine_vox2mm.copy()
    affine[:3, 3] += columns.start * affine[:3, 2]
    return replace(located, series=replace(one, voxels_SRC=voxels[:, :, columns], affine_vox2mm=affine))


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize(
    ("columns", "expected"),
    [  # the midline is column 30, left of it are the higher ones
        (slice(15, 46), RECESSES),
        (slice(25, 46), {"subarticular_stenosis_left"}),
        (slice(15, 36), {"subarticular_stenosis_right"}),
        (slice(25, 36), set()),
    ],
)
def test_a_recess_is_graded_where_an_axial_image_reaches_it(columns, expected, padded):
    assert seen(T1, cut(AXIAL_T2, columns, padded=padded)) == SHAPE | {"canal_stenosis"} | expected


def test_stenosis_is_not_graded_above_the_lumbar_spine():
    assert seen(series(View.SAGITTAL_T2, -20, 11), level="T12/L1") == SHAPE | {"pfirrmann"}


def at_levels(one, levels):
    axes = np.zeros(3), np.array([0, 1.0, 0]), np.array([0, 0, 1.0])
    return replace(one, frames=tuple(LevelFrame(level, *axes, 35.0, 10.0) for level in levels))


def said(*located, targets=TARGET, levels=("L4/L5",)):
    """What is said of targets that cannot be seen in these series, all of which show ``levels``."""
    located = [one if one.frames else at_levels(one, levels) for one in located]
    return [note.text for note in not_shown(build_bag(located, SPEC), located, targets)]


RECESSES_WITHOUT_AXIAL = "no usable axial T2 series: left subarticular stenosis, right subarticular stenosis not graded"


def test_what_is_not_graded_is_said_with_the_series_that_is_missing():
    assert said(series(View.SAGITTAL_T1, -20, 11)) == [
        "no usable sagittal T2 series: Pfirrmann degeneration not graded",
        "no usable sagittal T2 or sagittal STIR series: Modic change not graded",
        "no usable sagittal T2 or sagittal STIR or axial T2 series: spinal canal stenosis not graded",
        RECESSES_WITHOUT_AXIAL,
    ]
    assert said(series(View.SAGITTAL_T2, -20, 11)) == [
        "no usable sagittal T1 series: Modic change not graded",
        RECESSES_WITHOUT_AXIAL,
    ]


def test_slices_and_sides_that_are_missing_are_said():
    foramina = "left foraminal stenosis, right foraminal stenosis not graded"
    assert said(T1, T2, AXIAL_T2) == [f"no slice shows either side: {foramina}"]
    assert said(series(View.SAGITTAL_T1, 0, 6), T2, AXIAL_T2) == [
        "no slice shows the right side: right foraminal stenosis not graded"
    ]
    assert said(series(View.SAGITTAL_T1, 0, 6, sided=False), T2, AXIAL_T2) == [
        f"left and right are not known: {foramina}"
    ]


def test_a_target_that_some_levels_lack_says_which():
    assert said(at_levels(T2, ["L5/S1", "L4/L5"]), at_levels(T1, ["L5/S1"]), targets=["modic"]) == [
        "no usable sagittal T1 series at L4/L5: Modic change not graded there"
    ]


def test_nothing_is_said_of_what_the_bundle_does_not_grade_or_nobody_grades_there():
    assert said(T2, targets=["pfirrmann"]) == []
    assert said(T2, targets=["subarticular_stenosis_left"], levels=("T12/L1",)) == []


def test_sides_are_the_patients():
    left = seen(series(View.SAGITTAL_T1, 0, 6)) - SHAPE
    right = seen(series(View.SAGITTAL_T1, -20, 6)) - SHAPE
    names = [target.name for target in TARGETS]
    assert {names[MIRROR[names.index(name)]] for name in left} == right
