"""The segmenter's training step."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from spinenet.train.loop import SCORE
from spinenet.train.losses import allowed_classes_loss
from spinenet.train.optimise import one_cycle
from spinenet.train.segmenter.outline_kinds import KINDS
from spinenet.train.segmenter.unet import Segmenter
from spinenet.train.training_config import FitConfig, SegmenterModelConfig

Batch = dict[str, Tensor]


class SegmenterModule(pl.LightningModule):
    """Segmenter with the loss of allowed classes."""

    weights_C: Tensor

    def __init__(self, model: SegmenterModelConfig, fit: FitConfig, outlines: str = "disc") -> None:
        super().__init__()
        self.fit_config = fit
        kind = KINDS[outlines]
        self.network = Segmenter(model.width, model.inner, len(kind.classes))
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.register_buffer("weights_C", torch.tensor(kind.weights), persistent=False)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Loss of one batch of randomised crops."""
        loss = allowed_classes_loss(self.network(batch["crop"]), batch["allowed"], self.weights_C)
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(batch["crop"]))
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        """Loss, and mean Dice of what is outlined, on plain crops."""
        logits_NCHW, size = self.network(batch["crop"]), len(batch["crop"])
        loss = allowed_classes_loss(logits_NCHW, batch["allowed"], self.weights_C)
        self.log("validation_loss", loss, prog_bar=True, batch_size=size, sync_dist=True)
        dice = mean_dice(logits_NCHW, batch["allowed"])
        self.log(SCORE, dice, prog_bar=True, batch_size=size, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """AdamW with a one-cycle schedule."""
        return one_cycle(self, self.fit_config)


def mean_dice(logits_NCHW: Tensor, allowed_NCHW: Tensor) -> Tensor:
    """Mean Dice of the classes but background that some pixel is known to be of, where the truth is known."""
    known_NHW = allowed_NCHW.sum(1) == 1
    said_NHW, true_NHW = logits_NCHW.argmax(1)[known_NHW], allowed_NCHW.float().argmax(1)[known_NHW]
    dice = [
        2 * ((said_NHW == one) & (true_NHW == one)).sum() / ((said_NHW == one).sum() + (true_NHW == one).sum())
        for one in range(1, logits_NCHW.shape[1])
        if (true_NHW == one).any()
    ]
    return torch.stack(dice).mean() if dice else torch.tensor(0.0)
