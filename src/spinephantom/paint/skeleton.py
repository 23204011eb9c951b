"""Paint the spine over its surroundings, back to front as a painter would: every shape covers what lies behind it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import LEVELS
from spinephantom.paint.canal import Contents, paint_canal, paint_roots
from spinephantom.paint.canvas import Canvas
from spinephantom.patient.pathology import DiscState
from spinephantom.shapes import column
from spinephantom.shapes.distances import Ball, ball_sdf, ellipsoid
from spinephantom.shapes.fields import near
from spinephantom.shapes.frames import Array
from spinephantom.shapes.parts import Part
from spinephantom.shapes.planes import Grid, Window
from spinephantom.shapes.soft import smoothstep, superellipse
from spinephantom.spine.arch import iliolumbar
from spinephantom.spine.records import Disc, Joint, SacralSegment, Spine, Vertebra
from spinephantom.spine.sections import body_with_nodes, canal_line

F32 = NDArray[Any]
CORTEX_MM = 0.55
_CAPSULE_MM = 0.8
_FORAMEN_MM = (9.0, 9.5, 16.0)
"""Half axes of the fat of a foramen; below L5/S1 lie the wings of the sacrum."""
_LOWEST_FORAMEN_MM = (10.0, 9.5, 12.0)


def paint_spine(canvas: Canvas, spine: Spine, contents: Contents) -> None:
    """Fat, canal and contents, roots, ligaments, arches, sacrum, discs and bodies, in that order."""
    for disc in spine.discs:
        _paint_foraminal_fat(canvas, disc)
    paint_canal(canvas, spine, contents)
    paint_roots(canvas, spine)
    _paint_behind(canvas, spine)
    for segment in spine.sacrum:
        _paint_sacral_segment(canvas, segment)
    for disc in spine.discs:
        _paint_disc(canvas, disc)
    for body, neighbours in zip(spine.vertebrae, spine.neighbours(), strict=True):
        _paint_body(canvas, body, neighbours)
    stained, radius = spine.person.haemangioma
    if stained >= 0:
        _paint_haemangioma(canvas, spine.vertebrae[stained], radius)


def spine_window(grid: Grid, spine: Spine) -> Window | None:
    """The rows and columns of the planes that anything of the spine can be painted on."""
    bones = [part for index in range(len(spine.vertebrae)) for part in spine.posterior(index)]
    bones += [*spine.sacral_posterior(), *(body.part for body in spine.vertebrae), *(s.part for s in spine.sacrum)]
    bones += [*(disc.part for disc in spine.discs), *(iliolumbar(spine.vertebrae[0], side) for side in (0, 1))]
    balls = [(part.center_mm, part.radius_mm + 3.0) for part in bones]
    balls += [_fat_ball(disc) for disc in spine.discs]
    balls += [(point, 6.0) for pair in spine.roots for root in pair for point in root.points_mm[::4]]
    canal, reach = canal_line(spine.canal)
    balls += [(point, reach + 1.0) for point in canal[::4]]
    return grid.window(
        np.array([center for center, _ in balls]), np.array([radius for _, radius in balls]), all_planes=True
    )


def _fat_ball(disc: Disc) -> tuple[Array, float]:
    return disc.frame.moved(v=disc.half_depth).center_mm, disc.half_width + 10.0


def _paint_behind(canvas: Canvas, spine: Spine) -> None:
    """What lies behind and beside the discs: ligaments and joint spaces, the arches over them, cysts last."""
    for side in (0, 1):
        found = near(iliolumbar(spine.vertebrae[0], side), canvas.grid)
        if found is not None:
            window, d = found
            texture = canvas.textures.within(window)
            # fibres with fat between them
            strength = 0.8 * smoothstep(texture.fine + 0.6 * texture.medium, -1.4, 0.2)
            canvas.paint(window, strength * canvas.alpha(d), "ligament")
    joints = [(joint, disc) for pair, disc in zip(spine.joints, spine.discs, strict=True) for joint in pair]
    for joint, _ in joints:
        _paint_around_joint(canvas, joint)
    _paint_bones(canvas, spine.sacral_posterior())
    for index in range(len(spine.vertebrae)):
        _paint_bones(canvas, spine.posterior(index))
    for joint, disc in joints:
        if not disc.state.fused:
            _paint_joint_line(canvas, joint)
        _paint_cyst(canvas, joint)


def _marrow_grain(canvas: Canvas, window: Window) -> tuple[F32, F32]:
    """Grain of marrow: signal factor and change of the fat fraction, with islands of fat."""
    texture = canvas.textures.within(window)
    fat = 0.035 * texture.medium + 0.03 * texture.coarse + 0.10 * smoothstep(texture.medium, 1.5, 2.6)
    return 1.0 + 0.07 * texture.fine + 0.04 * texture.medium, fat


def _paint_bone(canvas: Canvas, window: Window, d: F32, marrow: str, cortex_mm: float = CORTEX_MM) -> None:
    """Dark cortex around marrow."""
    gain, fat = _marrow_grain(canvas, window)
    canvas.paint(window, canvas.alpha(d), "cortical")
    canvas.paint(window, canvas.alpha(d + cortex_mm), marrow, gain, fat)


def _paint_bones(canvas: Canvas, parts: tuple[Part, ...]) -> None:
    """The parts of one arch as one bone: all their cortex first, so that none runs through the marrow."""
    seen = []
    for part in parts:
        found = near(part, canvas.grid)
        if found is not None:
            window, d = found
            texture = canvas.textures.within(window)
            d = d + np.float32(0.40) * texture.medium + np.float32(0.12) * texture.fine
            canvas.paint(window, 0.95 * canvas.alpha(d), "cortical")
            seen.append((window, d, part.cortex_mm))
    for window, d, cortex_mm in seen:
        gain, fat = _marrow_grain(canvas, window)
        texture = canvas.textures.within(window)
        # little marrow between plates of uneven thickness, least beside the joints: darker than the bodies
        inside = canvas.alpha(d + cortex_mm * (1.0 + 0.55 * texture.medium))
        mottled = 0.92 - 0.26 * cortex_mm + 0.16 * texture.coarse + 0.12 * texture.medium
        canvas.paint(window, inside, "arch_marrow", np.maximum(mottled, 0.2) * gain, fat)


def _paint_foraminal_fat(canvas: Canvas, disc: Disc) -> None:
    """Fat in and beside both foramina."""
    window = canvas.grid.window(*_fat_ball(disc))
    if window is None:
        return
    u, v, w = window.local(disc.frame)
    texture = canvas.textures.within(window)
    side = np.abs(u) - np.float32(0.72 * disc.half_width)
    high = _LOWEST_FORAMEN_MM if disc.level == LEVELS[0] else _FORAMEN_MM
    # from the disc's corner back to the joint, so that all that is open of a foramen is fat
    d = ellipsoid(side, v - np.float32(disc.half_depth + 4.0), w - np.float32(18.5 - high[2]), high)
    d = d + 0.8 * texture.coarse
    canvas.paint(window, canvas.alpha(d), "fat", 0.80 + 0.08 * texture.medium + 0.05 * texture.fine, -0.10)
    # veins and ligaments run through it, most below the root
    strands = smoothstep(np.abs(texture.medium - 0.4 * texture.coarse), 0.5, 0.15) * smoothstep(w, 4.0, -2.0)
    canvas.paint(window, 0.6 * canvas.alpha(d) * strands, "vein", 0.8)
    bands = smoothstep(np.abs(texture.coarse + 0.5 * texture.medium), 0.25, 0.1) * smoothstep(w, 3.0, -2.0)
    canvas.paint(window, 0.45 * canvas.alpha(d) * bands, "flavum")


def _paint_around_joint(canvas: Canvas, joint: Joint) -> None:
    """Fat behind the processes, then capsule and yellow ligament."""
    found = near(joint.inferior, canvas.grid)
    if found is not None:
        window, d = found
        texture = canvas.textures.within(window)
        behind = smoothstep(window.local(joint.inferior.frame)[0], -1.0, 4.0)
        canvas.paint(
            window, 0.55 * behind * canvas.alpha(d - 0.7 - 1.1 * texture.medium), "fat", 0.9 + 0.1 * texture.medium
        )
    found = near(joint.superior, canvas.grid)
    if found is not None:
        window, d = found
        texture = canvas.textures.within(window)
        beside = smoothstep(window.local(joint.superior.frame)[0], -2.0, 4.0)
        canvas.paint(window, 0.7 * beside * canvas.alpha(d - 1.8 - 0.5 * texture.medium), "fat", 0.85)
        canvas.paint(window, canvas.alpha(d - np.float32(_CAPSULE_MM)), "flavum")
    if joint.flavum is not None:
        found = near(joint.flavum, canvas.grid)
        if found is not None:
            window, d = found
            canvas.paint(window, canvas.alpha(d), "flavum", 1.25 + 0.20 * canvas.textures.medium[window.index])


def _paint_joint_line(canvas: Canvas, joint: Joint) -> None:
    """The joint between its two plates of dense bone, thicker where it is worn: cartilage, and fluid in the middle."""
    found = near(joint.space, canvas.grid)
    if found is None:
        return
    window, d = found
    texture = canvas.textures.within(window)
    worn = max(joint.space.shape.scale - 1.0, 0.0)
    canvas.paint(window, 0.9 * canvas.alpha(d - 0.1 - 1.3 * worn * (1.0 + 0.5 * texture.medium)), "cortical")
    # a hair's breadth, wider where there is fluid
    half = 0.5 * joint.space.shape.gap + 0.4
    narrow = d + max(half - 0.55, 0.5 * half) + 0.4 * worn + 0.2 * texture.medium + 0.1 * texture.fine
    seen = 0.4 + 0.6 * smoothstep(texture.coarse + 0.6 * texture.medium, -0.9, 0.5)
    canvas.paint(window, seen * canvas.alpha(narrow), "inner_annulus", 1.3)
    fluid = 0.2 + 0.6 * smoothstep(joint.space.shape.gap, 1.5, 3.0)
    canvas.paint(window, seen * fluid * canvas.alpha(narrow + 0.2 + 0.3 * texture.coarse), "fluid")


def _paint_cyst(canvas: Canvas, joint: Joint) -> None:
    """A synovial cyst: fluid in a dark wall."""
    if joint.cyst is None:
        return
    window = canvas.grid.window(joint.cyst.center_mm, joint.cyst.radius_mm + 1.0)
    if window is not None:
        d = joint.cyst.within(window)
        canvas.paint(window, canvas.alpha(d), "ligament")
        canvas.paint(window, canvas.alpha(d + 0.9), "fluid", 0.9)


def _paint_haemangioma(canvas: Canvas, body: Vertebra, radius: float) -> None:
    """A fatty ball with coarse trabeculae inside a body."""
    place = (0.25 * body.half_width, -0.1 * body.half_depth, 0.08 * body.height)
    part = Part(ball_sdf, Ball(place, (radius, radius, radius)), body.frame, body.frame.world(place), radius + 1.0)
    window = canvas.grid.window(part.center_mm, part.radius_mm)
    if window is None:
        return
    texture = canvas.textures.within(window)
    inside = canvas.alpha(part.within(window) + 0.4 * texture.medium) * canvas.alpha(body.part.within(window) + 1.5)
    canvas.paint(window, 0.9 * inside, "modic_2", 1.1 - 0.22 * smoothstep(texture.fine, 0.3, 1.0), 0.05)


def _paint_sacral_segment(canvas: Canvas, segment: SacralSegment) -> None:
    part = segment.part
    window = canvas.grid.window(part.center_mm, part.radius_mm + 3.0)
    if window is None:
        return
    u, v, w = window.local(segment.frame)
    top, bottom = segment.half_depth_top, segment.half_depth_bottom
    # the rest of a disc below the segment, never a whole one
    middle = np.float32(0.5 * (segment.height + segment.rest_mm))
    rest = superellipse(u, v, 0.75 * segment.half_width, 0.9 * bottom)
    remnant = np.maximum((rest - 1.0) * bottom, np.abs(w + middle) - (0.5 * segment.rest_mm + CORTEX_MM))
    canvas.paint(window, canvas.alpha(remnant), "outer_annulus")
    canvas.paint(window, canvas.alpha(remnant + 0.9), "inner_annulus", 1.2)
    d = part.within(window)
    _paint_bone(canvas, window, d, "marrow")
    if segment.above.modic_type and segment.above.modic_below_mm:
        depth = 0.5 * segment.height - w
        _paint_modic(canvas, window, d, depth, v / np.float32(top), segment.above, segment.above.modic_below_mm)


def nucleus_tissue(disc: Disc) -> str:
    """Name of the disc's own nucleus in the tissue table."""
    return f"nucleus {disc.level}"


