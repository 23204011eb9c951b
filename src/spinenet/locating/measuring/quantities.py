"""What is reported of a level: every quantity once, and its value from the outlines, else from the locator's frames.

Outlines are finer: where they give a value it replaces the locator's, and it alone has an error, a percentile and a
series. T2 comes before T1, one series before the next. The area of the sac alone is an axial slice's.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from spinenet.labels import LEVELS, Code, View, private
from spinenet.locating.measuring.accuracy import ERRORS_95, SECOND_CROP_ERROR_95, error_95
from spinenet.locating.measuring.cross_section import CROSS_SECTION
from spinenet.locating.measuring.dural_sac import SAC_AREA
from spinenet.locating.measuring.lengths import CANAL_CUT, NAN, meyerding
from spinenet.locating.measuring.measured_study import VIEWS_IN_ORDER
from spinenet.locating.measuring.series import Numbers
from spinenet.locating.measuring.usual import UsualMeasurements
from spinenet.locating.measuring.whole_canal import WHOLE_CANAL
from spinenet.study import LevelFrame, LocatedSeries, MeasuredSeries, Measurement

MEYERDING = "meyerding"
SIGNALS = ("nucleus", "annulus")
"""Shares of the way from the darkest tissue (0) to CSF (1), which T2 alone shows."""
NO_UNIT = "1"
UNIT_SIGNS = {"deg": "°", "mm2": "mm²", NO_UNIT: ""}
"""How a page writes a unit that it does not write as it is."""
BEHIND_MM = 8.0
"""From the back of a disc to the middle of the canal."""
LEAST_CANAL_MM = 6.0
"""Depth of the canal behind a body, where discs do not narrow it, below which the slice lies beside the canal: so at 39
of 792 discs of SPIDER's single slices, most above L1, 19 of them with less than 6 mm at the disc (of 46 such discs)."""
OUTLINED_ALONE = frozenset({"slip_mm"})
"""What the locator does not give where a level was outlined without it. The walls that outlines lack mislead it too: at
39 such discs of SPIDER its slip was off by 2.6 mm in the median, 95 % within 9.4."""
BELOW_MM = 12.0
"""What is measured ends in the upper part of the body below."""


@dataclass(frozen=True)
class Quantity:
    """One quantity: its ``name`` in documents, which ends in its unit, its ``words`` on a page below ``heading``,
    ``code`` and ``unit`` (UCUM) in a structured report, and what it is. ``measured`` is its name in what outlines give,
    ``frame`` the field of a level's frame that holds the locator's, "" where it has none."""

    name: str
    heading: str
    words: str
    code: Code
    measured: str
    definition: str
    frame: str = ""
    unit: str = "mm"
    digits: int = 1
    signed: bool = False
    needs_mm: float = 8.0
    """How far the slice must go on above the disc's centre so that its edge cuts nothing of what is measured, and below
    it as far, though no further than BELOW_MM."""

    @property
    def sign(self) -> str:
        """Its unit as a page writes it."""
        return UNIT_SIGNS.get(self.unit, self.unit)

    @property
    def title(self) -> str:
        """Its words with the unit, at the head of a column or row.

        >>> QUANTITY["slip_mm"].title, QUANTITY["meyerding_grade"].title
        ('slip, mm', 'Meyerding grade')
        """
        return f"{self.words}, {self.sign}" if self.sign else self.words

    def written(self, value: float) -> str:
        """A value with the digits that its error allows.

        >>> QUANTITY["slip_mm"].written(3), QUANTITY["nucleus_signal_share"].written(0.3)
        ('3.0', '0.30')
        """
        return f"{value:.{self.digits}f}"


