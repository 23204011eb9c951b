"""The two networks. Shapes: B study, L level, S slice, M slices in all, T target, K grade, D feature, H W pixels."""

import torch
from monai.networks.nets import BasicUNet
from torch import Tensor, nn

from spinenet.labels import LEVELS, MAX_GRADES, TARGETS, VIEWS, Scale, Target
from spinenet.locate import LOCATOR_CLASSES

CUT_GAP = 2.5
"""Distance between an ordinal head's cut points before training, in logits."""
NEVER = -1.0e4
"""Log-probability of a grade that a scale does not have."""


class Locator(nn.Module):
    """2-D U-Net (MONAI's BasicUNet): (N, 1, H, W) normalised slices -> (N, classes, H, W) logits."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        features = (width, width, 2 * width, 4 * width, 8 * width, width)
        self.unet = BasicUNet(
            spatial_dims=2,
            in_channels=1,
            out_channels=len(LOCATOR_CLASSES),
            features=features,
            norm=("batch", {}),
            act=("relu", {"inplace": True}),
            upsample="nontrainable",
        )

    def forward(self, images_N1HW: Tensor) -> Tensor:
        """Class logits at every pixel."""
        return self.unet(images_N1HW)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Same grid divided by the stride."""
        y = torch.relu(self.first_norm(self.first(x)))
        return torch.relu(self.second_norm(self.second(y)) + self.shortcut(x))


