"""A slip that was measured is not called absent with confidence."""

import pytest

from spinenet.checking.measured_slip import doubted_by_slip
from spinenet.study import Measurement, Prediction


def graded(grade: int) -> list[Prediction]:
    return [
        Prediction(level, target, grade, (0.98, 0.02), confident=True)
        for level in ("L4/L5", "L5/S1")
        for target in ("narrowing", "spondylolisthesis")
    ]


def slip(value: float, series: str = "t2") -> list[Measurement]:
    return [Measurement("L4/L5", "slip_mm", value, "mm", series=series)]


@pytest.mark.parametrize("series", ["t2", ""])
def test_a_measured_slip_takes_the_confidence_from_its_absence_alone(series: str) -> None:
    predictions, flags = doubted_by_slip(graded(0), slip(7.8, series))
    unsure = [(one.level, one.target) for one in predictions if not one.confident]
    assert unsure == [("L4/L5", "spondylolisthesis")]
    assert [flag.subject for flag in flags] == ["L4/L5"] and "7.8 mm" in flags[0].text


@pytest.mark.parametrize("measured", [slip(2.9), slip(-7.8), slip(3.9, ""), []])
def test_small_or_backward_slips_take_nothing(measured: list[Measurement]) -> None:
    predictions, flags = doubted_by_slip(graded(0), measured)
    assert all(one.confident for one in predictions) and not flags


def test_a_slip_that_is_graded_present_contradicts_nothing() -> None:
    predictions, flags = doubted_by_slip(graded(1), slip(7.8))
    assert all(one.confident for one in predictions) and not flags
