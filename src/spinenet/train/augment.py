"""Augmentation of graders' bags as MONAI dictionary transforms; geometry is moved in the frames, before the resample.

Keys of an item: ``located`` (tuple of LocatedSeries), ``grades_LT``; after ``CropBagd`` the arrays of ``crops.Bag`` and
the grades of its levels.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from monai.transforms import RandBiasField, RandGaussianNoise, RandGaussianSmooth, RandomizableTransform, Transform
from numpy.typing import NDArray

from spinenet.crops import BAG_ARRAYS, Bag, CropSpec, build_bag
from spinenet.study import LevelFrame, LocatedSeries

Item = dict[Hashable, Any]


@dataclass
class AugmentConfig:
    """How far a training bag may move from what was acquired: standard deviations and probabilities."""

    shift_mm: float = 1.5
    rotation_deg: float = 4.0
    zoom: float = 0.06
    window: float = 0.12
    gamma: float = 0.2
    noise: float = 0.03
    artefacts: float = 0.15
    drop_series: float = 0.2
    slices_per_series: int = 3


class JitterFramesd(RandomizableTransform):
    """Move, turn and scale the levels' frames, drop a series now and then, and take few of many slices.

    The shift carries the locator's error into training; one zoom serves a study, as spacings are uncertain by patient.
    """

    def __init__(self, config: AugmentConfig, spec: CropSpec) -> None:
        super().__init__()
        self.config = config
        self.spec = replace(spec, max_slices=config.slices_per_series)

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        item = dict(data)
        located = list(item["located"])
        if len(located) > 1 and self.R.random() < self.config.drop_series:
            located.pop(self.R.randint(len(located)))
        item["located"] = tuple(self._moved(one) for one in located)
        zoom = float(np.exp(np.clip(self.R.normal(0, self.config.zoom), -0.2, 0.2)))
        item["spec"] = replace(self.spec, pixel_mm=self.spec.pixel_mm * zoom)
        return item

    def _moved(self, one: LocatedSeries) -> LocatedSeries:
        return replace(one, frames=tuple(self._jitter(frame) for frame in one.frames))

    def _jitter(self, frame: LevelFrame) -> LevelFrame:
        angle = np.deg2rad(self.R.normal(0, self.config.rotation_deg))
        forward, up, left = self.R.normal(0, self.config.shift_mm, 3)
        cos, sin = np.cos(angle), np.sin(angle)
        return replace(
            frame,
            center_mm=frame.center_mm
            + forward * frame.posterior
            + up * frame.superior
            + left * np.cross(frame.posterior, frame.superior),
            posterior=cos * frame.posterior + sin * frame.superior,
            superior=cos * frame.superior - sin * frame.posterior,
        )


class CropBagd(Transform):
    """Cut the bag out of the located series: exactly what prediction does."""

    def __init__(self, spec: CropSpec) -> None:
        self.spec = spec

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        bag = build_bag(data["located"], data.get("spec", self.spec))
        item: Item = {name: getattr(bag, name) for name in BAG_ARRAYS}
        item["grades_LT"] = data["grades_LT"][bag.level_L]
        item["series_LS"] = _series_index(bag)
        item["study"] = data["study"]
        return item


def _series_index(bag: Bag) -> NDArray[np.int64]:
    names = sorted({crop.series_name for crops in bag.shown for crop in crops})
    index_LS = np.full(bag.mask_LS.shape, -1, np.int64)
    for row, crops in enumerate(bag.shown):
        index_LS[row, : len(crops)] = [names.index(crop.series_name) for crop in crops]
    return index_LS


class RandWindowd(RandomizableTransform):
    """Show each series as another exporter would have: other window, gamma and saturation.

    A monotone map of grey values, applied alike to the crops and the tissue values of a series.
    """

    def __init__(self, config: AugmentConfig) -> None:
        super().__init__()
        self.config = config

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        item = dict(data)
        for index in range(item["series_LS"].max() + 1):
            chosen = item["series_LS"] == index
            gamma = float(np.exp(self.R.normal(0, self.config.gamma)))
            low = self.R.normal(0, self.config.window / 3)
            high = 1 + self.R.normal(0, self.config.window)
            for key in ("crops_LSHW", "tissue_LS3"):
                scaled = np.clip((item[key][chosen] - low) / (high - low), 0, 1.3)
                item[key][chosen] = scaled**gamma
        return item


class RandScannerd(RandomizableTransform):
    """MONAI's noise, blur and bias field, each series of its own: its crops are the channels of one image."""

    def __init__(self, config: AugmentConfig) -> None:
        super().__init__()
        self.config = config
        self.transforms = (
            RandGaussianNoise(prob=0.5, std=config.noise),
            RandGaussianSmooth(sigma_x=(0.3, 1.0), sigma_y=(0.3, 1.0), prob=config.artefacts),
            RandBiasField(degree=2, coeff_range=(-0.15, 0.15), prob=config.artefacts),
        )

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> "RandScannerd":
        """Seed this and the wrapped transforms."""
        super().set_random_state(seed, state)
        for transform in self.transforms:
            transform.set_random_state(self.R.randint(2**31))
        return self

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        item = dict(data)
        for index in range(item["series_LS"].max() + 1):
            chosen = item["series_LS"] == index
            crops_MHW = item["crops_LSHW"][chosen]
            for transform in self.transforms:
                crops_MHW = transform(crops_MHW)
            item["crops_LSHW"][chosen] = np.asarray(crops_MHW)
        return item
