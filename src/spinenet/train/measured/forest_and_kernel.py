"""Fit the model on measurements and lay it out as the arrays that ``model.measured_grader`` reads.

A target's questions are yes/no: each cut of an ordinal scale, any change of a nominal one, the finding itself.
Shapes: N disc, F feature, M quantile, R reported measurement, T target, Q question, K grade, L level of LEVELS.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression

from spinenet.errors import DatasetError
from spinenet.labels import LEVELS, TARGET, TARGET_INDEX, UNKNOWN, Scale, Target
from spinenet.model.measured_grader import normal_scores
from spinenet.train.measured.disc_features import REPORTED, DiscFeatures
from spinenet.train.training_config import ForestConfig

Floats = NDArray[np.float64]
Arrays = dict[str, NDArray[Any]]
PLACES = np.linspace(0.006, 0.994, 41)
"""Quantiles by which a feature becomes a normal score."""
GAMMA, RIDGE = 0.36, 1.0
"""Of the kernel: its width for one feature, and the ridge, in discs of mean weight."""
CERTAIN = 7.0
"""Log-odds of a question that all known discs answer alike."""
RARE = 0.01
"""Least share of a type of change among the changed."""
LEAF_STEPS = 250
"""A leaf's shares are kept in so many steps."""
REFERENCE_SHARES = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95)
"""Quantiles of the reported measurements that are kept by level."""
FEWEST = 20
"""Discs of a level from which its own median and quantiles are taken."""


@dataclass(frozen=True)
class TrainingDiscs:
    """Measured discs with their grades: ``values_NF`` columns named by ``names``, ``level_N`` index into LEVELS,
    ``reported_NR`` REPORTED measurements, ``grades_NT`` index of the grade or UNKNOWN. NaN is not known."""

    names: tuple[str, ...]
    level_N: NDArray[np.int64]
    values_NF: Floats
    reported_NR: Floats
    grades_NT: NDArray[np.int64]


def joined_discs(measured: Sequence[DiscFeatures], grades: Sequence[NDArray[np.int64]]) -> TrainingDiscs:
    """The discs of many studies that have any grade, from what was measured and graded (len(LEVELS), T) of each."""
    shown = [(one, grades_LT[one.level_L]) for one, grades_LT in zip(measured, grades, strict=True) if one.names]
    if not shown:
        raise DatasetError("no disc of any study could be measured; are there sagittal T2 or T1 series?")
    names = dict.fromkeys(name for one, _ in shown for name in one.names)
    values_NF = np.full((sum(len(one.level_L) for one, _ in shown), len(names)), np.nan)
    columns, first = {name: column for column, name in enumerate(names)}, 0
    for one, _ in shown:
        values_NF[first : first + len(one.level_L), [columns[name] for name in one.names]] = one.values_LF
        first += len(one.level_L)
    grades_NT = np.concatenate([grades_LT for _, grades_LT in shown])
    graded_N = (grades_NT != UNKNOWN).any(1)
    return TrainingDiscs(
        tuple(names),
        np.concatenate([one.level_L for one, _ in shown])[graded_N],
        values_NF[graded_N],
        np.concatenate([one.reported_LR for one, _ in shown])[graded_N],
        grades_NT[graded_N],
    )


