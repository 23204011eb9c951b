"""Planes on which structures are painted one over the other, with soft edges, for several series at once."""

from typing import Any

import numpy as np

from spinephantom.physics.sequence import PoolSignal
from spinephantom.physics.texture import Textures
from spinephantom.shapes.frames import Array
from spinephantom.shapes.kernels import cover
from spinephantom.shapes.planes import Grid, Window
from spinephantom.shapes.soft import covered

F32 = Any


class Canvas:
    """Water and fat images of several series that share their planes; painting is in place, later covers earlier."""

    def __init__(
        self,
        grid: Grid,
        signals: tuple[dict[str, PoolSignal], ...],
        textures: Textures,
        images: tuple[F32, F32] | None = None,
    ) -> None:
        self.grid = grid
        self.signals = signals
        self.textures = textures
        self._pools = {
            name: np.array([(s[name].water, s[name].fat, s[name].fraction) for s in signals], np.float32)
            for name in signals[0]
        }
        self.metal: list[tuple[Array, Array]] = []
        """Both ends of every screw in view, LPS mm."""
        self.water: F32
        self.fat: F32
        self.water, self.fat = images or (np.zeros((len(signals), *grid.shape), np.float32) for _ in range(2))

    def repeated(self, window: Window, grid: Grid) -> "Canvas":
        """A canvas on finer planes of a window that starts with what is painted here: a plane becomes several."""
        times = grid.shape[0] // self.grid.shape[0]
        images = [np.repeat(part[(slice(None), *window.index)], times, axis=1) for part in (self.water, self.fat)]
        return Canvas(grid, self.signals, self.textures.within(window).repeated(times), (images[0], images[1]))

    def put(self, window: Window, finer: "Canvas") -> None:
        """Replace a window by the mean of the finer planes of each of its planes: partial volume of a thick slice."""
        times = finer.grid.shape[0] // self.grid.shape[0]
        for images, parts in ((self.water, finer.water), (self.fat, finer.fat)):
            total = sum(parts[:, step::times] for step in range(times))
            images[(slice(None), *window.index)] = total * np.float32(1.0 / times)

    def alpha(self, distance_mm: F32) -> F32:
        """Share of each pixel inside a shape, from its signed distance."""
        return covered(distance_mm, self.grid.spacing_mm)

    def paint(
        self,
        window: Window,
        alpha: F32,
        tissue: str,
        gain: F32 | float = 1.0,
        fat_change: F32 | float | None = None,
    ) -> None:
        """Cover with a tissue: ``gain`` multiplies its signal, ``fat_change`` is added to its fat fraction."""
        index = (slice(None), *window.index)
        change = 0.0 if fat_change is None else fat_change
        cover(self.water[index], self.fat[index], alpha, self._pools[tissue], gain, change)