HALF_BODY_MM, WHOLE_BODY_MM = 20.0, 36.0
"""From the centre of a disc over half of it and half, or all, of the next body (27 mm high), and a margin."""
DISC, CANAL, SLIP, BODY = "Disc", "Canal", "Alignment", "Vertebra above"
QUANTITIES = (
    Quantity(
        "disc_height_mm", DISC, "disc height", private("disc_height", "Mean height of the disc"), "height_mean_mm",
        "Mean height: by outlines over the inner eight tenths of the disc's depth, by the locator mid-sagittal area "
        "over depth.", frame="height_mm",
    ),
    Quantity(
        "disc_height_front_mm", DISC, "disc height, front", private("disc_height_front", "Height of the disc in front"),
        "height_front_mm", "Mean height between 8 and 33 % of the disc's depth from its front.",
    ),
    Quantity(
        "disc_height_middle_mm", DISC, "disc height, middle",
        private("disc_height_middle", "Height of the disc in its middle"), "height_middle_mm",
        "Mean height between 36 and 64 % of the disc's depth from its front.",
    ),
    Quantity(
        "disc_height_back_mm", DISC, "disc height, back", private("disc_height_back", "Height of the disc behind"),
        "height_back_mm", "Mean height between 67 and 92 % of the disc's depth from its front.",
    ),
    Quantity(
        "disc_depth_mm", DISC, "disc depth", private("disc_depth", "Depth of the disc along its axis"), "depth_mm",
        "Length of the disc along its long axis in the mid-sagittal slice.", frame="depth_mm",
    ),
    Quantity(
        "disc_wedge_deg", DISC, "disc wedge", private("disc_wedge", "Angle between the borders of the disc"),
        "wedge_deg",
        "Angle between the disc's upper and lower border, positive where it is higher in front.",
        unit="deg", signed=True,
    ),
    Quantity(
        "disc_behind_mm", DISC, "disc behind the bodies",
        private("disc_behind", "How far the disc stands behind the bodies"), "behind_mm",
        "Greatest distance of the disc's back from the line through the bodies' rear corners, positive behind it.",
        signed=True,
    ),
    Quantity(
        "nucleus_signal_share", DISC, "signal of the nucleus",
        private("nucleus_signal", "Signal of the nucleus beside CSF"), "nucleus",
        "Mean T2 signal of the disc's core as a share of the way from the darkest tissue of the spine to CSF.",
        unit=NO_UNIT, digits=2, signed=True,
    ),
    Quantity(
        "annulus_signal_share", DISC, "signal of the annulus",
        private("annulus_signal", "Signal of the annulus beside CSF"), "annulus",
        "Mean T2 signal of the disc's front and back ends, on the same scale.",
        unit=NO_UNIT, digits=2, signed=True,
    ),
    Quantity(
        "canal_depth_mm", CANAL, "canal depth", private("canal_depth", "Depth of the spinal canal"), "canal_mm",
        "Depth of the canal behind the disc: by outlines across its own course, their median; by the locator along the "
        "disc's long axis.", frame="canal_mm", needs_mm=12.0,
    ),
    Quantity(
        "canal_depth_least_mm", CANAL, "least canal depth",
        private("canal_depth_least", "Least depth of the spinal canal"), "canal_min_mm",
        "Least depth of the canal at the disc (5th percentile of its lines).", needs_mm=12.0,
    ),
    Quantity(
        "canal_area_mm2", CANAL, "canal area", private("canal_area", "Cross-sectional area of the spinal canal"),
        CROSS_SECTION, "Cross-section of the canal at the disc: its depth in every sagittal slice that crosses it, "
        "times the distance of slices.", unit="mm2", digits=0, needs_mm=12.0,
    ),
    Quantity(
        SAC_AREA, CANAL, "dural sac area", private("sac_area", "Cross-sectional area of the dural sac"), SAC_AREA,
        "Area of the dural sac in the axial T2 slice that crosses the disc nearest to its middle, by an outline of its "
        "own.", unit="mm2", digits=0,
    ),
    Quantity(
        "slip_mm", SLIP, "slip", private("slip", "Forward slip of the upper body"), "slip_mm",
        "How far the body above lies in front (positive) of or behind (negative) the body below: by outlines between "
        "the corners of their rear walls, by the locator between the middles of their end-plates.",
        frame="slip_mm", signed=True, needs_mm=HALF_BODY_MM,
    ),
    Quantity(
        "slip_percent", SLIP, "slip, share", private("slip_percent", "Forward slip as share of the end-plate"),
        "slip_percent", "The same as per cent of the lower end-plate's depth.", unit="%", signed=True,
        needs_mm=HALF_BODY_MM,
    ),
    Quantity(
        "meyerding_grade", SLIP, "Meyerding grade", private("meyerding", "Grade of slip after Meyerding"), MEYERDING,
        "0 below 3 mm or 8 %, then 1 to 4 by quarters of the end-plate, 5 beyond; a backward slip by its size.",
        unit=NO_UNIT, digits=0, needs_mm=HALF_BODY_MM,
    ),
    *(
        Quantity(
            f"vertebra_height_{part}_mm", BODY, f"vertebral height, {part}",
            private(f"vertebra_{part}", f"Height of the vertebra {words}"), f"body_{part}_mm",
            f"Height of the vertebra above the disc, {words}, between its end-plates.", needs_mm=WHOLE_BODY_MM,
        )
        for part, words in (("front", "in front"), ("middle", "in the middle"), ("back", "behind"))
    ),
)  # fmt: skip
QUANTITY = {one.name: one for one in QUANTITIES}


def error_in_words(name: str, error_95: float) -> str:
    """How far a quantity may be off, where no heading says it.

    >>> error_in_words("slip_mm", 1.7), error_in_words("nucleus_signal_share", 0.04)
    ('95 % error ± 1.7 mm', '95 % error ± 0.04')
    """
    quantity = QUANTITY[name]
    return f"95 % error ± {quantity.written(error_95)} {quantity.sign}".rstrip()


