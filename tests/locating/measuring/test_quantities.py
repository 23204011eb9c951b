"""What is reported of a level: outlines before the locator, T2 before T1, and where a value lies among patients."""

import math
from typing import Any

import numpy as np
import pytest

from spinenet.errors import BundleError
from spinenet.labels import LEVELS, View
from spinenet.locating.measuring.accuracy import ERRORS_95, SECOND_CROP_ERROR_95
from spinenet.locating.measuring.lengths import CANAL_CUT
from spinenet.locating.measuring.quantities import QUANTITIES, QUANTITY, level_measurements
from spinenet.locating.measuring.usual import UsualMeasurements, read_usual_measurements
from spinenet.study import LevelFrame, LocatedSeries, MeasuredSeries, Measurement, Series

SHARES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
QUANTILES = (2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0)
UNITS = {"mm": "mm", "mm2": "mm2", "deg": "deg", "%": "percent", "1": ("share", "grade")}


def located(name: str = "t2", above_mm: float = 50.0) -> LocatedSeries:
    """L4/L5 of a slice with rows of 1 mm that ends so far above the disc's centre."""
    to_mm = np.array([[1.0, 0, 0, 0], [0, 0, 1, -50], [0, -1, 0, above_mm], [0, 0, 0, 1]])
    series = Series(name, np.zeros((1, 120, 120), np.float32), to_mm, "sagittal", View.SAGITTAL_T2)
    frame = LevelFrame("L4/L5", np.zeros(3), np.array([0.0, 1, 0]), np.array([0.0, 0, 1]), 30.0, 8.0, slip_mm=1.0)
    return LocatedSeries(series, (frame,), 0, np.zeros(5, np.float32))


def outlined(name: str, view: View, **numbers: float) -> MeasuredSeries:
    unknown = dict.fromkeys((one.measured for one in QUANTITIES), math.nan)
    usual = {"border_mm": 0.9, "canal_above_mm": 13.0, "canal_below_mm": 13.0}
    return MeasuredSeries(name, view, {"L4/L5": unknown | usual | numbers})


def sizes(*measured: MeasuredSeries, usual: UsualMeasurements | None = None) -> dict[str, Measurement]:
    return {one.name: one for one in level_measurements([located("t2"), located("t1")], measured, usual)}


def usual(**changed: Any) -> UsualMeasurements:
    names = ("height_mean_mm", "behind_mm")
    quantiles = np.tile(np.array(QUANTILES), (len(LEVELS), 2, 1))
    quantiles[:, 1] = (0, 0, 0, 1, 1, 1, 3)
    whole = {"counts_LR": np.full((len(LEVELS), 2), 20), "quantiles_LRQ": quantiles}
    return UsualMeasurements(names, np.array(SHARES), **(whole | changed))


def test_names_end_in_their_unit_and_every_length_has_an_error() -> None:
    assert all(one.name.endswith(UNITS[one.unit]) for one in QUANTITIES)
    assert {one.measured for one in QUANTITIES} - set(ERRORS_95) == {"meyerding", "sac_area_mm2"}


def test_without_outlines_the_locators_sizes_stand_and_have_no_error() -> None:
    found = sizes()
    assert {name: one.value for name, one in found.items()} == {
        "disc_height_mm": 8.0,
        "disc_depth_mm": 30.0,
        "slip_mm": 1.0,
    }
    assert all(one.error_95 is None and one.percentile is None and one.series == "" for one in found.values())


def test_what_outlines_give_replaces_the_locators_and_the_rest_of_it_stands_but_its_slip() -> None:
    found = sizes(outlined("t2", View.SAGITTAL_T2, height_mean_mm=9.16))
    height, depth = found["disc_height_mm"], found["disc_depth_mm"]
    assert (height.value, height.error_95, height.series) == (9.2, 1.1, "t2")
    assert (depth.value, depth.error_95, depth.series) == (30.0, None, "")
    assert not {"slip_mm", "slip_percent", "meyerding_grade"} & found.keys()


