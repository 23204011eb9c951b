"""Shapes of discs and vertebral bodies in their own frames, from records of plain numbers."""

from typing import NamedTuple

import numpy as np

from spinephantom.shapes.distances import (
    F32,
    WIDEST,
    Point,
    ellipsoid,
    kidney,
    kidney_mm,
    outline,
    smax,
    smin,
    smoothstep,
)

DISC_HOLLOW_MM = 1.0
"""The back of a healthy disc is slightly concave."""


class Node(NamedTuple):
    """A Schmorl node in the frame of the disc; a radius of 0 means that there is none."""

    center: Point
    radii: Point


class DiscShape(NamedTuple):
    """All that gives a disc its shape; mm. ``front`` of a herniation is the direction it points to."""

    half_width: float
    half_depth: float
    height: float
    wedge_tan: float
    concavity: float
    slip: float
    bulge: float
    skew: float
    second: Point
    osteophyte: float
    foraminal_lr: tuple[float, float]
    herniation: float
    at: tuple[float, float]
    front: tuple[float, float]
    width: float
    fragment: Point
    """Radii of an extruded or free fragment: across, outwards, up; 0 without one."""
    fragment_out: float
    fragment_up: float
    fused: float
    """Width of the bridge between disc and fragment; a free fragment has none."""
    above: Node
    below: Node


class BodyShape(NamedTuple):
    """A vertebral body; mm. Pairs are (upper, lower) end, spurs at the foramina (upper left, upper right, ...)."""

    half_width: float
    half_depth: float
    height: float
    wedge_tan: float
    concavity: tuple[float, float]
    wall_hollow: float
    waist: float
    osteophyte: tuple[float, float]
    foraminal: tuple[float, float, float, float]


class SacralShape(NamedTuple):
    """A sacral body that narrows from top to bottom; mm."""

    half_width: float
    top_depth: float
    bottom_depth: float
    height: float
    concavity: float
    osteophyte: float
    foraminal_lr: tuple[float, float]


def _bump(x: F32, center: float, width: float) -> F32:
    """1 at ``center``, falling smoothly to 0 at ``width`` away."""
    return np.square(np.maximum(1.0 - np.square((x - np.float32(center)) * np.float32(1.0 / width)), 0.0))


def overhang(u: F32, v: F32, p: DiscShape) -> F32:
    """How far the disc's side stands out beyond the rims of the bodies, by direction, in mm (without a fragment)."""
    back = v * np.float32(1.0 / p.half_depth)
    side = u * np.float32(1.0 / p.half_width)
    radial = np.sqrt(back * back + side * side) + np.float32(1e-3)
    lateral = side / radial
    behind = back > 0.0
    posterior = smoothstep(back / radial, -0.55, 0.45)
    out = np.float32(p.bulge) * (posterior * (1.0 + np.float32(p.skew) * lateral) + 0.55 * (1.0 - posterior))
    out = out + np.float32(0.5 * p.osteophyte) * (1.0 - posterior)
    left, center, right = p.second
    spur_left, spur_right = p.foraminal_lr
    out = out + behind * (
        np.float32(center) * _bump(lateral, 0.0, 0.55)
        + np.float32(left + 0.8 * spur_left) * _bump(lateral, 0.66, 0.42)
        + np.float32(right + 0.8 * spur_right) * _bump(lateral, -0.66, 0.42)
    )
    if p.herniation:
        across, ahead = _herniation_axes(u, v, p)
        near = np.abs(across) * np.float32(1.0 / p.width)
        out = out + np.float32(p.herniation) * np.exp(-np.power(near, np.float32(2.4))) * (ahead > -12.0)
    return np.maximum(out, 0.0)


def _herniation_axes(u: F32, v: F32, p: DiscShape) -> tuple[F32, F32]:
    """Coordinates across and along the direction of the herniation, from the rim of the disc."""
    du, dv = u - np.float32(p.at[0]), v - np.float32(p.at[1])
    fu, fv = np.float32(p.front[0]), np.float32(p.front[1])
    return du * fv - dv * fu, du * fu + dv * fv


def _either(first: F32, one: float, other: float) -> F32:
    """``one`` where ``first`` is true, else ``other``."""
    return np.float32(other) + np.float32(one - other) * first


def disc_outline(u: F32, v: F32, p: DiscShape) -> F32:
    """Outline coordinate of the disc's healthy rim."""
    return outline(u, v, p.half_width, p.half_depth, DISC_HOLLOW_MM)


def half_disc_height(q: F32, v: F32, p: DiscShape) -> F32:
    """Half the thickness of a disc at outline coordinate ``q``: rim, wedge and the hollow of the end-plate."""
    hollow = np.float32(p.concavity) * np.maximum(1.0 - q * q, 0.0)
    return 0.5 * (p.height - v * np.float32(p.wedge_tan)) + hollow


def node_sdf(u: F32, v: F32, w: F32, node: Node) -> F32:
    """A Schmorl node in the disc's frame."""
    c = node.center
    return ellipsoid(u - np.float32(c[0]), v - np.float32(c[1]), w - np.float32(c[2]), node.radii)


