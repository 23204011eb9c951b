"""A line that is fitted by as many processes as are asked for: ``python line_in_ranks.py OUT RANKS``."""

import sys
from pathlib import Path

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from spinenet.train.data import Draws
from spinenet.train.loop import fit
from spinenet.train.optimise import one_cycle
from spinenet.train.training_config import (
    CallbacksConfig,
    FitConfig,
    LoggerConfig,
    TrainerConfig,
    TrainGraderConfig,
)

ITEMS, EPOCHS = 12, 5


class Line(pl.LightningModule):
    """Four weights that learn the sum of four numbers; nothing in it depends on which items share a batch."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.network = torch.nn.Linear(4, 1)

    def training_step(self, batch, index):
        return (self.network(batch)[:, 0] - batch.sum(1)).square().mean()

    def configure_optimizers(self):
        return one_cycle(self, FitConfig(learning_rate=0.05))


class Numbers(torch.utils.data.Dataset):
    """Items that chance changes each time they are shown, by the seed that comes with the draw."""

    def __len__(self):
        return ITEMS

    def __getitem__(self, draw):
        return draw.place + torch.randn(4, generator=torch.Generator().manual_seed(draw.seed))


def trained(out: Path, ranks: int) -> None:
    """Steps of all items, each rank its share of them."""
    sampler = Draws(["all"] * ITEMS, {}, "all", 5)
    loader = DataLoader(Numbers(), batch_size=ITEMS // ranks, sampler=sampler)
    config = TrainGraderConfig(
        seed=5,
        fit=FitConfig(epochs=EPOCHS),
        callbacks=CallbacksConfig(average=0.5),
        trainer=TrainerConfig(accelerator="cpu", devices=ranks, strategy="ddp" if ranks > 1 else "auto", threads=1),
        logger=LoggerConfig(tensorboard=False),
    )
    fit(Line(), loader, None, config, out)


if __name__ == "__main__":
    trained(Path(sys.argv[1]), int(sys.argv[2]))
