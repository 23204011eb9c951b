"""Calibration: slope, intercept, cuts and limits are learnt from known labels, and only from enough of them."""

import json

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score

from spinenet.labels import TARGET, UNKNOWN
from spinenet.model import calibration, cut_points
from spinenet.model.calibration import NEUTRAL, TargetCalibration

PFIRRMANN, MODIC, HERNIATION = TARGET["pfirrmann"], TARGET["modic"], TARGET["herniation"]
CANAL = TARGET["canal_stenosis"]


def log_softmax(logits_NK):
    return logits_NK - np.log(np.exp(logits_NK).sum(axis=1, keepdims=True))


def f1_macro(truth_N, decided_N):
    return f1_score(truth_N, decided_N, average="macro")


def kappa(truth_N, decided_N):
    return cohen_kappa_score(truth_N, decided_N, weights="quadratic")


def labelled_logits(grades, *, discs, seed, offset=0.0, sharpness=1.0):
    """Logits whose softmax is exactly the chance of each grade, and grades drawn from it."""
    rng = np.random.default_rng(seed)
    logits_NK = rng.normal(0, 2 * sharpness, (discs, grades))
    logits_NK[:, 0] += offset
    chances_NK = np.exp(log_softmax(logits_NK))
    return logits_NK, (rng.random(discs)[:, None] > chances_NK.cumsum(axis=1)).sum(axis=1).clip(max=grades - 1)


@pytest.mark.parametrize(("slope", "intercept"), [(2.0, 0.0), (1.0, 0.7), (0.5, -1.0)])
@pytest.mark.parametrize("target", [PFIRRMANN, MODIC, HERNIATION])
def test_the_line_that_spoilt_the_logits_is_found(target, slope, intercept):
    grades = len(target.grades)
    logits_NK, grades_N = labelled_logits(grades, discs=8000, seed=1)
    step_K = np.minimum(np.arange(grades), 1) if target is MODIC else np.arange(grades)
    fitted = calibration._fit_line(target, log_softmax((logits_NK - intercept * step_K) / slope), grades_N)
    assert fitted.slope == pytest.approx(slope, rel=0.06)
    assert fitted.intercept == pytest.approx(intercept, abs=0.08)


def test_thirty_positives_that_all_lie_high_do_not_give_a_certain_model():
    grades_N = np.arange(400) < 30
    fitted = calibration._fit_line(
        HERNIATION, np.log(np.where(np.eye(2)[grades_N.astype(int)], 0.9, 0.1)), 1 * grades_N
    )
    assert fitted.slope < 5
    assert abs(fitted.intercept) < 1


def test_a_temperature_of_an_older_bundle_divides_the_log_probabilities():
    older = TargetCalibration.from_dict({"temperature": 2.0, "cuts": [0.3], "abstain_below": 0.7})
    chances_NK = calibration.probabilities(HERNIATION, np.log([[0.1, 0.9]]), older)
    assert chances_NK[0, 1] == pytest.approx(0.75)  # odds of 9 become 3
    decided = calibration.decision(HERNIATION, np.log([[0.1, 0.9]]), older)
    assert (decided.grade_N.tolist(), decided.confident_N.tolist()) == ([1], [True])
    assert TargetCalibration.from_dict(older.to_dict()) == older


@pytest.mark.parametrize("target", [PFIRRMANN, MODIC, HERNIATION])
def test_nothing_known_gives_the_neutral_calibration(target):
    logits_NK, grades_N = labelled_logits(len(target.grades), discs=50, seed=2)
    fitted = calibration.fit(target, logits_NK, np.full_like(grades_N, UNKNOWN))
    assert fitted == NEUTRAL
    decided = calibration.decision(target, logits_NK, fitted)
    assert not decided.confident_N.any()  # nothing shows that its grades are right
    assert (decided.grade_N == decided.p_NK.argmax(axis=1)).all()


def test_one_grade_alone_teaches_nothing():
    logits_NK, grades_N = labelled_logits(2, discs=50, seed=2)
    assert calibration.fit(HERNIATION, logits_NK, 0 * grades_N) == NEUTRAL