def fragment_sdf(u: F32, v: F32, w: F32, p: DiscShape) -> F32:
    """Extruded or free disc material: an ellipsoid outside the rim, moved up or down."""
    across, ahead = _herniation_axes(u, v, p)
    return ellipsoid(across, ahead - np.float32(p.fragment_out), w - np.float32(p.fragment_up), p.fragment)


def disc_sdf(u: F32, v: F32, w: F32, p: DiscShape) -> F32:
    """The whole disc with bulge, herniation, fragment and Schmorl nodes."""
    if p.slip:
        v = v + np.float32(p.slip) * np.minimum(np.maximum(w * np.float32(1.0 / max(p.height, 2.0)) + 0.5, 0.0), 1.0)
    d = _plain_disc(u, v, w, p)
    if p.fragment[0]:
        d = smin(d, fragment_sdf(u, v, w, p), p.fused)
    if p.above.radii[0]:
        d = smin(d, node_sdf(u, v, w, p.above), 1.0)
    if p.below.radii[0]:
        d = smin(d, node_sdf(u, v, w, p.below), 1.0)
    return d


def _plain_disc(u: F32, v: F32, w: F32, p: DiscShape) -> F32:
    q = disc_outline(u, v, p)
    out = overhang(u, v, p)
    side = (q - 1.0) * kidney_mm(v * np.float32(1.0 / p.half_depth), p.half_depth) - out
    thickness = half_disc_height(q, v, p) + np.minimum(0.22 * out, 1.2) * (q > 0.9)
    return smax(side, np.abs(w) - np.maximum(thickness, 0.4), 1.5)


def end_plate_distance(q: F32, v: F32, w: F32, p: BodyShape) -> tuple[F32, F32]:
    """How far below the upper and above the lower end-plate a point lies (mm, positive inside the body)."""
    half = 0.5 * (p.height - v * np.float32(p.wedge_tan))
    hollow = np.maximum(1.0 - q * q, 0.0)
    return half - np.float32(p.concavity[0]) * hollow - w, half - np.float32(p.concavity[1]) * hollow + w


def body_sdf(u: F32, v: F32, w: F32, p: BodyShape) -> F32:
    """A vertebral body: waist, hollow end-plates and back wall, osteophytes at the rims; Schmorl nodes are not cut."""
    t = np.minimum(np.abs(w) * np.float32(2.0 / p.height), 1.0)
    q = outline(u, v, p.half_width, p.half_depth, p.wall_hollow)
    up = w > 0.0
    front = 0.35 + 0.65 * smoothstep(v, 0.3 * p.half_depth, -0.5 * p.half_depth)
    spur = _either(up, p.osteophyte[0], p.osteophyte[1]) * front
    lateral = u * np.float32(1.0 / p.half_width)
    left = _either(up, p.foraminal[0], p.foraminal[2]) * _bump(lateral, 0.62, 0.4)
    right = _either(up, p.foraminal[1], p.foraminal[3]) * _bump(lateral, -0.62, 0.4)
    spur = (spur + (left + right) * (v > 0.0)) * smoothstep(t, 0.72, 1.0)
    mm = kidney_mm(v * np.float32(1.0 / p.half_depth), p.half_depth)
    side = (q - 1.0 + np.float32(p.waist) * (1.0 - t * t)) * mm - spur
    upper, lower = end_plate_distance(q, v, w, p)
    return smax(side, -np.minimum(upper, lower), 2.2)


def sacral_sdf(u: F32, v: F32, w: F32, p: SacralShape) -> F32:
    """One sacral body: a box that narrows from its upper to its lower end."""
    t = np.minimum(np.maximum(0.5 + w * np.float32(1.0 / p.height), 0.0), 1.0)
    depth = p.bottom_depth + t * np.float32(p.top_depth - p.bottom_depth)
    a, b = u * np.float32(1.0 / p.half_width), v / depth
    q = kidney(a, b)
    hollow = np.float32(p.concavity) * np.maximum(1.0 - q * q, 0.0)
    behind = (v > 0.0) * (
        _bump(a, 0.62, 0.4) * np.float32(p.foraminal_lr[0]) + _bump(a, -0.62, 0.4) * np.float32(p.foraminal_lr[1])
    )
    spur = (np.float32(0.6 * p.osteophyte) + behind) * smoothstep(t, 0.85, 1.0)
    half = np.float32(0.5 * p.height)
    return smax((q - 1.0) * depth - spur, np.maximum(w - half + hollow, -w - half), 2.0)


def rim(u: float, half_width: float, half_depth: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """The point of a disc's back rim at ``u`` and the direction outwards there."""
    side = float(np.clip(u / half_width, -0.94, 0.94))
    shares = np.linspace(WIDEST, 1.0, 400)
    back = float(np.interp(1.0, kidney(np.full(400, side), shares), shares))
    step = 1e-3
    slopes = [
        (kidney(np.array(side + du), np.array(back + dv)) - kidney(np.array(side - du), np.array(back - dv))) / size
        for du, dv, size in ((step, 0.0, half_width), (0.0, step, half_depth))
    ]
    front = np.array(slopes, float) / np.linalg.norm(slopes)
    hollow = DISC_HOLLOW_MM * float(np.exp(-((u / (0.4 * half_width)) ** 2)))
    return (side * half_width, back * half_depth - hollow), (float(front[0]), float(front[1]))
