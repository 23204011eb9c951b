"""A patient of random tissue, and slices of it with another brightness in T1 than in T2."""

import numpy as np
from scipy import ndimage

from spinenet.labels import LEVELS, VIEWS, View
from spinenet.study import LevelFrame, LocatedSeries, Series

SIZE_MM, GREY = 240, np.zeros(5, np.float32)
TISSUE = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(SIZE_MM // 2,) * 3), 4.0)
TISSUE /= TISSUE.std()
SYMMETRIC = np.concatenate([TISSUE[:1], (TISSUE[1:] + TISSUE[:0:-1]) / 2])  # about voxel 60, where x is 0
AXES = {"sagittal": [[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]], "axial": [[0.0, 0, 1.0], [0, 1.0, 0], [1.0, 0, 0]]}
FRAMES = tuple(
    LevelFrame(
        LEVELS[index],
        np.array([0.0, -10.0, 35.0 * index - 70]),
        np.array([0, 1.0, 0]),
        np.array([0, 0, 1.0]),
        35.0,
        9.0,
    )
    for index in range(5)
)


def seen(view, *, count=15, at_mm=(0, 0, 0), moved_mm=(0, 0, 0), tissue=TISSUE):
    """Slices of a patient who lay ``moved_mm`` elsewhere; T1 shows the tissue with another brightness."""
    plane, gap_mm = ("axial", 5.0) if view is View.AXIAL_T2 else ("sagittal", 4.4)
    shape, affine = (count, 110, 100), np.eye(4)
    affine[:3, :3] = np.array(AXES[plane]) * np.array([gap_mm, 1.5, 1.5])
    affine[:3, 3] = np.array(at_mm) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    places = np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3] - np.array(moved_mm)
    grey = ndimage.map_coordinates(tissue, np.moveaxis(places / 2 + SIZE_MM / 4, -1, 0), order=1, mode="nearest")
    grey = np.cos(2 * grey) if view is View.SAGITTAL_T1 else grey
    voxels = (grey + np.random.default_rng(VIEWS.index(view)).normal(0, 0.2, shape)).astype(np.float32)
    series = Series(view.value, voxels, affine, plane, view, frame_of_reference="1.2")
    return LocatedSeries(series, FRAMES, count // 2, GREY)
