"""Where the spinal canal was measured to be narrow: sizes, said where no grade of stenosis says it.

One rule for page, text, worklist and the page for patients: a size below the first of its limits is named with it
wherever sizes are told; one below the second is a finding that leads. That a size is within its error of its limit is
said with it, and a depth that is, without a sac that leads, stands behind all graded findings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from spinenet.labels import LEVELS, View
from spinenet.locating.measuring.dural_sac import SAC_AREA
from spinenet.report.certainty import BY_READER
from spinenet.study import Measurement, Prediction, StudyResult

DEPTH = "canal_depth_least_mm"
LIMITS = MappingProxyType({SAC_AREA: (100.0, 75.0), DEPTH: (10.0, 9.0)})
"""The dural sac's area below which stenosis is said to be relative, and the critical one below which it is said to be
absolute (Schönström, Spine 1985;10:806; Steurer, BMC Musculoskelet Disord 2011;12:175). The sagittal depth below which
it is said to be absolute (Verbiest, J Bone Joint Surg Br 1977;59:181), and that less a millimetre: it is of the bony
canal, and what is outlined is a little less. Of phantoms' discs that lead by the sac 7 of 7 have moderate or severe
stenosis, by the depth 38 of 100, and 92 of 100 of these canals less than 12 mm (EXPERIMENTS, 2026-11-27)."""


@dataclass(frozen=True)
class NarrowSize:
    """A size below its first limit, how far it may be off, whether it is below the second too, and the median of the
    other levels, None where there are none."""

    name: str
    value: float
    error_95: float
    limit: float
    leads: bool
    others: float | None

    @property
    def is_within_error(self) -> bool:
        """Whether its error reaches its first limit."""
        return self.value + self.error_95 >= self.limit


@dataclass(frozen=True)
class NarrowCanal:
    """The sizes of the canal at a level that are below their first limits, in the order of LIMITS."""

    level: str
    sizes: tuple[NarrowSize, ...]

    @property
    def leading(self) -> tuple[NarrowSize, ...]:
        """Those that lead."""
        return tuple(one for one in self.sizes if one.leads)

    @property
    def is_sure(self) -> bool:
        """Whether the sac leads, or a depth beyond its error."""
        return any(one.name == SAC_AREA or not one.is_within_error for one in self.leading)

    @property
    def shortfall(self) -> int:
        """How far the narrowest of them is below its limit, in per cent of it."""
        return max(round(100 * (1 - one.value / one.limit)) for one in self.sizes)


def narrow_canals_of(result: StudyResult) -> list[NarrowCanal]:
    """``narrow_canals`` of a study's result."""
    views = {one.series.name: one.series.view for one in result.located}
    return narrow_canals(result.measurements, views, result.predictions)


def narrow_canals(
    measurements: Sequence[Measurement],
    view_of: Mapping[str, View | None],
    predictions: Sequence[Prediction] = (),
) -> list[NarrowCanal]:
    """The levels, from the head down, where a size is below its first limit.

    Only sizes from outlines count, the locator's are not known well enough, and none from a T1 series, which does not
    tell fluid from ligament; ``view_of`` a series by its name. Where a reader graded the canal, that grade says it.
    """
    read = {one.level for one in predictions if one.target == "canal_stenosis" and one.evidence in BY_READER}
    sizes = [one for one in measurements if one.series and view_of.get(one.series) is not View.SAGITTAL_T1]
    told = (NarrowCanal(level, _narrow(sizes, level)) for level in reversed(LEVELS) if level not in read)
    return [one for one in told if one.sizes]


def may_be_narrow(size: Measurement) -> bool:
    """Whether a sac's area above the first limit is known so badly that it may lie below the second."""
    first, critical = LIMITS[SAC_AREA]
    is_known = size.name == SAC_AREA and size.error_95 is not None and size.value >= first
    return is_known and size.value - (size.error_95 or 0.0) < critical


def _narrow(sizes: Sequence[Measurement], level: str) -> tuple[NarrowSize, ...]:
    return tuple(
        NarrowSize(one.name, one.value, one.error_95, limit, one.value < critical, _others(sizes, one))
        for name, (limit, critical) in LIMITS.items()
        for one in sizes
        if (one.level, one.name) == (level, name) and one.error_95 is not None and one.value < limit
    )


def _others(sizes: Sequence[Measurement], here: Measurement) -> float | None:
    others = [one.value for one in sizes if one.name == here.name and one.level != here.level]
    return float(np.median(others)) if others else None
