"""The two networks. Shapes: B study, L level, S slice, M slices in all, T target, Q question, K grade, D feature, H W
pixels.

Left and right: a right-sided target is what its left-sided twin would be in the mirrored study. The grader therefore
asks one question for both, and reads its slices twice: as they are, and as the mirrored study would show them, which
changes no picture (see ``crops.Bag``) but the signs of their places. Whatever has no side is the mean of both readings.
A mirrored study gets mirrored grades, exactly and without having been trained to.
"""

from collections.abc import Callable

import torch
from monai.networks.nets import BasicUNet
from torch import Tensor, nn

from spinenet.labels import LEVELS, MAX_GRADES, TARGETS, VIEWS, Scale, Side, Target, View
from spinenet.locating.discs import LOCATOR_CLASSES
from spinenet.train.ordinal import log_probabilities, outputs_of
from spinenet.train.training_config import CUMULATIVE

CUT_GAP = 2.5
"""Distance between an ordinal head's cut points before training, in logits."""
NEVER = -1.0e4
"""Log-probability of a grade that a scale does not have."""
PLACES_MM = tuple(range(-24, 25, 6))
"""Where a slice lies is told by its nearness to these offsets: finer than a line, smoother than a table."""

QUESTIONS = {target.condition: target for target in TARGETS}
"""What is asked for, by name: a condition once for both its sides, and one target that has its scale."""
_ASKED = tuple(tuple(QUESTIONS).index(target.condition) for target in TARGETS)
_AS_IT_IS = tuple({Side.LEFT: 1.0, Side.RIGHT: 0.0, None: 0.5}[target.side] for target in TARGETS)
_AXIAL = VIEWS.index(View.AXIAL_T2)


class Locator(nn.Module):
    """2-D U-Net (MONAI's BasicUNet): (N, 1, H, W) normalised slices -> (N, classes, H, W) logits."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.unet = BasicUNet(
            spatial_dims=2,
            in_channels=1,
            out_channels=len(LOCATOR_CLASSES),
            features=unet_features(width),
            norm=("batch", {}),
            act=("relu", {"inplace": True}),
            upsample="nontrainable",
        )

    def forward(self, images_N1HW: Tensor) -> Tensor:
        """Class logits at every pixel."""
        return self.unet(images_N1HW)


def unet_features(width: int) -> tuple[int, int, int, int, int, int]:
    """Channels of the locator's five grids, from fine to coarse, and of its last layer."""
    return width, width, 2 * width, 4 * width, 8 * width, width


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
    """The picture of one slice in a level's frame -> one feature vector.

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

    def forward(self, crops_MHW: Tensor) -> Tensor:
        """(M, D) features."""
        maps = self.blocks(self.stem(two_scales(crops_MHW)))
        return self.project(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1))


def two_scales(crops_MHW: Tensor) -> Tensor:
    """(M, 2, H, W): grey values of the series and of the crop itself."""
    mean = crops_MHW.mean((1, 2), keepdim=True)
    deviation = (crops_MHW - mean).square().mean((1, 2), keepdim=True).sqrt().clamp(min=1e-3)
    return torch.stack([crops_MHW.clamp(-0.5, 1.5) * 2 - 1, (crops_MHW - mean) / deviation], 1)


class Place(nn.Module):
    """What a slice is: its view, where it lies and its series' tissue values, as an embedding."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.view = nn.Embedding(len(VIEWS), features)
        self.linear = nn.Linear(3 + 1 + 2 * len(PLACES_MM), features)
        self.centers: Tensor
        self.register_buffer("centers", torch.tensor(PLACES_MM, dtype=torch.float32))

    def forward(self, tissue_BLS3: Tensor, view_BLS: Tensor, offset_BLS: Tensor, mirrored_BLS: Tensor) -> Tensor:
        """(2, B, L, S, D): in the study as it is and in the mirrored one."""
        axial_BLS = (view_BLS == _AXIAL).float()
        side_BLS = axial_BLS * (1 - 2 * mirrored_BLS.float())
        both = [self._of(tissue_BLS3, axial_BLS, sign * offset_BLS, offset_BLS, sign * side_BLS) for sign in (1, -1)]
        return self.view(view_BLS) + torch.stack(both)

    def _of(self, tissue: Tensor, axial: Tensor, left_mm: Tensor, up_mm: Tensor, side: Tensor) -> Tensor:
        beside = self._near(left_mm) * (1 - axial)[..., None]
        above = self._near(2 * up_mm) * axial[..., None]
        return self.linear(torch.cat([tissue.clamp(-0.5, 1.5), side[..., None], beside, above], -1))

    def _near(self, offset_mm: Tensor) -> Tensor:
        return torch.exp(-0.5 * ((offset_mm[..., None] - self.centers) / 5.0).square())


