"""The segmenters: a small 2-D U-Net on crops in the frame of one disc, sagittal or axial.

Shapes: N crop, C class, H W pixels. Because the crop is laid on the disc, the classes name the instance: this disc, the
body above it, the body below it (S1 at L5/S1), the canal; in axial crops the sac behind this disc. The full grid
carries few channels; most of the work is done on the grid of half the pixels.
"""

import torch
from torch import Tensor, nn

from spinenet.locating.measuring.fine_crops import FINE_CLASSES


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


def _double(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_convolution(inputs, outputs), _convolution(outputs, outputs))


class Segmenter(nn.Module):
    """(N, 1, H, W) normalised crops -> (N, C, H, W) logits of ``classes``; H and W multiples of 8.

    ``width`` channels at the full grid; ``inner``, twice and three times that many at a half, a quarter and an eighth.
    """

    def __init__(self, width: int = 8, inner: int = 16, classes: int = len(FINE_CLASSES)) -> None:
        super().__init__()
        half, quarter, eighth = inner, 2 * inner, 3 * inner
        self.stem = _double(1, width)
        self.downs = nn.ModuleList(
            nn.Sequential(nn.MaxPool2d(2), *_double(inputs, outputs))
            for inputs, outputs in ((width, half), (half, quarter), (quarter, eighth))
        )
        self.ups = nn.ModuleList((_double(eighth + quarter, quarter), _double(quarter + half, half)))
        self.last = _double(half + width, 2 * width)
        self.head = nn.Conv2d(2 * width, classes, 1)
        self.upsample = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)

    def forward(self, crops_N1HW: Tensor) -> Tensor:
        """Logits at every pixel."""
        full = self.stem(crops_N1HW)
        half = self.downs[0](full)
        quarter = self.downs[1](half)
        x = self.upsample(self.downs[2](quarter))
        x = self.upsample(self.ups[0](torch.cat([x, quarter], 1)))
        x = self.upsample(self.ups[1](torch.cat([x, half], 1)))
        logits: Tensor = self.head(self.last(torch.cat([x, full], 1)))
        return logits
