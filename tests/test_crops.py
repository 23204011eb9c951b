"""Crops: the same place in the patient, whatever the spacing, the tilt and the order of the acquired voxels."""

from dataclasses import replace

import numpy as np
import pytest

from spinenet.crops import CropSpec, build_bag, disc_views, place
from spinenet.geometry import canonical
from spinenet.labels import LEVELS, VIEWS, View
from spinenet.locating.discs import reference_values
from spinenet.study import LevelFrame, LocatedSeries, Series

SPEC = CropSpec()
CENTER_MM = np.array([3.0, 12.0, -20.0])
SAGITTAL = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]]).T
SHAPE_MM = np.array([20.0, 100.0, 90.0])


def turned(degrees, axis):
    """Rotation about one LPS axis."""
    angle, matrix = np.deg2rad(degrees), np.eye(3)
    first, second = [other for other in range(3) if other != axis]
    matrix[[first, first, second, second], [first, second, first, second]] = (
        np.cos(angle),
        -np.sin(angle),
        np.sin(angle),
        np.cos(angle),
    )
    return matrix


def blob(points_mm, center_mm=CENTER_MM, width_mm=4.0):
    """A bright ball in the patient, on tissue that gets brighter backwards."""
    distance = np.linalg.norm(points_mm - center_mm, axis=-1)
    return 20 + 0.1 * points_mm[..., 1] + 100 * np.exp(-0.5 * (distance / width_mm) ** 2)


