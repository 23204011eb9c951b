"""The canal's grade with its measured area: smaller is narrower, and what was not measured changes nothing."""

import numpy as np
import pytest

from spinenet.model.canal_by_area import CanalByArea, OrdinalLine

LINES = CanalByArea(OrdinalLine((0.5, -1.0, -4.0), (-6.0, -4.0)), OrdinalLine((0.5,), (0.5, 2.5)))
LOGP = np.log(np.tile([[0.6, 0.3, 0.1]], (5, 1)))
SEVERITY = np.arange(3)


def severity(area_L: list[float]) -> np.ndarray:
    return np.exp(LINES.log_probabilities(LOGP, np.array(area_L))) @ SEVERITY


def test_of_equal_pictures_the_smaller_canal_is_narrower() -> None:
    found = severity([200.0, 160.0, 120.0, 80.0, 40.0])
    assert (np.diff(found) > 0).all()


def test_a_person_with_a_small_canal_everywhere_is_graded_milder_than_one_narrow_level() -> None:
    assert severity([100.0, 100, 100, 100, 100])[0] < severity([100.0, 200, 200, 200, 200])[0]


def test_levels_without_an_area_are_graded_by_pictures_alone_and_too_few_areas_are_none() -> None:
    alone = LINES.without.probabilities(np.array([[np.log(0.4 / 0.6) + np.log(0.1 / 0.9)]]))
    some = np.exp(LINES.log_probabilities(LOGP, np.array([np.nan, 150.0, 150, 150, 150])))
    few = np.exp(LINES.log_probabilities(LOGP, np.array([120.0, 150.0, np.nan, np.nan, np.nan])))
    assert some[0] == pytest.approx(alone[0]) and few == pytest.approx(np.tile(alone, (5, 1)))


def test_a_level_that_the_grader_could_not_see_stays_unknown() -> None:
    logp_LK = LOGP.copy()
    logp_LK[2] = np.nan
    found = LINES.log_probabilities(logp_LK, np.full(5, 150.0))
    assert np.isnan(found[2]).all() and not np.isnan(np.delete(found, 2, 0)).any()


def test_lines_survive_json_and_what_is_none_is_refused() -> None:
    assert CanalByArea.from_dict(LINES.to_dict()) == LINES
    for broken in ({}, {"with_area": {"weights": [1], "cuts": [2, 1]}, "without": {"weights": [1], "cuts": [0]}}):
        with pytest.raises(ValueError, match="cuts|lines"):
            CanalByArea.from_dict(broken)
