"""Discs found and rightly named, in mm, against true centres."""

import numpy as np
import pytest

from spinenet.evaluate.intervals import plain
from spinenet.evaluate.levels import level_errors
from spinenet.labels import LEVELS


def spine(count=5, shift=(0.0, 0.0, 0.0)):
    return {LEVELS[index]: np.array([0.0, 0.0, 35.0 * index]) + shift for index in range(count)}


def test_near_centres_under_their_name_are_right():
    errors = level_errors({"a": spine(shift=(0, 3, 0))}, {"a": spine()})
    assert errors.counts == {"right": 5, "misnamed": 0, "missed": 0, "extra": 0}
    assert errors.distance_mm["median"] == pytest.approx(3)


def test_a_count_off_by_one_misnames_every_disc():
    found = {LEVELS[index + 1]: centre for index, centre in enumerate(spine().values())}
    errors = level_errors({"a": found}, {"a": spine()})
    assert errors.counts == {"right": 0, "misnamed": 5, "missed": 0, "extra": 0}


def test_beyond_the_tolerance_a_disc_is_missed_and_the_centre_is_extra():
    errors = level_errors({"a": spine(shift=(0, 6, 0))}, {"a": spine()})
    assert errors.counts == {"right": 0, "misnamed": 0, "missed": 5, "extra": 5}
    assert np.isnan(errors.distance_mm["median"])
    assert plain(errors)["distance_mm"]["median"] is None
    assert level_errors({"a": spine(shift=(0, 6, 0))}, {"a": spine()}, tolerance_mm=7).counts["right"] == 5


def test_two_centres_at_one_disc_are_one_hit_and_one_extra():
    found = {"L5/S1": [0, 1, 0], "L4/L5": [0, 2, 0], "L3/L4": [0, 0, 70]}
    errors = level_errors({"a": found}, {"a": spine(3)})
    assert errors.counts == {"right": 2, "misnamed": 0, "missed": 1, "extra": 1}


def test_a_study_without_any_located_disc_is_all_missed():
    errors = level_errors({"b": spine()}, {"a": spine(), "b": spine()})
    assert (errors.graded, errors.studies) == (10, 2)
    assert errors.counts["missed"] == 5
    assert level_errors({"a": {}}, {"a": spine()}).counts["missed"] == 5


def test_only_graded_discs_are_counted_but_a_true_one_is_never_extra():
    graded = {"a": LEVELS[:3]}
    errors = level_errors({"a": spine(6)}, {"a": spine(6)}, graded=graded)
    assert errors.graded == 3
    assert errors.counts == {"right": 3, "misnamed": 0, "missed": 0, "extra": 0}


def test_fractions_have_intervals_over_patients():
    truth = {f"{patient}": spine() for patient in range(50)}
    found = {study: centres for study, centres in truth.items() if int(study) >= 5}
    errors = level_errors(found, truth)
    assert errors.fractions["right"].value == pytest.approx(0.9)
    assert 0.75 < errors.fractions["right"].low < 0.9 < errors.fractions["right"].high < 1
    assert errors.fractions["right"].value + errors.fractions["missed"].value == pytest.approx(1)


def test_no_true_disc_is_an_error_not_a_perfect_score():
    with pytest.raises(ValueError, match="no graded disc"):
        level_errors({"a": spine()}, {"a": {}})


def test_two_series_of_one_patient_are_drawn_together():
    truth = {f"{patient}/{series}": spine() for patient in range(30) for series in ("t1", "t2")}
    found = {key: centres for key, centres in truth.items() if int(key.split("/")[0]) >= 6}
    apart, together = (level_errors(found, truth, patient_of=of) for of in (str, lambda key: key.split("/")[0]))
    widths = [one.fractions["right"].high - one.fractions["right"].low for one in (apart, together)]
    assert widths[1] == pytest.approx(2**0.5 * widths[0], rel=0.2)
