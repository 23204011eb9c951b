"""The cauda equina: strands that lie at the back of the sac, leave one by one, and crowd where the sac is narrow.

Where the walls close in, strands share what room is left: from a horseshoe at the back they come to fill the whole
open section, and the fluid between them disappears because there is none, not because it is drawn so.
"""

from dataclasses import dataclass

import numpy as np

from spinephantom.patient.pathology import LUMBAR_DISCS
from spinephantom.shapes.frames import Array
from spinephantom.shapes.parts import Part, blocked_at
from spinephantom.shapes.soft import smoothstep
from spinephantom.spine.records import SacralSegment, Spine
from spinephantom.spine.sac import conus_z
from spinephantom.spine.sizes import ROOTS

LOWEST_ROOT = -4
"""S5, counted so that root 0 is S1 and root k leaves the sac at disc k."""
_ANGLES = 24
_GRID = np.linspace(-1.05, 1.05, 25)
_PRESSED = (0.2, 0.5)
"""Share of the sac lost from which its walls press on what it holds, and from which they press all of it."""


@dataclass(frozen=True)
class Strand:
    """One bundle of rootlets; place and angle (radians from the back) are its own, in shares of the sac."""

    root: int
    sign: float
    radius_mm: float
    jitter: tuple[float, float]
    packed: tuple[float, float]


@dataclass(frozen=True)
class Room:
    """What is open of the sac by height (Z,): centre in shares of its half axes, reach by angle (Z, A), share lost."""

    z_mm: Array
    center: Array
    reach: Array
    lost: Array


def strands_below(root: int) -> list[tuple[int, float]]:
    """(root, radius) of every strand of one side that is still in the sac where ``root`` leaves it."""
    thick = [(k, ROOTS.thick_strand_mm) for k in range(-1, root + 1) for _ in range(ROOTS.strands)]
    return thick + [(k, ROOTS.thin_strand_mm) for k in range(LOWEST_ROOT, -1)]


def strand_area_mm2(index: int) -> float:
    """Section of all strands in the sac at a disc, both sides; the root that is about to leave counts."""
    return 2.0 * float(sum(np.pi * radius**2 for _, radius in strands_below(min(index, LUMBAR_DISCS))))


def make_strands(rng: np.random.Generator) -> list[Strand]:
    """All strands of both sides, each with its place."""
    listed = [(root, sign, radius) for sign in (1.0, -1.0) for root, radius in strands_below(LUMBAR_DISCS + 1)]
    order = rng.permutation(len(listed))
    strands = []
    for k, (root, sign, radius) in enumerate(listed):
        # evenly spread places in the unit disc: areas from one sequence, angles by the golden section
        share = (order[k] + 0.5) / len(listed)
        packed = (float(np.sqrt(share)) * 0.92, float(order[k] * 2.399963))
        strands.append(Strand(root, sign, radius, (float(rng.normal()), float(rng.normal())), packed))
    return strands


def open_room(spine: Spine, walls: tuple[tuple[Part, ...], ...], step_mm: float = 2.0) -> Room:
    """Where the sac is open near the lumbar discs; elsewhere nothing stands in its way."""
    canal = spine.canal
    z = np.arange(canal.z_mm[0] + 1.0, canal.z_mm[-1], step_mm)
    center, reach, lost = np.zeros((len(z), 2)), np.ones((len(z), _ANGLES)), np.zeros(len(z))
    for height, parts in zip(_heights(spine), walls, strict=False):
        near = np.flatnonzero(np.abs(z - height) < 15.0)
        if len(near):
            center[near], reach[near], lost[near] = _room_at(spine, z[near], parts)
    return Room(z, center, reach, lost)


def _room_at(spine: Spine, z: Array, parts: tuple[Part, ...]) -> tuple[Array, Array, Array]:
    u, v = np.meshgrid(_GRID, _GRID, indexing="ij")
    inside = (u**2 + v**2) < 1.0
    points = _to_world(spine, z[:, None, None], u[None], v[None])
    squeezed = np.interp(z, spine.canal.z_mm, spine.canal.squeeze_mm / np.maximum(spine.canal.half_ap_mm, 1.0))
    room = inside[None] & ((u**2 + v**2)[None] < np.square(1.0 - 0.5 * squeezed)[:, None, None])
    padded = np.interp(z, spine.canal.z_mm, spine.canal.pad_mm / np.maximum(spine.canal.half_ap_mm, 1.0))
    room &= v[None] < (1.0 - padded)[:, None, None]
    middle = points.reshape(-1, 3).mean(axis=0)
    near = tuple(part for part in parts if np.linalg.norm(part.center_mm - middle) < part.radius_mm + 25.0)
    room[room] = ~blocked_at(points[room], near)
    total = np.maximum(room.sum(axis=(1, 2)), 1)
    center = np.stack([(room * axis).sum(axis=(1, 2)) / total for axis in (u, v)], axis=1)
    angle = 2.0 * np.pi * np.arange(_ANGLES) / _ANGLES
    radius = np.arange(0.05, 1.5, 0.05)
    ray = center[:, None, None, :] + radius[:, None] * np.stack([np.sin(angle), np.cos(angle)], -1)[:, None, :]
    cell = np.clip(np.round((ray + 1.05) / (_GRID[1] - _GRID[0])).astype(int), 0, len(_GRID) - 1)
    free = room[np.arange(len(z))[:, None, None], cell[..., 0], cell[..., 1]]
    first = np.where(free.all(axis=2), len(radius), (~free).argmax(axis=2))
    return center, np.maximum(0.05 * first, 0.08), 1.0 - room.sum(axis=(1, 2)) / inside.sum()


