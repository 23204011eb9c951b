"""Augmentation: repeatable, faithful to geometry and tissue, and never more than the original can bear."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from spinenet.crops import BAG_ARRAYS, CropSpec, build_bag, shown_slices
from spinenet.datasets.grey_values import held, whole
from spinenet.labels import LEVELS, MIRROR, TARGETS, View
from spinenet.study import LevelFrame, LocatedSeries, Series
from spinenet.train.augment import (
    AugmentConfig,
    JitterFramesd,
    RandScannerd,
    RandWindowd,
    SampleBagd,
    mirrored,
)
from spinenet.train.data import grader_transforms
from spinenet.train.rendering import render
from spinenet.train.windows import PLACED, collate_windows, window_item

STILL = AugmentConfig(shift_mm=0, rotation_deg=0, zoom=0, window=0, gamma=0, noise=0, artefacts=0, drop_view=0)


def in_bytes(item):
    return {**item, "located": tuple(map(held, item["located"]))}


def windows_of(item, spec):
    """Every slice of an item, as prediction takes them."""
    held_item = in_bytes(item)
    return window_item(shown_slices(held_item["located"], spec), held_item, spec, item["grades_LT"])


def pictured(item):
    """The arrays of one item's bag with the pictures that its step is made of."""
    batch = collate_windows([item])
    return {name: batch[name][0].numpy() for name in PLACED} | {"crops_LSHW": render(batch)[0].numpy()}


def augmented(item, config, spec, seed=0):
    transforms = grader_transforms(config, spec)
    transforms.set_random_state(seed)
    torch.manual_seed(seed)
    return pictured(transforms(in_bytes(item)))


def one_ball(center_mm=(0.0, 10.0, -5.0)):
    """One slice with a bright ball and a level's frame at its centre."""
    affine = np.array([[4.0, 0, 0, 0], [0, 0, 0.5, -40.0], [0, -0.5, 0, 45.0], [0, 0, 0, 1.0]])
    rows, columns = np.indices((200, 200))
    y, z = 0.5 * columns - 40, 45 - 0.5 * rows
    image = 100 * np.exp(-0.5 * ((y - center_mm[1]) ** 2 + (z - center_mm[2]) ** 2) / 9)
    series = Series("t2", image[None].astype(np.float32), affine, "sagittal", View.SAGITTAL_T2)
    frame = LevelFrame("L4/L5", np.array(center_mm), np.array([0.0, 1, 0]), np.array([0, 0, 1.0]), 35.0, 10.0)
    return LocatedSeries(series, (frame,), 0, np.array([0, 100, 50, 50, 50], np.float32))


def centroid(pixels_HW):
    weights = np.clip(pixels_HW - 0.1, 0, None)
    return np.array([(np.indices(pixels_HW.shape)[axis] * weights).sum() / weights.sum() for axis in (0, 1)])


def test_the_same_seed_gives_the_same_bag_and_another_does_not(item, spec):
    first, again, other = (augmented(item, AugmentConfig(), spec, seed) for seed in (1, 1, 2))
    for name in (*BAG_ARRAYS, "grades_LT"):
        assert np.array_equal(first[name], again[name])
    assert first["crops_LSHW"].shape != other["crops_LSHW"].shape or not np.allclose(
        first["crops_LSHW"], other["crops_LSHW"]
    )


def test_augmentation_leaves_the_cached_study_as_it_was_read(item, spec):
    before = [one.series.voxels_SRC.copy() for one in item["located"]]
    centers = [[frame.center_mm.copy() for frame in one.frames] for one in item["located"]]
    augmented(item, AugmentConfig(window=1.0, gamma=1.0, noise=1.0), spec)
    for one, voxels, center in zip(item["located"], before, centers, strict=True):
        assert np.array_equal(one.series.voxels_SRC, voxels)
        assert np.array_equal([frame.center_mm for frame in one.frames], center)


def test_without_any_augmentation_training_sees_what_prediction_sees(item, spec):
    single = tuple(
        replace(one, series=replace(one.series, voxels_SRC=one.series.voxels_SRC[1:2]), midline_slice=0)
        for one in item["located"]
    )
    bag = build_bag(single, spec)
    seen = augmented({**item, "located": single}, STILL, spec)
    for name in BAG_ARRAYS:
        expected = getattr(bag, name)
        if name in ("crops_LSHW", "tissue_LS3"):  # as far as a window shows them
            expected = expected.clip(0, 1.3)
        if name == "offset_LS":  # it may have been mirrored
            expected, seen[name] = np.abs(expected), np.abs(seen[name])
        assert np.allclose(seen[name], expected, atol=6e-3 if name == "crops_LSHW" else 1e-6), name  # a byte a pixel


