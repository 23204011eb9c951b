"""Label images as soft masks of disc, both bodies and canal on the fine crop of a level.

Shape letters: L level, C class, H W pixels of a crop, R C pixels of a slice.
"""

import numpy as np
from numpy.typing import NDArray

from spinenet.datasets.masks import CANAL_VALUE, DISC_VALUE
from spinenet.locating.measuring.fine_crops import crop_axes, level_crop
from spinenet.study import LevelFrame, LocatedSeries, Series

BODY_VALUES = range(1, CANAL_VALUE)
DISC_VALUES = range(DISC_VALUE + 1, 256)
BODY_MM = (3.0, 13.0)
"""How far beyond the disc's end-plate the body beside it is looked for."""
FEWEST_POINTS = 12
"""Of 42 points looked at; fewer say nothing."""


def soft_masks(located: LocatedSeries, mask_SRC: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(L, C, H, W) shares of ``fine_crops.FINE_CLASSES`` at each frame of a series, in their order.

    ``mask_SRC`` are SPIDER's values in the shape of the series. Each class is resampled linearly. Which disc and which
    bodies are meant is asked of the mask where they lie, as numbers of discs and of bodies do not always agree.
    """
    labels_RC = bodies_alone(mask_SRC[located.midline_slice])
    return np.stack([_soft_level(labels_RC, located.series, frame) for frame in located.frames])


def values_at(labels_RC: NDArray[np.uint8], series: Series, frame: LevelFrame) -> tuple[int, int, int]:
    """Values of the disc, the body above and the body below of a level; 0 for what is not seen there."""
    half_mm = frame.height_mm / 2
    disc = value_between(labels_RC, series, frame, (-half_mm, half_mm), DISC_VALUES)
    upper = value_between(labels_RC, series, frame, (half_mm + BODY_MM[0], half_mm + BODY_MM[1]), BODY_VALUES)
    lower = value_between(labels_RC, series, frame, (-half_mm - BODY_MM[0], -half_mm - BODY_MM[1]), BODY_VALUES)
    return disc, upper, 0 if lower == upper else lower


def _soft_level(labels_RC: NDArray[np.uint8], series: Series, frame: LevelFrame) -> NDArray[np.float32]:
    values = (*values_at(labels_RC, series, frame), CANAL_VALUE)
    axes = crop_axes(series, frame)
    soft = [level_crop(((labels_RC == value) & (value > 0)).astype(np.float32), axes) for value in values]
    return np.stack([np.clip(1 - sum(soft), 0, 1), *soft]).astype(np.float32)


def value_between(
    labels_RC: NDArray[np.uint8], series: Series, frame: LevelFrame, heights_mm: tuple[float, float], values: range
) -> int:
    """The commonest of some mask values between two heights above the middle of a disc; 0 where none is seen."""
    u_mm, v_mm = np.meshgrid(np.linspace(-10, 8, 7), np.linspace(*heights_mm, 6))
    points_mm = frame.center_mm + u_mm.reshape(-1, 1) * frame.posterior + v_mm.reshape(-1, 1) * frame.superior
    places_rc = np.rint(series.to_vox(points_mm)[:, 1:]).astype(int)
    places_rc = places_rc[((places_rc >= 0) & (places_rc < labels_RC.shape)).all(1)]
    found = labels_RC[places_rc[:, 0], places_rc[:, 1]]
    found = found[(found >= values.start) & (found < values.stop)]
    return int(np.bincount(found).argmax()) if len(found) >= FEWEST_POINTS else 0


def bodies_alone(labels_RC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A slice of SPIDER's values without arches: of each vertebra its largest part in front of the canal.

    In slices near the midline no pedicle joins body and arch.
    """
    from scipy import ndimage

    canal_RC = labels_RC == CANAL_VALUE
    rows = np.flatnonzero(canal_RC.any(1))
    if not rows.size:
        return labels_RC
    front_R = np.interp(np.arange(len(labels_RC)), rows, canal_RC[rows].argmax(1))
    kept_RC = labels_RC.copy()
    for value in np.unique(labels_RC[(labels_RC > 0) & (labels_RC < CANAL_VALUE)]):
        parts_RC, count = ndimage.label(labels_RC == value)
        sizes = []
        for number in range(1, count + 1):
            part_rows, part_columns = np.nonzero(parts_RC == number)
            before = np.median(part_columns - front_R[part_rows]) < 0
            sizes.append(len(part_rows) if before else 0)
        body = int(np.argmax(sizes)) + 1 if max(sizes) else 0
        kept_RC[(parts_RC > 0) & (parts_RC != body)] = 0
    return kept_RC
