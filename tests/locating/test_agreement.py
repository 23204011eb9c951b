"""Series whose frames of reference differ are compared by coordinates only where their images bear them out."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from spinenet.labels import LEVELS, View
from spinenet.locating.agreement import axial_points, displacement, sagittal_points, share_frame
from spinenet.locating.axial import locate_axial
from spinenet.study import LevelFrame, LocatedSeries, Series

SIZE_MM = 240
AXES = {
    "sagittal": np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]]).T,
    "axial": np.array([[0.0, 0, 1.0], [0, 1.0, 0], [1.0, 0, 0]]).T,
}
FRAMES = tuple(
    LevelFrame(
        level, np.array([0.0, -10.0, 35.0 * index - 70]), np.array([0, 1.0, 0]), np.array([0, 0, 1.0]), 35.0, 9.0
    )
    for index, level in enumerate(LEVELS[:5])
)


def tissue(seed):
    """A patient: grey values on a grid of 2 mm about the origin, with structures of about 8 mm."""
    noise = np.random.default_rng(seed).normal(size=(SIZE_MM // 2,) * 3)
    smooth = ndimage.gaussian_filter(noise, 4.0)
    return smooth / smooth.std()


PATIENT, ANOTHER = tissue(1), tissue(2)


def acquire(plane, view, patient=PATIENT, *, count=5, gap_mm=4.0, at_mm=(0, 0, 0), moved_mm=(0, 0, 0), frame="1.2"):
    """Slices of a patient about a place; ``moved_mm`` is by how much the patient lay elsewhere than in other series.

    T1 shows the same tissue with another brightness, neither the same nor its inverse."""
    shape = (count, 150, 100)
    affine = np.eye(4)
    affine[:3, :3] = AXES[plane] * np.array([gap_mm, 1.5, 1.5])
    affine[:3, 3] = np.array(at_mm) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    places = np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3] - np.array(moved_mm)
    seen = ndimage.map_coordinates(patient, np.moveaxis(places / 2 + SIZE_MM / 4, -1, 0), order=1, mode="nearest")
    seen = np.cos(2 * seen) if view is View.SAGITTAL_T1 else seen
    voxels = seen + np.random.default_rng(0).normal(0, 0.2, shape)
    return Series(view.value, voxels.astype(np.float32), affine, plane, view, frame_of_reference=frame)


def sagittal(view=View.SAGITTAL_T2, **how):
    return LocatedSeries(acquire("sagittal", view, **{"count": 13} | how), FRAMES, 6, np.array([0, 1, 0.5, 0.5, 0.5]))


def axial(**how):
    """A stack through L4/L5."""
    return acquire("axial", View.AXIAL_T2, at_mm=(0.0, 10.0, -35.0), **{"frame": "1.9"} | how)


@pytest.mark.parametrize("view", [View.SAGITTAL_T2, View.SAGITTAL_T1])
def test_slices_that_show_what_the_sagittal_series_shows_there_are_placed_and_it_is_said(view):
    (located,), left_out = locate_axial([axial()], [sagittal(view)])
    assert [frame.level for frame in located.frames] == ["L4/L5"] and left_out == []
    assert [note.code for note in located.notes] == ["placed_by_image"] and "bears out" in located.notes[0].text


@pytest.mark.parametrize("moved_mm", [(8, 0, 0), (0, -8, 0), (0, 0, 8), (0, 0, -15), (16, 0, 0), (0, 0, 30)])
def test_slices_of_a_patient_who_has_moved_are_left_out_with_how_far(moved_mm):
    located, (note,) = locate_axial([axial(moved_mm=moved_mm)], [sagittal()])
    assert located == () and note.code == "not_placed"
    (said_mm,) = re.findall(r"lies about (\d+) mm from where", note.text)
    assert abs(int(said_mm) - np.linalg.norm(moved_mm)) < 4


def test_slices_of_another_patient_are_left_out():
    located, (note,) = locate_axial([axial(patient=ANOTHER)], [sagittal()])
    assert located == () and "what it shows there is not what they show" in note.text


def test_slices_in_the_same_frame_of_reference_are_believed():
    (located,), _ = locate_axial([axial(patient=ANOTHER, frame="1.2")], [sagittal()])
    assert located.notes == ()


@pytest.mark.parametrize("view", [View.SAGITTAL_T2, View.SAGITTAL_T1])
@pytest.mark.parametrize("up_mm", [-30, -15, 15, 34])
def test_slices_of_a_patient_who_slid_on_the_table_are_left_out_in_one_frame_of_reference_too(view, up_mm):
    located, (note,) = locate_axial([axial(moved_mm=(0, 0, up_mm), frame="1.2")], [sagittal(view)])
    assert located == () and note.code == "not_placed" and "did the patient move?" in note.text


def test_slices_that_lie_a_few_mm_off_in_one_frame_of_reference_are_graded():
    (located,), left_out = locate_axial([axial(moved_mm=(0, 3, 5), frame="1.2")], [sagittal()])
    assert left_out == [] and located.notes == ()


def test_stacks_of_one_frame_are_judged_together_and_take_the_levels_of_the_frame_they_lie_in():
    small = replace(axial(count=1), name="small")
    located, left_out = locate_axial([axial(), small], [sagittal(), sagittal(View.SAGITTAL_T1, frame="1.7")])
    assert [one.series.name for one in located] == ["axial_t2", "small"] and left_out == []


def test_t1_and_t2_of_a_patient_who_did_not_move_agree_and_after_moving_by_a_level_they_do_not():
    t2 = sagittal(count=1, gap_mm=1.0)
    points = sagittal_points(t2.series, 0, FRAMES)
    still, moved = (acquire("sagittal", View.SAGITTAL_T1, count=5, moved_mm=(0, 0, up)) for up in (0, 32))
    assert displacement(points, still).agrees and not displacement(points, moved).agrees
    assert abs(displacement(points, moved).offset_mm[2]) == 32


def test_what_lies_beside_the_sagittal_series_cannot_be_judged_and_does_not_agree():
    beside = displacement(axial_points([axial()], FRAMES), acquire("sagittal", View.SAGITTAL_T2, at_mm=(400, 0, 0)))
    assert beside.clearness == 0 and not beside.agrees


def test_a_frame_of_reference_that_is_not_known_is_taken_as_shared():
    assert share_frame(axial(frame=""), axial()) and share_frame(axial(), axial())
    assert not share_frame(axial(), axial(frame="1.2"))
