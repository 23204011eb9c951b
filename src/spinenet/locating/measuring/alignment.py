"""Soft masks turned onto the axis of their own disc: the grid all lengths are read from.

Shape letters: C class, V steps along the disc's normal (upwards), U steps along its long axis (backwards). ``u`` and
``v`` are mm from the disc's centroid. One bilinear resample of masks and grey values together.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinenet.locating.measuring.fine_crops import COLUMNS, DISC, PIXEL_MM, ROWS, SHIFT_MM, place_px
from spinenet.study import LevelFrame

STEP_MM = 0.5
U_MM = np.arange(-27.0, 39.0, STEP_MM)
V_MM = np.arange(-30.0, 30.1, STEP_MM)
MIN_DISC_MM2 = 35.0
"""A disc region smaller than this supports no measurement."""
MAX_TURN_DEG = 25.0
"""The disc's axis lies within this of the locator's; beyond, a mask that is round by chance has misled it."""


@dataclass(frozen=True)
class LevelGrid:
    """Masks and grey values of one level on the (v, u) grid.

    ``soft_CVU`` are probabilities of ``fine_crops.FINE_CLASSES`` (background left 0), ``grey_VU`` grey values of the
    series, ``disc_VU`` the connected disc, ``seen_VU`` what lies in the crop. ``center_mm`` (3,), ``posterior`` and
    ``superior`` (unit vectors, LPS) place the grid in the patient.
    """

    soft_CVU: NDArray[np.float32]
    grey_VU: NDArray[np.float32]
    disc_VU: NDArray[np.bool_]
    seen_VU: NDArray[np.bool_]
    center_mm: NDArray[np.float64]
    posterior: NDArray[np.float64]
    superior: NDArray[np.float64]

    def point_mm(self, u_mm: float, v_mm: float) -> NDArray[np.float64]:
        """(3,) a place of the grid in the patient, LPS mm."""
        return self.center_mm + u_mm * self.posterior + v_mm * self.superior


def connected(mask: NDArray[np.bool_], near: tuple[float, float]) -> NDArray[np.bool_]:
    """The region of a mask that counts most, weighted by nearness to a place (row, column); all false where empty."""
    from scipy import ndimage

    labels, count = ndimage.label(mask)
    if count <= 1:
        return mask
    rows, columns = np.nonzero(labels)
    weight = np.exp(-(((rows - near[0]) / 14.0) ** 2) - ((columns - near[1]) / 30.0) ** 2)
    sums = np.bincount(labels[rows, columns], weight)
    return labels == int(np.argmax(sums))


def central_disc(soft_CHW: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(H, W) the disc that a crop lies about, without others that it shows."""
    middle = ((ROWS - 1) / 2, (COLUMNS - 1) / 2 - SHIFT_MM / PIXEL_MM)
    return connected(soft_CHW[DISC] > 0.5, middle)


def align(soft_CHW: NDArray[np.float32], crop_HW: NDArray[np.float32], frame: LevelFrame) -> LevelGrid | None:
    """A level's masks on the grid of its own disc; None where no disc is seen."""
    inside = central_disc(soft_CHW)
    if inside.sum() * PIXEL_MM**2 < MIN_DISC_MM2:
        return None
    rows, columns = np.nonzero(inside)
    weights = soft_CHW[DISC][inside].astype(np.float64)
    u = (columns - (COLUMNS - 1) / 2) * PIXEL_MM + SHIFT_MM
    v = ((ROWS - 1) / 2 - rows) * PIXEL_MM
    u0, v0 = float(np.average(u, weights=weights)), float(np.average(v, weights=weights))
    spread = np.cov(np.stack([u, v]), aweights=weights)
    angle = 0.5 * np.arctan2(2 * spread[0, 1], spread[0, 0] - spread[1, 1])
    angle = float(angle) if abs(np.rad2deg(angle)) <= MAX_TURN_DEG else 0.0
    cos, sin = np.cos(angle), np.sin(angle)
    soft, grey, seen = on_grid(soft_CHW, crop_HW, u0, v0, angle)
    disc = connected(soft[DISC] > 0.5, (float(np.searchsorted(V_MM, 0)), float(np.searchsorted(U_MM, 0))))
    if not disc.any():
        return None
    return LevelGrid(
        soft,
        grey,
        disc,
        seen,
        frame.center_mm + u0 * frame.posterior + v0 * frame.superior,
        cos * frame.posterior + sin * frame.superior,
        cos * frame.superior - sin * frame.posterior,
    )


def on_grid(
    soft_CHW: NDArray[np.float32], crop_HW: NDArray[np.float32], u0: float, v0: float, angle: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Masks (C, V, U), grey values (V, U) and what lies in the crop (V, U) on the grid whose middle lies ``u0`` behind
    and ``v0`` above the frame's and that is turned by ``angle`` (radians), all by the same four neighbours of every
    place."""
    cos, sin = np.cos(angle), np.sin(angle)
    u, v = U_MM[None, :].astype(np.float32), V_MM[:, None].astype(np.float32)
    row, column = place_px(u0 + cos * u - sin * v, v0 + sin * u + cos * v).astype(np.float32)
    seen = (row >= 0) & (row <= ROWS - 1) & (column >= 0) & (column <= COLUMNS - 1)
    row, column = np.clip(row, 0, ROWS - 1.001), np.clip(column, 0, COLUMNS - 1.001)
    r, c = row.astype(np.int32), column.astype(np.int32)
    fr, fc = row - r, column - c
    stack = np.concatenate([soft_CHW, crop_HW[None]]).reshape(len(soft_CHW) + 1, -1)
    flat = r * COLUMNS + c
    values = np.zeros((len(stack), *flat.shape), np.float32)
    for offset, weight in (
        (0, (1 - fr) * (1 - fc)),
        (1, (1 - fr) * fc),
        (COLUMNS, fr * (1 - fc)),
        (COLUMNS + 1, fr * fc),
    ):
        index = flat + offset
        for channel in range(1, len(stack)):
            values[channel] += stack[channel].take(index) * weight
    values[: len(soft_CHW), ~seen] = 0
    return values[:-1], values[-1], seen


def edges(soft_NM: NDArray[np.floating], mask_NM: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First and last place along the first axis, (M,) each, in fractions of an index, where a mask begins and ends; NaN
    in columns without it. The half-crossing of the soft mask refines the border."""
    count, width = mask_NM.shape
    any_M = mask_NM.any(0)
    columns = np.arange(width)
    first = np.argmax(mask_NM, 0)
    last = count - 1 - np.argmax(mask_NM[::-1], 0)

    def refined(index_M: NDArray[np.intp], step: int) -> NDArray[np.float64]:
        other = np.clip(index_M + step, 0, count - 1)
        inside, outside = soft_NM[index_M, columns], soft_NM[other, columns]
        share = np.clip((inside - 0.5) / np.maximum(inside - outside, 1e-6), 0, 1)
        return np.where(any_M, index_M + step * np.where(other == index_M, 0, share), np.nan)

    return refined(first, -1), refined(last, 1)
