"""How well a score ranks: areas under the ROC and precision-recall curves for many weightings of patients at once.

Thresholds are the distinct scores of the positive discs: between two of them neither curve has a corner that counts.
Shape letters: C columns of weights, P patients, N discs, U thresholds.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from spinenet.evaluate.agreement import ratio
from spinenet.evaluate.intervals import Floats, Indices, Resamples

Bools = NDArray[np.bool_]

_CELLS_AT_ONCE = 500_000  # what a core's cache holds


def auc_and_precision(
    positive_N: Bools, score_N: Floats, patient_N: Indices, resamples: Resamples
) -> tuple[Floats, Floats]:
    """Area under the ROC curve and average precision, both (C,); nan in columns that lack a class.

    The area is the chance that a positive disc scores above a negative one, ties counting half; average precision is
    the precision at each positive disc, averaged, not interpolated. Both as scikit-learn defines them.

    >>> from spinenet.evaluate.intervals import once
    >>> positive, score = np.array([False, True, True]), np.array([0.2, 0.2, 0.9])
    >>> area, precision = auc_and_precision(positive, score, np.arange(3), once(3))
    >>> area.tolist(), round(float(precision[0]), 4)
    ([0.75], 0.8333)
    """
    columns = len(resamples.weights_CP)
    if positive_N.all() or not positive_N.any():
        return np.full(columns, np.nan), np.full(columns, np.nan)
    hits_UP, ties_UP, between_UP = _cells(positive_N, score_N, patient_N, resamples.patients)
    parts = [
        _areas(hits_UP @ weights_PC, ties_UP @ weights_PC, between_UP @ weights_PC)
        for weights_PC in _blocks(resamples.weights_CP, max(1, _CELLS_AT_ONCE // hits_UP.shape[0]))
    ]
    areas, precisions = zip(*parts, strict=True)
    return np.concatenate(areas), np.concatenate(precisions)


def _areas(hits_UC: Floats, ties_UC: Floats, between_UC: Floats) -> tuple[Floats, Floats]:
    """From positives and tied negatives at each threshold, and negatives between it and the one above."""
    alarms_UC = np.cumsum(between_UC[:-1] + ties_UC, axis=0)
    positives_C, negatives_C = hits_UC.sum(axis=0), alarms_UC[-1] + between_UC[-1]
    beaten_UC = negatives_C - alarms_UC + ties_UC / 2
    area_C = ratio(np.einsum("uc,uc->c", hits_UC, beaten_UC), positives_C * negatives_C)
    found_UC = np.cumsum(hits_UC, axis=0)
    called_UC = found_UC + alarms_UC
    precision_UC = np.divide(found_UC, called_UC, out=np.zeros_like(called_UC), where=called_UC > 0)
    precision_C = ratio(np.einsum("uc,uc->c", hits_UC, precision_UC), positives_C)
    return area_C, np.where(negatives_C > 0, precision_C, np.nan)


def _cells(
    positive_N: Bools, score_N: Floats, patient_N: Indices, patients: int
) -> tuple[sparse.csr_array, sparse.csr_array, sparse.csr_array]:
    """Discs counted by threshold and patient: positives (U, P), tied negatives (U, P), negatives between (U + 1, P)."""
    threshold_U, of_positive = np.unique(-score_N[positive_N], return_inverse=True)
    negative, patient = -score_N[~positive_N], patient_N[~positive_N]
    cell = np.searchsorted(threshold_U, negative, side="left")
    tied = np.zeros(len(cell), bool)
    inside = cell < len(threshold_U)
    tied[inside] = threshold_U[cell[inside]] == negative[inside]
    rows = len(threshold_U)
    return (
        _count(of_positive, patient_N[positive_N], (rows, patients)),
        _count(cell[tied], patient[tied], (rows, patients)),
        _count(cell[~tied], patient[~tied], (rows + 1, patients)),
    )


def _count(row: Indices, column: Indices, shape: tuple[int, int]) -> sparse.csr_array:
    return sparse.csr_array((np.ones(len(row)), (row, column)), shape=shape)


def _blocks(weights_CP: Floats, block: int) -> Iterator[Floats]:
    """Columns of weights (P, C), a block at a time to bound the memory."""
    for start in range(0, len(weights_CP), block):
        yield np.ascontiguousarray(weights_CP[start : start + block].T)
