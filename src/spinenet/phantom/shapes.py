"""Signed distance functions in mm (negative inside): primitives, and the structures of the spine in their local frames.

All take broadcastable float32 arrays of local coordinates u (left), v (back), w (up). Distances are exact enough near
the surface for anti-aliasing; far away only the sign counts.
"""

from typing import Any

import numpy as np

from spinenet.phantom.anatomy import Disc, SacralSegment, Vertebra

F32 = Any
"""Arrays of float32, by convention: numpy's stubs lose the precision in arithmetic."""


def superellipse(u: F32, v: F32, half_u: float, half_v: float) -> F32:
    """1 on an outline between ellipse and box (exponent about 2.3), growing linearly outwards; no powers needed."""
    a2 = np.square(u * np.float32(1.0 / half_u))
    b2 = np.square(v * np.float32(1.0 / half_v))
    return 0.62 * np.sqrt(a2 + b2) + 0.38 * np.sqrt(np.sqrt(a2 * a2 + b2 * b2))


def smax(a: F32, b: F32, k: float) -> F32:
    """Maximum with the edge rounded over ``k`` mm: intersection of two shapes."""
    h = np.maximum(k - np.abs(a - b), 0.0)
    return np.maximum(a, b) + h * h * np.float32(0.25 / k)


def smin(a: F32, b: F32, k: float) -> F32:
    """Minimum with the edge rounded over ``k`` mm: union of two shapes."""
    h = np.maximum(k - np.abs(a - b), 0.0)
    return np.minimum(a, b) - h * h * np.float32(0.25 / k)