def _to_world(spine: Spine, z: Array, u: Array, v: Array) -> Array:
    """Places given as shares of the sac's half axes, (..., 3) in LPS mm."""
    at = {name: value.astype(float) for name, value in spine.canal.at(z).items()}
    x = at["x_mm"] + u * at["half_width_mm"] * (1.0 - at["triangle"] * np.clip(v, -1.0, 1.3))
    y = at["y_mm"] + v * at["half_ap_mm"] / at["slope_cos"]
    return np.stack(np.broadcast_arrays(x, y, z), axis=-1)


def fluid_lost(spine: Spine, room: Room) -> Array:
    """Share of the fluid between the strands that a narrow place has pressed out, by height (Z,).

    A sac that is narrow throughout is not pressed on: crowding counts as far as something stands in its way.
    """
    at = {name: value.astype(float) for name, value in spine.canal.at(room.z_mm).items()}
    area = np.pi * at["half_ap_mm"] * at["half_width_mm"] * (1.0 - room.lost)
    discs = range(len(spine.discs))
    strands = np.interp(room.z_mm, _heights(spine), [strand_area_mm2(index) for index in discs])
    share = strands / np.maximum(area, 1.0)
    pressed = smoothstep(share, *ROOTS.fluid_lost) * smoothstep(room.lost, *_PRESSED)
    return np.convolve(pressed, (0.25, 0.5, 0.25), mode="same")


def _heights(spine: Spine) -> list[float]:
    return [float(disc.frame.moved(v=disc.recess.center_v).center_mm[2]) for disc in spine.discs]


def strand_points(spine: Spine, strand: Strand, room: Room, step_mm: float = 0.5) -> Array:
    """Points (N, 3) along one strand, from the end of the cord to where its root leaves the sac."""
    low = _leaves_z(spine, strand.root)
    z = np.arange(low, conus_z(spine) + 20.0, step_mm)
    if len(z) < 2:
        return np.zeros((0, 3))
    lost = np.interp(z, room.z_mm, room.lost)
    away = np.exp(-(z - low) / 14.0)
    spread = 0.35 + 0.13 * (strand.root + 4)
    # roots sink: to the back of who lies on it, to the front of who lies prone
    spread = np.pi - spread if spine.person.prone else spread
    # far above its exit at the back near the midline, at its exit in the antero-lateral corner
    angle = spread * (1.0 - away) + 1.9 * away + 0.16 * strand.jitter[0]
    place = np.clip(0.74 + 0.10 * away + 0.10 * strand.jitter[1] + 0.04 * np.sin(z / 9.0 + strand.jitter[0]), 0.2, 0.9)
    lying = _place(z, strand.sign * angle, place, room)
    packed = _place(z, np.full(len(z), strand.packed[1]), np.full(len(z), strand.packed[0]), room)
    crowd = smoothstep(lost, 0.15, 0.55)[:, None]
    share = (1.0 - crowd) * lying + crowd * packed
    # slack roots coil above and below a narrow place
    near = np.interp(z, room.z_mm, np.convolve(room.lost, np.ones(25) / 25.0, mode="same"))
    share[:, 0] += 0.25 * near * np.sin(z / 4.0 + 3.0 * strand.jitter[0])
    return _to_world(spine, z, share[:, 0], share[:, 1])


def _leaves_z(spine: Spine, root: int) -> float:
    if root >= 0:
        disc = spine.discs[min(root, len(spine.discs) - 1)]
        return float(disc.frame.moved(v=disc.recess.center_v, w=4.0).center_mm[2])
    segment: SacralSegment = spine.sacrum[min(-root - 1, 2)]
    return float(max(segment.frame.moved(v=segment.half_depth_top).center_mm[2], spine.canal.z_mm[0] + 3.0))


def _place(z: Array, angle: Array, share: Array, room: Room) -> Array:
    """Shares of the half axes of places at an angle from the back and a share of the way to the wall."""
    turn = np.mod(angle, 2.0 * np.pi) / (2.0 * np.pi) * _ANGLES
    row = np.clip(np.searchsorted(room.z_mm, z), 0, len(room.z_mm) - 1)
    k = turn.astype(int) % _ANGLES
    part = turn - np.floor(turn)
    reach = (1.0 - part) * room.reach[row, k] + part * room.reach[row, (k + 1) % _ANGLES]
    return room.center[row] + (share * reach)[:, None] * np.column_stack([np.sin(angle), np.cos(angle)])
