"""All that is measured at the levels of one sagittal slice.

Shape letters: L level, C class, H W pixels of a crop, R C pixels of a slice.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import LEVELS, View
from spinenet.locating.measuring import lengths, signals, vertebrae
from spinenet.locating.measuring.alignment import STEP_MM, LevelGrid, align
from spinenet.locating.measuring.contours import Shape, outline
from spinenet.locating.measuring.fine_crops import DISC, crop_axes, level_crop
from spinenet.study import LevelFrame, LocatedSeries

Outline = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(L, H, W) normalised fine crops -> (L, C, H, W) probabilities of ``fine_crops.FINE_CLASSES``."""
Numbers = dict[str, float]
"""Name of a measurement -> its value, NaN where it could not be measured. Lengths end in their unit; signals are shares
of the way from the darkest tissue to CSF, those of marrow to all marrow of the series."""
BY_FLUID = ("signal_", "nucleus", "annulus", "place_", "cleft", "bright_share", "rear_", "marrow_by_fluid")
"""Beginnings of the names of what is measured against CSF."""


def measure_series(located: LocatedSeries, soft_LCHW: NDArray[np.floating]) -> dict[str, Numbers]:
    """Level name -> everything measured at it in the series' midline slice; levels whose disc is not seen are left out.

    ``soft_LCHW``: probabilities of ``fine_crops.FINE_CLASSES`` on the crop of each of its frames, in their order.
    In T1 the CSF is dark, and nothing is measured against it.
    """
    slice_RC = located.series.voxels_SRC[located.midline_slice]
    crops = [level_crop(slice_RC, crop_axes(located.series, frame)) for frame in located.frames]
    found = measure_levels(located.frames, soft_LCHW, crops)
    if located.series.view is View.SAGITTAL_T1:
        for numbers in found.values():
            numbers |= {name: lengths.NAN for name in numbers if name.startswith(BY_FLUID)}
    return found


def measure_levels(
    frames: Sequence[LevelFrame], soft_LCHW: NDArray[np.floating], crops_LHW: Sequence[NDArray[np.float32]]
) -> dict[str, Numbers]:
    """The same of soft masks and grey values on the crops of these frames."""
    levels: dict[int, LevelGrid] = {}
    for frame, soft_CHW, crop_HW in zip(frames, soft_LCHW, crops_LHW, strict=True):
        level = align(soft_CHW.astype(np.float32), crop_HW, frame)
        if level is not None:
            levels[LEVELS.index(frame.level)] = level
    if not levels:
        return {}
    scale = signals.scale_of(list(levels.values()))
    shapes = {index: outline(level) for index, level in levels.items()}
    return {
        LEVELS[index]: {
            **_alone(levels[index], shapes[index], scale),
            **vertebrae.vertebra(levels, shapes, index),
            **vertebrae.curve(levels, index),
        }
        for index in levels
    }


def _alone(level: LevelGrid, shape: Shape, scale: signals.GreyScale) -> Numbers:
    """What is measured at one level without any other."""
    return {
        **lengths.heights(shape),
        **lengths.plates(shape),
        **lengths.slip(shape),
        **lengths.behind(level, shape),
        **lengths.canal(level, shape),
        **signals.disc_signals(level, shape, scale),
        **signals.marrow_signals(level, shape, scale),
        **signals.behind_signals(level, shape, scale),
        "marrow_by_fluid": float((scale.marrow - scale.dark) / max(scale.fluid - scale.dark, 1e-3)),
        "border_mm": border_mm(level),
    }


def border_mm(level: LevelGrid) -> float:
    """Width of the soft border of the disc's mask: its uncertain area over the length of its outline."""
    soft_VU = level.soft_CVU[DISC]
    near = level.disc_VU | (soft_VU > 0.05)
    outline_mm = np.count_nonzero(np.diff(level.disc_VU, axis=0)) + np.count_nonzero(np.diff(level.disc_VU, axis=1))
    return float((4 * soft_VU * (1 - soft_VU))[near].sum() * STEP_MM / max(outline_mm, 1))
