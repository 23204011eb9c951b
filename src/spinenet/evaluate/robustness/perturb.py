"""The same study again, as another scanner, another day or another export would have shown it.

Each function gives a new study from one that was read; the randomness is the caller's. What must not change the grades
keeps the world position of every structure true, so that levels can be compared by where they lie.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinenet.labels import View
from spinenet.study import Series, Study

Perturb = Callable[[Study, np.random.Generator], Study]
Change = Callable[[Series, np.random.Generator], Series]

NOISE_SHARES = {"noise 3 %": 0.03, "noise 8 %": 0.08}
"""Standard deviation of added noise as a share of the series' bright tissue."""
ANGLES = {"rotated 5°": 5.0, "rotated -5°": -5.0}
SHIFT_SHARE = 0.06
"""How far the field of view is moved, as a share of its height and width."""
COARSER = 1.2
"""Pixel size of a re-sliced series, relative to what it was."""


def noisy(series: Series, rng: np.random.Generator, share: float) -> Series:
    """Rician noise, as magnitude images have it (Gudbjartsson and Patz 1995)."""
    sigma = share * bright(series)
    real, imaginary = rng.normal(0, sigma, (2, *series.voxels_SRC.shape))
    return _with_voxels(series, np.hypot(series.voxels_SRC + real, imaginary))


def bright(series: Series) -> float:
    """Grey value of bright tissue: the 99th percentile above the darkest."""
    low, high = np.percentile(series.voxels_SRC, [0, 99])
    return float(max(high - low, 1e-6))


def resliced(series: Series, rng: np.random.Generator) -> Series:
    """Coarser pixels in the plane, moved by half a pixel; slices stay where they were acquired."""
    step = np.array([1, COARSER, COARSER])
    start = np.array([0, 0.5, 0.5])
    shape = [series.voxels_SRC.shape[0], *(int((size - 1.5) / COARSER) + 1 for size in series.voxels_SRC.shape[1:])]
    smooth = ndimage.gaussian_filter(series.voxels_SRC, (0, 0.4, 0.4))
    voxels = ndimage.affine_transform(smooth, step, start, tuple(shape), order=1, mode="nearest")
    affine = series.affine_vox2mm @ np.vstack([np.column_stack([np.diag(step), start]), [0, 0, 0, 1]])
    return replace(series, voxels_SRC=voxels.astype(np.float32), affine_vox2mm=affine)


def recentred(series: Series, rng: np.random.Generator) -> Series:
    """The field of view moved up and forwards: a margin is cut below and behind, an empty one is added on the other
    side."""
    margin_R, margin_C = (round(SHIFT_SHARE * size) for size in series.voxels_SRC.shape[1:])
    kept = series.voxels_SRC[:, : series.voxels_SRC.shape[1] - margin_R, : series.voxels_SRC.shape[2] - margin_C]
    voxels = np.pad(kept, ((0, 0), (margin_R, 0), (margin_C, 0)), constant_values=float(series.voxels_SRC.min()))
    return replace(series, voxels_SRC=voxels, affine_vox2mm=_moved(series.affine_vox2mm, (0, -margin_R, -margin_C)))


def _moved(affine_vox2mm: NDArray[np.float64], by_vox: tuple[float, float, float]) -> NDArray[np.float64]:
    """The affine of an array whose first voxel lies ``by_vox`` voxels from where it lay."""
    affine = affine_vox2mm.copy()
    affine[:3, 3] += affine_vox2mm[:3, :3] @ np.array(by_vox, float)
    return affine


def rotated(study: Study, rng: np.random.Generator, degrees: float) -> Study:
    """The patient turned about the left-right axis: sagittal images are resampled, other stacks turn as a whole."""
    middles = [_middle_mm(series) for series in study.series if series.plane == "sagittal"]
    if not middles:
        return study
    turn = _about_left_right(np.mean(middles, axis=0), degrees)
    return replace(study, series=tuple(_turned(series, turn) for series in study.series))


def _turned(series: Series, turn_mm: NDArray[np.float64]) -> Series:
    if series.plane != "sagittal":
        return replace(series, affine_vox2mm=turn_mm @ series.affine_vox2mm)
    back_vox = series.mm2vox @ np.linalg.inv(turn_mm) @ series.affine_vox2mm
    planes = [
        ndimage.affine_transform(
            plane, back_vox[1:3, 1:3], back_vox[1:3, 0] * index + back_vox[1:3, 3], order=1, mode="nearest"
        )
        for index, plane in enumerate(series.voxels_SRC)
    ]
    return _with_voxels(series, np.stack(planes))


def _about_left_right(center_mm: NDArray[np.float64], degrees: float) -> NDArray[np.float64]:
    """(4, 4) turn of the world about an axis through a point, LPS mm."""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turn = np.eye(4)
    turn[1:3, 1:3] = [[cosine, -sine], [sine, cosine]]
    turn[:3, 3] = center_mm - turn[:3, :3] @ center_mm
    return turn


