"""The spinal canal: epidural fat, dural sac, fluid, cord and the roots of the cauda equina."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinenet.phantom.anatomy import EPIDURAL_GAP_MM, Canal, Spine
from spinenet.phantom.canvas import Canvas, Grid, Window
from spinenet.phantom.shapes import smoothstep

F32 = NDArray[Any]
_FAR_MM = np.float32(9.0)
_STRANDS = 18


def sac_distance(xyz: tuple[F32, F32, F32], canal: Canal) -> F32:
    """Signed distance to the dural sac in its unobstructed shape, from world coordinates."""
    x, y, z = xyz
    at = canal.at(z)
    half_ap = np.maximum(at["half_ap_mm"], 0.05)
    u = (x - at["x_mm"]) / np.maximum(at["half_width_mm"], 0.05)
    v = (y - at["y_mm"]) * at["slope_cos"] / half_ap
    a2, b2 = u * u, v * v
    q = 0.62 * np.sqrt(a2 + b2) + 0.38 * np.sqrt(np.sqrt(a2 * a2 + b2 * b2))
    return np.where(z < canal.z_mm[0], _FAR_MM, (q - 1.0) * half_ap)


def canal_window(grid: Grid, canal: Canal) -> Window | None:
    """The part of the planes the canal passes through."""
    reach = float(max(canal.half_ap_mm.max() + canal.posterior_fat_mm.max() + 6.0, canal.half_width_mm.max() + 4.0))
    return grid.window(np.column_stack([canal.x_mm, canal.y_mm, canal.z_mm]), reach)


def paint_canal(canvas: Canvas, spine: Spine, rng: np.random.Generator) -> None:
    """Paint the canal and all it holds; discs, ligaments and arches come over it later and narrow it."""
    window = canal_window(canvas.grid, spine.canal)
    if window is None:
        return
    xyz = window.world()
    at = spine.canal.at(xyz[2])
    texture = canvas.textures.within(window)
    fat = _bony_canal_distance(xyz, at, spine.canal)
    canvas.paint(window, canvas.alpha(fat), "fat", 0.92 + 0.07 * texture.medium + 0.03 * texture.fine, -0.12)
    sac = sac_distance(xyz, spine.canal)
    canvas.paint(window, canvas.alpha(sac - 0.45), "ligament")
    strength = float(rng.choice((0.03, 0.03, 0.10, 0.25)))
    dorsal = 1.0 + 0.6 * smoothstep(xyz[1] - at["y_mm"], -3.0, 4.0)
    flow = 1.0 - strength * dorsal * smoothstep(texture.coarse + 0.4 * texture.medium, 0.2, 1.8)
    canvas.paint(window, canvas.alpha(sac), "csf", flow)
    canvas.paint(window, canvas.alpha(sac + 0.6) * _roots(xyz, at, spine, rng), "root")
    cord = _cord_distance(xyz, at, spine)
    canvas.paint(window, canvas.alpha(cord), "cord", 1.0 + 0.03 * texture.fine)


def _bony_canal_distance(xyz: tuple[F32, F32, F32], at: dict[str, F32], canal: Canal) -> F32:
    """Distance to the space fat fills: more behind the sac than in front of it, and below its end."""
    x, y, z = xyz
    half_ap = at["half_ap_mm"] + 0.5 * (EPIDURAL_GAP_MM + at["posterior_fat_mm"])
    center_y = at["y_mm"] + 0.5 * (at["posterior_fat_mm"] - EPIDURAL_GAP_MM)
    u = (x - at["x_mm"]) / (at["half_width_mm"] + 3.5)
    v = (y - center_y) * at["slope_cos"] / half_ap
    return np.where(z < canal.z_mm[0], _FAR_MM, (np.sqrt(u * u + v * v) - 1.0) * half_ap)


def conus_z(spine: Spine) -> float:
    """Height of the tip of the cord, LPS mm."""
    return float(spine.discs[4].frame.center_mm[2] + spine.person.conus_z_mm)


def _roots(xyz: tuple[F32, F32, F32], at: dict[str, F32], spine: Spine, rng: np.random.Generator) -> F32:
    """Share of nerve root in the sac: strands that lie at the back and leave forwards and sideways one by one."""
    x, y, z = xyz
    across = x - at["x_mm"]
    along = (y - at["y_mm"]) * at["slope_cos"]
    tip = conus_z(spine)
    density: F32 = np.zeros(np.broadcast_shapes(across.shape, along.shape), np.float32)
    for _ in range(_STRANDS):
        lateral = float(np.clip(rng.normal(0.0, 0.42), -0.85, 0.85))
        back = float(rng.uniform(0.15, 0.80)) * np.sqrt(1.0 - lateral * lateral)
        wave = float(rng.uniform(0.3, 1.0)) * np.sin(z / float(rng.uniform(14.0, 40.0)) + float(rng.uniform(0.0, 6.3)))
        exit_z = float(rng.uniform(-60.0, tip))
        leave = smoothstep(z, exit_z + 35.0, exit_z)
        v = at["half_ap_mm"] * (back - 0.55 * leave) + wave.astype(np.float32)
        u = (lateral + np.sign(lateral) * 0.9 * leave) * at["half_width_mm"]
        # separable: one exponential a row and column, one a row and slice
        near_u = np.exp(np.square(across - u) * np.float32(-0.30 / 0.55)) * (1.0 - 0.8 * leave)
        density += near_u * np.exp(np.square(along - v) * np.float32(-1.0 / 0.55))
    below = smoothstep(z, tip + 22.0, tip - 6.0)
    return np.clip(density, 0.0, 1.0) * below * 0.75


def _cord_distance(xyz: tuple[F32, F32, F32], at: dict[str, F32], spine: Spine) -> F32:
    x, y, z = xyz
    tip = conus_z(spine)
    taper = np.sqrt(np.clip((z - tip) / 32.0, 0.0, 1.0))
    half_ap = np.maximum(3.3 * taper, 0.05)
    u = (x - at["x_mm"]) / np.maximum(4.4 * taper, 0.05)
    v = (y - at["y_mm"] - 0.12 * at["half_ap_mm"]) * at["slope_cos"] / half_ap
    return np.where(z > tip, (np.sqrt(u * u + v * v) - 1.0) * half_ap, _FAR_MM)