class Head(nn.Module):
    """Log-probabilities of one target's grades from its feature vector, those of an ordinal one told as ``ordinal``
    says (``train.ordinal``)."""

    def __init__(self, target: Target, features: int, ordinal: str = CUMULATIVE) -> None:
        super().__init__()
        self.scale, self.grades, self.ordinal = target.scale, len(target.grades), ordinal
        sizes = {Scale.NOMINAL: self.grades, Scale.BINARY: 1, Scale.ORDINAL: outputs_of(ordinal, self.grades)}
        self.linear = nn.Linear(features, sizes[self.scale])
        if self.scale is Scale.ORDINAL and ordinal == CUMULATIVE:
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
            logp = log_probabilities(self.ordinal, scores, self._cuts() if self.ordinal == CUMULATIVE else None)
        return nn.functional.pad(logp, (0, MAX_GRADES - self.grades), value=NEVER)

    def _cuts(self) -> Tensor:
        return torch.cat([self.first_cut[None], self.first_cut + torch.cumsum(self.log_gaps.exp(), 0)])


class Attention(nn.Module):
    """Every question looks at the slices of a level with its own query."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.queries = nn.ParameterDict({name: 0.02 * torch.randn(features) for name in QUESTIONS})
        self.keys = nn.Linear(features, features)
        self.values = nn.Linear(features, features)

    def forward(self, tokens_BLSD: Tensor, mask_BLS: Tensor) -> tuple[Tensor, Tensor]:
        """What each question saw (B, L, Q, D), and its shares of attention (B, L, S, Q)."""
        queries_DQ = torch.stack([self.queries[name] for name in QUESTIONS], 1)
        scores_BLSQ = self.keys(tokens_BLSD) @ queries_DQ / tokens_BLSD.shape[-1] ** 0.5
        shares_BLSQ = scores_BLSQ.masked_fill(~mask_BLS[..., None], -1e4).softmax(2)
        return shares_BLSQ.transpose(2, 3) @ self.values(tokens_BLSD), shares_BLSQ


class Mean(nn.Module):
    """Every question sees the mean of the slices: the grader without attention, for comparison."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.answers = nn.ModuleDict({name: nn.Linear(features, features) for name in QUESTIONS})

    def forward(self, tokens_BLSD: Tensor, mask_BLS: Tensor) -> tuple[Tensor, Tensor]:
        """As Attention, all shares alike."""
        present_BLS = mask_BLS.to(tokens_BLSD.dtype)
        shares_BLS = present_BLS / present_BLS.sum(2, keepdim=True).clamp(min=1)
        mean_BLD = (tokens_BLSD * shares_BLS[..., None]).sum(2)
        shares_BLSQ = shares_BLS[..., None].expand(*shares_BLS.shape, len(QUESTIONS))
        return torch.stack([self.answers[name](mean_BLD) for name in QUESTIONS], 2), shares_BLSQ


