"""Every formula agrees with scikit-learn, with and without weights, and with cases worked by hand."""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from spinenet.calibration import macro_f1, quadratic_kappa
from spinenet.evaluate import metrics

EXACT = {"abs": 1e-9}


@pytest.fixture(params=["unweighted", "weighted", "resampled"])
def weights(request):
    rng = np.random.default_rng(3)
    draw = {
        "unweighted": lambda: np.ones(400),
        "weighted": lambda: rng.uniform(0.1, 3, 400),
        "resampled": lambda: rng.multinomial(400, np.full(400, 1 / 400)).astype(float),
    }
    return draw[request.param]()


@pytest.fixture(params=["distinct scores", "tied scores"])
def ranked(request):
    rng = np.random.default_rng(4)
    positive_N = rng.random(400) < 0.2
    score_N = np.clip(rng.normal(0.4 + 0.2 * positive_N, 0.2), 0, 1)
    return positive_N, score_N.round(1) if request.param == "tied scores" else score_N


@pytest.fixture
def graded():
    rng = np.random.default_rng(5)
    truth_N = rng.integers(0, 5, 400)
    return truth_N, np.clip(truth_N + rng.integers(-1, 2, 400), 0, 4)


def test_auc_and_average_precision_are_scikit_learns(ranked, weights):
    positive_N, score_N = ranked
    ours = metrics.auc(positive_N, score_N, weights[None])[0]
    assert ours == pytest.approx(sklearn_metrics.roc_auc_score(positive_N, score_N, sample_weight=weights), **EXACT)
    ours = metrics.average_precision(positive_N, score_N, weights[None])[0]
    theirs = sklearn_metrics.average_precision_score(positive_N, score_N, sample_weight=weights)
    assert ours == pytest.approx(theirs, **EXACT)


def test_kappa_f1_and_balanced_accuracy_are_scikit_learns(graded, weights):
    truth_N, grade_N = graded
    confusion_SKK = metrics.confusion(truth_N, grade_N, 5, weights[None])
    weighted = {"sample_weight": weights}
    kappa = sklearn_metrics.cohen_kappa_score(truth_N, grade_N, weights="quadratic", **weighted)
    assert quadratic_kappa(confusion_SKK)[0] == pytest.approx(kappa, **EXACT)
    f1 = sklearn_metrics.f1_score(truth_N, grade_N, average="macro", **weighted)
    assert macro_f1(confusion_SKK)[0] == pytest.approx(f1, **EXACT)
    accuracy = sklearn_metrics.balanced_accuracy_score(truth_N, grade_N, **weighted)
    assert metrics.balanced_accuracy(confusion_SKK)[0] == pytest.approx(accuracy, **EXACT)


def test_a_grade_that_is_only_decided_counts_as_in_scikit_learn():
    truth_N, grade_N = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    confusion_SKK = metrics.confusion(truth_N, grade_N, 4, np.ones((1, 4)))
    theirs = sklearn_metrics.f1_score(truth_N, grade_N, average="macro")
    assert macro_f1(confusion_SKK)[0] == pytest.approx(theirs, **EXACT)


def test_brier_is_scikit_learns(weights):
    rng = np.random.default_rng(6)
    for grades in (2, 5):
        probabilities_NK, truth_N = rng.dirichlet(np.ones(grades), 400), rng.integers(0, grades, 400)
        scores = probabilities_NK[:, 1] if grades == 2 else probabilities_NK
        theirs = sklearn_metrics.brier_score_loss(truth_N, scores, sample_weight=weights)
        assert metrics.brier(truth_N, probabilities_NK, weights[None])[0] == pytest.approx(theirs, **EXACT)


def test_many_resamples_at_once_are_what_each_is_alone(ranked):
    positive_N, score_N = ranked
    weights_SN = np.random.default_rng(7).integers(0, 3, (6, 400)).astype(float)
    alone = [metrics.auc(positive_N, score_N, weights_N[None])[0] for weights_N in weights_SN]
    assert metrics.auc(positive_N, score_N, weights_SN) == pytest.approx(alone, **EXACT)


def test_expected_calibration_error_of_a_case_worked_by_hand():
    stated_N = np.array([0.12, 0.18, 0.95, 0.95, 0.95, 1.0])
    happened_N = np.array([False, True, True, True, True, False])
    # bin 0.1-0.2: stated 0.15, happened 0.5; bin 0.9-1: stated 0.9625, happened 0.75
    by_hand = 2 / 6 * 0.35 + 4 / 6 * 0.2125
    assert metrics.expected_calibration_error(stated_N, happened_N, np.ones((1, 6)))[0] == pytest.approx(by_hand)
    # the last disc never drawn: stated 0.95, happened 1
    weights_SN = np.array([[1.0, 1, 1, 1, 1, 0]])
    by_hand = 2 / 5 * 0.35 + 3 / 5 * 0.05
    assert metrics.expected_calibration_error(stated_N, happened_N, weights_SN)[0] == pytest.approx(by_hand)


def test_one_class_alone_has_no_ranking_and_no_kappa():
    score_N, ones = np.array([0.1, 0.7, 0.9]), np.ones((1, 3))
    for positive_N in (np.zeros(3, bool), np.ones(3, bool)):
        assert np.isnan(metrics.auc(positive_N, score_N, ones)).all()
        assert np.isnan(metrics.average_precision(positive_N, score_N, ones)).all()
    assert np.isnan(quadratic_kappa(metrics.confusion(np.zeros(3, int), np.zeros(3, int), 3, ones))).all()


def test_sensitivity_of_a_finding_nobody_has_is_undefined_not_zero():
    recall_SK = metrics.recall(np.array([[[7.0, 2.0], [0.0, 0.0]]]))
    assert recall_SK[0, 0] == pytest.approx(7 / 9)
    assert np.isnan(recall_SK[0, 1])
