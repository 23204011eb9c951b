"""The neural foramen in its sagittal section through the pedicles: room, fat around the root, pressure on it."""

from dataclasses import dataclass
from math import dist

import numpy as np
from numpy.typing import NDArray

from spinephantom.shapes.frames import Array, Frame
from spinephantom.shapes.parts import Part, blocked_at
from spinephantom.spine.records import Root, Spine
from spinephantom.truth.cuts import FORAMEN

_STEP_MM = 0.4


@dataclass(frozen=True)
class Foramen:
    """One foramen; clearance is the fat between root and wall: up, down, front, back."""

    height_mm: float
    width_mm: float
    area_mm2: float
    clearance_mm: tuple[float, float, float, float]
    overlap: float
    root_mm: tuple[float, float, float]


def foramen_walls(spine: Spine, index: int, side: int) -> tuple[Part, ...]:
    """Bodies and disc in front, pedicles above and below, joint, arch and ligament behind."""
    joint = spine.joints[index][side]
    upper = spine.posterior(index)
    lower = spine.posterior(index - 1) if index else spine.sacral_posterior()
    body = spine.vertebrae[index - 1].part if index else spine.sacrum[0].part
    center = spine.discs[index].frame.sided((1.0, -1.0)[side]).world((18.0, spine.discs[index].half_depth + 5.0, 2.0))
    arches = [part for part in (*upper, *lower) if dist(part.center_mm, center) < part.radius_mm + 18.0]
    return (spine.discs[index].part, spine.vertebrae[index].part, body, *arches, *joint.soft())


def measure_foramen(spine: Spine, index: int, side: int) -> Foramen:
    """Measure the foramen beside a disc in the plane through the axis of the pedicle above."""
    disc, root = spine.discs[index], spine.roots[index + 1][side]
    frame = disc.frame.sided(root.sign)
    body = spine.vertebrae[index]
    offset, _, _, up = body.pedicle
    axis = frame.local(body.frame.sided(root.sign).world((offset, body.half_depth + 3.5, up)))
    v = disc.half_depth + np.arange(-10.0, FORAMEN.deepest_mm + 2.0, _STEP_MM)
    w = np.arange(-0.5 * disc.height - 9.0, float(axis[2]), _STEP_MM)
    plane = np.stack(np.broadcast_arrays(axis[0], v[None, :], w[:, None]), axis=-1)
    center, radius = _crossing(root, frame, float(axis[0]))
    at = frame.local(center)
    rays, around = at + _rays(radius), at + np.insert(DISC_SAMPLES * radius, 0, 0.0, axis=1)
    # all that is asked of the walls in one go
    points = frame.world(np.concatenate([part.reshape(-1, 3) for part in (plane, rays, around)]))
    blocked = blocked_at(points, foramen_walls(spine, index, side))
    in_plane, in_rays, in_root = np.split(blocked, np.cumsum([plane[..., 0].size, rays[..., 0].size]))
    widths = _widths(in_plane.reshape(plane.shape[:2]), _STEP_MM)
    opened = widths[_run(widths > FORAMEN.slit_mm, int(np.abs(w - at[2]).argmin()))]
    return Foramen(
        height_mm=_STEP_MM * len(opened),
        width_mm=float(widths[np.abs(w) <= max(0.35 * disc.height, 1.5)].min()),
        area_mm2=float(opened.sum() * _STEP_MM),
        clearance_mm=_clearance(in_rays.reshape(rays.shape[:3]), radius),
        overlap=float(in_root.mean()),
        root_mm=(float(center[0]), float(center[1]), float(center[2])),
    )


def _widths(blocked: NDArray[np.bool_], step: float) -> Array:
    """Longest free stretch of each row: from the front wall back to joint or arch, as far as a depth counts."""
    columns = np.arange(1, blocked.shape[1] + 1)
    wall = np.maximum.accumulate(np.where(blocked, columns, 0), axis=1)
    return np.minimum(step * (columns - wall).max(axis=1), FORAMEN.deepest_mm)


def _run(free: NDArray[np.bool_], start: int) -> slice:
    """The stretch of free rows around a row; empty if the row itself is blocked."""
    if not free[start]:
        return slice(start, start)
    shut = np.flatnonzero(~free)
    below, above = shut[shut < start], shut[shut > start]
    return slice(int(below[-1]) + 1 if len(below) else 0, int(above[0]) if len(above) else len(free))


def _crossing(root: Root, frame: Frame, u: float) -> tuple[Array, float]:
    """Centre and radius of the root where it first passes the plane at ``u`` on its way out."""
    beyond = frame.local(root.points_mm)[:, 0] - u
    k = max(int((beyond > 0.0).argmax()) - 1, 0)
    share = np.clip(beyond[k] / (beyond[k] - beyond[k + 1]), 0.0, 1.0)
    center = (1.0 - share) * root.points_mm[k] + share * root.points_mm[k + 1]
    return center, float((1.0 - share) * root.radius_mm[k] + share * root.radius_mm[k + 1])


_WAYS = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0], [0.0, -1.0, 0.0], [0.0, 1.0, 0.0]])
"""Up, down, to the front, to the back."""
_BESIDE = np.array([-0.5, 0.0, 0.5])
"""Rays start at the centre of the root and half a radius beside it."""
_RAY_MM = np.arange(0.0, 11.0, 0.25)


def _rays(radius: float) -> Array:
    """Points (4, 3, N, 3) along three rays in each direction, from the centre of the root."""
    beside = np.abs(_WAYS[:, [0, 2, 1]])
    start = radius * _BESIDE[None, :, None] * beside[:, None, :]
    return start[:, :, None, :] + _RAY_MM[:, None] * _WAYS[:, None, None, :]


def _clearance(blocked: NDArray[np.bool_], radius: float) -> tuple[float, float, float, float]:
    """Fat between the root's surface and the first wall in each direction."""
    first = np.where(blocked.any(axis=2), _RAY_MM[blocked.argmax(axis=2)], _RAY_MM[-1])
    up, down, front, back = np.maximum(first - radius * np.sqrt(1.0 - np.square(_BESIDE)), 0.0).min(axis=1)
    return float(up), float(down), float(front), float(back)


_LINE = np.linspace(-0.95, 0.95, 15)
DISC_SAMPLES = np.array([(x, y) for x in _LINE for y in _LINE if x * x + y * y < 1.0])
"""Evenly spread points of the unit disc, (N, 2)."""