@pytest.mark.parametrize("target", [PFIRRMANN, MODIC, HERNIATION])
def test_unknown_labels_change_nothing(target):
    logits_NK, grades_N = labelled_logits(len(target.grades), discs=300, seed=3)
    alone = calibration.fit(target, logits_NK, grades_N)
    beside = calibration.fit(
        target, np.concatenate([logits_NK, -logits_NK]), np.concatenate([grades_N, np.full(300, UNKNOWN)])
    )
    assert alone == beside


def test_padded_grades_have_no_probability_and_change_nothing():
    logits_NK, grades_N = labelled_logits(2, discs=300, seed=4)
    padded_NK = np.concatenate([log_softmax(logits_NK), np.full((300, 3), -1e4)], axis=1).astype(np.float32)
    fitted = calibration.fit(HERNIATION, padded_NK, grades_N)
    chances_NK = calibration.probabilities(HERNIATION, padded_NK, fitted)
    assert (chances_NK[:, 2:] == 0).all()
    assert np.allclose(chances_NK.sum(axis=1), 1)
    assert fitted.slope == pytest.approx(calibration.fit(HERNIATION, logits_NK, grades_N).slope, rel=1e-4)


def test_no_grade_is_decided_that_is_less_probable_than_its_neighbour_where_cuts_do_not_pay():
    for target in (PFIRRMANN, TARGET["bulging"]):
        logits_NK, grades_N = labelled_logits(len(target.grades), discs=400, seed=0)
        decided = calibration.decision(target, logits_NK, calibration.fit(target, logits_NK, grades_N))
        assert (decided.grade_N == decided.p_NK.argmax(axis=1)).all()


def test_ordinal_cuts_increase_and_are_kept_where_rare_grades_would_drown():
    stenosis = TARGET["canal_stenosis"]
    rng = np.random.default_rng(3)
    severity_N = rng.normal(0, 1, 3000)
    logits_NK = np.stack([0 * severity_N, 2 * severity_N - 3, 4 * severity_N - 8], axis=1)
    chances_NK = np.exp(log_softmax(logits_NK))
    grades_N = (rng.random(3000)[:, None] > chances_NK.cumsum(axis=1)).sum(axis=1)
    fitted = calibration.fit(stenosis, logits_NK, grades_N)
    assert len(fitted.cuts) == 2
    assert fitted.cuts[0] < fitted.cuts[1]
    decided = calibration.decision(stenosis, logits_NK, fitted)
    for score in (f1_macro, kappa):
        assert score(grades_N, decided.grade_N) > score(grades_N, decided.p_NK.argmax(axis=1)) + 0.005


def test_a_rare_finding_is_called_below_one_half():
    logits_NK, grades_N = labelled_logits(2, discs=3000, seed=5, offset=5.0)
    fitted = calibration.fit(HERNIATION, logits_NK, grades_N)
    decided = calibration.decision(HERNIATION, logits_NK, fitted)
    neutral_N = decided.p_NK.argmax(axis=1)
    assert fitted.cuts[0] < 0.45
    assert f1_macro(grades_N, decided.grade_N) > f1_macro(grades_N, neutral_N) + cut_points.CLEAR_GAIN


def test_a_threshold_lies_in_the_middle_of_its_plateau():
    chance_N = np.array([0.1] * 20 + [0.3] * 20)
    grades_N = np.array([0] * 20 + [1] * 20)
    cuts = cut_points.fit_cuts(HERNIATION, np.stack([1 - chance_N, chance_N], axis=1), grades_N)
    assert cuts[0] == pytest.approx(0.2, abs=0.01)


def test_four_positives_do_not_move_the_threshold():
    logits_NK, grades_N = labelled_logits(2, discs=300, seed=6, offset=30.0)
    grades_N = np.where(np.arange(300) < 4, 1, 0)
    assert calibration.fit(HERNIATION, logits_NK, grades_N).cuts == ()


