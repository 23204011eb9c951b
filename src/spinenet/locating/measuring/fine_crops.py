"""Crops in the frame of one disc, fine enough to measure on.

Shape letters: L level, H W pixels of a crop, R C pixels of a slice, N points. In a crop rows grow downwards along the
disc's normal and columns backwards along its long axis; ``u`` is mm behind and ``v`` mm above the centre of the frame.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinenet.study import LevelFrame, Series

ROWS = COLUMNS = 96
PIXEL_MM = 0.7
SHIFT_MM = 6.0
"""How far behind the disc's centre the crop is centred, so that front edge and back of the canal are both inside."""
FINE_CLASSES = ("background", "disc", "upper_body", "lower_body", "canal")
BACKGROUND, DISC, UPPER, LOWER, CANAL = range(5)


@dataclass(frozen=True)
class CropAxes:
    """Where a crop lies in its slice: (row, column) of pixel (0, 0), and the steps of crop rows and columns."""

    corner_rc: NDArray[np.float64]
    row_step_rc: NDArray[np.float64]
    column_step_rc: NDArray[np.float64]


def crop_axes(series: Series, frame: LevelFrame) -> CropAxes:
    """Axes of a level's crop in the plane of a slice of its series."""
    row = series.mm2vox[1:3, :3] @ (-PIXEL_MM * frame.superior)
    column = series.mm2vox[1:3, :3] @ (PIXEL_MM * frame.posterior)
    middle = series.to_vox(frame.center_mm + SHIFT_MM * frame.posterior)[1:]
    return CropAxes(middle - (ROWS - 1) / 2 * row - (COLUMNS - 1) / 2 * column, row, column)


def points_rc(axes: CropAxes) -> NDArray[np.float64]:
    """(2, H, W) places of the crop's pixels in the slice."""
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    return (
        axes.corner_rc[:, None, None]
        + axes.row_step_rc[:, None, None] * rows
        + axes.column_step_rc[:, None, None] * columns
    )


def level_crop(slice_RC: NDArray[np.floating], axes: CropAxes) -> NDArray[np.float32]:
    """(H, W) grey values of a slice on a crop; beyond the slice 0."""
    from scipy import ndimage

    return ndimage.map_coordinates(slice_RC, points_rc(axes), np.float32, order=1, mode="constant")


def normalised(crop_HW: NDArray[np.float32]) -> NDArray[np.float32]:
    """Grey values to about 0..1 by the crop's own 1st and 99th percentile: what the segmenter sees."""
    low, high = np.percentile(crop_HW, [1.0, 99.0])
    return np.clip((crop_HW - low) / max(float(high - low), 1e-6), 0, 1.2).astype(np.float32)


def place_px(u_mm: NDArray[np.float64], v_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, ...) crop (row, column) of places in mm behind and above the frame's centre."""
    return np.stack(
        np.broadcast_arrays((ROWS - 1) / 2 - v_mm / PIXEL_MM, (COLUMNS - 1) / 2 + (u_mm - SHIFT_MM) / PIXEL_MM)
    )
