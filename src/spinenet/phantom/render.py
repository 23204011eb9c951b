"""Paint the spine over its surroundings, back to front as a painter would: every shape covers what lies behind it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinenet.phantom import shapes
from spinenet.phantom.anatomy import Disc, SacralSegment, Spine, Vertebra
from spinenet.phantom.canal import paint_canal
from spinenet.phantom.canvas import Canvas, Window
from spinenet.phantom.pathology import DiscState
from spinenet.phantom.shapes import smoothstep

F32 = NDArray[Any]
CORTEX_MM = 0.75


def paint_spine(canvas: Canvas, spine: Spine, rng: np.random.Generator) -> None:
    """Canal and contents, sacrum, arches, ligaments, discs and bodies, in that order."""
    paint_canal(canvas, spine, rng)
    for segment in spine.sacrum:
        _paint_sacral_segment(canvas, segment)
    for body in spine.vertebrae:
        _paint_arch(canvas, body)
    for disc in spine.discs:
        _paint_posterior_ligaments(canvas, disc)
    for disc in spine.discs:
        _paint_disc(canvas, disc)
    for body, discs in zip(spine.vertebrae, spine.neighbours(), strict=True):
        _paint_body(canvas, body, discs)


def _marrow_grain(canvas: Canvas, window: Window) -> tuple[F32, F32]:
    """Grain of marrow: signal factor and change of the fat fraction, with islands of fat."""
    texture = canvas.textures.within(window)
    fat = 0.055 * texture.medium + 0.04 * texture.coarse + 0.14 * smoothstep(texture.medium, 1.3, 2.4)
    return 1.0 + 0.07 * texture.fine + 0.05 * texture.medium, fat


def _paint_bone(canvas: Canvas, window: Window, d: F32, marrow: str, cortex_mm: float = CORTEX_MM) -> None:
    """Dark cortex around marrow."""
    gain, fat = _marrow_grain(canvas, window)
    canvas.paint(window, canvas.alpha(d), "cortical")
    canvas.paint(window, canvas.alpha(d + cortex_mm), marrow, gain, fat)


def _paint_sacral_segment(canvas: Canvas, segment: SacralSegment) -> None:
    window = canvas.grid.window(segment.frame.center_mm, segment.half_depth_top + 0.5 * segment.height + 16.0)
    if window is None:
        return
    u, v, w = window.local(segment.frame)
    top, bottom = segment.half_depth_top, segment.half_depth_bottom
    # the rest of a disc below the segment, never a whole one
    rest = shapes.superellipse(v, w + np.float32(0.5 * segment.height + 0.5 * segment.rest_mm), 0.9 * bottom, 2.0)
    half = 0.5 * segment.rest_mm + CORTEX_MM
    remnant = np.maximum((rest - 1.0) * 2.0, np.abs(w + np.float32(0.5 * (segment.height + segment.rest_mm))) - half)
    canvas.paint(window, canvas.alpha(remnant), "outer_annulus")
    canvas.paint(window, canvas.alpha(remnant + 0.9), "inner_annulus", 1.2)
    # the roof of the sacral canal, an uneven crest
    uneven = 0.9 * canvas.textures.medium[window.index] + 1.2 * canvas.textures.coarse[window.index]
    back = np.float32(0.5 * (top + bottom) + segment.roof_mm) - 0.10 * w
    crest = shapes.rounded_box(v - back, w + 2.0, 3.2, 0.40 * segment.height, 3.0)
    crest = crest + np.maximum(np.abs(u) - 9.0, 0.0) + uneven
    _paint_bone(canvas, window, crest, "arch_marrow")
    d = shapes.sacral_sdf(u, v, w, segment)
    _paint_bone(canvas, window, d, "marrow")
    if segment.above.modic_type and segment.above.modic_below_mm:
        depth = 0.5 * segment.height - w
        _paint_modic(canvas, window, d, depth, v / np.float32(top), segment.above, segment.above.modic_below_mm)


def _paint_arch(canvas: Canvas, body: Vertebra) -> None:
    center = body.frame.moved(v=body.half_depth + body.canal_ap + 8.0, w=-0.3 * body.height).center_mm
    window = canvas.grid.window(center, 46.0)
    if window is None:
        return
    uneven = 0.35 * canvas.textures.medium[window.index]
    _paint_bone(canvas, window, shapes.posterior_sdf(*window.local(body.frame), body) + uneven, "arch_marrow", 0.6)


def _paint_posterior_ligaments(canvas: Canvas, disc: Disc) -> None:
    window = canvas.grid.window(disc.frame.moved(v=disc.half_depth + disc.sac_ap).center_mm, 26.0)
    if window is None:
        return
    u, v, w = window.local(disc.frame)
    flavum = shapes.flavum_sdf(u, v, w, disc)
    canvas.paint(window, canvas.alpha(flavum), "flavum", 1.0 + 0.10 * canvas.textures.medium[window.index])
    _paint_bone(canvas, window, shapes.facet_sdf(u, v, w, disc), "arch_marrow", 1.8)


def nucleus_tissue(disc: Disc) -> str:
    """Name of the disc's own nucleus in the tissue table."""
    return f"nucleus {disc.level}"


