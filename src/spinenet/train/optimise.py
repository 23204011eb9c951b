"""Optimiser and schedule, the same for both networks."""

from typing import Any

import pytorch_lightning as pl
import torch

from spinenet.train.config import FitConfig


def one_cycle(module: pl.LightningModule, fit: FitConfig) -> dict[str, Any]:
    """AdamW and a one-cycle learning rate over all steps of the run (Smith and Topin 2019)."""
    optimiser = torch.optim.AdamW(module.parameters(), fit.learning_rate, weight_decay=fit.weight_decay)
    steps = max(2, int(module.trainer.estimated_stepping_batches))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, fit.learning_rate, total_steps=steps, pct_start=0.15)
    return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
