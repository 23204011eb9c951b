"""How a disc's pictures move in training: chance drawn beside each study, pictures made for a whole batch at once.

Shapes: N disc of a batch, M picture, V view, H W pixels of a crop, R C pixels of the classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from spinenet.crops import DISC_PAIR, CropSpec
from spinenet.train.discs.disc_config import DiscAugmentConfig
from spinenet.train.discs.network import HIGHEST, LOWEST, SEGMENT_STRIDE
from spinenet.train.discs.packed import OFFSET, SCALE

HIDDEN = (5 / 24, 3 / 16)
"""Height and width of a hidden rectangle, as shares of the crop."""
AWAY = 0.23
"""A rectangle so far above or below the middle, as a share of the crop, hides no disc."""
HIDDEN_VALUE = 0.2
STILL = DiscAugmentConfig(strength=0.0, gamma=0.0, blur=0.0, noise=0.0, hide=0.0)
"""Shows discs as prediction does."""


class Moves:
    """The chance of one study: how its discs are moved, and how the grey values of its series change."""

    def __init__(self, rng: np.random.Generator, config: DiscAugmentConfig, spec: CropSpec) -> None:
        self.rng, self.config, self.spec = rng, config, spec

    def normal(self, deviation: float, *shape: int) -> NDArray[np.float64]:
        """Normal numbers, as far apart as the strength allows."""
        return self.rng.normal(0, deviation * self.config.strength, shape)

    def affine(self, discs: int, wide: tuple[int, int]) -> NDArray[np.float32]:
        """(N, 2, 3) from places in the crop to places in the wider picture, both from -1 to 1 (x, y)."""
        config, (rows, columns) = self.config, (self.spec.rows, self.spec.columns)
        turn = self.normal(np.deg2rad(config.turn_deg), discs)
        wider, higher = np.exp(self.normal(config.zoom, 2, discs) + self.normal(config.zoom * 5 / 6))
        cos, sin = np.cos(turn), np.sin(turn)
        shift_px = self.normal(config.shift_mm / self.spec.pixel_mm, 2, discs)
        affine = np.array(
            [
                [cos * wider * columns / wide[1], -sin * higher * rows / wide[1], 2 * shift_px[0] / wide[1]],
                [sin * wider * columns / wide[0], cos * higher * rows / wide[0], 2 * shift_px[1] / wide[0]],
            ]
        )
        return np.moveaxis(affine, 2, 0).astype(np.float32)

    def jitter(self, pictures: int, wide: tuple[int, int]) -> NDArray[np.float32]:
        """(M, 2) shifts (x, y) of single pictures, on the same scale."""
        pixels = self.normal(self.config.jitter_mm / self.spec.pixel_mm, pictures, 2)
        return (2 * pixels / np.array(wide[::-1])).astype(np.float32)

    def grey(self) -> NDArray[np.float32]:
        """(5,) of one series: gain, bias, gamma, 1 where it is smoothed, standard deviation of its noise."""
        config, rng = self.config, self.rng
        gain, bias, gamma = (
            np.exp(self.normal(config.gain)),
            self.normal(config.bias),
            np.exp(self.normal(config.gamma)),
        )
        gamma = gamma if rng.random() < 0.6 else np.ones(())
        noise = np.abs(self.normal(config.noise)) if rng.random() < 0.5 else np.zeros(())
        return np.array([gain, bias, gamma, rng.random() < config.blur, noise], np.float32)

    def hidden(self) -> NDArray[np.int64]:
        """(4,) rows and columns (from, to) of the rectangle that is hidden; all 0: none."""
        rows, columns = self.spec.rows, self.spec.columns
        high, wide = round(rows * HIDDEN[0]), round(columns * HIDDEN[1])
        row, column = self.rng.integers(0, rows - high), self.rng.integers(0, columns - wide)
        beside = column > 0.66 * columns or column + wide < 0.16 * columns
        away = abs(row + (high - rows) / 2) > AWAY * rows
        hide = self.rng.random() < self.config.hide and (beside or away)
        return np.array([row, row + high, column, column + wide] if hide else [0] * 4, np.int64)


@dataclass(frozen=True)
class Pictures:
    """``crops_NVHW`` float32 and ``present_NV`` as the network takes them; ``classes_NRC`` int64 on the second task's
    grid."""

    crops_NVHW: Tensor
    present_NV: Tensor
    classes_NRC: Tensor


def render(batch: Mapping[str, Tensor], spec: CropSpec) -> Pictures:
    """The pictures of a batch, all resampled at once."""
    disc_M, view_M = batch["disc_M"], batch["view_M"]
    affine_N23 = batch["affine_N23"]
    discs = len(affine_N23)
    grid_NHW2 = functional.affine_grid(affine_N23, [discs, 1, spec.rows, spec.columns], align_corners=False)
    moved_MHW2 = grid_NHW2[disc_M] + batch["jitter_M2"][:, None, None]
    values_MHW = batch["pictures_MHW"].float() * SCALE + OFFSET
    shown_MHW = functional.grid_sample(
        values_MHW[:, None], moved_MHW2, mode="bilinear", padding_mode="border", align_corners=False
    )[:, 0]
    crops_NVHW = shown_MHW.new_zeros(discs, len(DISC_PAIR), spec.rows, spec.columns)
    crops_NVHW[disc_M, view_M] = _grey(shown_MHW, batch["grey_M5"])
    present_NV = shown_MHW.new_zeros(discs, len(DISC_PAIR))
    present_NV[disc_M, view_M] = 1.0
    crops_NVHW = torch.where(_hidden(batch["hidden_N4"], spec)[:, None], HIDDEN_VALUE, crops_NVHW)
    first = SEGMENT_STRIDE // 2 - 1
    places = grid_NHW2[:, first::SEGMENT_STRIDE, first::SEGMENT_STRIDE]
    classes = functional.grid_sample(
        batch["classes_NRC"].float()[:, None], places, mode="nearest", padding_mode="border", align_corners=False
    )
    return Pictures(crops_NVHW, present_NV, classes[:, 0].long())


def _grey(x_MHW: Tensor, grey_M5: Tensor) -> Tensor:
    gain, bias, gamma, smooth, noise = (one[:, None, None] for one in grey_M5.unbind(1))
    x_MHW = (x_MHW * gain + bias).clamp(LOWEST, HIGHEST)
    x_MHW = torch.where(gamma == 1, x_MHW, x_MHW.sign() * (x_MHW.abs() + 1e-4) ** gamma)
    if smooth.any():
        x_MHW = torch.where(smooth > 0, functional.avg_pool2d(x_MHW[:, None], 3, 1, 1)[:, 0], x_MHW)
    return x_MHW + noise * torch.randn_like(x_MHW) if noise.any() else x_MHW


def _hidden(hidden_N4: Tensor, spec: CropSpec) -> Tensor:
    """(N, H, W) true within each disc's rectangle."""
    row_H1 = torch.arange(spec.rows, device=hidden_N4.device)[:, None]
    column_W = torch.arange(spec.columns, device=hidden_N4.device)
    first_row, last_row, first_column, last_column = (one[:, None, None] for one in hidden_N4.unbind(1))
    return (row_H1 >= first_row) & (row_H1 < last_row) & (column_W >= first_column) & (column_W < last_column)


@dataclass(frozen=True)
class Mix:
    """Mixup of a batch: each disc's picture is ``share`` of itself and the rest of the disc that ``order_N`` names."""

    share: float
    order_N: Tensor

    def of(self, values: Tensor) -> Tensor:
        """Mixed values of a batch's discs."""
        return self.share * values + (1 - self.share) * values[self.order_N]


def drawn_mix(present_NV: Tensor, source_N: Tensor) -> Mix:
    """Chance's mixture of discs of one data set that show the same views; every disc keeps at least half of itself."""
    share = float(torch.distributions.Beta(0.4, 0.4).sample())
    weights_V = 2 ** torch.arange(present_NV.shape[1], device=present_NV.device)
    alike_N = (present_NV.long() * weights_V).sum(1) + 2 ** len(weights_V) * source_N
    order_N = torch.arange(len(alike_N), device=alike_N.device)
    for value in alike_N.unique():
        own = (alike_N == value).nonzero()[:, 0]
        order_N[own] = own[torch.randperm(len(own), device=own.device)]
    return Mix(max(share, 1 - share), order_N)
