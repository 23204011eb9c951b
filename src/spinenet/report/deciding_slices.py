"""Which of the slices of a level decided a grade, and what of the level these do not show."""

from collections.abc import Sequence

from spinenet.labels import TARGET_INDEX
from spinenet.report.certainty import BY_READER
from spinenet.study import LevelCrop, Prediction, StudyResult

MIN_SHARE = 0.05
"""A slice with less of a target's attention is not said to have decided."""
NAMED = 3
"""So many slices are named for a grade in files, at most."""
BESIDE_MIDLINE = ("herniation", "bulging")
"""Targets that often lie beside the midline alone, in the recess, the foramen or farther out."""


def share_of(crop: LevelCrop, target: str) -> float | None:
    """How much of the attention for a target this slice got, 0 to 1; None where the model does not tell."""
    return crop.attention_T[TARGET_INDEX[target]] if crop.attention_T else None


def deciding(crops: Sequence[LevelCrop], target: str, at_most: int = NAMED) -> list[LevelCrop]:
    """Those of the slices of a level that decided a target, the one that counted most first; one at least."""
    ranked = sorted(crops, key=lambda crop: -(share_of(crop, target) or 0.0))
    counted = [crop for crop in ranked if (share_of(crop, target) or 0.0) >= MIN_SHARE]
    return counted[:at_most] or ranked[:1]


def is_of_midline(result: StudyResult, prediction: Prediction) -> bool:
    """Whether the mid-sagittal slices alone decided a grade: it says nothing of what lies beside them."""
    if prediction.evidence in BY_READER:
        return False
    midlines = {(one.series.name, one.midline_slice) for one in result.located if one.series.plane == "sagittal"}
    crops = result.crops.get(prediction.level, ())
    read = [(one.series_name, one.slice_index) for one in crops if share_of(one, prediction.target)]
    return bool(read) and midlines.issuperset(read)


def where_read(result: StudyResult, prediction: Prediction) -> str:
    """What follows a grade in English where the mid-sagittal slices alone decided it."""
    return " in the mid-sagittal slices" if is_of_midline(result, prediction) else ""


def misses_beside_midline(result: StudyResult) -> bool:
    """Whether any of BESIDE_MIDLINE was looked for in the mid-sagittal slices alone."""
    return any(one.target in BESIDE_MIDLINE and is_of_midline(result, one) for one in result.reported)