def _middle_mm(series: Series) -> NDArray[np.float64]:
    middle = (np.array(series.voxels_SRC.shape) - 1) / 2
    return series.to_mm(middle)


def darker(series: Series, rng: np.random.Generator) -> Series:
    """Grey values on another scale, with a steeper curve."""
    low, span = float(series.voxels_SRC.min()), bright(series)
    return _with_voxels(series, 100 + 700 * np.maximum((series.voxels_SRC - low) / span, 0) ** 1.25)


def brighter(series: Series, rng: np.random.Generator) -> Series:
    """Grey values with a flatter curve, and brighter towards the back, as a surface coil shows them."""
    low, span = float(series.voxels_SRC.min()), bright(series)
    back_C = np.linspace(0.8, 1.25, series.voxels_SRC.shape[2]) if series.plane == "sagittal" else 1.0
    return _with_voxels(series, back_C * np.maximum((series.voxels_SRC - low) / span, 0) ** 0.8)


def mirrored(series: Series, rng: np.random.Generator) -> Series:
    """Left and right exchanged in the world; a coronal or axial column, a sagittal slice runs the other way."""
    axis = 0 if series.plane == "sagittal" else 2
    flip = np.eye(4)
    flip[axis, axis], flip[axis, 3] = -1, series.voxels_SRC.shape[axis] - 1
    affine = np.diag([-1.0, 1, 1, 1]) @ series.affine_vox2mm @ flip
    return replace(series, voxels_SRC=np.flip(series.voxels_SRC, axis).copy(), affine_vox2mm=affine)


def one_slice(series: Series, rng: np.random.Generator) -> Series:
    """A sagittal series of its middle slice alone, as some exports hold it."""
    if series.plane != "sagittal" or len(series.voxels_SRC) == 1:
        return series
    middle = series.voxels_SRC.shape[0] // 2
    affine = _moved(series.affine_vox2mm, (middle, 0, 0))
    return replace(series, voxels_SRC=series.voxels_SRC[middle : middle + 1], affine_vox2mm=affine, images=None)


def without(study: Study, rng: np.random.Generator, views: tuple[View, ...]) -> Study:
    """The study without its series of some views; unchanged where nothing else is left or none was there."""
    kept = tuple(series for series in study.series if series.view not in views)
    return study if not kept or len(kept) == len(study.series) else replace(study, series=kept)


def cut_below(study: Study, z_mm: float) -> Study:
    """Every sagittal series ends above a height (LPS z), as if the field of view had."""
    return replace(study, series=tuple(_cut(series, z_mm) for series in study.series))


def _cut(series: Series, z_mm: float) -> Series:
    if series.plane != "sagittal":
        return series
    rows = (z_mm - series.affine_vox2mm[2, 3]) / series.affine_vox2mm[2, 1]  # rows run downwards
    kept = int(np.clip(rows, 32, series.voxels_SRC.shape[1]))
    return replace(series, voxels_SRC=series.voxels_SRC[:, :kept])


def _with_voxels(series: Series, voxels_SRC: NDArray[np.floating]) -> Series:
    return replace(series, voxels_SRC=voxels_SRC.astype(np.float32))


def every_series(change: Change) -> Perturb:
    """A change of each series as a change of the study; the same study where no series changed."""

    def changed(study: Study, rng: np.random.Generator) -> Study:
        series = tuple(change(one, rng) for one in study.series)
        same = all(new is old for new, old in zip(series, study.series, strict=True))
        return study if same else replace(study, series=series)

    return changed


SAME_STUDY: dict[str, Perturb] = {
    "read again": lambda study, rng: study,
    "re-sliced": every_series(resliced),
    **{
        name: every_series(lambda series, rng, share=share: noisy(series, rng, share))  # type: ignore[misc]
        for name, share in NOISE_SHARES.items()
    },
    "re-centred": every_series(recentred),
    **{
        name: (lambda study, rng, degrees=degrees: rotated(study, rng, degrees))  # type: ignore[misc]
        for name, degrees in ANGLES.items()
    },
    "darker": every_series(darker),
    "brighter": every_series(brighter),
    "mirrored": every_series(mirrored),
}
"""Test-retest: grades should stay what they are ("mirrored": those of the other side)."""

MISSING_VIEW: dict[str, Perturb] = {
    "without T1": lambda study, rng: without(study, rng, (View.SAGITTAL_T1,)),
    "without sagittal T2": lambda study, rng: without(study, rng, (View.SAGITTAL_T2, View.SAGITTAL_STIR)),
    "without axial": lambda study, rng: without(study, rng, (View.AXIAL_T2,)),
    "middle slice alone": every_series(one_slice),
}
"""Less was acquired: grades may become unsure, but should not flip."""