def fitted_arrays(discs: TrainingDiscs, config: ForestConfig, seed: int) -> Arrays:
    """All arrays of a ``measured.npz``; DatasetError where no target has discs of two grades."""
    targets = learnable(discs.grades_NT)
    if not targets:
        raise DatasetError("no target has measured discs of two grades; nothing can be learnt")
    quantile_MF = np.nan_to_num(_quantiles(discs.values_NF, PLACES))
    median_F = np.nan_to_num(_quantiles(discs.values_NF, [0.5])[0])
    filled_NF = np.where(np.isnan(discs.values_NF), median_F, discs.values_NF)
    questions = [(target.name, cut) for target in targets for cut in range(_cuts(target))]
    arrays: Arrays = {
        "names": np.array(discs.names),
        "forests": np.array([target.name for target in targets]),
        "quantile": quantile_MF.astype(np.float32),
        "reference": norm.ppf(PLACES),
        "median": median_F.astype(np.float32),
        "typical": _typical(discs, median_F).astype(np.float32),
        "question_names": np.array([name for name, _ in questions]),
        "question_cuts": np.array([cut for _, cut in questions]),
        **reference_arrays(discs),
    }
    scores_NF = normal_scores(filled_NF, quantile_MF, norm.ppf(PLACES))
    arrays |= kernel_arrays(scores_NF, _above(discs.grades_NT, questions))
    for target in targets:
        grades_N = discs.grades_NT[:, TARGET_INDEX[target.name]]
        known_N = grades_N != UNKNOWN
        arrays |= forest_arrays(target, filled_NF[known_N], grades_N[known_N], config, seed)
        if target.scale is Scale.NOMINAL:
            arrays[f"{target.name}_types"] = shares_of_types(target, grades_N[known_N])
    return arrays


def learnable(grades_NT: NDArray[np.int64]) -> list[Target]:
    """Targets of which some discs differ."""
    known = {name: np.unique(grades_NT[:, TARGET_INDEX[name]]) for name in TARGET}
    return [TARGET[name] for name, grades in known.items() if (grades != UNKNOWN).sum() > 1]


def kernel_arrays(scores_NF: NDArray[np.float32], above_NQ: Floats) -> Arrays:
    """A balanced ridge regression with a radial kernel of every question, calibrated by what each disc gets when it is
    left out, which has a closed form. ``above_NQ`` is 1 yes, 0 no, NaN not known."""
    anchors_NF = scores_NF.astype(np.float16)
    gamma = GAMMA / scores_NF.shape[1]
    kernel_NN = _likeness(anchors_NF.astype(np.float64), gamma)
    alpha_NQ, middle_Q = np.zeros_like(above_NQ), np.zeros(above_NQ.shape[1])
    platt_Q2 = np.zeros((above_NQ.shape[1], 2))
    for index, above_N in enumerate(above_NQ.T):
        known = np.flatnonzero(~np.isnan(above_N))
        yes_N = above_N[known]
        if yes_N.min() == yes_N.max():
            platt_Q2[index, 1] = CERTAIN if yes_N[0] else -CERTAIN
            continue
        weight_N = np.where(yes_N > 0, 0.5 / yes_N.mean(), 0.5 / (1 - yes_N.mean()))
        middle_Q[index] = np.average(yes_N, weights=weight_N)
        inverse_NN = np.linalg.inv(kernel_NN[np.ix_(known, known)] + RIDGE * np.diag(1 / weight_N))
        alpha_N = inverse_NN @ (yes_N - middle_Q[index])
        alpha_NQ[known, index] = alpha_N
        left_out_N = yes_N - alpha_N / np.diag(inverse_NN)
        platt = LogisticRegression(C=100).fit(left_out_N[:, None], yes_N > 0.5)
        platt_Q2[index] = platt.coef_[0, 0], platt.intercept_[0]
    return {
        "anchors": anchors_NF,
        "alpha": alpha_NQ.astype(np.float32),
        "middle": middle_Q,
        "platt": platt_Q2,
        "gamma": np.array(gamma),
    }