def herniated_tissue(disc: Disc) -> str:
    """Name of the disc's own herniated material in the tissue table."""
    return f"herniated {disc.level}"


def _paint_disc(canvas: Canvas, disc: Disc) -> None:
    reach = disc.half_depth + 0.5 * disc.mid_height + disc.state.herniation_mm + 8.0
    window = canvas.grid.window(disc.frame.center_mm, reach)
    if window is None:
        return
    u, v, w = window.local(disc.frame)
    texture = canvas.textures.within(window)
    d = shapes.disc_sdf(u, v, w, disc)
    # a thin dark line in front and behind: the longitudinal ligaments
    canvas.paint(window, canvas.alpha(d - 0.5), "ligament")
    canvas.paint(window, canvas.alpha(d), "outer_annulus", 1.0 + 0.08 * texture.fine)
    q = shapes.disc_outline(u, v, disc)
    ring = canvas.alpha(d + 0.3) * smoothstep(q, 1.02, 0.80)
    canvas.paint(window, ring, "inner_annulus", 1.0 + 0.08 * texture.medium + 0.05 * texture.fine)
    if disc.state.herniation_mm:
        behind = smoothstep(v, disc.half_depth - 3.0, disc.half_depth + 1.5)
        canvas.paint(window, canvas.alpha(d + 0.7) * behind, herniated_tissue(disc), 1.0 + 0.1 * texture.medium)
    _paint_nucleus(canvas, window, disc, (u, v, w), d)


def _paint_nucleus(canvas: Canvas, window: Window, disc: Disc, uvw: tuple[F32, F32, F32], d: F32) -> None:
    """The nucleus with its border, cleft and grain: sharp, even and bright when healthy, vague and dark when dry."""
    u, v, w = uvw
    t2 = disc.state.nucleus_t2_ms
    dryness = float(np.interp(t2, (42.0, 68.0, 105.0, 165.0, 190.0), (1.0, 0.75, 0.45, 0.15, 0.0)))
    border = 0.14 + 0.30 * dryness
    half = 0.5 * (disc.height - v * np.float32(np.tan(disc.wedge_rad))) + disc.concavity
    thickness = np.maximum(half - 0.2, 0.6)
    flat = shapes.superellipse(
        u, v + np.float32(0.03 * disc.half_depth), 0.72 * disc.half_width, 0.74 * disc.half_depth
    )
    rho = np.sqrt(np.square(flat) + np.square(w / thickness) * 0.8)
    weight = smoothstep(rho, 1.0 + 0.5 * border, 1.0 - border) * canvas.alpha(d + 0.5)
    texture = canvas.textures.within(window)
    grain = 1.0 + (0.03 + 0.09 * dryness) * texture.medium + 0.04 * texture.fine
    cleft_depth = float(np.interp(t2, (55.0, 90.0, 140.0, 175.0, 190.0), (0.1, 0.3, 0.4, 0.2, 0.0)))
    cleft = np.exp(-np.square(w + 0.5 * texture.coarse)) * smoothstep(flat, 0.95, 0.6)
    canvas.paint(window, weight, nucleus_tissue(disc), grain * (1.0 - np.float32(cleft_depth) * cleft))
    if disc.state.fissure_mm:
        radius = 0.5 * disc.state.fissure_mm
        spot = shapes.ellipsoid(u, v - np.float32(0.86 * disc.half_depth), w, (4.0, radius, 0.8 * radius))
        canvas.paint(window, canvas.alpha(spot) * canvas.alpha(d + 0.5) * 0.8, "nucleus", grain)


