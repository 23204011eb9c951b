"""A slip that was measured contradicts its absence, and that alone."""

import pytest

from spinenet.checking.measured_findings import measured_slips, slip_flags
from spinenet.study import Measurement, Prediction

SLIPS = "spondylolisthesis"


def graded(grade: int) -> list[Prediction]:
    return [
        Prediction(level, target, grade, (0.98, 0.02), confident=True)
        for level in ("L4/L5", "L5/S1")
        for target in ("narrowing", SLIPS)
    ]


def slip(value: float, series: str = "t2") -> list[Measurement]:
    return [Measurement("L4/L5", "slip_mm", value, "mm", series=series)]


@pytest.mark.parametrize("series", ["t2", ""])
def test_a_measured_slip_contradicts_its_absence_alone(series: str) -> None:
    measured = slip(7.8, series)
    assert list(measured_slips(SLIPS, measured)) == ["L4/L5"] and not measured_slips("narrowing", measured)
    (flag,) = slip_flags(graded(0), measured)
    assert flag.subject == "L4/L5" and "7.8 mm" in flag.text


@pytest.mark.parametrize("measured", [slip(2.9), slip(-7.8), slip(3.9, ""), []])
def test_small_or_backward_slips_contradict_nothing(measured: list[Measurement]) -> None:
    assert not measured_slips(SLIPS, measured) and not slip_flags(graded(0), measured)


def test_a_slip_that_is_graded_present_contradicts_nothing() -> None:
    assert not slip_flags(graded(1), slip(7.8))
