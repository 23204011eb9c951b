"""The score by which a checkpoint is chosen ranks, and needs neither cuts nor calibration."""

import numpy as np
import pytest

from spinenet.labels import MAX_GRADES, TARGET_INDEX, TARGETS, UNKNOWN
from spinenet.train.scores import discrimination


def sample(name, grades, probabilities):
    grades_NT = np.full((len(grades), len(TARGETS)), UNKNOWN)
    grades_NT[:, TARGET_INDEX[name]] = grades
    logp_NTK = np.zeros((len(grades), len(TARGETS), MAX_GRADES))
    p = np.array(probabilities)
    logp_NTK[:, TARGET_INDEX[name], : p.shape[1]] = np.log(p)
    return logp_NTK, grades_NT


def test_a_finding_that_is_ranked_right_scores_one_however_sure_the_network_is():
    assert discrimination(*sample("bulging", [0, 1, 1], [[0.99, 0.01], [0.98, 0.02], [0.9, 0.1]])) == {"bulging": 1.0}


def test_ordered_grades_are_scored_at_every_cut_that_both_sides_of_occur():
    p = [[0.6, 0.4, 0, 0, 0], [0.5, 0.4, 0.1, 0, 0], [0.1, 0.2, 0.3, 0.4, 0], [0.2, 0.1, 0.2, 0.5, 0]]
    score = discrimination(*sample("pfirrmann", [0, 1, 2, 3], np.array(p) + 1e-9))["pfirrmann"]
    assert score == pytest.approx(1.0)


def test_unknown_grades_and_targets_of_one_grade_say_nothing():
    assert discrimination(*sample("herniation", [0, UNKNOWN, 0], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])) == {}
