"""A measurement that contradicts a grade: a slip that was measured where slips are graded absent."""

from collections.abc import Sequence

from spinenet.locating.measuring.lengths import LEAST_SLIP_MM
from spinenet.study import Measurement, Note, Prediction, Scope, Severity

GRADED, MEASURED = "spondylolisthesis", "slip_mm"
LEAST_COARSE_MM = 4.0
"""From here on a forward slip by the locator counts, which has no error of its own: 95 % of such lie within 3 mm of the
outlines'. Chosen by hand: only two of SPIDER's discs that were looked at are this large, both graded as slips."""


def measured_slips(target: str, measurements: Sequence[Measurement]) -> dict[str, Measurement]:
    """Level -> the slip that was measured there, where ``target`` is the grade of slips; empty for other targets.

    Measured: forward, 3 mm or more by outlines. Of 30 such discs of SPIDER's training part 13 are graded as slips, of
    the backward ones 5 of 62 (``notebooks/EXPERIMENTS.md``).
    """
    if target != GRADED:
        return {}
    return {
        one.level: one
        for one in measurements
        if one.name == MEASURED and one.value >= (LEAST_SLIP_MM if one.series else LEAST_COARSE_MM)
    }


def slip_flags(predictions: Sequence[Prediction], measurements: Sequence[Measurement]) -> tuple[Note, ...]:
    """A flag for each level that is graded as without a slip although one was measured."""
    absent = {one.level for one in predictions if one.target == GRADED and one.grade == 0}
    slips = measured_slips(GRADED, measurements)
    return tuple(_flag(slip) for level, slip in slips.items() if level in absent)


def _flag(slip: Measurement) -> Note:
    text = f"spondylolisthesis is graded absent, but a forward slip of {slip.value:.1f} mm was measured; look at it"
    return Note("slip_measured", Scope.LEVEL, slip.level, text, Severity.FLAG)
