"""95 % intervals from a bootstrap over patients: the discs of one spine are drawn together because they age together.

Shape letters: S resamples, P patients, N discs.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

COVERAGE = 0.95
_CELLS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Estimate:
    """A figure with the ends of its 95 % interval; nan where it is not defined."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return self.text()

    def text(self, digits: int = 2) -> str:
        """For a table: the value and its interval, a dash where one is not defined.

        >>> Estimate(0.8123, 0.75, 0.8601).text(), Estimate(0.8123, np.nan, np.nan).text(3)
        ('0.81 [0.75, 0.86]', '0.812 [–]')
        """
        if np.isnan(self.value):
            return "–"
        interval = "–" if np.isnan(self.low) else f"{self.low:.{digits}f}, {self.high:.{digits}f}"
        return f"{self.value:.{digits}f} [{interval}]"

    def to_dict(self) -> dict[str, Any]:
        """Numbers for JSON, None where not defined."""
        ends = {"value": self.value, "low": self.low, "high": self.high}
        return {name: float(value) if np.isfinite(value) else None for name, value in ends.items()}


def draw_patients(patients: int, samples: int, seed: int) -> Floats:
    """How often each patient is drawn in each resample (S, P); every row sums to P."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(patients, np.full(patients, 1 / patients), size=samples).astype(float)


def weights_of_discs(draws_SP: Floats, patient_N: NDArray[np.int64]) -> Iterable[Floats]:
    """The draws as weights of discs (S, N), a block of resamples at a time to bound the memory."""
    block = max(1, _CELLS_AT_ONCE // max(len(patient_N), 1))
    for start in range(0, len(draws_SP), block):
        yield draws_SP[start : start + block][:, patient_N]


def estimate(metric: Callable[[Floats], Floats], draws_SP: Floats, patient_N: NDArray[np.int64]) -> Estimate:
    """The metric of the sample with its percentile interval. ``metric`` maps weights (S, N) to values (S,)."""
    return from_resamples(*_values(metric, draws_SP, patient_N))


def estimate_reflected(metric: Callable[[Floats], Floats], draws_SP: Floats, patient_N: NDArray[np.int64]) -> Estimate:
    """Like ``estimate`` for a metric at least 0 that sampling noise inflates, such as a mean of absolute gaps.

    A resample is as much above the sample as the sample is above the truth, so the interval is the percentile interval
    mirrored in the sample's value (Davison and Hinkley 1997, section 5.2, the basic bootstrap), cut at 0 and never
    ending below the value. In a simulation of 180 patients it held true calibration errors of 0.02 to 0.1 in 91 to 97 %
    of draws, the percentile interval in 1 to 95 %; for a perfectly calibrated model it is too narrow.
    """
    value, values_S = _values(metric, draws_SP, patient_N)
    mirrored = from_resamples(value, np.maximum(2 * value - values_S, 0))
    return replace(mirrored, high=float(np.maximum(mirrored.high, value)))


def from_resamples(value: float, values_S: Floats) -> Estimate:
    """Percentile interval. Undefined resamples are left out; where they are the majority there is no interval."""
    defined = values_S[np.isfinite(values_S)]
    if not np.isfinite(value) or 2 * len(defined) < len(values_S) or not len(defined):
        return Estimate(value, np.nan, np.nan)
    low, high = np.quantile(defined, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return Estimate(value, float(low), float(high))


def _values(metric: Callable[[Floats], Floats], draws_SP: Floats, patient_N: NDArray[np.int64]) -> tuple[float, Floats]:
    """The metric of the sample and of every resample (S,); one patient alone says nothing about others, so nan."""
    value = float(metric(np.ones((1, len(patient_N))))[0])
    if len(np.unique(patient_N)) < 2:
        return value, np.full(len(draws_SP), np.nan)
    return value, np.concatenate([metric(weights_SN) for weights_SN in weights_of_discs(draws_SP, patient_N)])
