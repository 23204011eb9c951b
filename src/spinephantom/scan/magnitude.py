"""From painted water and fat to the magnitude images of one series."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinephantom.paint.canvas import Canvas
from spinephantom.paint.trunk import Body
from spinephantom.physics.kspace import Noise, filtered, k_window
from spinephantom.physics.sequence import PoolSignal, Protocol
from spinephantom.scan import scanner_artefacts as artefacts
from spinephantom.scan.scanner_artefacts import Acquisition
from spinephantom.shapes.planes import Grid

F32 = NDArray[Any]


class Receiver:
    """One series: magnitude images with every imperfection and noise, from what is painted a few planes at a time."""

    def __init__(
        self,
        protocol: Protocol,
        acquisition: Acquisition,
        signals: dict[str, PoolSignal],
        grids: tuple[Grid, ...],
        body: Body,
        rng: np.random.Generator,
    ) -> None:
        self.acquisition = acquisition
        self.images = [np.empty(grid.shape, np.float32) for grid in grids]
        self._protocol, self._grids, self._body, self._rng = protocol, grids, body, rng
        shape = grids[0].shape[1:]
        self._window = k_window(shape, protocol, acquisition.filter_strength)
        self._level = 0.8 * _brightest(signals) / acquisition.snr
        self._noise = Noise(rng, self._window, shape, self._level)
        self._gain = _noise_gain(shape, acquisition)

    def receive(self, number: int, planes: slice, index: int, canvas: Canvas) -> None:
        """Some planes of stack ``number``, painted on a canvas as its ``index``-th series."""
        acquisition, grid = self.acquisition, canvas.grid
        total = canvas.water[index] + artefacts.shifted_fat(canvas.fat[index], self._protocol, acquisition)
        if canvas.metal:
            total = artefacts.with_metal(total, grid, self._protocol, canvas.metal)
        others = tuple(other for other in self._grids if other is not self._grids[number])
        total *= artefacts.sensitivity(grid, acquisition, self._body, others)
        for image, one in zip(
            self.images[number][planes], artefacts.with_motion(total, self._protocol, acquisition), strict=True
        ):
            image[:] = self._noise.add(filtered(one, self._window), self._gain)
            if acquisition.zipper:
                image[:] = artefacts.with_zipper(image, self._rng, self._protocol, acquisition, self._level)


class IdealReceiver(Receiver):
    """Images with the protocol's resolution and chemical shift and nothing else."""

    def receive(self, number: int, planes: slice, index: int, canvas: Canvas) -> None:
        """As Receiver.receive."""
        total = canvas.water[index] + artefacts.shifted_fat(canvas.fat[index], self._protocol, self.acquisition)
        for image, one in zip(self.images[number][planes], total, strict=True):
            image[:] = np.abs(filtered(one, self._window))


def _noise_gain(shape: tuple[int, int], acquisition: Acquisition) -> F32:
    """(H, W): parallel imaging amplifies noise in the middle of the image (g-factor)."""
    rows, cols = (np.square(np.linspace(-1.0, 1.0, size, dtype=np.float32)) for size in shape)
    middle = np.exp(-2.0 * rows)[:, None] * np.exp(-2.0 * cols)[None, :]
    return 1.0 + np.float32(acquisition.parallel - 1.0) * middle


def _brightest(signals: dict[str, PoolSignal]) -> float:
    """Signal of the brightest tissue that is not fat."""
    return max(signals[name].water * (1 - signals[name].fraction) for name in ("csf", "marrow", "cord"))