def herniated_tissue(disc: Disc) -> str:
    """Name of the disc's own herniated material in the tissue table."""
    return f"herniated {disc.level}"


def _paint_disc(canvas: Canvas, disc: Disc) -> None:
    found = near(disc.part, canvas.grid)
    if found is None:
        return
    window, d = found
    u, v, w = window.local(disc.frame)
    texture = canvas.textures.within(window)
    # a thin dark line in front and behind: the longitudinal ligaments
    canvas.paint(window, canvas.alpha(d - 0.3), "ligament")
    canvas.paint(window, canvas.alpha(d), "outer_annulus", 1.0 + 0.08 * texture.fine)
    q = column.disc_outline(u, v, disc.shape)
    ring = canvas.alpha(d + 0.3) * smoothstep(q, 1.0, 0.86)
    canvas.paint(window, ring, "inner_annulus", 1.05 + 0.14 * texture.medium + 0.10 * texture.fine)
    if disc.state.herniation_mm:
        behind = smoothstep(q, 0.9, 1.08) * (v > 0.0)
        canvas.paint(window, canvas.alpha(d + 0.7) * behind, herniated_tissue(disc), 1.0 + 0.1 * texture.medium)
    _paint_nucleus(canvas, window, disc, (u, v, w), d)


def _paint_nucleus(canvas: Canvas, window: Window, disc: Disc, uvw: tuple[F32, F32, F32], d: F32) -> None:
    """The nucleus with its border, cleft and grain: sharp, even and bright when healthy, vague and dark when dry."""
    u, v, w = uvw
    t2 = disc.state.nucleus_t2_ms
    dryness = float(np.interp(t2, (42.0, 68.0, 105.0, 165.0, 190.0), (1.0, 0.75, 0.45, 0.15, 0.0)))
    border = 0.34 + 0.26 * dryness
    half = 0.5 * (disc.height - v * np.float32(np.tan(disc.wedge_rad))) + disc.concavity
    thickness = np.maximum(half - 0.2, 0.6)
    flat = superellipse(u, v + np.float32(0.03 * disc.half_depth), 0.78 * disc.half_width, 0.78 * disc.half_depth)
    rho = np.sqrt(np.square(flat) + np.square(w / thickness) * 0.8)
    weight = smoothstep(rho, 1.0 + 0.5 * border, 1.0 - border) * canvas.alpha(d + 0.5)
    texture = canvas.textures.within(window)
    grain = 1.0 + (0.03 + 0.09 * dryness) * texture.medium + 0.09 * texture.fine
    cleft_depth = float(np.interp(t2, (55.0, 90.0, 140.0, 175.0, 190.0), (0.1, 0.3, 0.4, 0.2, 0.0)))
    cleft = np.exp(-np.square(w + 0.5 * texture.coarse)) * smoothstep(flat, 0.95, 0.6)
    canvas.paint(window, weight, nucleus_tissue(disc), grain * (1.0 - np.float32(cleft_depth) * cleft))
    if disc.state.gas:
        across = (flat - np.float32(0.35 + 0.5 * disc.state.gas)) * disc.half_depth
        void = np.maximum(across, np.abs(w + 0.3 * texture.coarse) - 1.3)
        canvas.paint(window, canvas.alpha(void) * canvas.alpha(d + 0.5), "air")
    if disc.state.fissure_mm:
        radius = 0.5 * disc.state.fissure_mm
        spot = ellipsoid(u, v - np.float32(0.86 * disc.half_depth), w, (4.0, radius, 0.8 * radius))
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
    found = body_with_nodes(canvas.grid, body, discs)
    if found is None:
        return
    window, d = found
    u, v, w = window.local(body.frame)
    # ligaments in front and behind: only where no disc has been painted
    near = smoothstep(np.abs(w), 0.5 * body.height, 0.42 * body.height) * (np.abs(u) < 12.0)
    canvas.paint(window, canvas.alpha(d - 0.4) * near, "ligament")
    _paint_bone(canvas, window, d, "marrow")
    q = column.outline(u, v, body.half_width, body.half_depth, body.shape.wall_hollow)
    upper, lower = column.end_plate_distance(q, v, w, body.shape)
    v_fraction = v * np.float32(1.0 / body.half_depth)
    sides = ((body.above, body.above.modic_below_mm, upper), (body.below, body.below.modic_above_mm, lower))
    for state, extent, depth in sides:
        if state.modic_type and extent:
            _paint_modic(canvas, window, d, depth, v_fraction, state, extent)
    _paint_basivertebral_vein(canvas, window, body, (u, v, w), d)


def _paint_basivertebral_vein(
    canvas: Canvas, window: Window, body: Vertebra, uvw: tuple[F32, F32, F32], d: F32
) -> None:
    """A notch in the middle of the back wall with a plexus of slow veins, which go on as a thin line forwards."""
    u, v, w = uvw
    ahead = np.float32(body.half_depth - body.shape.wall_hollow) - v
    texture = canvas.textures.within(window)
    mouth = ellipsoid(u, ahead + 0.5, w, (5.0, 5.5, 2.6)) + 0.6 * texture.medium + 0.2 * texture.fine
    canvas.paint(window, 0.85 * canvas.alpha(mouth) * canvas.alpha(d - 0.6), "vein")
    line = np.abs(w + 0.8 * texture.coarse) - 0.5 + 0.02 * ahead
    line = np.maximum(line, np.maximum(np.abs(u) - 0.5 - 0.25 * ahead, ahead - 0.8 * body.half_depth))
    canvas.paint(window, 0.3 * canvas.alpha(line) * canvas.alpha(d + CORTEX_MM), "vein")
