"""The depth of the canal where the crop of a level ends before it does, as behind a slipped body: outlined once more,
farther back. Grades were learnt without it; sizes alone are read from it.

Shape letters: C class, H W pixels of a crop, V U of ``alignment``.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spinenet.locating.measuring.alignment import LevelGrid, align, on_grid
from spinenet.locating.measuring.contours import outline as contours_of
from spinenet.locating.measuring.fine_crops import crop_axes, level_crop, normalised
from spinenet.locating.measuring.lengths import CANAL_CUT, canal
from spinenet.locating.measuring.series import Numbers, Outline
from spinenet.study import LevelFrame, LocatedSeries

BACK_MM = 12.0
"""How far the second crop lies behind the first: it still shows the rear half of the disc."""
WHOLE_CANAL = {"canal_mm": "whole_canal_mm", "canal_min_mm": "whole_canal_min_mm"}
"""Name of a depth -> its name where it was read from the second crop."""


def whole_canals(
    located: LocatedSeries, soft_LCHW: NDArray[np.floating], levels: Mapping[str, Numbers], outline: Outline
) -> dict[str, Numbers]:
    """Level -> depths of the canal, where ``levels`` (what was measured in ``soft_LCHW``) say that it is cut and the
    second crop shows it all."""
    slice_RC = located.series.voxels_SRC[located.midline_slice]
    cut = [
        (frame, align(soft_CHW.astype(np.float32), level_crop(slice_RC, crop_axes(located.series, frame)), frame))
        for frame, soft_CHW in zip(located.frames, soft_LCHW, strict=True)
        if levels.get(frame.level, {}).get(CANAL_CUT, 0.0) > 0
    ]
    seen = [(level, _moved(frame, level)) for frame, level in cut if level is not None]
    if not seen:
        return {}
    crops = [level_crop(slice_RC, crop_axes(located.series, moved)) for _, moved in seen]
    softs = outline(np.stack([normalised(crop_HW) for crop_HW in crops]))
    found = {}
    for (level, moved), soft_CHW, crop_HW in zip(seen, softs, crops, strict=True):
        shape = contours_of(level)
        soft_CVU, grey_VU, seen_VU = on_grid(soft_CHW.astype(np.float32), crop_HW, 0.0, 0.0, 0.0)
        grid = replace(level, soft_CVU=soft_CVU, grey_VU=grey_VU, seen_VU=seen_VU)
        numbers = canal(grid, replace(shape, last_u=shape.last_u - BACK_MM))
        if numbers[CANAL_CUT] == 0:
            found[moved.level] = {name: numbers[measured] for measured, name in WHOLE_CANAL.items()}
    return found


def _moved(frame: LevelFrame, level: LevelGrid) -> LevelFrame:
    """The frame of a level turned onto its disc and moved backwards."""
    center_mm = level.center_mm + BACK_MM * level.posterior
    return replace(frame, center_mm=center_mm, posterior=level.posterior, superior=level.superior)
