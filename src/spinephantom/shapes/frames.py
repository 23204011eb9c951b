"""Local frames in the patient (mm, LPS): u lateral (+ left), v antero-posterior (+ back), w along the spine (+ up)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """A place and three axes: columns of ``axes`` are u, v and w in LPS."""

    center_mm: Array
    axes: Array

    def moved(self, u: float = 0.0, v: float = 0.0, w: float = 0.0) -> "Frame":
        return Frame(self.center_mm + self.axes @ np.array([u, v, w]), self.axes)

    def tilted(self, angle_rad: float) -> "Frame":
        """Turned about u: positive angles turn w forwards."""
        return Frame(self.center_mm, self.axes @ rotation_x(angle_rad))

    def sided(self, sign: float) -> "Frame":
        """The same place with u pointing to the left (sign 1) or to the right (sign -1)."""
        return Frame(self.center_mm, self.axes * np.array([sign, 1.0, 1.0]))

    def local(self, points_mm: Array) -> Array:
        """Points (..., 3) in this frame's coordinates."""
        return (points_mm - self.center_mm) @ self.axes

    def world(self, uvw: Any) -> Array:
        """Points (..., 3) of this frame in LPS."""
        return self.center_mm + np.asarray(uvw, float) @ self.axes.T


def rotation_x(angle: float) -> Array:
    """Turn about the left-right axis; positive tilts the head end forwards."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def rotation_y(angle: float) -> Array:
    """Turn about the antero-posterior axis."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def rotation_z(angle: float) -> Array:
    """Turn about the long axis."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
