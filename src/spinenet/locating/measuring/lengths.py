"""Lengths, angles and displacements at one level, by name, in mm and degrees; NaN where the masks support none.

Names end in their unit. Signs: slip is positive where the body above stands in front, displacement where the disc
reaches behind the bodies, places along the normal are positive above the disc's middle.
"""

import numpy as np
from numpy.typing import NDArray

from spinenet.locating.measuring.alignment import STEP_MM, U_MM, V_MM, LevelGrid, edges
from spinenet.locating.measuring.contours import Body, Shape
from spinenet.locating.measuring.fine_crops import CANAL, DISC
from spinenet.locating.measuring.lines import Line, fit_line

THIRDS = {"front": (0.08, 0.33), "middle": (0.36, 0.64), "back": (0.67, 0.92)}
NAN = float("nan")
PLAUSIBLE_CANAL_MM = (3.0, 30.0)
MAX_SLIP_SHARE = 0.9
"""A larger share of the end-plate is a mistake of the masks rather than a slip."""
MAX_DEPTH_RATIO = 1.3
"""End-plates beside one disc are alike in depth; where they are not, one wall lies in the wrong place."""
MAX_BEHIND_MM = 16.0
NEAR_CUT_MM, NEAR_CUT_SHARE = 10.0, 0.1
"""Behind a slipped body the outline at the disc is misled where so large a share of the lines up to so far above and
below it is cut."""
CANAL_CUT = "canal_is_cut"
"""Name of the number that is 1 where what is seen ends before the canal does, as behind a slipped body, else 0: there
its depth came out 2.7 mm too low in the median (``notebooks/EXPERIMENTS.md``, 2026-11-27)."""
LEAST_SLIP_PERCENT, LEAST_SLIP_MM = 8.0, 3.0
"""A shift below either is not called a slip."""


def heights(shape: Shape) -> dict[str, float]:
    """Heights of the disc in three parts, the least and the mean, its depth and area, and its wedge."""
    height_U = shape.top_U - shape.bottom_U
    found = {f"height_{name}_mm": mean_known(height_U[shape.share(*part)]) for name, part in THIRDS.items()}
    inner = height_U[shape.share(0.1, 0.9)]
    found |= {
        "height_mean_mm": mean_known(inner),
        "height_min_mm": float(np.nanpercentile(inner, 5)) if inner.size else NAN,
        "height_max_mm": float(np.nanpercentile(inner, 95)) if inner.size else NAN,
        "depth_mm": shape.depth_mm,
        "area_mm2": float(np.nansum(height_U) * STEP_MM),
    }
    top, bottom = (fit_line(U_MM[part], edge[part], least=8) for part, edge in _plates(shape))
    found["wedge_deg"] = (
        NAN if top is None or bottom is None else float(np.rad2deg(np.arctan(bottom.slope) - np.arctan(top.slope)))
    )
    for eighth in range(8):
        found[f"height_{eighth}_mm"] = mean_known(height_U[shape.share(eighth / 8, (eighth + 1) / 8)])
    return found


def _plates(shape: Shape) -> list[tuple[NDArray[np.bool_], NDArray[np.float64]]]:
    part = shape.share(0.1, 0.9)
    return [(part, shape.top_U), (part, shape.bottom_U)]


def plates(shape: Shape) -> dict[str, float]:
    """End-plates of both bodies: roughness about a smooth curve, hollowness, deepest pit."""
    found: dict[str, float] = {}
    for name, edge, sign in (("upper", shape.top_U, 1.0), ("lower", shape.bottom_U, -1.0)):
        part = shape.share(0.06, 0.94)
        u, v = U_MM[part], sign * edge[part]
        keys = [f"plate_{name}_{what}" for what in ("rough_mm", "hollow_mm", "pit_mm", "pit_place", "step_mm")]
        if len(u) < 16:
            found |= dict.fromkeys(keys, NAN)
            continue
        x = (u - u.mean()) / max(np.ptp(u), 1e-6)
        smooth = np.polynomial.polynomial.polyfit(x, v, 2)
        rest = v - np.polynomial.polynomial.polyval(x, smooth)
        chord = v - np.interp(u, [u[0], u[-1]], [v[:3].mean(), v[-3:].mean()])
        values = (rest.std(), chord.max(), rest.max(), x[int(rest.argmax())], np.abs(np.diff(v)).max())
        found |= dict(zip(keys, map(float, values), strict=True))
    return found


