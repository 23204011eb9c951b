"""Planes, slice order and affines: pure functions in mm. World axes are LPS (x left, y posterior, z superior)."""

import numpy as np
from numpy.typing import NDArray

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""nibabel speaks RAS, DICOM and ITK speak LPS: ``affine_lps = RAS_TO_LPS @ affine_ras``."""

# plane -> world direction (LPS) in which slice, row and column index grow
CANONICAL_AXES = {
    "sagittal": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "axial": ((0, 0, 1), (0, 1, 0), (1, 0, 0)),
    "coronal": ((0, 1, 0), (0, 0, -1), (1, 0, 0)),
}
_PLANE_OF_NORMAL_AXIS = ("sagittal", "coronal", "axial")


def spacing_mm(affine_vox2mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance between neighbouring voxels along each array axis, (3,) in mm.

    >>> spacing_mm(np.diag([2.0, 0.5, 0.5, 1.0])).tolist()
    [2.0, 0.5, 0.5]
    """
    return np.linalg.norm(affine_vox2mm[:3, :3], axis=0)


def cross(one_3: NDArray[np.floating], other_3: NDArray[np.floating]) -> NDArray[np.float64]:
    """Vector product of two vectors, for which numpy's own takes ten times as long.

    >>> cross(np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])).tolist()
    [0.0, 0.0, 1.0]
    """
    (a, b, c), (d, e, f) = one_3.tolist(), other_3.tolist()
    return np.array([b * f - c * e, c * d - a * f, a * e - b * d])


def slice_axis(shape: tuple[int, ...], affine_vox2mm: NDArray[np.float64]) -> int:
    """Array axis along which the slices of a volume are stacked.

    The axis with clearly the widest spacing; among equals (a 3-D acquisition) the one with the fewest voxels.
    """
    spacing = spacing_mm(affine_vox2mm)
    order = np.argsort(spacing)
    if spacing[order[2]] > 1.2 * spacing[order[1]]:
        return int(order[2])
    return int(np.argmin(shape))


def plane_of(normal_mm: NDArray[np.float64]) -> str:
    """``sagittal``, ``coronal`` or ``axial``: the anatomical plane nearest to a stack with this slice normal (LPS).

    >>> plane_of(np.array([0.9, 0.3, 0.0]))
    'sagittal'
    """
    return _PLANE_OF_NORMAL_AXIS[int(np.argmax(np.abs(normal_mm)))]


def canonical(
    voxels: NDArray[np.float32], affine_vox2mm: NDArray[np.float64], slice_dim: int | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float64], str]:
    """Reorder a volume into the canonical order of ``spinenet.study`` without resampling.

    ``voxels`` is any (3-D) array with its (4, 4) affine to LPS mm; ``slice_dim`` names the stacking axis where the file
    says it. Returns (voxels_SRC, affine_vox2mm, plane). The world position of every voxel stays what it was.
    """
    slice_dim = slice_axis(voxels.shape, affine_vox2mm) if slice_dim is None else slice_dim
    directions = affine_vox2mm[:3, :3] / spacing_mm(affine_vox2mm)
    plane = plane_of(directions[:, slice_dim])
    in_plane = [axis for axis in range(3) if axis != slice_dim]
    row_direction = np.array(CANONICAL_AXES[plane][1], float)
    alignment = [abs(directions[:, axis] @ row_direction) for axis in in_plane]
    if alignment[1] > alignment[0]:
        in_plane.reverse()
    axes = [slice_dim, *in_plane]
    voxels = voxels.transpose(axes)
    affine = affine_vox2mm[:, [*axes, 3]].copy()
    for axis, wanted in enumerate(CANONICAL_AXES[plane]):
        if affine[:3, axis] @ np.array(wanted, float) < 0:
            voxels = np.flip(voxels, axis)
            affine[:3, 3] += affine[:3, axis] * (voxels.shape[axis] - 1)
            affine[:3, axis] *= -1
    return np.ascontiguousarray(voxels), affine, plane


def in_image(slice_RC: NDArray[np.floating], places_rc: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(N,) whether a slice holds an image at places (N, 2), row and column: neither past its edge nor in its padding,
    which is what has its least value and goes on so to its edge."""
    from scipy import ndimage

    at_rc = np.rint(places_rc).astype(int)
    inside = ((at_rc >= 0) & (at_rc < slice_RC.shape)).all(axis=1)
    row, column = at_rc[inside].T
    least_RC = slice_RC == slice_RC.min()  # false everywhere where voxels are not known (NaN)
    if least_RC[row, column].any():
        piece_RC, _ = ndimage.label(least_RC)
        border = np.concatenate([piece_RC[0], piece_RC[-1], piece_RC[:, 0], piece_RC[:, -1]])
        is_padding = np.isin(piece_RC[row, column], border[border > 0])
        inside[np.flatnonzero(inside)[is_padding]] = False
    return np.asarray(inside, np.bool_)
