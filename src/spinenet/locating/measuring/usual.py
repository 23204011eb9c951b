"""What is usual among the patients a bundle learnt from: quantiles of each measurement, by level.

Shape letters: L level of LEVELS, R measurement, Q quantile.
"""

import io
import zipfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinenet.errors import BundleError, in_words
from spinenet.labels import LEVELS

FEWEST = 20
"""Discs of a level from which its quantiles say something."""
BELOW, ABOVE = 0, 100
"""Percentiles that stand for what lies below the first quantile or above the last."""


@dataclass(frozen=True)
class UsualMeasurements:
    """``quantiles_LRQ`` at ``shares_Q`` of the measurements ``names`` (as ``locating.measuring`` calls them), and
    ``counts_LR`` how many discs they are of; NaN is not known."""

    names: tuple[str, ...]
    shares_Q: NDArray[np.float64]
    quantiles_LRQ: NDArray[np.float64]
    counts_LR: NDArray[np.int64]

    def percentile(self, level: str, name: str, value: float) -> int | None:
        """Percentile of a value among the discs of its level, by linear interpolation between quantiles; BELOW or
        ABOVE beyond them, None where fewer than FEWEST discs are known."""
        quantile_Q = self._quantiles(level, name)
        if quantile_Q is None:
            return None
        if value < quantile_Q[0]:
            return BELOW
        if value > quantile_Q[-1]:
            return ABOVE
        # From both sides, so that a value many discs share gets the middle of their places.
        up = np.interp(value, quantile_Q, self.shares_Q)
        down = np.interp(-value, -quantile_Q[::-1], self.shares_Q[::-1])
        return round(50 * float(up + down))

    def limits(self, level: str, name: str, far: float) -> tuple[float, float] | None:
        """``far`` times as far from the median as the first and the last quantile; None where too little is known."""
        quantile_Q = self._quantiles(level, name)
        if quantile_Q is None:
            return None
        median = float(np.interp(0.5, self.shares_Q, quantile_Q))
        return median - far * (median - float(quantile_Q[0])), median + far * (float(quantile_Q[-1]) - median)

    def _quantiles(self, level: str, name: str) -> NDArray[np.float64] | None:
        """(Q,) of a measurement at a level; None where fewer than FEWEST discs are known."""
        if name not in self.names:
            return None
        place = LEVELS.index(level), self.names.index(name)
        quantile_Q = self.quantiles_LRQ[place]
        return None if self.counts_LR[place] < FEWEST or np.isnan(quantile_Q).any() else quantile_Q


def read_usual_measurements(content: bytes) -> UsualMeasurements | None:
    """What the ``reference_`` arrays of a bundle's ``measured.npz`` say is usual, None where it has none; BundleError
    where the bytes are no such file."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            if "reference_quantiles" not in arrays:
                return None
            usual = UsualMeasurements(
                tuple(str(name) for name in arrays["reference_names"]),
                arrays["reference_shares"].astype(np.float64),
                arrays["reference_quantiles"].astype(np.float64),
                arrays["reference_counts"].astype(np.int64),
            )
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise BundleError(f"measured.npz: not arrays of what is usual ({in_words(error)})") from error
    shape = (len(LEVELS), len(usual.names), len(usual.shares_Q))
    if usual.quantiles_LRQ.shape != shape or usual.counts_LR.shape != shape[:2]:
        raise BundleError("measured.npz: its quantiles are not of its levels and measurements; get the bundle again")
    return usual
