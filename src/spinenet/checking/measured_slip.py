"""A grade and a measurement of one study that contradict each other: a slip that was measured and graded absent."""

from collections.abc import Sequence
from dataclasses import replace

from spinenet.locating.measuring.lengths import LEAST_SLIP_MM
from spinenet.study import Measurement, Note, Prediction, Scope, Severity

GRADED, MEASURED = "spondylolisthesis", "slip_mm"
LEAST_COARSE_MM = 4.0
"""From here on a forward slip by the locator counts, which has no error of its own: 95 % of such lie within 3 mm of the
outlines'. Chosen by hand: only two of SPIDER's discs that were looked at are this large, both graded as slips."""


def doubted_by_slip(
    predictions: Sequence[Prediction], measurements: Sequence[Measurement]
) -> tuple[tuple[Prediction, ...], tuple[Note, ...]]:
    """The predictions, none standing by the absence of a slip that was measured, and a flag for each such level.

    Measured: forward, 3 mm or more by outlines. Of 30 such discs of SPIDER's training part 13 are graded as slips, of
    the backward ones 5 of 62 (``notebooks/EXPERIMENTS.md``).
    """
    slips = {
        one.level: one
        for one in measurements
        if one.name == MEASURED and one.value >= (LEAST_SLIP_MM if one.series else LEAST_COARSE_MM)
    }
    absent = {one.level for one in predictions if one.target == GRADED and one.grade == 0} & set(slips)
    kept = tuple(
        replace(one, confident=False) if one.target == GRADED and one.level in absent else one for one in predictions
    )
    return kept, tuple(_flag(slips[level]) for level in slips if level in absent)


def _flag(slip: Measurement) -> Note:
    text = f"spondylolisthesis is graded absent, but a forward slip of {slip.value:.1f} mm was measured; look at it"
    return Note("slip_measured", Scope.LEVEL, slip.level, text, Severity.FLAG)
