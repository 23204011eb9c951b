"""Everything around the spine, painted first: fat and skin, muscles, vessels, kidneys, bowel and pelvis.

All of it is painted on half the pixels of the images and scaled up: the resolution of the surroundings is that of the
acquired data, and a quarter of the work. The axial anatomy is laid out by side, the distance from the midline.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinephantom.paint import abdomen, pelvis
from spinephantom.paint.canvas import Canvas
from spinephantom.paint.trunk import Body, Place, locate
from spinephantom.physics.texture import Textures, fibres
from spinephantom.shapes.planes import upscaled
from spinephantom.shapes.soft import smax, smin, smoothstep

F32 = NDArray[Any]


def paint_background(canvas: Canvas, body: Body, organs: tuple[abdomen.Organ, ...]) -> None:
    """Paint the surroundings of the spine over the whole field of view."""
    texture = canvas.textures
    fields = (texture.fine, texture.medium, texture.coarse)
    grains = Textures(*(np.ascontiguousarray(field[:, ::2, ::2]) for field in fields))
    coarse = Canvas(canvas.grid.halved(), canvas.signals, grains)
    place = locate(body, coarse.grid)
    _paint_fat(coarse, place)
    abdomen.paint_organs(coarse, place, organs)
    abdomen.paint_vessels(coarse, place)
    _paint_muscles(coarse, place)
    pelvis.paint_pelvis(coarse, place)
    _paint_midline(coarse, place)
    grain = 1.0 + np.float32(0.035) * texture.fine
    for images, halves in ((canvas.water, coarse.water), (canvas.fat, coarse.fat)):
        np.multiply(upscaled(halves, *canvas.grid.shape[1:]), grain, out=images)


def _paint_fat(canvas: Canvas, place: Place) -> None:
    """Skin over fat that septa and a fascia run through."""
    window, texture = canvas.grid.whole(), canvas.textures
    septa = smoothstep(np.abs(texture.medium + 0.5 * texture.coarse), 0.16, 0.03) * smoothstep(
        texture.coarse, -0.8, 0.6
    )
    # the membranous layer halfway between skin and muscle
    layer = np.abs(place.skin + np.float32(0.5 * place.body.fat_mm) + 1.5 * texture.coarse)
    septa = np.maximum(0.8 * septa, 0.6 * smoothstep(layer, 0.9, 0.2))
    gain = 0.98 + 0.06 * texture.coarse - 0.32 * septa
    canvas.paint(window, canvas.alpha(place.skin), "fat", gain)
    canvas.paint(window, canvas.alpha(np.abs(place.skin + 1.0) - 0.9), "muscle", 1.1)


def _back_compartment(place: Place, wobble: F32) -> F32:
    """Distance to the space of the back muscles, between laminae, transverse processes and fascia."""
    body, side = place.body, place.side
    wide = (
        np.float32(74.0 * body.bulk) - 34.0 * smoothstep(place.z, 45.0, -35.0) - 8.0 * smoothstep(place.z, 100.0, 190.0)
    )
    behind = place.y - place.line("fascia_y_mm")
    swell = (side - 0.42 * wide) / wide
    behind = behind - 3.5 + np.where(swell > 0.0, np.float32(52.0), np.float32(26.0)) * swell * swell
    # the floor: laminae near the midline, transverse processes further out
    floor = (
        place.line("back_y_mm")
        - 2.0
        - (place.line("back_y_mm") - place.line("process_y_mm")) * smoothstep(side, 12.0, 26.0)
    )
    # fat parts them from the joints; further out they reach forwards, and draw back where they end
    beside = np.square(np.maximum(1.0 - np.square((side - 21.0) * np.float32(1.0 / 11.0)), 0.0))
    floor = (
        floor
        + (10.5 + 2.0 * wobble) * beside
        - 3.0 * smoothstep(side, 28.0, 34.0)
        + 14.0 * smoothstep(side, 36.0, 62.0)
    )
    before = floor - place.y + 2.6 * wobble
    return smax(smax(behind, before, 5.0), side - wide, 24.0) + 0.6 * wobble


def _back_muscles(place: Place, canvas: Canvas) -> tuple[F32, F32, F32]:
    """Distance to the muscles with the clefts between them, to multifidus, and to the whole compartment."""
    body, side, z = place.body, place.side, place.z
    texture = canvas.textures
    whole = _back_compartment(place, texture.coarse)
    depth = place.line("fascia_y_mm") - place.y
    # multifidus grows and iliocostalis shrinks towards the sacrum
    first = 15.0 + 17.0 * smoothstep(z, 130.0, 10.0) + 0.22 * (depth - 18.0) + 1.2 * texture.coarse
    second = 48.0 - 4.0 * smoothstep(z, 60.0, 0.0) + 0.35 * (depth - 15.0) + 1.8 * texture.coarse
    first, second = first * body.bulk + 1.2 * texture.medium, second * body.bulk + 1.2 * texture.medium
    multifidus = smax(whole, side - first, 6.0)
    # the inner cleft is always there, the outer one only in places
    gap = np.maximum(0.1 + 2.2 * body.muscle_fat + 0.45 * texture.medium, 0.0)
    faint = np.maximum(1.6 * body.muscle_fat - 0.5 + 0.45 * texture.medium + 0.5 * texture.coarse, 0.0)
    inner = np.abs(side - first) - gap
    outer = np.maximum(np.abs(side - second) - faint, first - side)
    split = np.maximum(whole + 0.4, -np.minimum(inner, outer))
    return split, multifidus, whole


def _paint_muscles(canvas: Canvas, place: Place) -> None:
    """Back muscles with clefts and fat, psoas, quadratus lumborum, belly wall, each within its fascia."""
    window, texture, body = canvas.grid.whole(), canvas.textures, place.body
    split, multifidus, whole = _back_muscles(place, canvas)
    # fat comes in streaks and lobules, first deep and medially, and spares the fibres between them
    deep = smoothstep(multifidus, 2.0, -7.0) * smoothstep(place.z, 120.0, -30.0)
    share = body.muscle_fat * (0.35 + 1.5 * deep)
    noise = 0.8 * texture.medium + 0.45 * texture.fine + 0.6 * texture.coarse
    lobules = smoothstep(noise - 2.2 + 4.4 * share, 0.0, 0.7)
    strands = smoothstep(np.abs(noise + 0.3), 0.03 + 0.5 * share, 0.0) * smoothstep(texture.coarse, -0.6, 0.8)
    feathers = smoothstep(_feathers(place, canvas) + 0.3 * texture.fine - 1.5 + 2.6 * share, 0.0, 0.9)
    fat = np.clip(0.3 * share + 0.5 * lobules + 0.35 * strands + 0.75 * feathers, 0.0, 0.9)
    gain = 1.0 + 0.07 * texture.medium + 0.05 * texture.coarse
    canvas.paint(window, canvas.alpha(split), "muscle", gain, fat)
    # vessels run in the clefts
    vessel = canvas.alpha(whole + 3.0) * smoothstep(split, -1.0, 0.4) * smoothstep(texture.medium, 1.3, 1.9)
    canvas.paint(window, 0.8 * vessel, "vein")
    fascia = canvas.alpha(np.abs(whole - 0.4) - 0.5) * smoothstep(place.y - place.line("process_y_mm"), 8.0, 14.0)
    canvas.paint(window, 0.85 * fascia, "ligament")
    # fat parts them from the back muscles
    others = smin(_psoas(place), _quadratus(place), 1.0) + 1.4 * texture.coarse + 0.5 * texture.medium
    others = np.maximum(others, 1.6 + 0.5 * texture.medium - whole)
    canvas.paint(window, canvas.alpha(others), "muscle", gain, 0.25 * fat)
    # the belly wall lies inside the fat, down to the lateral edge of quadratus
    depth = np.float32(0.7 * body.fat_mm + 6.0)
    wall = np.abs(place.skin + depth + 5.0 + 1.5 * texture.coarse) - 4.5
    behind = place.y - place.line("process_y_mm") - 4.0
    layers = 1.0 - 0.5 * smoothstep(np.abs(wall + 4.5 - 0.4 * texture.coarse), 0.9, 0.2)
    canvas.paint(window, canvas.alpha(np.maximum(wall, behind)), "muscle", gain * layers)


def _feathers(place: Place, canvas: Canvas) -> F32:
    """Noise in sheets that run back and outwards from the laminae, as the fat between bundles of the muscles does."""
    depth = place.y - place.line("back_y_mm")
    turn = np.float32(0.0007) * np.square(place.side - 20.0)
    across = 0.93 * place.side - 0.36 * depth + turn * depth
    along = 0.36 * place.side + 0.93 * depth
    # both sides have sheets of their own
    side = np.where(place.x > 0.0, np.float32(0.0), np.float32(31.0))
    return fibres(
        [2.0 * across + side, 0.4 * along + side, 0.22 * place.z + 3.0 * place.body.aorta_x_mm], canvas.grid.shape
    )


def _psoas(place: Place) -> F32:
    """Distance to psoas: slim beside L1, thick at L4/5, then forwards and outwards over the brim of the pelvis."""
    body = place.body
    low, high = body.disc_z_mm[0], body.disc_z_mm[4]
    t = (high + 6.0 - place.z) * np.float32(1.0 / (high - low))
    grown = np.clip(t, 0.0, 1.0)
    half_u = np.float32(body.bulk) * (5.0 + 14.5 * grown)
    half_v = np.float32(body.bulk) * (9.0 + 14.0 * grown)
    beyond = np.maximum(t - 0.95, 0.0) * 60.0
    at_u = 17.0 + 3.5 * grown + half_u + 0.55 * beyond
    at_v = place.line("spine_middle_y_mm") + 9.0 - 8.0 * grown - 0.5 * beyond * smoothstep(t, 0.9, 1.3)
    a, b = (place.side - at_u) / half_u, (place.y - at_v) / half_v
    distance = (np.sqrt(a * a + b * b + 0.3 * a * b) - 1.0) * half_u
    return np.where(t < 0.02, np.float32(8.0), distance)


def _quadratus(place: Place) -> F32:
    """Distance to quadratus lumborum: a strap from the twelfth rib to the iliac crest, lateral to the processes."""
    body = place.body
    at_u = 58.0 * body.bulk + 8.0 * smoothstep(place.z, body.disc_z_mm[4], body.disc_z_mm[1])
    at_v = place.line("process_y_mm") - 3.0 - 0.16 * (place.side - at_u)
    a, b = (place.side - at_u) * np.float32(1.0 / (19.0 * body.bulk)), (place.y - at_v) * np.float32(1.0 / 7.5)
    inside = (np.sqrt(a * a + b * b) - 1.0) * 7.5
    crest = np.where(place.x > 0.0, np.float32(body.crest_z_mm[0]), np.float32(body.crest_z_mm[1]))
    return np.maximum(inside, np.maximum(crest - 4.0 - place.z, place.z - np.float32(body.disc_z_mm[4] + 30.0)))


def _paint_midline(canvas: Canvas, place: Place) -> None:
    """Ligament and fat between the spinous processes, and the dark band over their tips."""
    window, texture = canvas.grid.whole(), canvas.textures
    behind = place.y - place.line("back_y_mm")
    before = place.y - place.line("fascia_y_mm") - 1.0
    narrow = smoothstep(place.side + 0.8 * texture.coarse, 5.0, 2.6)
    middle = narrow * smoothstep(behind, -2.0, 1.0) * canvas.alpha(before)
    fat = 0.10 * texture.medium + 0.14 * texture.coarse + 0.5 * place.body.muscle_fat + 0.1
    canvas.paint(window, 0.92 * middle, "interspinous", 0.8 + 0.10 * texture.medium, np.clip(fat, -0.3, 0.6))
    band = canvas.alpha(np.abs(before + 1.2) - 1.1) * smoothstep(place.side, 9.0, 5.0)
    canvas.paint(window, 0.9 * band, "ligament")
