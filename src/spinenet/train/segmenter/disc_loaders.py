"""Batches of discs for the segmenter."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import DataLoader

from spinenet.datasets.splits import Split
from spinenet.train.data import StudyParts, shuffled
from spinenet.train.segmenter.disc_crops import PlainDisc, RandDisc
from spinenet.train.segmenter.disc_samples import ReadDiscs
from spinenet.train.training_config import TrainSegmenterConfig


def segmenter_loaders(split: Split, config: TrainSegmenterConfig) -> tuple[DataLoader, DataLoader | None]:
    """Loaders of randomised training crops and plain validation crops of the midline."""
    read = ReadDiscs(config.slices_per_volume)
    discs = StudyParts(split.train, read, RandDisc(config.randomise), sources=split.sources)
    train = shuffled(discs, config, collate_discs)
    if not split.validation:
        return train, None
    validation = StudyParts(split.validation, ReadDiscs(1), PlainDisc(), progress=False)
    return train, DataLoader(validation, batch_size=config.fit.batch_size, collate_fn=collate_discs)


def collate_discs(items: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
    """Stack items: crop (N, 1, H, W) float32, allowed (N, C, H, W) bool."""
    return {name: torch.as_tensor(np.stack([item[name] for item in items])) for name in ("crop", "allowed")}