def finer(one, times):
    """A series in so many times as many pixels each way."""
    voxels_SRC = one.series.voxels_SRC.repeat(times, 1).repeat(times, 2)
    affine = one.series.affine_vox2mm @ np.diag([1, 1 / times, 1 / times, 1.0])
    return replace(one, series=replace(one.series, voxels_SRC=voxels_SRC, affine_vox2mm=affine))


@pytest.mark.parametrize("pixel_mm", [0.8, 1.3])
@pytest.mark.parametrize("times", [1, 3])
def test_pictures_of_a_batch_are_those_that_prediction_resamples(item, times, pixel_mm):
    spec = CropSpec(rows=40, columns=48, pixel_mm=pixel_mm)
    fine = {**item, "located": tuple(finer(one, times) for one in item["located"])}
    jitter = JitterFramesd(replace(STILL, shift_mm=6.0, rotation_deg=9.0), spec)
    jitter.set_random_state(1)
    moved = {**jitter(in_bytes(fine)), "study": ""}
    items = [
        window_item(shown_slices(moved["located"][:count], spec), moved, spec, item["grades_LT"]) for count in (2, 1)
    ]
    batch = collate_windows(items)
    assert bool((batch["smoothing_M"] > 0).any()) == (times == 3)
    crops_BLSHW = render(batch).numpy()
    for crops_LSHW, count in zip(crops_BLSHW, (2, 1), strict=True):
        bag = build_bag(tuple(map(whole, moved["located"][:count])), spec)
        levels, slices = bag.mask_LS.shape
        np.testing.assert_allclose(crops_LSHW[:levels, :slices], bag.crops_LSHW, atol=2e-4)
        assert not crops_LSHW[levels:].any() and not crops_LSHW[:, slices:].any()


def test_a_study_of_which_no_slice_shows_a_level_is_an_empty_row(item, spec):
    nothing = {**item, "located": tuple(replace(one, frames=()) for one in item["located"])}
    transforms = grader_transforms(AugmentConfig(), spec)
    transforms.set_random_state(0)
    batch = collate_windows([transforms(in_bytes(one)) for one in (nothing, item)])
    assert not batch["mask_LS"][0].any() and not render(batch)[0].any() and render(batch)[1].any()


def test_axial_pictures_are_shown_mirrored_beside_as_they_are(spec):
    affine = np.array([[0, 0, 0.6, -60.0], [0, 0.6, 0, -50.0], [4.0, 0, 0, -20.0], [0, 0, 0, 1.0]])
    voxels_SRC = np.random.default_rng(0).integers(0, 200, (10, 200, 200)).astype(np.float32)
    series = Series("axial", voxels_SRC, affine, "axial", View.AXIAL_T2)
    frame = LevelFrame("L4/L5", np.zeros(3), np.array([0.0, 1, 0]), np.array([0, 0, 1.0]), 35.0, 10.0)
    located = LocatedSeries(series, (frame,), 0, np.array([0, 200, 90, 150, 60], np.float32))
    data = {"located": (located,), "study": "", "grades_LT": np.zeros((len(LEVELS), len(TARGETS)), np.int64)}
    bag = build_bag([located], spec)
    assert bag.mirrored_LS.tolist() == [[False] * 5 + [True] * 5]
    np.testing.assert_allclose(pictured(windows_of(data, spec))["crops_LSHW"], bag.crops_LSHW, atol=2e-4)


def test_grades_follow_the_names_of_their_levels(item, spec):
    cut = tuple(replace(one, frames=one.frames[2:5]) for one in item["located"])
    seen = augmented({**item, "located": cut}, AugmentConfig(), spec)
    assert seen["level_L"].tolist() == [2, 3, 4]
    assert np.array_equal(seen["grades_LT"], item["grades_LT"][2:5])


@pytest.mark.parametrize("seed", range(3))
def test_a_moved_frame_moves_the_picture_the_other_way(spec, seed):
    located = one_ball()
    jitter = JitterFramesd(replace(STILL, shift_mm=4.0), spec)
    jitter.set_random_state(seed)
    moved = jitter({"located": (located,)})["located"][0]
    shift_mm = moved.frames[0].center_mm - located.frames[0].center_mm
    before, after = (centroid(build_bag([one], spec).crops_LSHW[0, 0]) for one in (located, moved))
    assert np.linalg.norm(shift_mm) > 0.3
    assert np.allclose(after - before, np.array([shift_mm[2], -shift_mm[1]]) / spec.pixel_mm, atol=0.1)


