"""Thin curves (roots, rootlets, veins) as the share of each pixel that they fill, on planes of any direction."""

import numpy as np
from numpy.typing import NDArray

from spinephantom.shapes.frames import Array
from spinephantom.shapes.kernels import stamp
from spinephantom.shapes.planes import Window


def slab_mm(offsets_mm: NDArray[np.floating]) -> float:
    """Thickness that each plane stands for."""
    return float(np.diff(offsets_mm).min()) if len(offsets_mm) > 1 else 2.0


def tube_coverage(window: Window, points_mm: Array, radius_mm: Array) -> NDArray[np.float32]:
    """Share of every pixel of a window inside round tubes through closely spaced points (N, 3), (planes, rows, cols).

    A thin tube that lies in a slice fills only part of its thickness; one that crosses it fills it all.
    """
    grid = window.grid
    cover = np.zeros([part.stop - part.start for part in window.index], np.float32)
    if len(points_mm) < 2:
        return cover
    at = grid.indices(points_mm)
    step = np.gradient(points_mm, axis=0)
    length = np.maximum(np.linalg.norm(step, axis=1), 1e-6)
    lying = np.sqrt(np.clip(1.0 - np.square(step @ grid.normal / length), 0.02, 1.0))
    slab = slab_mm(grid.offsets_mm)
    filled = np.minimum(1.57 * radius_mm / (slab * lying), 1.0)
    for plane, offset in enumerate(grid.offsets_mm[window.planes]):
        beyond = np.maximum(np.abs(at[:, 0] - offset) - 0.5 * slab + 0.5 * radius_mm, 0.0)
        seen = np.flatnonzero(beyond < 0.95 * radius_mm)
        if len(seen):
            rho = np.sqrt(np.square(radius_mm[seen]) - np.square(beyond[seen]))
            place = at[seen, 1:] - np.array([window.rows.start, window.cols.start])
            stamp(cover[plane], place, rho / grid.spacing_mm, filled[seen])
    return cover
