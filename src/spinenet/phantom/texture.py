"""Smooth noise that keeps tissue from looking flat; the same for all series of a study, as it is the same patient."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

if TYPE_CHECKING:
    from spinenet.phantom.canvas import Window

F32 = NDArray[Any]


@dataclass(frozen=True)
class Textures:
    """Unit-variance noise for each plane, (P, H, W), at three grain sizes."""

    fine: F32
    medium: F32
    coarse: F32

    def repeated(self, times: int) -> "Textures":
        """Each plane ``times`` over: the planes within one slice share their grain."""
        return Textures(*(np.repeat(field, times, axis=0) for field in (self.fine, self.medium, self.coarse)))

    def within(self, window: "Window") -> "Textures":
        """The part inside a window of the planes."""
        return Textures(self.fine[window.index], self.medium[window.index], self.coarse[window.index])


def _smooth(rng: np.random.Generator, shape: tuple[int, int, int], sigma_px: float, rho: float) -> F32:
    """Noise of one grain size; neighbouring slices are correlated by ``rho``."""
    # coarse grain is made on a coarser grid: the filter's cost grows with its width
    step = max(1, int(sigma_px / 1.5))
    small = (shape[0], -(-shape[1] // step) + 2, -(-shape[2] // step) + 2)
    noise = rng.standard_normal(small, dtype=np.float32)
    for index in range(1, shape[0]):
        noise[index] = rho * noise[index - 1] + np.float32(np.sqrt(1.0 - rho**2)) * noise[index]
    noise = gaussian_filter(noise, (0.0, sigma_px / step, sigma_px / step), mode="wrap", truncate=3.0)
    if step > 1:
        noise = np.stack([zoom(plane, step, order=1) for plane in noise])
    noise = noise[:, : shape[1], : shape[2]]
    return noise / noise.std()


def make_textures(rng: np.random.Generator, slices: int, rows: int, cols: int, spacing_mm: float) -> Textures:
    """Textures for a stack of slices with square pixels."""
    shape = (slices, rows, cols)
    return Textures(
        fine=_smooth(rng, shape, 0.75 / spacing_mm, 0.2),
        medium=_smooth(rng, shape, 2.2 / spacing_mm, 0.5),
        coarse=_smooth(rng, shape, 7.0 / spacing_mm, 0.8),
    )
