"""95 % intervals from a bootstrap over patients: the discs of one spine are drawn together because they age together.

Every figure is computed for many weightings of the patients at once. Column 0 counts each patient once (the sample
itself), the next ``samples`` columns are bootstrap draws, and the last leave some patients out each, which is what the
BCa interval needs. Shape letters: C columns of weights, P patients, N discs, F features.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr, ndtri, stdtr

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

COVERAGE = 0.95
ENDS = ((1 - COVERAGE) / 2, (1 + COVERAGE) / 2)
FEWEST_PATIENTS = 10
"""With fewer patients who have a finding, or who lack it, a figure of it has no interval."""
FEWEST_SAMPLES = 200
"""The least p of a family of questions is 1 / (samples + 1), and one is called different below FAMILY_ERROR."""
FEWEST_DEFINED = 0.9
FAMILY_ERROR = 0.01
"""Chance that is accepted of calling even one of a family of questions different where none is."""
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

    @property
    def signed(self) -> str:
        """A difference, with its sign."""
        return f"{'+' if self.value >= 0 else ''}{self}"

    @property
    def percent(self) -> str:
        """A share in percent.

        >>> Estimate(0.957, 0.9284, 0.9861).percent
        '95.7 % [92.8, 98.6]'
        """
        return f"{100 * self.value:.1f} % [{100 * self.low:.1f}, {100 * self.high:.1f}]"


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


def jackknife(values_C: Floats, resamples: Resamples) -> Estimate:
    """Interval of an average precision: 1.96 jackknife errors (Tukey 1958) around it on the scale of log-odds, from
    leaving out patients, in at most 200 groups.

    Of few positives a bootstrap draw ranks copies of the same discs, and its intervals are too narrow: with 63 positive
    discs BCa held the truth in 92 to 93 %, this one in 95 % (``notebooks/EXPERIMENTS.md``).
    """
    value, _, left_out_G = _parts(values_C, resamples)
    if not np.isfinite([value, *left_out_G]).all() or len(left_out_G) < 2:
        return Estimate(value, np.nan, np.nan)
    edge = 1e-6
    on_line_G, groups = logit(np.clip(left_out_G, edge, 1 - edge)), len(left_out_G)
    error = np.sqrt((groups - 1) * np.var(on_line_G))
    low, high = expit(logit(np.clip(value, edge, 1 - edge)) + ndtri(np.array(ENDS)) * error)
    return Estimate(value, min(value, float(low)), max(value, float(high)))


def share(values_C: Floats, resamples: Resamples, patients: int) -> Estimate:
    """BCa interval of a share that rests on discs of so many patients.

    Where no draw differs from 0 or from 1, the bootstrap would claim certainty: then the exact binomial interval of as
    many trials as there are patients (Clopper and Pearson 1934), as if all discs of a patient agreed.

    >>> share(np.ones(21), draw_patients(10, 10, 0), 10).text()
    '1.00 [0.69, 1.00]'
    """
    found = bca(values_C, resamples)
    if found.low < found.high or found.value not in (0.0, 1.0) or patients < FEWEST_PATIENTS:
        return found
    margin = 1 - ENDS[0] ** (1 / patients)
    return Estimate(found.value, 0.0, margin) if found.value == 0 else Estimate(found.value, 1 - margin, 1.0)


def max_t(values_MC: Sequence[Floats], resamples: Resamples) -> Floats:
    """p-values (M,) of "each of these M figures is 0", two-sided and corrected for all being asked (Westfall and Young
    1993, step-down max-T).

    The joint draws stand for the null once each figure is centred: they carry how the questions hang together, so that
    many questions on the same patients cost less than independent ones would. Each figure over its spread is Student's
    t of as many patients. The smallest p is 1 / (samples + 1).
    A figure that is nan in a tenth of the draws, or that never varies without being 0, is not asked: nan.
    """
    table_MC = np.reshape(np.array(values_MC, float), (len(values_MC), len(resamples.weights_CP)))
    value_M, drawn_MS = table_MC[:, 0], table_MC[:, 1 : 1 + resamples.samples]
    p_M = np.full(len(value_M), np.nan)
    asked = np.flatnonzero(np.isfinite(value_M) & (np.isfinite(drawn_MS).mean(axis=1) > FEWEST_DEFINED))
    gap_M, drawn_MS = value_M[asked], drawn_MS[asked]
    spread_M = np.nanstd(drawn_MS, axis=1) if len(asked) else gap_M
    certain_M = spread_M > 0
    p_M[asked[~certain_M & (gap_M == 0)]] = 1.0
    asked, gap_M, drawn_MS, spread_M = asked[certain_M], gap_M[certain_M], drawn_MS[certain_M], spread_M[certain_M]
    few = resamples.patients / max(resamples.patients - 1, 1)  # draws of few patients vary less than patients do
    size_M = -ndtri(stdtr(max(resamples.patients - 1, 1), -np.abs(gap_M) / (spread_M * np.sqrt(few))))
    null_MS = np.nan_to_num(np.abs(drawn_MS - gap_M[:, None]) / spread_M[:, None])
    order = np.argsort(-size_M)
    largest_MS = np.maximum.accumulate(null_MS[order[::-1]], axis=0)[::-1]
    beaten_M = (1 + (largest_MS >= size_M[order][:, None]).sum(axis=1)) / (resamples.samples + 1)
    p_M[asked[order]] = np.maximum.accumulate(beaten_M)
    return p_M


def verdict(gap: float, p: float) -> str:
    """What may be said of a gap with the p-value of its family: ``better``, ``worse``, ``not shown``, ``not asked``."""
    if not np.isfinite(p):
        return "not asked"
    return "not shown" if p >= FAMILY_ERROR else "better" if gap > 0 else "worse"


UNDEFINED = Estimate(np.nan, np.nan, np.nan)


def plain(value: Any) -> Any:
    """Records, tables of them and numbers for JSON: None where a number is not defined; values of draws are left out.

    >>> plain({"gap": Estimate(0.5, float("nan"), 1.0)})
    {'gap': {'value': 0.5, 'low': None, 'high': 1.0}}
    """
    if is_dataclass(value):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value) if not one.name.endswith("_C")}
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float):
        return float(value) if np.isfinite(value) else None
    return value


def resting(values_C: Floats, *patients_N: Indices) -> Floats:
    """The values as they are, but nothing said of other patients where one of these sets of discs is of fewer than
    FEWEST_PATIENTS: with 9 positive patients the intervals held the truth in 88 %, with 2 in 76 % of simulations."""
    if all(patients_of(patient_N) >= FEWEST_PATIENTS for patient_N in patients_N):
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
