"""Curves against scikit-learn, by hand, and against identities that must hold."""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from spinenet.evaluate import Beside, Settings, assess, curves
from spinenet.evaluate.figures import risk_coverage_figure
from spinenet.evaluate.samples import check_predictions, make_cohort


@pytest.fixture
def made(predictions):
    cohort = make_cohort(check_predictions(predictions("herniation", patients=40)), samples=100, seed=0)
    return cohort.graded["herniation"], cohort.resamples.draws


def test_roc_goes_through_scikit_learns_points(made):
    sample, draws = made
    curve = curves.roc(sample, draws)
    alarms, hits, _ = sklearn_metrics.roc_curve(sample.truth_N, sample.probabilities_NK[:, 1], drop_intermediate=False)
    assert curve.y_G[1:] == pytest.approx(np.interp(curve.x_G, alarms, hits)[1:], abs=1e-9)
    assert (curve.low_G <= curve.y_G + 1e-9).all() and (curve.y_G <= curve.high_G + 1e-9).all()


def test_net_benefit_is_vickers_and_elkins_formula(made):
    sample, draws = made
    curve = curves.net_benefit(sample, draws)
    for threshold in (0.1, 0.5, 0.9):
        called = sample.probabilities_NK[:, 1] >= threshold
        hits, alarms = (called & (sample.truth_N == 1)).sum(), (called & (sample.truth_N == 0)).sum()
        by_hand = (hits - alarms * threshold / (1 - threshold)) / len(sample)
        assert curve.y_G[np.argmin(abs(curve.x_G - threshold))] == pytest.approx(by_hand)
    assert curve.y_G[0] == pytest.approx(curves.net_benefit_of_all((sample.truth_N == 1).mean())[0], abs=0.01)


def test_keeping_every_disc_has_the_risk_of_all(made):
    sample, draws = made
    curve = curves.risk_coverage(sample, draws)
    assert curve.y_G[-1] == pytest.approx((sample.grade_N != sample.truth_N).mean())
    assert curve.y_G[0] < curve.y_G[-1]  # the surest are the most often right


def test_the_dot_of_the_risk_is_the_error_among_confident_grades(predictions):
    assessment = assess(predictions("herniation", patients=30), Settings("one", samples=20), Beside())
    figure = risk_coverage_figure(assessment.shown, assessment.curves["risk_coverage"])
    (dot,) = [line for line in figure.axes[0].lines if line.get_label() == "confident"]
    found = assessment.targets["herniation"].estimates
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (found["coverage"].value, found["confident_error"].value)


def test_precision_at_full_recall_is_that_of_the_lowest_positive(made):
    sample, draws = made
    p_N, positive_N = sample.probabilities_NK[:, 1], sample.truth_N == 1
    called = p_N >= p_N[positive_N].min()
    assert curves.precision_recall(sample, draws).y_G[-1] == pytest.approx(positive_N[called].mean())


def test_reliability_bins_hold_their_own_means_and_as_much_information(made):
    sample, draws = made
    curve, p_N = curves.reliability(sample, draws), sample.probabilities_NK[:, 1]
    bin_N = curves.equal_information(p_N)
    held_B = np.bincount(bin_N, p_N * (1 - p_N))
    assert held_B == pytest.approx(held_B.mean(), rel=0.3)
    assert curve.x_G[-1] == pytest.approx(p_N[bin_N == 7].mean())
    assert curve.y_G[-1] == pytest.approx(sample.truth_N[bin_N == 7].mean())


def test_the_bins_of_a_rare_finding_do_not_all_lie_at_the_origin():
    stated_N = np.random.default_rng(1).beta(0.2, 4, 2000)
    middles = [stated_N[curves.equal_information(stated_N) == index].mean() for index in range(curves.BINS)]
    assert sum(middle > 0.05 for middle in middles) >= 6