def level_measurements(
    located: Sequence[LocatedSeries],
    measured: Sequence[MeasuredSeries],
    usual: UsualMeasurements | None = None,
    sacs: Mapping[str, Measurement] = MappingProxyType({}),
) -> tuple[Measurement, ...]:
    """What is known of every level, from the sacrum up, in the order of QUANTITIES; percentiles where it is known what
    is usual. A quantity is left out where the slice ends too near to the disc for it (``Quantity.needs_mm``), the
    canal's where the slice lies beside it; by outlines also where even the second crop ends before the canal does. The
    locator's stands where outlines give none, but those in OUTLINED_ALONE. ``sacs`` are areas by level
    (``dural_sac.measure_sacs``)."""
    ordered = sorted(measured, key=lambda one: VIEWS_IN_ORDER.index(one.view))
    room = {(one.series.name, frame.level): room_mm(one, frame) for one in located for frame in one.frames}
    levels = sorted({frame.level for one in located for frame in one.frames}, key=LEVELS.index)

    def shows(series: str, level: str, quantity: Quantity) -> bool:
        above_mm, below_mm = room.get((series, level), (0.0, 0.0))
        if quantity.heading == CANAL and (series, level) in beside:
            return False
        return above_mm >= quantity.needs_mm and below_mm >= min(quantity.needs_mm, BELOW_MM)

    def coarse(level: str, quantity: Quantity) -> Measurement | None:
        if measured and quantity.name in OUTLINED_ALONE:
            return None
        return _located(level, quantity, [one for one in located if shows(one.series.name, level, quantity)])

    beside = beside_canal(measured)
    found = (
        sacs.get(level)
        if quantity.name == SAC_AREA
        else _outlined(level, quantity, [one for one in ordered if shows(one.series_name, level, quantity)], usual)
        or coarse(level, quantity)
        for level in levels
        for quantity in QUANTITIES
    )
    return tuple(one for one in found if one is not None)


def beside_canal(measured: Sequence[MeasuredSeries]) -> set[tuple[str, str]]:
    """(series, level) where the midline slice leaves the canal."""
    return {(one.series_name, level) for one in measured for level in one.levels if _beside_canal(level, one.levels)}


def _beside_canal(level: str, levels: Mapping[str, Numbers]) -> bool:
    """Whether a slice leaves the canal at a level, as a single one of a bent spine does. Behind the sacrum it ends."""
    ends = ["canal_above_mm"] if level == LEVELS[0] else ["canal_above_mm", "canal_below_mm"]
    return not all(levels[level].get(end, NAN) >= LEAST_CANAL_MM for end in ends)


def _outlined(
    level: str, quantity: Quantity, measured: Sequence[MeasuredSeries], usual: UsualMeasurements | None
) -> Measurement | None:
    """The value of the first series whose outlines give one."""
    for one in measured:
        numbers = one.levels.get(level)
        if numbers is None or (quantity.measured in SIGNALS and one.view is not View.SAGITTAL_T2):
            continue
        is_cut = quantity.heading == CANAL and numbers.get(CANAL_CUT, 0.0) > 0
        value = numbers.get(WHOLE_CANAL.get(quantity.measured, ""), NAN) if is_cut else _value(quantity, numbers)
        if math.isnan(value):
            continue
        return Measurement(
            level=level,
            name=quantity.name,
            value=round(value, quantity.digits) + 0.0,  # never -0.0
            unit=quantity.unit,
            error_95=_error_95(quantity.measured, value, numbers["border_mm"], is_cut=is_cut),
            percentile=usual.percentile(level, quantity.measured, value) if usual else None,
            series=one.series_name,
        )
    return None


def _error_95(measured: str, value: float, border_mm: float, *, is_cut: bool) -> float | None:
    if measured not in ERRORS_95:
        return None
    return max(error_95(measured, border_mm, value), SECOND_CROP_ERROR_95 if is_cut else 0.0)


def _value(quantity: Quantity, numbers: Numbers) -> float:
    if quantity.measured != MEYERDING:
        return numbers.get(quantity.measured, NAN)
    grade = meyerding(numbers.get("slip_mm", NAN), numbers.get("slip_percent", NAN))
    return NAN if grade is None else float(grade)


def _located(level: str, quantity: Quantity, located: Sequence[LocatedSeries]) -> Measurement | None:
    """The mean of what the locator measured in the sagittal series that show the level."""
    if not quantity.frame:
        return None
    frames = [frame for one in located if one.series.plane == "sagittal" for frame in one.frames]
    values = [getattr(frame, quantity.frame) for frame in frames if frame.level == level]
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Measurement(level, quantity.name, round(float(np.mean(known)), quantity.digits), quantity.unit)


def room_mm(located: LocatedSeries, frame: LevelFrame) -> tuple[float, float]:
    """How far the slice goes on above and below along the disc's normal, from the middle of the disc or of the canal
    behind it, whichever is nearer to its end."""
    middles_mm = frame.center_mm + np.outer((0.0, 0.5 * frame.depth_mm + BEHIND_MM), frame.posterior)
    starts_rc = located.series.to_vox(middles_mm)[:, 1:]
    step_rc = located.series.mm2vox[1:3, :3] @ frame.superior
    ends_rc = np.array(located.series.voxels_SRC.shape[1:]) - 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        ways_mm = np.stack([(ends_rc - starts_rc) / step_rc, -starts_rc / step_rc])
    above_mm, below_mm = ways_mm[ways_mm > 0], -ways_mm[ways_mm < 0]
    return float(above_mm.min(initial=np.inf)), float(below_mm.min(initial=np.inf))
