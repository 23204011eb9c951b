"""Ordinal grades, told in one of three ways: how many numbers a head gives, what grades these mean, what being wrong
costs. ``model.ordinal`` names the way.

Shapes: K grade, C cut (C = K - 1); leading axes are any.
"""

import torch
from torch import Tensor
from torch.nn import functional

from spinenet.train.training_config import CORN, CUMULATIVE

CERTAIN = 1e-5
"""Probabilities of a cut end so far from 0 and 1, or one disc would cost without bounds."""


def outputs_of(ordinal: str, grades: int) -> int:
    """How many numbers a head gives for so many grades."""
    return {CUMULATIVE: 1, CORN: grades - 1}.get(ordinal, grades)


def log_probabilities(ordinal: str, outputs: Tensor, cuts_C: Tensor | None = None) -> Tensor:
    """(..., K) of the grades.

    ``cumulative``: one score and ordered ``cuts_C`` (proportional odds, McCullagh 1980). ``corn``: each cut's log-odds,
    given that the one below is passed (Shi, Cao and Raschka 2023). ``cross_entropy``: a logit a grade.
    """
    if ordinal == CUMULATIVE:
        assert cuts_C is not None
        above = torch.sigmoid(outputs - cuts_C)
        edge = torch.ones_like(above[..., :1])
        return (torch.cat([edge, above], -1) - torch.cat([above, edge * 0], -1)).clamp(min=1e-6).log()
    if ordinal == CORN:
        passed = functional.pad(functional.logsigmoid(outputs).cumsum(-1), (1, 0))
        return passed + functional.pad(functional.logsigmoid(-outputs), (0, 1))
    return outputs.log_softmax(-1)


def ordinal_loss(ordinal: str, logp_K: Tensor, grades: Tensor, smoothing: float = 0.0) -> Tensor:
    """(...,) what known grades cost; ``smoothing`` is the share of every answer that is taken to be wrong.

    ``cumulative``: twice the mean binary cross entropy of every "is it above this cut", so that a grade far off costs
    more than the next one. The others: cross entropy, which for ``corn`` is the sum of its conditional ones.
    """
    grades_K = torch.arange(logp_K.shape[-1], device=grades.device)
    if ordinal == CUMULATIVE:
        above_C = above_cuts(logp_K)
        truth_C = (grades[..., None] > grades_K[:-1]).float() * (1 - 2 * smoothing) + smoothing
        return -2 * (truth_C * above_C.log() + (1 - truth_C) * (1 - above_C).log()).mean(-1)
    return nominal_loss(logp_K, grades, smoothing)


def nominal_loss(logp_K: Tensor, grades: Tensor, smoothing: float = 0.0) -> Tensor:
    """(...,) cross entropy; ``smoothing`` is divided among the other grades."""
    loss = -logp_K.gather(-1, grades[..., None])[..., 0]
    if not smoothing:
        return loss
    others = (-logp_K.sum(-1) - loss) / (logp_K.shape[-1] - 1)
    return (1 - smoothing) * loss + smoothing * others


def above_cuts(logp_K: Tensor) -> Tensor:
    """(..., C) probability of being above each cut, within bounds."""
    return logp_K.exp().flip(-1).cumsum(-1).flip(-1)[..., 1:].clamp(CERTAIN, 1 - CERTAIN)


def severity(logp_K: Tensor) -> Tensor:
    """(...,) how far from the first grade, as mean log-odds of being above each cut."""
    return torch.logit(above_cuts(logp_K)).mean(-1)
