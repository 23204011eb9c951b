"""From painted water and fat to the magnitude images of one series."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinephantom.paint.canvas import Canvas
from spinephantom.paint.trunk import Body
from spinephantom.physics.kspace import Noise, filtered, k_window
from spinephantom.physics.sequence import Protocol
from spinephantom.scan import scanner_artefacts as artefacts
from spinephantom.scan.scanner_artefacts import Acquisition
from spinephantom.shapes.planes import Grid

F32 = NDArray[Any]
_PLANES_AT_ONCE = 4


def ideal(
    index: int,
    protocol: Protocol,
    acquisition: Acquisition,
    canvases: list[Canvas],
    body: Body,
    rng: np.random.Generator,
) -> list[F32]:
    """Images with the protocol's resolution and chemical shift and nothing else; arguments as of ``acquire``."""
    images = []
    for canvas in canvases:
        total = canvas.water[index] + artefacts.shifted_fat(canvas.fat[index], protocol, acquisition)
        window = k_window(canvas.grid.shape[1:], protocol, acquisition.filter_strength)
        images.append(np.abs(np.stack([filtered(image, window) for image in total])))
    return images


def acquire(
    index: int,
    protocol: Protocol,
    acquisition: Acquisition,
    canvases: list[Canvas],
    body: Body,
    rng: np.random.Generator,
) -> list[F32]:
    """The stacks of the ``index``-th series painted on the canvases, with every imperfection and noise."""
    grids = tuple(canvas.grid for canvas in canvases)
    level = 0.8 * _brightest(canvases[0], index) / acquisition.snr
    noise: Noise | None = None
    images = []
    for canvas in canvases:
        grid = canvas.grid
        others = tuple(other for other in grids if other is not grid)
        window = k_window(grid.shape[1:], protocol, acquisition.filter_strength)
        noise = noise or Noise(rng, window, grid.shape[1:], level)
        gain = _noise_gain(grid, acquisition)
        stack = np.empty(grid.shape, np.float32)
        for first in range(0, len(stack), _PLANES_AT_ONCE):
            planes = slice(first, first + _PLANES_AT_ONCE)
            for image, total in zip(
                stack[planes], _received(index, planes, protocol, acquisition, canvas, body, others), strict=True
            ):
                image[:] = noise.add(filtered(total, window), gain)
                if acquisition.zipper:
                    image[:] = artefacts.with_zipper(image, rng, protocol, acquisition, level)
        images.append(stack)
    return images


def _received(
    index: int,
    planes: slice,
    protocol: Protocol,
    acquisition: Acquisition,
    canvas: Canvas,
    body: Body,
    others: tuple[Grid, ...],
) -> F32:
    """Some planes of a stack as the coil receives them, before noise and the limits of k-space."""
    grid = replace(canvas.grid, offsets_mm=canvas.grid.offsets_mm[planes])
    total = canvas.water[index, planes] + artefacts.shifted_fat(canvas.fat[index, planes], protocol, acquisition)
    if canvas.metal:
        total = artefacts.with_metal(total, grid, protocol, canvas.metal)
    total *= artefacts.sensitivity(grid, acquisition, body, others)
    return artefacts.with_motion(total, protocol, acquisition)


def _noise_gain(grid: Grid, acquisition: Acquisition) -> F32:
    """(H, W): parallel imaging amplifies noise in the middle of the image (g-factor)."""
    rows, cols = (np.square(np.linspace(-1.0, 1.0, size, dtype=np.float32)) for size in grid.shape[1:])
    middle = np.exp(-2.0 * rows)[:, None] * np.exp(-2.0 * cols)[None, :]
    return 1.0 + np.float32(acquisition.parallel - 1.0) * middle


def _brightest(canvas: Canvas, index: int) -> float:
    """Signal of the brightest tissue that is not fat."""
    table = canvas.signals[index]
    return max(table[name].water * (1 - table[name].fraction) for name in ("csf", "marrow", "cord"))
