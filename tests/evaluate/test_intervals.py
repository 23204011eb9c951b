"""Intervals come from drawing patients, not discs, and hold the truth as often as they say."""

import numpy as np
import pytest
from scipy import stats

from spinenet.evaluate.intervals import (
    FAMILY_ERROR,
    Estimate,
    Resamples,
    bca,
    draw_patients,
    jackknife,
    max_t,
    once,
    percentile,
    plain,
    reflected,
    resting,
    share,
    side_by_side,
)
from spinenet.evaluate.metrics import auc_and_precision, quadratic_kappa, ratio


def share_of(hit_N, patient_N, resamples):
    discs_C, hits_C = resamples.totals(patient_N, hit_N).T
    return ratio(hits_C, discs_C)


def width(figure):
    return figure.high - figure.low


def test_discs_that_agree_within_a_patient_widen_the_interval():
    patient_N = np.arange(60).repeat(5)
    hit_N = (np.random.default_rng(0).random(60) < 0.5).astype(float).repeat(5)
    patients, discs = draw_patients(60, 1000, 0), draw_patients(300, 1000, 0)
    over_patients = percentile(share_of(hit_N, patient_N, patients), patients)
    over_discs = percentile(share_of(hit_N, np.arange(300), discs), discs)
    assert over_patients.value == over_discs.value
    assert width(over_patients) == pytest.approx(np.sqrt(5) * width(over_discs), rel=0.15)


def test_the_interval_of_a_mean_is_the_normal_one():
    hit_N = (np.arange(400) % 4 == 0).astype(float)
    resamples = draw_patients(400, 4000, 1)
    half = 1.96 * np.sqrt(0.25 * 0.75 / 400)
    for interval in (percentile, bca):
        figure = interval(share_of(hit_N, np.arange(400), resamples), resamples)
        assert (figure.low, figure.high) == pytest.approx((0.25 - half, 0.25 + half), abs=0.006)


@pytest.mark.parametrize("skewed", [False, True])
def test_bca_is_scipys(skewed):
    rng = np.random.default_rng(5)
    value_N = rng.exponential(1, 120) ** 2 if skewed else rng.normal(0, 1, 120)
    resamples = draw_patients(120, 8000, 0)
    ours = bca(ratio(*resamples.totals(np.arange(120), value_N).T[::-1]), resamples)
    theirs = stats.bootstrap((value_N,), np.mean, n_resamples=8000, method="BCa", rng=1).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=0.03, abs=0.01)


def test_a_seed_gives_the_same_draws_and_every_draw_has_all_places():
    draws = draw_patients(9, 20, 5)
    assert (draws.weights_CP == draw_patients(9, 20, 5).weights_CP).all()
    assert (draws.weights_CP != draw_patients(9, 20, 6).weights_CP).any()
    assert (draws.draws.weights_CP.sum(axis=1) == 9).all()
    assert (draws.weights_CP[0] == 1).all()


def test_each_patient_is_left_out_once():
    for patients in (9, 450):
        left_out_GP = 1 - draw_patients(patients, 3, 0).weights_CP[4:]
        assert (left_out_GP.sum(axis=0) == 1).all()
        assert len(left_out_GP) == min(patients, 200)


def test_a_figure_of_fewer_than_ten_patients_has_no_interval():
    resamples = draw_patients(12, 50, 0)
    for patients in (1, 9, 10):
        patient_N = np.arange(patients).repeat(2)
        figure = bca(resting(share_of(patient_N % 2, patient_N, resamples), patient_N), resamples)
        assert figure.value == pytest.approx((patient_N % 2).mean())
        assert np.isfinite([figure.low, figure.high]).all() == (patients == 10)


def test_few_defined_draws_give_no_interval():
    resamples = Resamples(np.ones((101, 1)), 100)
    values_C = np.r_[0.5, np.where(np.arange(100) < 49, 0.5, np.nan)]
    assert np.isnan(percentile(values_C, resamples).low)
    values_C = np.r_[0.5, np.where(np.arange(100) < 51, 0.5, np.nan)]
    assert percentile(values_C, resamples).low == 0.5


def test_a_share_of_one_has_clopper_and_pearsons_interval_over_patients():
    resamples = draw_patients(20, 100, 0)
    figure = share(np.ones(len(resamples.weights_CP)), resamples, 20)
    theirs = stats.binomtest(20, 20).proportion_ci(0.95, method="exact")
    assert (figure.low, figure.high) == pytest.approx((theirs.low, theirs.high))
    figure = share(np.zeros(len(resamples.weights_CP)), resamples, 20)
    theirs = stats.binomtest(0, 20).proportion_ci(0.95, method="exact")
    assert (figure.low, figure.high) == pytest.approx((theirs.low, theirs.high))


def test_a_mirrored_interval_reaches_below_what_noise_added():
    groups_NG = np.random.default_rng(2).normal(0, 1, (200, 10))
    resamples = draw_patients(200, 500, 0)
    gap_C = np.abs(resamples.weights_CP @ groups_NG).mean(axis=1) / 200  # 0 but for chance
    plain, mirrored = percentile(gap_C, resamples), reflected(gap_C, resamples)
    assert 0 <= mirrored.low < plain.low
    assert mirrored.low <= mirrored.value <= mirrored.high


def test_the_p_of_one_question_and_its_interval_say_the_same():
    rng = np.random.default_rng(4)
    resamples = draw_patients(100, 2000, 0)
    for shift in (0.0, 0.1, 0.35, 0.5):
        values_C = share_of(rng.normal(shift, 1, 100), np.arange(100), resamples)
        interval = percentile(values_C, resamples)
        assert (max_t([values_C], resamples)[0] < 0.05) == (interval.low > 0 or interval.high < 0)
    assert max_t([np.zeros(len(resamples.weights_CP))], resamples)[0] == 1
    assert max_t([], resamples).shape == (0,)