def forest_arrays(
    target: Target, filled_NF: Floats, grades_N: NDArray[np.int64], config: ForestConfig, seed: int
) -> Arrays:
    """Extremely randomised trees of one target, laid end to end."""
    forest = ExtraTreesClassifier(
        config.trees,
        min_samples_leaf=config.leaf,
        max_features=config.features,
        class_weight="balanced_subsample",
        random_state=seed,
    ).fit(filled_NF, grades_N)
    trees = [one.tree_ for one in forest.estimators_]
    first_T = np.cumsum([0, *(tree.node_count for tree in trees[:-1])])
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in ("feature", "cut", "left", "right", "value")}
    for first, tree in zip(first_T, trees, strict=True):
        is_leaf = tree.children_left < 0
        value_NK = np.zeros((tree.node_count, len(target.grades)))
        value_NK[:, forest.classes_] = tree.value[:, 0]
        value_NK *= is_leaf[:, None] / value_NK.sum(1, keepdims=True)
        parts["feature"].append(np.where(is_leaf, -1, tree.feature).astype(np.int16))
        parts["cut"].append(np.where(is_leaf, 0, tree.threshold).astype(np.float32))
        parts["left"].append(np.where(is_leaf, 0, tree.children_left + first).astype(np.int32))
        parts["right"].append(np.where(is_leaf, 0, tree.children_right + first).astype(np.int32))
        parts["value"].append(np.rint(value_NK * LEAF_STEPS).astype(np.uint8))
    arrays: Arrays = {f"{target.name}_{name}": np.concatenate(part) for name, part in parts.items()}
    return arrays | {f"{target.name}_root": first_T.astype(np.int32)}


def shares_of_types(target: Target, grades_N: NDArray[np.int64]) -> Floats:
    """(K - 1,) how often each kind of change is among the changed, none less than RARE."""
    counts = np.bincount(grades_N, minlength=len(target.grades))[1:]
    shares = np.maximum(counts / max(counts.sum(), 1), RARE)
    return np.asarray(shares / shares.sum(), np.float64)


def reference_arrays(discs: TrainingDiscs) -> Arrays:
    """What is usual among these discs, by level: ``reference_names`` of measurements, their quantiles (L, R, Q) at
    ``reference_shares`` and how many discs they are of (L, R); NaN where a level has fewer than FEWEST."""
    shape = (len(LEVELS), len(REPORTED))
    quantiles, counts = np.full((*shape, len(REFERENCE_SHARES)), np.nan), np.zeros(shape, np.int32)
    for level in range(len(LEVELS)):
        here_NR = discs.reported_NR[discs.level_N == level]
        counts[level] = (~np.isnan(here_NR)).sum(0)
        enough = counts[level] >= FEWEST
        quantiles[level, enough] = _quantiles(here_NR[:, enough], REFERENCE_SHARES).T
    return {
        "reference_names": np.array(REPORTED),
        "reference_shares": np.array(REFERENCE_SHARES),
        "reference_quantiles": quantiles.astype(np.float32),
        "reference_counts": counts,
    }


def _typical(discs: TrainingDiscs, median_F: Floats) -> Floats:
    """(L, F) the median disc of each level, of all discs where it has few."""
    typical_LF = np.tile(median_F, (len(LEVELS), 1))
    for level in range(len(LEVELS)):
        here_NF = discs.values_NF[discs.level_N == level]
        if len(here_NF) >= FEWEST:
            typical_LF[level] = np.nan_to_num(_quantiles(here_NF, [0.5])[0])
    return typical_LF


def _quantiles(values_NF: Floats, shares: Sequence[float] | Floats) -> Floats:
    """(M, F) quantiles of what is known; NaN in columns without any."""
    found_MF = np.full((len(shares), values_NF.shape[1]), np.nan)
    known_F = ~np.isnan(values_NF).all(0) if len(values_NF) else np.zeros(values_NF.shape[1], np.bool_)
    found_MF[:, known_F] = np.nanquantile(values_NF[:, known_F], shares, axis=0)
    return found_MF


def _cuts(target: Target) -> int:
    return len(target.grades) - 1 if target.scale is Scale.ORDINAL else 1


def _above(grades_NT: NDArray[np.int64], questions: Sequence[tuple[str, int]]) -> Floats:
    """(N, Q) whether a disc passes each cut, NaN where that is not known."""
    columns = [(grades_NT[:, TARGET_INDEX[name]], cut) for name, cut in questions]
    return np.stack([np.where(grades == UNKNOWN, np.nan, grades > cut) for grades, cut in columns], 1).astype(float)


def _likeness(scores_NF: Floats, gamma: float) -> Floats:
    square_N = (scores_NF**2).sum(1)
    likeness: Floats = np.exp(-gamma * (square_N[:, None] + square_N[None] - 2 * scores_NF @ scores_NF.T))
    return likeness
