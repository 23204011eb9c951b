"""Label images: SPIDER's values as the locator's classes, and the levels that they show."""

from dataclasses import replace

import numpy as np
import pytest

from spinenet.datasets.masks import (
    MaskFile,
    locate_all,
    locate_from_mask,
    locator_classes,
    midline_slice,
    on_locator_grid,
)
from spinenet.errors import DatasetError
from spinenet.labels import LEVELS, View
from spinenet.locating.discs import CANAL, DISC, LOWEST_DISC, VERTEBRA, locator_grid
from spinenet.readers import read_mha
from spinenet.study import Series
from spinephantom.write.spider_files import write_mha


def test_mask_values_become_classes_with_the_lowest_disc_apart():
    values = np.array([0, 1, 9, 99, 100, 201, 202, 209], np.uint8)
    expected = [0, VERTEBRA, VERTEBRA, VERTEBRA, CANAL, LOWEST_DISC, DISC, DISC]
    assert locator_classes(values).tolist() == expected


def test_the_midline_is_where_disc_and_canal_are_seen_together():
    mask_SRC = np.zeros((4, 8, 8), np.uint8)
    mask_SRC[0, :6, :6] = 203  # much disc, no canal
    mask_SRC[2, :4, :4], mask_SRC[2, 5:, :4] = 203, 100
    mask_SRC[3, 5:] = 100  # canal alone
    assert midline_slice(mask_SRC) == 2


def test_without_a_canal_the_slice_with_most_disc_is_the_midline():
    mask_SRC = np.zeros((3, 8, 8), np.uint8)
    mask_SRC[1, :3, :3], mask_SRC[2, :4, :4] = 203, 203
    assert midline_slice(mask_SRC) == 2


@pytest.mark.parametrize("spacing", [(0.5, 0.5), (1.25, 1.25), (2.0, 1.0)])
def test_image_and_mask_stay_together_on_the_locators_grid(spacing):
    shape = np.round(np.array([100.0, 80.0]) / spacing).astype(int)
    mm = np.moveaxis(np.indices(shape), 0, -1) * spacing
    mask_RC = (np.linalg.norm(mm - (50, 40), axis=-1) < 15).astype(np.uint8) * 203
    grid = locator_grid(mask_RC.astype(np.float32), np.array(spacing))
    inside = on_locator_grid(mask_RC, grid) == 203
    assert inside.shape == grid.image_HW.shape
    assert np.mean(inside != (grid.image_HW > 101)) < 0.02


def test_levels_are_named_by_the_values_of_the_mask_not_by_their_order(phantom):
    item = phantom.series[1]
    located = locate_from_mask(item.series, np.where(item.mask_SRC == 202, 0, item.mask_SRC))
    assert "L4/L5" not in [frame.level for frame in located.frames]
    assert [frame.level for frame in located.frames][:2] == ["L5/S1", "L3/L4"]


@pytest.fixture
def written(tmp_path, phantom):
    """``written(t1_mask, t2_mask)``: (series, mask files) of the phantom with these masks."""

    def write(*masks):
        paths = {}
        for item, mask_SRC in zip(phantom.series, masks, strict=True):
            paths[item.name] = tmp_path / f"{item.name}.mha"
            write_mha(paths[item.name], mask_SRC.astype(np.uint8), item.series.affine_vox2mm, "PIR")
        return [item.series for item in phantom.series], {name: MaskFile(path) for name, path in paths.items()}

    return write


def test_a_mask_numbered_without_a_disc_it_misses_is_named_like_the_fuller_one(written, phantom):
    t1, t2 = (item.mask_SRC for item in phantom.series)
    without = np.where(t1 == 203, 0, np.where(t1 > 203, t1 - 1, t1))
    short, full = locate_all(*written(without, t2))
    truth = {frame.level: frame.center_mm for frame in full.frames}
    assert [frame.level for frame in short.frames] == [level for level in truth if level != "L3/L4"]
    for frame in short.frames:
        assert np.linalg.norm(frame.center_mm - truth[frame.level]) < 1.5


def test_masks_that_agree_keep_their_names(written, phantom):
    found = locate_all(*written(*(one.mask_SRC for one in phantom.series)))
    for located, item in zip(found, phantom.series, strict=True):
        alone = locate_from_mask(item.series, item.mask_SRC)
        assert [frame.level for frame in located.frames] == [frame.level for frame in alone.frames]


def test_series_without_a_mask_or_of_another_plane_show_no_levels(written, phantom):
    series, paths = written(*(one.mask_SRC for one in phantom.series))
    assert [one.series.name for one in locate_all(series, {"t2": paths["t2"]})] == ["t2"]
    assert locate_all([replace(one, plane="axial") for one in series], paths) == ()
    assert locate_all(series, {}) == ()


def test_an_empty_mask_shows_no_level(phantom):
    series = phantom.series[0].series
    assert locate_from_mask(series, np.zeros(series.voxels_SRC.shape, np.uint8)).frames == ()


def test_a_scrap_of_a_disc_is_no_level():
    mask_SRC = np.zeros((1, 100, 100), np.uint8)
    mask_SRC[0, 20:30, 20:55], mask_SRC[0, 60:63, 20:26] = 201, 202
    series = Series("t2", np.zeros((1, 100, 100), np.float32), np.eye(4), "sagittal", View.SAGITTAL_T2)
    assert [frame.level for frame in locate_from_mask(series, mask_SRC).frames] == [LEVELS[0]]


def test_a_mask_of_another_shape_than_its_image_is_refused(tmp_path, phantom):
    item = phantom.series[0]
    path = tmp_path / "1_t1.mha"
    write_mha(path, item.mask_SRC[:, :-4], item.series.affine_vox2mm, "LPS")
    with pytest.raises(DatasetError, match="they must agree"):
        MaskFile(path).values(item.series)


def test_what_is_counted_below_the_lowest_disc_is_none_and_the_others_take_its_number(tmp_path, phantom):
    item = phantom.series[0]
    values = item.mask_SRC
    one_more = np.where((values > 0) & (values < 99) | (values > 200), values + 1, values)
    write_mha(tmp_path / "1_t1.mha", one_more.astype(np.uint8), item.series.affine_vox2mm, "PIR")
    assert np.array_equal(MaskFile(tmp_path / "1_t1.mha", lowest=2).values(item.series), values)
    below = np.where((values == 1) | (values == 201), 0, np.where((values > 0) & (values != 100), values - 1, values))
    write_mha(tmp_path / "1_t2.mha", values.astype(np.uint8), item.series.affine_vox2mm, "PIR")
    assert np.array_equal(MaskFile(tmp_path / "1_t2.mha", lowest=2).values(item.series), below)


def test_a_mask_is_read_in_the_order_of_its_image(tmp_path, phantom):
    item = phantom.series[0]
    write_mha(tmp_path / "1_t1.mha", item.series.voxels_SRC.astype(np.uint8), item.series.affine_vox2mm, "PIR")
    write_mha(tmp_path / "mask.mha", item.mask_SRC, item.series.affine_vox2mm, "PIR")
    image = replace(read_mha(tmp_path / "1_t1.mha"), name="t1")
    assert np.array_equal(MaskFile(tmp_path / "mask.mha").values(image), item.mask_SRC)
