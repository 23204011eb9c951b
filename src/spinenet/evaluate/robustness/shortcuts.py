"""Whether something that should not tell a grade tells it: a plain classifier's discrimination, with its interval."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

COMPONENTS, FOLDS, RESAMPLES = 20, 5, 1000


class Discrimination(NamedTuple):
    """Area under the ROC curve of held-out scores with its 95 % bootstrap interval."""

    auc: float
    low: float
    high: float

    @property
    def at_chance(self) -> bool:
        """No better than guessing; held-out scores of noise often come out a little below one half."""
        return self.low <= 0.5


def discrimination(features_NF: NDArray[np.floating], present_N: NDArray[np.bool_], seed: int = 0) -> Discrimination:
    """How well a logistic regression on the leading components of features tells held-out cases apart.

    ``present_N`` needs both classes, at least FOLDS of each.
    """
    components = min(COMPONENTS, features_NF.shape[1], len(features_NF) // 4)
    model = make_pipeline(
        StandardScaler(), PCA(components, random_state=seed), LogisticRegression(C=0.1, max_iter=2000)
    )
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    scores_N = cross_val_predict(model, features_NF, present_N, cv=folds, method="decision_function")
    rng = np.random.default_rng(seed)
    areas: list[float] = []
    while len(areas) < RESAMPLES:
        drawn = rng.integers(0, len(present_N), len(present_N))
        if 0 < present_N[drawn].sum() < len(drawn):
            areas.append(roc_auc_score(present_N[drawn], scores_N[drawn]))
    low, high = np.quantile(areas, (0.025, 0.975))
    return Discrimination(float(roc_auc_score(present_N, scores_N)), float(low), float(high))
