"""Everything around the spine: air, skin, fat, muscle, abdomen and vessels. Painted first; the spine covers it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinenet.phantom.anatomy import Array, Spine
from spinenet.phantom.canvas import Canvas, Window
from spinenet.phantom.shapes import ellipsoid, smoothstep

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
        vessel_x_mm=float(rng.uniform(5.0, 17.0)),
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


@dataclass(frozen=True)
class _Organ:
    """A loop of bowel or another organ in front of the spine: place, half axes and content."""

    center_mm: tuple[float, float, float]
    radii_mm: tuple[float, float, float]
    content: str
    wall: str
    gain: float


def _organs(rng: np.random.Generator, body: Body) -> list[_Organ]:
    """Bowel loops and vessels in the mesentery; bladder and rectum in the pelvis. Sizes and numbers vary freely."""
    organs = []
    for _ in range(int(rng.integers(14, 34))):
        z = float(rng.uniform(-60.0, 250.0))
        front = float(np.interp(z, body.z_mm, body.spine_front_y_mm)) - 26.0
        belly = float(np.interp(z, body.z_mm, body.belly_y_mm)) + 26.0
        y = belly + (front - belly) * float(rng.uniform(0.0, 1.0))
        radius = float(rng.uniform(6.0, 15.0))
        content = str(rng.choice(("bowel", "bowel", "fluid", "air", "bowel")))
        shape = (3.0 * radius, radius * float(rng.uniform(0.8, 1.7)), radius * float(rng.uniform(0.8, 1.8)))
        organs.append(
            _Organ((float(rng.uniform(-25, 25)), y, z), shape, content, "bowel", float(rng.uniform(0.6, 1.2)))
        )
    for _ in range(int(rng.integers(10, 30))):
        z = float(rng.uniform(-40.0, 250.0))
        y = float(np.interp(z, body.z_mm, body.spine_front_y_mm)) - float(rng.uniform(8.0, 60.0))
        radius = float(rng.uniform(1.2, 3.2))
        shape = (2.0 * radius, radius, radius * float(rng.uniform(1.0, 2.5)))
        organs.append(_Organ((float(rng.uniform(-9, 9)), y, z), shape, "blood", "ligament", 1.0))
    sacrum = float(np.interp(-50.0, body.z_mm, body.spine_front_y_mm))
    rectum = (sacrum - float(rng.uniform(12.0, 24.0)), float(rng.uniform(-85.0, -55.0)))
    rectum_content = str(rng.choice(("bowel", "air", "bowel")))
    organs.append(_Organ((0.0, *rectum), (20.0, 11.0, 24.0), rectum_content, "muscle", float(rng.uniform(0.5, 1.0))))
    bladder = (sacrum - float(rng.uniform(55.0, 80.0)), float(rng.uniform(-105.0, -70.0)))
    organs.append(_Organ((0.0, *bladder), (32.0, 26.0, 22.0), "fluid", "muscle", 1.2))
    return organs


def _paint_abdomen(canvas: Canvas, window: Window, body: Body, rng: np.random.Generator) -> None:
    """Belly wall, mesenteric fat with bowel and vessels, pelvic organs."""
    _, y, z = window.world()
    texture = canvas.textures
    belly = y - body.at("belly_y_mm", z)
    wall = belly - 6.0 - float(rng.uniform(4.0, 26.0)) - 2.0 * texture.coarse
    canvas.paint(window, canvas.alpha(np.abs(wall) - 4.5), "muscle", 1.0 + 0.12 * texture.medium)
    mesentery = smoothstep(y - body.at("spine_front_y_mm", z), -8.0, -22.0) * smoothstep(wall, 3.0, 9.0)
    canvas.paint(window, 0.35 * mesentery * smoothstep(texture.coarse + 0.4 * texture.medium, -0.6, 1.2), "bowel")
    for organ in _organs(rng, body):
        part = canvas.grid.window(np.array(organ.center_mm), 1.5 * max(organ.radii_mm[1:]) + 4.0)
        if part is None:
            continue
        grain = canvas.textures.within(part)
        offsets = [axis - np.float32(c) for axis, c in zip(part.world(), organ.center_mm, strict=True)]
        d = ellipsoid(offsets[0], offsets[1], offsets[2], organ.radii_mm)
        size = min(organ.radii_mm[1:])
        d = d + np.float32(0.16 * size) * grain.coarse + np.float32(0.05 * size) * grain.medium
        inside = smoothstep(np.broadcast_to(wall, canvas.grid.shape)[part.index], 1.0, 4.0)
        canvas.paint(part, canvas.alpha(d) * inside, organ.wall, 1.0 + 0.10 * grain.medium)
        lining = canvas.alpha(d + 0.18 * size + 0.4) * inside
        canvas.paint(part, lining, organ.content, organ.gain * (1.0 + 0.15 * grain.medium + 0.05 * grain.fine))


def _paint_vessels(canvas: Canvas, window: Window, body: Body) -> None:
    """Aorta in front of the spine on the left, cava on the right, iliac vessels below; fast blood is dark."""
    x, y, z = window.world()
    front = body.at("spine_front_y_mm", z) - 3.0
    drift = np.clip(body.bifurcation_z_mm - z, 0.0, 60.0)
    radius = body.vessel_radius_mm * (
        1.0 - 0.30 * smoothstep(z, body.bifurcation_z_mm + 3.0, body.bifurcation_z_mm - 5.0)
    )
    forward = 0.12 * drift
    for side in (1.0, -1.0):
        center_x = side * (body.vessel_x_mm + 0.016 * drift * drift)
        depth = radius * (1.0 if side > 0 else 0.75)
        center_y = front - depth - 1.0 - forward
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
        np.clip(0.10 * texture.medium + 0.14 * texture.coarse + 0.5 * spine.person.muscle_fat + 0.1, -0.3, 0.6),
    )
    canvas.paint(window, canvas.alpha(np.abs(fascia + 0.8) - 0.8) * smoothstep(y - start, 4.0, 8.0), "ligament")
