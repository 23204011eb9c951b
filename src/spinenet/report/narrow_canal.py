"""Where the spinal canal was measured to be narrow: a size, said where no grade of stenosis says it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spinenet.labels import LEVELS, View
from spinenet.study import Measurement, StudyResult

NARROW_MM = 10.0
"""Sagittal diameter below which stenosis is called absolute (Verbiest, J Bone Joint Surg Br 1977;59:181). It is of the
bony canal; what is outlined here is a little less."""
MOST_USUAL = 10
"""Percentile at its level above which a canal is not pointed out: the sac tapers towards the sacrum."""
NAME = "canal_depth_least_mm"
"""The measurement that is told."""


@dataclass(frozen=True)
class NarrowCanal:
    """The depth of the canal at a level, how far it may be off, and the median of the other levels, None where there
    are none."""

    level: str
    depth_mm: float
    error_mm: float
    others_mm: float | None


def narrow_canals_of(result: StudyResult) -> list[NarrowCanal]:
    """``narrow_canals`` of a study's result."""
    return narrow_canals(result.measurements, {one.series.name: one.series.view for one in result.located})


def narrow_canals(measurements: Sequence[Measurement], view_of: Mapping[str, View | None]) -> list[NarrowCanal]:
    """The levels, from the head down, whose canal is below NARROW_MM by more than its error, and is no usual one there.

    Only sizes from outlines count, the locator's are not known well enough, and none from a T1 series, which does not
    tell fluid from ligament; ``view_of`` a series by its name.
    """
    sizes = [one for one in measurements if one.series and view_of.get(one.series) is not View.SAGITTAL_T1]
    told = (_narrow(sizes, level) for level in reversed(LEVELS))
    return [one for one in told if one is not None]


def _narrow(sizes: Sequence[Measurement], level: str) -> NarrowCanal | None:
    here = next((one for one in sizes if (one.level, one.name) == (level, NAME)), None)
    if here is None or here.error_95 is None or here.value + here.error_95 >= NARROW_MM:
        return None
    if here.percentile is not None and here.percentile > MOST_USUAL:
        return None
    others = [one.value for one in sizes if one.name == NAME and one.level != level]
    return NarrowCanal(level, here.value, here.error_95, float(np.median(others)) if others else None)
