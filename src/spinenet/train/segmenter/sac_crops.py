"""Crops of the dural sac as its segmenter sees them: plain, or as another slice and scanner might have shown it.

An item of a batch: ``crop`` (1, H, W) float32 of ``fine_crops.normalised``, ``allowed`` (C, H, W) of SAC_CLASSES: where
nothing is known a pixel may be of any. Shapes: C class, P planes, H W pixels, N points.
"""

from typing import Any

import numpy as np
from monai.transforms import RandomizableTransform, Transform
from numpy.typing import NDArray

from spinenet.locating.measuring.dural_sac import PIXEL_MM, SAC_CLASSES, SIDE
from spinenet.locating.measuring.fine_crops import normalised
from spinenet.train.segmenter.disc_crops import Random, other_tissues, scanned
from spinenet.train.segmenter.sac_samples import FIELD, SAC, STEP_MM, UNKNOWN, SacSample
from spinenet.train.training_config import DiscRandomiseConfig

SLAB_MM = 4.0
"""Thickness of a slice that is cut from a volume."""
THICK_MM = (2.0, 5.0)
SUB_SLICES = 3
BESIDE_MM, TILT = 1.5, 0.14
"""Standard deviations of a slice's distance from the middle of its disc, and of its slope (8 degrees)."""
BLANK = 0.5
"""Probability that what is unknown beside a narrow volume is blank instead of its mirror image."""
SHARPEN = 0.3
"""Probability that a crop is sharpened, as scanners do."""


def sac_classes(labels_HW: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(C, H, W) the classes that a pixel may be of by its label."""
    allowed = np.stack([labels_HW != SAC, (labels_HW == SAC) | (labels_HW == UNKNOWN)])
    assert len(allowed) == len(SAC_CLASSES)
    return allowed


class PlainSac(Transform):
    """SacSample -> its crop as it is, of a volume a slice of SLAB_MM: for validation."""

    def __call__(self, data: SacSample) -> dict[str, Any]:
        grey_HW, labels_HW = cut(data, np.eye(2), np.zeros(2), np.zeros(3), SLAB_MM)
        return {"crop": normalised(grey_HW)[None], "allowed": sac_classes(labels_HW)}


class RandSac(RandomizableTransform):
    """SacSample -> a crop of it, and grey values, that might have been."""

    def __init__(self, config: DiscRandomiseConfig) -> None:
        super().__init__()
        self.config = config

    def __call__(self, data: SacSample) -> dict[str, Any]:
        from scipy import ndimage

        config, random = self.config, self.R
        far = 3.0 if random.random_sample() < config.far else 1.0
        shift_mm = random.normal(0, far * config.shift_mm, 2)
        plane = np.append(random.normal(0, TILT, 2), random.normal(0, BESIDE_MM))
        grey_HW, labels_HW = cut(data, _turned(config, random), shift_mm, plane, random.uniform(*THICK_MM))
        crop_HW = normalised(grey_HW)
        if random.random_sample() < config.tissue:
            crop_HW = other_tissues(crop_HW, np.where(labels_HW == SAC, SAC, 0).astype(np.uint8), random)
        unknown_HW = labels_HW == UNKNOWN
        if unknown_HW.any() and random.random_sample() < BLANK:
            crop_HW = np.where(unknown_HW, random.uniform(0, 1), crop_HW).astype(np.float32)
        if random.random_sample() < SHARPEN:
            crop_HW = crop_HW + random.uniform(0, 1.5) * (crop_HW - ndimage.gaussian_filter(crop_HW, 1.0))
        return {"crop": scanned(crop_HW, config, random)[None], "allowed": sac_classes(labels_HW)}


def _turned(config: DiscRandomiseConfig, random: Random) -> NDArray[np.float64]:
    """(2, 2) a turn, a stretch and half of the times a mirror, of (row, column)."""
    angle = np.deg2rad(random.normal(0, config.rotation_deg))
    scale, stretch = np.exp(random.normal(0, [config.scale, config.scale / 2]))
    side = random.choice([-1.0, 1.0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(turn @ np.diag([scale * stretch, side * scale / stretch]))


def cut(
    sample: SacSample,
    linear: NDArray[np.float64],
    shift_mm: NDArray[np.float64],
    plane: NDArray[np.float64],
    thick_mm: float,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """(H, W) grey values and labels of a crop: ``linear`` (2, 2) and ``shift_mm`` (2,) take its rows and columns to the
    sample's. Of a volume it is a slice, ``plane`` its slopes along rows and columns and its height in mm."""
    from scipy import ndimage

    steps_mm = (np.arange(SIDE) - (SIDE - 1) / 2) * PIXEL_MM
    offsets_mm = np.stack(np.meshgrid(steps_mm, steps_mm, indexing="ij"))
    at_mm = np.einsum("ij,jhw->ihw", linear, offsets_mm) + shift_mm[:, None, None]
    at_rc = at_mm / STEP_MM + (FIELD - 1) / 2
    nearest_rc = np.clip(np.rint(at_rc), 0, FIELD - 1).astype(int)
    middle = len(sample.grey_PHW) // 2
    if not sample.step_mm:
        grey_HW = ndimage.map_coordinates(sample.grey_PHW[0], at_rc, np.float32, order=1, mode="nearest")
        labels_HW = sample.labels_PHW[0][tuple(nearest_rc)]
    else:
        heights_mm = thick_mm * (np.arange(SUB_SLICES) - (SUB_SLICES - 1) / 2) / SUB_SLICES
        at_P = (np.einsum("i,ihw->hw", plane[:2], at_mm) + plane[2] + heights_mm[:, None, None]) / sample.step_mm
        at = np.stack([at_P + middle, *np.broadcast_to(at_rc[:, None], (2, *at_P.shape))])
        grey_HW = ndimage.map_coordinates(sample.grey_PHW, at, np.float32, order=1, mode="nearest").mean(0)
        at_N = np.clip(np.rint(at[0]), 0, len(sample.grey_PHW) - 1).astype(int)
        slices_PHW = sample.labels_PHW[at_N, nearest_rc[0], nearest_rc[1]]
        labels_HW = np.where((slices_PHW == SAC).mean(0) > 0.5, SAC, slices_PHW.max(0) // UNKNOWN * UNKNOWN)
    beyond_HW = ((at_rc < 0) | (at_rc > FIELD - 1)).any(0)
    return grey_HW, np.where(beyond_HW, UNKNOWN, labels_HW).astype(np.uint8)