def test_t2_comes_before_t1_and_t1_stands_in_where_t2_shows_nothing() -> None:
    t1 = outlined("t1", View.SAGITTAL_T1, height_mean_mm=7.0, canal_mm=11.0, nucleus=0.4)
    t2 = outlined("t2", View.SAGITTAL_T2, height_mean_mm=9.0)
    found = sizes(t1, t2)
    assert (found["disc_height_mm"].value, found["disc_height_mm"].series) == (9.0, "t2")
    assert (found["canal_depth_mm"].value, found["canal_depth_mm"].series) == (11.0, "t1")
    assert "nucleus_signal_share" not in found  # CSF is dark in T1


@pytest.mark.parametrize(
    ("above_mm", "left_out"),
    [(40, set()), (30, {"vertebra_height_back_mm"}), (15, {"vertebra_height_back_mm", "slip_mm", "meyerding_grade"})],
)
def test_what_the_edge_of_the_slice_cuts_is_not_measured(above_mm: float, left_out: set[str]) -> None:
    """A body or canal that ends with the image is as high, as deep or as far behind as the image lets it be."""
    numbers = {"height_mean_mm": 9.0, "slip_mm": -7.9, "slip_percent": -25.0, "body_back_mm": 12.0, "canal_mm": 3.0}
    found = level_measurements([located(above_mm=above_mm)], [outlined("t2", View.SAGITTAL_T2, **numbers)])
    every = {"disc_height_mm", "slip_mm", "meyerding_grade", "vertebra_height_back_mm", "canal_depth_mm"}
    assert every - {one.name for one in found} == left_out


@pytest.mark.parametrize("behind_a_body", [{"canal_above_mm": 4.2}, {"canal_below_mm": math.nan}])
def test_where_a_slice_lies_beside_the_canal_its_depth_is_not_given(behind_a_body: dict[str, float]) -> None:
    """A disc narrows the canal at its own height: where it is thin behind a body too, a bent spine left the slice."""
    thin = outlined("t2", View.SAGITTAL_T2, canal_mm=3.6, canal_min_mm=3.4, height_mean_mm=9.0, **behind_a_body)
    assert not {"canal_depth_mm", "canal_depth_least_mm"} & set(sizes(thin))
    assert sizes(thin)["disc_height_mm"].value == 9.0
    assert sizes(thin, outlined("t1", View.SAGITTAL_T1, canal_mm=11.0))["canal_depth_mm"].value == 11.0
    narrow = outlined("t2", View.SAGITTAL_T2, canal_mm=4.1, canal_above_mm=13.8, canal_below_mm=10.5)
    assert sizes(narrow)["canal_depth_mm"].value == 4.1


def test_a_canal_that_is_cut_has_no_size_by_outlines() -> None:
    numbers = {"canal_mm": 5.5, "canal_min_mm": 5.1, "cross_section_mm2": 114.0, "height_mean_mm": 9.0}
    whole, cut = (sizes(outlined("t2", View.SAGITTAL_T2, **numbers, **{CANAL_CUT: share})) for share in (0.0, 1.0))
    assert set(whole) - set(cut) == {"canal_depth_mm", "canal_depth_least_mm", "canal_area_mm2"}


def test_a_canal_that_is_cut_has_the_depth_that_a_second_crop_shows_with_a_larger_error() -> None:
    first = {"canal_mm": 14.0, "canal_min_mm": 13.1, "cross_section_mm2": 114.0}
    second = {"whole_canal_mm": 18.2, "whole_canal_min_mm": 17.0}
    found = sizes(outlined("t2", View.SAGITTAL_T2, **first, **second, **{CANAL_CUT: 1.0}))
    assert (found["canal_depth_mm"].value, found["canal_depth_least_mm"].value) == (18.2, 17.0)
    assert found["canal_depth_mm"].error_95 == SECOND_CROP_ERROR_95 and "canal_area_mm2" not in found
    assert sizes(outlined("t2", View.SAGITTAL_T2, **first, **second))["canal_depth_mm"].value == 14.0


