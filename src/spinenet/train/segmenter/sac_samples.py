"""The dural sac of a level in axial planes, and what of it is known: what the segmenter of sacs learns from.

Thin sagittal volumes with whole label images are cut along the axes of their discs, axial stacks give their own
slices. A volume is narrow: beside it nothing is known. Shapes: P planes, H W pixels of a plane.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from monai.transforms import Transform
from numpy.typing import NDArray

from spinenet.datasets.labelled import LabelledStudy
from spinenet.datasets.masks import CANAL_VALUE, locate_masked
from spinenet.labels import View
from spinenet.locating.measuring.dural_sac import BEHIND_MM, sac_placement
from spinenet.readers import opened, read_study
from spinenet.study import LevelFrame, LocatedSeries

FIELD, STEP_MM = 116, 0.5
"""Pixels of a plane, so that a crop may be moved and turned in it."""
THIN_MM = 1.5
"""A volume with farther slices shows no sac when it is cut across."""
PLANES, PLANE_MM = 9, 1.5
"""Planes of a volume around a disc."""
AXIAL_SLICES = 3
"""Slices of a stack at a level, nearest first."""
OTHER, SAC, UNKNOWN = 0, 1, 2
FEWEST_MM2 = 15.0
"""A plane in which less of the sac is known teaches nothing: the volume passes beside it."""


@dataclass(frozen=True)
class SacSample:
    """Grey values of planes around a level, in 8 bits, and OTHER, SAC or UNKNOWN of each pixel; planes go up, rows
    backwards, columns to the left. ``step_mm`` lies between planes, 0 where there is one."""

    level: str
    grey_PHW: NDArray[np.uint8]
    labels_PHW: NDArray[np.uint8]
    step_mm: float


class ReadSacs(Transform):
    """LabelledStudy -> levels of its thin volumes and axial T2 stacks that have whole label images. Deterministic."""

    def __call__(self, data: LabelledStudy) -> list[SacSample]:
        masks = {name: mask for name, mask in data.masks.items() if mask.whole}
        if not masks:
            return []
        located, _ = locate_masked(read_study(opened(data.source)).series, masks)
        found: list[SacSample] = []
        for one in located:
            if one.series.name not in masks:
                continue
            if one.series.view is View.AXIAL_T2:
                found += _of_stack(one, masks[one.series.name].values(one.series))
            elif one.series.view is View.SAGITTAL_T2 and one.series.spacing_mm[0] <= THIN_MM:
                found += _of_volume(one, masks[one.series.name].values(one.series))
        return [sample for sample in found if _shows_sac(sample)]


def _shows_sac(sample: SacSample) -> bool:
    return bool((sample.labels_PHW[len(sample.labels_PHW) // 2] == SAC).sum() * STEP_MM**2 >= FEWEST_MM2)


def _of_volume(one: LocatedSeries, mask_SRC: NDArray[np.uint8]) -> Iterator[SacSample]:
    heights_mm = (np.arange(PLANES) - PLANES // 2) * PLANE_MM
    for frame in one.frames:
        places_mm = _plane_mm(frame) + heights_mm[:, None, None, None] * frame.superior
        yield _sample(one, mask_SRC, frame.level, places_mm, PLANE_MM)


def _of_stack(one: LocatedSeries, mask_SRC: NDArray[np.uint8]) -> Iterator[SacSample]:
    pixels = np.stack(np.meshgrid(*2 * [np.arange(FIELD)], indexing="ij"), axis=-1)
    for frame in one.frames:
        placement = sac_placement(one, frame)
        linear = placement.linear * STEP_MM / placement.spec.axial_pixel_mm
        for index in placement.slices()[:AXIAL_SLICES]:
            at_rc = placement.center(index) + (pixels - (FIELD - 1) / 2) @ linear.T
            at = np.concatenate([np.full((FIELD, FIELD, 1), float(index)), at_rc], axis=-1)
            yield _sample(one, mask_SRC, frame.level, one.series.to_mm(at)[None], 0.0)


def _plane_mm(frame: LevelFrame) -> NDArray[np.float64]:
    """(1, H, W, 3) places of the plane through a disc's middle, around what a crop of it shows."""
    steps_mm = (np.arange(FIELD) - (FIELD - 1) / 2) * STEP_MM
    middle_mm = frame.center_mm + (frame.depth_mm / 2 + BEHIND_MM) * frame.posterior
    left = np.cross(frame.posterior, frame.superior)
    return (middle_mm + steps_mm[:, None, None] * frame.posterior + steps_mm[:, None] * left)[None]


def _sample(
    one: LocatedSeries, mask_SRC: NDArray[np.uint8], level: str, places_mm: NDArray[np.float64], step_mm: float
) -> SacSample:
    from scipy import ndimage

    at = np.moveaxis(one.series.to_vox(places_mm), -1, 0)
    far = np.array(mask_SRC.shape)[:, None, None, None] - 1
    known_PHW = ((at > -0.5) & (at < far + 0.5)).all(0)
    grey_PHW = ndimage.map_coordinates(one.series.voxels_SRC, at, np.float32, order=1, mode="mirror")
    low, high = np.percentile(grey_PHW[known_PHW], [0.2, 99.9]) if known_PHW.any() else (0.0, 1.0)
    grey_PHW = np.clip((grey_PHW - low) / max(float(high - low), 1e-6), 0, 1) * 255
    sac_SRC = (mask_SRC == CANAL_VALUE).astype(np.float32)
    sac_PHW = ndimage.map_coordinates(sac_SRC, at, np.float32, order=1, mode="nearest") > 0.5
    labels_PHW = np.where(known_PHW, np.where(sac_PHW, SAC, OTHER), UNKNOWN)
    return SacSample(level, grey_PHW.astype(np.uint8), labels_PHW.astype(np.uint8), step_mm)
