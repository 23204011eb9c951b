"""Augmentation: repeatable, faithful to geometry and tissue, and never more than the original can bear."""

from dataclasses import replace

import numpy as np
import pytest

from spinenet.crops import BAG_ARRAYS, CropSpec, build_bag
from spinenet.labels import MIRROR, View
from spinenet.study import LevelFrame, LocatedSeries, Series
from spinenet.train.augment import (
    AugmentConfig,
    CropBagd,
    JitterFramesd,
    RandScannerd,
    RandWindowd,
    SampleBagd,
    mirrored,
)
from spinenet.train.data import grader_transforms

STILL = AugmentConfig(shift_mm=0, rotation_deg=0, zoom=0, window=0, gamma=0, noise=0, artefacts=0, drop_view=0)


def augmented(item, config, spec, seed=0):
    transforms = grader_transforms(config, spec)
    transforms.set_random_state(seed)
    return transforms(item)


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
        assert np.allclose(seen[name], expected, atol=1e-6), name


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
    seen = CropBagd(spec)(item)
    there = mirrored(seen)
    assert np.array_equal(there["grades_LT"], seen["grades_LT"][:, list(MIRROR)])
    assert np.array_equal(there["offset_LS"], -seen["offset_LS"])
    back = mirrored(there)
    assert all(np.array_equal(back[name], seen[name]) for name in (*BAG_ARRAYS, "grades_LT"))


def test_one_rater_is_asked_at_a_time_and_the_truth_where_there_is_none(item, spec):
    raters_RLT = np.stack([item["grades_LT"], np.where(item["grades_LT"] >= 0, 0, -1)])
    sample = SampleBagd(STILL, spec, "rater")
    sample.set_random_state(0)
    seen = {tuple(sample({**item, "raters_RLT": raters_RLT})["grades_LT"][:, 0]) for _ in range(10)}
    assert len(seen) == 2
    alone = sample({**item, "raters_RLT": raters_RLT[:0]})["grades_LT"]
    assert np.array_equal(alone, SampleBagd(STILL, spec)(item)["grades_LT"])


def test_a_window_is_a_monotone_map_that_takes_the_tissue_values_along(item, spec):
    window = RandWindowd(AugmentConfig(window=0.3, gamma=0.4))
    window.set_random_state(3)
    seen = CropBagd(spec)({**item, "located": item["located"]})
    # pixels that have exactly a tissue's grey value must keep having it
    seen["crops_LSHW"][..., 0, :3] = seen["tissue_LS3"]
    before = {name: value.copy() for name, value in seen.items() if isinstance(value, np.ndarray)}
    after = window(seen)
    assert np.allclose(after["crops_LSHW"][..., 0, :3], after["tissue_LS3"], atol=1e-5)
    assert not np.allclose(after["crops_LSHW"], before["crops_LSHW"], atol=0.02)
    for series in range(2):
        chosen = before["series_LS"] == series
        order = np.argsort(before["crops_LSHW"][chosen].ravel())
        assert (np.diff(after["crops_LSHW"][chosen].ravel()[order]) >= -1e-6).all()


def test_each_series_gets_a_window_of_its_own(item, spec):
    window = RandWindowd(AugmentConfig(window=0.3, gamma=0.4))
    window.set_random_state(3)
    seen = CropBagd(spec)(item)
    seen["crops_LSHW"][...] = 0.5
    after = window(seen)
    greys = [np.unique(after["crops_LSHW"][after["series_LS"] == series]) for series in range(2)]
    assert [len(grey) for grey in greys] == [1, 1] and greys[0] != greys[1]


def test_noise_reaches_slices_that_are_there_and_no_others(item, spec):
    fewer = (item["located"][0], replace(item["located"][1], frames=item["located"][1].frames[:2]))
    seen = CropBagd(spec)({**item, "located": fewer})
    assert not seen["mask_LS"].all()
    scanner = RandScannerd(AugmentConfig(noise=0.2, artefacts=1.0))
    scanner.set_random_state(0)
    before = seen["crops_LSHW"].copy()
    after = scanner(seen)["crops_LSHW"]
    assert not after[~seen["mask_LS"]].any() and np.isfinite(after).all()
    changed = np.abs(after - before).max((2, 3)) > 1e-3
    assert np.array_equal(changed, seen["mask_LS"])
    assert np.abs(after - before).mean() < 0.3