def test_a_narrow_canal_is_known_less_well() -> None:
    wide, narrow = (sizes(outlined("t2", View.SAGITTAL_T2, canal_min_mm=mm)) for mm in (13.0, 6.0))
    wide_error, narrow_error = (one["canal_depth_least_mm"].error_95 for one in (wide, narrow))
    assert wide_error and narrow_error and narrow_error > wide_error + 1.5


def test_where_one_series_is_cut_another_is_measured() -> None:
    numbers = (outlined(name, View.SAGITTAL_T2, slip_mm=value) for name, value in (("t2", -7.9), ("t2_2", 1.1)))
    found = level_measurements([located("t2", 15), located("t2_2", 40)], list(numbers))
    assert {one.name: one.value for one in found}["slip_mm"] == 1.1


def test_a_blurred_border_makes_the_error_larger() -> None:
    clear, blurred = (
        sizes(outlined("t2", View.SAGITTAL_T2, depth_mm=35.0, border_mm=border))["disc_depth_mm"].error_95
        for border in (0.8, 1.5)
    )
    assert clear is not None and blurred is not None and blurred > 2 * clear


@pytest.mark.parametrize(
    ("slip_mm", "percent", "grade"), [(2.0, 12.0, 0), (5.0, 14.0, 1), (-9.0, -27.0, 2), (18.0, 55.0, 3)]
)
def test_meyerdings_grade_comes_with_the_slip(slip_mm: float, percent: float, grade: int) -> None:
    found = sizes(outlined("t2", View.SAGITTAL_T2, slip_mm=slip_mm, slip_percent=percent))
    assert (found["meyerding_grade"].value, found["slip_mm"].value) == (grade, slip_mm)
    assert found["meyerding_grade"].error_95 is None


@pytest.mark.parametrize(
    ("height", "percentile"), [(1.9, 0), (2.0, 5), (3.0, 8), (8.0, 50), (9.0, 62), (14.0, 95), (14.1, 100)]
)
def test_a_percentile_lies_between_quantiles_and_ends_at_the_last(height: float, percentile: int) -> None:
    assert usual().percentile("L4/L5", "height_mean_mm", height) == percentile


def test_a_value_that_many_share_has_the_middle_of_their_places() -> None:
    assert usual().percentile("L4/L5", "behind_mm", 0.0) == 15


def test_few_discs_or_an_unknown_quantile_give_no_percentile() -> None:
    few, unknown = np.full((len(LEVELS), 2), 19), np.full((len(LEVELS), 2, 7), np.nan)
    assert usual(counts_LR=few).percentile("L4/L5", "height_mean_mm", 8.0) is None
    assert usual(quantiles_LRQ=unknown).percentile("L4/L5", "height_mean_mm", 8.0) is None
    assert usual().percentile("L4/L5", "canal_mm", 8.0) is None


def test_the_percentile_is_that_of_the_value_by_outlines_alone() -> None:
    found = sizes(outlined("t2", View.SAGITTAL_T2, height_mean_mm=8.0), usual=usual())
    assert found["disc_height_mm"].percentile == 50
    assert sizes(usual=usual())["disc_height_mm"].percentile is None


def test_a_bundle_says_what_is_usual_in_its_arrays(packed: Any) -> None:
    arrays = {
        "reference_names": np.array(usual().names),
        "reference_shares": np.array(SHARES),
        "reference_quantiles": usual().quantiles_LRQ.astype(np.float32),
        "reference_counts": usual().counts_LR,
    }
    read = read_usual_measurements(packed(arrays))
    assert read is not None and read.percentile("L4/L5", "height_mean_mm", 8.0) == 50
    assert read_usual_measurements(packed({"names": np.array(["a"])})) is None
    with pytest.raises(BundleError, match="not of its levels"):
        read_usual_measurements(packed(arrays | {"reference_counts": np.zeros((2, 2))}))
    with pytest.raises(BundleError, match="what is usual"):
        read_usual_measurements(b"no arrays")


def test_values_are_written_with_the_digits_of_their_unit() -> None:
    assert QUANTITY["nucleus_signal_share"].written(0.3) == "0.30" and QUANTITY["meyerding_grade"].written(2.0) == "2"
