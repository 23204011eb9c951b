"""95 % intervals from a bootstrap over patients: the discs of one spine are drawn together because they age together.

Every figure is computed for many weightings of the patients at once. Column 0 counts each patient once (the sample
itself), the next ``samples`` columns are bootstrap draws, and the last leave some patients out each, which is what the
BCa interval needs. Shape letters: C columns of weights, P patients, N discs, F features.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

COVERAGE = 0.95
ENDS = ((1 - COVERAGE) / 2, (1 + COVERAGE) / 2)
_LEAVE_OUT_GROUPS = 200
_THREADS = min(4, os.cpu_count() or 1)

Item = TypeVar("Item")
Result = TypeVar("Result")


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


@dataclass(frozen=True)
class Resamples:
    """How much each patient counts in each column: (C, P), C = 1 + ``samples`` + leave-out groups."""

    weights_CP: Floats
    samples: int

    @property
    def patients(self) -> int:
        """How many patients there are to draw."""
        return self.weights_CP.shape[1]

    @property
    def draws(self) -> "Resamples":
        """The sample and the bootstrap draws alone: enough for percentile intervals."""
        return Resamples(self.weights_CP[: 1 + self.samples], self.samples)

    def counts(self, patient_N: Indices, cell_N: Indices, cells: int, amount_N: Floats | None = None) -> Floats:
        """(C, cells): weighted number of discs in each cell, or their weighted ``amount_N``."""
        table = np.bincount(patient_N * cells + cell_N, amount_N, minlength=self.patients * cells)
        return self.weights_CP @ table.reshape(-1, cells).astype(float)

    def totals(self, patient_N: Indices, *amounts_N: NDArray[Any]) -> Floats:
        """(C, 1 + F): weighted number of discs, and the weighted sum of each of the ``amounts_N``."""
        columns = [np.bincount(patient_N, amount_N, minlength=self.patients) for amount_N in (None, *amounts_N)]
        return self.weights_CP @ np.stack(columns, axis=1).astype(float)


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """``work`` of every item, in their order, in a few threads: numpy computes without holding Python's lock."""
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(work, items))


def once(patients: int) -> Resamples:
    """The sample itself and nothing else: for values without intervals."""
    return Resamples(np.ones((1, patients)), 0)


def patients_of(patient_N: Indices) -> int:
    """How many different patients there are.

    >>> patients_of(np.array([3, 0, 3]))
    2
    """
    return int(np.count_nonzero(np.bincount(patient_N)))


def draw_patients(patients: int, samples: int, seed: int) -> Resamples:
    """Resamples of so many patients; the same seed gives the same draws."""
    rng = np.random.default_rng(seed)
    drawn_SP = rng.multinomial(patients, np.full(patients, 1 / patients), size=samples)
    groups = min(patients, _LEAVE_OUT_GROUPS)
    kept_GP = rng.permutation(patients) % groups != np.arange(groups)[:, None]
    return Resamples(np.concatenate([np.ones((1, patients)), drawn_SP, kept_GP], dtype=float), samples)


Interval = Callable[[Floats, Resamples], Estimate]
"""From the values of all columns (C,) to the figure with its interval."""


def percentile(values_C: Floats, resamples: Resamples) -> Estimate:
    """Percentile interval. Undefined draws are left out; where they are the majority there is no interval."""
    value, drawn_S, _ = _parts(values_C, resamples)
    return _between(value, drawn_S, ENDS)


def bca(values_C: Floats, resamples: Resamples) -> Estimate:
    """Bias-corrected and accelerated interval (Efron 1987): corrects the skew of shares and areas near 0 or 1.

    The acceleration comes from leaving out patients, in at most 200 groups. Where there is no interval, see
    ``percentile``.
    """
    value, drawn_S, left_out_G = _parts(values_C, resamples)
    defined = drawn_S[np.isfinite(drawn_S)]
    if not np.isfinite(value) or not len(defined):
        return Estimate(value, np.nan, np.nan)
    below = np.mean(defined < value) + np.mean(defined == value) / 2
    shift = ndtri(np.clip(below, 0.5 / len(defined), 1 - 0.5 / len(defined)))
    normal = shift + ndtri(np.array(ENDS))
    stretch = 1 - _acceleration(left_out_G) * normal
    if (stretch < 0.1).any():  # so skewed that the correction itself breaks down
        return _between(value, drawn_S, ENDS)
    return _between(value, drawn_S, ndtr(shift + normal / stretch))


