"""Graders to compare ours with: the same bag in, the same grades out, the same training.

The 3-D networks see each level alone, as one volume of its crops: a channel for T1, T2 (or STIR) and axial T2, slices
sorted into planes by their offset. Shapes as in ``networks``; P planes.
"""

from collections.abc import Callable

import torch
from monai.networks.nets import ResNet
from torch import Tensor, nn

from spinenet.labels import TARGETS, VIEWS, View
from spinenet.train.networks import Attention, Grader, Head, Mean, two_scales
from spinenet.train.training_config import CUMULATIVE, GraderModelConfig

PLANES = 9
SAGITTAL_STEP_MM, AXIAL_STEP_MM = 6.0, 4.0
_CHANNEL = {View.SAGITTAL_T1: 0, View.SAGITTAL_T2: 1, View.SAGITTAL_STIR: 1, View.AXIAL_T2: 2}


class Volume(nn.Module):
    """The crops of every level as one volume; slices that fall into one plane are averaged, empty planes are 0."""

    def forward(
        self, crops_BLSHW: Tensor, view_BLS: Tensor, offset_BLS: Tensor, mirrored_BLS: Tensor, mask_BLS: Tensor
    ) -> Tensor:
        """(B L, 3, P, H, W)."""
        channel_BLS = torch.tensor([_CHANNEL[view] for view in VIEWS], device=view_BLS.device)[view_BLS]
        step_BLS = torch.where(channel_BLS == 2, AXIAL_STEP_MM, SAGITTAL_STEP_MM)
        plane_BLS = (offset_BLS / step_BLS).round().clamp(-(PLANES // 2), PLANES // 2).long() + PLANES // 2
        shown_BLS = mask_BLS & ~mirrored_BLS
        slot_BLSP = nn.functional.one_hot(channel_BLS * PLANES + plane_BLS, 3 * PLANES).float() * shown_BLS[..., None]
        share_BLSP = slot_BLSP / slot_BLSP.sum(2, keepdim=True).clamp(min=1)
        pixels_BLSN = two_scales(crops_BLSHW.flatten(0, 2))[:, 0].flatten(1).unflatten(0, mask_BLS.shape)
        volume_BLPN = share_BLSP.transpose(2, 3) @ pixels_BLSN
        return volume_BLPN.reshape(-1, 3, PLANES, *crops_BLSHW.shape[-2:])


class VolumeGrader(nn.Module):
    """A 3-D network over each level's volume, and one head a target."""

    def __init__(self, encoder: nn.Module, features: int, dropout: float, ordinal: str = CUMULATIVE) -> None:
        super().__init__()
        self.volume = Volume()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleDict({target.name: Head(target, features, ordinal) for target in TARGETS})

    def forward(
        self,
        crops_BLSHW: Tensor,
        tissue_BLS3: Tensor,
        view_BLS: Tensor,
        offset_BLS: Tensor,
        mirrored_BLS: Tensor,
        mask_BLS: Tensor,
        level_BL: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """As ``networks.Grader``; the shares of attention are alike for all slices."""
        volumes = self.volume(crops_BLSHW, view_BLS, offset_BLS, mirrored_BLS, mask_BLS)
        features_BLD = self.dropout(self.encoder(volumes)).unflatten(0, level_BL.shape)
        present_BLS = mask_BLS.float()
        shares_BLS = present_BLS / present_BLS.sum(2, keepdim=True).clamp(min=1)
        shares_BLST = shares_BLS[..., None].expand(*shares_BLS.shape, len(TARGETS))
        return torch.stack([self.heads[target.name](features_BLD) for target in TARGETS], 2), shares_BLST

    def forward_present(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """As ``forward``, but encodes only levels that are present."""
        *bag, mask_BLS, level_BL = inputs
        present_BL = mask_BLS.any(2)
        packed = [tensor[present_BL][None] for tensor in (*bag, mask_BLS, level_BL)]
        logp, shares = self.forward(*packed)
        unpacked = []
        for values in (logp, shares):
            full = torch.zeros(*present_BL.shape, *values.shape[2:], dtype=values.dtype, device=values.device)
            full[present_BL] = values[0]
            unpacked.append(full)
        return unpacked[0], unpacked[1]


class ResidualBlock3D(nn.Module):
    """Two 3x3x3 convolutions with a shortcut (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm3d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv3d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm3d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv3d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm3d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Same grid divided by the stride."""
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet34_3d(width: int = 64) -> nn.Module:
    """ResNet-34 in three dimensions: the shape of SpineNetV2's grader (Windsor et al. 2022), 63 million weights."""
    layers: list[nn.Module] = [
        nn.Conv3d(3, width, 7, (1, 2, 2), 3, bias=False),
        nn.BatchNorm3d(width),
        nn.ReLU(inplace=True),
        nn.MaxPool3d(3, 2, 1),
    ]
    previous = width
    for stage, blocks in enumerate((3, 4, 6, 3)):
        channels = width * 2**stage
        for block in range(blocks):
            layers.append(ResidualBlock3D(previous, channels, 2 if stage and not block else 1))
            previous = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool3d(1), nn.Flatten())


def resnet18_3d(width: int = 64) -> nn.Module:
    """MONAI's 3-D ResNet-18 up to its pooled features."""
    return ResNet(
        "basic",
        [2, 2, 2, 2],
        [width, 2 * width, 4 * width, 8 * width],
        n_input_channels=3,
        conv1_t_stride=(1, 2, 2),  # type: ignore[arg-type]
        feed_forward=False,
    )


def _grader(model: GraderModelConfig, pooling: Callable[[int], nn.Module]) -> Grader:
    return Grader(model.width, model.features, model.dropout, pooling=pooling, ordinal=model.ordinal)


def _volume_grader(model: GraderModelConfig, encoder: Callable[[int], nn.Module]) -> VolumeGrader:
    return VolumeGrader(encoder(model.width), 8 * model.width, model.dropout, model.ordinal)


GRADERS: dict[str, Callable[[GraderModelConfig], Grader | VolumeGrader]] = {
    "attention": lambda model: _grader(model, Attention),
    "mean": lambda model: _grader(model, Mean),
    "resnet18_3d": lambda model: _volume_grader(model, resnet18_3d),
    "resnet34_3d": lambda model: _volume_grader(model, resnet34_3d),
}
"""``model.kind`` -> network."""


def build_grader(model: GraderModelConfig) -> Grader | VolumeGrader:
    """The network that a configuration names."""
    return GRADERS[model.kind](model)
