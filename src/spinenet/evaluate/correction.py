"""Many questions asked at once: p-values corrected for their number."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Holm 1979: keeps the chance of even one false alarm among all questions.

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values)
    steps = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(steps, 1)
    return corrected


def benjamini_hochberg(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Benjamini and Hochberg 1995: bounds the expected share of false alarms among those raised."""
    return false_discovery_control(p_values) if len(p_values) else p_values


CORRECTIONS = {"holm": holm, "benjamini_hochberg": benjamini_hochberg}


def corrected(p_values: NDArray[np.float64], method: str) -> NDArray[np.float64]:
    """p-values corrected by a method of CORRECTIONS; an undefined one (nan) stays so and does not count."""
    asked = np.isfinite(p_values)
    result = np.full(len(p_values), np.nan)
    result[asked] = CORRECTIONS[method](p_values[asked])
    return result
