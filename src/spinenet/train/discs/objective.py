"""What the disc network learns: the sum of its losses, of which unknown labels are no part.

Shapes: N disc, T target, K grade, C cut, H W pixels.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from spinenet.labels import TARGET_INDEX, Scale
from spinenet.train.discs.disc_config import DiscLossConfig
from spinenet.train.discs.network import DiscNetwork, GradeHead
from spinenet.train.discs.packed import NOT_DRAWN
from spinenet.train.ordinal import ordinal_loss

Outputs = Mapping[str, Tensor]


def grading_sum(
    network: DiscNetwork,
    outputs: Outputs,
    grades_NT: Tensor,
    source_N: Tensor,
    sources: Sequence[str],
    config: DiscLossConfig,
    weights_TK: Tensor,
) -> Tensor:
    """Weighted sum over targets of the mean loss of known grades, of which each weighs as ``weights_TK`` says;
    ``source_N`` indexes ``sources``. A target without known grades adds 0."""
    total = sum((one.sum() for one in outputs.values()), source_N.new_zeros((), dtype=torch.float32)) * 0.0
    for name, head in network.each_head():
        grades_N, rare_K = grades_NT[:, TARGET_INDEX[name]], weights_TK[TARGET_INDEX[name]]
        weight = config.targets.get(name, config.other_targets)
        if head.target.scale is not Scale.ORDINAL:
            known = grades_N >= 0
            if known.any():
                loss_N = _answer_loss(head, outputs[name][known], grades_N[known], config.smoothing)
                total = total + weight * _mean(loss_N, rare_K[grades_N[known]])
            continue
        for number, rater in enumerate(sources):
            known = (grades_N >= 0) & (source_N == number)
            if rater in head.raters and known.any():
                loss_N = _ordinal_loss(head, outputs[name][known], grades_N[known], rater, config.smoothing)
                total = total + weight * config.sources.get(rater, 1.0) * _mean(loss_N, rare_K[grades_N[known]])
    return total


def _mean(loss_N: Tensor, weight_N: Tensor) -> Tensor:
    return (loss_N * weight_N).sum() / weight_N.sum().clamp(min=1e-6)


def _answer_loss(head: GradeHead, outputs: Tensor, grades_N: Tensor, smoothing: float) -> Tensor:
    """(N,) cross entropy of a nominal or binary target."""
    if head.target.scale is Scale.BINARY:
        return _smoothed(outputs[:, 0], grades_N.float(), smoothing)
    spread = smoothing * head.grades / (head.grades - 1)
    return functional.cross_entropy(outputs, grades_N, label_smoothing=spread, reduction="none")


def _ordinal_loss(head: GradeHead, outputs: Tensor, grades_N: Tensor, rater: str, smoothing: float) -> Tensor:
    """(N,) as one data set's raters grade."""
    if head.is_cumulative:
        return _cut_loss(outputs - head.cuts_of(rater), grades_N, smoothing)
    return ordinal_loss(head.ordinal, head.log_probabilities(outputs, rater), grades_N, smoothing)


def _cut_loss(logits_NC: Tensor, grades_N: Tensor, smoothing: float) -> Tensor:
    """(N,) binary cross entropy of every "is it above this cut", summed over the cuts."""
    above_NC = (grades_N[:, None] > torch.arange(logits_NC.shape[1], device=grades_N.device)).float()
    return _smoothed(logits_NC, above_NC, smoothing).sum(1)


def _smoothed(logits: Tensor, truth: Tensor, smoothing: float) -> Tensor:
    truth = truth * (1 - 2 * smoothing) + smoothing
    return functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")


def pair_loss(network: DiscNetwork, outputs: Outputs, grades_NT: Tensor, patient_N: Tensor) -> Tensor:
    """Sum over targets of the logistic loss of pairs of a patient's discs with different known grades: the worse one
    should have the higher score (Burges et al. 2005). It does not depend on where a reader draws the cuts."""
    same_NN = patient_N[:, None] == patient_N[None]
    total = patient_N.new_zeros((), dtype=torch.float32)
    for name, head in network.each_head():
        grades_N = grades_NT[:, TARGET_INDEX[name]]
        worse_NN = same_NN & (grades_N[:, None] > grades_N[None]) & (grades_N[None] >= 0)
        if worse_NN.any():
            severity_N = head.severity(outputs[name])
            margin_NN = severity_N[:, None] - severity_N[None]
            total = total + functional.softplus(-margin_NN[worse_NN]).mean()
    return total


def segmentation_loss(logits: Tensor, classes_NHW: Tensor) -> Tensor:
    """Cross entropy of the pixels of which a label image says something; 0 where none does."""
    if not (classes_NHW != NOT_DRAWN).any():
        return logits.sum() * 0.0
    return functional.cross_entropy(logits, classes_NHW, ignore_index=NOT_DRAWN)
