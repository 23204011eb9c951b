"""What was measured contradicts the opposite grade and nothing else, and a slip that could not be measured is said."""

import pytest

from spinenet.checking.measured_findings import measured_sides, slip_flags
from spinenet.labels import TARGET
from spinenet.study import Measurement, Prediction

SLIPS = "spondylolisthesis"


def graded(grade: int) -> list[Prediction]:
    return [
        Prediction(level, target, grade, (0.98, 0.02), confident=True)
        for level in ("L4/L5", "L5/S1")
        for target in ("narrowing", SLIPS)
    ]


def slip(value: float, series: str = "t2", error: float | None = None) -> list[Measurement]:
    return [Measurement("L4/L5", "slip_mm", value, "mm", error_95=error, series=series)]


def height(percentile: int | None) -> list[Measurement]:
    return [Measurement("L4/L5", "disc_height_mm", 8.0, "mm", percentile=percentile, series="t2")]


def test_a_measured_slip_contradicts_its_absence_alone() -> None:
    measured = slip(7.8)
    assert measured_sides(SLIPS, measured) == {"L4/L5": 1} and not measured_sides("narrowing", measured)
    (flag,) = slip_flags(graded(0), measured)
    assert flag.subject == "L4/L5" and "7.8 mm" in flag.text


def test_a_backward_slip_beyond_its_error_contradicts_its_absence_and_is_called_so() -> None:
    assert measured_sides(SLIPS, slip(-4.2, error=2.7)) == {"L4/L5": 1}
    (flag,) = slip_flags(graded(0), slip(-4.2, error=2.7))
    assert "a backward slip of 4.2 mm" in flag.text


@pytest.mark.parametrize("measured", [slip(2.9), slip(-2.9), slip(-4.2, error=4.5), slip(14.5, ""), slip(-8.0, ""), []])
def test_slips_that_are_small_uncertain_or_the_locators_contradict_nothing(measured: list[Measurement]) -> None:
    assert not measured_sides(SLIPS, measured) and not slip_flags(graded(0), measured)


def test_a_slip_that_is_graded_present_and_was_not_measured_is_pointed_out() -> None:
    (flag,) = slip_flags(graded(1), slip(7.8))
    assert flag.subject == "L5/S1" and "could not be measured" in flag.text


@pytest.mark.parametrize(("percentile", "side"), [(0, 1), (29, 1), (30, None), (49, None), (50, -1), (100, -1)])
def test_a_usual_height_speaks_against_narrowing_and_a_low_one_for_it(percentile: int, side: int | None) -> None:
    assert measured_sides("narrowing", height(percentile)).get("L4/L5") == side


def test_a_height_that_nobody_knows_the_place_of_says_nothing() -> None:
    assert not any(measured_sides(name, height(None)) for name in TARGET)
    assert not any(measured_sides(name, height(0)) for name in TARGET if name != "narrowing")
