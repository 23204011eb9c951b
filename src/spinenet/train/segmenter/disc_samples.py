"""Levels of slices, and what each of their pixels may be: what the fine segmenter learns from.

No data set draws everything: SPIDER and the phantoms have no sacrum, outlines neither discs nor canal. So a pixel has a
set of classes it may be of, one where its truth is known, several where it is not.
Shapes: C class of ``fine_crops.FINE_CLASSES``, H W pixels of a crop, R C pixels of a slice.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from monai.transforms import Transform
from numpy.typing import NDArray

from spinenet.datasets.fine_masks import bodies_alone, values_at
from spinenet.datasets.labelled import LabelledStudy
from spinenet.datasets.masks import CANAL_VALUE, DISC_VALUE, LabelImage, locate_from_mask, midline_slice
from spinenet.datasets.outlines import UNSURE_VALUE, Outlines
from spinenet.locating.measuring.fine_crops import BACKGROUND, CANAL, DISC, FINE_CLASSES, LOWER, UPPER
from spinenet.readers import opened, read_study
from spinenet.study import LevelFrame, Series

STEP_MM = 3.0
"""Distance between the slices that are taken of a volume."""


@dataclass(frozen=True)
class DiscSample:
    """One level of one slice. ``series`` holds that slice alone, in 8 bits; ``labels_RC`` are SPIDER's values without
    arches, or those of ``Outlines.body_labels`` where ``outlined``. ``disc``, ``upper`` and ``lower`` are the values of
    this disc and its bodies, read where they lie, as numbers of bodies and discs do not always agree; 0 for a body that
    is not drawn."""

    series: Series
    labels_RC: NDArray[np.uint8]
    frame: LevelFrame
    disc: int
    upper: int
    lower: int
    outlined: bool


def allowed_classes(sample: DiscSample, labels_HW: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(C, H, W) the classes that a pixel may be of by its label.

    Another disc is this one or background: which of two discs is meant is a matter of the frame. A body that nobody
    drew may be wherever nothing else is. Beside outlined bodies may be disc, canal and background.
    """
    allowed = np.zeros((len(FINE_CLASSES), *labels_HW.shape), np.bool_)
    for class_, value in ((UPPER, sample.upper), (LOWER, sample.lower)):
        allowed[class_] = (labels_HW == value) & (value > 0)
    if sample.outlined:
        allowed[[BACKGROUND, DISC, CANAL]] = ~allowed.any(0)
        allowed[:, labels_HW == UNSURE_VALUE] = True
        return allowed
    allowed[DISC] = labels_HW > DISC_VALUE
    allowed[CANAL] = labels_HW == CANAL_VALUE
    rest_HW = ~allowed.any(0)
    allowed[BACKGROUND] = rest_HW | (allowed[DISC] & (labels_HW != sample.disc))
    for class_, value in ((UPPER, sample.upper), (LOWER, sample.lower)):
        allowed[class_] |= rest_HW & (value == 0)
    return allowed


class ReadDiscs(Transform):
    """LabelledStudy -> the levels of its sagittal series that have whole label images or outlines. Deterministic."""

    def __init__(self, slices_per_volume: int) -> None:
        self.reach = slices_per_volume // 2

    def __call__(self, data: LabelledStudy) -> list[DiscSample]:
        if not data.masks:
            return []
        series = [one for one in read_study(opened(data.source)).series if one.plane == "sagittal"]
        return [sample for one in series if one.name in data.masks for sample in self._of(one, data.masks[one.name])]

    def _of(self, series: Series, image: LabelImage) -> Iterator[DiscSample]:
        if not (image.whole or isinstance(image, Outlines)):
            return  # what is not drawn would be learnt as background
        mask_SRC = image.values(series)
        frames = locate_from_mask(series, mask_SRC).frames
        stride = max(1, round(STEP_MM / series.spacing_mm[0]))
        middle = midline_slice(mask_SRC)
        for index in range(middle - self.reach * stride, middle + self.reach * stride + 1, stride):
            if not 0 <= index < len(mask_SRC):
                continue
            one = slice_of(series, index)
            if isinstance(image, Outlines):
                yield from _outlined(one, image.body_labels(), frames)
            else:
                yield from _drawn(one, bodies_alone(mask_SRC[index]), frames)


def slice_of(series: Series, index: int) -> Series:
    """A series of one slice of another, in 8 bits: hundreds of them are kept at once."""
    slice_RC = series.voxels_SRC[index]
    low, high = np.percentile(slice_RC, [0.2, 99.9])
    grey_RC = (np.clip((slice_RC - low) / max(float(high - low), 1e-6), 0, 1) * 255).astype(np.uint8)
    affine = series.affine_vox2mm.copy()
    affine[:3, 3] += index * affine[:3, 0]
    return replace(series, voxels_SRC=grey_RC[None], affine_vox2mm=affine)


def _drawn(one: Series, labels_RC: NDArray[np.uint8], frames: tuple[LevelFrame, ...]) -> Iterator[DiscSample]:
    for frame in frames:
        disc, upper, lower = values_at(labels_RC, one, frame)
        if disc and (upper or lower):
            yield DiscSample(one, labels_RC, frame, disc, upper, lower, outlined=False)


def _outlined(one: Series, labels_RC: NDArray[np.uint8], frames: tuple[LevelFrame, ...]) -> Iterator[DiscSample]:
    for frame in frames:
        _, upper, lower = values_at(labels_RC, one, frame)
        if upper and lower:
            yield DiscSample(one, labels_RC, frame, 0, upper, lower, outlined=True)
