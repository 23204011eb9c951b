"""The outlines everything around the spine is hung on: skin, fascia, front of the spine, and who has what where."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from spinephantom.shapes.frames import Array, Frame
from spinephantom.shapes.planes import Grid
from spinephantom.shapes.soft import smax
from spinephantom.spine.records import Spine

F32 = NDArray[Any]
_STEP_MM = 0.5
_Z_MM = np.arange(-140.0, 400.0, _STEP_MM)


@dataclass(frozen=True)
class Body:
    """Outlines of the trunk over z (rising, evenly spaced), in LPS mm, and the person's soft parts.

    ``middle_x_mm`` is the midline, ``back_y_mm`` the back of the canal, ``process_y_mm`` the plane of the transverse
    processes. Pairs are (left, right).
    """

    z_mm: Array
    middle_x_mm: Array
    skin_y_mm: Array
    fascia_y_mm: Array
    back_y_mm: Array
    process_y_mm: Array
    spine_middle_y_mm: Array
    spine_front_y_mm: Array
    belly_y_mm: Array
    half_width_mm: float
    fat_mm: float
    bulk: float
    """Size of the muscles relative to the mean."""
    muscle_fat: float
    aorta_x_mm: float
    aorta_radius_mm: float
    bifurcation_z_mm: float
    disc_z_mm: tuple[float, ...]
    """Heights of the discs from L5/S1 upwards."""
    crest_z_mm: tuple[float, float]
    kidney_z_mm: tuple[float, float]
    sacrum: Frame

    def at(self, name: str, z_mm: F32) -> F32:
        """An outline at these heights, to the nearest half millimetre."""
        table = np.asarray(getattr(self, name), np.float32)
        index = np.round((z_mm - np.float32(self.z_mm[0])) * np.float32(1.0 / _STEP_MM)).astype(np.int32)
        return table[np.clip(index, 0, len(table) - 1)]


def spinous_tip(spine: Spine, index: int) -> Array:
    """Where the spinous process of a vertebra ends, LPS mm."""
    body = spine.vertebrae[index]
    root = body.frame.moved(v=body.half_depth + body.canal_ap + 1.0, w=-0.30 * body.height)
    return root.tilted(-body.spinous_tilt_rad).moved(v=body.spinous_length, w=-0.1 * body.spinous_height).center_mm


def _smoothed(values: Array, sigma_mm: float) -> Array:
    return gaussian_filter1d(values, sigma_mm / _STEP_MM, mode="nearest")


def _line(points: Array, column: int) -> Array:
    """One coordinate of points (N, 3) as a function of height."""
    points = points[np.argsort(points[:, 2])]
    return np.interp(_Z_MM, points[:, 2], points[:, column])


def make_body(rng: np.random.Generator, spine: Spine) -> Body:
    """Outlines that follow the spine and the person's fat; the back is partly flattened by the table."""
    person = spine.person
    lumbar = np.exp(-np.square((_Z_MM - 15.0) / 70.0))
    tips = np.array([spinous_tip(spine, i) for i in range(len(spine.vertebrae))])
    sacral = [s.frame.moved(v=0.5 * (s.half_depth_top + s.half_depth_bottom) + 21.0).center_mm for s in spine.sacrum]
    fascia = _smoothed(_line(np.vstack([sacral[:4], tips]), 1), 14.0) + 4.0
    skin = _smoothed(fascia + person.subcutaneous_mm * (0.55 + 0.75 * lumbar), 10.0)
    flat = float(np.quantile(skin[(_Z_MM > -60) & (_Z_MM < 230)], 0.85))
    skin = np.where(skin > flat, flat + 0.35 * (skin - flat), skin)
    fronts = [v.frame.moved(v=-v.half_depth).center_mm for v in spine.vertebrae]
    fronts += [s.frame.moved(v=-s.half_depth_top).center_mm for s in spine.sacrum]
    front = _smoothed(_line(np.array(fronts), 1), 8.0)
    centers = np.array([v.frame.center_mm for v in spine.vertebrae] + [s.frame.center_mm for s in spine.sacrum])
    backs = [v.frame.moved(v=v.half_depth + v.canal_ap).center_mm for v in spine.vertebrae]
    backs += [
        s.frame.moved(v=0.5 * (s.half_depth_top + s.half_depth_bottom) + s.roof_mm).center_mm for s in spine.sacrum
    ]
    processes = [v.frame.moved(v=v.half_depth + 0.45 * v.canal_ap).center_mm for v in spine.vertebrae]
    depth = 75.0 + 2.4 * person.subcutaneous_mm + rng.uniform(-12.0, 25.0)
    crest = float(spine.discs[1].frame.center_mm[2]) + float(rng.normal(-3.0, 6.0))
    kidney = float(spine.discs[4].frame.center_mm[2]) + float(rng.normal(-2.0, 9.0))
    return Body(
        z_mm=_Z_MM,
        middle_x_mm=_smoothed(_line(centers, 0), 6.0),
        skin_y_mm=skin,
        fascia_y_mm=np.minimum(fascia, skin - 3.0),
        back_y_mm=_smoothed(_line(np.array(backs), 1), 4.0),
        process_y_mm=_smoothed(_line(np.array(processes), 1), 6.0),
        spine_middle_y_mm=_smoothed(_line(centers, 1), 6.0),
        spine_front_y_mm=front,
        belly_y_mm=_smoothed(front, 60.0) - depth - 12.0 * np.exp(-np.square((_Z_MM - 60.0) / 90.0)),
        half_width_mm=float(person.scale * (132.0 + rng.normal(0.0, 6.0)) + 1.5 * person.subcutaneous_mm),
        fat_mm=float(person.subcutaneous_mm),
        bulk=float(person.scale * (1.05 if person.sex == "M" else 0.95) * np.clip(rng.normal(1.0, 0.08), 0.8, 1.2)),
        muscle_fat=float(person.muscle_fat),
        aorta_x_mm=float(rng.uniform(6.0, 16.0)),
        aorta_radius_mm=float(rng.uniform(7.5, 10.5)),
        bifurcation_z_mm=float(spine.vertebrae[1].frame.center_mm[2] + rng.uniform(-14.0, 14.0)),
        disc_z_mm=tuple(float(disc.frame.center_mm[2]) for disc in spine.discs),
        crest_z_mm=(crest + float(rng.normal(0.0, 2.0)), crest + float(rng.normal(0.0, 2.0))),
        kidney_z_mm=(kidney + float(rng.uniform(0.0, 12.0)), kidney - float(rng.uniform(0.0, 14.0))),
        sacrum=spine.sacrum[0].frame,
    )


