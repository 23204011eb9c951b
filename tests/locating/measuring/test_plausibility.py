"""Sizes that are not to be believed are not given, and a note says so."""

import numpy as np
import pytest

from spinenet.labels import LEVELS, View
from spinenet.locating.measuring.plausibility import believed
from spinenet.locating.measuring.usual import UsualMeasurements
from spinenet.study import LevelFrame, LocatedSeries, MeasuredSeries, Measurement, Series, Severity

NAMES = ("height_mean_mm", "slip_mm", "wedge_deg")
QUANTILES = np.array(
    [
        [4.6, 5.4, 6.8, 8.2, 9.5, 10.6, 11.1],
        [-2.4, -2.1, -1.5, -0.8, 0.0, 1.1, 2.5],
        [0.0, 1.2, 3.0, 5.0, 8.0, 11.0, 12.0],
    ]
)
USUAL = UsualMeasurements(
    NAMES,
    np.array((0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)),
    np.tile(QUANTILES, (len(LEVELS), 1, 1)),
    np.full((len(LEVELS), 3), 100),
)


def size(name: str, value: float, level: str = "L3/L4", series: str = "t2") -> Measurement:
    percentile = USUAL.percentile(level, NAMES[0] if "height" in name else NAMES[1], value)
    return Measurement(level, name, value, "mm", 1.5, percentile, series)


def kept(
    *sizes: Measurement, walls_spread_mm: float = 0.1, border_mm: float = 1.0, located: tuple[LocatedSeries, ...] = ()
) -> tuple[set[str], list[str]]:
    """Names of what is given, and what is said of the rest."""
    numbers = {"wall_spread_mm": walls_spread_mm, "border_mm": border_mm}
    given, notes = believed(sizes, (MeasuredSeries("t2", View.SAGITTAL_T2, {"L3/L4": numbers}),), USUAL, located)
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


@pytest.mark.parametrize(("degrees", "is_given"), [(-4.9, True), (-5.1, False), (18.9, True), (19.1, False)])
def test_a_wedge_far_beyond_what_is_usual_either_way_takes_the_heights_that_make_it_along(
    degrees: float, is_given: bool
) -> None:
    wedge = Measurement("L3/L4", "disc_wedge_deg", degrees, "deg", 3.5, None, "t2")
    heights = size("disc_height_front_mm", 9.0), size("disc_height_mm", 8.0)
    names, said = kept(wedge, *heights, border_mm=1.3)
    assert len(kept(wedge, *heights, border_mm=1.0)[0]) == 3  # a clear outline is believed: bodies are wedges too
    assert "disc_height_mm" in names
    assert ("disc_height_front_mm" in names) is is_given is ("disc_wedge_deg" in names) is not said


def test_a_blurred_outline_gives_no_size_of_its_disc_nor_of_the_bodies_beside() -> None:
    sizes = [size("disc_height_mm", 8.0), size("disc_depth_mm", 35.0), size("vertebra_height_front_mm", 27.0)]
    assert kept(*sizes, border_mm=1.5)[0] == {one.name for one in sizes}
    assert kept(*sizes, border_mm=1.7)[0] == set()


def test_a_disc_far_lower_than_another_series_shows_it_has_no_height() -> None:
    """Seen in a phantom: 6.9 mm by an outline in T2 that took the disc's front for the body's, 10 in T1."""
    levels = ("L5/S1", "L4/L5", "L3/L4", "L2/L3", "L1/L2")
    centers = (LevelFrame(one, np.zeros(3), np.eye(3)[1], np.eye(3)[2], 36.0, 9.2) for one in levels)
    series = Series("t1", np.zeros((1, 8, 8), np.float32), np.eye(4), "sagittal", View.SAGITTAL_T1)
    t1 = LocatedSeries(series, tuple(centers), 0, np.zeros(5, np.float32))
    others = [size("disc_height_mm", 8.8, level) for level in levels if level != "L3/L4"]
    names, said = kept(size("disc_height_mm", 6.9), *others, located=(t1,))
    assert not names and "another series shows about 9 mm" in said[0]
    assert kept(size("disc_height_mm", 7.5), *others, located=(t1,)) == ({"disc_height_mm"}, [])


def canal(name: str, value: float, error_95: float, level: str = "L3/L4") -> Measurement:
    return Measurement(level, name, value, "mm", error_95, 0, "t2")


@pytest.mark.parametrize(("value", "error_95", "is_given"), [(3.5, 6.0, False), (5.4, 4.2, False), (6.0, 4.4, True)])
def test_a_depth_of_the_canal_that_may_be_off_by_three_quarters_of_itself_is_not_given(
    value: float, error_95: float, is_given: bool
) -> None:
    """Seen in a patient: 3.5 ± 6.0 mm of a canal of 8."""
    names, said = kept(canal("canal_depth_least_mm", value, error_95), canal("canal_depth_mm", 9.0, 2.6))
    assert ("canal_depth_least_mm" in names) is is_given is not bool(said) and "canal_depth_mm" in names
    assert is_given or f"it may be off by {error_95} mm" in said[0]


def test_of_two_depths_that_are_not_known_one_is_told() -> None:
    names, said = kept(canal("canal_depth_mm", 3.8, 5.8), canal("canal_depth_least_mm", 3.3, 6.1))
    assert not names and len(said) == 1 and said[0].startswith("a canal depth of 3.8 mm was measured and is not given")


def test_a_doubt_elsewhere_hides_no_doubt_of_a_least_depth() -> None:
    blurred = Measurement("L3/L4", "disc_height_mm", 17.2, "mm", 1.5, 100, "t2")
    _, said = kept(canal("canal_depth_least_mm", 3.5, 6.0), blurred)
    assert any("least canal depth of 3.5 mm" in one for one in said)
