"""Domain randomisation for the locator: slices with masks in, slices as any scanner could have made them out.

Keys of an item: ``image`` (1, H, W) grey values on the locator's grid, ``classes`` (1, H, W) of LOCATOR_CLASSES.
"""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from monai.transforms import (
    Compose,
    MapTransform,
    RandAdjustContrastd,
    RandAffined,
    RandBiasFieldd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandomizableTransform,
    RandSimulateLowResolutiond,
    Transform,
)

from spinenet.locating.discs import LOCATOR_CLASSES, LOWEST_DISC, normalise
from spinenet.train.training_config import RandomiseConfig

Item = dict[Hashable, Any]


class RandCutSacrumd(RandomizableTransform):
    """End the field of view above the lowest disc, so that the locator learns to say that no sacrum is in view."""

    def __init__(self, prob: float) -> None:
        super().__init__(prob)

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        self.randomize(None)
        item = dict(data)
        rows = np.nonzero((item["classes"][0] == LOWEST_DISC).any(1))[0]
        if not self._do_transform or rows.size == 0 or rows[0] < 48:
            return item
        end = int(rows[0] - self.R.randint(1, 20))
        item["image"], item["classes"] = item["image"][:, :end], item["classes"][:, :end]
        return item


class RandTissueContrastd(RandomizableTransform):
    """Give every tissue a random grey value and keep the slice's own texture at random strength (after Billot et al.,
    SynthSeg, 2023). Background keeps its values: what lies around the spine is not segmented."""

    def __init__(self, prob: float) -> None:
        super().__init__(prob)

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        self.randomize(None)
        item = dict(data)
        if not self._do_transform:
            return item
        image, classes = np.array(item["image"]), np.asarray(item["classes"])
        tissue = np.where(classes == LOWEST_DISC, LOWEST_DISC - 1, classes)
        for index in range(1, len(LOCATOR_CLASSES) - 1):
            inside = tissue == index
            if inside.any():
                texture = image[inside] - image[inside].mean()
                image[inside] = self.R.uniform(0, 1) + self.R.uniform(0.3, 1.0) * texture
        item["image"] = np.clip(image, 0, 1.2).astype(np.float32)
        return item


class RandInvertd(RandomizableTransform):
    """Swap bright and dark: contrasts no sequence here has."""

    def __init__(self, prob: float) -> None:
        super().__init__(prob)

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        self.randomize(None)
        item = dict(data)
        if self._do_transform:
            image = np.asarray(item["image"])
            item["image"] = (image.max() - image).astype(np.float32)
        return item


class RandAroundSpined(RandomizableTransform):
    """A window about the labelled spine, now and then anywhere in the slice, so that what is no spine is seen too."""

    def __init__(self, rows: int, columns: int, shift_px: float, anywhere: float = 0.2) -> None:
        super().__init__(anywhere)
        self.shape, self.shift_px = (rows, columns), shift_px

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        self.randomize(None)
        item = dict(data)
        shape = np.array(item["classes"].shape[1:])
        spine = np.argwhere(np.asarray(item["classes"][0]) > 0)
        if self._do_transform or spine.size == 0:
            center = self.R.uniform(0.2, 0.8, 2) * shape
        else:
            center = spine.mean(0) + self.R.normal(0, self.shift_px, 2)
        start = np.round(center - np.array(self.shape) / 2).astype(int)
        low, high = np.maximum(start, 0), np.minimum(start + self.shape, shape)
        for key in ("image", "classes"):
            window = np.zeros((1, *self.shape), np.asarray(item[key]).dtype)
            inside = (slice(None), *(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True)))
            window[inside] = np.asarray(item[key])[:, low[0] : high[0], low[1] : high[1]]
            item[key] = window
        return item


class NormalisePercentilesd(MapTransform):
    """Percentile normalisation as the locator does it in use."""

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        item = dict(data)
        for key in self.keys:
            item[key] = normalise(np.asarray(item[key])[0])[None]
        return item


def randomise(config: RandomiseConfig) -> Compose:
    """The locator's training transforms, random window of rows x columns included."""
    keys = ("image", "classes")
    steps: list[Transform] = [
        NormalisePercentilesd(("image",)),
        RandCutSacrumd(config.cut_sacrum),
        RandTissueContrastd(config.tissue),
        RandInvertd(config.invert),
        RandAroundSpined(config.rows, config.columns, config.shift_px),
        RandAffined(
            keys,
            prob=1.0,
            rotate_range=np.deg2rad(config.rotation_deg),
            scale_range=(config.scale, config.scale),
            mode=("bilinear", "nearest"),
            padding_mode="zeros",
        ),
        RandAdjustContrastd(("image",), prob=config.contrast, gamma=(0.5, 2.0)),
        RandBiasFieldd(("image",), prob=config.contrast, degree=2, coeff_range=(-0.3, 0.3)),
        RandGaussianSmoothd(("image",), prob=0.2, sigma_x=(0.3, 1.2), sigma_y=(0.3, 1.2)),
        RandSimulateLowResolutiond(("image",), prob=0.15, zoom_range=(0.5, 1.0), upsample_mode="bilinear"),
        RandGaussianNoised(("image",), prob=0.4, std=0.06),
        NormalisePercentilesd(("image",)),
    ]
    return Compose(steps)
