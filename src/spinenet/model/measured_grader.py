"""Grades from measurements with numpy alone: a forest of extremely randomised trees and a kernel machine, their mean.

All that was learnt lies in arrays (``measured.npz`` of a bundle), so that neither scikit-learn nor torch is needed to
predict. Questions are yes/no: each cut of an ordinal scale, any change of a nominal one, each finding. The kernel
machine answers by likeness to measured discs of the training patients; its answers are calibrated by what it says of
discs left out. Shape letters: N training discs or nodes, L levels, F features, Q questions, T trees, K grades, M
quantiles, R references.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinenet.errors import BundleError, in_words
from spinenet.labels import TARGET, Scale

FLOOR = 1e-6
FOREST_PARTS = ("root", "feature", "cut", "left", "right", "value")
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Forest:
    """Trees of one target laid end to end: ``root_T``, and for each node the feature (-1: leaf), its cut and children;
    ``value_NK`` are the shares of the grades in a leaf."""

    root_T: NDArray[np.int32]
    feature_N: NDArray[np.int16]
    cut_N: NDArray[np.float32]
    left_N: NDArray[np.int32]
    right_N: NDArray[np.int32]
    value_NK: NDArray[np.float32]

    def probabilities(self, values_LF: NDArray[np.float32]) -> Floats:
        """(L, K) mean of the trees' leaves."""
        node_LT = np.tile(self.root_T, (len(values_LF), 1))
        row_LT = np.arange(len(values_LF))[:, None]
        while True:
            feature_LT = self.feature_N[node_LT]
            inner_LT = feature_LT >= 0
            if not inner_LT.any():
                return self.value_NK[node_LT].astype(np.float64).mean(1)
            goes_left = values_LF[row_LT, np.maximum(feature_LT, 0)] <= self.cut_N[node_LT]
            node_LT = np.where(inner_LT, np.where(goes_left, self.left_N[node_LT], self.right_N[node_LT]), node_LT)


@dataclass(frozen=True)
class Kernel:
    """``scores = exp(-gamma |z - anchor|^2) @ alpha + middle``; ``platt_Q2`` slope and intercept to log-odds."""

    anchors_NF: NDArray[np.float32]
    alpha_NQ: NDArray[np.float32]
    middle_Q: Floats
    platt_Q2: Floats
    gamma: float

    def log_odds(self, scores_LF: NDArray[np.float32]) -> Floats:
        """(L, Q) calibrated log-odds."""
        square = (scores_LF**2).sum(1)[:, None] + (self.anchors_NF**2).sum(1)[None]
        near = np.exp(-self.gamma * (square - 2 * scores_LF @ self.anchors_NF.T))
        return (near @ self.alpha_NQ + self.middle_Q) * self.platt_Q2[:, 0] + self.platt_Q2[:, 1]


@dataclass(frozen=True)
class MeasuredGrader:
    """``names`` of the features in order, ``quantile_MF`` and ``reference_M`` their normal scores, ``median_F`` what
    stands for a gap, ``typical_LF`` the median disc of each level of LEVELS, ``questions`` (target, cut) of the
    kernel's columns, ``types`` how the changed grades of a nominal target share its one question, by target."""

    names: tuple[str, ...]
    quantile_MF: Floats
    reference_M: Floats
    median_F: Floats
    typical_LF: Floats
    questions: tuple[tuple[str, int], ...]
    kernel: Kernel
    forests: Mapping[str, Forest]
    types: Mapping[str, Floats]

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the targets it grades."""
        return tuple(self.forests)

    def columns_of(self, names: Sequence[str], values_LF: Floats) -> Floats:
        """Features of these names in the grader's own order; one that is not among them is a gap."""
        places = {name: index for index, name in enumerate(names)}
        ours_LF = np.full((len(values_LF), len(self.names)), np.nan)
        for column, name in enumerate(self.names):
            if name in places:
                ours_LF[:, column] = values_LF[:, places[name]]
        return ours_LF

    def filled(self, values_LF: Floats) -> Floats:
        """The features with medians in their gaps."""
        return np.where(np.isnan(values_LF), self.median_F, values_LF)

    def probabilities(self, values_LF: Floats) -> dict[str, Floats]:
        """target -> (L, K): geometric mean of forest and kernel; ``values_LF`` are columns of ``names``, NaN a gap."""
        filled_LF = self.filled(values_LF)
        kernel = self.kernel_probabilities(filled_LF)
        # scikit-learn grows and reads its trees in float32.
        forest = {name: one.probabilities(filled_LF.astype(np.float32)) for name, one in self.forests.items()}
        return {name: geometric_mean([forest[name], kernel[name]]) for name in forest}

    def kernel_probabilities(self, filled_LF: Floats) -> dict[str, Floats]:
        """target -> (L, K) by the kernel alone."""
        yes_LQ = 1 / (1 + np.exp(-self.kernel.log_odds(self.normal_scores(filled_LF))))
        found = {}
        for target in dict(self.questions):
            columns = [index for index, (name, _) in enumerate(self.questions) if name == target]
            found[target] = grades_of(yes_LQ[:, columns], self.types.get(target, np.ones(1)))
        return found

    def normal_scores(self, filled_LF: Floats) -> NDArray[np.float32]:
        """(L, F) each feature as the normal score of its place among the training discs."""
        return normal_scores(filled_LF, self.quantile_MF, self.reference_M)


