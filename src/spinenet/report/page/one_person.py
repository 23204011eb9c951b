"""May two studies that nothing says are of one person be of one? Bones of adults keep their size."""

from collections.abc import Mapping

import numpy as np

from spinenet.study import Prediction

BONES = ("vertebra_height_front_mm", "vertebra_height_middle_mm", "vertebra_height_back_mm", "disc_depth_mm")
FEWEST = 8
"""So many sizes are in common at least."""
UNLIKE = 0.05
"""Median difference of the sizes, as a share, from which two studies are said to be unlike: 87 of 100 pairs of SPIDER's
patients are; T1 and T2 of 12 patients differ by 0.022 at most (``notebooks/EXPERIMENTS.md``, 2026-11-27)."""
Values = Mapping[tuple[str, str], Prediction | float]


def are_unlike(before: Values, after: Values) -> bool:
    """Whether vertebrae and discs differ more in size than those of one person do; False where too few are known."""
    shared = [(was, after[place]) for place, was in before.items() if place[1] in BONES and place in after]
    sizes = [(was, now) for was, now in shared if isinstance(was, float | int) and isinstance(now, float | int)]
    if len(sizes) < FEWEST:
        return False
    return float(np.median([abs(np.log(now / was)) for was, now in sizes])) > UNLIKE
