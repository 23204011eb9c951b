"""Distances on many pixels and painting of many pixels, compiled where numba is installed, else with NumPy.

Both ways run the same source: signed distance functions are written for arrays and compile for single numbers, since
they take nothing but coordinates and records of plain numbers. Compiled, a shape is first tried on blocks of pixels,
so that most of a window costs nothing. Both give the same images to rounding.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from spinephantom.shapes.kernels import compiled, plain, specialised
from spinephantom.shapes.parts import Part
from spinephantom.shapes.planes import Grid, Window

F32 = Any
MARGIN_MM = 2.5
"""Distances above this are not looked at: what is painted ends before."""
_BLOCK = 4
_FAR_MM = 9.0
sdf: Callable[..., Any]
"""Stands in ``_field`` for the function that it is compiled for."""


def near(part: Part, grid: Grid) -> tuple[Window, F32] | None:
    """The smallest window with all pixels within MARGIN_MM of a part, and the distances there; None if out of view."""
    window = grid.window(part.center_mm, part.radius_mm)
    if window is None:
        return None
    distance, box = distances(part, window)
    if box[0, 0] > box[0, 1]:
        return None
    inner = tuple(slice(int(low), int(high) + 1) for low, high in box)
    moved = [
        slice(outer.start + part.start, outer.start + part.stop)
        for outer, part in zip(window.index, inner, strict=True)
    ]
    return Window(grid, *moved), distance[inner]


def distances(part: Part, window: Window) -> tuple[F32, Any]:
    """Distances at all pixels of a window and the box (3, 2) of first and last indices of those below MARGIN_MM."""
    if compiled():
        return _compiled_distances(part, window)
    distance = part.within(window)
    distance = np.broadcast_to(distance, [s.stop - s.start for s in window.index])
    close = distance < MARGIN_MM
    box = np.array([[1, 0]] * 3)
    for axis in range(3):
        seen = np.flatnonzero(close.any(axis=tuple(other for other in range(3) if other != axis)))
        if len(seen):
            box[axis] = seen[0], seen[-1]
    return distance, box


def _compiled_distances(part: Part, window: Window) -> tuple[F32, Any]:
    grid, frame = window.grid, part.frame
    shape = tuple(s.stop - s.start for s in window.index)
    out = np.full(shape, _FAR_MM, np.float32)
    start = grid.origin_mm + window.rows.start * grid.row_mm + window.cols.start * grid.col_mm - frame.center_mm
    steps = np.stack([start, grid.normal, grid.row_mm, grid.col_mm]) @ frame.axes
    ball = np.append(frame.axes.T @ (part.center_mm - frame.center_mm), part.radius_mm)
    offsets = np.asarray(grid.offsets_mm[window.planes], np.float64)
    box = np.array([[shape[0], -1], [shape[1], -1], [shape[2], -1]])
    specialised(_field, part.sdf)(out, box, offsets, steps, ball, plain(part.shape))
    return out, box


def _field(out: F32, box: Any, offsets: Any, steps: Any, ball: Any, shape: Any) -> None:
    """Fill ``out`` (planes, rows, columns) with distances; ``steps`` (4, 3): start and steps in the part's frame."""
    planes, rows, cols = out.shape
    middle = 0.5 * (_BLOCK - 1)
    reach = middle * np.sqrt(np.sum(steps[2] ** 2) + np.sum(steps[3] ** 2))
    blocks = ((cols - 1) // _BLOCK + 1) * ((rows - 1) // _BLOCK + 1)
    for p in range(planes):
        pu, pv, pw = steps[0] + offsets[p] * steps[1]
        for block in range(blocks):
            row, col = block // ((cols - 1) // _BLOCK + 1) * _BLOCK, block % ((cols - 1) // _BLOCK + 1) * _BLOCK
            u = pu + (row + middle) * steps[2, 0] + (col + middle) * steps[3, 0]
            v = pv + (row + middle) * steps[2, 1] + (col + middle) * steps[3, 1]
            w = pw + (row + middle) * steps[2, 2] + (col + middle) * steps[3, 2]
            outside = np.sqrt((u - ball[0]) ** 2 + (v - ball[1]) ** 2 + (w - ball[2]) ** 2) - ball[3]
            if outside > reach + MARGIN_MM:
                continue
            # no distance here grows much faster than it should
            if sdf(np.float32(u), np.float32(v), np.float32(w), shape) > 1.5 * reach + MARGIN_MM:  # noqa: F821
                continue
            for r in range(row, min(row + _BLOCK, rows)):
                for c in range(col, min(col + _BLOCK, cols)):
                    u = pu + r * steps[2, 0] + c * steps[3, 0]
                    v = pv + r * steps[2, 1] + c * steps[3, 1]
                    w = pw + r * steps[2, 2] + c * steps[3, 2]
                    d = sdf(np.float32(u), np.float32(v), np.float32(w), shape)  # noqa: F821
                    out[p, r, c] = d
                    if d < MARGIN_MM:
                        box[0, 0], box[0, 1] = min(box[0, 0], p), max(box[0, 1], p)
                        box[1, 0], box[1, 1] = min(box[1, 0], r), max(box[1, 1], r)
                        box[2, 0], box[2, 1] = min(box[2, 0], c), max(box[2, 1], c)
