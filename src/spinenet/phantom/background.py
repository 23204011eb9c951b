"""Everything around the spine: air, skin, fat, muscle, abdomen and vessels. Painted first; the spine covers it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinenet.phantom.anatomy import Array, Spine
from spinenet.phantom.canvas import Canvas, Window
from spinenet.phantom.shapes import smoothstep

F32 = NDArray[Any]


@dataclass(frozen=True)
class Body:
    """Outlines of the trunk over z (rising): skin at the back, deep fascia, front of the spine, skin of the belly."""

    z_mm: Array
    skin_y_mm: Array
    fascia_y_mm: Array
    spine_front_y_mm: Array
    belly_y_mm: Array
    vessel_x_mm: float
    vessel_radius_mm: float
    bifurcation_z_mm: float

    def at(self, name: str, z_mm: F32) -> F32:
        return np.interp(z_mm, self.z_mm, getattr(self, name)).astype(np.float32)


def spinous_tip(spine: Spine, index: int) -> Array:
    """Where the spinous process of a vertebra ends, LPS mm."""
    body = spine.vertebrae[index]
    root = body.frame.moved(v=body.half_depth + body.canal_ap + 1.0, w=-0.30 * body.height)
    return root.tilted(-body.spinous_tilt_rad).moved(v=body.spinous_length, w=-0.1 * body.spinous_height).center_mm


def make_body(rng: np.random.Generator, spine: Spine) -> Body:
    """Outlines that follow the spine and the person's fat; the back is partly flattened by the table."""
    person = spine.person
    tips = np.array([spinous_tip(spine, i) for i in range(len(spine.vertebrae))])
    sacral = np.array(
        [s.frame.moved(v=0.5 * (s.half_depth_top + s.half_depth_bottom) + 21.0).center_mm for s in spine.sacrum[:4]]
    )
    points = np.vstack([sacral[::-1], tips])[:, 1:]
    points = points[np.argsort(points[:, 1])]
    z = np.arange(-140.0, 400.0, 2.0)
    fascia = _smoothed(np.interp(z, points[:, 1], points[:, 0]), 14.0) + 4.0
    lumbar = np.exp(-np.square((z - 15.0) / 70.0))
    fat = person.subcutaneous_mm * (0.55 + 0.75 * lumbar)
    skin = _smoothed(fascia + fat, 10.0)
    flat = float(np.quantile(skin[(z > -60) & (z < 230)], 0.85))
    skin = np.where(skin > flat, flat + 0.35 * (skin - flat), skin)
    fronts = np.array([v.frame.moved(v=-v.half_depth).center_mm for v in spine.vertebrae])[:, 1:]
    sacral_front = np.array([s.frame.moved(v=-s.half_depth_top).center_mm for s in spine.sacrum])[::-1, 1:]
    line = np.vstack([sacral_front, fronts])
    line = line[np.argsort(line[:, 1])]
    front = _smoothed(np.interp(z, line[:, 1], line[:, 0]), 8.0)
    depth = 75.0 + 2.4 * person.subcutaneous_mm + rng.uniform(-12.0, 25.0)
    belly = _smoothed(front, 60.0) - depth - 12.0 * np.exp(-np.square((z - 60.0) / 90.0))
    return Body(
        z_mm=z,
        skin_y_mm=skin,
        fascia_y_mm=np.minimum(fascia, skin - 3.0),
        spine_front_y_mm=front,
        belly_y_mm=belly,
        vessel_x_mm=float(rng.uniform(4.0, 14.0)),
        vessel_radius_mm=float(rng.uniform(7.0, 10.5)),
        bifurcation_z_mm=float(spine.vertebrae[1].frame.center_mm[2] + rng.uniform(-18.0, 15.0)),
    )


def _smoothed(values: Array, sigma_mm: float) -> Array:
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(values, sigma_mm / 2.0, mode="nearest")


def paint_background(canvas: Canvas, body: Body, spine: Spine, rng: np.random.Generator) -> None:
    """Paint trunk, back muscles, abdomen and great vessels over the whole field of view."""
    window = canvas.grid.whole()
    _, y, z = window.world()
    skin = y - body.at("skin_y_mm", z)
    belly = body.at("belly_y_mm", z) - y
    inside = canvas.alpha(np.maximum(skin, belly))
    texture = canvas.textures
    septa = smoothstep(np.abs(texture.medium), 0.10, 0.02) * (texture.coarse > 0.2)
    gain = 0.97 + 0.035 * texture.fine + 0.05 * texture.coarse - 0.22 * septa
    canvas.paint(window, inside, "fat", gain)
    rim = canvas.alpha(np.abs(np.maximum(skin, belly) + 1.0) - 0.9)
    canvas.paint(window, rim, "muscle", 1.1)
    _paint_abdomen(canvas, window, body, rng)
    _paint_vessels(canvas, window, body)
    _paint_back_muscle(canvas, window, body, spine)


