"""Shapes in their places, in mm and LPS."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import dist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinephantom.shapes.frames import Array, Frame
from spinephantom.shapes.kernels import distances_at, mark_inside
from spinephantom.shapes.planes import Window


@dataclass(frozen=True)
class Part:
    """One shape in its place: signed distance function, its numbers, its frame, and a ball that holds all of it."""

    sdf: Callable[..., Any]
    shape: Any
    frame: Frame
    center_mm: Array
    radius_mm: float
    cortex_mm: float = 0.6

    def at(self, points_mm: Array) -> NDArray[np.float32]:
        """Distance at world points (..., 3)."""
        return distances_at(self.frame.local(points_mm), self.sdf, self.shape)

    def mark_inside(self, points_mm: Array, blocked: NDArray[np.bool_]) -> None:
        """Set ``blocked`` (N,) where points (N, 3) lie inside; what is set already is not looked at."""
        place, ball = (self.frame.center_mm, self.frame.axes), (self.center_mm, float(self.radius_mm))
        mark_inside(blocked, points_mm, place, ball, self.sdf, self.shape)

    def within(self, window: Window) -> NDArray[np.float32]:
        """Distance at the pixels of a window."""
        return np.asarray(self.sdf(*window.local(self.frame), self.shape), np.float32)

    def shifted(self, offset_mm: Array) -> "Part":
        """The same shape somewhere else."""
        frame = replace(self.frame, center_mm=self.frame.center_mm + offset_mm)
        return replace(self, frame=frame, center_mm=self.center_mm + offset_mm)


def blocked_at(points_mm: Array, parts: tuple[Part, ...]) -> NDArray[np.bool_]:
    """Whether points (N, 3) lie inside any of several parts; each is asked only about what is still free."""
    points_mm = np.ascontiguousarray(points_mm, np.float64)
    blocked = np.zeros(len(points_mm), bool)
    if not len(points_mm):
        return blocked
    middle = points_mm.mean(axis=0)
    spread = float(np.sqrt(np.square(points_mm - middle).sum(axis=1).max()))
    for part in parts:
        if dist(part.center_mm, middle) < spread + part.radius_mm:
            part.mark_inside(points_mm, blocked)
    return blocked
