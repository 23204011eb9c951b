"""One thread for torch, a tiny grader, and bags of phantoms."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from spinenet.crops import BAG_ARRAYS, CropSpec, build_bag
from spinenet.datasets.masks import locate_from_mask
from spinenet.study import LocatedSeries
from spinenet.train.networks import Grader
from spinephantom import PhantomStudy

torch.set_num_threads(1)


@pytest.fixture
def spec() -> CropSpec:
    return CropSpec(rows=40, columns=48, pixel_mm=1.3)


@pytest.fixture(scope="session")
def located(phantom: PhantomStudy) -> tuple[LocatedSeries, ...]:
    """T1 and T2 of a phantom with levels where the masks have them."""
    return tuple(locate_from_mask(item.series, item.mask_SRC) for item in phantom.series)


@pytest.fixture
def item(phantom: PhantomStudy, located: tuple[LocatedSeries, ...]) -> dict[str, Any]:
    """A study as it is cached for the grader's training."""
    return {
        "study": "1",
        "located": located,
        "grades_LT": phantom.grades_LT,
        "raters_RLT": phantom.grades_LT[None],
    }


@pytest.fixture
def grader() -> Grader:
    torch.manual_seed(0)
    return Grader(width=2, features=16, dropout=0.1, heads=4).eval()


@pytest.fixture
def bag_tensors(located: tuple[LocatedSeries, ...], spec: CropSpec) -> Callable[..., list[torch.Tensor]]:
    """``bag_tensors(levels, slices)``: the phantom's bag as the grader's arguments, padded by so many empty places."""

    def make(levels: int = 0, slices: int = 0) -> list[torch.Tensor]:
        bag = build_bag(located, spec)
        tensors = []
        for name in BAG_ARRAYS:
            array = getattr(bag, name)
            extra = [(0, levels), (0, slices if "LS" in name else 0), (0, 0), (0, 0)][: array.ndim]
            tensors.append(torch.as_tensor(np.pad(array, extra))[None])
        return tensors

    return make