def questions(shifted, patients, rng):
    """60 questions asked of the same patients, whose answers hang together; the first ``shifted`` are not 0."""
    shared_P1 = rng.normal(0, 1, (patients, 1))
    return 0.7 * shared_P1 + rng.normal(0, 1, (patients, 60)) + 0.55 * (np.arange(60) < shifted)


def answers_of(value_PM, resamples):
    return max_t(list((resamples.weights_CP @ value_PM / resamples.weights_CP.sum(axis=1, keepdims=True)).T), resamples)


def test_of_60_questions_the_6_that_truly_differ_are_found_and_no_other():
    rng = np.random.default_rng(7)
    resamples = draw_patients(200, 1000, 1)
    found = np.array([answers_of(questions(6, 200, rng), resamples) < FAMILY_ERROR for _ in range(20)])
    assert found[:, :6].mean() > 0.95
    assert found[:, 6:].any(axis=1).sum() <= 1


def test_a_family_of_60_equal_questions_is_called_different_in_one_of_a_hundred():
    rng = np.random.default_rng(8)
    resamples = draw_patients(200, 1000, 2)
    wrong = [(answers_of(questions(0, 200, rng), resamples) < FAMILY_ERROR).any() for _ in range(300)]
    assert np.mean(wrong) <= 0.03  # 1 % is expected of 300: 0 to 8


def test_a_question_is_cheaper_where_questions_hang_together():
    resamples = draw_patients(150, 1000, 3)
    rng = np.random.default_rng(5)
    one_P1 = rng.normal(0.25, 1, (150, 1))
    apart = answers_of(np.hstack([one_P1, rng.normal(0, 1, (150, 59))]), resamples)[0]
    together = answers_of(np.hstack([one_P1, one_P1 - 0.25 + 0.01 * rng.normal(0, 1, (150, 59))]), resamples)[0]
    assert answers_of(one_P1, resamples)[0] <= together < apart


def test_undefined_is_null_in_json():
    assert plain(Estimate(0.5, np.nan, np.nan)) == {"value": 0.5, "low": None, "high": None}


def simulate(patients, rng):
    """Five discs of each patient: a score that ranks, and grades of two raters who see the same patient."""
    spine_P = rng.normal(0, 1, patients)
    latent_N = (0.6 * spine_P[:, None] + 0.8 * rng.normal(0, 1, (patients, 5))).ravel()
    seen_N = latent_N + 0.7 * rng.normal(0, 1, len(latent_N))
    cuts = [-0.8, 0, 0.8, 1.5]
    return np.searchsorted(cuts, latent_N), np.searchsorted(cuts, seen_N), seen_N, np.arange(patients).repeat(5)


def figures(truth_N, grade_N, score_N, patient_N, resamples):
    counts = resamples.counts(patient_N, truth_N * 5 + grade_N, 25).reshape(-1, 5, 5)
    severe_N = truth_N >= 3
    seen = patient_N[severe_N]
    return {
        "AUC": auc_and_precision(severe_N, score_N, patient_N, resamples)[0],
        "average precision": auc_and_precision(severe_N, score_N, patient_N, resamples)[1],
        "quadratic kappa": quadratic_kappa(counts),
        "sensitivity": ratio(*resamples.totals(seen, grade_N[severe_N] >= 3).T[::-1]),
    }


def test_intervals_hold_the_truth_in_93_to_97_of_100_draws():
    rng = np.random.default_rng(2024)
    many = simulate(100_000, rng)
    truth = {name: values[0] for name, values in figures(*many, once(100_000)).items()}
    draws = [simulate(120, rng) for _ in range(500)]

    def held(index):
        resamples = draw_patients(120, 500, index)
        found = {name: bca(values_C, resamples) for name, values_C in figures(*draws[index], resamples).items()}
        return [found[name].low <= value <= found[name].high for name, value in truth.items()]

    coverage = dict(zip(truth, np.mean(side_by_side(held, range(500)), axis=0), strict=True))
    assert all(0.93 <= share_held <= 0.97 for share_held in coverage.values()), coverage


def rare_finding(patients, rng):
    """Seven discs a patient, one in twenty with the finding, alike within a patient as discs are."""
    spine = rng.normal(size=patients).repeat(7)
    positive = spine + rng.normal(size=len(spine)) > stats.norm.isf(0.05) * np.sqrt(2)
    return positive, 1.5 * positive + 0.4 * spine + rng.normal(size=len(spine)), np.arange(patients).repeat(7)


def test_the_interval_of_average_precision_holds_the_truth_where_positives_are_few():
    rng = np.random.default_rng(0)
    truth = np.mean([auc_and_precision(*rare_finding(2000, rng), once(2000))[1][0] for _ in range(10)])
    held = []
    for seed in range(300):
        resamples = draw_patients(179, 0, seed)
        found = jackknife(auc_and_precision(*rare_finding(179, rng), resamples)[1], resamples)
        held.append(found.low <= truth <= found.high)
    assert stats.binom.ppf(0.005, 300, 0.93) <= sum(held) <= stats.binom.isf(0.005, 300, 0.97)


def test_an_average_precision_of_one_is_in_its_interval_and_an_undefined_one_has_none():
    resamples = draw_patients(20, 0, 0)
    assert jackknife(np.ones(21), resamples) == Estimate(1.0, pytest.approx(1.0, abs=1e-5), 1.0)
    assert np.isnan(jackknife(np.r_[0.5, np.full(20, np.nan)], resamples).low)
