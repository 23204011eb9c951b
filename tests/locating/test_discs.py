"""Levels: found where the discs are, named from the sacrum up, and not named at all where no sacrum is seen."""

from dataclasses import replace

import numpy as np
import pytest

from spinenet.datasets.masks import locate_from_mask
from spinenet.labels import LEVELS, View
from spinenet.locating.discs import (
    DISC_BELOW,
    Detection,
    DiscCandidate,
    LocatorGrid,
    candidate_slices,
    detect,
    locator_grid,
    name_levels,
    normalise,
    pad_to_multiple,
)
from spinenet.study import LevelFrame, Series, Severity

FIRST_DISC = 201


@pytest.fixture
def found(perfect_segmenter):
    """``found(series, mask)``: what is located when every pixel is segmented as the mask has it."""
    return lambda series, mask_SRC: name_levels(detect(series, perfect_segmenter((series, mask_SRC))))


@pytest.fixture
def t2(phantom):
    """(series, mask) of the T2 series of one phantom."""
    return next((item.series, item.mask_SRC.copy()) for item in phantom.series if item.name == "t2")


def centroid_mm(series, inside_RC, slice_index):
    """Centre in LPS of a region of one slice."""
    rows, columns = np.nonzero(inside_RC)
    return series.affine_vox2mm[:3] @ [slice_index, rows.mean(), columns.mean(), 1]


def rows_between(masked, start, stop):
    """The series as if its field of view were those rows alone."""
    series, mask_SRC = masked
    affine = series.affine_vox2mm.copy()
    affine[:3, 3] += affine[:3, 1] * start
    return replace(series, voxels_SRC=series.voxels_SRC[:, start:stop], affine_vox2mm=affine), mask_SRC[:, start:stop]


def first_row(mask_SRC, value):
    return int(np.nonzero((mask_SRC == value).any((0, 2)))[0][0])


def paint(masked, center_mm, value, half_mm=(3.0, 12.0)):
    """A region of ``value`` in every slice, up and down and back and front of a place."""
    series, mask_SRC = masked
    grid = np.moveaxis(np.indices(mask_SRC.shape), 0, -1)
    points_mm = grid @ series.affine_vox2mm[:3, :3].T + series.affine_vox2mm[:3, 3]
    near = np.abs(points_mm - center_mm)
    mask_SRC = mask_SRC.copy()
    mask_SRC[(near[..., 2] < half_mm[0]) & (near[..., 1] < half_mm[1])] = value
    return series, mask_SRC


@pytest.mark.parametrize("patient", range(3))
def test_every_disc_is_found_where_it_is_and_named_as_it_is(phantoms, found, patient):
    for item in phantoms[patient].series:
        located = found(item.series, item.mask_SRC)
        names = [frame.level for frame in located.frames]
        assert names == list(LEVELS[: len(names)]) and len(names) >= len(phantoms[patient].levels)
        for frame in located.frames:
            inside = item.mask_SRC[located.midline_slice] == FIRST_DISC + LEVELS.index(frame.level)
            expected_mm = centroid_mm(item.series, inside, located.midline_slice)
            assert np.linalg.norm(frame.center_mm - expected_mm) < 1.5


@pytest.mark.parametrize("patient", range(3))
def test_frames_agree_with_the_anatomy_the_images_were_made_from(phantoms, found, patient):
    study = phantoms[patient]
    for frame in found(study.series[1].series, study.series[1].mask_SRC).frames:
        if frame.level not in study.levels:
            continue
        disc = study.spine.discs[LEVELS.index(frame.level)]
        _, back_mm, up_mm = disc.frame.axes.T @ (frame.center_mm - disc.frame.center_mm)
        assert abs(up_mm) < 2 and abs(back_mm) < 5  # a disc is higher in front, so its area lies in front of its middle
        assert np.degrees(np.arccos(np.clip(frame.posterior @ disc.frame.axes[:, 1], -1, 1))) < 8
        assert abs(frame.depth_mm - 2 * disc.half_depth) < 6
        assert 0.7 < frame.height_mm / disc.mid_height < 1.4


def test_a_frame_is_an_orthonormal_pair_that_points_backwards_and_up(t2, found):
    for frame in found(*t2).frames:
        assert np.allclose([frame.posterior @ frame.posterior, frame.superior @ frame.superior], 1)
        assert abs(frame.posterior @ frame.superior) < 1e-9
        assert frame.posterior[1] > 0.5 and frame.superior[2] > 0.5


def test_the_locator_measures_as_the_masks_do(t2, found):
    located, truth = found(*t2), locate_from_mask(*t2)
    assert located.midline_slice == truth.midline_slice
    assert np.allclose(located.reference, truth.reference, rtol=0.05, atol=2)
    for ours, theirs in zip(located.frames, truth.frames, strict=False):
        assert ours.level == theirs.level and np.linalg.norm(ours.center_mm - theirs.center_mm) < 0.5