def smoothstep(x: F32, low: float, high: float) -> F32:
    """0 below ``low``, 1 above ``high``, smooth between (``high`` below ``low`` turns it round)."""
    t = np.clip((x - low) * np.float32(1.0 / (high - low)), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def ellipsoid(u: F32, v: F32, w: F32, radii: tuple[float, float, float]) -> F32:
    """First-order distance to an ellipsoid."""
    ru, rv, rw = (np.float32(1.0 / r) for r in radii)
    q = np.sqrt(np.square(u * ru) + np.square(v * rv) + np.square(w * rw))
    return (q - 1.0) * np.float32(min(radii))


def capsule(u: F32, v: F32, w: F32, start: tuple[float, float, float], end: tuple[float, float, float]) -> F32:
    """Distance to the segment from ``start`` to ``end``; subtract a radius."""
    axis = np.subtract(end, start)
    length2 = float(axis @ axis)
    du, dv, dw = u - np.float32(start[0]), v - np.float32(start[1]), w - np.float32(start[2])
    t = np.clip((du * axis[0] + dv * axis[1] + dw * axis[2]) / length2, 0.0, 1.0).astype(np.float32)
    return np.sqrt(
        np.square(du - t * np.float32(axis[0]))
        + np.square(dv - t * np.float32(axis[1]))
        + np.square(dw - t * np.float32(axis[2]))
    )


def rounded_box(x: F32, y: F32, half_x: float, half_y: float, radius: float) -> F32:
    """Distance to a rectangle with rounded corners."""
    qx = np.abs(x) - np.float32(half_x - radius)
    qy = np.abs(y) - np.float32(half_y - radius)
    outside = np.sqrt(np.square(np.maximum(qx, 0.0)) + np.square(np.maximum(qy, 0.0)))
    return outside + np.minimum(np.maximum(qx, qy), 0.0) - np.float32(radius)


def outline(u: F32, v: F32, half_width: float, half_depth: float, hollow: float) -> F32:
    """Cross section of a body or disc, kidney shaped: ``hollow`` mm of the back wall are missing in the middle."""
    if hollow:
        middle = np.exp(-np.square(u * np.float32(1.0 / (0.4 * half_width))))
        v = v + np.float32(hollow) * middle * smoothstep(v, 0.0, half_depth)
    return superellipse(u, v, half_width, half_depth)


def half_disc_height(q: F32, v: F32, disc: Disc) -> F32:
    """Half the healthy thickness of a disc at outline coordinate ``q``: rim, wedge and the hollow of the end-plate."""
    hollow = np.float32(disc.concavity) * np.maximum(1.0 - q * q, 0.0)
    return 0.5 * (disc.height - v * np.float32(np.tan(disc.wedge_rad))) + hollow


DISC_HOLLOW_MM = 1.0
"""The back of a healthy disc is slightly concave."""


def overhang(u: F32, v: F32, disc: Disc) -> F32:
    """How far the disc's side stands out beyond the rims of the bodies, by direction, in mm (without an extrusion)."""
    state = disc.state
    back = v * np.float32(1.0 / disc.half_depth)
    side = u * np.float32(1.0 / disc.half_width)
    radial = np.sqrt(back * back + side * side) + 1e-3
    posterior = smoothstep(back / radial, -0.55, 0.45)
    skew = 1.0 + np.float32(state.bulge_skew) * side / radial
    bulge = np.float32(state.bulge_mm) * (posterior * skew + 0.55 * (1.0 - posterior))
    bulge = bulge + np.float32(0.5 * state.osteophyte_mm) * (1.0 - posterior)
    if state.herniation_mm:
        distance = np.abs((u - np.float32(state.herniation_u_mm)) * np.float32(1.0 / state.herniation_width_mm))
        bump = np.exp(-np.power(distance, 2.4)) * (back > 0.0)
        bulge = bulge + np.float32(state.herniation_mm) * bump
    return bulge


def disc_outline(u: F32, v: F32, disc: Disc) -> F32:
    """Outline coordinate of the disc's healthy rim."""
    return outline(u, v, disc.half_width, disc.half_depth, DISC_HOLLOW_MM)


def extruded_fragment(u: F32, v: F32, w: F32, disc: Disc) -> F32:
    """The dome of an extrusion: an ellipsoid behind the disc, moved up or down."""
    state = disc.state
    radii = (0.8 * state.herniation_width_mm, 0.62 * state.herniation_mm, 0.55 * disc.mid_height + 1.8)
    back = disc.half_depth + 0.55 * state.herniation_mm + 0.5 * state.bulge_mm - DISC_HOLLOW_MM
    return ellipsoid(u - np.float32(state.herniation_u_mm), v - np.float32(back), w - state.migration_mm, radii)


def has_node(disc: Disc, upper: bool) -> bool:
    """Whether a Schmorl node goes into the body above (``upper``) or below the disc."""
    return bool(disc.state.schmorl_above_mm if upper else disc.state.schmorl_below_mm)


def node_sdf(u: F32, v: F32, w: F32, disc: Disc, upper: bool) -> F32:
    """A Schmorl node in the disc's frame: an ellipsoid that reaches beyond the end-plate by its depth."""
    state = disc.state
    depth = state.schmorl_above_mm if upper else state.schmorl_below_mm
    at = state.schmorl_above_at if upper else state.schmorl_below_at
    center_u, center_v = np.float32(at[0] * disc.half_width), np.float32(at[1] * disc.half_depth)
    plate = half_disc_height(disc_outline(center_u, center_v, disc), center_v, disc)
    radius = 0.5 * depth + 2.0
    center_w = (1.0 if upper else -1.0) * np.float32(plate + depth - radius)
    return ellipsoid(u - center_u, v - center_v, w - center_w, (1.3 * radius, radius * state.schmorl_width, radius))


def disc_sdf(u: F32, v: F32, w: F32, disc: Disc) -> F32:
    """The whole disc with bulge, herniation and Schmorl nodes."""
    state = disc.state
    q = disc_outline(u, v, disc)
    out = overhang(u, v, disc)
    side = (q - 1.0) * np.float32(disc.half_depth) - out
    thickness = half_disc_height(q, v, disc) + np.minimum(0.22 * out, 1.2) * (q > 0.9)
    d = smax(side, np.abs(w) - np.maximum(thickness, 0.4), 1.5)
    if state.herniation_mm and state.extruded:
        d = smin(d, extruded_fragment(u, v, w, disc), 2.0)
    for upper in (True, False):
        if has_node(disc, upper):
            d = smin(d, node_sdf(u, v, w, disc, upper), 1.0)
    return d


def end_plate_distance(q: F32, v: F32, w: F32, body: Vertebra) -> tuple[F32, F32]:
    """How far below the upper and above the lower end-plate a point lies (mm, positive inside the body)."""
    half = 0.5 * (body.height - v * np.float32(np.tan(body.wedge_rad)))
    hollow = np.maximum(1.0 - q * q, 0.0)
    upper = half - np.float32(body.concavity[0]) * hollow - w
    lower = half - np.float32(body.concavity[1]) * hollow + w
    return upper, lower


def body_sdf(u: F32, v: F32, w: F32, body: Vertebra) -> F32:
    """A vertebral body: waist, hollow end-plates and back wall, osteophytes at the rims; Schmorl nodes are not cut."""
    t = np.clip(np.abs(w) * np.float32(2.0 / body.height), 0.0, 1.0)
    q = outline(u, v, body.half_width, body.half_depth, body.wall_concavity)
    waist = 0.085 * (1.0 - t * t)
    spur = np.where(w > 0.0, np.float32(body.above.osteophyte_mm), np.float32(body.below.osteophyte_mm))
    front = 0.35 + 0.65 * smoothstep(v, 0.3 * body.half_depth, -0.5 * body.half_depth)
    spur = spur * front * smoothstep(t, 0.72, 1.0)
    side = (q - 1.0 + waist) * np.float32(body.half_depth) - spur
    upper, lower = end_plate_distance(q, v, w, body)
    return smax(side, -np.minimum(upper, lower), 2.2)


def sacral_sdf(u: F32, v: F32, w: F32, segment: SacralSegment) -> F32:
    """One sacral body: a box that narrows from its upper to its lower end."""
    t = 0.5 + w * np.float32(1.0 / segment.height)
    depth = segment.half_depth_bottom + np.clip(t, 0.0, 1.0) * (segment.half_depth_top - segment.half_depth_bottom)
    q = 0.62 * np.sqrt(np.square(u / segment.half_width) + np.square(v / depth)) + 0.38 * np.maximum(
        np.abs(u) / segment.half_width, np.abs(v) / depth
    )
    hollow = np.float32(segment.concavity) * np.maximum(1.0 - q * q, 0.0)
    spur = np.float32(segment.above.osteophyte_mm) * smoothstep(t, 0.85, 1.0) * 0.6
    return smax((q - 1.0) * depth - spur, np.maximum(w - 0.5 * segment.height + hollow, -w - 0.5 * segment.height), 2.0)


def spinous_sdf(u: F32, v: F32, w: F32, body: Vertebra) -> F32:
    """The spinous process: a plate in the midline, tilted down, pointed in front and blunt at its tip."""
    start = body.half_depth + body.canal_ap + 1.0
    c, s = np.float32(np.cos(body.spinous_tilt_rad)), np.float32(np.sin(body.spinous_tilt_rad))
    dv, dw = v - np.float32(start), w + np.float32(0.30 * body.height)
    along, up = c * dv - s * dw, s * dv + c * dw
    length, height = body.spinous_length, body.spinous_height
    t = np.clip(along * np.float32(1.0 / length), 0.0, 1.0)
    # waist in the middle, a root that slopes forwards and upwards, a tip that droops
    half = np.float32(0.5 * height) * (0.62 + 0.95 * t - 0.6 * t * t)
    middle = np.float32(0.16 * height) * (1.0 - t) - np.float32(0.10 * height) * t
    profile = smax(np.abs(up - middle) - half, np.abs(along - 0.5 * length) - 0.5 * length, 5.0)
    return smax(profile, np.abs(u) - (2.6 + 1.6 * t * t), 2.0)


def arch_sdf(u: F32, v: F32, w: F32, body: Vertebra) -> F32:
    """Laminae, pedicles and articular processes, the same on both sides."""
    side = np.abs(u)
    back = body.half_depth + body.canal_ap
    wide = 0.62 * body.half_width
    lamina_middle = np.float32(back + 4.0) - 0.42 * side
    tilt = (w + np.float32(0.28 * body.height)) * 0.28
    half = (0.16 + 0.19 * smoothstep(side, 0.0, 9.0)) * np.float32(body.height)
    tall = np.abs(w + np.float32(0.26 * body.height)) - half
    lamina = smax(np.abs(v - lamina_middle + tilt) - 3.1, tall, 4.0)
    lamina = smax(lamina, side - np.float32(wide + 2.0), 3.0)
    pedicle_w = 0.18 * body.height
    pedicle = capsule(
        side, v, w, (wide + 1.5, 0.7 * body.half_depth, pedicle_w), (wide + 2.0, back - 1.5, pedicle_w - 1.0)
    )
    superior = capsule(side, v, w, (wide + 3.0, back, 1.0), (wide + 4.5, back - 3.0, 0.72 * body.height))
    inferior = capsule(side, v, w, (wide, back + 2.5, -2.0), (wide + 1.0, back + 3.5, -0.86 * body.height))
    processes = smin(superior - 4.0, inferior - 4.3, 3.0)
    return smin(lamina, smin(pedicle - 5.2, processes, 3.0), 3.0)


def posterior_sdf(u: F32, v: F32, w: F32, body: Vertebra) -> F32:
    """Spinous process and arch of one vertebra."""
    return smin(spinous_sdf(u, v, w, body), arch_sdf(u, v, w, body), 2.5)


def flavum_sdf(u: F32, v: F32, w: F32, disc: Disc) -> F32:
    """Both halves of the yellow ligament behind the sac at a disc: anchored at the back, thickening forwards."""
    left, right = disc.state.flavum_mm_lr
    thickness = np.where(u > 0.0, np.float32(left), np.float32(right))
    thickness = thickness * np.clip(1.35 - 0.35 * np.abs(w) / 9.0, 0.8, 1.25)
    side = np.abs(u)
    # where the ligaments meet in the midline they leave room for a wedge of fat
    anchor = disc.half_depth + 1.7 + disc.sac_ap + min(disc.posterior_fat, 2.8)
    back = np.float32(anchor + 1.6) - 0.55 * side
    slab = np.abs(v - back + 0.5 * thickness) - 0.5 * thickness
    return smax(slab, np.maximum(np.abs(w) - 12.0, np.maximum(side - 13.0, 0.8 - side)), 1.2)


def facet_sdf(u: F32, v: F32, w: F32, disc: Disc) -> F32:
    """Both facet joints: they close the canal from the sides where they have grown."""
    offset = 0.40 * disc.half_width + 9.5
    back = disc.half_depth + 1.7 + disc.sac_ap - 0.5
    distances = []
    for sign, scale in zip((1.0, -1.0), disc.state.facet_scale_lr, strict=True):
        reach = 0.5 * (scale - 1.0) * 14.0
        radii = (7.0 * scale, 8.0 * scale, 13.0)
        distances.append(ellipsoid(u - np.float32(sign * (offset - reach * 0.4)), v - np.float32(back), w, radii))
    return np.minimum(distances[0], distances[1])
