"""Grey values at one level on scales that make series comparable: discs against CSF, marrow against all marrow.

``GreyScale`` holds the series' dark, CSF and marrow values; signals are shares: 0 dark, 1 like CSF (or like marrow).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinenet.locating.measuring.alignment import STEP_MM, U_MM, V_MM, LevelGrid
from spinenet.locating.measuring.contours import Shape
from spinenet.locating.measuring.fine_crops import CANAL, LOWER, UPPER
from spinenet.locating.measuring.lengths import NAN, corner_line, mean_known

BANDS_MM = ((0.8, 2.5), (2.5, 5.0), (5.0, 9.0), (9.0, 14.0))
"""Distances from an end-plate at which marrow is looked at."""
BEHIND_MM = ((-3.0, -1.0), (-1.0, 1.0), (1.0, 3.0), (3.0, 5.0), (5.0, 8.0))
"""Distances behind the line of the corners at which disc, herniation or fluid may lie."""


@dataclass(frozen=True)
class GreyScale:
    """Grey values of one series: the darkest tissue of the spine, its CSF, its marrow."""

    dark: float
    fluid: float
    marrow: float

    def by_fluid(self, grey: NDArray[np.floating]) -> NDArray[np.floating]:
        """Share of the way from dark to CSF."""
        return (grey - self.dark) / max(self.fluid - self.dark, 1e-3)

    def by_marrow(self, grey: NDArray[np.floating]) -> NDArray[np.floating]:
        """Share of the way from dark to marrow."""
        return (grey - self.dark) / max(self.marrow - self.dark, 1e-3)


def scale_of(levels: Sequence[LevelGrid]) -> GreyScale:
    """The scale of a series from all its levels together."""
    canal = np.concatenate([level.grey_VU[level.soft_CVU[CANAL] > 0.8] for level in levels])
    bodies = np.concatenate([level.grey_VU[(level.soft_CVU[UPPER] + level.soft_CVU[LOWER]) > 0.8] for level in levels])
    discs = np.concatenate([level.grey_VU[level.disc_VU] for level in levels])
    spine = np.concatenate([canal, bodies, discs])
    dark = float(np.percentile(spine, 2))
    fluid = float(np.percentile(canal, 80)) if canal.size > 50 else float(np.percentile(spine, 98))
    return GreyScale(
        dark, max(fluid, dark + 1e-3), float(np.median(bodies)) if bodies.size > 50 else float(np.median(spine))
    )


def disc_signals(level: LevelGrid, shape: Shape, scale: GreyScale) -> dict[str, float]:
    """Nucleus, annulus, percentiles, a grid of six by three places, and how sharply the nucleus stands out."""
    share_VU = scale.by_fluid(level.grey_VU)
    inside = level.disc_VU & (shape.first_u <= U_MM)[None] & (shape.last_u >= U_MM)[None]
    top, bottom = np.nan_to_num(shape.top_U), np.nan_to_num(shape.bottom_U)
    x = np.broadcast_to((U_MM - shape.first_u) / shape.depth_mm, inside.shape)
    y = (V_MM[:, None] - bottom) / np.maximum(top - bottom, 1e-3)
    values, x, y = share_VU[inside], x[inside], y[inside]
    core = (np.abs(x - 0.48) < 0.26) & (np.abs(y - 0.5) < 0.28)
    shares = np.percentile(values, (5, 25, 50, 75, 95))
    found = {f"signal_p{q}": float(value) for q, value in zip((5, 25, 50, 75, 95), shares, strict=True)}
    found |= {
        "nucleus": mean_known(values[core]),
        "nucleus_sd": float(values[core].std()) if core.any() else NAN,
        "annulus_back": mean_known(values[x > 0.86]),
        "annulus_front": mean_known(values[x < 0.12]),
        "annulus": mean_known(values[(x > 0.86) | (x < 0.12)]),
        "disc_by_marrow": float(np.median(scale.by_marrow(level.grey_VU[inside]))),
    }
    place = np.clip((y * 3).astype(int), 0, 2) * 6 + np.clip((x * 6).astype(int), 0, 5)
    found |= {f"place_{n // 6}{n % 6}": mean for n, mean in enumerate(grouped_means(values, place, 18))}
    middle = [found[f"place_1{column}"] for column in (2, 3)]
    beside = [found[f"place_{row}{column}"] for row in (0, 2) for column in (2, 3)]
    found["cleft"] = float(np.mean(beside) - np.mean(middle))
    found["nucleus_contrast"] = found["nucleus"] - found["annulus"]
    bright = values > 0.5 * (found["signal_p95"] + found["signal_p5"])
    found["bright_share"] = float(bright.mean())
    found["nucleus_local"] = found["nucleus"] / max(local_fluid(level, scale), 0.1)
    return found


def grouped_means(values_N: NDArray[np.floating], group_N: NDArray[np.integer], count: int) -> list[float]:
    """Mean of the values of each group, NaN where a group has none.

    >>> grouped_means(np.array([1.0, 3.0]), np.array([1, 1]), 2)
    [nan, 2.0]
    """
    sums = np.bincount(group_N, values_N, count)
    counts = np.bincount(group_N, minlength=count)
    return [float(total / number) if number else NAN for total, number in zip(sums, counts, strict=True)]


def local_fluid(level: LevelGrid, scale: GreyScale) -> float:
    """CSF beside the disc on the scale of the series: coils see some levels better than others."""
    canal = scale.by_fluid(level.grey_VU[level.soft_CVU[CANAL] > 0.7])
    return float(np.percentile(canal, 80)) if canal.size > 40 else 1.0


def marrow_signals(level: LevelGrid, shape: Shape, scale: GreyScale) -> dict[str, float]:
    """Marrow in bands along both end-plates, in thirds of their length; its extremes and the dark line of the plate."""
    grey_VU = scale.by_marrow(level.grey_VU)
    found: dict[str, float] = {}
    third_U = np.clip(((U_MM - shape.first_u) / shape.depth_mm * 3).astype(int), 0, 2)
    edges_mm = np.array([low for low, _ in BANDS_MM] + [BANDS_MM[-1][1]])
    plate_U = shape.share(0.03, 0.97)
    for name, edge, sign, channel in (("upper", shape.top_U, 1.0, UPPER), ("lower", shape.bottom_U, -1.0, LOWER)):
        away_VU = sign * (V_MM[:, None] - np.where(plate_U, edge, np.nan))
        body = (level.soft_CVU[channel] > 0.4) & level.seen_VU
        body |= level.seen_VU & (body.sum() * STEP_MM**2 < 60)
        inside = body & (away_VU >= edges_mm[0]) & (away_VU < edges_mm[-1])
        away = away_VU[inside]
        column = np.nonzero(inside)[1]
        group = (np.searchsorted(edges_mm, away, side="right") - 1) * 3 + third_U[column]
        means = grouped_means(grey_VU[inside], group, 3 * len(BANDS_MM))
        found |= {f"marrow_{name}_{n // 3}{n % 3}": mean for n, mean in enumerate(means)}
        bands = [means[3 * n : 3 * n + 3] for n in range(len(BANDS_MM))]
        near = np.array(bands[:3])
        known = not np.isnan(near).all()
        found[f"marrow_{name}_high"] = float(np.nanmax(near)) if known else NAN
        found[f"marrow_{name}_low"] = float(np.nanmin(near)) if known else NAN
        found[f"marrow_{name}_sd"] = float(np.nanstd(near)) if known else NAN
        found[f"marrow_{name}_rise"] = mean_known(np.array(bands[0])) - mean_known(np.array(bands[3]))
        found |= _plate_line(grey_VU, away_VU, shape.share(0.08, 0.92), name)
        spread = grey_VU[inside][(away > 1.0) & (away < 8.0)]
        shares = np.percentile(spread, (5, 25, 75, 95)) if spread.size > 20 else [NAN] * 4
        found |= {f"marrow_{name}_p{q}": float(value) for q, value in zip((5, 25, 75, 95), shares, strict=True)}
    return found


def _plate_line(
    grey_VU: NDArray[np.floating], away_VU: NDArray[np.float64], part: NDArray[np.bool_], name: str
) -> dict[str, float]:
    """How dark and how even the line of an end-plate is, from its darkest place in every column."""
    line = np.where((away_VU > -1.5) & (away_VU < 2.0), grey_VU, np.inf).min(0)[part]
    line = line[np.isfinite(line)]
    if line.size < 8:
        return {f"plate_{name}_{what}": NAN for what in ("dark", "dark_sd", "dark_p90")}
    values = (line.mean(), line.std(), np.percentile(line, 90))
    return {f"plate_{name}_{what}": float(v) for what, v in zip(("dark", "dark_sd", "dark_p90"), values, strict=True)}


def behind_signals(level: LevelGrid, shape: Shape, scale: GreyScale) -> dict[str, float]:
    """What lies behind the line of the bodies' corners: bands at the disc, just above and just below it."""
    line = corner_line(shape)
    part = shape.share(0.75, 0.97)
    low, high = mean_known(shape.bottom_U[part]), mean_known(shape.top_U[part])
    rows = {
        "at": (low - 1 <= V_MM) & (high + 1 >= V_MM),
        "above": (high + 1.5 < V_MM) & (high + 7 > V_MM),
        "below": (low - 1.5 > V_MM) & (low - 7 < V_MM),
    }
    names = [f"rear_{row}_{band}" for row in rows for band in range(len(BEHIND_MM))]
    if line is None:
        return dict.fromkeys([*names, "rear_dark_mm2"], NAN)
    away = (U_MM[None] - line.offset - line.slope * V_MM[:, None]) / np.hypot(1, line.slope)
    share = scale.by_fluid(level.grey_VU)
    found = {
        f"rear_{row}_{number}": mean_known(share[where[:, None] & (away >= a) & (away < b) & level.seen_VU])
        for row, where in rows.items()
        for number, (a, b) in enumerate(BEHIND_MM)
    }
    near = (low - 8 < V_MM) & (high + 8 > V_MM)
    dark = (share < 0.45) & (away > 0.5) & (away < 9) & near[:, None] & level.seen_VU
    found["rear_dark_mm2"] = float(dark.sum() * STEP_MM**2)
    return found
