"""Losses that ignore what nobody has labelled. Shapes: B study, L level, T target, K grade."""

import torch
from torch import Tensor

from spinenet.labels import MAX_GRADES, MIRROR, TARGETS, UNKNOWN, Scale


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


def grading_loss(logp_BLTK: Tensor, grades_BLT: Tensor, weights_TK: Tensor) -> Tensor:
    """Mean over targets of the weighted loss of known labels; 0, with a gradient of zeros, where nothing is known.

    Nominal and binary targets: cross entropy. Ordinal targets: binary cross entropy of every "is it above this cut".
    """
    known_BLT = grades_BLT != UNKNOWN
    grades_BLT = grades_BLT.clamp(min=0)
    loss_BLT = torch.stack(
        [_target_loss(index, logp_BLTK[:, :, index], grades_BLT[:, :, index]) for index in range(len(TARGETS))], 2
    )
    weight_BLT = weights_TK.gather(1, grades_BLT.flatten(0, 1).T).T.reshape(grades_BLT.shape) * known_BLT
    per_target_T = (loss_BLT * weight_BLT).sum((0, 1)) / weight_BLT.sum((0, 1)).clamp(min=1e-6)
    labelled_T = known_BLT.any(0).any(0)
    return (per_target_T * labelled_T).sum() / labelled_T.sum().clamp(min=1)


def _target_loss(index: int, logp_BLK: Tensor, grades_BL: Tensor) -> Tensor:
    target = TARGETS[index]
    if target.scale is not Scale.ORDINAL:
        return -logp_BLK.gather(-1, grades_BL[..., None])[..., 0]
    p_BLK = logp_BLK[..., : len(target.grades)].exp()
    above_BLC = p_BLK.flip(-1).cumsum(-1).flip(-1)[..., 1:].clamp(1e-5, 1 - 1e-5)
    truth_BLC = (grades_BL[..., None] > torch.arange(len(target.grades) - 1, device=grades_BL.device)).float()
    loss_BLC = -(truth_BLC * above_BLC.log() + (1 - truth_BLC) * (1 - above_BLC).log())
    return loss_BLC.mean(-1) * 2
