"""Which of the slices of a level decided a grade."""

from collections.abc import Sequence

from spinenet.labels import TARGET_INDEX
from spinenet.study import LevelCrop

MIN_SHARE = 0.05
"""A slice with less of a target's attention is not said to have decided."""
NAMED = 3
"""So many slices are named for a grade in files, at most."""


def share_of(crop: LevelCrop, target: str) -> float | None:
    """How much of the attention for a target this slice got, 0 to 1; None where the model does not tell."""
    return crop.attention_T[TARGET_INDEX[target]] if crop.attention_T else None


def deciding(crops: Sequence[LevelCrop], target: str, at_most: int = NAMED) -> list[LevelCrop]:
    """Those of the slices of a level that decided a target, the one that counted most first; one at least."""
    ranked = sorted(crops, key=lambda crop: -(share_of(crop, target) or 0.0))
    counted = [crop for crop in ranked if (share_of(crop, target) or 0.0) >= MIN_SHARE]
    return counted[:at_most] or ranked[:1]
