"""Which measurements are not to be believed: what lies far beyond what is usual, beside its neighbours too, a slip
whose walls do not bear it out, a disc whose outline is blurred or contradicts another series, and what is said of a
canal with an error of three quarters of it and more.

What is doubtful is not given; a note of its level says how large it came out, and why.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from spinenet.labels import LEVELS
from spinenet.locating.measuring.accuracy import BLUR_MM, is_unknown
from spinenet.locating.measuring.lengths import LEAST_SLIP_MM
from spinenet.locating.measuring.quantities import QUANTITY
from spinenet.locating.measuring.series import Numbers
from spinenet.locating.measuring.usual import ABOVE, UsualMeasurements
from spinenet.study import LocatedSeries, MeasuredSeries, Measurement, Note, Scope, Severity

FAR = 2.0
"""A size is doubted so many times as far from the median of its level as the last quantile that is known (the 5th, the
95th percentile): 2 of 470 heights, no canal and no depth of 70 patients of SPIDER (``notebooks/EXPERIMENTS.md``)."""
BESIDE = 1.5
"""... and where it is so many times each of its neighbours and above the 95th percentile: none of those patients'."""
TOO_LARGE = ("disc_height_mm", "disc_depth_mm", "canal_depth_mm", "canal_depth_least_mm")
"""What is doubted where it is too large; too small is what diseases make it."""
OF_OUTLINE = ("disc_height_mm", "disc_depth_mm")
"""What is doubted where the disc's outline is blurred."""
MAX_WALLS_SPREAD_MM = 0.6
"""A slip of 3 mm and more is doubted where the walls that it is read between are less straight (2 of the 8 slips of 557
phantoms' discs that were off by more than 2.5 mm, 1 other; about 2 % of patients' discs)."""
MAX_LOCATED_SLIP_MM = 5.0
"""The locator's slips from here on are not believed: of 17 of SPIDER's discs half were off by 6 mm and more; of smaller
ones 95 % by 3.1 at most."""
MAX_BORDER_MM = 1.6
"""A disc's outline with a border this blurred is none: at 28 of 2,158 discs of SPIDER height, depth and wedge were off
by 3 mm, 14 mm and 12 degrees (95 %), twice what is stated of blurred ones; 12 of these had all three right. A wedge far
beyond what is usual is doubted where the border is blurred at all: 12 discs, 7 of them off by more than their error."""
APART_MM, FEWEST_APART = 1.7, 4
"""A disc is so much higher or lower than in another series, beside the patient's other discs: 6 of 957 of SPIDER."""
BODY_HEIGHTS = tuple(name for name in QUANTITY if name.startswith("vertebra_height"))
"""Of the body above a disc. Both bodies beside a disc lose theirs with its height: they share its borders."""
OF_CANAL = ("canal_depth_mm", "canal_depth_least_mm", "canal_area_mm2")
"""What is not given alone where its error is as large as it is; the sac's own rule is with its outline."""
GOES_WITH = {
    "disc_height_mm": tuple(name for name in QUANTITY if name.startswith(("disc_height", "disc_wedge"))),
    "disc_depth_mm": ("disc_depth_mm",),
    "disc_wedge_deg": ("disc_wedge_deg", "disc_height_front_mm", "disc_height_back_mm"),
    "canal_depth_mm": ("canal_depth_mm", "canal_depth_least_mm", "canal_area_mm2"),
    "canal_depth_least_mm": ("canal_depth_mm", "canal_depth_least_mm", "canal_area_mm2"),
    "slip_mm": ("slip_mm", "slip_percent", "meyerding_grade"),
}
"""What is read from the same outlines, and no more given than that."""
DOUBTFUL, DOUBTFUL_SLIP = "size_doubtful", "slip_doubtful"
"""Codes of the notes."""


def believed(
    measurements: Sequence[Measurement],
    measured: Sequence[MeasuredSeries],
    usual: UsualMeasurements | None,
    located: Sequence[LocatedSeries] = (),
) -> tuple[tuple[Measurement, ...], tuple[Note, ...]]:
    """The measurements without what is doubtful, and a note of each that is. ``located`` are the series of the study,
    by whose own heights those of discs are held."""
    numbers = {(one.series_name, level): values for one in measured for level, values in one.levels.items()}
    sizes = {(one.level, one.name): one for one in measurements}
    doubts = {
        **{(level, "disc_height_mm"): why for level, why in _contradicted(measurements, located).items()},
        **{(one.level, one.name): why for one in measurements for why in _doubts(one, sizes, numbers, usual)},
    }
    unknown = [key for key, one in sizes.items() if key[1] in OF_CANAL and key not in doubts and is_unknown(one)]
    left_out = {*unknown, *((level, other) for level, name in doubts for other in GOES_WITH[name])}
    discs = [LEVELS.index(level) for level, name in doubts if name == "disc_height_mm"]
    left_out |= {(LEVELS[max(0, place)], name) for disc in discs for place in (disc, disc - 1) for name in BODY_HEIGHTS}
    kept = tuple(one for one in measurements if (one.level, one.name) not in left_out)
    doubts |= {key: f"it may be off by {_written(sizes[key], sizes[key].error_95 or 0.0)}" for key in unknown}
    told = [key for key in doubts if key[1] != "canal_depth_least_mm" or (key[0], "canal_depth_mm") not in doubts]
    return kept, tuple(_note(sizes[key], doubts[key]) for key in told)


