"""The canal's grade with its measured area: smaller is narrower, and what was not measured changes nothing."""

import numpy as np
import pytest

from spinenet.model.bundle import load_bundle
from spinenet.model.canal_by_area import CanalAreas, CanalByArea, OrdinalLine

LINES = CanalByArea(
    OrdinalLine((0.5, -3.0, -1.0), (-14.0, -12.0)),
    OrdinalLine((0.5, -1.0, -4.0), (-6.0, -4.0)),
    OrdinalLine((0.5,), (0.5, 2.5)),
)
LOGP = np.log(np.tile([[0.6, 0.3, 0.1]], (5, 1)))
SEVERITY = np.arange(3)
NONE_L = np.full(5, np.nan)


def severity(*, sac: list[float] | np.ndarray = NONE_L, canal: list[float] | np.ndarray = NONE_L) -> np.ndarray:
    return np.exp(LINES.log_probabilities(LOGP, CanalAreas(np.array(sac), np.array(canal)))) @ SEVERITY


@pytest.mark.parametrize("name", ["sac", "canal"])
def test_of_equal_pictures_the_smaller_canal_is_narrower(name: str) -> None:
    assert (np.diff(severity(**{name: [200.0, 160.0, 120.0, 80.0, 40.0]})) > 0).all()


@pytest.mark.parametrize("name", ["sac", "canal"])
def test_a_person_with_a_small_canal_everywhere_is_graded_milder_than_one_narrow_level(name: str) -> None:
    assert severity(**{name: [100.0, 100, 100, 100, 100]})[0] < severity(**{name: [100.0, 200, 200, 200, 200]})[0]


def test_the_sac_of_axial_slices_counts_where_both_were_measured() -> None:
    sac, canal = [200.0, 160.0, 120.0, 80.0, np.nan], [40.0, 80.0, 120.0, 160.0, 200.0]
    both = severity(sac=sac, canal=canal)
    assert both[:4].tolist() == severity(sac=sac)[:4].tolist() and both[4] == severity(canal=canal)[4]


def test_levels_without_an_area_are_graded_by_pictures_alone_and_too_few_areas_are_none() -> None:
    alone = LINES.without.probabilities(np.array([[np.log(0.4 / 0.6) + np.log(0.1 / 0.9)]])) @ SEVERITY
    some = severity(canal=[np.nan, 150.0, 150, 150, 150])
    few = severity(canal=[120.0, 150.0, np.nan, np.nan, np.nan], sac=[120.0, 150.0, np.nan, np.nan, np.nan])
    assert some[0] == pytest.approx(alone[0]) and few == pytest.approx(np.tile(alone, 5))


def test_a_level_that_the_grader_could_not_see_stays_unknown() -> None:
    logp_LK = LOGP.copy()
    logp_LK[2] = np.nan
    found = LINES.log_probabilities(logp_LK, CanalAreas(np.full(5, 150.0), np.full(5, 150.0)))
    assert np.isnan(found[2]).all() and not np.isnan(np.delete(found, 2, 0)).any()


def test_lines_survive_json_and_what_is_none_is_refused() -> None:
    assert CanalByArea.from_dict(LINES.to_dict()) == LINES
    falling = {name: {"weights": [1], "cuts": [2, 1]} for name in LINES.to_dict()}
    for broken in ({}, {"with_area": {"weights": [1], "cuts": [1, 2]}}, falling):
        with pytest.raises(ValueError, match="cuts|lines"):
            CanalByArea.from_dict(broken)


def test_the_package_grades_a_quarter_of_the_usual_sac_narrow_whatever_pictures_say() -> None:
    lines = load_bundle().canal_by_area
    assert lines is not None
    logp_LK = np.log(np.tile([[0.98, 0.015, 0.005]], (5, 1)))
    p_LK = np.exp(lines.log_probabilities(logp_LK, CanalAreas(np.array([45.0, 180, 180, 180, 180]), NONE_L)))
    assert p_LK[0, 0] < 0.6 < 0.95 < p_LK[1:, 0].min()