def test_turned_frames_stay_frames_and_turn_as_far_as_they_should(item, spec):
    jitter = JitterFramesd(replace(STILL, rotation_deg=10.0), spec)
    jitter.set_random_state(0)
    angles = []
    for _ in range(20):
        for old, new in zip(item["located"], jitter(item)["located"], strict=True):
            for before, after in zip(old.frames, new.frames, strict=True):
                assert np.allclose(after.posterior @ after.superior, 0)
                assert np.allclose([np.linalg.norm(after.posterior), np.linalg.norm(after.superior)], 1)
                assert np.array_equal(after.center_mm, before.center_mm)
                up, back = after.posterior @ before.superior, after.posterior @ before.posterior
                angles.append(np.degrees(np.arctan2(up, back)))
    assert np.std(angles) == pytest.approx(10, rel=0.25) and abs(np.mean(angles)) < 3


def test_one_zoom_serves_all_levels_of_a_study(item, spec):
    jitter = JitterFramesd(replace(STILL, zoom=0.1), spec)
    jitter.set_random_state(0)
    sizes = {jitter(item)["spec"].pixel_mm for _ in range(30)}
    assert len(sizes) == 30
    assert spec.pixel_mm * np.exp(-0.2) <= min(sizes) < spec.pixel_mm < max(sizes) <= spec.pixel_mm * np.exp(0.2)


def test_of_several_views_one_may_go_but_never_the_last(item, spec):
    jitter = JitterFramesd(replace(STILL, drop_view=1.0), spec)
    jitter.set_random_state(0)
    kept = [jitter(item)["located"] for _ in range(20)]
    assert {len(located) for located in kept} == {1}
    assert {located[0].series.name for located in kept} == {"t1", "t2"}
    assert len(jitter({**item, "located": item["located"][:1]})["located"]) == 1


def test_some_levels_are_taken_alike_from_all_series(item, spec):
    jitter = JitterFramesd(replace(STILL, levels=3), spec)
    jitter.set_random_state(0)
    taken = [[{frame.level for frame in one.frames} for one in jitter(item)["located"]] for _ in range(10)]
    assert all(first == second and len(first) == 3 for first, second in taken)
    assert len({frozenset(first) for first, _ in taken}) > 1


OFFSETS_MM = np.arange(-24.0, 25.0, 4.0)


def choose(config, plane="sagittal", seed=0, slices=13):
    sample = SampleBagd(config, CropSpec())
    sample.set_random_state(seed)
    series = Series("one", np.zeros((13, 4, 4), np.float32), np.eye(4), plane, View.SAGITTAL_T1)
    return OFFSETS_MM[sample.choose(series, list(range(slices)), OFFSETS_MM[:slices])]


def test_a_training_bag_has_slices_of_the_midline_and_of_both_foramina():
    for seed in range(20):
        offsets_mm = choose(AugmentConfig(midline_slices=1, lateral_slices=2), seed=seed)
        sides = [(np.abs(offsets_mm) <= 9).sum(), (offsets_mm > 9).sum(), (offsets_mm < -9).sum()]
        assert sides == [1, 2, 2] and len(set(offsets_mm)) == 5


def test_foramina_are_looked_for_where_they_mostly_are():
    beside_mm = [abs(choose(AugmentConfig(), seed=seed)[-1]) for seed in range(200)]
    assert np.mean([14 < beside < 22 for beside in beside_mm]) > 0.6 and max(beside_mm) == 24


def test_axial_slices_are_taken_near_the_disc():
    offsets_mm = np.concatenate([choose(AugmentConfig(axial_slices=2), "axial", seed) for seed in range(100)])
    assert len(offsets_mm) == 200 and np.mean(np.abs(offsets_mm) <= 8) > 0.8


def test_a_single_slice_is_always_taken():
    assert len(choose(AugmentConfig(midline_slices=0), slices=1)) == 1


def test_mirrored_bags_permute_sides_and_come_back(item, spec):
    seen = windows_of(item, spec)
    there = mirrored(seen)
    assert np.array_equal(there["grades_LT"], seen["grades_LT"][:, list(MIRROR)])
    assert np.array_equal(there["offset_LS"], -seen["offset_LS"])
    back = mirrored(there)
    assert all(np.array_equal(back[name], seen[name]) for name in PLACED)