def test_without_the_sacrum_no_level_is_named(t2, found):
    above_the_lowest_disc = rows_between(t2, 0, first_row(t2[1], FIRST_DISC) - 2)
    assert found(*above_the_lowest_disc).code == "no_sacrum"


def test_what_looks_like_the_lowest_disc_at_the_edge_of_the_image_is_not_trusted(t2, found):
    lowest = found(*t2).frames[0]
    end = np.linalg.inv(t2[0].affine_vox2mm)[1] @ [*(lowest.center_mm - 8 * lowest.superior), 1]
    assert found(*rows_between(t2, 0, round(end))).code == "no_sacrum"


@pytest.mark.parametrize("discs", [0, 2, 3])
def test_a_field_of_view_with_few_discs_is_refused(t2, found, discs):
    series, mask_SRC = rows_between(t2, first_row(t2[1], FIRST_DISC + discs) + 12, t2[1].shape[1])
    mask_SRC = np.where(mask_SRC >= FIRST_DISC + discs, 0, mask_SRC)
    refused = found(series, mask_SRC)
    assert (refused.code, refused.severity) == ("few_discs", Severity.REFUSE)
    assert f"only {discs} lumbar discs in view, at least 4" in refused.text


def test_four_discs_are_enough(t2, found):
    series, mask_SRC = t2
    names = [frame.level for frame in found(series, np.where(mask_SRC > FIRST_DISC + 3, 0, mask_SRC)).frames]
    assert names == list(LEVELS[:4])


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_disc_that_is_not_found_does_not_shift_the_names_above_it(t2, found, missing):
    series, mask_SRC = t2
    whole = {frame.level: frame.center_mm for frame in found(series, mask_SRC).frames}
    located = found(series, np.where(mask_SRC == FIRST_DISC + missing, 0, mask_SRC))
    assert {frame.level for frame in located.frames} == set(whole) - {LEVELS[missing]}
    for frame in located.frames:
        assert np.allclose(frame.center_mm, whole[frame.level])
    assert [note.code for note in located.notes] == ["level_missed"] and LEVELS[missing] in located.notes[0].text


def test_of_short_steps_at_the_top_of_the_spine_two_are_a_gap_as_well():
    """Steps of a phantom whose T12/L1 was not found."""
    up, back = np.array([0, 0, 1.0]), np.array([0, 1.0, 0])
    whole = Series("t1", np.zeros((3, 8, 8), np.float32), np.eye(4), "sagittal", View.SAGITTAL_T1)
    discs = tuple(
        DiscCandidate(LevelFrame("", height_mm * up, back, up, 35.0, 10.0), 1.0, 0.9 * (height_mm == 0))
        for height_mm in np.cumsum([0, 29.4, 31.7, 29.2, 28.5, 45.8, 27.8])
    )
    located = name_levels(Detection(whole, 1, discs, (True,) * 7, np.zeros(5, np.float32)))
    assert [frame.level for frame in located.frames] == [*LEVELS[:5], *LEVELS[6:8]]


def test_discs_above_the_last_level_have_no_name_whatever_lies_between():
    """Series of the whole spine: ten named discs, then one more after a gap of two."""
    up, back = np.array([0, 0, 1.0]), np.array([0, 1.0, 0])
    heights_mm = [33.0 * index for index in (*range(len(LEVELS)), len(LEVELS) + 1)]
    discs = tuple(
        DiscCandidate(LevelFrame("", height_mm * up, back, up, 35.0, 10.0), 1.0, 0.9 * (height_mm == 0))
        for height_mm in heights_mm
    )
    series = Series("t2", np.zeros((3, 8, 8), np.float32), np.eye(4), "sagittal", View.SAGITTAL_T2)
    located = name_levels(Detection(series, 1, discs, (True,) * len(discs), np.zeros(5, np.float32)))
    assert tuple(frame.level for frame in located.frames) == LEVELS


def test_what_looks_like_a_disc_in_the_sacrum_is_left_out_and_said(t2, found):
    lowest = found(*t2).frames[0]
    below = paint(t2, lowest.center_mm - 26 * lowest.superior, 250, (3.0, 9.0))
    located = found(*below)
    assert [frame.level for frame in located.frames] == [frame.level for frame in found(*t2).frames]
    assert np.allclose(located.frames[0].center_mm, lowest.center_mm)
    assert [note.code for note in located.notes] == [DISC_BELOW]


def test_a_second_disc_within_one_vertebra_gets_no_name(t2, found):
    frames = found(*t2).frames
    middle_mm = (frames[1].center_mm + frames[2].center_mm) / 2
    located = found(*paint(t2, middle_mm, 250, (2.0, 8.0)))
    assert [frame.level for frame in located.frames] == [frame.level for frame in frames]
    assert np.allclose(located.frames[2].center_mm, frames[2].center_mm)


