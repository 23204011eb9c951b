"""Crops of levels as the segmenter sees them: plain, or moved and changed as another locator and scanner would have.

An item of a batch: ``crop`` (1, H, W) float32 of ``fine_crops.normalised``, ``allowed`` (C, H, W) of
``disc_samples.allowed_classes``. Shapes: C class, H W pixels.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from monai.transforms import RandomizableTransform, Transform
from numpy.typing import NDArray

from spinenet.locating.measuring.fine_crops import (
    COLUMNS,
    ROWS,
    CropAxes,
    crop_axes,
    level_crop,
    normalised,
    points_rc,
)
from spinenet.study import LevelFrame
from spinenet.train.segmenter.disc_samples import DiscSample, allowed_classes
from spinenet.train.training_config import DiscRandomiseConfig

Random = np.random.RandomState


def item_of(sample: DiscSample, axes: CropAxes) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """(H, W) normalised grey values and labels of a sample on a crop; beyond the slice there is background."""
    from scipy import ndimage

    labels_HW = ndimage.map_coordinates(sample.labels_RC, points_rc(axes), np.uint8, order=0, mode="constant")
    return normalised(level_crop(sample.series.voxels_SRC[0], axes)), labels_HW


class PlainDisc(Transform):
    """DiscSample -> its crop as it is: for validation."""

    def __call__(self, data: DiscSample) -> dict[str, Any]:
        crop_HW, labels_HW = item_of(data, crop_axes(data.series, data.frame))
        return {"crop": crop_HW[None], "allowed": allowed_classes(data, labels_HW)}


class RandDisc(RandomizableTransform):
    """DiscSample -> its crop in a frame, and with grey values, that might have been."""

    def __init__(self, config: DiscRandomiseConfig) -> None:
        super().__init__()
        self.config = config

    def __call__(self, data: DiscSample) -> dict[str, Any]:
        config = self.config
        far = 3.0 if self.R.random_sample() < config.far else 1.0
        frame = jittered(data.frame, self.R, far * config.shift_mm, config.rotation_deg)
        scale, stretch = np.exp(self.R.normal(0, [config.scale, config.scale / 2]))
        axes = scaled(crop_axes(data.series, frame), scale * stretch, scale / stretch)
        crop_HW, labels_HW = item_of(data, axes)
        if self.R.random_sample() < config.tissue:
            crop_HW = other_tissues(crop_HW, labels_HW, self.R)
        return {"crop": scanned(crop_HW, config, self.R)[None], "allowed": allowed_classes(data, labels_HW)}


def scanned(crop_HW: NDArray[np.floating], config: DiscRandomiseConfig, random: Random) -> NDArray[np.float32]:
    """A crop with other contrast, coils, resolution, noise and window."""
    from scipy import ndimage

    chance = random.random_sample(5)
    if chance[0] < config.invert:
        crop_HW = 1.0 - crop_HW
    crop_HW = np.clip(crop_HW, 0, 1.2) ** np.exp(random.normal(0, config.gamma))
    if chance[1] < config.field:
        crop_HW = crop_HW * field(crop_HW.shape, random)
    if chance[2] < config.blur:
        crop_HW = ndimage.gaussian_filter(crop_HW, random.uniform(0, 1.2, 2))
    if chance[3] < config.noise:
        crop_HW = crop_HW + random.normal(0, random.uniform(0, 0.08), crop_HW.shape)
    if chance[4] < config.saturate:
        crop_HW = np.minimum(crop_HW, random.uniform(0.6, 1.0) * crop_HW.max())
    return normalised(crop_HW.astype(np.float32))


def jittered(frame: LevelFrame, random: Random, shift_mm: float, rotation_deg: float) -> LevelFrame:
    """A frame as another locator might have put it: moved and turned in its plane by normal errors."""
    back_mm, up_mm = random.normal(0, shift_mm, 2)
    angle = np.deg2rad(random.normal(0, rotation_deg))
    return replace(
        frame,
        center_mm=frame.center_mm + back_mm * frame.posterior + up_mm * frame.superior,
        posterior=np.cos(angle) * frame.posterior + np.sin(angle) * frame.superior,
        superior=np.cos(angle) * frame.superior - np.sin(angle) * frame.posterior,
    )


def scaled(axes: CropAxes, rows: float, columns: float) -> CropAxes:
    """A crop about the same middle whose pixels are so many times as high and wide."""
    half_rows, half_columns = (ROWS - 1) / 2, (COLUMNS - 1) / 2
    middle_rc = axes.corner_rc + half_rows * axes.row_step_rc + half_columns * axes.column_step_rc
    row, column = rows * axes.row_step_rc, columns * axes.column_step_rc
    return CropAxes(middle_rc - half_rows * row - half_columns * column, row, column)


def other_tissues(crop_HW: NDArray[np.float32], labels_HW: NDArray[np.uint8], random: Random) -> NDArray[np.float32]:
    """The crop with each labelled tissue brighter or darker, its texture stronger or weaker."""
    changed_HW = crop_HW.copy()
    for value in np.unique(labels_HW[labels_HW > 0]):
        inside_HW = labels_HW == value
        changed_HW[inside_HW] = crop_HW[inside_HW] * random.uniform(0.5, 1.1) + random.uniform(-0.15, 0.3)
    return changed_HW


def field(shape: tuple[int, ...], random: Random) -> NDArray[np.float64]:
    """(H, W) how much of the signal a coil receives: the exponential of a random polynomial of second degree."""
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    terms = np.stack([x, y, x * y, x**2, y**2])
    received: NDArray[np.float64] = np.exp(np.tensordot(random.normal(0, 0.2, len(terms)), terms, 1))
    return received
