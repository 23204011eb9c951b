"""Prediction sets hold the true grade as often as they state, and leave nothing between two ordinal grades out."""

import numpy as np
import pytest

from spinenet.labels import TARGET
from spinenet.model.conformal import COVERAGE, MIN_OWN, fit_thresholds, in_set

PFIRRMANN, MODIC, HERNIATION = TARGET["pfirrmann"], TARGET["modic"], TARGET["herniation"]


def discs(grades, count, seed, shares=None):
    """Probabilities that know the grade about as well as a rater does, and the grade."""
    rng = np.random.default_rng(seed)
    truth_N = rng.choice(grades, count, p=shares)
    logits_NK = rng.normal(0, 1, (count, grades)) - 0.8 * np.abs(np.arange(grades) - truth_N[:, None])
    p_NK = np.exp(logits_NK)
    return p_NK / p_NK.sum(axis=1, keepdims=True), truth_N


@pytest.mark.parametrize("target", [PFIRRMANN, MODIC, HERNIATION])
def test_new_discs_of_every_grade_are_held_as_often_as_stated(target):
    grades = len(target.grades)
    thresholds = fit_thresholds(target, *discs(grades, 4000, 0))
    p_NK, truth_N = discs(grades, 4000, 1)
    inside_NK = in_set(target, p_NK, p_NK.argmax(axis=1), thresholds)
    held_N = inside_NK[np.arange(len(truth_N)), truth_N]
    for grade in range(grades):
        assert held_N[truth_N == grade].mean() > COVERAGE - 0.03
    assert inside_NK.sum(axis=1).mean() < grades  # and not by holding everything


def test_coverage_holds_where_the_present_are_rare():
    thresholds = fit_thresholds(HERNIATION, *discs(2, 2000, 0, [0.95, 0.05]))
    p_NK, truth_N = discs(2, 4000, 1, [0.95, 0.05])
    inside_NK = in_set(HERNIATION, p_NK, p_NK.argmax(axis=1), thresholds)
    assert inside_NK[truth_N == 1, 1].mean() > COVERAGE - 0.06


def test_a_grade_too_rare_for_a_threshold_shares_that_of_all():
    p_NK, truth_N = discs(4, 1000, 0, [0.6, 0.004, 0.396, 0.0])
    assert (truth_N == 1).sum() < MIN_OWN
    thresholds = fit_thresholds(MODIC, p_NK, truth_N)
    assert thresholds[1] == thresholds[3] not in (thresholds[0], thresholds[2])


def test_sets_of_ordinal_grades_have_no_hole_and_hold_the_decided_one():
    p_NK = np.array([[0.4, 0.1, 0.4, 0.05, 0.05]])
    assert in_set(PFIRRMANN, p_NK, np.array([0]), [0.3] * 5).tolist() == [[True, True, True, False, False]]
    assert in_set(PFIRRMANN, p_NK, np.array([3]), [0.5] * 5).tolist() == [[False, False, False, True, False]]
    assert in_set(MODIC, p_NK[:, :4], np.array([0]), [0.3] * 4).tolist() == [[True, False, True, False]]
