"""What an encoder of the disc network is: stages, of which three give their maps. ``encoders`` has those there are.

Shapes: N disc, V view, H W pixels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spinenet.crops import DISC_PAIR

VIEWS_SHOWN = len(DISC_PAIR)
"""Channels of a picture: T1, and T2 or STIR."""


class Encoder(nn.Module):
    """Stages one after the other; ``taps`` are the three whose maps, of strides 8, 16 and 32, are given on, and
    ``channels`` says how many each has. The first ``early`` stages can be frozen."""

    def __init__(self, stages: Sequence[nn.Module], taps: Sequence[int], channels: Sequence[int], early: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.taps, self.channels = tuple(taps), tuple(channels)
        self.early, self.frozen = early, 0

    def forward(self, pictures_NVHW: Tensor) -> list[Tensor]:
        """The three maps."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            x, maps = self._through(pictures_NVHW, 0, self.frozen)
        return [*maps, *self._through(x, self.frozen, len(self.stages))[1]]

    def _through(self, x: Tensor, first: int, end: int) -> tuple[Tensor, list[Tensor]]:
        maps = []
        for index in range(first, end):
            x = self.stages[index](x)
            if index in self.taps:
                maps.append(x)
        return x, maps

    def freeze(self, stages: int) -> None:
        """The first ``stages`` learn no more, their batch statistics included."""
        self.frozen = stages
        self.train(self.training)

    def train(self, mode: bool = True) -> "Encoder":
        """As in torch, but what is frozen stays as in prediction."""
        super().train(mode)
        for stage in self.stages[: self.frozen]:
            stage.eval()
        return self