class SliceEncoder(nn.Module):
    """One slice in a level's frame -> one feature vector.

    Grey values enter on two scales: the series' (see ``crops.Bag``) and the crop's own mean and deviation, which does
    not depend on the locator's masks.
    """

    def __init__(self, width: int, features: int, dropout: float) -> None:
        super().__init__()
        widths = [2 * width, 4 * width, 8 * width]
        self.stem = nn.Sequential(
            nn.Conv2d(2, width, 5, 2, 2, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        blocks: list[nn.Module] = []
        previous = width
        for channels in widths:
            blocks += [ResidualBlock(previous, channels, 2), ResidualBlock(channels, channels, 1)]
            previous = channels
        self.blocks = nn.Sequential(*blocks)
        self.project = nn.Sequential(nn.Linear(2 * previous, features), nn.LayerNorm(features), nn.Dropout(dropout))
        self.view = nn.Embedding(len(VIEWS), features)
        self.place = nn.Linear(3 + 2, features)

    def forward(self, crops_MHW: Tensor, tissue_M3: Tensor, view_M: Tensor, offset_M: Tensor) -> Tensor:
        """(M, D) tokens."""
        mean = crops_MHW.mean((1, 2), keepdim=True)
        deviation = (crops_MHW - mean).square().mean((1, 2), keepdim=True).sqrt().clamp(min=1e-3)
        channels = torch.stack([crops_MHW.clamp(-0.5, 1.5) * 2 - 1, (crops_MHW - mean) / deviation], 1)
        maps = self.blocks(self.stem(channels))
        pooled = torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)
        offset = offset_M[:, None] / 10.0
        place = self.place(torch.cat([tissue_M3.clamp(-0.5, 1.5), offset, offset.abs()], 1))
        return self.project(pooled) + self.view(view_M) + place


class Head(nn.Module):
    """Log-probabilities of one target's grades from its feature vector.

    Ordinal targets share one score with ordered cut points (proportional odds, McCullagh 1980).
    """

    def __init__(self, target: Target, features: int) -> None:
        super().__init__()
        self.scale, self.grades = target.scale, len(target.grades)
        self.linear = nn.Linear(features, self.grades if self.scale is Scale.NOMINAL else 1)
        if self.scale is Scale.ORDINAL:
            # Gaps of 1 would hold a middle grade's probability below a quarter, and gaps hardly move in training.
            self.first_cut = nn.Parameter(torch.tensor(-CUT_GAP * (self.grades - 2) / 2))
            self.log_gaps = nn.Parameter(torch.full((self.grades - 2,), CUT_GAP).log())

    def forward(self, x_BLD: Tensor) -> Tensor:
        """(B, L, MAX_GRADES); grades past the scale's end are NEVER."""
        scores = self.linear(x_BLD)
        if self.scale is Scale.NOMINAL:
            logp = torch.log_softmax(scores, -1)
        elif self.scale is Scale.BINARY:
            logp = nn.functional.logsigmoid(torch.cat([-scores, scores], -1))
        else:
            cuts = torch.cat([self.first_cut[None], self.first_cut + torch.cumsum(self.log_gaps.exp(), 0)])
            above = torch.sigmoid(scores - cuts)
            edge = torch.ones_like(above[..., :1])
            p = torch.cat([edge, above], -1) - torch.cat([above, edge * 0], -1)
            logp = p.clamp(min=1e-6).log()
        return nn.functional.pad(logp, (0, MAX_GRADES - self.grades), value=NEVER)


class Grader(nn.Module):
    """A bag of slices at every level of a study -> log-probabilities of every target's grades at every level.

    Slices are encoded alone, every target attends over the slices of its level, and levels look at each other once,
    because degeneration is graded against a patient's other discs.
    """

    def __init__(self, width: int = 16, features: int = 96, dropout: float = 0.2, heads: int = 4) -> None:
        super().__init__()
        self.encoder = SliceEncoder(width, features, dropout)
        self.queries = nn.Parameter(0.02 * torch.randn(len(TARGETS), features))
        self.keys = nn.Linear(features, features)
        self.values = nn.Linear(features, features)
        self.level = nn.Embedding(len(LEVELS), features)
        self.context = nn.TransformerEncoderLayer(
            features, heads, 2 * features, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.norm = nn.LayerNorm(features)
        self.mixer = nn.Sequential(nn.Linear(2 * features, features), nn.GELU(), nn.Dropout(dropout))
        self.heads = nn.ModuleList(Head(target, features) for target in TARGETS)

    def forward(
        self,
        crops_BLSHW: Tensor,
        tissue_BLS3: Tensor,
        view_BLS: Tensor,
        offset_BLS: Tensor,
        mask_BLS: Tensor,
        level_BL: Tensor,
    ) -> Tensor:
        """(B, L, T, MAX_GRADES) log-probabilities; every slice place is encoded, absent ones are masked afterwards."""
        tokens = self.encoder(
            crops_BLSHW.flatten(0, 2), tissue_BLS3.flatten(0, 2), view_BLS.flatten(), offset_BLS.flatten()
        )
        return self.read(tokens.unflatten(0, mask_BLS.shape), mask_BLS, level_BL)

    def forward_present(
        self,
        crops_BLSHW: Tensor,
        tissue_BLS3: Tensor,
        view_BLS: Tensor,
        offset_BLS: Tensor,
        mask_BLS: Tensor,
        level_BL: Tensor,
    ) -> Tensor:
        """As ``forward``, but encodes only slices that are present: for training, where bags differ in size and
        padding must not enter the batch statistics."""
        present = self.encoder(crops_BLSHW[mask_BLS], tissue_BLS3[mask_BLS], view_BLS[mask_BLS], offset_BLS[mask_BLS])
        tokens = torch.zeros(*mask_BLS.shape, present.shape[-1], dtype=present.dtype, device=present.device)
        tokens[mask_BLS] = present
        return self.read(tokens, mask_BLS, level_BL)

    def read(self, tokens_BLSD: Tensor, mask_BLS: Tensor, level_BL: Tensor) -> Tensor:
        """From slice tokens to log-probabilities."""
        width = tokens_BLSD.shape[-1]
        scores_BLST = self.keys(tokens_BLSD) @ self.queries.T / width**0.5
        attention_BLST = scores_BLST.masked_fill(~mask_BLS[..., None], -1e4).softmax(2)
        seen_BLTD = attention_BLST.transpose(2, 3) @ self.values(tokens_BLSD)
        present_BL = mask_BLS.any(2)
        level_BLD = seen_BLTD.mean(2) + self.level(level_BL)
        context_BLD = self.norm(self.context(level_BLD, src_key_padding_mask=~present_BL))
        joined = torch.cat([seen_BLTD, context_BLD[:, :, None].expand_as(seen_BLTD)], -1)
        features_BLTD = self.mixer(joined)
        return torch.stack([head(features_BLTD[:, :, t]) for t, head in enumerate(self.heads)], 2)
