"""What a scanner does to an ideal image: coil, saturation, chemical shift, ghosts, wrap-around, metal, and more.

Everything here is drawn without knowing the anatomy's grades, so that no artefact can betray one.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from spinenet.labels import View
from spinephantom.paint.trunk import Body
from spinephantom.physics.sequence import Protocol
from spinephantom.scan.practice import IMAGE
from spinephantom.shapes.planes import Grid, upscaled

F32 = NDArray[Any]
_BEADS = 13
"""Dipoles that a screw is made of."""


@dataclass(frozen=True)
class Acquisition:
    """Imperfections of one series."""

    snr: float
    """Of the brightest tissue that is not fat, roughly CSF in T2."""
    parallel: float
    """Noise in the middle of the image relative to its edges (g-factor)."""
    coil_gain: float
    """0: normalised; 1: the full fall-off of a surface coil."""
    saturation: float
    """Signal left in front of the saturation band; 1: no band."""
    saturation_gap_mm: float
    saturation_edge_mm: float
    ghost: float
    ghost_shift: float
    """Share of the field of view between an image and its ghost along phase encoding."""
    wrap: float
    """Share of the field of view that folds over along phase encoding."""
    crosstalk: float
    """Signal lost where the slices of another group cross."""
    zipper: float
    """Strength of a line of interference; 0: none."""
    zipper_at: float
    """Where it lies, as a share of the frequency encoding: one frequency, so the same in every slice."""
    shift_sign: int
    """Direction in which fat is shifted along frequency encoding."""
    filter_strength: float
    bias: tuple[tuple[float, float, float, float, float], ...]
    """Smooth cosines: amplitude, cycles over 300 mm along x, y and z, phase."""
    isocenter_mm: tuple[float, float, float]
    window: tuple[float, float]
    """Quantiles of the image shown as black and as white when it is windowed to 8 bits."""
    full_scale: float
    """Grey value of the 99.9 % quantile when stored with 12 bits."""
    gamma: float
    """Power by which grey values are bent between black and white when windowed to 8 bits."""


def sample_acquisition(rng: np.random.Generator, view: View) -> Acquisition:
    """Imperfections within the ranges met in practice."""
    saturated = rng.random() < (IMAGE.saturated_axial if view is View.AXIAL_T2 else IMAGE.saturated_sagittal)
    snr = IMAGE.snr
    (behind, behind_sd), (above, above_sd) = IMAGE.middle_mm
    black, white = IMAGE.black.draw(rng), float(rng.choice(IMAGE.white))
    # little is bright where fat is dark
    white = 1.0 - IMAGE.white_without_fat * (1.0 - white) if view is View.SAGITTAL_STIR else white
    return Acquisition(
        snr=float(np.clip(np.exp(rng.normal(np.log(snr.mean), snr.sd)), snr.low, snr.high)),
        parallel=IMAGE.parallel.draw(rng) if rng.random() < IMAGE.accelerated else 1.0,
        coil_gain=float(rng.choice((0.0, 1.0)) * IMAGE.coil[0] + rng.uniform(0.0, IMAGE.coil[1])),
        saturation=IMAGE.saturation.draw(rng) if saturated else 1.0,
        saturation_gap_mm=IMAGE.saturation_gap_mm.draw(rng),
        saturation_edge_mm=IMAGE.saturation_edge_mm.draw(rng),
        ghost=IMAGE.ghost.draw(rng) if rng.random() < IMAGE.ghosts else 0.0,
        ghost_shift=IMAGE.ghost_shift.draw(rng),
        wrap=IMAGE.wrap.draw(rng) if rng.random() < IMAGE.wrapped else 0.0,
        crosstalk=IMAGE.crosstalk.draw(rng) if rng.random() < IMAGE.crosstalks else 0.0,
        zipper=IMAGE.zipper.draw(rng) if rng.random() < IMAGE.zippers else 0.0,
        zipper_at=float(rng.random()),
        shift_sign=int(rng.choice((-1, 1))),
        filter_strength=(IMAGE.filter_axial if view is View.AXIAL_T2 else IMAGE.filter_sagittal).draw(rng),
        bias=tuple(_wave(rng) for _ in range(IMAGE.waves)),
        isocenter_mm=(0.0, float(rng.normal(behind, behind_sd)), float(rng.normal(above, above_sd))),
        window=(black, white),
        full_scale=IMAGE.full_scale.draw(rng),
        gamma=IMAGE.gamma.draw(rng),
    )


def _wave(rng: np.random.Generator) -> tuple[float, float, float, float, float]:
    x, y, z = (float(cycles) for cycles in rng.uniform(*IMAGE.wave_cycles, 3))
    return float(rng.normal(0.0, IMAGE.wave_sd)), x, y, z, float(rng.uniform(0.0, 6.28))


def sensitivity(grid: Grid, acquisition: Acquisition, body: Body, others: tuple[Grid, ...] = ()) -> F32:
    """Receive profile times saturation, (P or 1, H, W): near the coil at the back bright, in front of the band dark,
    and darker where slices of ``others``, groups of the same series, cross."""
    coarse = grid.halved().halved()
    x, y, z = coarse.whole().world()
    depth = np.maximum(body.at("skin_y_mm", z) - y, 0.0)
    coil = np.power(1.0 + np.square(depth / IMAGE.coil_depth_mm), np.float32(IMAGE.coil_power * acquisition.coil_gain))
    rest = [(axis - np.float32(c)) / 300.0 for axis, c in zip((x, y, z), acquisition.isocenter_mm, strict=True)]
    end_mm, over_mm = IMAGE.coil_ends_mm
    ends = 1.0 / (1.0 + np.exp((np.abs(rest[2]) * 300.0 - end_mm) / over_mm))
    smooth = np.ones((1, 1, 1), np.float32)
    for amplitude, *cycles, phase in acquisition.bias:
        angle = sum(cycle * axis for cycle, axis in zip(cycles, rest, strict=True))
        smooth = smooth + np.float32(amplitude) * np.cos(6.2832 * angle + phase)
    edge = (_band_edge(body, z) - acquisition.saturation_gap_mm - y) / acquisition.saturation_edge_mm
    band = 1.0 - (1.0 - acquisition.saturation) / (1.0 + np.exp(np.clip(-edge, -30.0, 30.0)))
    profile = coil * smooth * band * (0.35 + 0.65 * ends)
    if acquisition.crosstalk:
        profile = profile * _crossed((x, y, z), others, acquisition.crosstalk)
    profile = np.broadcast_to(profile, (profile.shape[0], *coarse.shape[1:])).astype(np.float32)
    half = grid.halved()
    return upscaled(upscaled(profile, half.rows, half.cols), grid.rows, grid.cols)


def _band_edge(body: Body, z: F32) -> F32:
    """The straight line along the front of the lumbar spine that a saturation band is planned on."""
    lumbar = (body.z_mm > -10.0) & (body.z_mm < 190.0)
    slope, offset = np.polyfit(body.z_mm[lumbar], body.spine_front_y_mm[lumbar], 1)
    return (slope * z + offset).astype(np.float32)


def _crossed(world: tuple[F32, F32, F32], others: tuple[Grid, ...], loss: float) -> F32 | float:
    """Signal left where the slabs of other groups have been excited as well."""
    left: F32 | float = 1.0
    for other in others:
        start = float(other.normal @ other.origin_mm)
        offset = sum(np.float32(n) * axis for n, axis in zip(other.normal, world, strict=True)) - start
        first, last = float(other.offsets_mm[0]), float(other.offsets_mm[-1])
        outside = np.maximum(first - 2.0 - offset, offset - last - 2.0)
        left = left * (1.0 - loss / (1.0 + np.exp(np.clip(outside, -30.0, 30.0))))
    return left


def shifted_fat(fat_PHW: F32, protocol: Protocol, acquisition: Acquisition) -> F32:
    """Fat displaced along frequency encoding by its chemical shift, to a fraction of a pixel."""
    axis = 2 if protocol.phase_rows else 1
    shift = acquisition.shift_sign * protocol.fat_shift_px
    whole = int(np.floor(shift))
    part = np.float32(shift - whole)
    return (1.0 - part) * np.roll(fat_PHW, whole, axis) + part * np.roll(fat_PHW, whole + 1, axis)


def with_motion(images_PHW: F32, protocol: Protocol, acquisition: Acquisition) -> F32:
    """Ghosts of what moves along phase encoding, and what lies beyond the field of view folded in."""
    axis = 1 if protocol.phase_rows else 2
    size = images_PHW.shape[axis]
    if acquisition.ghost:
        step = max(int(acquisition.ghost_shift * size), 1)
        both = np.roll(images_PHW, step, axis) + np.roll(images_PHW, -step, axis)
        images_PHW = images_PHW + np.float32(acquisition.ghost) * both
    if acquisition.wrap:
        images_PHW = images_PHW.copy()
        depth = max(int(acquisition.wrap * size), 2)
        # the body goes on much as it was: what folds in is the mirror image of the other edge, fading outwards
        fade = np.linspace(0.6, 0.0, depth, dtype=np.float32)
        moved = np.moveaxis(images_PHW, axis, -1)
        first, last = moved[..., :depth].copy(), moved[..., -depth:].copy()
        moved[..., -depth:] += first * fade[::-1]
        moved[..., :depth] += last * fade
    return images_PHW


def with_metal(images_PHW: F32, grid: Grid, protocol: Protocol, metal: list[tuple[NDArray[Any], NDArray[Any]]]) -> F32:
    """Signal void around screws, and pixels near them displaced along frequency encoding with bright rims.

    ``metal`` holds both ends of every screw in LPS mm.
    """
    images_PHW = images_PHW.copy()
    for start, end in metal:
        part = grid.window(0.5 * (start + end), 0.5 * float(np.linalg.norm(end - start)) + 26.0)
        if part is not None:
            index = part.index
            images_PHW[index] = _near_screw(images_PHW[index], part.world(), (start, end), grid, protocol)
    return images_PHW


def _near_screw(
    images: F32,
    world: tuple[F32, F32, F32],
    ends: tuple[NDArray[Any], NDArray[Any]],
    grid: Grid,
    protocol: Protocol,
) -> F32:
    """One screw: dipoles along it displace pixels, squeeze their signal together and leave a void on the spot."""
    dipoles: Any = np.float32(0.0)
    nearest: Any = np.float32(1e6)
    for point in np.linspace(*ends, _BEADS):
        x, y, z = (axis - np.float32(c) for axis, c in zip(world, point, strict=True))
        square = x * x + y * y + z * z
        dipoles = dipoles + (2.0 * z * z - x * x - y * y) * np.power(square + np.float32(30.0), np.float32(-2.5))
        nearest = np.minimum(nearest, square)
    strength = 900.0 * 200.0 * protocol.field_t / protocol.bandwidth_hz / grid.spacing_mm
    moved = np.broadcast_to(np.clip(2.0 / _BEADS * strength * dipoles, -9.0, 9.0), images.shape)
    rows, cols = np.mgrid[0 : images.shape[1], 0 : images.shape[2]].astype(np.float32)
    out = np.empty(images.shape, np.float32)
    for index, image in enumerate(images):
        at = (rows, cols + moved[index]) if protocol.phase_rows else (rows + moved[index], cols)
        density = np.gradient(moved[index], axis=1 if protocol.phase_rows else 0)
        out[index] = map_coordinates(image, at, order=1, mode="nearest") * np.clip(1.0 + density, 0.2, 2.0)
    radius = np.float32(4.2 * np.sqrt(protocol.field_t / 1.5))
    return out * np.broadcast_to(np.clip((np.sqrt(nearest) - radius) / 2.5, 0.0, 1.0), images.shape)


def with_zipper(
    image: F32, rng: np.random.Generator, protocol: Protocol, acquisition: Acquisition, noise: float
) -> F32:
    """A line of interference across frequency encoding; ``noise`` is the noise of the image."""
    image = image.copy()
    axis = 1 if protocol.phase_rows else 0
    at = int(acquisition.zipper_at * image.shape[axis])
    strength = np.float32(acquisition.zipper * noise)
    line = np.abs(rng.standard_normal(image.shape[1 - axis], dtype=np.float32)) * strength
    if axis == 1:
        image[:, at] += line
    else:
        image[at] += line
    return image


def to_uint8(stacks: list[F32], acquisition: Acquisition) -> list[NDArray[Any]]:
    """Window the stacks of a series to 8 bits as an export does: the brightest structures may saturate."""
    low, high = np.quantile(np.concatenate([stack[:, ::3, ::3].ravel() for stack in stacks]), acquisition.window)
    scale, gamma = np.float32(1.0 / max(high - low, 1e-6)), np.float32(acquisition.gamma)
    shares = (np.clip((stack - np.float32(low)) * scale, 0.0, 1.0) for stack in stacks)
    return [np.round(255.0 * np.power(share, gamma)).astype(np.uint8) for share in shares]


def to_uint16(stacks: list[F32], acquisition: Acquisition) -> list[NDArray[Any]]:
    """Scale the stacks of a series to 12 bits as a scanner stores."""
    high = float(np.quantile(np.concatenate([stack[:, ::3, ::3].ravel() for stack in stacks]), 0.999))
    scale = np.float32(acquisition.full_scale / max(high, 1e-6))
    return [np.round(np.clip(stack * scale, 0.0, 4095.0)).astype(np.uint16) for stack in stacks]
