"""Sizes that are not to be believed are not given, and a note says so."""

import numpy as np
import pytest

from spinenet.labels import LEVELS, View
from spinenet.locating.measuring.plausibility import believed
from spinenet.locating.measuring.usual import UsualMeasurements
from spinenet.study import MeasuredSeries, Measurement, Severity

NAMES = ("height_mean_mm", "slip_mm")
QUANTILES = np.array([[4.6, 5.4, 6.8, 8.2, 9.5, 10.6, 11.1], [-2.4, -2.1, -1.5, -0.8, 0.0, 1.1, 2.5]])
USUAL = UsualMeasurements(
    NAMES,
    np.array((0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)),
    np.tile(QUANTILES, (len(LEVELS), 1, 1)),
    np.full((len(LEVELS), 2), 100),
)


def size(name: str, value: float, level: str = "L3/L4", series: str = "t2") -> Measurement:
    percentile = USUAL.percentile(level, NAMES[0] if "height" in name else NAMES[1], value)
    return Measurement(level, name, value, "mm", 1.5, percentile, series)


def kept(*sizes: Measurement, walls_spread_mm: float = 0.1) -> tuple[set[str], list[str]]:
    """Names of what is given, and what is said of the rest."""
    measured = MeasuredSeries("t2", View.SAGITTAL_T2, {"L3/L4": {"wall_spread_mm": walls_spread_mm}})
    given, notes = believed(sizes, (measured,), USUAL)
    assert all(one.severity is Severity.FLAG and one.subject == "L3/L4" for one in notes)
    return {one.name for one in given if one.level == "L3/L4"}, [one.text for one in notes]


def test_a_disc_far_higher_than_is_usual_at_its_level_has_no_height() -> None:
    """17.2 mm were measured of a disc of 6.5 mm."""
    names, said = kept(size("disc_height_mm", 17.2), size("disc_height_front_mm", 16.0), size("slip_mm", 1.0))
    assert names == {"slip_mm"}
    assert said == [
        "a disc height of 17.2 mm was measured and is not given: it is far beyond what is usual at L3/L4; "
        "look at it and measure it"
    ]
    assert kept(size("disc_height_mm", 13.8)) == ({"disc_height_mm"}, [])


def test_a_disc_far_higher_than_both_its_neighbours_has_no_height() -> None:
    neighbours = [size("disc_height_mm", 6.0, "L2/L3"), size("disc_height_mm", 8.0, "L4/L5")]
    assert kept(size("disc_height_mm", 12.5), *neighbours)[0] == set()
    assert kept(size("disc_height_mm", 11.5), *neighbours)[0] == {"disc_height_mm"}
    assert kept(size("disc_height_mm", 2.0), *neighbours)[0] == {"disc_height_mm"}  # a narrow disc is no mistake


def test_a_backward_slip_far_beyond_what_is_usual_is_not_given_and_a_forward_one_is() -> None:
    names, said = kept(size("slip_mm", -5.5), size("slip_percent", -16.0))
    assert not names and said[0].startswith("a backward slip of 5.5 mm was measured and is not given")
    assert kept(size("slip_mm", 11.0))[0] == {"slip_mm"}
    assert kept(size("slip_mm", -3.2))[0] == {"slip_mm"}


@pytest.mark.parametrize(("value", "is_given"), [(14.5, False), (-5.1, False), (4.9, True), (-3.2, True)])
def test_large_slips_of_the_locator_are_not_given(value: float, is_given: bool) -> None:
    """Seen in a patient: 14.5 mm where the bodies stand 5 to 8 mm apart."""
    names, said = kept(size("slip_mm", value, series=""))
    assert bool(names) is is_given and bool(said) is not is_given


def test_a_slip_between_walls_that_are_not_straight_is_not_given() -> None:
    assert kept(size("slip_mm", 5.0), walls_spread_mm=1.2)[0] == set()
    assert kept(size("slip_mm", 1.0), walls_spread_mm=1.2)[0] == {"slip_mm"}