def _paint_abdomen(canvas: Canvas, window: Window, body: Body, rng: np.random.Generator) -> None:
    """Belly wall, bowel loops in fat, and the pelvic organs: organic outlines from noise, deliberately variable."""
    _, y, z = window.world()
    texture = canvas.textures
    front = y - body.at("spine_front_y_mm", z)
    belly = y - body.at("belly_y_mm", z)
    wall = belly - 8.0 - 0.6 * max(float(rng.uniform(6.0, 30.0)), 0.0) - 2.0 * texture.coarse
    canvas.paint(window, canvas.alpha(np.abs(wall) - 4.5), "muscle", 1.0 + 0.12 * texture.medium)
    # peritoneal contents begin some way in front of the spine
    gap = float(rng.uniform(10.0, 24.0))
    room = np.minimum(smoothstep(-front, gap, gap + 14.0), smoothstep(wall, 6.0, 12.0))
    fill = float(rng.uniform(-0.35, 0.55))
    organ = texture.coarse + 0.35 * texture.medium + fill
    loops = smoothstep(organ, 0.30, 0.55) * room
    canvas.paint(window, loops, "bowel", 1.0 + 0.10 * texture.medium + 0.05 * texture.fine)
    lumen = smoothstep(organ, 0.95, 1.25) * room
    canvas.paint(window, lumen * (texture.medium > 0.0), "fluid", 0.75 + 0.15 * texture.medium)
    canvas.paint(window, smoothstep(organ, 1.35, 1.6) * room, "air")
    canvas.paint(window, smoothstep(np.abs(organ - 0.42), 0.10, 0.03) * room * 0.7, "ligament")
    vessels = smoothstep(texture.medium, 2.0, 2.3) * smoothstep(organ, 0.2, -0.1) * smoothstep(-front, 6.0, 12.0)
    canvas.paint(window, vessels * 0.85, "blood")


def _paint_vessels(canvas: Canvas, window: Window, body: Body) -> None:
    """Aorta in front of the spine on the left, cava on the right, iliac vessels below; fast blood is dark."""
    x, y, z = window.world()
    front = body.at("spine_front_y_mm", z) - 3.0
    drift = np.maximum(body.bifurcation_z_mm - z, 0.0)
    radius = body.vessel_radius_mm * (
        1.0 - 0.30 * smoothstep(z, body.bifurcation_z_mm + 3.0, body.bifurcation_z_mm - 5.0)
    )
    forward = 0.12 * drift
    for side in (1.0, -1.0):
        center_x = side * (body.vessel_x_mm + 0.45 * drift)
        depth = radius * (1.0 if side > 0 else 0.75)
        center_y = front - depth - 1.0 - forward + 0.10 * np.maximum(z - 110.0, 0.0) * 0.0
        distance = np.sqrt(np.square((x - center_x) / radius) + np.square((y - center_y) / depth))
        d = (distance - 1.0) * depth
        below = smoothstep(z, -55.0, -35.0)
        canvas.paint(window, canvas.alpha(d - 1.0) * below, "ligament")
        gain = 1.0 + 0.25 * canvas.textures.medium
        canvas.paint(
            window, canvas.alpha(d) * below, "blood" if side > 0 else "muscle", gain * (1.0 if side > 0 else 0.4)
        )


def _paint_back_muscle(canvas: Canvas, window: Window, body: Body, spine: Spine) -> None:
    """Muscle beside the spinous processes, ligament and fat in the midline, under a dark fascia."""
    x, y, z = window.world()
    texture = canvas.textures
    canal = spine.canal.at(z)
    fascia = y - body.at("fascia_y_mm", z)
    start = canal["y_mm"] + canal["half_ap_mm"] + 3.0
    region = np.minimum(smoothstep(y - start, -1.0, 2.0), canvas.alpha(fascia))
    lateral = np.abs(x - canal["x_mm"])
    beside = smoothstep(lateral + 0.8 * texture.coarse, 3.0, 6.5)
    streak = smoothstep(texture.medium + 0.5 * texture.coarse, 0.9, 1.7)
    fat_share = spine.person.muscle_fat * (0.7 + 1.1 * streak) + 0.45 * smoothstep(z, 30.0, -40.0) * streak
    canvas.paint(
        window,
        region * (0.25 + 0.75 * beside),
        "muscle",
        1.0 + 0.06 * texture.fine + 0.08 * texture.medium,
        np.clip(fat_share, 0.0, 0.9),
    )
    middle = region * (1.0 - beside)
    canvas.paint(
        window,
        middle * 0.9,
        "interspinous",
        1.0 + 0.10 * texture.medium + 0.06 * texture.fine,
        np.clip(0.22 * texture.medium + 0.16 * texture.coarse + 0.3 * spine.person.muscle_fat, -0.3, 0.6),
    )
    canvas.paint(window, canvas.alpha(np.abs(fascia + 0.8) - 0.8) * smoothstep(y - start, 4.0, 8.0), "ligament")
