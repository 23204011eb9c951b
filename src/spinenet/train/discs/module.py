"""The disc network's training step."""

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spinenet.errors import ConfigError
from spinenet.labels import MAX_GRADES, TARGET_INDEX, TARGETS, UNKNOWN
from spinenet.train.discs.batches import Batch
from spinenet.train.discs.disc_config import DiscFitConfig, TrainDiscsConfig
from spinenet.train.discs.moves import Mix, drawn_mix, render
from spinenet.train.discs.network import DiscNetwork
from spinenet.train.discs.objective import grading_sum, pair_loss, segmentation_loss
from spinenet.train.loop import OTHER_TARGETS, SCORE
from spinenet.train.losses import grade_weights
from spinenet.train.networks import NEVER
from spinenet.train.optimise import one_cycle
from spinenet.train.scores import discrimination

WARM_UP = 0.05
"""Share of a run in which the learning rate rises: the encoder has learnt already."""
BETAS = (0.9, 0.98)
"""Of AdamW: squared gradients are forgotten within some 50 steps, as a run has few."""


class DiscModule(pl.LightningModule):
    """The disc network with its losses; ``sources`` are the data sets in the order by which batches number them,
    ``grades_NT`` those of the training discs, which set the weights of rare grades (None: all alike)."""

    def __init__(
        self,
        network: DiscNetwork,
        config: TrainDiscsConfig,
        sources: tuple[str, ...],
        grades_NT: Tensor | None = None,
    ) -> None:
        super().__init__()
        weights_TK = torch.ones(len(TARGETS), MAX_GRADES)
        if grades_NT is not None and config.loss.rare:
            weights_TK = grade_weights(grades_NT, config.loss.rare)
        self.weights_TK: Tensor
        self.register_buffer("weights_TK", weights_TK, persistent=False)
        self.config, self.sources = config, sources
        # Twice as fast on a CPU.
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._validated: list[tuple[NDArray[Any], NDArray[Any]]] = []

    def on_train_batch_start(self, batch: Batch, index: int) -> None:
        """Freeze the encoder's early stages once their share of the steps is over, in a resumed run too."""
        steps = max(2, int(self.trainer.estimated_stepping_batches))
        encoder = self.network.encoder
        if self.global_step >= self.config.fit.freeze_after * steps and not encoder.frozen:
            encoder.freeze(encoder.early)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Losses of one batch; chance is torch's, seeded for each step."""
        mixes = float(torch.rand(())) < self.config.augment.mix
        loss = self.loss(batch, mixes=mixes)
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=self._patients(batch))
        return loss

    def loss(self, batch: Batch, *, mixes: bool = False) -> Tensor:
        """The sum that is learnt. Of mixed discs there are no pairs and nothing to draw."""
        weights = self.config.loss
        shown = render(batch, self.config.crop)
        mix = drawn_mix(shown.present_NV, batch["source_N"]) if mixes else None
        crops_NVHW = mix.of(shown.crops_NVHW) if mix else shown.crops_NVHW
        z_ND, maps = self.network.encode(crops_NVHW, shown.present_NV)
        outputs = self._graded(z_ND, batch)
        if mix:
            return self._mixed_loss(outputs, batch, mix)
        loss = self._grading(outputs, batch["grades_NT"], batch)
        loss = loss + weights.pairs * pair_loss(self.network, outputs, batch["grades_NT"], batch["patient_N"])
        if weights.segmentation:
            drawn = segmentation_loss(self.network.segmented(maps), shown.classes_NRC)
            loss = loss + weights.segmentation * drawn
        return loss

    def _mixed_loss(self, outputs: dict[str, Tensor], batch: Batch, mix: Mix) -> Tensor:
        own, other = (self._grading(outputs, batch["grades_NT"][order], batch) for order in (slice(None), mix.order_N))
        return mix.share * own + (1 - mix.share) * other

    def _grading(self, outputs: dict[str, Tensor], grades_NT: Tensor, batch: Batch) -> Tensor:
        at = batch["source_N"]
        return grading_sum(self.network, outputs, grades_NT, at, self.sources, self.config.loss, self.weights_TK)

    def _graded(self, z_ND: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Outputs (N, ...) of the heads: each disc among those of its patient."""
        at = batch["patient_N"], batch["place_N"]
        shape = (self._patients(batch), int(at[1].max()) + 1)
        placed_ND = z_ND + self.network.level(batch["level_N"])  # of single precision even where z_ND is of half
        z_BLD = placed_ND.new_zeros(*shape, z_ND.shape[1]).index_put(at, placed_ND)
        mask_BL = torch.zeros(shape, dtype=torch.bool, device=z_ND.device)
        mask_BL[at] = True
        return {name: output[at] for name, output in self.network.grade(z_BLD, mask_BL).items()}

    def _patients(self, batch: Batch) -> int:
        return int(batch["patient_N"][-1]) + 1

    def validation_step(self, batch: Batch, index: int) -> None:
        """The same loss on discs as prediction will see them; their grades are kept for the epoch's score."""
        shown = render(batch, self.config.crop)
        outputs = self._graded(self.network.encode(shown.crops_NVHW, shown.present_NV)[0], batch)
        loss = self._grading(outputs, batch["grades_NT"], batch)
        self.log("validation_loss", loss, prog_bar=True, batch_size=self._patients(batch), sync_dist=True)
        logp_NTK = np.full((len(batch["level_N"]), len(TARGETS), MAX_GRADES), NEVER, np.float32)
        grades_NT = np.full((len(logp_NTK), len(TARGETS)), UNKNOWN)
        for name, head in self.network.each_head():
            target = TARGET_INDEX[name]
            logp_NK = head.log_probabilities(outputs[name], self.network.raters[name][0])
            logp_NTK[:, target, : logp_NK.shape[1]] = logp_NK.float().cpu().numpy()
            grades_NT[:, target] = batch["grades_NT"][:, target].cpu().numpy()
        self._validated.append((logp_NTK, grades_NT))

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
        checkpoint["targets"] = list(self.network.raters)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """A run goes on with the targets that it was started with; ConfigError where these have changed."""
        if checkpoint.get("targets") != list(self.network.raters):
            raise ConfigError(OTHER_TARGETS)

    def configure_optimizers(self) -> Any:
        """AdamW with a one-cycle schedule, slower for the encoder."""
        return one_cycle(self, self.config.fit, rate_groups(self.network, self.config.fit), warm_up=WARM_UP)


def rate_groups(network: nn.Module, fit: DiscFitConfig) -> list[dict[str, Any]]:
    """Weights by learning rate and weight decay: the encoder is slower, its first stages most; vectors, cuts and
    windows do not decay."""
    stages = 1 + max(int(name.split(".")[2]) for name, _ in network.named_parameters() if name.startswith("encoder."))
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, weight in network.named_parameters():
        rate = fit.learning_rate
        if name.startswith("encoder.stages."):
            rate *= fit.encoder_rate * fit.layer_decay ** (stages - 1 - int(name.split(".")[2]))
        decay = 0.0 if weight.ndim < 2 or name.endswith(".logits") else fit.weight_decay
        groups.setdefault((rate, decay), []).append(weight)
    return [
        {"params": params, "lr": rate, "weight_decay": decay, "betas": BETAS}
        for (rate, decay), params in groups.items()
    ]