def slip(shape: Shape) -> dict[str, float]:
    """Shift of the body above along the end-plates by the corners of fitted walls, and its share of the lower
    end-plate's depth (Meyerding)."""
    keys = (
        "slip_mm",
        "slip_front_mm",
        "slip_middle_mm",
        "slip_percent",
        "plate_depth_mm",
        "plate_angle_deg",
        "wall_bend_deg",
        "wall_spread_mm",
    )
    upper, lower = shape.upper, shape.lower
    if upper is None or lower is None:
        return dict.fromkeys(keys, NAN)
    along = _vector(upper) + _vector(lower)
    along /= np.linalg.norm(along)
    back = float((np.array(lower.corner_back) - np.array(upper.corner_back)) @ along)
    front = float((np.array(lower.corner_front) - np.array(upper.corner_front)) @ along)
    depth = lower.depth_mm
    angle = float(np.rad2deg(np.arctan(lower.plate.slope) - np.arctan(upper.plate.slope)))
    bend = float(np.rad2deg(np.arctan(lower.back.slope) - np.arctan(upper.back.slope)))
    alike = MAX_DEPTH_RATIO**-1 <= upper.depth_mm / depth <= MAX_DEPTH_RATIO
    if abs(back) > MAX_SLIP_SHARE * depth or not alike:
        return dict.fromkeys(keys, NAN)
    spread = float(np.hypot(upper.back.spread, lower.back.spread))
    values = (back, front, 0.5 * (back + front), 100 * back / depth, depth, angle, bend, spread)
    return dict(zip(keys, values, strict=True))


def _vector(body: Body) -> NDArray[np.float64]:
    return np.array(body.corner_back) - np.array(body.corner_front)


def behind(level: LevelGrid, shape: Shape) -> dict[str, float]:
    """How far the disc stands behind the line through the corners of the bodies: greatest distance, where, how wide
    (more than 1 mm), the area, and what of it lies beyond the disc's own height; likewise in front."""
    keys = (
        "behind_mm",
        "behind_place_mm",
        "behind_width_mm",
        "behind_mm2",
        "beyond_above_mm2",
        "beyond_below_mm2",
        "behind_upper_mm",
        "behind_lower_mm",
        "before_mm",
    )
    line = corner_line(shape)
    if line is None:
        return dict.fromkeys(keys, NAN)
    distance_VU = (U_MM[None] - line.offset - line.slope * V_MM[:, None]) / np.hypot(1, line.slope)
    low, high = rear_span(shape)
    near = (low - 8 < V_MM) & (high + 8 > V_MM)
    reach_V = np.where(near, (shape.back_V - line.offset - line.slope * V_MM) / np.hypot(1, line.slope), np.nan)
    seen = np.nan_to_num(reach_V, nan=-9.0)
    place = float(V_MM[int(seen.argmax())] - 0.5 * (low + high))
    soft = np.where((distance_VU > 0) & (distance_VU < MAX_BEHIND_MM) & near[:, None], level.soft_CVU[DISC], 0)
    soft_V = soft.sum(1) * STEP_MM**2
    values = [float(seen.max()), place, float((seen > 1.0).sum() * STEP_MM), float(soft_V.sum())]
    values += [float(soft_V[high + 1 < V_MM].sum()), float(soft_V[low - 1 > V_MM].sum())]
    last = float(np.nanmax(shape.back_V)) if not np.isnan(shape.back_V).all() else NAN
    values += [last - body.corner_back[0] if body else NAN for body in (shape.upper, shape.lower)]
    fronts = [body.corner_front[0] for body in (shape.upper, shape.lower) if body]
    values.append(min(fronts) - float(np.nanmin(shape.front_V)))
    return dict(zip(keys, values, strict=True))


def corner_line(shape: Shape) -> Line | None:
    """u over v through the rear corners of both bodies; with one body the line of its wall. None without a body."""
    upper, lower = shape.upper, shape.lower
    if upper is not None and lower is not None and upper.corner_back[1] - lower.corner_back[1] > 1.0:
        slope = (upper.corner_back[0] - lower.corner_back[0]) / (upper.corner_back[1] - lower.corner_back[1])
        slope = float(np.clip(slope, -1.5, 1.5))
        u, v = (0.5 * (a + b) for a, b in zip(upper.corner_back, lower.corner_back, strict=True))
        return Line(u - slope * v, slope, 0.0, 2)
    body = upper or lower
    return None if body is None else body.back


def rear_span(shape: Shape) -> tuple[float, float]:
    """v of the end-plates at the disc's back."""
    part = shape.share(0.8, 0.97)
    return mean_known(shape.bottom_U[part]), mean_known(shape.top_U[part])