def test_decisions_follow_the_cuts():
    chances_NK = np.array([[0.6, 0.4], [0.7, 0.3]])
    for threshold, wanted in ((0.5, [0, 0]), (0.4, [1, 0]), (0.3, [1, 1])):
        assert decided_by(HERNIATION, chances_NK, threshold) == wanted
    spread_NK = np.array([[0.5, 1e-9, 1e-9, 1e-9, 0.5]])  # expected grade index 2
    for cuts, wanted in (((0.5, 1.5, 2.5, 3.5), 2), ((0.5, 1.0, 1.5, 3.5), 3), ((2.1, 2.2, 2.5, 3.5), 0)):
        assert decided_by(PFIRRMANN, spread_NK, *cuts) == [wanted]
    modic_NK = np.array([[0.5, 0.1, 0.3, 0.1]])
    assert decided_by(MODIC, modic_NK, 1, 1, 1, 1) == [0]
    assert decided_by(MODIC, modic_NK, 1, 1, 2, 1) == [2]


def decided_by(target, chances_NK, *cuts):
    return calibration.decision(target, np.log(chances_NK), TargetCalibration(cuts=cuts)).grade_N.tolist()


def test_a_grade_is_stood_by_only_where_nothing_speaks_against_it():
    slip = TARGET["spondylolisthesis"]
    logp_NK = np.log([[0.95, 0.05], [0.05, 0.95], [0.75, 0.25], [0.55, 0.45]])
    rule = TargetCalibration(confident_from=(0.7, 0.7), set_thresholds=(0.1, 0.2))

    def stood_by(**facts):
        return calibration.decision(slip, logp_NK, rule, **facts).confident_N.tolist()

    assert stood_by() == [True, True, False, False]  # the third's set holds both grades, the last is not likely
    assert stood_by(doubted_N=np.array([True, False, False, False])) == [False, True, False, False]
    assert stood_by(measured_N=np.ones(4, int)) == [False, True, False, False]  # present where it was measured
    assert stood_by(measured_N=-np.ones(4, int)) == [
        True,
        False,
        False,
        False,
    ]  # absent, and measured to be
    assert stood_by(measured_N=np.zeros(4, int)) == stood_by()
    assert not any(stood_by(evidence="synthetic"))
    assert calibration.decision(slip, logp_NK, rule, evidence="synthetic").sets_N == [()] * 4


def test_what_no_patient_has_shown_is_stated_less_surely_and_is_the_most_probable_grade():
    logp_NK = np.log([[0.9, 0.09, 0.01], [0.2, 0.3, 0.5]])
    for cuts in ((), (0.1, 0.2)):
        tried, untried = (
            calibration.decision(CANAL, logp_NK, TargetCalibration(cuts=cuts), evidence=evidence)
            for evidence in ("real", "synthetic")
        )
        assert untried.grade_N.tolist() == untried.p_NK.argmax(axis=1).tolist() == [0, 2]
        assert tried.grade_N.tolist() == ([1, 2] if cuts else [0, 2])
        odds = [one.p_NK[:, 1:] / one.p_NK[:, :1] for one in (untried, tried)]
        np.testing.assert_allclose(odds[0], np.sqrt(odds[1]), rtol=1e-9)
        np.testing.assert_allclose(untried.p_NK.sum(axis=1), 1)


def test_a_calibration_on_phantoms_makes_nothing_surer_for_patients():
    logp_NK = np.log([[0.8, 0.15, 0.05], [0.2, 0.3, 0.5]])
    plain, sharpened, dulled = (
        calibration.decision(CANAL, logp_NK, TargetCalibration(slope=slope), evidence="synthetic").p_NK
        for slope in (1.0, 2.0, 0.5)
    )
    np.testing.assert_allclose(sharpened, plain)
    assert (dulled.max(1) < plain.max(1)).all()


