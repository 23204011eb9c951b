"""Where the spinal canal was measured to be narrow, or could not be measured: said where no grade of stenosis says it.

One rule for page, text, worklist and the page for patients, from L1/L2 to L5/S1. A size below the first of its limits
is narrow, one below the second very narrow. Where the area of the dural sac was measured it decides, and a depth that
contradicts it is told at its level and does not lead. A sac is narrow too where it has at most half of the patient's
others, and very narrow where it is so by both. A size that may be off by all of itself is none.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from spinenet.checking.measured_findings import SLIP, measured_sides
from spinenet.labels import LEVELS, STENOSIS_LEVELS, View
from spinenet.locating.measuring.dural_sac import SAC_AREA
from spinenet.report.certainty import BY_READER, Certainty, reading_of
from spinenet.study import Measurement, Prediction, StudyResult

DEPTH = "canal_depth_least_mm"
LIMITS = MappingProxyType({SAC_AREA: (100.0, 75.0), DEPTH: (9.0, 7.0)})
"""The dural sac's area below which stenosis is said to be relative, and the critical one below which it is said to be
absolute (Schönström, Spine 1985;10:806; Steurer, BMC Musculoskelet Disord 2011;12:175). The sagittal depth below which
it is said to be absolute (Verbiest, J Bone Joint Surg Br 1977;59:181) less a millimetre, for it is of the bony canal,
and what is outlined is a little less; and that less the least error of a depth. Of phantoms' discs below the second
limit of the sac 7 of 7 have moderate or severe stenosis, below the first of the depth 38 of 100, and 92 of 100 of these
canals less than 12 mm (EXPERIMENTS, 2026-11-27)."""
SHARE_OF_OTHERS, FEWEST_OTHERS = 0.5, 2
"""A sac is narrow where it has at most this share of the median of so many others, or more: an area that is known
within 46 mm² says less by itself."""


@dataclass(frozen=True)
class NarrowSize:
    """A size that is narrow, how far it may be off, the limit it is below, and the median of the other levels, None
    where there are none. ``is_very``: very narrow. ``by_half``: it has at most half of the others."""

    name: str
    value: float
    error_95: float
    limit: float
    is_very: bool
    others: float | None
    by_half: bool = False

    @property
    def shortfall(self) -> float:
        """How far it is below its limit, in units of its error."""
        return (self.limit - self.value) / max(self.error_95, 1e-6)


@dataclass(frozen=True)
class NarrowCanal:
    """The sizes of the canal at a level that are narrow, in the order of LIMITS; ``roomy_sac``: the dural sac was
    measured there and is not, so that the depth does not lead."""

    level: str
    sizes: tuple[NarrowSize, ...]
    roomy_sac: bool = False

    @property
    def leading(self) -> tuple[NarrowSize, ...]:
        """Those that lead."""
        return () if self.roomy_sac else self.sizes

    @property
    def is_very(self) -> bool:
        """Whether it is very narrow by what decides."""
        return bool(self.leading) and self.leading[0].is_very

    @property
    def is_sure(self) -> bool:
        """Whether the sac is narrow, or a depth beyond its error."""
        return any(one.name == SAC_AREA or one.shortfall > 1 for one in self.leading)

    @property
    def shortfall(self) -> int:
        """How far what decides is below its limit, in per cent of its error."""
        return round(100 * self.sizes[0].shortfall)


@dataclass(frozen=True)
class UnmeasuredCanal:
    """A canal that could not be measured; ``leads`` where something else there speaks for a narrow one."""

    level: str
    leads: bool


def narrow_canals_of(result: StudyResult) -> list[NarrowCanal]:
    """``narrow_canals`` of a study's result."""
    return narrow_canals(result.measurements, _views(result), result.predictions)


def unmeasured_canals_of(result: StudyResult) -> list[UnmeasuredCanal]:
    """``unmeasured_canals`` of a study's result."""
    return unmeasured_canals(result.measurements, _views(result), result.predictions)


def narrow_canals(
    measurements: Sequence[Measurement],
    view_of: Mapping[str, View | None],
    predictions: Sequence[Prediction] = (),
) -> list[NarrowCanal]:
    """The levels, from the head down, where a size is narrow.

    Only sizes from outlines count, the locator's are not known well enough, and none from a T1 series, which does not
    tell fluid from ligament; ``view_of`` a series by its name. Where a reader graded the canal, that grade says it.
    """
    read, known = _read_levels(predictions), _known(measurements, view_of)
    told = (_narrow(known, level) for level in reversed(STENOSIS_LEVELS) if level not in read)
    return [one for one in told if one.sizes]


