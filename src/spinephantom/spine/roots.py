"""Spinal nerves: from the sac past the disc above, under the pedicle, through the foramen, and how they are displaced.

A root runs where it would in health unless something stands in its way; then it gives way as far as there is room.
Where there is none it is flattened: part of its section stays covered, and that share is measured.
"""

from typing import NamedTuple

import numpy as np

from spinephantom.shapes.column import disc_sdf, rim
from spinephantom.shapes.frames import Array
from spinephantom.shapes.parts import Part
from spinephantom.spine.arch import pedicle
from spinephantom.spine.records import Disc, Root, Spine, Vertebra
from spinephantom.spine.sizes import ROOTS

NAMES = ("S1", "L5", "L4", "L3", "L2", "L1", "T12")
CLEARANCE_MM = 0.4
_STEP_MM = 0.5
_FARTHEST_MM = 3.0


class _Bounds(NamedTuple):
    """What a stretch of a root must keep clear of, by index of the control points."""

    disc: Disc
    parts: tuple[Part, ...]
    points: slice


def build_roots(spine: Spine) -> tuple[tuple[Root, Root], ...]:
    """Left and right roots from S1 up to T12."""
    return tuple((_root(spine, index, 0), _root(spine, index, 1)) for index in range(len(NAMES)))


def _root(spine: Spine, index: int, side: int) -> Root:
    """``index`` 0 is S1, whose recess is the sacrum's; the others pass under the pedicle of vertebra index - 1."""
    sign = (1.0, -1.0)[side]
    above = spine.discs[index]
    leave = ROOTS.outside_sac_mm[index] * spine.person.scale
    rest = _above(above, sign, leave)
    ganglion = len(rest) + 1
    rest += _sacral_course(spine, sign) if index == 0 else _below(spine, spine.vertebrae[index - 1], index - 1, sign)
    radius = ROOTS.radius_mm[index] * spine.person.scale
    swelling = ROOTS.ganglion_mm[index] * spine.person.scale
    radii = np.array([0.45, 0.55, 0.85, 1.0, 1.0, 1.0, 0.95, 0.9]) * radius
    radii[ganglion : ganglion + 2] = (0.9 * swelling, swelling)
    placed = _relaxed(np.array(rest), radii, _obstacles(spine, index, side))
    points, widths = _curve(placed, radii)
    shift = np.linalg.norm(placed - rest, axis=1)
    return Root(NAMES[index], sign, points, widths, float(shift[:3].max()))


def _above(disc: Disc, sign: float, leave: float) -> list[Array]:
    """Down along the antero-lateral corner of the sac at the disc above."""
    recess = disc.recess
    frame = disc.frame.sided(sign)
    v = recess.center_v - 0.42 * recess.half_ap
    corner = 0.86 * recess.half_width
    heights = (8.0, 0.0, -7.0)
    return [
        frame.world((corner + step, v - back, w))
        for w, step, back in zip(heights, (min(leave, 0.0) - 0.8, leave, leave + 1.0), (0.0, 0.5, 1.2), strict=True)
    ]


def _below(spine: Spine, body: Vertebra, index: int, sign: float) -> list[Array]:
    """Medial to the pedicle, under it, out through the foramen and forwards into the psoas."""
    frame = body.frame.sided(sign)
    offset, width, tall, up = body.pedicle
    back, lower = body.half_depth, up - 0.5 * tall
    # the ganglion keeps its distance from the back wall, which curves forwards at the sides
    wall = rim(offset + 0.2 * width, body.half_width, back)[0][1]
    disc = spine.discs[index].frame.sided(sign)
    return [
        frame.world((offset - 0.5 * width - 2.2, back + 4.2, up)),
        frame.world((offset - 0.05 * width, 0.5 * (wall + back) + 4.4, lower - 7.4)),
        frame.world((offset + 0.45 * width, wall + 5.0, lower - 8.8)),
        frame.world((offset + width + 2.0, wall + 2.0, lower - 12.0)),
        disc.world((spine.discs[index].half_width + 4.0, -2.0, -6.0)),
    ]


