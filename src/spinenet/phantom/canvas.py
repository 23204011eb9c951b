"""Planes on which structures are painted one over the other, with soft edges, for several series at once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinenet.phantom.anatomy import Array, Frame
from spinenet.phantom.sequence import PoolSignal
from spinenet.phantom.texture import Textures

F32 = Any


@dataclass(frozen=True)
class Grid:
    """Sagittal planes: ``planes_x`` (P,) to the left, ``rows_z`` (H,) falling, ``cols_y`` (W,) rising, all in mm."""

    planes_x: NDArray[np.floating]
    rows_z: NDArray[np.floating]
    cols_y: NDArray[np.floating]

    @property
    def spacing_mm(self) -> float:
        """Pixel size, the same along rows and columns."""
        return float(self.cols_y[1] - self.cols_y[0])

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.planes_x), len(self.rows_z), len(self.cols_y)

    def window(self, center_mm: Array, radius_mm: float) -> "Window | None":
        """The part of the planes within ``radius_mm`` of a point, or None where nothing is in view."""
        rows = np.flatnonzero(np.abs(self.rows_z - center_mm[2]) <= radius_mm)
        cols = np.flatnonzero(np.abs(self.cols_y - center_mm[1]) <= radius_mm)
        if not len(rows) or not len(cols):
            return None
        return Window(self, slice(int(rows[0]), int(rows[-1]) + 1), slice(int(cols[0]), int(cols[-1]) + 1))

    def whole(self) -> "Window":
        """All of it."""
        return Window(self, slice(0, len(self.rows_z)), slice(0, len(self.cols_y)))


@dataclass(frozen=True)
class Window:
    """A rectangle of rows and columns, on all planes."""

    grid: Grid
    rows: slice
    cols: slice

    @property
    def index(self) -> tuple[slice, slice, slice]:
        return slice(None), self.rows, self.cols

    def world(self) -> tuple[F32, F32, F32]:
        """x (P, 1, 1), y (1, 1, w) and z (1, h, 1) of the pixels."""
        x = self.grid.planes_x.astype(np.float32)[:, None, None]
        y = self.grid.cols_y[self.cols].astype(np.float32)[None, None, :]
        z = self.grid.rows_z[self.rows].astype(np.float32)[None, :, None]
        return x, y, z

    def local(self, frame: Frame) -> tuple[F32, F32, F32]:
        """Coordinates u, v, w of the pixels in a frame, broadcastable to (P, h, w)."""
        offsets = [axis - np.float32(c) for axis, c in zip(self.world(), frame.center_mm, strict=True)]
        # frames that are not turned about an axis keep their coordinates one- or two-dimensional, which saves most work
        u, v, w = (
            sum(
                (np.float32(direction[i]) * offsets[i] for i in range(3) if abs(direction[i]) > 1e-7),
                np.zeros((1, 1, 1), np.float32),
            )
            for direction in frame.axes.T
        )
        return u, v, w


class Canvas:
    """Water and fat images of several series that share their planes; painting is in place, later covers earlier."""

    def __init__(self, grid: Grid, signals: tuple[dict[str, PoolSignal], ...], textures: Textures) -> None:
        self.grid = grid
        self.signals = signals
        self.textures = textures
        self.water: F32 = np.zeros((len(signals), *grid.shape), np.float32)
        self.fat: F32 = np.zeros((len(signals), *grid.shape), np.float32)

    def repeated(self, grid: Grid) -> "Canvas":
        """A canvas on finer planes that starts with what is painted here: each plane becomes as many as fit in."""
        times = len(grid.planes_x) // len(self.grid.planes_x)
        canvas = Canvas(grid, self.signals, self.textures.repeated(times))
        canvas.water, canvas.fat = np.repeat(self.water, times, axis=1), np.repeat(self.fat, times, axis=1)
        return canvas

    def averaged(self, times: int) -> tuple[F32, F32]:
        """Water and fat images, the mean of every ``times`` neighbouring planes: partial volume of a thick slice."""
        series, planes, *size = self.water.shape
        shape = (series, planes // times, times, *size)
        return self.water.reshape(shape).mean(axis=2), self.fat.reshape(shape).mean(axis=2)

    def alpha(self, distance_mm: F32) -> F32:
        """Share of each pixel inside a shape, from its signed distance."""
        return np.clip(0.5 - distance_mm * np.float32(1.0 / self.grid.spacing_mm), 0.0, 1.0)

    def paint(
        self,
        window: Window,
        alpha: F32,
        tissue: str,
        gain: F32 | float = 1.0,
        fat_change: F32 | float | None = None,
    ) -> None:
        """Cover with a tissue: ``gain`` multiplies its signal, ``fat_change`` is added to its fat fraction."""
        index = window.index
        for series, table in enumerate(self.signals):
            pools = table[tissue]
            fraction = pools.fraction if fat_change is None else np.clip(pools.fraction + fat_change, 0.0, 1.0)
            _cover(self.water[series][index], alpha, gain * ((1.0 - fraction) * np.float32(pools.water)))
            _cover(self.fat[series][index], alpha, gain * (fraction * np.float32(pools.fat)))


def _cover(view: F32, alpha: F32, value: F32 | float) -> None:
    view += alpha * (value - view)