def test_specks_are_no_discs(t2, found):
    frames = found(*t2).frames
    speck = paint(t2, frames[-1].center_mm + 15 * frames[-1].superior, 250, (2.0, 3.0))
    assert len(found(*speck).frames) == len(frames)


def test_the_slice_with_most_spine_is_the_midline(t2, found):
    series, mask_SRC = t2
    for slice_index in range(len(mask_SRC)):
        alone = np.where(np.arange(len(mask_SRC))[:, None, None] == slice_index, mask_SRC[1], 0)
        assert found(series, alone).midline_slice == slice_index


def test_reference_values_follow_the_scale_of_the_series(t2, found):
    series, mask_SRC = t2
    values = found(series, mask_SRC).reference
    scaled = found(replace(series, voxels_SRC=series.voxels_SRC * 3 + 10), mask_SRC).reference
    assert np.allclose(scaled, values * 3 + 10, rtol=1e-3)
    dark, bright, body, canal, _ = values
    assert dark < body < canal <= bright  # T2: CSF is bright


@pytest.mark.parametrize(
    ("step_mm", "count", "expected"),
    [(4.0, 15, [5, 6, 7, 8, 9]), (1.0, 21, [2, 6, 10, 14, 18]), (4.0, 1, [0]), (5.0, 3, [0, 1, 2])],
)
def test_slices_about_the_middle_are_looked_at(step_mm, count, expected):
    series = Series("t2", np.zeros((count, 2, 2), np.float32), np.diag([step_mm, 1, 1, 1.0]), "sagittal", None)
    assert candidate_slices(series) == expected


@pytest.mark.parametrize("spacing", [(0.3, 0.3), (0.625, 0.625), (1.25, 1.25), (1.6, 0.9)])
def test_grid_points_go_back_to_where_they_came_from(spacing):
    spacing = np.array(spacing)
    shape = np.round(np.array([160.0, 120.0]) / spacing).astype(int)
    bump_rc = np.array([70.0, 50.0]) / spacing
    distance_mm = np.linalg.norm((np.moveaxis(np.indices(shape), 0, -1) - bump_rc) * spacing, axis=-1)
    grid = locator_grid(np.exp(-0.5 * (distance_mm / 5) ** 2).astype(np.float32), spacing)
    weights = grid.image_HW / grid.image_HW.sum()
    center = np.array([[(np.indices(weights.shape)[axis] * weights).sum() for axis in (0, 1)]])
    assert np.abs((grid.to_slice(center)[0] - bump_rc) * spacing).max() < 0.1


def test_the_grid_is_not_finer_than_a_pixel_at_least():
    grid = locator_grid(np.ones((1, 3), np.float32), np.array([0.5, 0.5]))
    assert isinstance(grid, LocatorGrid) and grid.image_HW.shape == (1, 1)


def test_the_locator_sees_one_range_whatever_the_window():
    image = np.random.default_rng(0).gamma(2, 50, (40, 40)).astype(np.float32)
    assert np.allclose(normalise(image), normalise(image * 17 + 300), atol=1e-4)
    assert normalise(image).min() == 0 and normalise(image).max() <= 1.2
    assert not normalise(np.full((4, 4), 7, np.float32)).any()


@pytest.mark.parametrize(("midline", "count", "seen"), [(7, 15, 7), (2, 15, 2), (0, 15, 0), (14, 15, 14), (12, 14, 12)])
def test_the_midline_is_looked_for_over_the_whole_stack(midline, count, seen):
    voxels = np.random.default_rng(1).uniform(size=(count, 32, 32)).astype(np.float32)
    series = Series("t2", voxels, np.diag([4.0, 1.25, 1.25, 1.0]), "sagittal", View.SAGITTAL_T2)
    known = {pad_to_multiple(normalise(one)).tobytes(): index for index, one in enumerate(voxels)}

    def segment(images_N1HW):
        answers = np.zeros((len(images_N1HW), 5, 32, 32), np.float32)
        for answer, image in zip(answers, images_N1HW, strict=True):
            rows = 30 - 2 * abs(known[image[0].tobytes()] - midline)
            answer[[2, 3], : max(rows, 1)] = 0.5  # canal and disc, the more of them the nearer the midline
        return answers

    assert detect(series, segment).slice_index == seen


def test_an_image_that_ends_before_another_body_and_disc_would_fit_names_no_level(t2, found):
    series, mask_SRC = t2
    spacing_mm = series.spacing_mm[1]
    whole = found(series, mask_SRC)
    step_mm = np.linalg.norm(whole.frames[1].center_mm - whole.frames[0].center_mm)
    row = int(series.to_vox(whole.frames[0].center_mm)[1])
    for share, is_named in ((0.75, False), (0.9, False), (1.4, True)):
        end = row + int(share * step_mm / spacing_mm * abs(whole.frames[0].superior[2]))
        cut = found(*rows_between(t2, 0, end))
        assert (not hasattr(cut, "severity")) == is_named or end >= series.voxels_SRC.shape[1]
