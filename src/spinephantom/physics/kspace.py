"""The scanner's k-space: what of it is acquired, what that does to an image, and the noise that comes with it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from spinephantom.physics.sequence import Protocol

F32 = NDArray[Any]
_FIELDS = 3
"""Noise fields made for a series; every slice reads one of them from another place."""


def k_window(shape: tuple[int, int], protocol: Protocol, filter_strength: float) -> F32:
    """Weights of the half spectrum (rows, columns // 2 + 1): acquired or not, the filter of the reconstruction and the
    decay along the echo train. A sharp edge rings (Gibbs), the unacquired rest is zero-filled."""
    fractions = protocol.acquired_fraction[::-1] if protocol.phase_rows else protocol.acquired_fraction
    axes = []
    for axis, (size, share) in enumerate(zip(shape, fractions, strict=True)):
        steps = np.abs(fft.fftfreq(size)) if axis == 0 else fft.rfftfreq(size)
        k = steps * 2.0 / share
        edge = 1.0 - filter_strength * 0.5 * (1.0 - np.cos(np.pi * np.clip(k, 0.0, 1.0)))
        if (axis == 0) == protocol.phase_rows:
            edge = edge * np.exp(-0.02 * protocol.echo_train * np.clip(k, 0.0, 1.0))
        axes.append(np.where(k <= 1.0, edge, 0.0).astype(np.float32))
    return axes[0][:, None] * axes[1][None, :]


def filtered(image: F32, window: F32) -> F32:
    """A real image (rows, columns) as acquired through a window of the half spectrum."""
    return fft.irfft2(fft.rfft2(image) * window, s=image.shape)


class Noise:
    """Complex noise of a series: as correlated from pixel to pixel as the window makes it."""

    def __init__(self, rng: np.random.Generator, window: F32, shape: tuple[int, int], scale: float) -> None:
        self._rng = rng
        white = rng.standard_normal((_FIELDS, 2, *shape), dtype=np.float32)
        white *= np.float32(scale)
        self._fields = np.stack([[filtered(part, window) for part in pair] for pair in white])

    def add(self, image: F32, gain: F32 | float) -> F32:
        """Magnitude of a real image with noise times ``gain``: Rician."""
        field = self._fields[self._rng.integers(_FIELDS)]
        steps = self._rng.integers(0, field.shape[1:])
        real, imaginary = (np.roll(part, steps, (0, 1)) * gain for part in field)
        real += image
        return np.sqrt(real * real + imaginary * imaginary)
