"""Wings of the sacrum, sacroiliac joints, iliac bones and the muscles on both sides of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinephantom.paint.canvas import Canvas
from spinephantom.paint.trunk import Place
from spinephantom.shapes.soft import smax, smoothstep

F32 = NDArray[Any]
_JOINT_U_MM = 51.0
"""Where the sacroiliac joint crosses the plane of the front of the sacral canal, from the midline."""
_SLANT = -0.42
"""How much nearer to the midline the joint comes with each mm towards the back."""


def paint_pelvis(canvas: Canvas, place: Place) -> None:
    """Paint the pelvis, from its muscles to its joints."""
    body = place.body
    reach = max(body.crest_z_mm) + 6.0
    if float(place.z.min()) > reach:
        return
    window, texture = canvas.grid.whole(), canvas.textures
    offsets = (place.x, place.y - np.float32(body.sacrum.center_mm[1]), place.z - np.float32(body.sacrum.center_mm[2]))
    _, v_axis, w_axis = body.sacrum.axes.T
    v = np.float32(v_axis[1]) * offsets[1] + np.float32(v_axis[2]) * offsets[2]
    w = np.float32(w_axis[1]) * offsets[1] + np.float32(w_axis[2]) * offsets[2]
    joint = place.side - (_JOINT_U_MM + _SLANT * v + 0.10 * w) + 0.7 * texture.coarse + 0.3 * texture.medium
    ilium = _ilium(place, joint)
    gain = 1.0 + 0.07 * texture.medium
    streak = smoothstep(texture.medium + 0.6 * texture.coarse, 1.0, 1.8)
    fat = np.clip(0.6 * body.muscle_fat + 0.5 * streak, 0.0, 0.9)
    _paint_muscles_of_the_hip(canvas, place, ilium, (gain, fat))
    marrow_gain = 1.0 + 0.06 * texture.medium + 0.05 * texture.coarse
    marrow_fat = 0.06 * texture.medium + 0.08 * texture.coarse + 0.06
    ala = _ala(place.side, v, w, joint) + 0.5 * texture.medium
    for d in (ala, ilium):
        canvas.paint(window, canvas.alpha(d), "cortical")
        canvas.paint(window, canvas.alpha(d + 1.1), "marrow", marrow_gain, marrow_fat)
    # nerve roots leave through the foramina between the wings and the bodies, in fat
    for height in (-13.0, -38.0):
        hole = np.sqrt(np.square(place.side - 23.0) + np.square(v - 1.0) + 0.7 * np.square(w - height)) - 6.0
        canvas.paint(window, canvas.alpha(hole), "fat", 0.9)
        canvas.paint(window, canvas.alpha(hole + 3.4), "root")


def _ala(side: F32, v: F32, w: F32, joint: F32) -> F32:
    """Distance to the wing of the sacrum: from the bodies to the joint, sloping down and back outwards."""
    top = w - (13.0 - 0.22 * np.maximum(side - 20.0, 0.0))
    front = -(v + 9.0 - 0.10 * np.maximum(side - 20.0, 0.0))
    back = v - (19.0 - 0.20 * np.abs(side - 24.0)) - 0.12 * w
    ends = np.maximum(top, -52.0 - w)
    body = smax(smax(front, back, 6.0), ends, 5.0)
    return smax(smax(body, joint + 1.4, 1.5), 17.0 - side, 3.0)


def _ilium(place: Place, joint: F32) -> F32:
    """Distance to the iliac bone: thick behind the joint, a thin wing further out, ending at the crest."""
    body, side = place.body, place.side
    crest = np.where(place.x > 0.0, np.float32(body.crest_z_mm[0]), np.float32(body.crest_z_mm[1]))
    top = place.z - (crest - 0.012 * np.square(side - 78.0))
    # the plane of the wing runs forwards and outwards from the posterior spine of the ilium
    root_y = np.float32(float(np.interp(-10.0, body.z_mm, body.back_y_mm))) + 12.0
    along = 0.74 * (side - 44.0) - 0.67 * (place.y - root_y)
    across = 0.67 * (side - 44.0) + 0.74 * (place.y - root_y)
    half = 3.2 + 5.5 * np.exp(-np.square((along - 16.0) * np.float32(1.0 / 22.0))) + 2.5 * smoothstep(top, -14.0, -2.0)
    wing = smax(np.abs(across + 0.0011 * np.square(along - 40.0)) - half, -8.0 - along, 4.0)
    return smax(smax(wing, top, 4.0), 1.2 - joint, 1.5)


def _paint_muscles_of_the_hip(canvas: Canvas, place: Place, ilium: F32, look: tuple[F32, F32]) -> None:
    """Iliacus inside the wing, gluteal muscles outside it."""
    body, window = place.body, canvas.grid.whole()
    gain, fat = look
    crest = np.float32(min(body.crest_z_mm))
    root_y = np.float32(float(np.interp(-10.0, body.z_mm, body.back_y_mm))) + 12.0
    across = 0.67 * (place.side - 44.0) + 0.74 * (place.y - root_y)
    inner = smax(smax(np.abs(across + 11.0) - 8.0, 62.0 - place.side, 6.0), place.z - crest + 8.0, 6.0)
    outer = smax(smax(6.0 - across, place.skin + np.float32(0.9 * body.fat_mm + 6.0), 6.0), place.z - crest + 6.0, 6.0)
    outer = smax(outer, 48.0 - place.side - 0.25 * (crest - place.z), 6.0)
    for d in (inner, outer):
        canvas.paint(window, canvas.alpha(d + 0.8 * canvas.textures.coarse), "muscle", gain, fat)
    canvas.paint(window, 0.7 * canvas.alpha(np.abs(outer) - 0.5), "ligament")
