"""Signed distance functions in mm (negative inside): primitives that every structure is made of.

All take broadcastable float32 arrays of local coordinates u (left), v (back), w (up). Distances are exact enough near
the surface for anti-aliasing; far away only the sign counts. Nothing here branches on an array, and all parameters are
plain numbers, so that the same functions can be compiled.
"""

from typing import Any, NamedTuple

import numpy as np

F32 = Any
"""Arrays of float32, by convention: numpy's stubs lose the precision in arithmetic."""
Point = tuple[float, float, float]


class Bar(NamedTuple):
    """A round bar that tapers; ``squash`` makes it taller than wide, ``shear`` leans it back below its middle."""

    start: Point
    end: Point
    start_radius: float
    end_radius: float
    squash: float = 1.0
    shear: float = 0.0


class Ball(NamedTuple):
    """An ellipsoid with axes along the frame."""

    center: Point
    radii: Point


def superellipse(u: F32, v: F32, half_u: float, half_v: float) -> F32:
    """1 on an outline between ellipse and box (exponent about 2.3), growing linearly outwards; no powers needed."""
    a2 = np.square(u * np.float32(1.0 / half_u))
    b2 = np.square(v * np.float32(1.0 / half_v))
    return np.float32(0.62) * np.sqrt(a2 + b2) + np.float32(0.38) * np.sqrt(np.sqrt(a2 * a2 + b2 * b2))


def smax(a: F32, b: F32, k: float) -> F32:
    """Maximum with the edge rounded over ``k`` mm: intersection of two shapes."""
    h = np.maximum(np.float32(k) - np.abs(a - b), np.float32(0.0))
    return np.maximum(a, b) + h * h * np.float32(0.25 / k)


def smin(a: F32, b: F32, k: float) -> F32:
    """Minimum with the edge rounded over ``k`` mm: union of two shapes."""
    h = np.maximum(np.float32(k) - np.abs(a - b), np.float32(0.0))
    return np.minimum(a, b) - h * h * np.float32(0.25 / k)


def smoothstep(x: F32, low: float, high: float) -> F32:
    """0 below ``low``, 1 above ``high``, smooth between (``high`` below ``low`` turns it round)."""
    t = (x - np.float32(low)) * np.float32(1.0 / (high - low))
    t = np.minimum(np.maximum(t, np.float32(0.0)), np.float32(1.0))
    return t * t * (np.float32(3.0) - np.float32(2.0) * t)


def covered(distance_mm: F32, pixel_mm: float) -> F32:
    """Share of a pixel inside a shape, from its signed distance."""
    return np.minimum(
        np.maximum(np.float32(0.5) - distance_mm * np.float32(1.0 / pixel_mm), np.float32(0.0)), np.float32(1.0)
    )


def ellipsoid(u: F32, v: F32, w: F32, radii: Point) -> F32:
    """First-order distance to an ellipsoid."""
    ru, rv, rw = np.float32(1.0 / radii[0]), np.float32(1.0 / radii[1]), np.float32(1.0 / radii[2])
    q = np.sqrt(np.square(u * ru) + np.square(v * rv) + np.square(w * rw))
    return (q - np.float32(1.0)) * np.float32(min(radii))


def ball_sdf(u: F32, v: F32, w: F32, p: Ball) -> F32:
    """Distance to a ball."""
    c = p.center
    return ellipsoid(u - np.float32(c[0]), v - np.float32(c[1]), w - np.float32(c[2]), p.radii)


def bar_sdf(u: F32, v: F32, w: F32, p: Bar) -> F32:
    """Distance to a bar: pedicles, laminae and processes are bars."""
    flat = np.float32(1.0 / p.squash)
    au, av, aw = p.end[0] - p.start[0], p.end[1] - p.start[1], (p.end[2] - p.start[2]) / p.squash
    scale = np.float32(1.0 / (au * au + av * av + aw * aw))
    du = u - np.float32(p.start[0])
    # the shear turns about the middle of the bar
    lean = np.float32(p.shear) * (w - np.float32(0.5 * (p.start[2] + p.end[2])))
    dv = v - np.float32(p.start[1]) + lean
    dw = (w - np.float32(p.start[2])) * flat
    t = (du * np.float32(au) + dv * np.float32(av) + dw * np.float32(aw)) * scale
    t = np.minimum(np.maximum(t, np.float32(0.0)), np.float32(1.0))
    distance = np.sqrt(
        np.square(du - t * np.float32(au)) + np.square(dv - t * np.float32(av)) + np.square(dw - t * np.float32(aw))
    )
    return distance - (np.float32(p.start_radius) + t * np.float32(p.end_radius - p.start_radius))


WIDEST = 0.10
"""Where bodies and discs are widest: behind their middle, by this share of half their depth."""
BOXED, BOXED_BEHIND = 0.12, 0.42
"""How far their front and their back are from an ellipse (0) to one with fourth powers (1)."""


def kidney(a: F32, b: F32) -> F32:
    """1 on the outline of a body or disc, growing linearly outwards: round in front, flat behind, widest behind its
    middle. ``a`` and ``b`` (to the back) are shares of its half axes."""
    behind = b > WIDEST
    b = (b - np.float32(WIDEST)) * (
        np.float32(1.0 / (1.0 + WIDEST)) + np.float32(1.0 / (1.0 - WIDEST) - 1.0 / (1.0 + WIDEST)) * behind
    )
    a2, b2 = np.square(a), np.square(b)
    even = np.sqrt(a2 + b2)
    boxed = np.float32(BOXED) + np.float32(BOXED_BEHIND - BOXED) * behind
    return even + boxed * (np.sqrt(np.sqrt(a2 * a2 + b2 * b2)) - even)


def kidney_mm(b: F32, half_depth: float) -> F32:
    """Millimetres that a step of 1 in the outline coordinate is worth in front and behind."""
    return np.float32(half_depth) * (1.0 + WIDEST - np.float32(2.0 * WIDEST) * smoothstep(b, -0.6, 0.9))


def outline(u: F32, v: F32, half_width: float, half_depth: float, hollow: float) -> F32:
    """Cross section of a body or disc: ``hollow`` mm of the back wall are missing in the middle."""
    middle = np.exp(-np.square(u * np.float32(1.0 / (0.4 * half_width))))
    v = v + np.float32(hollow) * middle * smoothstep(v, 0.0, half_depth)
    return kidney(u * np.float32(1.0 / half_width), v * np.float32(1.0 / half_depth))
