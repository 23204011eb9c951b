"""From an ideal signal to what a scanner stores: coil, saturation band, chemical shift, k-space, noise, windowing.

Everything here is drawn without knowing the anatomy's grades, so that no artefact can betray one.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from spinenet.labels import View
from spinenet.phantom.canvas import Grid
from spinenet.phantom.sequence import Protocol
from spinenet.phantom.trunk import Body

F32 = NDArray[Any]


@dataclass(frozen=True)
class Acquisition:
    """Imperfections of one series."""

    snr: float
    """Of the brightest tissue that is not fat, roughly CSF in T2."""
    coil_gain: float
    """0: normalised; 1: the full fall-off of a surface coil."""
    saturation: float
    """Signal left in front of the saturation band; 1: no band."""
    saturation_gap_mm: float
    ghost: float
    ghost_shift: float
    filter_strength: float
    bias: tuple[tuple[float, float, float, float, float], ...]
    """Smooth cosines: amplitude, cycles over 300 mm along x, y and z, phase."""
    isocenter_mm: tuple[float, float, float]
    window: tuple[float, float]
    """Quantiles of the image shown as black and as white when it is windowed to 8 bits."""
    full_scale: float
    """Grey value of the 99.9 % quantile when stored with 12 bits."""


def sample_acquisition(rng: np.random.Generator, view: View) -> Acquisition:
    """Imperfections within the ranges met in practice (reference, 3.4)."""
    saturated = rng.random() < (0.35 if view is View.AXIAL_T2 else 0.6)
    return Acquisition(
        snr=float(np.clip(np.exp(rng.normal(np.log(36.0), 0.45)), 10.0, 90.0)),
        coil_gain=float(rng.choice((0.0, 1.0)) * 0.25 + rng.uniform(0.0, 0.7)),
        saturation=float(rng.uniform(0.08, 0.3)) if saturated else 1.0,
        saturation_gap_mm=float(rng.uniform(6.0, 22.0)),
        ghost=float(rng.choice((0.0, 0.0, 0.0, 1.0)) * rng.uniform(0.01, 0.05)),
        ghost_shift=float(rng.uniform(0.08, 0.3)),
        filter_strength=float(rng.uniform(0.0, 0.9)),
        bias=tuple(
            (
                float(rng.normal(0.0, 0.04)),
                float(rng.uniform(0.2, 1.2)),
                float(rng.uniform(0.2, 1.2)),
                float(rng.uniform(0.2, 1.2)),
                float(rng.uniform(0, 6.28)),
            )
            for _ in range(4)
        ),
        isocenter_mm=(0.0, float(rng.normal(20.0, 15.0)), float(rng.normal(75.0, 12.0))),
        window=(float(rng.uniform(0.0, 0.04)), float(rng.choice((0.998, 0.99, 0.975, 0.95, 0.92)))),
        full_scale=float(rng.uniform(700.0, 3200.0)),
    )


def sensitivity(grid: Grid, acquisition: Acquisition, body: Body) -> F32:
    """Receive profile times saturation band, broadcastable to the grid's (P, H, W): near the coil at the back bright,
    in front of the band dark."""
    x, y, z = grid.whole().world()
    depth = np.maximum(body.at("skin_y_mm", z) - y, 0.0)
    coil = np.power(1.0 + np.square(depth / 95.0), np.float32(-1.1 * acquisition.coil_gain))
    rest = [(axis - np.float32(c)) / 300.0 for axis, c in zip((x, y, z), acquisition.isocenter_mm, strict=True)]
    ends = 1.0 / (1.0 + np.exp((np.abs(rest[2]) * 300.0 - 160.0) / 12.0))
    smooth = np.ones((1, 1, 1), np.float32)
    for amplitude, *cycles, phase in acquisition.bias:
        angle = sum(cycle * axis for cycle, axis in zip(cycles, rest, strict=True))
        smooth = smooth + np.float32(amplitude) * np.cos(6.2832 * angle + phase)
    edge = _band_edge(body, z) - acquisition.saturation_gap_mm - y
    band = 1.0 - (1.0 - acquisition.saturation) / (1.0 + np.exp(np.clip(-edge / 3.5, -30.0, 30.0)))
    return (coil * smooth * band * (0.35 + 0.65 * ends)).astype(np.float32)


def _band_edge(body: Body, z: F32) -> F32:
    """The straight line along the front of the lumbar spine that a saturation band is planned on."""
    lumbar = (body.z_mm > -10.0) & (body.z_mm < 190.0)
    slope, offset = np.polyfit(body.z_mm[lumbar], body.spine_front_y_mm[lumbar], 1)
    return (slope * z + offset).astype(np.float32)


def acquire(
    water_PHW: F32, fat_PHW: F32, protocol: Protocol, acquisition: Acquisition, rng: np.random.Generator, noise: float
) -> F32:
    """Simulate the acquisition of planes: shift fat, cut k-space, add complex noise, take the magnitude.

    ``noise`` is the standard deviation of the complex noise per pixel in image units; 0 gives a clean image.
    """
    return np.stack(
        [_acquire_plane(w, f, protocol, acquisition, rng, noise) for w, f in zip(water_PHW, fat_PHW, strict=True)]
    )


def _acquire_plane(
    water: F32, fat: F32, protocol: Protocol, acquisition: Acquisition, rng: np.random.Generator, noise: float
) -> F32:
    frequency_axis = 1 if protocol.phase_rows else 0
    spectrum = fft.fft2(water + _shifted(fat, protocol.fat_shift_px, frequency_axis))
    window = _k_window(water.shape, protocol, acquisition)
    if acquisition.ghost:
        # motion between excitations modulates every second line: a faint copy along phase encoding
        phase_axis = 1 - frequency_axis
        lines = np.arange(water.shape[phase_axis], dtype=np.float32)
        ripple = 1.0 + acquisition.ghost * np.cos(2.0 * np.pi * acquisition.ghost_shift * lines)
        spectrum *= ripple.astype(np.float32)[:, None] if phase_axis == 0 else ripple.astype(np.float32)[None, :]
    if noise:
        scale = np.float32(noise * np.sqrt(water.size))
        white = rng.standard_normal((2, *water.shape), dtype=np.float32)
        spectrum += scale * (white[0] + 1j * white[1])
    return np.abs(fft.ifft2(spectrum * window)).astype(np.float32)


def _shifted(image: F32, shift_px: float, axis: int) -> F32:
    """Shift by a fraction of pixels with linear interpolation."""
    whole = int(np.floor(shift_px))
    part = np.float32(shift_px - whole)
    return (1.0 - part) * np.roll(image, whole, axis) + part * np.roll(image, whole + 1, axis)


def _k_window(shape: tuple[int, ...], protocol: Protocol, acquisition: Acquisition) -> F32:
    """What of k-space is acquired, with the filter of the reconstruction and the decay along the echo train."""
    fractions = protocol.acquired_fraction[::-1] if protocol.phase_rows else protocol.acquired_fraction
    axes = []
    for axis, (size, share) in enumerate(zip(shape, fractions, strict=True)):
        k = np.abs(fft.fftfreq(size)) * 2.0 / share
        edge = 1.0 - acquisition.filter_strength * 0.5 * (1.0 - np.cos(np.pi * np.clip(k, 0.0, 1.0)))
        if (axis == 0) == protocol.phase_rows:
            edge = edge * np.exp(-0.02 * protocol.echo_train * np.clip(k, 0.0, 1.0))
        axes.append(np.where(k <= 1.0, edge, 0.0).astype(np.float32))
    return axes[0][:, None] * axes[1][None, :]


def to_uint8(stacks: list[F32], acquisition: Acquisition) -> list[NDArray[Any]]:
    """Window the stacks of a series to 8 bits as an export does: the brightest structures may saturate."""
    low, high = np.quantile(np.concatenate([stack[:, ::3, ::3].ravel() for stack in stacks]), acquisition.window)
    scale = 255.0 / max(high - low, 1e-6)
    return [np.round(np.clip((stack - low) * scale, 0.0, 255.0)).astype(np.uint8) for stack in stacks]


def to_uint16(stacks: list[F32], acquisition: Acquisition) -> list[NDArray[Any]]:
    """Scale the stacks of a series to 12 bits as a scanner stores."""
    high = float(np.quantile(np.concatenate([stack[:, ::3, ::3].ravel() for stack in stacks]), 0.999))
    scale = acquisition.full_scale / max(high, 1e-6)
    return [np.round(np.clip(stack * scale, 0.0, 4095.0)).astype(np.uint16) for stack in stacks]
