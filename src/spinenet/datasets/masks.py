"""Levels from a label image: what training and evaluation take as the truth of where a disc is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spinenet.datasets.points import rough_classes
from spinenet.errors import DatasetError
from spinenet.locating.axial import locate_axial
from spinenet.locating.discs import (
    CANAL,
    DISC,
    LOWEST_DISC,
    MIN_DISC_MM2,
    PIXEL_MM,
    VERTEBRA,
    LocatorGrid,
    frame_of_disc,
    locator_grid,
    reference_values,
)
from spinenet.readers import read_mha, read_nifti
from spinenet.study import LevelFrame, LocatedSeries, Series

CANAL_VALUE, DISC_VALUE = 100, 200
DISC_LEVELS = dict(
    enumerate(("L5/S1", "L4/L5", "L3/L4", "L2/L3", "L1/L2", "T12/L1", "T11/T12", "T10/T11", "T9/T10", "T8/T9"), start=1)
)
"""Number of a disc from the lowest (its mask value less 200) -> level. Written out, so that levels of another region
never take a number that SPIDER's count reaches."""
SAME_DISC_MM = 8.0
"""Centres nearer than this, in one coordinate system, are of the same disc."""


class LabelImage(Protocol):
    """Where the discs, bodies and canal of one series are.

    ``whole``: what is 0 is none of them; otherwise only some were drawn.
    """

    @property
    def whole(self) -> bool: ...

    def values(self, series: Series) -> NDArray[np.uint8]:
        """SPIDER's values in the canonical order of its series, of its shape; DatasetError where they do not fit."""


@dataclass(frozen=True)
class MaskFile:
    """A label image in a file. ``lowest`` is the number that L5/S1 has in it; what is counted below it is no disc."""

    path: Path
    lowest: int = 1
    whole: bool = True

    def values(self, series: Series) -> NDArray[np.uint8]:
        """Renumbered so that L5/S1 is disc 1 and L5 vertebra 1."""
        read = read_mha if self.path.suffix == ".mha" else read_nifti
        mask_SRC = read(self.path).voxels_SRC.astype(np.uint8)
        if mask_SRC.shape != series.voxels_SRC.shape:
            raise DatasetError(
                f"{self.path}: mask is {mask_SRC.shape}, its image {series.voxels_SRC.shape}; they must agree"
            )
        below = self.lowest - 1
        if below:
            for first, last in ((1, CANAL_VALUE - 1), (DISC_VALUE + 1, 255)):
                counted = (mask_SRC >= first) & (mask_SRC <= last)
                mask_SRC = np.where(counted, np.where(mask_SRC < first + below, 0, mask_SRC - below), mask_SRC)
        return mask_SRC


def locator_classes(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """SPIDER's mask values as indices of LOCATOR_CLASSES, same shape."""
    classes = np.zeros_like(mask)
    classes[(mask > 0) & (mask < CANAL_VALUE)] = VERTEBRA
    classes[mask == CANAL_VALUE] = CANAL
    classes[mask > DISC_VALUE] = DISC
    classes[mask == DISC_VALUE + 1] = LOWEST_DISC
    return classes


def on_locator_grid(mask_RC: NDArray[np.uint8], grid: LocatorGrid) -> NDArray[np.uint8]:
    """Nearest-neighbour resample of one mask slice to the grid of its image."""
    rows, columns = grid.image_HW.shape
    row_index = np.clip(np.round((np.arange(rows) + 0.5) * grid.step_rc[0] - 0.5).astype(int), 0, mask_RC.shape[0] - 1)
    column_index = np.clip(
        np.round((np.arange(columns) + 0.5) * grid.step_rc[1] - 0.5).astype(int), 0, mask_RC.shape[1] - 1
    )
    return mask_RC[np.ix_(row_index, column_index)]


def midline_slice(mask_SRC: NDArray[np.uint8]) -> int:
    """The slice with most disc and canal together."""
    disc_S = (mask_SRC > DISC_VALUE).sum((1, 2))
    canal_S = (mask_SRC == CANAL_VALUE).sum((1, 2))
    return int(np.argmax(np.sqrt(disc_S * canal_S.astype(float)) + 1e-3 * disc_S))


def locate_all(series: Sequence[Series], masks: Mapping[str, LabelImage]) -> tuple[LocatedSeries, ...]:
    """The levels of all masked sagittal series of a study, named alike, and of the axial stacks that cross them."""
    return locate_masked(series, masks)[0]


def locate_masked(
    series: Sequence[Series], masks: Mapping[str, LabelImage]
) -> tuple[tuple[LocatedSeries, ...], list[str]]:
    """The same, and why an axial stack is left out.

    A mask that misses a disc was numbered without it, so all its names above are one too low. Where such a series lies
    in the same coordinates as one with more discs, its discs take the names of the discs at the same place there.
    """
    located = []
    for one in series:
        if one.plane == "sagittal" and one.view is not None and one.name in masks:
            found = locate_from_mask(one, masks[one.name].values(one))
            if found.frames:
                located.append(found)
    if not located:
        return (), []
    fullest = max(located, key=lambda one: len(one.frames))
    sagittal = tuple(one if one is fullest else _named_like(fullest, one) for one in located)
    axial, notes = locate_axial(series, sagittal)
    return (*sagittal, *axial), [str(note) for note in notes]


def _named_like(fullest: LocatedSeries, other: LocatedSeries) -> LocatedSeries:
    centers_mm = np.stack([frame.center_mm for frame in fullest.frames])
    frames = []
    for frame in other.frames:
        distance_mm = np.linalg.norm((centers_mm - frame.center_mm)[:, 1:], axis=1)
        nearest = int(np.argmin(distance_mm))
        same_place = distance_mm[nearest] < SAME_DISC_MM
        frames.append(replace(frame, level=fullest.frames[nearest].level) if same_place else frame)
    unique = len({frame.level for frame in frames}) == len(frames)
    return replace(other, frames=tuple(frames)) if unique else other


def locate_from_mask(series: Series, mask_SRC: NDArray[np.uint8]) -> LocatedSeries:
    """The levels of a series as its label image has them, measured exactly as ``locate`` measures its own."""
    index = midline_slice(mask_SRC)
    grid = locator_grid(series.voxels_SRC[index], series.spacing_mm[1:])
    mask_HW = on_locator_grid(mask_SRC[index], grid)
    frames: list[LevelFrame] = []
    for number, level in DISC_LEVELS.items():
        inside = mask_HW == DISC_VALUE + number
        if inside.sum() * PIXEL_MM**2 >= MIN_DISC_MM2 / 2:
            frame = frame_of_disc(inside.astype(np.float32), (0, 0), grid, series, index)
            frames.append(replace(frame, level=level))
    classes_HW = locator_classes(mask_HW)
    if frames and not (classes_HW == CANAL).any():
        rough_HW = rough_classes(grid, series, index, frames)
        classes_HW[(classes_HW == 0) & (rough_HW == CANAL)] = CANAL
    return LocatedSeries(series, tuple(frames), index, reference_values(grid.image_HW, classes_HW))