@dataclass(frozen=True)
class Place:
    """Coordinates of the pixels relative to the body: x from the midline, its size ``side``, and y, z in LPS mm.

    ``skin`` is the signed distance to the skin, negative inside.
    """

    body: Body
    x: F32
    side: F32
    y: F32
    z: F32
    skin: F32

    def line(self, name: str) -> F32:
        """An outline of the body at the heights of the pixels."""
        return self.body.at(name, self.z)


def locate(body: Body, grid: Grid) -> Place:
    """Body coordinates of all pixels of a grid."""
    x, y, z = grid.whole().world()
    x = x - body.at("middle_x_mm", z)
    side = np.abs(x)
    # a furrow over the spinous processes, then the back curves forwards
    furrow = 2.0 - 3.0 * np.exp(-np.square(side * np.float32(1.0 / 22.0)))
    round_off = np.square(side * np.float32(1.0 / body.half_width_mm))
    back = y - (body.at("skin_y_mm", z) + furrow - np.float32(0.34 * body.half_width_mm) * round_off * round_off)
    front = body.at("belly_y_mm", z) + np.float32(0.5 * body.half_width_mm) * round_off * round_off - y
    return Place(body, x, side, y, z, np.maximum(smax(back, front, 20.0), side - np.float32(body.half_width_mm)))