class Grader(nn.Module):
    """A bag of slices at every level of a study -> log-probabilities of every target's grades at every level.

    Slices are encoded alone, every question pools the slices of its level, and levels look at each other once, because
    degeneration is graded against a patient's other discs.
    """

    def __init__(
        self,
        width: int = 16,
        features: int = 96,
        dropout: float = 0.2,
        heads: int = 4,
        pooling: Callable[[int], nn.Module] = Attention,
        ordinal: str = CUMULATIVE,
    ) -> None:
        super().__init__()
        self.encoder = SliceEncoder(width, features, dropout)
        self.place = Place(features)
        self.pooling = pooling(features)
        self.level = nn.Embedding(len(LEVELS), features)
        self.context = nn.TransformerEncoderLayer(
            features, heads, 2 * features, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.norm = nn.LayerNorm(features)
        self.mixer = nn.Sequential(nn.Linear(2 * features, features), nn.GELU(), nn.Dropout(dropout))
        self.heads = nn.ModuleDict({name: Head(target, features, ordinal) for name, target in QUESTIONS.items()})
        self.as_it_is_T: Tensor
        self.register_buffer("as_it_is_T", torch.tensor(_AS_IT_IS), persistent=False)

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
        """(B, L, T, MAX_GRADES) log-probabilities and (B, L, S, T) shares of attention; every slice place is encoded,
        absent ones are masked afterwards."""
        pictures = self.encoder(crops_BLSHW.flatten(0, 2)).unflatten(0, mask_BLS.shape)
        places = self.place(tissue_BLS3, view_BLS, offset_BLS, mirrored_BLS)
        return self.read(pictures + places, mask_BLS, level_BL)

    def forward_present(
        self,
        crops_BLSHW: Tensor,
        tissue_BLS3: Tensor,
        view_BLS: Tensor,
        offset_BLS: Tensor,
        mirrored_BLS: Tensor,
        mask_BLS: Tensor,
        level_BL: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """As ``forward``, but encodes only slices that are present: for training, where bags differ in size and
        padding must not enter the batch statistics."""
        present = self.encoder(crops_BLSHW[mask_BLS])
        pictures = torch.zeros(*mask_BLS.shape, present.shape[-1], dtype=present.dtype, device=present.device)
        pictures[mask_BLS] = present
        places = self.place(tissue_BLS3, view_BLS, offset_BLS, mirrored_BLS)
        return self.read(pictures + places, mask_BLS, level_BL)

    def read(self, tokens_RBLSD: Tensor, mask_BLS: Tensor, level_BL: Tensor) -> tuple[Tensor, Tensor]:
        """From the slice tokens of both readings (R = 2) to log-probabilities and attention."""
        studies = mask_BLS.shape[0]
        tokens_BLSD = tokens_RBLSD.flatten(0, 1)
        mask_BLS, level_BL = torch.cat([mask_BLS, mask_BLS]), torch.cat([level_BL, level_BL])
        seen_BLQD, shares_BLSQ = self.pooling(tokens_BLSD, mask_BLS)
        level_BLD = seen_BLQD.mean(2) + self.level(level_BL)
        context_BLD = self.norm(self.context(level_BLD, src_key_padding_mask=~mask_BLS.any(2)))
        features_BLQD = self.mixer(torch.cat([seen_BLQD, context_BLD[:, :, None].expand_as(seen_BLQD)], -1))
        features_BLTD = self._both_readings(features_BLQD.transpose(2, 3), studies).transpose(2, 3)
        logp = [self.heads[one.condition](features_BLTD[:, :, target]) for target, one in enumerate(TARGETS)]
        return torch.stack(logp, 2), self._both_readings(shares_BLSQ, studies)

    def _both_readings(self, values_BLXQ: Tensor, studies: int) -> Tensor:
        """(B, L, X, T) from both readings' answers: a left target's from the study as it is, a right one's from the
        mirrored study, the mean for what has no side."""
        values_BLXT = values_BLXQ[..., list(_ASKED)]
        return self.as_it_is_T * values_BLXT[:studies] + (1 - self.as_it_is_T) * values_BLXT[studies:]
