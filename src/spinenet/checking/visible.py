"""What the slices of a level can show: a target is graded where it can be seen, and nowhere else.

Foramina lie beside the midline, each in the sagittal slices of its own side; the subarticular zones are seen in axial
slices; fluid outlines the canal in T2. Where left and right are not known, no side is graded.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spinenet.crops import Bag
from spinenet.labels import DISC_TARGETS, LEVELS, SAGITTAL_VIEWS, STENOSIS_LEVELS, TARGET_INDEX, TARGETS, View
from spinenet.study import LevelCrop, LocatedSeries

LATERAL_MM = 9.0
"""A sagittal slice farther than this from the midline passes through the foramina rather than the canal."""

_T2_VIEWS = (View.SAGITTAL_T2, View.SAGITTAL_STIR, View.AXIAL_T2)
_CANAL = TARGET_INDEX["canal_stenosis"]
_FORAMEN = {side: TARGET_INDEX[f"foraminal_stenosis_{side}"] for side in ("left", "right")}
_SUBARTICULAR = [TARGET_INDEX[f"subarticular_stenosis_{side}"] for side in ("left", "right")]


def visible_targets(bag: Bag, located: Sequence[LocatedSeries]) -> NDArray[np.bool_]:
    """(L, T) true where the level's slices can show the target; ``located`` are the series the bag was built from."""
    sided = {one.series.name for one in located if one.series.laterality_known}
    seen_LT = np.zeros((len(bag.level_L), len(TARGETS)), np.bool_)
    for row, (level, crops) in enumerate(zip(bag.level_L, bag.shown, strict=True)):
        seen_LT[row, list(DISC_TARGETS)] = any(crop.view in SAGITTAL_VIEWS for crop in crops)
        if LEVELS[level] in STENOSIS_LEVELS:
            seen_LT[row] |= _stenosis_seen(crops, [crop for crop in crops if crop.series_name in sided])
    return seen_LT


def _stenosis_seen(crops: Sequence[LevelCrop], sided: Sequence[LevelCrop]) -> NDArray[np.bool_]:
    seen_T = np.zeros(len(TARGETS), np.bool_)
    seen_T[_CANAL] = any(crop.view in _T2_VIEWS for crop in crops)
    seen_T[_SUBARTICULAR] = any(crop.view is View.AXIAL_T2 for crop in sided)
    offsets_mm = np.array([crop.offset_mm for crop in sided if crop.view in SAGITTAL_VIEWS])
    seen_T[_FORAMEN["left"]] = (offsets_mm > LATERAL_MM).any()
    seen_T[_FORAMEN["right"]] = (offsets_mm < -LATERAL_MM).any()
    return seen_T
