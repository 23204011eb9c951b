"""Why a lumbar level has no least depth of its canal: said at the level, so that a gap is not taken for a finding."""

import math
from collections.abc import Sequence

from spinenet.labels import STENOSIS_LEVELS
from spinenet.locating.measuring.lengths import CANAL_CUT, NAN
from spinenet.locating.measuring.quantities import beside_canal
from spinenet.locating.measuring.series import Numbers
from spinenet.study import LocatedSeries, MeasuredSeries, Measurement, Note, Scope

NAME = "canal_depth_least_mm"
CODE = "no_canal_depth"


def missing_depths(
    located: Sequence[LocatedSeries], measured: Sequence[MeasuredSeries], measurements: Sequence[Measurement]
) -> tuple[Note, ...]:
    """A note of each lumbar level without it, where outlines were measured; ``measurements`` are all, those too that
    are not believed, which have notes of their own (``plausibility``)."""
    if not measured:
        return ()
    shown = {frame.level for one in located if one.series.plane == "sagittal" for frame in one.frames}
    known = {one.level for one in measurements if one.name == NAME}
    levels = [level for level in STENOSIS_LEVELS if level in shown - known]
    beside = beside_canal(measured)
    text = "the least depth of the canal is not given: {}"
    return tuple(Note(CODE, Scope.LEVEL, one, text.format(_reason(one, measured, beside))) for one in levels)


def _reason(level: str, measured: Sequence[MeasuredSeries], beside: set[tuple[str, str]]) -> str:
    seen = [(one.series_name, one.levels[level]) for one in measured if level in one.levels]
    if not seen:
        return "the disc was not outlined there"
    if all((name, level) in beside for name, _ in seen):
        return "the middle slice lies beside the canal there"
    if all(_is_cut(numbers) for _, numbers in seen):
        return "the canal goes on beyond what is outlined"
    if all(math.isnan(numbers.get("canal_min_mm", NAN)) for _, numbers in seen):
        return "what is outlined of it is no deeper than 3 mm"
    return "the image ends too near to the disc"


def _is_cut(numbers: Numbers) -> bool:
    return numbers.get(CANAL_CUT, 0.0) > 0
