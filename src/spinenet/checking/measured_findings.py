"""What was measured beside what was graded: a slip or a height that contradicts its grade, a slip nobody could measure.

Sides: 1 where a finding was measured to be there, -1 where it was measured not to be.
"""

from collections.abc import Sequence

from spinenet.locating.measuring.lengths import LEAST_SLIP_MM
from spinenet.study import Measurement, Note, Prediction, Scope, Severity

SLIP, SLIP_MEASURED = "spondylolisthesis", "slip_mm"
NARROWING, HEIGHT_MEASURED = "narrowing", "disc_height_mm"
LOW_BELOW, USUAL_FROM = 30, 50
"""Percentiles of the height at its level. Of the confident grades of SPIDER's cross-validation 28 % of the 39
narrowings of discs of usual height were wrong, and 20 % of the 74 absences in low discs; 5 % of the others. Chosen by
looking at these grades."""


def measured_sides(target: str, measurements: Sequence[Measurement]) -> dict[str, int]:
    """Level -> side, where a measurement speaks for or against a target's finding; empty for targets without one.

    A slip was measured where it is 3 mm or more by outlines, a backward one where it is beyond its error too; the
    locator's says nothing, being off by 3 mm and more where it is that large (``notebooks/EXPERIMENTS.md``). Of 30
    such forward discs of SPIDER's training part 13 are graded as slips, of the backward ones 5 of 62
    (``notebooks/EXPERIMENTS.md``): these take the confidence from an absence and are pointed out, and do not lead.
    """
    if target == SLIP:
        return {slip.level: 1 for slip in _slips(measurements)}
    if target == NARROWING:
        placed = {
            one.level: one.percentile
            for one in measurements
            if one.name == HEIGHT_MEASURED and one.percentile is not None
        }
        return {level: 1 if place < LOW_BELOW else -1 for level, place in placed.items() if not _is_between(place)}
    return {}


def _is_between(percentile: int) -> bool:
    return LOW_BELOW <= percentile < USUAL_FROM


def _slips(measurements: Sequence[Measurement]) -> list[Measurement]:
    return [one for one in measurements if one.name == SLIP_MEASURED and _is_slip(one)]


def _is_slip(slip: Measurement) -> bool:
    is_large = abs(slip.value) >= LEAST_SLIP_MM
    return bool(slip.series) and is_large and (slip.value > 0 or -slip.value > (slip.error_95 or 0.0))


SLIP_FLAGS = frozenset({"slip_measured", "slip_not_measured"})
"""Codes of ``slip_flags``."""


def slip_flags(predictions: Sequence[Prediction], measurements: Sequence[Measurement]) -> tuple[Note, ...]:
    """A flag for each level that is graded as without a slip although one was measured, or with one that was not."""
    graded = _graded(predictions)
    measured = {one.level for one in measurements if one.name == SLIP_MEASURED}
    unmeasured = [level for level, grade in graded.items() if grade and level not in measured]
    return (*map(_contradicted, contradicted_slips(predictions, measurements)), *map(_unmeasured, unmeasured))


def contradicted_slips(predictions: Sequence[Prediction], measurements: Sequence[Measurement]) -> list[Measurement]:
    """The slips that were measured where they are graded absent."""
    graded = _graded(predictions)
    return [slip for slip in _slips(measurements) if graded.get(slip.level) == 0]


def _graded(predictions: Sequence[Prediction]) -> dict[str, int]:
    return {one.level: one.grade for one in predictions if one.target == SLIP}


def _contradicted(slip: Measurement) -> Note:
    way = "forward" if slip.value > 0 else "backward"
    text = f"spondylolisthesis is graded absent, but a {way} slip of {abs(slip.value):.1f} mm was measured; look at it"
    return Note("slip_measured", Scope.LEVEL, slip.level, text, Severity.FLAG)


def _unmeasured(level: str) -> Note:
    text = "spondylolisthesis is graded present, but the slip could not be measured; look at it and measure it"
    return Note("slip_not_measured", Scope.LEVEL, level, text, Severity.FLAG)
