"""Planned slices: through every disc asked for, in canonical order, drawn without a look at disease."""

import numpy as np
import pytest

from spinenet.geometry import plane_of
from spinenet.labels import View
from spinephantom import PhantomStudy, make_study

SIZES = {"size": 96, "axial_size": 96, "sub_slices": 1}


@pytest.fixture(scope="module")
def studies() -> list[PhantomStudy]:
    return [make_study(seed, **SIZES) for seed in range(6)]


def test_axial_stacks_cut_the_lower_three_discs_from_below_upwards(studies: list[PhantomStudy]) -> None:
    for study in studies:
        stacks = [stack for item in study.series if item.view is View.AXIAL_T2 for stack in item.stacks]
        seen = set().union(*(np.unique(stack.mask_SRC) for stack in stacks))
        assert seen >= {201, 202, 203}
        for stack in stacks:
            affine = stack.series.affine_vox2mm
            assert plane_of(affine[:3, 0]) == "axial"
            assert affine[2, 0] > 0.0 and affine[1, 1] > 0.0 and affine[0, 2] > 0.0
            assert stack.series.voxels_SRC.shape == stack.mask_SRC.shape


def test_sagittal_stacks_reach_both_foramina(studies: list[PhantomStudy]) -> None:
    for study in studies:
        for item in study.series[:2]:
            slices = item.series.voxels_SRC.shape[0]
            spacing = np.linalg.norm(item.series.affine_vox2mm[:3, 0])
            assert 11 <= slices <= 21 and 3.5 <= spacing <= 6.0
            assert slices * spacing >= 48.0


def test_keypoints_are_the_same_place_in_voxels_and_in_mm(studies: list[PhantomStudy]) -> None:
    study = studies[0]
    stacks = {item.name: item.stacks for item in study.series}
    assert {point.target for point in study.keypoints} >= {"canal_stenosis", "subarticular_stenosis_left"}
    for point in study.keypoints:
        series = stacks[point.series][point.stack].series
        world = series.affine_vox2mm @ np.array([point.slice_index, point.row, point.column, 1.0])
        assert np.abs(world[:3] - point.world_mm).max() < 1e-6
        if point.target.endswith("_left"):
            centre = next(d for d in study.spine.discs if d.level == point.level).frame.center_mm
            assert point.world_mm[0] > centre[0] + 2.0


def test_planes_do_not_depend_on_disease_beyond_the_spine_they_are_laid_on() -> None:
    healthy, ill = (make_study(5, mode=mode, **SIZES) for mode in ("screening", "balanced"))
    for a, b in zip(healthy.series, ill.series, strict=True):
        assert a.protocol == b.protocol and len(a.stacks) == len(b.stacks)
        for one, other in zip(a.stacks, b.stacks, strict=True):
            # a block covers the spine, which is shorter where discs have collapsed
            assert abs(len(one.mask_SRC) - len(other.mask_SRC)) <= 4
            assert one.mask_SRC.shape[1:] == other.mask_SRC.shape[1:]


def test_mirrored_study_has_mirrored_masks_in_every_stack() -> None:
    plain, mirrored = make_study(4, **SIZES), make_study(4, mirror=True, **SIZES)
    for a, b in zip(plain.series, mirrored.series, strict=True):
        for one, other in zip(a.stacks, b.stacks, strict=True):
            flipped = other.mask_SRC[::-1] if a.view is not View.AXIAL_T2 else other.mask_SRC[:, :, ::-1]
            assert (one.mask_SRC != flipped).mean() < 1e-3
