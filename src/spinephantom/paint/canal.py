"""The spinal canal: epidural fat, dural sac, fluid, cord and the roots of the cauda equina."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinephantom.paint.canvas import Canvas
from spinephantom.patient.pathology import LUMBAR_DISCS
from spinephantom.shapes.distances import Ball, ball_sdf
from spinephantom.shapes.frames import Array
from spinephantom.shapes.parts import Part
from spinephantom.shapes.planes import Window
from spinephantom.shapes.soft import smoothstep
from spinephantom.shapes.tubes import tube_coverage
from spinephantom.spine.cauda import fluid_lost, make_strands, open_room, strand_points
from spinephantom.spine.records import Canal, Spine
from spinephantom.spine.sac import FAR_MM, conus_z, sac_distances
from spinephantom.spine.sections import canal_window
from spinephantom.spine.sizes import ROOTS

F32 = NDArray[Any]
_DURA_MM = 0.3
_WEDGE_MM = 2.5
"""By which the fat at the recesses reaches beyond the sac."""
_BUNDLES = 5
_PIA = 1.2
"""A strand as it is seen beside itself: with its sheath, and what moves with it."""
_IN_SLEEVE = 34
"""Points of a root that lie in its sleeve at the corner of the sac."""
_IN_PSOAS = 16
"""Points of a root, half a millimetre apart, that lie in the psoas."""


@dataclass(frozen=True)
class Contents:
    """What the sac of a study holds, the same in all its series: pulsing fluid and the roots of the cauda equina."""

    flow: float
    """Signal lost where fluid moves most."""
    points_mm: Array
    """(N, 3) along all strands, with the radius at each."""
    radius_mm: Array
    bundle: NDArray[np.int64]
    """One of a few bundles that each strand is counted to."""
    z_mm: Array
    fluid_lost: Array
    """Share of the fluid between the strands that is pressed out, at heights ``z_mm``, (Z,) both."""


def canal_contents(spine: Spine, rng: np.random.Generator) -> Contents:
    """Draw the flow and lay the roots where the walls leave room."""
    flow = float(rng.choice((0.03, 0.03, 0.10, 0.25)))
    strands = make_strands(rng)
    room = open_room(spine, tuple(spine.walls(index) for index in range(LUMBAR_DISCS)))
    points = [strand_points(spine, strand, room) for strand in strands]
    radii = [np.full(len(p), strand.radius_mm) for p, strand in zip(points, strands, strict=True)]
    bundle = [np.full(len(p), number % _BUNDLES) for number, p in enumerate(points)]
    lost = fluid_lost(spine, room)
    return Contents(flow, np.concatenate(points), np.concatenate(radii), np.concatenate(bundle), room.z_mm, lost)


def paint_canal(canvas: Canvas, spine: Spine, contents: Contents) -> None:
    """Paint the canal and all it holds; discs, ligaments and arches come over it later and narrow it."""
    window = canal_window(canvas.grid, spine.canal)
    if window is None:
        return
    xyz = window.world()
    at = spine.canal.at(xyz[2])
    texture = canvas.textures.within(window)
    _paint_before_sac(canvas, window, xyz, at)
    fat = _fat_distance(xyz, at, spine.canal)
    canvas.paint(window, canvas.alpha(fat), "fat", 0.92 + 0.07 * texture.medium + 0.03 * texture.fine, -0.12)
    # before the sac run veins, with fat among them at L5/S1 alone
    ahead = (at["y_mm"] - xyz[1]) * at["slope_cos"] - at["half_ap_mm"]
    veins = smoothstep(ahead, -0.8, 0.2) * smoothstep(at["front_fat_mm"], 2.4, 1.2)
    canvas.paint(window, 0.8 * canvas.alpha(fat) * veins, "vein", 1.0 + 0.15 * texture.medium)
    _paint_veins(canvas, window, spine)
    sac = sac_distances(xyz, spine.canal)[1]
    canvas.paint(window, canvas.alpha(sac - _DURA_MM), "ligament")
    dorsal = 1.0 + 0.6 * smoothstep(xyz[1] - at["y_mm"], -3.0, 4.0)
    flow = 1.0 - np.float32(contents.flow) * dorsal * smoothstep(texture.coarse + 0.4 * texture.medium, 0.2, 1.8)
    canvas.paint(window, canvas.alpha(sac), "csf", flow)
    # strands behind each other darken the fluid together; where the sac is narrowest there is none between them
    free = np.asarray(1.0 - np.interp(xyz[2], contents.z_mm, contents.fluid_lost), np.float32)
    for group in range(_BUNDLES):
        of = contents.bundle == group
        free = free * (1.0 - tube_coverage(window, contents.points_mm[of], _PIA * contents.radius_mm[of]))
    canvas.paint(window, canvas.alpha(sac + 0.3) * (1.0 - free), "root")
    cord = _cord_distance(xyz, at, spine)
    canvas.paint(window, canvas.alpha(cord), "cord", 1.0 + 0.03 * texture.fine)
    _paint_tarlov(canvas, spine)


def paint_roots(canvas: Canvas, spine: Spine) -> None:
    """Spinal nerves in their sleeves of fat, from the sac to the psoas."""
    for pair in spine.roots:
        for root in pair:
            middle = root.points_mm[len(root.points_mm) // 2]
            reach = float(np.linalg.norm(root.points_mm - middle, axis=1).max()) + 4.0
            window = canvas.grid.window(middle, reach)
            if window is not None:
                # within the psoas a nerve has spread into fascicles that are hardly seen
                kept = slice(0, len(root.points_mm) - _IN_PSOAS)
                cover = tube_coverage(window, root.points_mm[kept], root.radius_mm[kept])
                # within its sleeve at the corner of the sac it has spread too
                sleeve = slice(0, _IN_SLEEVE)
                cover = np.minimum(
                    cover, 1.0 - 0.5 * tube_coverage(window, root.points_mm[sleeve], root.radius_mm[sleeve])
                )
                canvas.paint(window, cover, "root", 1.0 + 0.05 * canvas.textures.within(window).fine)


def _fat_distance(xyz: tuple[F32, F32, F32], at: dict[str, F32], canal: Canal) -> F32:
    """Distance to the space fat fills: behind the sac, in a wedge at each recess, below its end, and in front where
    the sac stands off the wall."""
    x, y, z = xyz
    behind, before = 1.9 * at["posterior_fat_mm"], at["front_fat_mm"]
    half_ap = at["half_ap_mm"] + 0.5 * (before + behind)
    v = (y - at["y_mm"] - 0.5 * (behind - before)) * at["slope_cos"] / half_ap
    narrow = 1.0 - np.maximum(at["triangle"], 0.3) * np.clip(v, -1.0, 1.3)
    u = (x - at["x_mm"]) / ((at["half_width_mm"] + _WEDGE_MM) * narrow)
    return np.where(z < canal.z_mm[0], FAR_MM, (np.sqrt(u * u + v * v) - 1.0) * half_ap)


def _paint_before_sac(canvas: Canvas, window: Window, xyz: tuple[F32, F32, F32], at: dict[str, F32]) -> None:
    """Between the hollow backs of the bodies and the sac: slow veins with little fat, but for L5/S1."""
    ahead = (at["y_mm"] - xyz[1]) * at["slope_cos"] - at["half_ap_mm"]
    aside = np.abs(xyz[0] - at["x_mm"]) - at["half_width_mm"]
    room = np.maximum(np.maximum(ahead - 5.0, -2.0 - ahead), aside + 0.5)
    fatty = smoothstep(at["front_fat_mm"], 1.2, 2.4)
    texture = canvas.textures.within(window)
    fat = np.clip(0.85 * fatty + 0.25 * smoothstep(texture.medium, 0.6, 1.6), 0.0, 0.85)
    canvas.paint(window, canvas.alpha(room) * (1.0 - 0.8 * fatty), "vein", 0.8 + 0.15 * texture.medium, fat)


def _paint_veins(canvas: Canvas, window: Window, spine: Spine) -> None:
    """The paired anterior epidural veins, widest behind the bodies."""
    for sign in (1.0, -1.0):
        points, radii = [], []
        for body in spine.vertebrae[:6]:
            frame = body.frame.sided(sign)
            w = np.arange(-0.45, 0.46, 0.02) * body.height
            middle = 1.0 - np.square(w / (0.5 * body.height))
            u, v = 6.5 - 3.0 * middle, body.half_depth + 0.3 - 0.8 * middle
            points.append(frame.world(np.column_stack([u, v, w])))
            radii.append(0.35 + 0.75 * middle)
        cover = tube_coverage(window, np.concatenate(points), np.concatenate(radii))
        canvas.paint(window, 0.7 * cover, "vein")


def _paint_tarlov(canvas: Canvas, spine: Spine) -> None:
    """A cyst of a sacral root: a ball of fluid beside the sac at S2."""
    size = spine.person.tarlov_mm
    if not size:
        return
    segment = spine.sacrum[1]
    frame = segment.frame.sided(float(np.sign(size)))
    half = 0.5 * abs(size)
    place = (5.0 + 0.3 * half, segment.half_depth_top + 3.0 + 0.6 * half, 0.0)
    part = Part(ball_sdf, Ball(place, (half, 0.85 * half, 1.2 * half)), frame, frame.world(place), 1.3 * half + 1.0)
    window = canvas.grid.window(part.center_mm, part.radius_mm)
    if window is not None:
        d = part.within(window)
        canvas.paint(window, canvas.alpha(d - _DURA_MM), "ligament")
        canvas.paint(window, canvas.alpha(d), "csf")


def _cord_distance(xyz: tuple[F32, F32, F32], at: dict[str, F32], spine: Spine) -> F32:
    x, y, z = xyz
    tip = conus_z(spine)
    half_width, half_depth = ROOTS.cord_mm
    taper = np.sqrt(np.clip((z - tip) / ROOTS.conus_taper_mm, 0.0, 1.0))
    half_ap = np.maximum(half_depth * taper, 0.05)
    u = (x - at["x_mm"]) / np.maximum(half_width * taper, 0.05)
    v = (y - at["y_mm"] - 0.12 * at["half_ap_mm"]) * at["slope_cos"] / half_ap
    return np.where(z > tip, (np.sqrt(u * u + v * v) - 1.0) * half_ap, FAR_MM)