def _written(one: Measurement, value: float) -> str:
    return f"{QUANTITY[one.name].written(value)} {QUANTITY[one.name].sign}"


def _note(one: Measurement, why: str) -> Note:
    quantity = QUANTITY[one.name]
    if one.name == "disc_wedge_deg":
        text = f"its outline makes the disc a wedge of {one.value:.0f}°, which is not given: {why}; look at it"
        return Note(DOUBTFUL, Scope.LEVEL, one.level, text, Severity.FLAG)
    words = "backward slip" if one.name == "slip_mm" and one.value < 0 else quantity.words
    size = _written(one, abs(one.value))
    text = f"a {words} of {size} was measured and is not given: {why}; look at it and measure it"
    code = DOUBTFUL_SLIP if one.name == "slip_mm" else DOUBTFUL
    return Note(code, Scope.LEVEL, one.level, text, Severity.FLAG)


def withheld_slips(notes: Sequence[Note]) -> set[str]:
    """The levels where ``believed`` left out a slip, by its notes."""
    return {note.subject for note in notes if note.code == DOUBTFUL_SLIP}


def _doubts(
    one: Measurement,
    sizes: Mapping[tuple[str, str], Measurement],
    numbers: Mapping[tuple[str, str], Numbers],
    usual: UsualMeasurements | None,
) -> Iterator[str]:
    """Why a measurement is not to be believed, once."""
    if one.name == "slip_mm":
        yield from _slip_doubts(one, numbers.get((one.series, one.level)), usual)
        return
    limits = usual.limits(one.level, QUANTITY[one.name].measured, FAR) if usual else None
    border_mm = numbers.get((one.series, one.level), {}).get("border_mm", 0.0)
    if one.name == "disc_wedge_deg":
        if border_mm > BLUR_MM[-1] and limits and not limits[0] <= one.value <= limits[1]:
            yield f"its border is blurred, and it is far beyond what is usual at {one.level}"
    elif one.name in OF_OUTLINE and border_mm >= MAX_BORDER_MM:
        yield "the border of its outline is blurred"
    elif one.name in TOO_LARGE:
        if limits and one.value > limits[1]:
            yield f"it is far beyond what is usual at {one.level}"
        elif one.percentile in (None, ABOVE) and _is_beside(one, sizes):
            yield f"it is {BESIDE} times that of its neighbours and more"


def _contradicted(measurements: Sequence[Measurement], located: Sequence[LocatedSeries]) -> dict[str, str]:
    """Level -> why its height by outlines is doubted, where the locator sees another one in the other series. How far
    the two differ at the patient's other discs is taken off: series show discs unlike."""
    sagittal = [one for one in located if one.series.plane == "sagittal"]
    heights = {one.level: one for one in measurements if one.name == "disc_height_mm" and one.series}
    other_mm: dict[str, float] = {}
    for level, height in heights.items():
        frames = [frame for one in sagittal if one.series.name != height.series for frame in one.frames]
        seen_mm = [frame.height_mm for frame in frames if frame.level == level]
        if seen_mm:
            other_mm[level] = float(np.mean(seen_mm))
    if len(other_mm) < FEWEST_APART:
        return {}
    usual_mm = float(np.median([heights[level].value - mm for level, mm in other_mm.items()]))
    return {
        level: f"another series shows about {mm + usual_mm:.0f} mm"
        for level, mm in other_mm.items()
        if abs(heights[level].value - mm - usual_mm) > APART_MM
    }


def _is_beside(one: Measurement, sizes: Mapping[tuple[str, str], Measurement]) -> bool:
    place = LEVELS.index(one.level)
    near = [LEVELS[index] for index in (place - 1, place + 1) if 0 <= index < len(LEVELS)]
    beside = [sizes[level, one.name].value for level in near if (level, one.name) in sizes]
    return len(beside) == 2 and one.value > BESIDE * max(beside)


def _slip_doubts(one: Measurement, numbers: Numbers | None, usual: UsualMeasurements | None) -> Iterator[str]:
    """A forward slip is doubted by its walls alone, however large."""
    if abs(one.value) < LEAST_SLIP_MM:
        return
    limits = usual.limits(one.level, QUANTITY[one.name].measured, FAR) if usual else None
    if not one.series and abs(one.value) >= MAX_LOCATED_SLIP_MM:
        yield "it is the locator's, which misses the bodies' walls where it finds so much"
    elif numbers and numbers.get("wall_spread_mm", 0.0) > MAX_WALLS_SPREAD_MM:
        yield "the rear walls that it is read between are not straight"
    elif one.value < 0 and limits and one.value < limits[0]:
        yield f"it is far beyond what is usual at {one.level}"