def _paint_modic(
    canvas: Canvas, window: Window, d: F32, depth_mm: F32, v_fraction: F32, state: DiscState, extent_mm: float
) -> None:
    """Marrow beside an end-plate replaced by oedema, fat or sclerosis. ``depth_mm``: distance from the end-plate."""
    texture = canvas.textures.within(window)
    ragged = extent_mm + 0.9 * texture.medium + 1.5 * texture.coarse
    near = smoothstep(depth_mm - ragged, 2.5, -2.5)
    front, back = state.modic_span
    across = smoothstep(v_fraction, front - 0.2, front + 0.2) * smoothstep(v_fraction, back + 0.2, back - 0.2)
    weight = near * across * canvas.alpha(d + CORTEX_MM + 0.4)
    gain = 1.0 + 0.08 * texture.medium + 0.05 * texture.fine
    canvas.paint(window, 0.92 * weight, f"modic_{state.modic_type}", gain)


def _paint_body(canvas: Canvas, body: Vertebra, discs: tuple[Disc | None, Disc]) -> None:
    reach = float(np.hypot(body.half_depth, 0.5 * body.height)) + 8.0
    window = canvas.grid.window(body.frame.center_mm, reach)
    if window is None:
        return
    u, v, w = window.local(body.frame)
    d = body_with_nodes(window, body, discs)
    # ligaments in front and behind: only where no disc has been painted
    near = smoothstep(np.abs(w), 0.5 * body.height, 0.42 * body.height) * (np.abs(u) < 12.0)
    canvas.paint(window, canvas.alpha(d - 0.6) * near, "ligament")
    _paint_bone(canvas, window, d, "marrow")
    q = shapes.outline(u, v, body.half_width, body.half_depth, body.wall_concavity)
    upper, lower = shapes.end_plate_distance(q, v, w, body)
    v_fraction = v * np.float32(1.0 / body.half_depth)
    sides = ((body.above, body.above.modic_below_mm, upper), (body.below, body.below.modic_above_mm, lower))
    for state, extent, depth in sides:
        if state.modic_type and extent:
            _paint_modic(canvas, window, d, depth, v_fraction, state, extent)
    # basivertebral vein: a notch in the middle of the back wall
    half = 0.7 + 2.2 * np.square(np.clip(v_fraction, 0.0, 1.0))
    notch = np.maximum(np.abs(w) - half, np.maximum(0.25 * body.half_depth - v, np.abs(u) - 6.0))
    canvas.paint(window, canvas.alpha(notch) * canvas.alpha(d - 0.4) * 0.75, "vein", 1.0, 0.15)


def body_with_nodes(window: Window, body: Vertebra, discs: tuple[Disc | None, Disc]) -> F32:
    """A vertebral body without the Schmorl nodes of the disc above and of the disc below it."""
    d = shapes.body_sdf(*window.local(body.frame), body)
    for disc, upper in ((discs[0], False), (discs[1], True)):
        if disc is not None and shapes.has_node(disc, upper):
            d = shapes.smax(d, -shapes.node_sdf(*window.local(disc.frame), disc, upper), 0.8)
    return d
