"""Every formula agrees with scikit-learn, with and without weights, with published examples, and by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sklearn_metrics
from sklearn.linear_model import LogisticRegression

from spinenet.evaluate import metrics
from spinenet.evaluate.evaluation import evaluate
from spinenet.evaluate.intervals import Resamples, once
from spinenet.evaluate.metrics import auc_and_precision
from spinenet.evaluate.samples import check_predictions

EXACT = {"rel": 1e-12, "abs": 1e-12}
DISCS = 400
EACH = np.arange(DISCS)


@pytest.fixture(params=["unweighted", "weighted", "resampled"])
def weights(request):
    rng = np.random.default_rng(3)
    draw = {
        "unweighted": lambda: np.ones(DISCS),
        "weighted": lambda: rng.uniform(0.1, 3, DISCS),
        "resampled": lambda: rng.multinomial(DISCS, np.full(DISCS, 1 / DISCS)).astype(float),
    }
    return draw[request.param]()


@pytest.fixture(params=["distinct scores", "tied scores", "mostly positive"])
def ranked(request):
    rng = np.random.default_rng(4)
    positive_N = rng.random(DISCS) < (0.9 if request.param == "mostly positive" else 0.2)
    score_N = np.clip(rng.normal(0.4 + 0.2 * positive_N, 0.2), 0, 1)
    return positive_N, score_N.round(1) if request.param == "tied scores" else score_N


@pytest.fixture
def graded():
    rng = np.random.default_rng(5)
    truth_N = rng.integers(0, 5, DISCS)
    return truth_N, np.clip(truth_N + rng.integers(-1, 2, DISCS), 0, 4)


def test_auc_and_average_precision_are_scikit_learns(ranked, weights):
    positive_N, score_N = ranked
    area, precision = auc_and_precision(positive_N, score_N, EACH, Resamples(weights[None], 0))
    theirs = sklearn_metrics.roc_auc_score(positive_N, score_N, sample_weight=weights)
    assert area[0] == pytest.approx(theirs, **EXACT)
    theirs = sklearn_metrics.average_precision_score(positive_N, score_N, sample_weight=weights)
    assert precision[0] == pytest.approx(theirs, **EXACT)


def test_agreement_is_scikit_learns(graded, weights):
    truth_N, grade_N = graded
    counts_KK = Resamples(weights[None], 0).counts(EACH, truth_N * 5 + grade_N, 25).reshape(5, 5)
    assert counts_KK == pytest.approx(
        sklearn_metrics.confusion_matrix(truth_N, grade_N, sample_weight=weights), **EXACT
    )
    weighted = {"sample_weight": weights}
    theirs = {
        metrics.cohen_kappa: sklearn_metrics.cohen_kappa_score(truth_N, grade_N, **weighted),
        metrics.linear_kappa: sklearn_metrics.cohen_kappa_score(truth_N, grade_N, weights="linear", **weighted),
        metrics.quadratic_kappa: sklearn_metrics.cohen_kappa_score(truth_N, grade_N, weights="quadratic", **weighted),
        metrics.macro_f1: sklearn_metrics.f1_score(truth_N, grade_N, average="macro", **weighted),
        metrics.balanced_accuracy: sklearn_metrics.balanced_accuracy_score(truth_N, grade_N, **weighted),
        metrics.accuracy: sklearn_metrics.accuracy_score(truth_N, grade_N, **weighted),
        metrics.matthews: sklearn_metrics.matthews_corrcoef(truth_N, grade_N, **weighted),
    }
    for ours, value in theirs.items():
        assert ours(counts_KK) == pytest.approx(value, **EXACT), ours.__name__
    each = sklearn_metrics.recall_score(truth_N, grade_N, average=None, **weighted)
    assert metrics.recall(counts_KK) == pytest.approx(each, **EXACT)


def test_brier_and_log_loss_are_scikit_learns(weights):
    rng = np.random.default_rng(6)
    one = Resamples(weights[None], 0)
    for grades in (2, 5):
        p_NK, truth_N = rng.dirichlet(np.ones(grades), DISCS), rng.integers(0, grades, DISCS)
        discs, brier, log = one.totals(EACH, metrics.brier_errors(truth_N, p_NK), metrics.log_losses(truth_N, p_NK))[0]
        scores = p_NK[:, 1] if grades == 2 else p_NK
        theirs = sklearn_metrics.brier_score_loss(truth_N, scores, sample_weight=weights)
        assert brier / discs == pytest.approx(theirs, **EXACT)
        assert log / discs == pytest.approx(sklearn_metrics.log_loss(truth_N, p_NK, sample_weight=weights), **EXACT)


def test_an_impossible_grade_that_came_true_costs_as_much_as_in_scikit_learn():
    p_NK = np.array([[1.0, 0.0], [0.5, 0.5]])
    ours = metrics.log_losses(np.array([1, 1]), p_NK).mean()
    assert ours == pytest.approx(sklearn_metrics.log_loss([1, 1], p_NK, labels=[0, 1]), **EXACT)


def test_gwets_ac1_of_his_published_examples():
    # Gwet 2002, "Kappa statistic is not satisfactory for assessing the extent of agreement between raters", table 1 and
    # the same 125 subjects with the disagreement moved: kappa falls below 0, AC1 stays near the 94 % that agree
    skewed = np.array([[118.0, 5.0], [2.0, 0.0]])
    assert metrics.cohen_kappa(skewed) == pytest.approx(-0.0234, abs=5e-5)
    assert metrics.gwet_ac1(skewed) == pytest.approx(0.9408, abs=5e-5)


def test_gwets_ac1_of_several_grades_is_its_definition():
    counts = np.random.default_rng(1).integers(0, 20, (4, 4)).astype(float)
    n = counts.sum()
    share = [(counts[k].sum() + counts[:, k].sum()) / (2 * n) for k in range(4)]
    chance = sum(p * (1 - p) for p in share) / 3
    assert metrics.gwet_ac1(counts) == pytest.approx((np.trace(counts) / n - chance) / (1 - chance), **EXACT)


def test_kappa_is_statsmodels(graded):
    from statsmodels.stats.inter_rater import cohens_kappa

    truth_N, grade_N = graded
    counts_KK = once(DISCS).counts(EACH, truth_N * 5 + grade_N, 25).reshape(5, 5)
    assert metrics.cohen_kappa(counts_KK) == pytest.approx(cohens_kappa(counts_KK).kappa, **EXACT)
    weighted = cohens_kappa(counts_KK, wt="linear").kappa
    assert metrics.linear_kappa(counts_KK) == pytest.approx(weighted, **EXACT)


def test_a_grade_that_is_only_decided_counts_as_in_scikit_learn():
    truth_N, grade_N = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    counts_KK = once(4).counts(np.arange(4), truth_N * 4 + grade_N, 16).reshape(4, 4)
    theirs = sklearn_metrics.f1_score(truth_N, grade_N, average="macro")
    assert metrics.macro_f1(counts_KK) == pytest.approx(theirs, **EXACT)


def test_many_columns_at_once_are_what_each_is_alone(ranked):
    positive_N, score_N = ranked
    weights_CP = np.random.default_rng(7).integers(0, 3, (6, DISCS)).astype(float)
    together = auc_and_precision(positive_N, score_N, EACH, Resamples(weights_CP, 5))
    for column, weights_P in enumerate(weights_CP):
        alone = auc_and_precision(positive_N, score_N, EACH, Resamples(weights_P[None], 0))
        assert [one[column] for one in together] == pytest.approx([one[0] for one in alone], **EXACT)


def test_the_discs_of_a_patient_are_weighed_together(ranked):
    positive_N, score_N = ranked
    patient_N = EACH // 5
    weights_P = np.random.default_rng(8).integers(0, 4, DISCS // 5).astype(float)
    by_patient = auc_and_precision(positive_N, score_N, patient_N, Resamples(weights_P[None], 0))
    by_disc = auc_and_precision(positive_N, score_N, EACH, Resamples(weights_P[patient_N][None], 0))
    assert by_patient[0] == pytest.approx(by_disc[0], **EXACT)


def test_calibration_errors_of_a_case_worked_by_hand():
    stated_N = np.array([0.12, 0.18, 0.95, 0.95, 0.95, 1.0])
    happened_N = np.array([False, True, True, True, True, False])

    def error(bins, weights):
        bin_N, each = bins(stated_N), np.arange(6)
        return metrics.calibration_error(stated_N, happened_N, bin_N, each, Resamples(weights[None], 0))[0]

    # bin 0.1-0.2: stated 0.15, happened 0.5; bin 0.9-1: stated 0.9625, happened 0.75
    assert error(metrics.equal_width, np.ones(6)) == pytest.approx(2 / 6 * 0.35 + 4 / 6 * 0.2125)
    # the last disc never drawn: stated 0.95, happened 1
    assert error(metrics.equal_width, np.array([1.0, 1, 1, 1, 1, 0])) == pytest.approx(2 / 5 * 0.35 + 3 / 5 * 0.05)
    # ten bins for six discs: each distinct probability has its own
    by_hand = (0.12 + 0.82 + 3 * 0.05 + 1) / 6
    assert error(metrics.equal_mass, np.ones(6)) == pytest.approx(by_hand)


def test_the_calibration_line_is_the_logistic_regression_of_what_happened_on_the_stated_log_odds():
    rng = np.random.default_rng(5)
    logit_N = rng.normal(0, 2, 600)
    happened_N = rng.random(600) < 1 / (1 + np.exp(-(0.6 * logit_N + 0.4)))
    weights_CP = np.stack([np.ones(600), rng.integers(0, 3, 600)]).astype(float)
    stated_N = 1 / (1 + np.exp(-logit_N))
    slope_C, intercept_C = metrics.calibration_line(stated_N, happened_N, np.arange(600), Resamples(weights_CP, 1))
    for column, weights_N in enumerate(weights_CP):
        theirs = LogisticRegression(C=1e9, tol=1e-8).fit(logit_N[:, None], happened_N, weights_N)
        assert slope_C[column] == pytest.approx(theirs.coef_[0, 0], abs=1e-3)
        assert intercept_C[column] == pytest.approx(theirs.intercept_[0], abs=1e-3)


def test_a_finding_nobody_has_has_no_calibration_line():
    stated_N = np.linspace(0.1, 0.9, 9)
    for happened_N in (np.zeros(9, bool), stated_N > 0.5):
        assert np.isnan(metrics.calibration_line(stated_N, happened_N, np.arange(9), once(9))).all()


def test_the_error_among_confident_grades_counts_confident_grades_alone():
    frame = pd.DataFrame(
        {
            "study": [f"s{i}" for i in range(6)],
            "level": "L4/L5",
            "target": "bulging",
            "grade": [1, 1, 1, 0, 0, 0],
            "truth": [1, 0, 0, 0, 0, 1],
            "confident": [True, True, False, True, True, False],
            "p_0": 0.5,
            "p_1": 0.5,
            **dict.fromkeys(("p_2", "p_3", "p_4"), np.nan),
        }
    )
    found = evaluate(check_predictions(frame), samples=20).targets["bulging"].estimates
    names = ("coverage", "confident_error", "finding_coverage", "confident_finding_error")
    assert [found[name].value for name in names] == pytest.approx([4 / 6, 1 / 4, 2 / 3, 1 / 2])


def test_bins_of_equal_mass_hold_equally_many_discs():
    stated_N = np.random.default_rng(2).beta(0.3, 3, 1000)
    assert np.bincount(metrics.equal_mass(stated_N)).tolist() == [100] * 10
    assert np.bincount(metrics.equal_width(stated_N)).max() > 600


def test_one_class_alone_has_no_ranking_and_no_kappa():
    score_N, each = np.array([0.1, 0.7, 0.9]), np.arange(3)
    for positive_N in (np.zeros(3, bool), np.ones(3, bool)):
        assert np.isnan(auc_and_precision(positive_N, score_N, each, once(3))).all()
    never_drawn = Resamples(np.array([[0.0, 1, 1]]), 0)
    assert np.isnan(auc_and_precision(np.array([True, False, False]), score_N, each, never_drawn)).all()
    lone = np.diag([3.0, 0, 0])
    for measure in (metrics.cohen_kappa, metrics.quadratic_kappa, metrics.matthews):
        assert np.isnan(measure(lone))


def test_sensitivity_of_a_finding_nobody_has_is_undefined_not_zero():
    recall_K = metrics.recall(np.array([[7.0, 2.0], [0.0, 0.0]]))
    assert recall_K[0] == pytest.approx(7 / 9)
    assert np.isnan(recall_K[1])