def canal(level: LevelGrid, shape: Shape) -> dict[str, float]:
    """Depth of the canal across its own course: at the disc (median, least), half a body above and below, the ratio,
    how far its front is pushed back at the disc, and whether it goes on beyond what is seen."""
    keys = (
        "canal_mm",
        "canal_min_mm",
        "canal_above_mm",
        "canal_below_mm",
        "canal_ratio",
        "canal_dent_mm",
        "canal_area_mm2",
        CANAL_CUT,
    )
    soft = np.where(U_MM[None] > shape.last_u - 12, level.soft_CVU[CANAL], 0)
    depth_V = soft.sum(1) * STEP_MM
    weight_V = np.maximum(depth_V, 1e-3)
    middle_V = (soft @ U_MM) * STEP_MM / weight_V
    mask = soft > 0.5
    known = depth_V > 2.0
    course = fit_line(V_MM[known], middle_V[known], least=20)
    if course is None:
        return dict.fromkeys(keys, NAN)
    depth_V = np.where(known, depth_V * np.cos(np.arctan(course.slope)), np.nan)
    half = 0.5 * (mean_known(shape.top_U) - mean_known(shape.bottom_U))
    at = np.abs(V_MM) <= half + 2.0
    above, below = ((V_MM * sign > half + 7) & (V_MM * sign < half + 16) for sign in (1, -1))
    parts = [_median(depth_V[at]), _low(depth_V[at]), _median(depth_V[above]), _median(depth_V[below])]
    beside = np.nanmax([*parts[2:], 1e-3]) if not np.isnan(parts[2:]).all() else NAN
    front_V, _ = edges(soft.T, mask.T)
    front_V = U_MM[0] + STEP_MM * front_V
    free = fit_line(V_MM[above | below], front_V[above | below], least=10)
    dent = NAN if free is None else float(np.nanmax(np.r_[front_V[at] - free.offset - free.slope * V_MM[at], -9.0]))
    parts = [part if PLAUSIBLE_CANAL_MM[0] <= part <= PLAUSIBLE_CANAL_MM[1] else NAN for part in parts]
    cut = _is_cut(_runs_on(soft, level.seen_VU), half, slip(shape)["slip_mm"])
    values = (*parts, parts[1] / beside, dent, float(np.nansum(depth_V[at]) * STEP_MM), cut)
    return dict(zip(keys, values, strict=True))


def _runs_on(soft_VU: NDArray[np.floating], seen_VU: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(V,) whether what is masked goes on at the last place that a line shows."""
    last_V = seen_VU.shape[1] - 1 - np.argmax(seen_VU[:, ::-1], axis=1)
    return seen_VU.any(1) & (soft_VU[np.arange(len(soft_VU)), last_V] > 0.5)


def _is_cut(cut_V: NDArray[np.bool_], half_mm: float, slip_mm: float) -> float:
    near = cut_V[np.abs(V_MM) <= half_mm + NEAR_CUT_MM].mean() > NEAR_CUT_SHARE
    return float(cut_V[np.abs(V_MM) <= half_mm + 2.0].any() or (near and abs(slip_mm) >= LEAST_SLIP_MM))


def mean_known(values: NDArray[np.floating]) -> float:
    """Mean of the values that are known, NaN where none is."""
    known_N = values[~np.isnan(values)]  # numpy's functions that skip NaN take three times as long
    return float(known_N.mean()) if known_N.size else NAN


def _median(values: NDArray[np.floating]) -> float:
    known_N = values[~np.isnan(values)]
    return float(np.median(known_N)) if known_N.size else NAN


def _low(values: NDArray[np.floating]) -> float:
    known_N = values[~np.isnan(values)]
    return float(np.percentile(known_N, 5)) if known_N.size else NAN


def meyerding(slip_mm: float, slip_percent: float) -> int | None:
    """Grade of a slip after Meyerding (Surg Gynecol Obstet 1932): 0 none, 1 to 4 by quarters of the plate, 5 beyond.

    A backward one counts by its size. None where the slip is not known.

    >>> meyerding(5.0, 14.0), meyerding(-2.0, 5.0), meyerding(11.0, 31.0)
    (1, 0, 2)
    """
    if np.isnan(slip_mm) or np.isnan(slip_percent):
        return None
    share = abs(slip_percent)
    if share < LEAST_SLIP_PERCENT or abs(slip_mm) < LEAST_SLIP_MM:
        return 0
    return 1 + sum(share > quarter for quarter in (25.0, 50.0, 75.0, 100.0))
