"""Axial stacks: the right disc in the right slice, however the stack is tilted, stored and cut."""

from dataclasses import replace

import numpy as np
import pytest

from spinenet.crops import CropSpec, build_bag, place
from spinenet.geometry import canonical
from spinenet.labels import View
from spinenet.locating.axial import locate_axial
from spinenet.study import LevelFrame, LocatedSeries, Series

SPEC = CropSpec()
CENTER_MM = np.array([3.0, 12.0, -20.0])
AXIAL = np.array([[0.0, 0, 1.0], [0, 1.0, 0], [1.0, 0, 0]]).T
SHAPE = (7, 120, 120)


def about_x(degrees):
    angle = np.deg2rad(degrees)
    return np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])


def acquire(center_mm=CENTER_MM, tilt_deg=0.0, ball_mm=CENTER_MM, gap_mm=4.0, name="axial", shape=SHAPE):
    """An axial stack about a place, tilted about the left-right axis, of a bright ball on dark tissue."""
    affine = np.eye(4)
    affine[:3, :3] = about_x(tilt_deg) @ AXIAL * np.array([gap_mm, 0.6, 0.6])
    affine[:3, 3] = center_mm - affine[:3, :3] @ (np.array(shape) // 2)
    points_mm = np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    distance_mm = np.linalg.norm(points_mm - ball_mm, axis=-1)
    voxels = (20 + 100 * np.exp(-0.5 * (distance_mm / 3) ** 2)).astype(np.float32)
    return Series(name, voxels, affine, "axial", View.AXIAL_T2)


def disc(level="L4/L5", center_mm=CENTER_MM, tilt_deg=0.0):
    turned = about_x(tilt_deg)
    return LevelFrame(level, np.array(center_mm), turned @ [0, 1.0, 0], turned @ [0, 0, 1.0], 35.0, 10.0)


def sagittal(*frames, view=View.SAGITTAL_T2, name="t2", frame_of_reference=""):
    series = Series(name, np.zeros((9, 8, 8), np.float32), np.eye(4), "sagittal", view, "", True, frame_of_reference)
    return LocatedSeries(series, frames, 4, np.zeros(5, np.float32))


def crop(series, frame, index):
    return place(series, frame, SPEC).pixels(index)


def brightest(pixels_HW):
    weights = np.clip(pixels_HW - 60, 0, None)
    return np.array([(np.indices(pixels_HW.shape)[axis] * weights).sum() / weights.sum() for axis in (0, 1)])


def expected(back_mm, left_mm):
    middle = (np.array([SPEC.rows, SPEC.columns]) - 1) / 2
    return middle + np.array([back_mm - SPEC.axial_shift_mm, left_mm]) / SPEC.axial_pixel_mm


@pytest.mark.parametrize("tilt_deg", [-25, 0, 10, 30])
@pytest.mark.parametrize(("back_mm", "left_mm"), [(19.0, 0.0), (25.0, 10.0), (12.0, -14.0)])
def test_columns_run_to_the_left_and_rows_backwards_in_the_discs_frame(tilt_deg, back_mm, left_mm):
    frame = disc(tilt_deg=tilt_deg)
    ball_mm = CENTER_MM + back_mm * frame.posterior + np.array([left_mm, 0, 0])
    series = acquire(ball_mm, tilt_deg, ball_mm)  # the middle slice lies in the disc's plane
    assert np.abs(brightest(crop(series, frame, 3)) - expected(back_mm, left_mm)).max() < 0.25


@pytest.mark.parametrize("stack_deg", [-15, 0, 20])
def test_a_block_that_is_not_tilted_like_the_disc_is_met_where_the_canal_is(stack_deg):
    frame = disc(tilt_deg=10)
    canal_mm = CENTER_MM + SPEC.axial_shift_mm * frame.posterior
    placement = place(acquire(canal_mm, stack_deg), frame, SPEC)
    assert placement.offset_mm(3) == pytest.approx(0, abs=1e-9)
    step_mm = 4.0 / np.cos(np.deg2rad(stack_deg - 10))
    assert placement.offset_mm(4) == pytest.approx(step_mm) and placement.offset_mm(2) == pytest.approx(-step_mm)


def test_the_slices_nearest_to_the_disc_come_first_and_those_far_from_it_not_at_all():
    canal_mm = CENTER_MM + np.array([0, SPEC.axial_shift_mm, 0.0])
    assert place(acquire(canal_mm), disc(), SPEC).slices() == [3, 2, 4, 1, 5]
    assert place(acquire(canal_mm), disc(), replace(SPEC, max_axial=2)).slices() == [3, 2]
    assert place(acquire(canal_mm), disc(), replace(SPEC, axial_reach_mm=3.9)).slices() == [3]
    assert place(acquire(canal_mm + np.array([0, 0, 40.0])), disc(), SPEC).slices() == []


def test_a_field_of_view_beside_the_spine_shows_no_level():
    assert place(acquire(CENTER_MM + np.array([80.0, 19, 0])), disc(), SPEC).slices() == []


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_axis_stored_backwards_gives_the_same_bag(axis):
    series = acquire(CENTER_MM + np.array([0, 19.0, 0]), 7, CENTER_MM + np.array([8.0, 22, 0]))
    backwards, affine = np.flip(series.voxels_SRC, axis), series.affine_vox2mm.copy()
    affine[:3, 3] += affine[:3, axis] * (backwards.shape[axis] - 1)
    affine[:3, axis] *= -1
    voxels, again, plane = canonical(backwards, affine)
    assert plane == "axial"
    stored = replace(series, voxels_SRC=voxels, affine_vox2mm=again)
    for index in place(series, disc(), SPEC).slices():
        assert np.allclose(crop(stored, disc(), index), crop(series, disc(), index))


def test_angled_groups_show_each_its_own_disc():
    lower, upper = disc("L5/S1", tilt_deg=25), disc("L4/L5", CENTER_MM + np.array([0, -4.0, 33]), tilt_deg=5)
    groups = [
        acquire(frame.center_mm + 19 * frame.posterior, tilt, name=name, shape=(3, 120, 120))
        for name, frame, tilt in (("axial.0", lower, 25), ("axial.1", upper, 5))
    ]
    located, problems = locate_axial(groups, [sagittal(lower, upper)])
    assert [[frame.level for frame in one.frames] for one in located] == [["L5/S1"], ["L4/L5"]] and not problems
    bag = build_bag(located, SPEC)
    assert [[crop.series_name for crop in crops] for crops in bag.shown] == [["axial.0"] * 3, ["axial.1"] * 3]
    assert np.allclose(bag.offset_LS, [[0, -4, 4] * 2] * 2)


def test_every_axial_slice_is_there_as_it_is_and_mirrored():
    series = acquire(CENTER_MM + np.array([0, 19.0, 0]), ball_mm=CENTER_MM + np.array([12.0, 19, 0]))
    (located,), _ = locate_axial([series], [sagittal(disc())])
    bag = build_bag([located], SPEC)
    count = len(bag.shown[0])
    assert bag.mirrored_LS[0].tolist() == [False] * count + [True] * count
    assert bag.shown_LS[0].tolist() == [*range(count), *range(count)]
    assert np.array_equal(bag.crops_LSHW[0, :count], bag.crops_LSHW[0, count:, :, ::-1])


def test_a_block_shows_all_the_discs_it_crosses():
    discs = [disc(level, CENTER_MM + np.array([0, 0, up])) for level, up in (("L5/S1", -30.0), ("L4/L5", 0.0))]
    block = acquire(CENTER_MM + np.array([0, 19.0, -15]), shape=(15, 120, 120))
    (located,), problems = locate_axial([block], [sagittal(*discs)])
    assert [frame.level for frame in located.frames] == ["L5/S1", "L4/L5"] and not problems


def test_a_stack_that_cannot_be_placed_is_left_out_and_that_is_said():
    canal_mm = CENTER_MM + np.array([0, 19.0, 0])
    one = sagittal(disc(), frame_of_reference="1.2")
    elsewhere = replace(acquire(canal_mm), frame_of_reference="1.3")
    above = acquire(canal_mm + np.array([0, 0, 60.0]), name="above")
    sideless = replace(acquire(canal_mm, name="sideless"), laterality_known=False)
    located, problems = locate_axial([elsewhere, above, sideless, replace(above, view=None)], [one])
    assert located == () and len(problems) == 3
    said = [(note.subject, note.code) for note in problems]
    assert said == [("axial", "not_placed"), ("above", "no_disc_crossed"), ("sideless", "sides_unknown")]
    placed, said = locate_axial([replace(elsewhere, frame_of_reference="1.2"), acquire(canal_mm)], [one])
    assert len(placed) == 2 and not said


def test_an_axial_stack_follows_t2_where_t1_saw_the_disc_elsewhere():
    t1 = sagittal(disc(center_mm=CENTER_MM + np.array([0, 3.0, 3.0])), view=View.SAGITTAL_T1, name="t1")
    (located,), _ = locate_axial([acquire(CENTER_MM + np.array([0, 19.0, 0]))], [t1, sagittal(disc())])
    assert np.allclose(located.frames[0].center_mm, CENTER_MM)


@pytest.mark.parametrize(("scale", "offset"), [(3.7, 0.0), (1.0, 250.0)])
def test_the_reference_follows_the_grey_scale_and_finds_csf_brighter_than_disc(scale, offset):
    csf_mm = CENTER_MM + np.array([0, 35 / 2 + 8.0, 0])
    series = acquire(CENTER_MM + np.array([0, 19.0, 0]), ball_mm=csf_mm)
    louder = replace(series, voxels_SRC=series.voxels_SRC * np.float32(scale) + offset)
    plain, other = (locate_axial([one], [sagittal(disc())])[0][0].reference for one in (series, louder))
    assert np.allclose(other, plain * scale + offset, rtol=1e-3)
    dark, bright, _, canal, of_disc = plain
    assert dark <= of_disc < canal <= bright + 40
