"""Domain randomisation: images may look like anything, their classes stay where they are."""

import numpy as np
import pytest

from spinenet.datasets.masks import locator_classes, on_locator_grid
from spinenet.locating.discs import LOCATOR_CLASSES, LOWEST_DISC, locator_grid
from spinenet.train.randomise import (
    RandAroundSpined,
    RandCutSacrumd,
    RandInvertd,
    RandTissueContrastd,
    randomise,
)
from spinenet.train.training_config import RandomiseConfig


@pytest.fixture
def slice_item(phantom):
    """The middle slice of a T2 series as it is cached for the locator."""
    series, mask = phantom.series[1].series, phantom.series[1].mask_SRC
    grid = locator_grid(series.voxels_SRC[1] / series.voxels_SRC.max(), series.spacing_mm[1:])
    return {"image": grid.image_HW[None], "classes": on_locator_grid(locator_classes(mask[1]), grid)[None]}


def seeded(transform, seed=0):
    transform.set_random_state(seed)
    return transform


def test_windows_have_their_size_their_range_and_known_classes_only(slice_item):
    transform = seeded(randomise(RandomiseConfig(rows=96, columns=112)))
    for _ in range(8):
        seen = transform(slice_item)
        image, classes = np.asarray(seen["image"]), np.asarray(seen["classes"])
        assert image.shape == classes.shape == (1, 96, 112)
        assert np.isfinite(image).all() and image.min() >= 0 and image.max() <= 1.2
        assert set(np.unique(classes)) <= set(range(len(LOCATOR_CLASSES)))


def test_the_same_seed_gives_the_same_windows(slice_item):
    first, again, other = (seeded(randomise(RandomiseConfig()), seed)(slice_item) for seed in (4, 4, 5))
    assert np.array_equal(first["image"], again["image"]) and np.array_equal(first["classes"], again["classes"])
    assert not np.array_equal(first["image"], other["image"])


def test_the_cached_slice_stays_as_it_was_read(slice_item):
    before = {key: value.copy() for key, value in slice_item.items()}
    transform = seeded(randomise(RandomiseConfig(tissue=1.0, invert=1.0, cut_sacrum=1.0)))
    for _ in range(3):
        transform(slice_item)
    for key, value in before.items():
        assert np.array_equal(slice_item[key], value)


def test_image_and_classes_move_together(slice_item):
    drawn = {**slice_item, "image": (slice_item["classes"] / 4).astype(np.float32)}
    config = RandomiseConfig(contrast=0, invert=0, tissue=0, cut_sacrum=0, rotation_deg=25, scale=0.2)
    transform = seeded(randomise(config))
    for _ in range(6):
        seen = transform(drawn)
        image, classes = np.asarray(seen["image"])[0], np.asarray(seen["classes"])[0]
        if (classes > 0).sum() > 500:
            assert np.corrcoef(image.ravel(), classes.ravel())[0, 1] > 0.8


def test_a_cut_field_of_view_ends_above_the_sacrum(slice_item):
    cut = seeded(RandCutSacrumd(1.0))(slice_item)
    first = int(np.nonzero((slice_item["classes"][0] == LOWEST_DISC).any(1))[0][0])
    assert cut["image"].shape == cut["classes"].shape
    assert first - 20 <= cut["image"].shape[1] < first
    assert not (cut["classes"] == LOWEST_DISC).any()
    assert np.array_equal(cut["image"], slice_item["image"][:, : cut["image"].shape[1]])


def test_tissues_get_one_new_grey_each_and_the_surroundings_keep_theirs(slice_item):
    seen = seeded(RandTissueContrastd(1.0))(slice_item)
    classes, image = slice_item["classes"], np.asarray(seen["image"])
    assert np.allclose(image[classes == 0], slice_item["image"][classes == 0])
    means = [image[classes == index].mean() - slice_item["image"][classes == index].mean() for index in (1, 2, 3)]
    assert max(map(abs, means)) > 0.02
    # the lowest disc is a disc: it must not be told apart by its grey value
    gap = image[classes == 3].mean() - image[classes == 4].mean()
    old_gap = slice_item["image"][classes == 3].mean() - slice_item["image"][classes == 4].mean()
    assert abs(gap) <= abs(old_gap) + 1e-3


def test_inverting_swaps_bright_and_dark(slice_item):
    seen = np.asarray(seeded(RandInvertd(1.0))(slice_item)["image"])
    assert np.corrcoef(seen.ravel(), slice_item["image"].ravel())[0, 1] == pytest.approx(-1)
    assert seen.min() == pytest.approx(0)


@pytest.mark.parametrize("seed", range(3))
def test_a_window_about_the_spine_shows_it_and_is_black_outside_the_image(slice_item, seed):
    window = seeded(RandAroundSpined(480, 480, 16.0, anywhere=0.0), seed)(slice_item)
    assert window["image"].shape == (1, 480, 480)
    assert (window["classes"] > 0).sum() == (slice_item["classes"] > 0).sum()
    assert window["image"].sum() == pytest.approx(float(slice_item["image"].sum()), rel=1e-4)


def test_a_slice_without_a_spine_gives_a_window_too(slice_item):
    empty = {**slice_item, "classes": np.zeros_like(slice_item["classes"])}
    assert not np.asarray(seeded(RandAroundSpined(64, 64, 4.0))(empty)["classes"]).any()
