"""The grader's training step."""

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from spinenet.crops import BAG_ARRAYS
from spinenet.errors import ConfigError
from spinenet.labels import TARGET, VIEWS
from spinenet.train.baselines import build_grader
from spinenet.train.loop import OTHER_TARGETS, SCORE
from spinenet.train.losses import grade_weights, grading_loss, pair_loss
from spinenet.train.optimise import one_cycle
from spinenet.train.rendering import render
from spinenet.train.scores import discrimination
from spinenet.train.training_config import FitConfig, GraderLossConfig, GraderModelConfig

Batch = dict[str, Tensor]


def grader_inputs(batch: Batch) -> list[Tensor]:
    """The network's arguments in order; pictures of windows are made first."""
    bag = batch if "crops_LSHW" in batch else {**batch, "crops_LSHW": render(batch)}
    return [bag[name] for name in BAG_ARRAYS]


class GraderModule(pl.LightningModule):
    """Grader with its losses; ``grades_NT`` of the training discs set the weights of rare grades, ``views_V`` are the
    views that it has been shown."""

    def __init__(self, model: GraderModelConfig, fit: FitConfig, loss: GraderLossConfig, grades_NT: Tensor) -> None:
        super().__init__()
        self.fit_config, self.loss_config, self.ordinal = fit, loss, model.ordinal
        self.network = build_grader(model)
        # 1.4 times as fast on a CPU; with 8 channels and two threads torch 2.13 crashes in its backward pass.
        flat = all(weight.ndim < 5 for weight in self.network.parameters())
        if flat and model.width % 16 == 0:
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.weights_TK: Tensor
        self.register_buffer("weights_TK", grade_weights(grades_NT, loss.rare))
        self.views_V: Tensor
        self.register_buffer("views_V", torch.zeros(len(VIEWS), dtype=torch.bool))
        self._validated: list[tuple[NDArray[Any], ...]] = []

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Weighted loss of the known labels of one batch."""
        self.views_V[batch["view_LS"][batch["mask_LS"]]] = True
        logp, _ = self.network.forward_present(*grader_inputs(batch))
        loss = self._loss(logp, batch["grades_LT"])
        if self.loss_config.pairs:
            loss = loss + self.loss_config.pairs * pair_loss(logp, batch["grades_LT"])
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(logp))
        return loss

    def _loss(self, logp_BLTK: Tensor, grades_BLT: Tensor) -> Tensor:
        """Of known labels, rare grades lifted."""
        smoothing = self.loss_config.smoothing
        return grading_loss(logp_BLTK, grades_BLT, self.weights_TK, ordinal=self.ordinal, smoothing=smoothing)

    def validation_step(self, batch: Batch, index: int) -> None:
        """The same loss on studies as prediction will see them; their grades are kept for the epoch's score."""
        logp, _ = self.network.forward_present(*grader_inputs(batch))
        loss = self._loss(logp, batch["grades_LT"])
        self.log("validation_loss", loss, prog_bar=True, batch_size=len(logp), sync_dist=True)
        pair = (logp.float(), batch["grades_LT"])
        self._validated.append(tuple(values.flatten(0, 1).cpu().numpy() for values in pair))

    def on_validation_epoch_end(self) -> None:
        """Log how well each target is ranked and their mean, minus the loss where nothing can be ranked."""
        areas = discrimination(*(np.concatenate(parts) for parts in zip(*self._validated, strict=True)))
        self._validated.clear()
        for name, area in areas.items():
            self.log(f"validation_{name}", area, sync_dist=True)
        score = np.mean(list(areas.values())) if areas else -self.trainer.callback_metrics["validation_loss"].item()
        self.log(SCORE, float(score), prog_bar=True, sync_dist=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say which targets it learns."""
        checkpoint["targets"] = list(TARGET)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """A run goes on in the label space that it was started in; ConfigError where that has changed."""
        if checkpoint.get("targets") != list(TARGET):
            raise ConfigError(OTHER_TARGETS)

    def on_train_end(self) -> None:
        """What any rank has seen counts as seen."""
        if self.trainer.world_size > 1:
            self.views_V = torch.as_tensor(self.all_gather(self.views_V)).any(dim=0)

    def configure_optimizers(self) -> Any:
        """AdamW with a one-cycle schedule."""
        return one_cycle(self, self.fit_config)
