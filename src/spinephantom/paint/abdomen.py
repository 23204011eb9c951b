"""What lies in front of the spine and beside it: vessels, kidneys, bowel in all its variety, pelvic organs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinephantom.paint.canvas import Canvas
from spinephantom.paint.trunk import Body, Place
from spinephantom.shapes.distances import ellipsoid
from spinephantom.shapes.soft import smoothstep

F32 = NDArray[Any]


@dataclass(frozen=True)
class Organ:
    """A loop of bowel or another organ: place, half axes, content, and how uneven its outline is."""

    center_mm: tuple[float, float, float]
    radii_mm: tuple[float, float, float]
    content: str
    wall: str
    gain: float
    wall_mm: float = 1.6
    uneven: float = 0.16
    level: float = 9.0
    """Fluid below gas: share of the half depth above which (to the front) there is gas; 9: none."""


def _bowel(rng: np.random.Generator, body: Body) -> list[Organ]:
    """Loops of small bowel in clusters that share their content."""
    organs = []
    for _ in range(int(rng.integers(24, 46))):
        at = np.array([rng.uniform(-85.0, 85.0), rng.uniform(0.0, 1.0), rng.uniform(-60.0, 250.0)])
        content, radius = str(rng.choice(("bowel", "bowel", "fluid", "stool", "air"))), float(rng.uniform(7.0, 13.0))
        for _ in range(int(rng.integers(2, 7))):
            x, share, z = (float(value) for value in at + rng.normal(0.0, 1.0, 3) * np.array([18.0, 0.15, 18.0]))
            front = float(np.interp(z, body.z_mm, body.spine_front_y_mm)) - 20.0 - radius
            belly = float(np.interp(z, body.z_mm, body.belly_y_mm)) + 24.0 + radius
            y = belly + (front - belly) * float(np.clip(share, 0.0, 1.0))
            level = float(rng.uniform(-0.6, 0.6)) if content == "fluid" and rng.random() < 0.3 else 9.0
            look = (content, "bowel", float(rng.uniform(0.6, 1.2)), float(rng.uniform(1.0, 2.4)))
            organs.append(Organ((x, y, z), _radii(rng, radius, 0.7, 1.9), *look, level=level))
    return organs


def _radii(rng: np.random.Generator, radius: float, low: float, high: float) -> tuple[float, float, float]:
    u, v, w = (float(value) for value in radius * rng.uniform(low, high, 3))
    return u, v, w


def _colon(rng: np.random.Generator, body: Body) -> list[Organ]:
    """Ascending and descending colon on the flanks, pouch by pouch."""
    organs = []
    for sign in (1.0, -1.0):
        for z in np.arange(-30.0, 190.0, 21.0) + float(rng.uniform(-8.0, 8.0)):
            y = float(np.interp(z, body.z_mm, body.spine_front_y_mm)) + float(rng.normal(4.0, 5.0))
            shape = (float(rng.uniform(13.0, 22.0)), float(rng.uniform(12.0, 20.0)), float(rng.uniform(11.0, 16.0)))
            content = str(rng.choice(("stool", "stool", "air", "bowel")))
            center = (sign * float(rng.normal(94.0, 4.0)), y, float(z))
            organs.append(Organ(center, shape, content, "bowel", float(rng.uniform(0.5, 1.1)), 2.2, 0.22))
    return organs


def _small_vessels(rng: np.random.Generator, body: Body) -> list[Organ]:
    """Vessels and nodes in the retroperitoneal and mesenteric fat."""
    organs = []
    for _ in range(int(rng.integers(40, 80))):
        z = float(rng.uniform(-50.0, 240.0))
        y = float(np.interp(z, body.z_mm, body.spine_front_y_mm)) - float(rng.uniform(-12.0, 60.0))
        x = float(rng.uniform(14.0, 75.0) * rng.choice((-1.0, 1.0))) if y > -10.0 else float(rng.uniform(-60.0, 60.0))
        radius = float(rng.uniform(0.9, 2.8))
        shape = _radii(rng, radius, 1.0, 3.0)
        content = str(rng.choice(("blood", "vein", "muscle")))
        organs.append(Organ((x, y, z), shape, content, "ligament", 1.0, 0.5))
    return organs


def _pelvic(rng: np.random.Generator, body: Body) -> list[Organ]:
    """Rectum and bladder."""
    sacrum = float(np.interp(-50.0, body.z_mm, body.spine_front_y_mm))
    rectum = (0.0, sacrum - float(rng.uniform(12.0, 24.0)), float(rng.uniform(-85.0, -55.0)))
    bladder = (0.0, sacrum - float(rng.uniform(55.0, 80.0)), float(rng.uniform(-105.0, -70.0)))
    content = str(rng.choice(("stool", "air", "bowel")))
    return [
        Organ(rectum, (20.0, 11.0, 24.0), content, "muscle", float(rng.uniform(0.5, 1.0)), 2.4),
        Organ(bladder, (32.0, 26.0, 22.0), "fluid", "muscle", 1.2, 2.4, 0.05),
    ]


def make_organs(rng: np.random.Generator, body: Body) -> tuple[Organ, ...]:
    """Bowel, small vessels and pelvic organs of one person."""
    return (*_bowel(rng, body), *_colon(rng, body), *_small_vessels(rng, body), *_pelvic(rng, body))


def paint_organs(canvas: Canvas, place: Place, organs: tuple[Organ, ...]) -> None:
    """Septa of the retroperitoneal fat, then bowel, small vessels, pelvic organs and kidneys."""
    body, texture, window = place.body, canvas.textures, canvas.grid.whole()
    before = place.line("spine_front_y_mm") + 0.25 * np.maximum(place.side - 22.0, 0.0) - place.y
    cavity = smoothstep(place.skin, -0.7 * body.fat_mm - 10.0, -0.7 * body.fat_mm - 20.0)
    strands = smoothstep(np.abs(texture.medium - 0.3 * texture.coarse), 0.14, 0.03) * smoothstep(before, -12.0, 0.0)
    canvas.paint(window, 0.45 * cavity * strands, "muscle")
    haze = smoothstep(before, 8.0, 24.0) * smoothstep(texture.coarse + 0.4 * texture.medium, 0.0, 1.6)
    canvas.paint(window, 0.4 * cavity * haze, "bowel")
    offset = canvas.grid.indices(np.array([organ.center_mm for organ in organs]))[:, 0]
    first, last = canvas.grid.offsets_mm[0], canvas.grid.offsets_mm[-1]
    for organ, at in zip(organs, offset, strict=True):
        # most of them lie beside a thin stack
        if first - _reach(organ) <= at <= last + _reach(organ):
            _paint_organ(canvas, place, organ)
    _paint_kidneys(canvas, place)


def _reach(organ: Organ) -> float:
    return 1.3 * max(organ.radii_mm) + 3.0


def _paint_organ(canvas: Canvas, place: Place, organ: Organ) -> None:
    part = canvas.grid.window(np.array(organ.center_mm), _reach(organ))
    if part is None:
        return
    grain = canvas.textures.within(part)
    x, y, z = (axis - np.float32(c) for axis, c in zip(part.world(), organ.center_mm, strict=True))
    size = np.float32(min(organ.radii_mm))
    d = ellipsoid(x, y, z, organ.radii_mm) + organ.uneven * size * grain.coarse + 0.05 * size * grain.medium
    # loops keep inside the belly wall
    skin = np.broadcast_to(place.skin, canvas.grid.shape)[part.index]
    d = np.maximum(d, skin + np.float32(0.7 * place.body.fat_mm + 14.0))
    canvas.paint(part, canvas.alpha(d), organ.wall, 1.0 + 0.10 * grain.medium)
    lining = canvas.alpha(d + organ.wall_mm * (1.0 + 0.35 * grain.medium))
    canvas.paint(part, lining, organ.content, organ.gain * (1.0 + 0.16 * grain.medium + 0.1 * grain.coarse))
    if organ.level < 1.0:
        gas = canvas.alpha(y - np.float32(organ.level * organ.radii_mm[1]))
        canvas.paint(part, lining * gas, "air")


def _paint_kidneys(canvas: Canvas, place: Place) -> None:
    """Kidneys beside psoas: cortex, pyramids and a sinus of fat, in a capsule of fat within a fascia."""
    body, texture = place.body, canvas.textures
    for sign, middle in zip((1.0, -1.0), body.kidney_z_mm, strict=True):
        center = np.array([sign * 60.0, float(np.interp(middle, body.z_mm, body.spine_middle_y_mm)) + 4.0, middle])
        part = canvas.grid.window(center, 62.0)
        if part is None:
            continue
        grain = texture.within(part)
        x, y, z = (axis - np.float32(c) for axis, c in zip(part.world(), center, strict=True))
        # the lower pole lies further out and further forwards
        u, v = sign * x + 0.18 * z, y - 0.12 * z
        d = ellipsoid(u + 0.4 * v, v - 0.25 * u, z, (25.0, 27.0, 52.0)) + 0.8 * grain.coarse
        canvas.paint(part, 0.6 * canvas.alpha(np.abs(d - 9.0 - 1.5 * grain.coarse) - 0.5), "ligament")
        canvas.paint(part, canvas.alpha(d), "kidney", 1.0 + 0.05 * grain.medium + 0.04 * grain.coarse)
        pyramids = smoothstep(d, -4.0, -7.0) * smoothstep(grain.medium + 0.8 * grain.coarse, -0.1, 0.5)
        canvas.paint(part, 0.7 * pyramids, "kidney", 1.22)
        sinus = ellipsoid(u + 12.0, v + 3.0, z, (16.0, 10.0, 27.0)) + 2.2 * grain.medium + 1.5 * grain.coarse
        canvas.paint(part, canvas.alpha(sinus), "fat", 0.95)
        canvas.paint(part, canvas.alpha(sinus + 5.0 + 2.5 * grain.medium), "fluid", 0.8)


def paint_vessels(canvas: Canvas, place: Place) -> None:
    """Aorta in front of the spine on the left, cava on the right, iliac vessels below; fast blood is dark."""
    body, texture, window = place.body, canvas.textures, canvas.grid.whole()
    front = place.line("spine_front_y_mm") - 2.0
    drift = np.clip(body.bifurcation_z_mm - place.z, 0.0, 75.0)
    below = smoothstep(place.z, -65.0, -45.0)
    branch = smoothstep(place.z, body.bifurcation_z_mm + 4.0, body.bifurcation_z_mm - 6.0)
    gain = 1.0 + 0.25 * texture.medium
    # side, place above the bifurcation, radii above, content: the artery lies in front of its vein below
    vessels = (
        (1.0, body.aorta_x_mm, 1.0, 1.0, "blood", 0.0),
        (-1.0, body.aorta_x_mm + 4.0, 1.15, 0.75, "slow_blood", 0.0),
        (-1.0, -4.0, 0.0, 0.0, "blood", 7.0),
        (1.0, -1.0, 0.0, 0.0, "slow_blood", -5.0),
    )
    for sign, at, wide, deep, content, ahead in vessels:
        radius_u = body.aorta_radius_mm * (wide + (0.62 - wide) * branch)
        radius_v = body.aorta_radius_mm * (deep + (0.60 - deep) * branch)
        center_x = sign * (at + 0.011 * drift * drift + 0.05 * drift)
        center_y = front - np.maximum(radius_v, 1.0) - 0.10 * drift - ahead * branch + 0.004 * drift * drift
        a = (place.x - center_x) / np.maximum(radius_u, 0.3)
        b = (place.y - center_y) / np.maximum(radius_v, 0.3)
        d = (np.sqrt(a * a + b * b) - 1.0) * np.maximum(radius_v, 0.3) + 0.4 * texture.coarse
        canvas.paint(window, canvas.alpha(d - 0.9) * below, "ligament")
        canvas.paint(window, canvas.alpha(d) * below, content, gain)