def reflected(values_C: Floats, resamples: Resamples) -> Estimate:
    """Interval of a figure at least 0 that sampling noise inflates, such as a mean of absolute gaps.

    A draw is as much above the sample as the sample is above the truth, so the interval is the percentile interval
    mirrored in the sample's value (Davison and Hinkley 1997, section 5.2, the basic bootstrap), cut at 0 and never
    ending below the value. In a simulation of 180 patients it held true calibration errors of 0.02 to 0.1 in 91 to 97 %
    of draws, the percentile interval in 1 to 95 %; for a perfectly calibrated model it is too narrow.
    """
    value, drawn_S, _ = _parts(values_C, resamples)
    mirrored = _between(value, np.maximum(2 * value - drawn_S, 0), ENDS)
    return replace(mirrored, high=float(np.maximum(mirrored.high, value)))


def share(values_C: Floats, resamples: Resamples, patients: int) -> Estimate:
    """BCa interval of a share that rests on discs of so many patients.

    Where no draw differs from 0 or from 1, the bootstrap would claim certainty: then the exact binomial interval of as
    many trials as there are patients (Clopper and Pearson 1934), as if all discs of a patient agreed.

    >>> share(np.ones(21), draw_patients(10, 10, 0), 10).text()
    '1.00 [0.69, 1.00]'
    """
    found = bca(values_C, resamples)
    if found.low < found.high or found.value not in (0.0, 1.0) or patients < 2:
        return found
    margin = 1 - ENDS[0] ** (1 / patients)
    return Estimate(found.value, 0.0, margin) if found.value == 0 else Estimate(found.value, 1 - margin, 1.0)


def p_value(values_C: Floats, resamples: Resamples, null: float = 0.0) -> float:
    """Two-sided p of "the true value is ``null``" by inverting the percentile interval (Davison and Hinkley 1997, 4.4).

    At least 2 / (samples + 1); nan where the figure has no interval.
    """
    value, drawn_S, _ = _parts(values_C, resamples)
    defined = drawn_S[np.isfinite(drawn_S)]
    if not np.isfinite(value) or 2 * len(defined) < len(drawn_S):
        return float("nan")
    tails = (np.sum(defined <= null) + 1, np.sum(defined >= null) + 1)
    return float(min(1.0, 2 * min(tails) / (len(defined) + 1)))


def without_interval(values_C: Floats, patient_N: Indices) -> Floats:
    """The values as they are, but nothing said of other patients where all discs are of fewer than two."""
    if patients_of(patient_N) >= 2:
        return values_C
    return np.concatenate([values_C[:1], np.full(len(values_C) - 1, np.nan)])


def _parts(values_C: Floats, resamples: Resamples) -> tuple[float, Floats, Floats]:
    ends = 1 + resamples.samples
    return float(values_C[0]), values_C[1:ends], values_C[ends:]


def _between(value: float, drawn_S: Floats, ends: tuple[float, float] | Floats) -> Estimate:
    defined = drawn_S[np.isfinite(drawn_S)]
    if not np.isfinite(value) or 2 * len(defined) < len(drawn_S) or not len(defined):
        return Estimate(value, np.nan, np.nan)
    low, high = np.quantile(defined, ends)
    return Estimate(value, float(low), float(high))


def _acceleration(left_out_G: Floats) -> float:
    """A sixth of the skewness of the patients' influence on the figure."""
    defined = left_out_G[np.isfinite(left_out_G)]
    influence = defined.mean() - defined if len(defined) else np.zeros(1)
    spread = np.sum(influence**2)
    return float(np.sum(influence**3) / (6 * spread**1.5)) if spread > 1e-20 else 0.0
