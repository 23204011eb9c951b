"""Straight lines through points that hold outliers: end-plates, posterior walls."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Line:
    """``y = offset + slope * x``; ``spread`` is the typical distance of the points used (1.48 MAD), ``points`` their
    number."""

    offset: float
    slope: float
    spread: float
    points: int

    def at(self, x: float) -> float:
        """Value at x."""
        return self.offset + self.slope * x


def fit_line(x_N: NDArray[np.floating], y_N: NDArray[np.floating], *, least: int) -> Line | None:
    """Line by reweighted least squares (Tukey's biweight, three rounds); None with fewer than ``least`` known points.

    >>> fit_line(np.arange(9.0), 2 * np.arange(9.0), least=3).slope
    2.0
    """
    known = ~(np.isnan(x_N) | np.isnan(y_N))
    x, y = x_N[known].astype(np.float64), y_N[known].astype(np.float64)
    if len(x) < least:
        return None
    weights = np.ones(len(x))
    offset = slope = spread = 0.0
    for _ in range(3):
        total = weights.sum()
        mean_x, mean_y = float(weights @ x) / total, float(weights @ y) / total
        slope = float((weights @ ((x - mean_x) * (y - mean_y))) / max(weights @ (x - mean_x) ** 2, 1e-9))
        offset = float(mean_y - slope * mean_x)
        distance = np.abs(y - offset - slope * x)
        spread = float(1.48 * np.partition(distance, len(x) // 2)[len(x) // 2])
        weights = np.clip(1 - (distance / (4.7 * max(spread, 0.15))) ** 2, 0, None) ** 2
        if (weights > 0).sum() < least:
            return None
    return Line(round(offset, 9), round(slope, 9), spread, len(x))
