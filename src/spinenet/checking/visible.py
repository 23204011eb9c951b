"""What the slices of a level can show: a target is graded where one of its needs is met, and nowhere else.

A side is graded only from series in which left and right are known.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spinenet.crops import Bag
from spinenet.labels import LEVELS, SAGITTAL_VIEWS, TARGETS, Side, Target, View
from spinenet.study import LevelCrop, LocatedSeries

LATERAL_MM = 9.0
"""A sagittal slice farther than this from the midline passes through the foramina rather than the canal."""

Shown = set[tuple[View, Side | None]]
"""Views that a level was seen in: with None for a slice anywhere, with a side for one beside the midline there."""


def visible_targets(bag: Bag, located: Sequence[LocatedSeries]) -> NDArray[np.bool_]:
    """(L, T) true where the level's slices can show the target; ``located`` are the series the bag was built from."""
    sided = {one.series.name for one in located if one.series.laterality_known}
    seen_LT = np.zeros((len(bag.level_L), len(TARGETS)), np.bool_)
    for row, (level, crops) in enumerate(zip(bag.level_L, bag.shown, strict=True)):
        anywhere, with_sides = _shown(crops), _shown([crop for crop in crops if crop.series_name in sided])
        for index, target in enumerate(TARGETS):
            shown = with_sides if target.side else anywhere
            seen_LT[row, index] = LEVELS[level] in target.levels and _is_shown(target, shown)
    return seen_LT


def _shown(crops: Sequence[LevelCrop]) -> Shown:
    shown: Shown = {(crop.view, None) for crop in crops}
    for crop in crops:
        if crop.view in SAGITTAL_VIEWS and abs(crop.offset_mm) > LATERAL_MM:
            shown.add((crop.view, Side.LEFT if crop.offset_mm > 0 else Side.RIGHT))
    return shown


def _is_shown(target: Target, shown: Shown) -> bool:
    return any(
        all((view, target.side if need.lateral else None) in shown for view in need.views) for need in target.needs
    )
