"""Losses that ignore what nobody has labelled.

Shapes: B study, L level, T target, K grade; N crop, C class, H W pixels.
"""

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from spinenet.labels import MAX_GRADES, MIRROR, TARGETS, UNKNOWN, Scale
from spinenet.train.ordinal import nominal_loss, ordinal_loss, severity
from spinenet.train.training_config import CUMULATIVE


def grade_weights(grades_NT: Tensor, power: float = 0.5, limit: float = 6.0) -> Tensor:
    """(T, MAX_GRADES) weights that lift rare grades: (mean count / count)^power, at most ``limit``, mean one.

    A grade that does not occur weighs nothing, a target without labels too. Left and right weigh alike.
    """
    weights_TK = torch.zeros(len(TARGETS), MAX_GRADES)
    for index, target in enumerate(TARGETS):
        known = grades_NT[:, index][grades_NT[:, index] != UNKNOWN]
        counts = torch.bincount(known, minlength=len(target.grades)).float()
        if counts.sum() == 0:
            continue
        raw = torch.where(counts > 0, (counts.sum() / len(counts) / counts.clamp(min=1)) ** power, 0.0).clamp(max=limit)
        weights_TK[index, : len(counts)] = raw / ((raw * counts).sum() / counts.sum())
    return (weights_TK + weights_TK[list(MIRROR)]) / 2


def grading_loss(
    logp_BLTK: Tensor, grades_BLT: Tensor, weights_TK: Tensor, *, ordinal: str = CUMULATIVE, smoothing: float = 0.0
) -> Tensor:
    """Mean over targets of the weighted loss of known labels; 0, with a gradient of zeros, where nothing is known.

    Nominal and binary targets: cross entropy. Ordinal ones as ``ordinal.ordinal_loss`` says. The loss is linear in what
    is true: its mean over several raters' grades is the loss against the shares of raters who gave each grade.
    """
    known_BLT = grades_BLT != UNKNOWN
    grades_BLT = grades_BLT.clamp(min=0)
    losses = []
    for index, target in enumerate(TARGETS):
        logp_BLK, grades_BL = logp_BLTK[:, :, index, : len(target.grades)], grades_BLT[:, :, index]
        is_ordinal = target.scale is Scale.ORDINAL
        cost = partial(ordinal_loss, ordinal) if is_ordinal else nominal_loss
        losses.append(cost(logp_BLK, grades_BL, smoothing))
    loss_BLT = torch.stack(losses, 2)
    weight_BLT = weights_TK.gather(1, grades_BLT.flatten(0, 1).T).T.reshape(grades_BLT.shape) * known_BLT
    per_target_T = (loss_BLT * weight_BLT).sum((0, 1)) / weight_BLT.sum((0, 1)).clamp(min=1e-6)
    labelled_T = known_BLT.any(0).any(0)
    return (per_target_T * labelled_T).sum() / labelled_T.sum().clamp(min=1)


def pair_loss(logp_BLTK: Tensor, grades_BLT: Tensor) -> Tensor:
    """Mean over ordinal and binary targets of the logistic loss of pairs of a patient's discs with different known
    grades: the worse one should have the higher score (Burges et al. 2005), wherever a reader draws the cuts."""
    losses = [logp_BLTK.sum() * 0.0]
    for index, target in enumerate(TARGETS):
        if target.scale is Scale.NOMINAL:
            continue
        grades_BL = grades_BLT[:, :, index]
        worse_BLL = (grades_BL[:, :, None] > grades_BL[:, None]) & (grades_BL[:, None] != UNKNOWN)
        if worse_BLL.any():
            score_BL = severity(logp_BLTK[:, :, index, : len(target.grades)])
            margin_BLL = score_BL[:, :, None] - score_BL[:, None]
            losses.append(functional.softplus(-margin_BLL[worse_BLL]).mean())
    return torch.stack(losses).sum() / max(1, len(losses) - 1)


def allowed_classes_loss(logits_NCHW: Tensor, allowed_NCHW: Tensor, weights_C: Tensor, smooth: float = 10.0) -> Tensor:
    """Cross-entropy of all classes that a pixel may be of together, and half of soft Dice where it can be only one.

    A pixel that may be of two classes is right when either is said, in whatever mixture; one that may be of any counts
    nothing. A pixel weighs as the heaviest of its classes. ``smooth`` pixels are added to both sides of Dice.
    """
    logp_NCHW = logits_NCHW.log_softmax(1)
    none = torch.full_like(logp_NCHW, torch.finfo(logp_NCHW.dtype).min / 2)
    entropy_NHW = -torch.where(allowed_NCHW, logp_NCHW, none).logsumexp(1)
    weight_NHW = (allowed_NCHW * weights_C[:, None, None]).amax(1)
    known_N1HW = allowed_NCHW.sum(1, keepdim=True) == 1
    said, true = logp_NCHW.exp() * known_N1HW, (allowed_NCHW & known_N1HW).float()
    overlap_C, size_C = 2 * (said * true).sum((0, 2, 3)), (said + true).sum((0, 2, 3))
    dice_C = (overlap_C + smooth) / (size_C + smooth)
    return (entropy_NHW * weight_NHW).sum() / weight_NHW.sum() + 0.5 * (1 - dice_C[1:]).mean()
