"""How well an epoch's grades rank what is known: the task metric by which a checkpoint is chosen.

Areas under the ROC curve need neither cuts nor calibration, which are fitted after training. Shapes: N disc, T target,
K grade.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from spinenet.labels import TARGETS, UNKNOWN, Scale


def discrimination(logp_NTK: NDArray[np.floating], grades_NT: NDArray[np.int64]) -> Mapping[str, float]:
    """Target -> mean area under the ROC curve over its cuts ("any change" of a nominal one), where both sides occur."""
    areas = {}
    for index, target in enumerate(TARGETS):
        known_N = grades_NT[:, index] != UNKNOWN
        grades_N = grades_NT[known_N, index]
        p_NK = np.exp(logp_NTK[known_N, index, : len(target.grades)].astype(np.float64))
        cuts = range(1) if target.scale is Scale.NOMINAL else range(len(target.grades) - 1)
        both = [cut for cut in cuts if 0 < (grades_N > cut).sum() < len(grades_N)]
        if both:
            areas[target.name] = float(
                np.mean([roc_auc_score(grades_N > cut, p_NK[:, cut + 1 :].sum(axis=1)) for cut in both])
            )
    return areas