@pytest.mark.parametrize("target", [PFIRRMANN, MODIC, HERNIATION])
def test_one_in_ten_of_the_grades_called_confident_is_wrong_in_discs_not_seen_before(target):
    confident, wrong = np.zeros(2), np.zeros(2)
    for seed in range(4):
        logits_NK, grades_N = labelled_logits(len(target.grades), discs=5000, seed=seed, sharpness=1.5)
        decided = calibration.decision(
            target, logits_NK[1000:], calibration.fit(target, logits_NK[:1000], grades_N[:1000])
        )
        for finding in (0, 1):
            called_N = decided.confident_N & ((decided.grade_N >= target.finding_from) == finding)
            confident[finding] += called_N.sum()
            wrong[finding] += (called_N & (decided.grade_N != grades_N[1000:])).sum()
    assert (confident > 0).all()
    assert (confident < 16000 * 0.6).all()
    assert (wrong <= 0.105 * confident).all()


def test_findings_that_are_never_sure_enough_are_not_called_confident_though_their_absence_is():
    rng = np.random.default_rng(4)
    chance_N = np.where(rng.random(2000) < 0.1, 0.6, 0.02)
    fitted = calibration.fit(
        HERNIATION, np.log(np.stack([1 - chance_N, chance_N], axis=1)), (rng.random(2000) < chance_N).astype(int)
    )
    assert fitted.confident_from[1] is None
    sure = calibration.decision(HERNIATION, np.log([[1e-6, 1 - 1e-6], [1 - 1e-6, 1e-6]]), fitted)
    assert sure.grade_N.tolist() == [1, 0] and sure.confident_N.tolist() == [False, True]


def test_five_lucky_discs_do_not_make_a_grade_confident():
    assert calibration.least_probability(np.linspace(0.9, 0.99, 49), np.ones(49, bool)) is None
    stated_N = np.r_[np.full(5, 0.99), np.full(200, 0.6)]
    assert calibration.least_probability(stated_N, np.r_[np.ones(5, bool), np.arange(200) < 120]) is None


def test_calibration_survives_json():
    logits_NK, grades_N = labelled_logits(5, discs=300, seed=11)
    fitted = calibration.fit(PFIRRMANN, logits_NK, grades_N)
    assert TargetCalibration.from_dict(json.loads(json.dumps(fitted.to_dict(), allow_nan=False))) == fitted


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"temperature": 1, "cuts": 0.5, "abstain_below": 0},
        {"temperature": 0, "cuts": [0.5], "abstain_below": 0},
        {"temperature": 1, "cuts": [float("nan")], "abstain_below": 0},
        {"temperature": 1, "cuts": ["high"], "abstain_below": 0},
        {"slope": 1, "intercept": 0, "cuts": []},
        {"slope": -1, "intercept": 0, "cuts": [], "confident_from": [0.9, None]},
        {"slope": 1, "intercept": float("inf"), "cuts": [], "confident_from": [0.9, None]},
    ],
)
def test_a_damaged_calibration_is_refused(values):
    with pytest.raises(ValueError):
        TargetCalibration.from_dict(values)


def test_rows_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="herniation"):
        calibration.fit(HERNIATION, np.zeros((5, 2)), np.zeros(4, int))
    with pytest.raises(ValueError, match="columns"):
        calibration.fit(PFIRRMANN, np.zeros((5, 2)), np.zeros(5, int))


def test_averaged_cuts_depend_less_on_which_discs_were_seen():
    rng = np.random.default_rng(3)
    grades_N = rng.choice(3, 800, p=[0.9, 0.07, 0.03])
    logits_NK = rng.normal(0.0, 1.0, (800, 3)) + 2.5 * np.eye(3)[grades_N]
    halves = [rng.permutation(800)[:400] for _ in range(12)]

    positions_N = np.exp(log_softmax(logits_NK)) @ np.arange(3)

    def spread(resamples):
        found = [
            cut_points._bagged_cuts(positions_N[h], grades_N[h], cut_points._kappa_and_f1, resamples) for h in halves
        ]
        return np.std([upper for _, upper in found])

    assert spread(30) < 0.8 * spread(1)