def _sacral_course(spine: Spine, sign: float) -> list[Array]:
    """S1: down the sacral canal and out through its first anterior foramen."""
    segment = spine.sacrum[0]
    frame = segment.frame.sided(sign)
    back, high = segment.half_depth_top, segment.height
    return [
        frame.world((13.0, back + 3.6, 0.18 * high)),
        frame.world((15.0, back + 1.0, -0.15 * high)),
        frame.world((17.0, 0.75 * back, -0.42 * high)),
        frame.world((18.5, 0.1 * back, -0.62 * high)),
        frame.world((20.0, -0.9 * back, -0.85 * high)),
    ]


def _obstacles(spine: Spine, index: int, side: int) -> list[_Bounds]:
    above = spine.joints[index][side]
    bounds = [_Bounds(spine.discs[index], (above.superior, *above.soft()), slice(0, 3))]
    if index:
        below = spine.joints[index - 1][side]
        roof = pedicle(spine.vertebrae[index - 1], side)
        bounds.append(_Bounds(spine.discs[index - 1], (below.superior, *below.soft(), roof), slice(4, 6)))
    return bounds


def _relaxed(points: Array, radii: Array, bounds: list[_Bounds]) -> Array:
    """Control points pushed out of what lies in their way, at most _FARTHEST_MM; alternating, so that they settle
    in the middle of a gap that is too narrow."""
    rest = points
    points = points.copy()
    for stretch in bounds:
        part = stretch.points
        disc = Part(disc_sdf, stretch.disc.shape, stretch.disc.frame, stretch.disc.frame.center_mm, 0.0)
        near = [p for p in (disc, *stretch.parts) if _within(p, points[part])]
        for _ in range(4):
            before = points[part].copy()
            for obstacle in near:
                points[part] = _pushed(points[part], radii[part] + CLEARANCE_MM, obstacle)
            if np.array_equal(before, points[part]):
                break
        moved = points[part] - rest[part]
        far = np.linalg.norm(moved, axis=1, keepdims=True)
        points[part] = rest[part] + moved * np.minimum(1.0, _FARTHEST_MM / np.maximum(far, 1e-6))
    return points


def _within(part: Part, points: Array) -> bool:
    return bool((part.at(points) < 4.0).any())


# to both sides of each axis, so that a mirror changes nothing, and in place
_PROBES = 0.2 * np.concatenate([np.eye(3), -np.eye(3), np.zeros((1, 3))])


def _pushed(points: Array, reach: Array, part: Part) -> Array:
    """Points moved away from a shape until its surface is ``reach`` off."""
    d = part.at(points + _PROBES[:, None, :]).astype(float)
    lacking = np.minimum(np.maximum(reach - d[6], 0.0), 2.0)[:, None]
    if not lacking.any():
        return points
    slope = (d[:3] - d[3:6]).T
    return points + lacking * slope / np.maximum(np.sqrt(np.square(slope).sum(axis=1, keepdims=True)), 1e-6)


def _curve(points: Array, radii: Array) -> tuple[Array, Array]:
    """Points half a millimetre apart on a smooth curve through the control points, and the radius there."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    values = np.column_stack([points, radii])
    # cubic Hermite pieces with the slope of the neighbours
    slope = np.empty_like(values)
    slope[1:-1] = (values[2:] - values[:-2]) / (along[2:] - along[:-2])[:, None]
    slope[[0, -1]] = (values[[1, -1]] - values[[0, -2]]) / (along[[1, -1]] - along[[0, -2]])[:, None]
    s = np.arange(0.0, along[-1], _STEP_MM)
    piece = np.searchsorted(along, s, side="right") - 1
    length = (along[piece + 1] - along[piece])[:, None]
    t = (s - along[piece])[:, None] / length
    start, end = values[piece], values[piece + 1]
    rise = end - start
    fine = start + t * (
        rise + (1.0 - t) * ((1.0 - t) * (length * slope[piece] - rise) - t * (length * slope[piece + 1] - rise))
    )
    return fine[:, :3], fine[:, 3]
