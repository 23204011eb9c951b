"""What the parts of a bundle say of a target, joined to one answer: their geometric mean, with equal weights.

Weights chosen on patients were no better than equal ones (``notebooks/EXPERIMENTS.md``, 2026-11-26).
Shape letters: L level, T target of the label space, K grade.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import MAX_GRADES, TARGET_INDEX, TARGETS

NEVER = -1.0e4
"""Log-probability of a grade that a scale does not have."""
LEAST_P = 1.0e-6
"""No part may rule a grade out."""
Floats = NDArray[np.floating]


def answer(
    level_L: NDArray[np.int64], said: Mapping[str, Floats], said_of: Sequence[int] | NDArray[np.int64]
) -> NDArray[np.float32]:
    """(L, T, MAX_GRADES) log-probabilities at the levels ``level_L`` of what a part said: target -> (levels, K)
    probabilities of the levels ``said_of``; nan elsewhere."""
    logp_LTK = np.full((len(level_L), len(TARGETS), MAX_GRADES), np.nan, np.float32)
    rows = {int(level): row for row, level in enumerate(said_of)}
    both = [(row, rows[int(level)]) for row, level in enumerate(level_L) if int(level) in rows]
    for name, p_NK in said.items():
        index, grades = TARGET_INDEX[name], p_NK.shape[1]
        for row, place in both:
            logp_LTK[row, index] = NEVER
            logp_LTK[row, index, :grades] = np.log(np.clip(p_NK[place], LEAST_P, 1))
    return logp_LTK


def joined(answers: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """(L, T, K) mean of the answers that are there, normalised; nan where there is none, a single one as it is.

    >>> both = joined([np.log([[[0.5, 0.5]]]), np.log([[[0.9, 0.1]]])])
    >>> np.exp(both).round(2).tolist()
    [[[0.75, 0.25]]]
    """
    stack = np.stack(answers)
    there = ~np.isnan(stack[..., 0])
    count_LT = there.sum(0)
    total_LTK = np.where(there[..., None], stack, 0).sum(0)
    mean_LTK = total_LTK / np.maximum(count_LT, 1)[..., None]
    top_LTK = mean_LTK.max(-1, keepdims=True)
    normed_LTK = mean_LTK - top_LTK - np.log(np.exp(mean_LTK - top_LTK).sum(-1, keepdims=True))
    first_LTK = np.where(np.isnan(stack), 0, stack).sum(0)
    logp_LTK = np.where(count_LT[..., None] > 1, normed_LTK, first_LTK)
    return np.where(count_LT[..., None] > 0, logp_LTK, np.nan).astype(np.float32)
