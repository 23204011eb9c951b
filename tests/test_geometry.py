"""Planes and canonical order: reordering moves array axes, never the patient."""

import itertools

import numpy as np
import pytest

from spinenet import geometry


def grey(points_mm):
    return points_mm @ np.array([4.0, 2.0, 1.0])


def world_image(affine, shape):
    indices = np.moveaxis(np.indices(shape), 0, -1)
    return grey(indices @ affine[:3, :3].T + affine[:3, 3]).astype(np.float32)


@pytest.mark.parametrize("order", itertools.permutations(range(3)))
@pytest.mark.parametrize("signs", itertools.product([1, -1], repeat=3))
def test_every_storage_order_ends_in_the_canonical_one(order, signs):
    spacing = np.array([4.0, 0.8, 0.7])  # left-right, up-down, front-back
    axes = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]).T * spacing * signs
    affine, shape = np.eye(4), np.array([5, 24, 20])
    affine[:3, :3], affine[:3, 3] = axes[:, order], (3.0, -7.0, 11.0)
    voxels, found, plane = geometry.canonical(world_image(affine, shape[list(order)]), affine)
    assert plane == "sagittal" and voxels.shape == (5, 24, 20)
    assert np.allclose(voxels, world_image(found, voxels.shape), atol=1e-3)
    assert np.allclose(found[:3, :3] / spacing, np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]).T)


@pytest.mark.parametrize("plane", geometry.CANONICAL_AXES)
def test_canonical_order_stays_as_it_is(plane):
    affine = np.eye(4)
    affine[:3, :3] = np.array(geometry.CANONICAL_AXES[plane]).T * [3.0, 0.5, 0.5]
    voxels, found, named = geometry.canonical(world_image(affine, (4, 18, 16)), affine)
    assert named == plane
    assert np.array_equal(found, affine) and np.array_equal(voxels, world_image(affine, (4, 18, 16)))


def test_a_3d_acquisition_is_stacked_along_its_fewest_voxels():
    assert geometry.slice_axis((200, 30, 200), np.eye(4)) == 1


def test_thick_slices_are_stacked_along_their_thickness_whatever_their_number():
    assert geometry.slice_axis((200, 20, 30), np.diag([1.0, 1.0, 4.0, 1.0])) == 2


@pytest.mark.parametrize(("tilt_degrees", "plane"), [(0, "sagittal"), (30, "sagittal"), (60, "coronal")])
def test_an_oblique_stack_belongs_to_its_nearest_plane(tilt_degrees, plane):
    angle = np.deg2rad(tilt_degrees)
    assert geometry.plane_of(np.array([np.cos(angle), np.sin(angle), 0.0])) == plane


def test_ras_to_lps_swaps_left_and_back_only():
    assert (geometry.RAS_TO_LPS @ np.array([1.0, 2.0, 3.0, 1.0])).tolist() == [-1.0, -2.0, 3.0, 1.0]
