"""Batches of what a segmenter outlines."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import DataLoader

from spinenet.datasets.splits import Split
from spinenet.train.data import StudyParts, shuffled
from spinenet.train.segmenter.outline_kinds import KINDS
from spinenet.train.training_config import TrainSegmenterConfig


def segmenter_loaders(split: Split, config: TrainSegmenterConfig) -> tuple[DataLoader, DataLoader | None]:
    """Loaders of randomised training crops and plain validation crops of the midline."""
    kind = KINDS[config.outlines]
    read = kind.read(config.slices_per_volume)
    discs = StudyParts(split.train, read, kind.randomised(config.randomise), sources=split.sources)
    train = shuffled(discs, config, collate_crops)
    if not split.validation:
        return train, None
    validation = StudyParts(split.validation, kind.read(1), kind.plain(), progress=False)
    return train, DataLoader(validation, batch_size=config.fit.batch_size, collate_fn=collate_crops)


def collate_crops(items: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
    """Stack items: crop (N, 1, H, W) float32, allowed (N, C, H, W) bool."""
    return {name: torch.as_tensor(np.stack([item[name] for item in items])) for name in ("crop", "allowed")}
