"""What lies between discs: heights of the bodies, and how the column runs. Levels are those of ``labels.LEVELS`` by
their index, so that the level above has the next one."""

from collections.abc import Mapping

import numpy as np

from spinenet.locating.measuring.alignment import U_MM, LevelGrid
from spinenet.locating.measuring.contours import Shape
from spinenet.locating.measuring.lengths import NAN


def vertebra(levels: Mapping[int, LevelGrid], shapes: Mapping[int, Shape], index: int) -> dict[str, float]:
    """Heights of the body above a disc, front, middle and back, from its lower end-plate to its upper one, which the
    next disc's crop shows; their ratio (wedge) is front over back."""
    keys = ("body_front_mm", "body_middle_mm", "body_back_mm", "body_wedge")
    above = shapes.get(index + 1)
    lower_plate, upper_plate = shapes[index].upper, above.lower if above else None
    if lower_plate is None or upper_plate is None:
        return dict.fromkeys(keys, NAN)
    below = [lower_plate.corner_front, lower_plate.corner_back]
    over = [upper_plate.corner_front, upper_plate.corner_back]
    ends = [
        (levels[index].point_mm(*low), levels[index + 1].point_mm(*high)) for low, high in zip(below, over, strict=True)
    ]
    front, back = (float(np.linalg.norm(high - low)) for low, high in ends)
    middle = _middle_mm(levels, shapes, index)
    return dict(zip(keys, (front, middle, back, front / max(back, 1.0)), strict=True))


def _middle_mm(levels: Mapping[int, LevelGrid], shapes: Mapping[int, Shape], index: int) -> float:
    points = []
    for number, edge in ((index, shapes[index].top_U), (index + 1, shapes[index + 1].bottom_U)):
        part = shapes[number].share(0.4, 0.6)
        if not part.any():
            return NAN
        points.append(levels[number].point_mm(float(U_MM[part].mean()), float(np.nanmean(edge[part]))))
    return float(np.linalg.norm(points[1] - points[0]))


def curve(levels: Mapping[int, LevelGrid], index: int) -> dict[str, float]:
    """The disc's tilt against the horizontal, its change to the discs below and above (lordosis), and how far the disc
    stands before or behind the line of its neighbours' centres."""
    tilt = tilt_deg(levels[index])
    below, above = levels.get(index - 1), levels.get(index + 1)
    found = {
        "tilt_deg": tilt,
        "turn_below_deg": tilt - tilt_deg(below) if below else NAN,
        "turn_above_deg": tilt_deg(above) - tilt if above else NAN,
        "offset_mm": NAN,
    }
    if below and above:
        line = above.center_mm - below.center_mm
        normal = np.array([0.0, line[2], -line[1]]) / np.hypot(line[1], line[2])
        found["offset_mm"] = float((levels[index].center_mm - below.center_mm) @ normal)
    return found


def tilt_deg(level: LevelGrid) -> float:
    """Angle of the disc's axis with the horizontal, positive where its front lies lower, as at the sacrum."""
    return float(np.rad2deg(np.arctan2(level.posterior[2], level.posterior[1])))
