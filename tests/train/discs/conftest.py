"""Packed discs of the phantoms, small crops, and a network of a few thousand weights."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from spinenet.crops import CropSpec
from spinenet.datasets import load_dataset
from spinenet.train.discs.batches import Batch, DiscStudies, collate
from spinenet.train.discs.disc_config import DiscModelConfig, TrainDiscsConfig
from spinenet.train.discs.disc_run import build_network
from spinenet.train.discs.moves import STILL
from spinenet.train.discs.network import DiscNetwork
from spinenet.train.discs.packed import PackedStudy, pack_study, raters_of

SPEC = CropSpec(rows=64, columns=96, pixel_mm=0.8, posterior_shift_mm=6.0)
SMALL = DiscModelConfig(encoder="small", weights="random", width=32, dropout=0.0)


@pytest.fixture(scope="session")
def packed(phantom_root: Path) -> list[PackedStudy]:
    """All phantoms' discs, half of them as of another hospital."""
    studies = load_dataset("phantom", phantom_root).studies
    made = [pack_study(study, ("spider", "sudirman")[index % 2], SPEC) for index, study in enumerate(studies)]
    return [one for one in made if one is not None]


@pytest.fixture
def config() -> TrainDiscsConfig:
    return TrainDiscsConfig(crop=SPEC, model=SMALL)


@pytest.fixture
def network(packed: list[PackedStudy]) -> DiscNetwork:
    torch.manual_seed(0)
    return build_network(SMALL, SPEC, raters_of(packed, ("spider", "sudirman")))


@pytest.fixture
def still_batch(packed: list[PackedStudy]) -> Callable[..., Batch]:
    """``still_batch(3)``: the first three patients as prediction shows them."""

    def make(patients: int) -> Batch:
        studies = DiscStudies(packed, ("spider", "sudirman"), STILL, SPEC)
        return collate([studies[index] for index in range(patients)])

    return make
