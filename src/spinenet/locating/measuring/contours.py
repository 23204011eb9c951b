"""Outlines of one level: end-plates, the disc's back and front, walls and corners of the bodies beside it.

All on the grid of ``alignment``: u mm backwards, v mm upwards. What the masks do not support is None or NaN.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinenet.locating.measuring.alignment import STEP_MM, U_MM, V_MM, LevelGrid, connected, edges
from spinenet.locating.measuring.fine_crops import DISC, LOWER, UPPER
from spinenet.locating.measuring.lines import Line, fit_line

WALL_MM = (2.0, 10.0)
"""Part of a body's wall, from its end-plate, that its line is laid through: before it lie lips, then the waist."""
MIN_BODY_MM2 = 120.0
MIN_WALL_POINTS = 9
MAX_WALL_SPREAD_MM = 1.5
BODY_DEPTH_MM = (20.0, 50.0)
"""A wall that is less straight, or an end-plate outside of this, is a mistake of the mask: it gives no corner."""


@dataclass(frozen=True)
class Body:
    """One body beside the disc. ``plate`` is its end-plate, v over u; ``back`` and ``front`` its walls, u over v;
    ``corner_back`` and ``corner_front`` (u, v) where walls and end-plate meet."""

    plate: Line
    back: Line
    front: Line
    corner_back: tuple[float, float]
    corner_front: tuple[float, float]

    @property
    def depth_mm(self) -> float:
        """Length of the end-plate between the walls."""
        return float(np.hypot(self.corner_back[0] - self.corner_front[0], self.corner_back[1] - self.corner_front[1]))


@dataclass(frozen=True)
class Shape:
    """Outline of a level. ``top_U`` and ``bottom_U`` are the disc's borders (v, NaN beside the disc), ``back_V`` and
    ``front_V`` its back and front (u); ``first_u`` and ``last_u`` where the disc begins and ends along its axis."""

    top_U: NDArray[np.float64]
    bottom_U: NDArray[np.float64]
    back_V: NDArray[np.float64]
    front_V: NDArray[np.float64]
    first_u: float
    last_u: float
    upper: Body | None
    lower: Body | None

    @property
    def depth_mm(self) -> float:
        """Length of the disc along its axis."""
        return self.last_u - self.first_u

    def share(self, low: float, high: float) -> NDArray[np.bool_]:
        """(U,) places between two shares of the disc's depth, 0 in front and 1 behind."""
        where = (U_MM - self.first_u) / self.depth_mm
        return (where >= low) & (where <= high) & ~np.isnan(self.top_U)


def outline(level: LevelGrid) -> Shape:
    """Outlines of a level's disc and of the bodies beside it."""
    bottom, top = edges(level.soft_CVU[DISC], level.disc_VU)
    front, back = edges(level.soft_CVU[DISC].T, level.disc_VU.T)
    thick = np.nan_to_num(top - bottom) * STEP_MM
    wide = np.flatnonzero(thick > 0.35 * np.median(thick[thick > 0]))
    first_u, last_u = _ends(level, int(wide[0]), int(wide[-1]))
    top_v, bottom_v = V_MM[0] + STEP_MM * top, V_MM[0] + STEP_MM * bottom
    back_u, front_u = U_MM[0] + STEP_MM * back, U_MM[0] + STEP_MM * front
    shape = Shape(top_v, bottom_v, back_u, front_u, first_u, last_u, None, None)
    bodies = [body_of(level, shape, channel, sign) for channel, sign in ((UPPER, 1.0), (LOWER, -1.0))]
    return Shape(top_v, bottom_v, back_u, front_u, first_u, last_u, bodies[0], bodies[1])


def _ends(level: LevelGrid, first: int, last: int) -> tuple[float, float]:
    """Front and back end of the disc: the soft mask's half-crossing along the line of its thickest row there."""
    soft = level.soft_CVU[DISC].max(0)
    low = first - np.clip((soft[first] - 0.5) / max(soft[first] - soft[max(first - 1, 0)], 1e-6), 0, 1)
    high = last + np.clip((soft[last] - 0.5) / max(soft[last] - soft[min(last + 1, len(soft) - 1)], 1e-6), 0, 1)
    return float(U_MM[0] + STEP_MM * low), float(U_MM[0] + STEP_MM * high)


def body_of(level: LevelGrid, shape: Shape, channel: int, sign: float) -> Body | None:
    """The body above (``sign`` 1) or below (-1); None where its mask is too small or its walls are not seen."""
    soft = level.soft_CVU[channel]
    start = (float(np.searchsorted(V_MM, sign * 12.0)), float(np.searchsorted(U_MM, -1.0)))
    mask = connected(soft > 0.5, start)
    if mask.sum() * STEP_MM**2 < MIN_BODY_MM2:
        return None
    first, last = edges(soft, mask)
    near = V_MM[0] + STEP_MM * (first if sign > 0 else last)
    # The rims alone: hollows and Schmorl's nodes lie between them.
    rims = shape.share(0.06, 0.32) | shape.share(0.68, 0.94)
    plate = fit_line(U_MM[rims], near[rims], least=10)
    if plate is None:
        return None
    front_V, back_V = walls(soft, mask, int(np.searchsorted(U_MM, 0.5 * (shape.first_u + shape.last_u))))
    distance_V = sign * (V_MM - plate.at(0.0))
    wall = (distance_V >= WALL_MM[0]) & (distance_V <= WALL_MM[1])
    back = fit_line(V_MM[wall], back_V[wall], least=MIN_WALL_POINTS)
    front = fit_line(V_MM[wall], front_V[wall], least=MIN_WALL_POINTS)
    if back is None or front is None or max(back.spread, front.spread) > MAX_WALL_SPREAD_MM:
        return None
    body = Body(plate, back, front, meet(plate, back), meet(plate, front))
    return body if BODY_DEPTH_MM[0] <= body.depth_mm <= BODY_DEPTH_MM[1] else None


def walls(
    soft_VU: NDArray[np.float32], mask_VU: NDArray[np.bool_], middle: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Front and back of a body in every row (u mm, (V,)): the ends of the stretch that holds its middle column, so that
    an arch behind a gap does not count; NaN in rows whose middle is not inside."""
    run = np.zeros_like(mask_VU)
    run[:, middle:] = np.logical_and.accumulate(mask_VU[:, middle:], axis=1)
    run[:, : middle + 1] = np.logical_and.accumulate(mask_VU[:, middle::-1], axis=1)[:, ::-1]
    front_V, back_V = edges(soft_VU.T, run.T)
    return U_MM[0] + STEP_MM * front_V, U_MM[0] + STEP_MM * back_V


def meet(plate: Line, wall: Line) -> tuple[float, float]:
    """(u, v) where an end-plate (v over u) meets a wall (u over v)."""
    u = (wall.offset + wall.slope * plate.offset) / (1 - wall.slope * plate.slope)
    return u, plate.at(u)
