"""One row of numbers a disc: what is joined over series, and what is set beside the patient's other discs."""

import numpy as np
import pytest

from spinenet.labels import LEVELS
from spinenet.locating.measuring.features import RELATIVE, FeatureRows, feature_rows
from spinenet.locating.measuring.series import Numbers

NAMES = (*(name for name in RELATIVE if name != "hratio"), "slip_percent")


def numbers(height_mm: float, nucleus: float) -> Numbers:
    return dict.fromkeys(NAMES, 1.0) | {"height_mean_mm": height_mm, "nucleus": nucleus, "depth_mm": 35.0}


def column(rows: FeatureRows, name: str) -> list[float]:
    return rows.values_LF[:, rows.names.index(name)].round(6).tolist()


T2 = {LEVELS[1]: numbers(8.0, 0.4), LEVELS[0]: numbers(10.0, 0.2), LEVELS[2]: numbers(9.0, 0.6)}


def test_levels_come_from_the_sacrum_up_whatever_their_order() -> None:
    rows = feature_rows(T2, {})
    assert rows.level_L == (0, 1, 2)
    assert column(rows, "g_height_mean_mm") == [10.0, 8.0, 9.0]


def test_a_length_is_the_mean_of_all_series_and_a_signal_that_of_its_own() -> None:
    t1, space = {LEVELS[0]: numbers(12.0, 0.9)}, {LEVELS[0]: numbers(14.0, 0.7)}
    rows = feature_rows(T2, t1, [space])
    assert column(rows, "g_height_mean_mm") == [12.0, 8.0, 9.0]
    assert column(rows, "t2_nucleus") == [0.2, 0.4, 0.6]
    assert column(rows, "t1_nucleus")[0] == 0.9 and np.isnan(column(rows, "t1_nucleus")[1])


def test_a_disc_is_set_beside_the_patients_others() -> None:
    rows = feature_rows(T2, {})
    assert column(rows, "g_height_mean_mm_rm") == [1.0, -1.0, 0.0]
    assert column(rows, "t2_nucleus_rk") == [round(1 / 3, 6), round(2 / 3, 6), 1.0]
    assert column(rows, "g_height_mean_mm_dn")[1:] == [-2.0, 1.0]
    assert column(rows, "g_height_mean_mm_up")[:2] == [2.0, -1.0]


def test_columns_do_not_depend_on_which_series_there_are() -> None:
    assert feature_rows(T2, {}).names == feature_rows({}, T2).names == feature_rows(T2, T2, [T2]).names


def test_nothing_measured_gives_no_row() -> None:
    with pytest.raises(ValueError, match="no level"):
        feature_rows({}, {})