def normal_scores(filled_LF: Floats, quantile_MF: Floats, reference_M: Floats) -> NDArray[np.float32]:
    """(L, F) values as the scores ``reference_M`` of their places among the quantiles of each feature."""
    scores_LF = np.empty_like(filled_LF)
    for index in range(filled_LF.shape[1]):
        x, quantile_M = filled_LF[:, index], quantile_MF[:, index]
        # From both sides, so that a value many discs share gets the middle of their places.
        up = np.interp(x, quantile_M, reference_M)
        down = np.interp(-x, -quantile_M[::-1], reference_M)
        scores_LF[:, index] = 0.5 * (up - down)
    return scores_LF.astype(np.float32)


def grades_of(above_LQ: Floats, types_K: Floats) -> Floats:
    """(L, K) probabilities of grades from those of passing each cut; with one cut, ``types_K`` split what passes it.

    >>> grades_of(np.array([[0.9, 0.4]]), np.ones(1)).round(2).tolist()
    [[0.1, 0.5, 0.4]]
    """
    above = -np.sort(-above_LQ, axis=1)
    if above.shape[1] == 1:
        return np.concatenate([1 - above, above * types_K], axis=1)
    edge = np.concatenate([np.ones((len(above), 1)), above, np.zeros((len(above), 1))], axis=1)
    shares = np.clip(edge[:, :-1] - edge[:, 1:], 1e-5, None)
    return shares / shares.sum(1, keepdims=True)


def geometric_mean(parts: Sequence[Floats]) -> Floats:
    """(L, K) of several (L, K), normalised."""
    logs = np.mean([np.log(np.clip(part, FLOOR, 1)) for part in parts], axis=0)
    shares = np.exp(logs - logs.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


def read_measured_grader(content: bytes) -> MeasuredGrader:
    """The grader in the bytes of a ``measured.npz``; BundleError where they are none, or grade what is not known."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return _grader_of(dict(arrays))
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise BundleError(f"measured.npz: not arrays of a model on measurements ({in_words(error)})") from error


def _grader_of(arrays: Mapping[str, NDArray[np.generic]]) -> MeasuredGrader:
    forests = {str(name): _forest(arrays, str(name)) for name in arrays["forests"]}
    unknown = [name for name in forests if name not in TARGET or _grades(forests[name]) != len(TARGET[name].grades)]
    if unknown:
        raise ValueError(f"its scale of {', '.join(unknown)} is another")
    questions = zip(arrays["question_names"], arrays["question_cuts"], strict=True)
    return MeasuredGrader(
        names=tuple(str(name) for name in arrays["names"]),
        quantile_MF=arrays["quantile"].astype(np.float64),
        reference_M=arrays["reference"].astype(np.float64),
        median_F=arrays["median"].astype(np.float64),
        typical_LF=arrays["typical"].astype(np.float64),
        questions=tuple((str(name), int(cut)) for name, cut in questions),
        kernel=Kernel(
            arrays["anchors"].astype(np.float32),
            arrays["alpha"].astype(np.float32),
            arrays["middle"].astype(np.float64),
            arrays["platt"].astype(np.float64),
            float(arrays["gamma"]),
        ),
        forests=forests,
        types={
            name: arrays[f"{name}_types"].astype(np.float64) for name in forests if TARGET[name].scale is Scale.NOMINAL
        },
    )


def _forest(arrays: Mapping[str, NDArray[np.generic]], name: str) -> Forest:
    """One target's trees; shares of leaves are stored in 8 bits."""
    root, feature, cut, left, right, value = (arrays[f"{name}_{part}"] for part in FOREST_PARTS)
    shares = value.astype(np.float32)
    shares /= np.maximum(shares.sum(1, keepdims=True), 1)
    return Forest(
        root.astype(np.int32),
        feature.astype(np.int16),
        cut.astype(np.float32),
        left.astype(np.int32),
        right.astype(np.int32),
        shares,
    )


def _grades(forest: Forest) -> int:
    return int(forest.value_NK.shape[1])
