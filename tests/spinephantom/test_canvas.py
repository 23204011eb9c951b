"""Planes in any orientation: voxels and mm agree, windows miss nothing, mirrors keep the canonical order."""

import numpy as np
import pytest

from spinephantom.shapes.frames import Frame, rotation_x, rotation_y
from spinephantom.shapes.planes import Grid


def stack(kind: str, tilt: float) -> Grid:
    """Five slices, 20 x 30 pixels of 0.8 mm, sagittal or axial, turned by ``tilt`` radians."""
    if kind == "axial":
        axes = rotation_x(tilt) @ rotation_y(0.1)
        directions = axes[:, 2], axes[:, 1], axes[:, 0]
    else:
        c, s = np.cos(tilt), np.sin(tilt)
        directions = np.array([c, s, 0.0]), np.array([0.0, 0.0, -1.0]), np.array([-s, c, 0.0])
    normal, down, along = directions
    return Grid(np.array([3.0, -4.0, 50.0]), normal, 0.8 * down, 0.8 * along, 4.0 * np.arange(-2, 3), 20, 30)


@pytest.mark.parametrize("kind", ["sagittal", "axial"])
@pytest.mark.parametrize("tilt", [0.0, 0.3, -0.2])
def test_local_coordinates_are_those_of_the_affine(kind: str, tilt: float) -> None:
    grid = stack(kind, tilt)
    frame = Frame(np.array([5.0, 6.0, 40.0]), rotation_x(0.4) @ rotation_y(-0.2))
    window = grid.window(np.array([2.0, 2.0, 47.0]), 7.0)
    assert window is not None
    indices = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in window.index), indexing="ij"), axis=-1)
    world = indices @ grid.affine_vox2mm[:3, :3].T + grid.affine_vox2mm[:3, 3]
    for values, expected in ((window.world(), world), (window.local(frame), (world - frame.center_mm) @ frame.axes)):
        found = np.stack(np.broadcast_arrays(*values, np.empty(world.shape[:3]))[:3], axis=-1)
        assert np.abs(found - expected).max() < 1e-2


@pytest.mark.parametrize("kind", ["sagittal", "axial"])
def test_window_holds_every_pixel_near_the_point(kind: str) -> None:
    grid, point = stack(kind, 0.25), np.array([4.0, 3.0, 45.0])
    window = grid.window(point, 6.0)
    assert window is not None
    near = sum(np.square(axis - c) for axis, c in zip(grid.whole().world(), point, strict=True)) < 6.0**2
    inside = np.zeros(grid.shape, bool)
    inside[window.index] = True
    assert near.any() and not (near & ~inside).any()
    assert grid.window(np.array([400.0, 0.0, 0.0]), 6.0) is None


@pytest.mark.parametrize("kind", ["sagittal", "axial"])
def test_mirrored_planes_keep_the_canonical_order(kind: str) -> None:
    grid = stack(kind, 0.2)
    mirrored = grid.mirrored()
    assert mirrored.normal @ grid.normal > 0.5 and mirrored.col_mm @ grid.col_mm > 0.0
    x, y, z = (np.broadcast_to(axis, grid.shape) for axis in grid.whole().world())
    flip = (slice(None, None, -1),) if kind == "sagittal" else (slice(None), slice(None), slice(None, None, -1))
    for plain, seen, sign in zip((x, y, z), mirrored.whole().world(), (-1.0, 1.0, 1.0), strict=True):
        assert np.allclose(sign * plain, np.broadcast_to(seen, grid.shape)[flip], atol=1e-3)
