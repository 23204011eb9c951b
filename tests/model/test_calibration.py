"""Calibration: temperature, cuts and abstention are learnt from known labels, and only from enough of them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score

from spinenet.labels import TARGET, UNKNOWN
from spinenet.model import calibration
from spinenet.model.calibration import TargetCalibration

PFIRRMANN, MODIC, HERNIATION = TARGET["pfirrmann"], TARGET["modic"], TARGET["herniation"]


def log_softmax(logits_NK):
    return logits_NK - np.log(np.exp(logits_NK).sum(axis=1, keepdims=True))


def labelled_logits(grades, *, discs, seed, offset=0.0):
    """Logits whose softmax is exactly the chance of each grade, and grades drawn from it."""
    rng = np.random.default_rng(seed)
    logits_NK = rng.normal(0, 2, (discs, grades))
    logits_NK[:, 0] += offset
    chances_NK = np.exp(log_softmax(logits_NK))
    return logits_NK, (rng.random(discs)[:, None] > chances_NK.cumsum(axis=1)).sum(axis=1).clip(max=grades - 1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_spoilt_the_logits_is_found(temperature):
    logits_NK, grades_N = labelled_logits(5, discs=8000, seed=1)
    fitted = calibration.fit(PFIRRMANN, log_softmax(logits_NK * temperature), grades_N)
    assert fitted.temperature == pytest.approx(temperature, rel=0.05)


def test_the_temperature_stays_in_its_range_for_a_model_that_is_always_right():
    grades_N = np.arange(40) % 2
    fitted = calibration.fit(HERNIATION, np.log(np.where(np.eye(2)[grades_N], 0.9, 0.1)), grades_N)
    assert fitted.temperature == pytest.approx(calibration.TEMPERATURE_RANGE[0], rel=1e-3)


@pytest.mark.parametrize("target", [PFIRRMANN, MODIC, HERNIATION])
def test_nothing_known_gives_the_neutral_calibration(target):
    logits_NK, grades_N = labelled_logits(len(target.grades), discs=50, seed=2)
    fitted = calibration.fit(target, logits_NK, np.full_like(grades_N, UNKNOWN))
    assert fitted == calibration.neutral(target)
    chances_NK = calibration.probabilities(logits_NK, fitted)
    decided_N, confident_N = calibration.decide(target, chances_NK, fitted)
    assert confident_N.all()
    if target is not PFIRRMANN:
        assert (decided_N == chances_NK.argmax(axis=1)).all()


def test_one_grade_alone_teaches_no_temperature():
    logits_NK, grades_N = labelled_logits(2, discs=50, seed=2)
    assert calibration.fit(HERNIATION, logits_NK, 0 * grades_N) == calibration.neutral(HERNIATION)


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
    chances_NK = calibration.probabilities(padded_NK, fitted)
    assert (chances_NK[:, 2:] == 0).all()
    assert np.allclose(chances_NK.sum(axis=1), 1)
    assert fitted.temperature == pytest.approx(calibration.fit(HERNIATION, logits_NK, grades_N).temperature, rel=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_ordinal_cuts_increase_and_score_no_worse_than_rounding(seed):
    logits_NK, grades_N = labelled_logits(5, discs=300, seed=seed, offset=2.0)
    fitted = calibration.fit(PFIRRMANN, logits_NK, grades_N)
    assert len(fitted.cuts) == 4
    assert (np.diff(fitted.cuts) > 0).all()
    chances_NK = calibration.probabilities(logits_NK, fitted)

    def score(cuts):
        decided_N, _ = calibration.decide(PFIRRMANN, chances_NK, TargetCalibration(1.0, cuts))
        kappa = cohen_kappa_score(grades_N, decided_N, weights="quadratic")
        return (kappa + f1_score(grades_N, decided_N, average="macro")) / 2

    assert score(fitted.cuts) > score(calibration.neutral(PFIRRMANN).cuts)


def test_a_rare_finding_is_called_below_one_half():
    logits_NK, grades_N = labelled_logits(2, discs=3000, seed=5, offset=5.0)
    fitted = calibration.fit(HERNIATION, logits_NK, grades_N)
    chances_NK = calibration.probabilities(logits_NK, fitted)
    decided_N, _ = calibration.decide(HERNIATION, chances_NK, fitted)
    assert fitted.cuts[0] < 0.45
    assert f1_score(grades_N, decided_N, average="macro") > f1_score(
        grades_N, chances_NK.argmax(axis=1), average="macro"
    )


def test_a_threshold_lies_in_the_middle_of_its_plateau():
    chance_N = np.array([0.1] * 20 + [0.3] * 20)
    grades_N = np.array([0] * 20 + [1] * 20)
    cuts = calibration._fit_cuts(HERNIATION, np.stack([1 - chance_N, chance_N], axis=1), grades_N)
    assert cuts[0] == pytest.approx(0.2, abs=0.01)


def test_four_positives_do_not_move_the_threshold():
    logits_NK, grades_N = labelled_logits(2, discs=300, seed=6, offset=30.0)
    grades_N = np.where(np.arange(300) < 4, 1, 0)
    assert calibration.fit(HERNIATION, logits_NK, grades_N).cuts == (0.5,)


def test_decisions_follow_the_cuts():
    chances_NK = np.array([[0.6, 0.4], [0.7, 0.3]])
    for threshold, wanted in ((0.5, [0, 0]), (0.4, [1, 0]), (0.3, [1, 1])):
        decided_N, _ = calibration.decide(HERNIATION, chances_NK, TargetCalibration(1.0, (threshold,)))
        assert decided_N.tolist() == wanted
    spread_NK = np.array([[0.5, 0.0, 0.0, 0.0, 0.5]])  # expected grade index 2
    for cuts, wanted in (((0.5, 1.5, 2.5, 3.5), 2), ((0.5, 1.0, 1.5, 3.5), 3), ((2.1, 2.2, 2.5, 3.5), 0)):
        assert calibration.decide(PFIRRMANN, spread_NK, TargetCalibration(1.0, cuts))[0].tolist() == [wanted]
    modic_NK = np.array([[0.5, 0.1, 0.3, 0.1]])
    assert calibration.decide(MODIC, modic_NK, TargetCalibration(1.0, (1, 1, 1, 1)))[0].tolist() == [0]
    assert calibration.decide(MODIC, modic_NK, TargetCalibration(1.0, (1, 1, 2, 1)))[0].tolist() == [2]


def test_a_lucky_hit_among_a_handful_of_rare_discs_sets_no_weight():
    rng = np.random.default_rng(7)
    grades_N = np.array([0] * 200 + [2] * 100 + [1] * 4 + [3] * 3)
    chances_NK = rng.dirichlet(np.ones(4), len(grades_N)) * 0.5 + 0.5 * np.eye(4)[np.where(grades_N == 2, 2, 0)]
    chances_NK[300] = [0.4, 0.35, 0.15, 0.1]  # one rare disc a weight of 2 would rescue
    weights = calibration._fit_cuts(MODIC, chances_NK, grades_N)
    assert (weights[1], weights[3]) == (1.0, 1.0)


def test_rare_grades_share_one_weight():
    logits_NK, grades_N = labelled_logits(4, discs=600, seed=8, offset=2.0)
    grades_N[np.flatnonzero(grades_N == 1)[8:]] = 0
    grades_N[np.flatnonzero(grades_N == 3)[6:]] = 0
    logits_NK[:, [1, 3]] -= 4 * (grades_N == 0)[:, None] + 2.5  # told apart, but far too shyly
    weights = calibration.fit(MODIC, logits_NK, grades_N).cuts
    assert weights[1] == weights[3] > 1
    assert weights[0] == 1


@pytest.mark.parametrize("target", [PFIRRMANN, MODIC, HERNIATION])
def test_the_model_stands_by_at_least_four_discs_in_five(target):
    logits_NK, grades_N = labelled_logits(len(target.grades), discs=333, seed=9)
    fitted = replace(calibration.fit(target, logits_NK, grades_N), set_thresholds=())
    _, confident_N = calibration.decide(target, calibration.probabilities(logits_NK, fitted), fitted)
    assert 0.8 <= confident_N.mean() < 1
    assert 0 < fitted.abstain_below <= calibration.SURE


def test_a_sure_grade_is_never_withheld():
    logits_NK, grades_N = labelled_logits(2, discs=500, seed=10)
    fitted = replace(calibration.fit(HERNIATION, logits_NK * 20, grades_N), set_thresholds=())
    sure_NK = np.array([[1 - calibration.SURE, calibration.SURE]])
    assert calibration.decide(HERNIATION, sure_NK, fitted)[1].all()


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


def test_averaged_cuts_depend_less_on_which_discs_were_seen(monkeypatch):
    rng = np.random.default_rng(3)
    grades_N = rng.choice(3, 800, p=[0.9, 0.07, 0.03])
    logits_NK = rng.normal(0.0, 1.0, (800, 3)) + 2.5 * np.eye(3)[grades_N]
    halves = [rng.permutation(800)[:400] for _ in range(12)]

    def spread(resamples):
        monkeypatch.setattr(calibration, "RESAMPLES", resamples)
        cuts = [calibration.fit(TARGET["canal_stenosis"], logits_NK[half], grades_N[half]).cuts for half in halves]
        return np.std([upper for _, upper in cuts])

    assert spread(30) < 0.8 * spread(1)
