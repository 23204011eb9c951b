"""The disc network.

Shapes: N disc of a batch, B patient, L a patient's disc, V view, H W pixels, D feature, P window, K grade, C cut.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from spinenet.crops import CropSpec
from spinenet.labels import LEVELS, TARGET, Scale, Target
from spinenet.train.discs.encoders import build_encoder
from spinenet.train.discs.staged_encoder import VIEWS_SHOWN
from spinenet.train.ordinal import log_probabilities, outputs_of, severity
from spinenet.train.training_config import CUMULATIVE

MEAN, DEVIATION = 0.45, 0.225
"""Of ImageNet's pictures, on the scale 0 to 1."""
LOWEST, HIGHEST = -0.25, 1.5
"""Grey values of crops end here: what lies beyond 0 (dark) and 1 (bright) is fat, metal or noise."""
CLASSES = 4
"""Of the second task: background, body, canal, disc."""
SEGMENT_STRIDE = 4
CUT_STEP = 1.5
"""Distance between an ordinal head's cuts before training, in logits."""
_DISC = [(0.0, back) for back in (-12.8, -0.1, 12.6, 20.0)]
_END_PLATES = [(down, back) for down in (-9.8, 9.8) for back in (-11.8, -0.1, 11.6)]
_BODIES_AND_CANAL = [(-17.8, -0.1), (17.8, -0.1), (0.0, 29.6), (-14.6, 23.2), (14.6, 23.2)]
PLACES_MM = (*_DISC, *_END_PLATES, *_BODIES_AND_CANAL)
"""(below, behind) the disc's centre where windows begin: disc and its back, end-plates, bodies, canal."""


class Windows(nn.Module):
    """Weighted means of a feature map under learnt windows, which begin as Gaussians around PLACES_MM."""

    def __init__(self, spec: CropSpec, stride: int, channels: int, features: int, deviation_mm: float) -> None:
        super().__init__()
        down_mm = (_grid(spec.rows, stride) - (spec.rows - 1) / 2) * spec.pixel_mm
        back_mm = (_grid(spec.columns, stride) - (spec.columns - 1) / 2) * spec.pixel_mm + spec.posterior_shift_mm
        distances = [(down_mm[:, None] - down) ** 2 + (back_mm[None] - back) ** 2 for down, back in PLACES_MM]
        logits_PHW = -torch.stack(distances) / (2 * deviation_mm**2)
        self.logits = nn.Parameter(logits_PHW.flatten(1).clamp(min=-8))
        self.project = nn.Conv2d(channels, features, 1)

    def forward(self, map_NDHW: Tensor) -> Tensor:
        """(N, features * windows)."""
        return (self.project(map_NDHW).flatten(2) @ self.logits.softmax(1).T).flatten(1)


