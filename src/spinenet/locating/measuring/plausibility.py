"""Which measurements are not to be believed: what lies far beyond what is usual, beside its neighbours too, and a slip
whose walls do not bear it out.

What is doubtful is not given; a note of its level says how large it came out, and why.
"""

from collections.abc import Iterator, Mapping, Sequence

from spinenet.labels import LEVELS
from spinenet.locating.measuring.lengths import LEAST_SLIP_MM
from spinenet.locating.measuring.quantities import QUANTITY
from spinenet.locating.measuring.series import Numbers
from spinenet.locating.measuring.usual import ABOVE, UsualMeasurements
from spinenet.study import MeasuredSeries, Measurement, Note, Scope, Severity

FAR = 2.0
"""A size is doubted so many times as far from the median of its level as the last quantile that is known (the 5th, the
95th percentile): 2 of 470 heights, no canal and no depth of 70 patients of SPIDER (``notebooks/EXPERIMENTS.md``)."""
BESIDE = 1.5
"""... and where it is so many times each of its neighbours and above the 95th percentile: none of those patients'."""
TOO_LARGE = ("disc_height_mm", "disc_depth_mm", "canal_depth_mm", "canal_depth_least_mm")
"""What is doubted where it is too large; too small is what diseases make it."""
MAX_WALLS_SPREAD_MM = 0.6
"""A slip of 3 mm and more is doubted where the walls that it is read between are less straight (2 of the 8 slips of 557
phantoms' discs that were off by more than 2.5 mm, 1 other; about 2 % of patients' discs)."""
MAX_LOCATED_SLIP_MM = 5.0
"""The locator's slips from here on are not believed: of 13 of SPIDER's discs half were off by 6 mm and more; of smaller
ones 95 % by 3.2 at most."""
GOES_WITH = {
    "disc_height_mm": tuple(name for name in QUANTITY if name.startswith(("disc_height", "disc_wedge"))),
    "disc_depth_mm": ("disc_depth_mm",),
    "canal_depth_mm": ("canal_depth_mm", "canal_depth_least_mm", "canal_area_mm2"),
    "canal_depth_least_mm": ("canal_depth_mm", "canal_depth_least_mm", "canal_area_mm2"),
    "slip_mm": ("slip_mm", "slip_percent", "meyerding_grade"),
}
"""What is read from the same outlines, and no more given than that."""
DOUBTFUL = "size_doubtful"
"""Code of the note."""


def believed(
    measurements: Sequence[Measurement], measured: Sequence[MeasuredSeries], usual: UsualMeasurements | None
) -> tuple[tuple[Measurement, ...], tuple[Note, ...]]:
    """The measurements without what is doubtful, and a note of each that is."""
    numbers = {(one.series_name, level): values for one in measured for level, values in one.levels.items()}
    sizes = {(one.level, one.name): one for one in measurements}
    doubts = {(one.level, one.name): why for one in measurements for why in _doubts(one, sizes, numbers, usual)}
    left_out = {(level, other) for level, name in doubts for other in GOES_WITH[name]}
    kept = tuple(one for one in measurements if (one.level, one.name) not in left_out)
    told = {key: why for key, why in doubts.items() if key[1] != "canal_depth_least_mm"}
    return kept, tuple(_note(sizes[key], why) for key, why in (told or doubts).items())


def _note(one: Measurement, why: str) -> Note:
    quantity = QUANTITY[one.name]
    words = "backward slip" if one.name == "slip_mm" and one.value < 0 else quantity.words
    size = f"{quantity.written(abs(one.value))} {quantity.sign}"
    text = f"a {words} of {size} was measured and is not given: {why}; look at it and measure it"
    return Note(DOUBTFUL, Scope.LEVEL, one.level, text, Severity.FLAG)


def _doubts(
    one: Measurement,
    sizes: Mapping[tuple[str, str], Measurement],
    numbers: Mapping[tuple[str, str], Numbers],
    usual: UsualMeasurements | None,
) -> Iterator[str]:
    """Why a measurement is not to be believed, once."""
    if one.name == "slip_mm":
        yield from _slip_doubts(one, numbers.get((one.series, one.level)), usual)
    elif one.name in TOO_LARGE:
        limits = usual.limits(one.level, QUANTITY[one.name].measured, FAR) if usual else None
        if limits and one.value > limits[1]:
            yield f"it is far beyond what is usual at {one.level}"
        elif one.percentile in (None, ABOVE) and _is_beside(one, sizes):
            yield f"it is {BESIDE} times that of its neighbours and more"


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