def acquire(spacing_mm, directions=SAGITTAL, grey=blob, view=View.SAGITTAL_T2, name="t2"):
    """Sample the patient on a stack about CENTER_MM whose middle slice passes through it; columns of ``directions`` are
    where slice, row and column index grow."""
    count = np.maximum(1, np.round(SHAPE_MM / spacing_mm)).astype(int) // 2 * 2 + 1
    affine = np.eye(4)
    affine[:3, :3] = directions * spacing_mm
    affine[:3, 3] = CENTER_MM - affine[:3, :3] @ (count // 2)
    points_mm = np.moveaxis(np.indices(count), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    return Series(name, grey(points_mm).astype(np.float32), affine, "sagittal", view)


def frame(directions=SAGITTAL, level="L4/L5", tilt_deg=0.0, center_mm=CENTER_MM):
    """A disc at ``center_mm`` whose axis is turned in the sagittal plane: its front tipped down by ``tilt_deg``."""
    back, up, tilt = directions[:, 2], -directions[:, 1], np.deg2rad(tilt_deg)
    posterior, superior = np.cos(tilt) * back + np.sin(tilt) * up, np.cos(tilt) * up - np.sin(tilt) * back
    return LevelFrame(level, np.asarray(center_mm, float), posterior, superior, 35.0, 10.0)


def locate_at(series, *frames):
    reference = reference_values(series.voxels_SRC[len(series.voxels_SRC) // 2], np.zeros(series.voxels_SRC.shape[1:]))
    return LocatedSeries(series, frames, len(series.voxels_SRC) // 2, reference)


def middle_crop(series, one, spec=SPEC):
    return place(series, one, spec).pixels(len(series.voxels_SRC) // 2)


def brightest(pixels_HW):
    """(row, column) of the ball: centre of what is far above the tissue."""
    weights = np.clip(pixels_HW - 60, 0, None)
    return np.array([(np.indices(pixels_HW.shape)[axis] * weights).sum() / weights.sum() for axis in (0, 1)])


def expected_place(back_mm=0.0, up_mm=0.0, spec=SPEC):
    """Where the crop must show what lies so far behind and above the disc's centre."""
    row = (spec.rows - 1) / 2 - up_mm / spec.pixel_mm
    return np.array([row, (spec.columns - 1) / 2 + (back_mm - spec.posterior_shift_mm) / spec.pixel_mm])


STACKS = {
    "usual": ((4.0, 0.6, 0.6), SAGITTAL),
    "fine": ((4.0, 0.25, 0.25), SAGITTAL),
    "coarse": ((5.0, 1.2, 1.2), SAGITTAL),
    "pixels that are not square": ((3.3, 0.4, 0.9), SAGITTAL),
    "turned about the body axis": ((4.0, 0.6, 0.6), turned(14, 2) @ SAGITTAL),
    "oblique twice": ((4.0, 0.5, 0.7), turned(9, 2) @ turned(12, 0) @ turned(-8, 1) @ SAGITTAL),
    "volume": ((1.0, 0.9, 0.9), SAGITTAL),
}


@pytest.mark.parametrize("stack", STACKS)
def test_the_crop_lies_where_the_frame_says(stack):
    spacing_mm, directions = STACKS[stack]
    pixels = middle_crop(acquire(spacing_mm, directions), frame(directions))
    assert pixels.shape == (SPEC.rows, SPEC.columns)
    assert np.abs(brightest(pixels) - expected_place()).max() < 0.25


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize(("back_mm", "up_mm"), [(9.0, 0.0), (-8.0, 6.0)])
def test_columns_run_along_the_disc_and_rows_down_from_it(stack, back_mm, up_mm):
    spacing_mm, directions = STACKS[stack]
    disc = frame(directions, tilt_deg=25)
    ball_mm = CENTER_MM + back_mm * disc.posterior + up_mm * disc.superior
    series = acquire(spacing_mm, directions, lambda points_mm: blob(points_mm, ball_mm))
    assert np.abs(brightest(middle_crop(series, disc)) - expected_place(back_mm, up_mm)).max() < 0.25


def test_one_place_looks_the_same_however_it_was_sampled():
    usual, *others = (
        middle_crop(acquire(np.array(spacing)), frame(tilt_deg=10))
        for spacing in ((4.0, 0.6, 0.6), (4.0, 0.25, 0.25), (5.0, 1.0, 0.8))
    )
    for other in others:
        assert np.abs(other - usual).max() < 0.03 * np.ptp(usual)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_axis_stored_backwards_gives_the_same_crops(axis):
    series = acquire((4.0, 0.6, 0.7))
    backwards = np.flip(series.voxels_SRC, axis)
    affine = series.affine_vox2mm.copy()
    affine[:3, 3] += affine[:3, axis] * (backwards.shape[axis] - 1)
    affine[:3, axis] *= -1
    voxels, again, plane = canonical(backwards, affine)
    assert plane == "sagittal"
    mirrored = replace(series, voxels_SRC=voxels, affine_vox2mm=again)
    assert np.allclose(middle_crop(mirrored, frame()), middle_crop(series, frame()))


@pytest.mark.parametrize("directions", [SAGITTAL, turned(14, 2) @ SAGITTAL])
def test_a_neighbouring_slice_shows_what_lies_beside_the_disc(directions):
    beside_mm = CENTER_MM + 8.0 * directions[:, 0]
    series = acquire((4.0, 0.6, 0.6), directions, lambda points_mm: blob(points_mm, beside_mm))
    disc, middle = frame(directions), len(series.voxels_SRC) // 2
    left, right = place(series, disc, SPEC).crops([middle + 2, middle - 2])
    assert (left.offset_mm, right.offset_mm) == pytest.approx((8.0, -8.0))
    assert np.abs(brightest(left.pixels_HW) - expected_place()).max() < 0.25
    assert right.pixels_HW.max() < 60


def test_fine_pixels_are_averaged_not_skipped():
    rng = np.random.default_rng(0)
    fine = acquire((4.0, 0.2, 0.2), grey=lambda points_mm: rng.normal(100, 10, points_mm.shape[:-1]))
    assert middle_crop(fine, frame()).std() < 5


@pytest.mark.parametrize("away_mm", [50.0, 400.0])
@pytest.mark.parametrize("spacing", [0.25, 0.7])
def test_outside_the_image_the_edge_goes_on(away_mm, spacing):
    series = acquire((4.0, spacing, spacing))
    for direction in (1, -1):
        pixels = middle_crop(series, frame(center_mm=CENTER_MM + direction * away_mm * np.array([0, 1.0, 1.0])))
        assert np.isfinite(pixels).all()
        assert series.voxels_SRC.min() - 1e-3 <= pixels.min() and pixels.max() <= series.voxels_SRC.max() + 1e-3


@pytest.mark.parametrize(
    ("step_mm", "count", "midline", "spec", "expected"),
    [
        (4.0, 15, 7, CropSpec(), [7, 6, 8, 5, 9, 4, 10, 3, 11, 2, 12, 1, 13]),
        (4.0, 15, 7, CropSpec(reach_mm=8.0), [7, 6, 8, 5, 9]),
        (4.0, 15, 7, CropSpec(max_slices=3), [7, 6, 8]),
        (1.0, 21, 10, CropSpec(), [10, 6, 14, 2, 18]),
        (3.4, 9, 4, CropSpec(), [4, 3, 5, 2, 6, 1, 7, 0, 8]),
        (4.0, 15, 0, CropSpec(), [0, 1, 2, 3, 4, 5, 6]),
        (4.0, 1, 0, CropSpec(), [0]),
        (30.0, 3, 1, CropSpec(), [1]),
    ],
)
def test_slices_near_the_midline_come_first_and_far_ones_not_at_all(step_mm, count, midline, spec, expected):
    affine = np.eye(4)
    affine[:3, :3] = SAGITTAL * np.array([step_mm, 1, 1])
    series = Series("t2", np.zeros((count, 4, 4), np.float32), affine, "sagittal", None)
    assert place(series, frame(center_mm=(midline * step_mm, 0, 0)), spec).slices() == expected


def test_a_bag_holds_every_series_of_a_level_and_masks_what_is_missing():
    t2 = locate_at(acquire((8.0, 0.8, 0.8)), frame(level="L3/L4"), frame(level="L5/S1"))
    t1_series = acquire((40.0, 0.8, 0.8), view=View.SAGITTAL_T1, name="t1")
    bag = build_bag([t2, locate_at(t1_series, frame(level="L5/S1"), frame(level="L1/L2"))], SPEC)
    assert [LEVELS[index] for index in bag.level_L] == ["L5/S1", "L3/L4", "L1/L2"]
    assert bag.mask_LS.tolist() == [[True] * 4, [True] * 3 + [False], [True] + [False] * 3]
    views = [[VIEWS[view] for view in row[mask]] for row, mask in zip(bag.view_LS, bag.mask_LS, strict=True)]
    assert views == [[View.SAGITTAL_T2] * 3 + [View.SAGITTAL_T1], [View.SAGITTAL_T2] * 3, [View.SAGITTAL_T1]]
    assert np.allclose(bag.offset_LS[0], [0.0, -8.0, 8.0, 0.0])
    assert [len(crops) for crops in bag.shown] == [4, 3, 1]
    assert not bag.crops_LSHW[~bag.mask_LS].any() and not bag.tissue_LS3[~bag.mask_LS].any()
    assert all(value.shape[0] == 1 for value in bag.inputs().values())


@pytest.mark.parametrize(("scale", "offset"), [(3.7, 0.0), (1.0, 250.0), (0.02, -4.0)])
def test_the_grey_scale_of_a_scanner_does_not_reach_the_grader(scale, offset):
    def bag(series):
        middle = series.voxels_SRC[len(series.voxels_SRC) // 2]
        classes = (np.indices(middle.shape)[1] // 12) % 5
        located = LocatedSeries(series, (frame(),), len(series.voxels_SRC) // 2, reference_values(middle, classes))
        return build_bag([located], SPEC)

    series = acquire((4.0, 0.7, 0.7))
    plain, other = bag(series), bag(replace(series, voxels_SRC=series.voxels_SRC * np.float32(scale) + offset))
    assert np.allclose(plain.crops_LSHW, other.crops_LSHW, atol=1e-3)
    assert np.allclose(plain.tissue_LS3, other.tissue_LS3, atol=1e-3)


def test_the_spec_survives_the_bundle():
    spec = CropSpec(rows=48, pixel_mm=1.1)
    assert CropSpec(**spec.to_dict()) == spec


def shown_at(*levels, view, name, spacing_mm=(4.0, 0.7, 0.7)):
    return locate_at(acquire(spacing_mm, view=view, name=name), *(frame(level=level) for level in levels))


def test_each_t2_like_series_stands_beside_the_first_t1_series():
    t1 = shown_at("L5/S1", "L1/L2", view=View.SAGITTAL_T1, name="t1")
    again = shown_at("L5/S1", view=View.SAGITTAL_T1, name="t1 after contrast", spacing_mm=(4.0, 0.9, 0.9))
    t2 = shown_at("L5/S1", "L4/L5", view=View.SAGITTAL_T2, name="t2")
    stir = shown_at("L4/L5", view=View.SAGITTAL_STIR, name="stir")
    first, second = disc_views([t2, t1, stir, again], SPEC)
    assert [LEVELS[index] for index in first.level_L] == ["L5/S1", "L4/L5", "L1/L2"]
    assert first.present_LV.tolist() == [[1, 1], [0, 1], [1, 0]]
    assert second.present_LV.tolist() == [[1, 0], [0, 1], [1, 0]]
    assert not first.crops_LVHW[first.present_LV == 0].any()
    dark, bright = t1.reference[:2]
    assert np.allclose(first.crops_LVHW[0, 0], (middle_crop(t1.series, t1.frames[0]) - dark) / (bright - dark))
    assert np.array_equal(first.crops_LVHW[:, 0], second.crops_LVHW[[0, 1, 2], 0])
    assert {name: array.dtype.name for name, array in first.inputs().items()} == {
        "crops_LVHW": "float32",
        "present_LV": "float32",
        "level_L": "int64",
    }


@pytest.mark.parametrize(("view", "place_V"), [(View.SAGITTAL_T1, 0), (View.SAGITTAL_T2, 1)])
def test_a_study_of_one_weighting_shows_its_discs_with_the_other_view_absent(view, place_V):
    (views,) = disc_views([shown_at("L5/S1", view=view, name="only")], SPEC)
    assert views.present_LV.argmax(1).tolist() == [place_V] and views.present_LV.sum() == 1
    assert views.crops_LVHW[0, place_V].any() and not views.crops_LVHW[0, 1 - place_V].any()


def test_a_study_without_levels_shows_no_disc():
    assert disc_views([shown_at(view=View.SAGITTAL_T2, name="t2")], SPEC) == []


def test_a_disc_is_shown_in_the_slice_that_its_levels_were_found_in():
    t2 = shown_at("L4/L5", view=View.SAGITTAL_T2, name="t2")
    beside = replace(t2, midline_slice=t2.midline_slice + 1)
    plain, moved = (disc_views([one], SPEC)[0].crops_LVHW[0, 1] for one in (t2, beside))
    assert plain.max() > 1.5 * moved.max()
