"""Which of the slices of a level decided a grade."""

from collections.abc import Sequence

from spinenet.labels import TARGET_INDEX
from spinenet.study import LevelCrop


def share_of(crop: LevelCrop, target: str) -> float | None:
    """How much of the attention for a target this slice got, 0 to 1; None where the model does not tell."""
    return crop.attention_T[TARGET_INDEX[target]] if crop.attention_T else None


def deciding(crops: Sequence[LevelCrop], target: str) -> list[LevelCrop]:
    """The slices of a level, the one that counted most for a target first; as given where that is not known."""
    return sorted(crops, key=lambda crop: -(share_of(crop, target) or 0.0))