def _grid(pixels: int, stride: int) -> Tensor:
    return (torch.arange(-(-pixels // stride)) + 0.5) * stride - 0.5


class Context(nn.Module):
    """One layer of attention over the discs of a patient; ``mask_BL`` is true where there is one."""

    def __init__(self, features: int, heads: int = 4, dropout: float = 0.1) -> None:
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(features), nn.LayerNorm(features)
        self.qkv, self.o = nn.Linear(features, 3 * features), nn.Linear(features, features)
        self.f1, self.f2 = nn.Linear(features, 2 * features), nn.Linear(2 * features, features)
        self.heads, self.drop = heads, nn.Dropout(dropout)

    def forward(self, z_BLD: Tensor, mask_BL: Tensor) -> Tensor:
        """Same shape. Written out: MultiheadAttention does not export with a free number of discs."""
        patients, discs, features = z_BLD.shape
        parts = self.qkv(self.n1(z_BLD)).reshape(patients, discs, 3, self.heads, features // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        likeness = q @ k.transpose(-1, -2) / (features // self.heads) ** 0.5
        shares = likeness.masked_fill(~mask_BL[:, None, None, :], -1e4).softmax(-1)
        z_BLD = z_BLD + self.drop(self.o((shares @ v).transpose(1, 2).reshape(patients, discs, features)))
        return z_BLD + self.drop(self.f2(functional.gelu(self.f1(self.n2(z_BLD)))))


class GradeHead(nn.Module):
    """One target's outputs. A cumulative ordinal one has cuts of its own for the raters of every data set: where
    grade III ends differs between hospitals, what is worse does not."""

    def __init__(self, target: Target, features: int, raters: Sequence[str], ordinal: str = CUMULATIVE) -> None:
        super().__init__()
        self.target, self.grades, self.ordinal, self.raters = target, len(target.grades), ordinal, tuple(raters)
        self.is_cumulative = target.scale is Scale.ORDINAL and ordinal == CUMULATIVE
        sizes = {Scale.NOMINAL: self.grades, Scale.BINARY: 1, Scale.ORDINAL: outputs_of(ordinal, self.grades)}
        self.linear = nn.Linear(features, sizes[target.scale])
        if self.is_cumulative:
            cuts = CUT_STEP * (torch.arange(self.grades - 1) - (self.grades - 2) / 2)
            self.cuts = nn.ParameterDict({rater: cuts.clone() for rater in raters})

    def forward(self, x: Tensor) -> Tensor:
        """(..., K) logits of a nominal scale, (..., 1) score of a binary one, as ``ordinal`` says of an ordinal one."""
        return self.linear(x)

    def cuts_of(self, rater: str) -> Tensor:
        """(C,) in order."""
        return self.cuts[rater].sort().values

    def severity(self, outputs: Tensor) -> Tensor:
        """(...,) how far from the first grade."""
        if self.target.scale is Scale.NOMINAL:
            return -outputs[..., 0]
        if self.is_cumulative or self.target.scale is Scale.BINARY:
            return outputs[..., 0]
        return severity(log_probabilities(self.ordinal, outputs))

    def log_probabilities(self, outputs: Tensor, rater: str) -> Tensor:
        """(..., K) as one data set's raters grade."""
        if self.target.scale is Scale.NOMINAL:
            return outputs.log_softmax(-1)
        if self.target.scale is Scale.BINARY:
            return functional.logsigmoid(torch.cat([-outputs, outputs], -1))
        return log_probabilities(self.ordinal, outputs, self.cuts_of(rater) if self.is_cumulative else None)


class DiscNetwork(nn.Module):
    """Pictures of a patient's discs -> outputs of the heads by target; ``raters`` is target -> data sets with its
    labels, the first being the one whose raters prediction follows."""

    def __init__(
        self,
        encoder: str,
        spec: CropSpec,
        raters: Mapping[str, Sequence[str]],
        width: int = 192,
        dropout: float = 0.3,
        ordinal: str = CUMULATIVE,
    ) -> None:
        super().__init__()
        self.raters = {target: tuple(several) for target, several in raters.items()}
        self.encoder = build_encoder(encoder)
        fine, middle, coarse = self.encoder.channels
        self.r8, self.r16 = Windows(spec, 8, fine, 24, 4.2), Windows(spec, 16, middle, 48, 5.8)
        size = len(PLACES_MM) * (24 + 48) + coarse
        self.embed = nn.Sequential(nn.LayerNorm(size), nn.Dropout(dropout), nn.Linear(size, width), nn.GELU())
        self.present, self.level = nn.Embedding(2**VIEWS_SHOWN, width), nn.Embedding(len(LEVELS), width)
        for embedding in (self.present, self.level):
            nn.init.normal_(embedding.weight, std=0.02)
        self.context, self.final, self.dropout = Context(width), nn.LayerNorm(width), nn.Dropout(dropout)
        self.heads = nn.ModuleDict({name: GradeHead(TARGET[name], width, raters[name], ordinal) for name in raters})
        self.segment = nn.Sequential(
            nn.Conv2d(fine + middle, 48, 1),
            nn.ReLU(),
            nn.Conv2d(48, 48, 3, padding=1, groups=48),
            nn.ReLU(),
            nn.Conv2d(48, CLASSES * (8 // SEGMENT_STRIDE) ** 2, 1),
            nn.PixelShuffle(8 // SEGMENT_STRIDE),
        )

    def encode(self, crops_NVHW: Tensor, present_NV: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(N, D) features of single discs, and the maps of strides 8 and 16.

        The views of a disc are channels of one picture; where one is missing the other counts double.
        """
        x = (crops_NVHW.clamp(LOWEST, HIGHEST) - MEAN) / DEVIATION * present_NV[:, :, None, None]
        x = x * (VIEWS_SHOWN / present_NV.sum(1).clamp(min=1))[:, None, None, None]
        fine, middle, coarse = self.encoder(x.contiguous(memory_format=torch.channels_last))
        z_ND = self.embed(torch.cat([self.r8(fine), self.r16(middle), coarse.mean((2, 3))], 1))
        code_N = (present_NV[:, 0] + 2 * present_NV[:, 1]).long()
        return z_ND + self.present(code_N), (fine, middle)

    def segmented(self, maps: tuple[Tensor, Tensor]) -> Tensor:
        """(N, CLASSES, H / 4, W / 4) logits: what a disc is and what lies around it, from the maps of ``encode``."""
        fine, middle = maps
        middle = functional.interpolate(middle, size=fine.shape[2:], mode="nearest")
        return self.segment(torch.cat([fine, middle], 1))

    def grade(self, z_BLD: Tensor, mask_BL: Tensor) -> dict[str, Tensor]:
        """Outputs (B, L, ...) of every head, from features to which those of their levels have been added."""
        y_BLD = self.dropout(self.final(self.context(z_BLD, mask_BL)))
        return {name: head(y_BLD) for name, head in self.heads.items()}

    def forward(self, crops_LVHW: Tensor, present_LV: Tensor, level_L: Tensor) -> dict[str, Tensor]:
        """One patient's discs: target -> (L, K) log-probabilities."""
        z_LD, _ = self.encode(crops_LVHW, present_LV)
        z_BLD = (z_LD + self.level(level_L))[None]
        outputs = self.grade(z_BLD, torch.ones_like(z_BLD[..., 0], dtype=torch.bool))
        raters = self.raters
        return {name: head.log_probabilities(outputs[name][0], raters[name][0]) for name, head in self.each_head()}

    def each_head(self) -> Iterator[tuple[str, GradeHead]]:
        """Target and its head."""
        for name, head in self.heads.items():
            assert isinstance(head, GradeHead)
            yield name, head
