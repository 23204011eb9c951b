"""Smooth noise that keeps tissue from looking flat: one patient-fixed field per grain, the same in every series."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from spinephantom.shapes.kernels import gather
from spinephantom.shapes.planes import Grid, Window

F32 = NDArray[Any]

# grain -> sigma and voxel size in mm, voxels along each side of the periodic volume (a power of two)
_GRAINS = {"fine": (0.75, 0.5, 128), "medium": (2.2, 0.7, 128), "coarse": (7.0, 2.0, 128)}


@dataclass(frozen=True)
class Textures:
    """Unit-variance noise for each plane, (P, H, W), at three grain sizes."""

    fine: F32
    medium: F32
    coarse: F32

    def repeated(self, times: int) -> "Textures":
        """Each plane ``times`` over: the planes within one slice share their grain."""
        return Textures(*(np.repeat(field, times, axis=0) for field in (self.fine, self.medium, self.coarse)))

    def within(self, window: Window) -> "Textures":
        """The part inside a window of the planes."""
        return Textures(self.fine[window.index], self.medium[window.index], self.coarse[window.index])


_STEP = 1.0 / 4096.0
"""Of the noise as it is kept, half the memory of numbers with a point."""


@lru_cache(maxsize=len(_GRAINS))
def _volume(grain: str) -> F32:
    """Periodic noise, the same in every process; studies differ in where they start to read it."""
    sigma_mm, voxel_mm, size = _GRAINS[grain]
    rng = np.random.default_rng(sorted(_GRAINS).index(grain))
    noise = rng.standard_normal((size, size, size), dtype=np.float32)
    noise = gaussian_filter(noise, sigma_mm / voxel_mm, mode="wrap", truncate=3.0)
    noise *= np.float32(1.0 / (_STEP * noise.std()))
    return np.round(np.clip(noise, -32767.0, 32767.0)).astype(np.int16)


def fibres(places_mm: list[F32], shape: tuple[int, ...]) -> F32:
    """Noise of medium grain at places of one's own (three arrays that broadcast to ``shape``), in mm of the volume: for
    structures with a direction, places are stretched along it."""
    _, voxel_mm, size = _GRAINS["medium"]
    places = [np.asarray(axis * np.float32(1.0 / voxel_mm) + np.float32(64 * size), np.float32) for axis in places_mm]
    return gather(_volume("medium"), _STEP, places, shape)


def make_textures(rng: np.random.Generator, grid: Grid) -> Textures:
    """Textures of the planes of a grid, read from the volumes at the nearest voxel; the stream decides where."""
    world = grid.whole().world()
    fields = {}
    for grain, (_, voxel_mm, size) in _GRAINS.items():
        starts, axes = rng.integers(0, size, 3), rng.permutation(3)
        # in voxels; halves are added because the kernel cuts decimals off, of what is never negative
        places = [
            world[axis] * np.float32(1.0 / voxel_mm) + np.float32(start + 0.5 + 64 * size)
            for axis, start in zip(axes, starts, strict=True)
        ]
        fields[grain] = gather(_volume(grain), _STEP, places, grid.shape)
    return Textures(**fields)
