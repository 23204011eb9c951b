"""Grades from measurements: what the arrays say, and why."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from spinenet.errors import BundleError
from spinenet.model.measured_grader import MeasuredGrader, geometric_mean, read_measured_grader
from spinenet.model.reasons import group_columns, reasons

NAMES = ("g_height_mean_mm", "t2_nucleus", "level")
TARGETS = ("pfirrmann", "modic", "narrowing")


@pytest.fixture(name="grader")
def fixture_grader(stump_arrays: Any, packed: Callable[..., bytes]) -> MeasuredGrader:
    return read_measured_grader(packed(stump_arrays(NAMES, TARGETS)))


def test_forest_and_kernel_are_joined_by_their_geometric_mean(grader: MeasuredGrader) -> None:
    values = np.array([[0.0, 0.0, 0.0], [2.0, 2.0, 2.0]])
    kernel = grader.kernel_probabilities(values)["narrowing"]
    forest = np.array([[1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(grader.probabilities(values)["narrowing"], geometric_mean([forest, kernel]))
    near, far = np.exp(-0.1 * 3 * (1.0**2)), np.exp(-0.1 * 3 * (3.0**2))  # normal scores -2 and 2, anchors -1 and 1
    np.testing.assert_allclose(kernel[1, 1], 1 / (1 + np.exp(-2 * (near - far))), rtol=1e-5)


def test_a_gap_is_read_as_the_median_disc(grader: MeasuredGrader) -> None:
    gap, median = np.array([[np.nan, 2.0, 1.0]]), np.array([[1.0, 2.0, 1.0]])
    for target in TARGETS:
        np.testing.assert_array_equal(grader.probabilities(gap)[target], grader.probabilities(median)[target])


def test_every_scale_gets_probabilities_of_all_its_grades(grader: MeasuredGrader) -> None:
    found = grader.probabilities(np.array([[0.5, 1.5, 1.0]]))
    assert {name: one.shape for name, one in found.items()} == {
        "pfirrmann": (1, 5),
        "modic": (1, 4),
        "narrowing": (1, 2),
    }
    assert all(one.sum() == pytest.approx(1) for one in found.values())


def test_arrays_of_another_scale_or_cut_short_are_refused(stump_arrays: Any, packed: Callable[..., bytes]) -> None:
    arrays = stump_arrays(NAMES, ("narrowing",))
    arrays["narrowing_value"] = np.zeros((3, 3), np.uint8)
    with pytest.raises(BundleError, match="scale of narrowing"):
        read_measured_grader(packed(arrays))
    with pytest.raises(BundleError, match=r"measured\.npz"):
        read_measured_grader(packed(stump_arrays(NAMES, TARGETS))[:-200])


def test_the_measurement_that_differs_from_a_typical_disc_is_the_reason(grader: MeasuredGrader) -> None:
    values = np.array([[2.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
    first, second = reasons(grader, values, (0, 3), {"narrowing": 0})
    assert first["narrowing"][0].measurement == "disc height" and first["narrowing"][0].change > 0
    assert second["narrowing"][0].measurement == "signal of the nucleus" and second["narrowing"][0].change < 0
    assert abs(first["narrowing"][1].change) < 1e-6


def test_a_feature_beside_the_other_discs_belongs_to_its_measurement() -> None:
    groups = group_columns(("g_height_mean_mm_rk", "t2_nucleus_rm", "t1_marrow_upper_high", "level"))
    assert {name: columns.tolist() for name, columns in groups.items()} == {
        "disc height": [0],
        "signal of the nucleus": [1],
        "marrow above": [2],
    }
