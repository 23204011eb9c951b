"""Stacks of parallel planes in any orientation, the windows in them that shapes are looked at through, and scaling."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinephantom.shapes.frames import Array, Frame
from spinephantom.shapes.kernels import compiled, upscale

F32 = Any


@dataclass(frozen=True)
class Grid:
    """A stack of parallel planes in any orientation, in LPS mm.

    ``origin_mm`` is the centre of pixel (0, 0) of the plane of offset 0, ``normal`` (unit) points to the next plane,
    ``row_mm`` and ``col_mm`` are the steps from row to row and from column to column; ``offsets_mm`` (P,) says where
    along the normal the planes lie. Sagittal and axial stacks keep the canonical orders of ``spinenet.study``.
    """

    origin_mm: Array
    normal: Array
    row_mm: Array
    col_mm: Array
    offsets_mm: NDArray[np.floating]
    rows: int
    cols: int

    @cached_property
    def spacing_mm(self) -> float:
        """Pixel size, the same along rows and columns."""
        return float(np.linalg.norm(self.col_mm))

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.offsets_mm), self.rows, self.cols

    @property
    def affine_vox2mm(self) -> Array:
        """(4, 4), from (plane, row, column, 1) to LPS mm; for evenly spaced planes."""
        offsets = self.offsets_mm
        step = (offsets[-1] - offsets[0]) / max(len(offsets) - 1, 1) if len(offsets) > 1 else 1.0
        affine = np.eye(4)
        affine[:3, :3] = np.column_stack([step * self.normal, self.row_mm, self.col_mm])
        affine[:3, 3] = self.origin_mm + offsets[0] * self.normal
        return affine

    def indices(self, points_mm: Array) -> Array:
        """Offset along the normal in mm, row and column (fractions) of points (..., 3)."""
        return (np.asarray(points_mm) - self.origin_mm) @ self._steps

    @cached_property
    def _steps(self) -> Array:
        square = self.spacing_mm**2
        return np.stack([self.normal, self.row_mm / square, self.col_mm / square], axis=-1)

    def window(self, points_mm: Array, radius_mm: float | Array, all_planes: bool = False) -> "Window | None":
        """The smallest part of the stack with all pixels within ``radius_mm`` of a point or of any of several points
        (..., 3); None where nothing is in view."""
        at = self.indices(points_mm)
        radius_px = radius_mm / self.spacing_mm
        if at.ndim > 1:
            reach = np.stack(np.broadcast_arrays(radius_mm, radius_px, radius_px), axis=-1)
            # of several points only those count that reach into the stack
            last = (self.offsets_mm[-1], self.rows - 1, self.cols - 1)
            seen = ((at + reach >= (self.offsets_mm[0], 0.0, 0.0)) & (at - reach <= last)).all(axis=1)
            if not seen.any():
                return None
            reach = np.broadcast_to(reach, at.shape)[seen]
            low, high = (at[seen] - reach).min(axis=0).tolist(), (at[seen] + reach).max(axis=0).tolist()
        else:
            offset, row, col = at.tolist()
            low = [offset - radius_mm, row - radius_px, col - radius_px]
            high = [offset + radius_mm, row + radius_px, col + radius_px]
        planes = slice(bisect_left(self._offsets, low[0]), bisect_right(self._offsets, high[0]))
        rows = slice(max(ceil(low[1]), 0), min(floor(high[1]) + 1, self.rows))
        cols = slice(max(ceil(low[2]), 0), min(floor(high[2]) + 1, self.cols))
        if planes.start >= planes.stop or rows.start >= rows.stop or cols.start >= cols.stop:
            return None
        return Window(self, slice(0, len(self.offsets_mm)) if all_planes else planes, rows, cols)

    @cached_property
    def _offsets(self) -> list[float]:
        return [float(offset) for offset in self.offsets_mm]

    def whole(self) -> "Window":
        """All of it."""
        return Window(self, *(slice(0, size) for size in self.shape))

    def halved(self) -> "Grid":
        """Half as many rows and columns over the same field of view."""
        origin, rows, cols = (
            self.origin_mm + 0.5 * (self.row_mm + self.col_mm),
            (self.rows + 1) // 2,
            (self.cols + 1) // 2,
        )
        return replace(self, origin_mm=origin, row_mm=2.0 * self.row_mm, col_mm=2.0 * self.col_mm, rows=rows, cols=cols)

    def cut(self, window: "Window") -> "Grid":
        """A window alone."""
        origin = self.origin_mm + window.rows.start * self.row_mm + window.cols.start * self.col_mm
        rows, cols = window.rows.stop - window.rows.start, window.cols.stop - window.cols.start
        return replace(self, origin_mm=origin, offsets_mm=self.offsets_mm[window.planes], rows=rows, cols=cols)

    def mirrored(self) -> "Grid":
        """The same planes seen in a mirror (x changes sign), again in canonical order."""
        flip = np.array([-1.0, 1.0, 1.0])
        grid = replace(self, origin_mm=self.origin_mm * flip, normal=self.normal * flip)
        grid = replace(grid, row_mm=self.row_mm * flip, col_mm=self.col_mm * flip)
        if abs(grid.normal[0]) > 0.5:
            return replace(grid, normal=-grid.normal, offsets_mm=-grid.offsets_mm[::-1])
        return replace(grid, origin_mm=grid.origin_mm + (grid.cols - 1) * grid.col_mm, col_mm=-grid.col_mm)


@dataclass(frozen=True)
class Window:
    """A box of planes, rows and columns of a grid."""

    grid: Grid
    planes: slice
    rows: slice
    cols: slice

    @property
    def index(self) -> tuple[slice, slice, slice]:
        return self.planes, self.rows, self.cols

    def world(self) -> tuple[F32, F32, F32]:
        """x, y and z of the pixels, each with size 1 along the axes it does not change with."""
        x, y, z = self._project(np.eye(3), np.zeros(3))
        return x, y, z

    def local(self, frame: Frame) -> tuple[F32, F32, F32]:
        """Coordinates u, v, w of the pixels in a frame, broadcastable to the window's (planes, rows, columns)."""
        u, v, w = self._project(frame.axes.T, frame.center_mm)
        return u, v, w

    def _project(self, directions: Array, center_mm: Array) -> list[F32]:
        grid = self.grid
        start = (
            directions @ (grid.origin_mm - center_mm),
            directions @ grid.normal,
            directions @ grid.row_mm,
            directions @ grid.col_mm,
        )
        offsets = grid.offsets_mm[self.planes].astype(np.float32)[:, None, None]
        rows = np.arange(self.rows.start, self.rows.stop, dtype=np.float32)[None, :, None]
        cols = np.arange(self.cols.start, self.cols.stop, dtype=np.float32)[None, None, :]
        projected = []
        for axis in range(3):
            # terms that do not matter (below a micrometre) are left out: what is small in size saves most of the work
            value: F32 = np.full((1, 1, 1), start[0][axis], np.float32)
            for steps, slope in ((offsets, start[1]), (rows, start[2]), (cols, start[3])):
                if abs(slope[axis]) * np.abs(steps).max(initial=0.0) > 1e-3:
                    value = value + np.float32(slope[axis]) * steps
            projected.append(value)
        return projected


def upscaled(images: F32, rows: int, cols: int) -> F32:
    """(..., rows, columns) from half as many by linear interpolation."""
    if compiled():
        return upscale(images, rows, cols)
    for axis, size in ((-2, rows), (-1, cols)):
        images = np.moveaxis(images, axis, -1)
        wide = np.empty((*images.shape[:-1], 2 * images.shape[-1]), np.float32)
        near = np.float32(0.75) * images
        far = np.float32(0.25) * images
        wide[..., 0::2] = near
        wide[..., 1::2] = near
        wide[..., 2::2] += far[..., :-1]
        wide[..., 1:-1:2] += far[..., 1:]
        wide[..., 0] += far[..., 0]
        wide[..., -1] += far[..., -1]
        images = np.moveaxis(wide[..., :size], -1, axis)
    return np.ascontiguousarray(images)
