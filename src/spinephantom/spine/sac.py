"""The dural sac: its line along the spine, its cross section, and where the cord ends."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from spinephantom.patient.person import Person
from spinephantom.shapes.frames import Array
from spinephantom.shapes.soft import smoothstep
from spinephantom.spine.records import Canal, Disc, SacralSegment, Spine, Vertebra
from spinephantom.spine.sizes import SAC

F32 = NDArray[Any]
FAR_MM = np.float32(9.0)
_STEP_MM = 0.5


def build_canal(
    person: Person, discs: tuple[Disc, ...], vertebrae: tuple[Vertebra, ...], sacrum: tuple[SacralSegment, ...]
) -> Canal:
    """The sac behind bodies and discs, down to its tip in the sacrum."""
    points = _points(person, discs, vertebrae, sacrum)
    points = points[np.concatenate([[True], np.diff(points[:, 2]) > 1.0])]
    z = np.arange(points[0, 2], points[-1, 2], _STEP_MM)
    columns = _monotone(points[:, 2], points[:, [0, 1, 3, 4, 5, 6, 7, 8]], z)
    # the sac is a tube under tension: it does not follow every step of the wall
    columns[:, :2] = gaussian_filter1d(columns[:, :2], 4.0 / _STEP_MM, axis=0, mode="nearest")
    slope = np.gradient(columns[:, 1], z)
    # the sac tapers to a tip
    taper = np.sqrt(np.clip((z - _end_z(person, sacrum)) / 14.0, 0.0, 1.0))
    # fat presses from L2 downwards
    fatty = smoothstep(z, float(discs[3].frame.center_mm[2]), float(discs[2].frame.center_mm[2]) - 15.0)
    return Canal(
        z_mm=z,
        x_mm=columns[:, 0],
        y_mm=columns[:, 1],
        half_ap_mm=columns[:, 2] * taper,
        half_width_mm=columns[:, 3] * taper,
        posterior_fat_mm=columns[:, 4],
        front_fat_mm=columns[:, 5],
        triangle=columns[:, 6],
        squeeze_mm=person.lipomatosis_mm * fatty * taper,
        pad_mm=columns[:, 7] * taper,
        slope_cos=1.0 / np.sqrt(1.0 + slope**2),
    )


def _monotone(x: Array, values_NC: Array, at: Array) -> Array:
    """Columns on a smooth curve that overshoots no point (Fritsch and Butland 1984), as SciPy's PCHIP, whose import
    takes 23 MB."""
    step = np.diff(x)[:, None]
    rise = np.diff(values_NC, axis=0) / step
    slope = np.vstack([rise[:1], np.zeros_like(rise[1:]), rise[-1:]])
    before, after = 2.0 * step[1:] + step[:-1], step[1:] + 2.0 * step[:-1]
    turns = rise[:-1] * rise[1:] <= 0.0
    mean = (before + after) / (before / np.where(turns, 1.0, rise[:-1]) + after / np.where(turns, 1.0, rise[1:]))
    slope[1:-1] = np.where(turns, 0.0, mean)
    piece = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 2)
    t = ((at - x[piece]) / step[piece, 0])[:, None]
    low, high, size = values_NC[piece], values_NC[piece + 1], step[piece]
    bent = size * ((1.0 - t) * (slope[piece] - rise[piece]) + t * (rise[piece] - slope[piece + 1]))
    curve: Array = low + t * (high - low) + t * (1.0 - t) * bent
    return curve


def _points(
    person: Person, discs: tuple[Disc, ...], vertebrae: tuple[Vertebra, ...], sacrum: tuple[SacralSegment, ...]
) -> Array:
    """Rows of x, y, z, half AP, half width, fat behind and in front, triangle, pad: discs, bodies, sacral borders."""
    fat = person.sac_posterior_fat_mm
    rows = []
    for disc, body in zip(discs, vertebrae, strict=True):
        recess = disc.recess
        gap = recess.center_v - disc.half_depth
        at_disc = disc.frame.moved(v=recess.center_v).center_mm
        at_body = body.frame.moved(v=body.half_depth + gap - 0.4).center_mm
        sizes = np.array([recess.half_ap, recess.half_width])
        rows += [
            [*at_disc, *sizes, fat, gap - recess.half_ap, recess.triangle, _pad_mm(disc, fat)],
            [*at_body, *(1.03 * sizes), 0.35 * fat, gap - recess.half_ap, 0.6 * recess.triangle, 0.0],
        ]
    lowest = discs[0].recess
    for index, segment in enumerate(sacrum[:-2]):
        left = max(person.sac_end - index - 0.5, 0.0) / max(person.sac_end, 0.1)
        half_ap = lowest.half_ap * (0.25 + 0.65 * min(left, 1.0)) if left > 0 else 0.5
        depth = 0.5 * (segment.half_depth_top + segment.half_depth_bottom)
        center = segment.frame.moved(v=depth + 3.0 + 1.2 * index + half_ap).center_mm
        rows.append([*center, half_ap, 1.15 * half_ap, 2.0, 2.0, 0.2, 0.0])
    table = np.array(rows)
    return table[np.argsort(table[:, 2])]


def _pad_mm(disc: Disc, fat_mm: float) -> float:
    """How far the fat between the two ligaments presses the sac forward: the more of it and the thicker they are."""
    thickened = 0.5 * sum(disc.state.flavum_mm_lr) - SAC.flavum_mm
    return float(np.clip(SAC.pad * fat_mm * thickened, 0.0, SAC.pad_most * disc.recess.half_ap))


def _end_z(person: Person, sacrum: tuple[SacralSegment, ...]) -> float:
    index = int(person.sac_end)
    segment = sacrum[index]
    return float(segment.frame.moved(w=(0.5 - (person.sac_end - index)) * segment.height).center_mm[2])


def conus_z(spine: Spine) -> float:
    """Height of the tip of the cord, LPS mm."""
    return float(spine.discs[4].frame.center_mm[2] + spine.person.conus_z_mm)


def section(xyz: tuple[F32, F32, F32], at: dict[str, F32]) -> tuple[F32, F32, F32]:
    """Coordinates across the sac as shares of its half axes, and the outline coordinate, 1 at the dura."""
    x, y, _ = xyz
    v = (y - at["y_mm"]) * at["slope_cos"] / np.maximum(at["half_ap_mm"], 0.05)
    narrow = 1.0 - at["triangle"] * np.clip(v, -1.0, 1.3)
    u = (x - at["x_mm"]) / (np.maximum(at["half_width_mm"], 0.05) * narrow)
    a2, b2 = u * u, v * v
    return u, v, 0.62 * np.sqrt(a2 + b2) + 0.38 * np.sqrt(np.sqrt(a2 * a2 + b2 * b2))


def sac_distances(xyz: tuple[F32, F32, F32], canal: Canal) -> tuple[F32, F32]:
    """Signed distances to the dural sac, from world coordinates: in its unobstructed shape, and as epidural fat leaves
    it, pressed in most from behind and from both sides in front, and flat where a pad lies behind it."""
    at = canal.at(xyz[2])
    u, v, q = section(xyz, at)
    free = np.where(xyz[2] < canal.z_mm[0], FAR_MM, (q - 1.0) * np.maximum(at["half_ap_mm"], 0.05))
    if not canal.squeeze_mm.any() and not canal.pad_mm.any():
        return free, free
    padded = np.maximum(free, v * at["half_ap_mm"] + at["pad_mm"] - at["half_ap_mm"])
    if not canal.squeeze_mm.any():
        return free, padded
    back = v / (np.sqrt(u * u + v * v) + np.float32(1e-3))
    # cosine of three times the angle from the back: three lobes of fat, a star of three arms
    lobes = 4.0 * back * back * back - 3.0 * back
    return free, padded + at["squeeze_mm"] * (0.46 + 0.16 * lobes)
