"""Optimiser and schedule, the same for both networks."""

import math
from collections.abc import Iterable
from typing import Any

import pytorch_lightning as pl
import torch

from spinenet.train.training_config import FitConfig

WARM_UP = 0.15
"""Share of a run in which the learning rate rises."""
START, END = 0.04, 1e-4
"""Learning rate at the start and at the end, as shares of the highest."""


def one_cycle(
    module: pl.LightningModule,
    fit: FitConfig,
    groups: Iterable[dict[str, Any]] | None = None,
    warm_up: float = WARM_UP,
) -> dict[str, Any]:
    """AdamW and a one-cycle learning rate over the steps of the run (Smith and Topin 2019).

    ``groups`` are the weights with learning rates of their own, where these differ.
    """
    learnt = module.parameters() if groups is None else groups
    optimiser = torch.optim.AdamW(learnt, fit.learning_rate, weight_decay=fit.weight_decay)
    steps = max(2, int(module.trainer.estimated_stepping_batches))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate_at(min(step / steps, 1.0), warm_up))
    return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def rate_at(progress: float, warm_up: float = WARM_UP) -> float:
    """Learning rate as a share of the highest: a cosine up to ``warm_up`` of the run, and one down to its end.

    >>> [round(rate_at(progress), 2) for progress in (0, 0.15, 0.575, 1)]
    [0.04, 1.0, 0.5, 0.0]
    """
    if progress < warm_up:
        return START + (1 - START) * (1 - math.cos(math.pi * progress / warm_up)) / 2
    return END + (1 - END) * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up))) / 2