def unmeasured_canals(
    measurements: Sequence[Measurement],
    view_of: Mapping[str, View | None],
    predictions: Sequence[Prediction] = (),
) -> list[UnmeasuredCanal]:
    """The levels, from the head down, where neither sac nor depth is known, of a study where one is known elsewhere.
    One leads that has a slip, a narrow neighbour, or an experimental grade of at least moderate stenosis."""
    there = {one.level for one in measurements} | {one.level for one in predictions}
    measured = {one.level for one in _known(measurements, view_of)}
    if not measured & set(STENOSIS_LEVELS):
        return []
    lacking = there - measured - _read_levels(predictions)
    narrow = {one.level for one in narrow_canals(measurements, view_of, predictions) if one.leading}
    suspect = _suspect(measurements, predictions) | {beside for level in narrow for beside in _beside(level)}
    return [UnmeasuredCanal(level, level in suspect) for level in reversed(STENOSIS_LEVELS) if level in lacking]


def may_be_narrow(size: Measurement) -> bool:
    """Whether a sac's area above the first limit is known so badly that it may lie below the second."""
    first, critical = LIMITS[SAC_AREA]
    is_known = size.name == SAC_AREA and size.error_95 is not None and size.value >= first
    return is_known and size.value - (size.error_95 or 0.0) < critical


def _views(result: StudyResult) -> dict[str, View | None]:
    return {one.series.name: one.series.view for one in result.located}


def _read_levels(predictions: Sequence[Prediction]) -> set[str]:
    """Where a reader graded the canal."""
    return {one.level for one in predictions if one.target == "canal_stenosis" and one.evidence in BY_READER}


def _known(measurements: Sequence[Measurement], view_of: Mapping[str, View | None]) -> list[Measurement]:
    """The sizes of the canal from L1/L2 down that say something."""
    return [
        one
        for one in measurements
        if one.name in LIMITS
        and one.level in STENOSIS_LEVELS
        and one.series
        and view_of.get(one.series) is not View.SAGITTAL_T1
        and one.error_95 is not None
        and one.error_95 < one.value
    ]


def _suspect(measurements: Sequence[Measurement], predictions: Sequence[Prediction]) -> set[str]:
    """Where a slip was graded or measured, or the canal is experimentally graded as stenotic."""
    measured = {level for level, side in measured_sides(SLIP, measurements).items() if side > 0}
    graded = [one for one in predictions if one.target == SLIP and reading_of(one).is_finding]
    slipped = {one.level for one in graded if reading_of(one).certainty is not Certainty.OPEN}
    tried = [one for one in predictions if one.target == "canal_stenosis" and one.experimental]
    return measured | slipped | {one.level for one in tried if one.grade > 0}


def _beside(level: str) -> Collection[str]:
    place = LEVELS.index(level)
    return LEVELS[max(0, place - 1) : place + 2]


def _narrow(known: Sequence[Measurement], level: str) -> NarrowCanal:
    """Beside a sac that was measured no depth says more than the sac does."""
    here = {one.name: one for one in known if one.level == level}
    found = {name: size for name in LIMITS if name in here and (size := _narrow_size(known, here[name])) is not None}
    decides = found.get(SAC_AREA)
    if decides is not None and DEPTH in found:
        found[DEPTH] = replace(found[DEPTH], is_very=found[DEPTH].is_very and decides.is_very)
    return NarrowCanal(level, tuple(found.values()), SAC_AREA in here and decides is None)


def _narrow_size(known: Sequence[Measurement], here: Measurement) -> NarrowSize | None:
    first, second = LIMITS[here.name]
    others = [one.value for one in known if one.name == here.name and one.level != here.level]
    median = float(np.median(others)) if others else None
    half = SHARE_OF_OTHERS * median if median and here.name == SAC_AREA and len(others) >= FEWEST_OTHERS else 0.0
    by_half = here.value <= half
    if here.value >= first and not by_half:
        return None
    is_very = here.value < second or (by_half and here.value < first)
    return NarrowSize(here.name, here.value, here.error_95 or 0.0, max(first, half), is_very, median, by_half)
