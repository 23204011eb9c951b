"""Encoders of the disc network: from a picture of two views to feature maps of strides 8, 16 and 32.

Shapes: N disc, V view, H W pixels. To add one: a file with a function that makes it, and a line in
ENCODERS.
"""

import math
from collections.abc import Callable, Sequence

import torch
from monai.networks.nets import ResNet
from torch import Tensor, nn
from torch.nn import functional

from spinenet.errors import ConfigError
from spinenet.train.discs.staged_encoder import VIEWS_SHOWN, Encoder

Blocks = Sequence[tuple[int, int, int, int, int, int]]
BLOCKS: Blocks = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)
"""EfficientNet-Lite0 (Tan and Le 2019): repeats, kernel, stride, expansion, channels in, channels out."""
DROP_PATH = 0.1
"""Share of residual branches left out in training in the last block; it rises from 0 with depth."""


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow does at even sizes, for which the ImageNet weights were learnt."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1) -> None:
        padding = (kernel - 1) // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding=padding, groups=groups, bias=False)
        total = kernel - stride if stride > 1 else 0
        self.before, self.after = total // 2, total - total // 2

    def forward(self, x: Tensor) -> Tensor:
        """The grid divided by the stride."""
        if self.after:
            x = functional.pad(x, (self.before, self.after, self.before, self.after))
        return super().forward(x)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch statistics that a hundred steps move."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.03)


class InvertedResidual(nn.Module):
    """Widen, convolve each channel, narrow; with a shortcut where sizes allow (Sandler et al. 2018)."""

    def __init__(self, kernel: int, stride: int, expansion: int, inputs: int, outputs: int, drop: float) -> None:
        super().__init__()
        middle, layers = inputs * expansion, list[nn.Module]()
        if expansion > 1:
            layers += [SameConv(inputs, middle, 1, 1), batch_norm(middle), nn.ReLU6()]
        layers += [SameConv(middle, middle, kernel, stride, middle), batch_norm(middle), nn.ReLU6()]
        layers += [SameConv(middle, outputs, 1, 1), batch_norm(outputs)]
        self.layers = nn.Sequential(*layers)
        self.shortcut, self.drop = stride == 1 and inputs == outputs, drop

    def forward(self, x: Tensor) -> Tensor:
        """Same grid divided by the stride."""
        y = self.layers(x)
        if not self.shortcut:
            return y
        if self.training and self.drop:
            y = y * (torch.rand(len(y), 1, 1, 1, device=y.device) >= self.drop) / (1 - self.drop)
        return x + y


def efficientnet_lite0() -> Encoder:
    """EfficientNet-Lite0 without its last layers: 3.0 million weights."""
    return _efficientnet(BLOCKS)


def efficientnet_lite1() -> Encoder:
    """EfficientNet-Lite1: a block more wherever several follow each other, 3.7 million weights."""
    return _efficientnet(_scaled(1.0, 1.1))


def efficientnet_lite2() -> Encoder:
    """EfficientNet-Lite2: as deep as Lite1 and wider, 4.4 million weights."""
    return _efficientnet(_scaled(1.1, 1.2))


def _scaled(width: float, depth: float) -> Blocks:
    """Wider in steps of eight channels, and deeper but for the first and the last block."""

    def channels(count: int) -> int:
        wide = max(8, int(count * width + 4) // 8 * 8)
        return wide if wide >= 0.9 * count * width else wide + 8

    def blocks(repeats: int) -> int:
        return repeats if repeats == 1 else math.ceil(depth * repeats)

    return [(blocks(repeats), k, s, e, channels(i), channels(o)) for repeats, k, s, e, i, o in BLOCKS]


def _efficientnet(blocks: Blocks) -> Encoder:
    stem = nn.Sequential(SameConv(VIEWS_SHOWN, 32, 3, 2), batch_norm(32), nn.ReLU6())
    stages: list[nn.Module] = [stem]
    total = sum(repeats for repeats, *_ in blocks)
    ends = list[int]()
    for repeats, kernel, stride, expansion, inputs, outputs in blocks:
        for repeat in range(repeats):
            drop = DROP_PATH * (len(stages) - 1) / total
            block = (kernel, 1, expansion, outputs) if repeat else (kernel, stride, expansion, inputs)
            stages.append(InvertedResidual(*block, outputs, drop))
        ends.append(len(stages) - 1)
    taps = [ends[block] for block in (2, 4, 6)]
    return Encoder(stages, taps, [blocks[block][-1] for block in (2, 4, 6)], early=ends[1] + 1)


def small() -> Encoder:
    """A hundredth of the weights, for tests and quick looks."""

    def stage(inputs: int, outputs: int, stride: int) -> nn.Module:
        return nn.Sequential(SameConv(inputs, outputs, 3, stride), batch_norm(outputs), nn.ReLU6())

    stages = [stage(VIEWS_SHOWN, 8, 2), stage(8, 16, 2), stage(16, 24, 2), stage(24, 32, 2), stage(32, 48, 2)]
    return Encoder(stages, taps=(2, 3, 4), channels=(24, 32, 48), early=1)


def monai_resnet18() -> Encoder:
    """MONAI's ResNet-18 in two dimensions, 11 million weights."""
    whole = ResNet(
        "basic", [2, 2, 2, 2], [64, 128, 256, 512], spatial_dims=2, n_input_channels=VIEWS_SHOWN, conv1_t_stride=2
    )
    stem = nn.Sequential(whole.conv1, whole.bn1, nn.ReLU(), whole.maxpool)
    stages = [stem, whole.layer1, whole.layer2, whole.layer3, whole.layer4]
    return Encoder(stages, taps=(2, 3, 4), channels=(128, 256, 512), early=2)


ENCODERS: dict[str, Callable[[], Encoder]] = {
    "efficientnet_lite0": efficientnet_lite0,
    "efficientnet_lite1": efficientnet_lite1,
    "efficientnet_lite2": efficientnet_lite2,
    "monai_resnet18": monai_resnet18,
    "small": small,
}
"""Every encoder by the name that ``model.encoder`` gives it."""


def build_encoder(name: str) -> Encoder:
    """The encoder of a name with random weights; ConfigError where there is none."""
    if name not in ENCODERS:
        raise ConfigError(f"model.encoder is {name}, no encoder; choose one of {', '.join(ENCODERS)}")
    return ENCODERS[name]()