def test_one_rater_is_asked_at_a_time_and_the_truth_where_there_is_none(item, spec):
    raters_RLT = np.stack([item["grades_LT"], np.where(item["grades_LT"] >= 0, 0, -1)])
    sample = SampleBagd(STILL, spec, "rater")
    sample.set_random_state(0)
    item = in_bytes(item)
    seen = {tuple(sample({**item, "raters_RLT": raters_RLT})["grades_LT"][:, 0]) for _ in range(10)}
    assert len(seen) == 2
    alone = sample({**item, "raters_RLT": raters_RLT[:0]})["grades_LT"]
    assert np.array_equal(alone, SampleBagd(STILL, spec)(item)["grades_LT"])


def changed(item, spec, transform):
    """The bag of every slice before and after a transform."""
    transform.set_random_state(3)
    before = windows_of(item, spec)
    return pictured(before), pictured(transform(before)), before["series_M"][before["picture_LS"]]


def test_a_window_is_a_monotone_map_that_takes_the_tissue_values_along(item, spec):
    before, after, series_LS = changed(item, spec, RandWindowd(AugmentConfig(window=0.3, gamma=0.4)))
    assert not np.allclose(after["crops_LSHW"], before["crops_LSHW"], atol=0.02)
    for series in range(2):
        chosen = before["mask_LS"] & (series_LS == series)
        order = np.argsort(before["crops_LSHW"][chosen].ravel())
        grey, new = (one["crops_LSHW"][chosen].ravel()[order] for one in (before, after))
        assert (np.diff(new) >= -1e-6).all()
        tissue, shown = (one["tissue_LS3"][chosen][0] for one in (before, after))
        np.testing.assert_allclose(shown, np.interp(tissue, grey, new), atol=0.02)


def test_each_series_gets_a_window_of_its_own(item, spec):
    window = RandWindowd(AugmentConfig(window=0.3, gamma=0.4))
    window.set_random_state(3)
    first, second = window(windows_of(item, spec))["window_Z3"]
    assert not np.allclose(first, second)


def test_stacks_of_one_series_get_the_same_window(item, spec):
    one = item["located"][0]
    twice = {**item, "located": (replace(one, frames=one.frames[:3]), replace(one, frames=one.frames[3:]))}
    first, second = RandWindowd(AugmentConfig())(windows_of(twice, spec))["window_Z3"]
    assert np.array_equal(first, second)


def test_noise_reaches_slices_that_are_there_and_no_others(item, spec):
    fewer = {**item, "located": (item["located"][0], replace(item["located"][1], frames=item["located"][1].frames[:2]))}
    before, after, _ = changed(fewer, spec, RandScannerd(AugmentConfig(noise=0.2, artefacts=1.0)))
    mask_LS = before["mask_LS"]
    assert not mask_LS.all()
    assert not after["crops_LSHW"][~mask_LS].any() and np.isfinite(after["crops_LSHW"]).all()
    away = np.abs(after["crops_LSHW"] - before["crops_LSHW"])
    assert np.array_equal(away.max((2, 3)) > 1e-3, mask_LS) and away.mean() < 0.3


def test_a_blur_is_as_wide_as_was_drawn_and_keeps_the_mean(spec):
    located = one_ball()
    data = {"located": (located,), "study": "", "grades_LT": np.zeros((len(LEVELS), len(TARGETS)), np.int64)}
    still = windows_of(data, spec)
    blurred = {**still, "blur_Z2": np.array([[0.0001, 1.0]], np.float32)}
    before, after = (pictured(one)["crops_LSHW"][0, 0].astype(float) for one in (still, blurred))

    def variances(pixels_HW):
        at, places = centroid(pixels_HW + 0.1), np.indices(pixels_HW.shape)
        return [(pixels_HW * (places[axis] - at[axis]) ** 2).sum() / pixels_HW.sum() for axis in (0, 1)]

    (rows, columns), (rows_after, columns_after) = variances(before), variances(after)
    assert after.sum() == pytest.approx(before.sum(), rel=1e-3)
    assert rows_after == pytest.approx(rows, rel=0.01) and columns_after == pytest.approx(columns + 1.0, rel=0.05)


def test_a_bias_field_is_smooth_and_multiplies(item, spec):
    still = windows_of(item, spec)
    field = np.zeros((2, 3, 3), np.float32)
    field[:, 1, 0] = np.log(2)  # brighter downwards, from a half to twice
    before, after = (pictured(one)["crops_LSHW"] for one in (still, {**still, "field_Z33": field}))
    ratio_H = (after.sum((0, 1, 3)) / before.sum((0, 1, 3))).astype(float)
    np.testing.assert_allclose(np.log2(ratio_H), np.linspace(-1, 1, spec.rows), atol=1e-3)
