"""The locator's training step."""

from typing import Any

import pytorch_lightning as pl
import torch
from monai.losses import DiceCELoss
from torch import Tensor

from spinenet.locating.discs import DISC
from spinenet.train.loop import SCORE
from spinenet.train.networks import Locator
from spinenet.train.optimise import one_cycle
from spinenet.train.training_config import FitConfig, LocatorModelConfig

Batch = dict[str, Tensor]

# Discs are few pixels and the lowest one decides every name, so they weigh more than background and bodies.
CLASS_WEIGHTS = (0.5, 1.0, 1.0, 2.0, 3.0)


class LocatorModule(pl.LightningModule):
    """Locator with Dice and cross-entropy loss (MONAI's DiceCELoss)."""

    def __init__(self, model: LocatorModelConfig, fit: FitConfig) -> None:
        super().__init__()
        self.fit_config = fit
        self.network = Locator(model.width)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.loss = DiceCELoss(to_onehot_y=True, softmax=True, batch=True, weight=torch.tensor(CLASS_WEIGHTS))

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Loss of one batch of randomised windows."""
        loss = self.loss(self.network(batch["image"]), batch["classes"][:, None])
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(batch["image"]))
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        """Loss and Dice of all discs on plain whole slices."""
        logits = self.network(batch["image"])
        loss = self.loss(logits, batch["classes"][:, None])
        self.log("validation_loss", loss, prog_bar=True, batch_size=1, sync_dist=True)
        found, truth = logits.argmax(1) >= DISC, batch["classes"] >= DISC
        dice = 2 * (found & truth).sum() / (found.sum() + truth.sum()).clamp(min=1)
        self.log(SCORE, dice.float(), prog_bar=True, batch_size=1, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """AdamW with a one-cycle schedule."""
        return one_cycle(self, self.fit_config)
