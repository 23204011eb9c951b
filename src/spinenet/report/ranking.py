"""What of a study comes first: one order for the page's first lines, the impression, the worklist and the page for the
patient.

By urgency, then by the place of a grade on its scale, then by probability. A slip and a narrow canal that were measured
and not graded stand among the findings, behind graded ones of the same urgency. Experimental grades come after all
others, slight findings where there are no others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spinenet.checking.measured_findings import SLIP, contradicted_slips
from spinenet.labels import TARGET, View
from spinenet.report.certainty import Certainty, Reading, reading_of
from spinenet.report.findings import URGENCIES
from spinenet.report.narrow_canal import NarrowCanal, UnmeasuredCanal, narrow_canals, unmeasured_canals
from spinenet.study import Measurement, Prediction, StudyResult

PFIRRMANN_IV = 4
NARROW, DOUBTFUL = URGENCIES.index("moderate"), URGENCIES.index("low")
"""Urgency of a canal that was measured to be very narrow or could not be measured, and of one that is narrow or that
is by a depth within its error alone; a measured slip has that of a graded one."""
BEHIND_GRADES, BEHIND_ALL = -1, -1
"""The place on a scale of what has none, and the urgency of what is experimental."""
Rank = tuple[int, int, int]
"""Urgency, place on the scale, per cent."""
Source = Prediction | NarrowCanal | UnmeasuredCanal | Measurement
"""What a finding comes from: a grade, a canal, or a slip."""


@dataclass(frozen=True)
class RankedFinding:
    """A finding at a level, with what it is told from."""

    level: str
    rank: Rank
    source: Source


@dataclass(frozen=True)
class Ranking:
    """``leading`` findings, the gravest first; ``slight`` ones that are left, empty where they lead; and of what cannot
    be excluded that which would move a study up, the likeliest first."""

    leading: tuple[RankedFinding, ...]
    slight: tuple[RankedFinding, ...]
    still_open: tuple[Prediction, ...]

    @property
    def levels(self) -> list[str]:
        """The levels of what leads, that of the gravest first."""
        return list(dict.fromkeys(one.level for one in self.leading))

    @property
    def rank(self) -> Rank:
        """Of the gravest finding."""
        return max((one.rank for one in self.leading), default=(0, 0, 0))

    @property
    def urgency(self) -> int:
        """Index into URGENCIES of the gravest finding. High: severe stenosis of the canal. Moderate: another severe
        stenosis, moderate stenosis of the canal, a slip, a very narrow canal, or a suspect one that could not be
        measured. Low: herniation, a narrow canal, or moderate stenosis elsewhere. What cannot be excluded counts for
        nothing; what is experimental only makes a canal suspect."""
        return max(self.rank[0], 0)


def ranking_of(result: StudyResult) -> Ranking:
    """The order of what a result reports."""
    views = {one.series.name: one.series.view for one in result.located}
    return ranking(result.reported, result.measurements, views, result.predictions)


def ranking(
    predictions: Sequence[Prediction],
    measurements: Sequence[Measurement] = (),
    view_of: Mapping[str, View | None] | None = None,
    tried: Sequence[Prediction] = (),
) -> Ranking:
    """The order of grades and measurements; ``view_of`` a series by its name. Of ``tried``, all predictions, the
    experimental ones only tell which canal that could not be measured leads."""
    read = [(one, reading_of(one)) for one in predictions]
    told = [pair for pair in read if pair[1].is_finding and pair[1].certainty is not Certainty.OPEN]
    grave = [RankedFinding(one.level, severity_of(one), one) for one, reading in told if not is_slight(one, reading)]
    slight = _gravest_first(
        [RankedFinding(one.level, severity_of(one), one) for one, reading in told if is_slight(one, reading)]
    )
    slip = TARGET[SLIP].step(1).urgency
    for canal in narrow_canals(measurements, view_of or {}, predictions):
        if canal.leading:
            urgency = NARROW if canal.is_very and canal.is_sure else DOUBTFUL
            grave.append(RankedFinding(canal.level, (urgency, BEHIND_GRADES, canal.shortfall), canal))
    for unknown in unmeasured_canals(measurements, view_of or {}, tried or predictions):
        if unknown.leads:
            grave.append(RankedFinding(unknown.level, (NARROW, BEHIND_GRADES, 0), unknown))
    slips = [one for one in contradicted_slips(predictions, measurements) if one.value > 0]
    for measured in slips:
        grave.append(RankedFinding(measured.level, (slip, BEHIND_GRADES, 0), measured))
    slipped = {(one.level, SLIP) for one in slips}  # which lead as measured
    still = [
        (one, reading)
        for one, reading in read
        if reading.certainty is Certainty.OPEN and severity_of(one)[0] > 0 and (one.level, one.target) not in slipped
    ]
    still.sort(key=lambda pair: pair[1].percent, reverse=True)
    if any(one.rank[0] > BEHIND_ALL for one in grave):
        return Ranking(_gravest_first(grave), slight, tuple(one for one, _ in still))
    return Ranking(_gravest_first([*slight, *grave]), (), tuple(one for one, _ in still))


def _gravest_first(findings: Sequence[RankedFinding]) -> tuple[RankedFinding, ...]:
    """A canal that is narrow by a depth within its error alone comes last."""
    return tuple(sorted(findings, key=lambda one: (not _is_doubtful(one.source), one.rank), reverse=True))


def _is_doubtful(source: Source) -> bool:
    return isinstance(source, NarrowCanal) and not source.is_sure


def severity_of(prediction: Prediction) -> Rank:
    """Where a grade stands, by the worst that is said of it."""
    reading, target = reading_of(prediction), TARGET[prediction.target]
    worst = max(reading.grades, key=target.index_of)
    urgency = BEHIND_ALL if prediction.experimental else target.step(worst).urgency
    return urgency, target.index_of(worst) - target.finding_from, reading.percent


def is_slight(prediction: Prediction, reading: Reading) -> bool:
    """What is only possible and common at any age: end-plate changes, and a degeneration that may be Pfirrmann III."""
    is_common = prediction.target.startswith("endplate") or (
        prediction.target == "pfirrmann" and min(reading.grades) < PFIRRMANN_IV
    )
    return is_common and reading.certainty is Certainty.LIKELY
