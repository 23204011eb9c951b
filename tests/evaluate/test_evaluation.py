"""From a table to metrics: joined by key, masked where unknown, undefined where nothing can be said."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sklearn_metrics

from spinenet.evaluate import PredictionsError, evaluate
from spinenet.labels import LEVELS, TARGETS


def figures(metrics):
    return {name: target.to_dict() for name, target in metrics.targets.items()}


def test_the_figures_are_scikit_learns_on_the_same_rows(predictions):
    frame = predictions("pfirrmann", "herniation", "modic")
    result = evaluate(frame, samples=20)
    rows = dict(list(frame.groupby("target")))
    value = {name: {key: e.value for key, e in target.estimates.items()} for name, target in result.targets.items()}
    rows_p, rows_h, rows_m = rows["pfirrmann"], rows["herniation"], rows["modic"]
    kappa = sklearn_metrics.cohen_kappa_score(rows_p.truth, rows_p.grade, weights="quadratic")
    assert value["pfirrmann"]["quadratic_kappa"] == pytest.approx(kappa, rel=1e-12)
    auc = sklearn_metrics.roc_auc_score(rows_p.truth >= 3, rows_p.p_2 + rows_p.p_3 + rows_p.p_4)
    assert value["pfirrmann"]["auc"] == pytest.approx(auc, rel=1e-12)
    auc = sklearn_metrics.roc_auc_score(rows_p.truth >= 4, rows_p.p_3 + rows_p.p_4)
    assert result.targets["pfirrmann"].severe["auc"].value == pytest.approx(auc, rel=1e-12)
    f1 = sklearn_metrics.f1_score(rows_m.truth, rows_m.grade, average="macro")
    assert value["modic"]["macro_f1"] == pytest.approx(f1, rel=1e-12)
    auc = sklearn_metrics.roc_auc_score(rows_m.truth > 0, 1 - rows_m.p_0)
    assert value["modic"]["auc"] == pytest.approx(auc, rel=1e-12)
    auc = sklearn_metrics.roc_auc_score(rows_h.truth, rows_h.p_1)
    assert value["herniation"]["auc"] == pytest.approx(auc, rel=1e-12)
    recall = sklearn_metrics.recall_score(rows_h.truth, rows_h.grade)
    assert value["herniation"]["sensitivity"] == pytest.approx(recall, rel=1e-12)
    recall = sklearn_metrics.recall_score(rows_h.truth, rows_h.grade, pos_label=0)
    assert value["herniation"]["specificity"] == pytest.approx(recall, rel=1e-12)
    precision = sklearn_metrics.precision_score(rows_h.truth, rows_h.grade)
    assert value["herniation"]["ppv"] == pytest.approx(precision, rel=1e-12)
    matrix = sklearn_metrics.confusion_matrix(rows_p.truth, rows_p.grade, labels=[1, 2, 3, 4, 5])
    assert (result.targets["pfirrmann"].confusion_KK == matrix).all()


def test_intervals_hold_their_value(predictions):
    for target in evaluate(predictions("pfirrmann", "herniation", patients=120), samples=200).targets.values():
        for name, figure in (target.estimates | target.severe).items():
            assert figure.low <= figure.value <= figure.high, name
            assert figure.low < figure.high, name


def test_the_order_of_rows_does_not_matter(predictions):
    frame = predictions("pfirrmann", "modic", "bulging")
    shuffled = frame.sample(frac=1, random_state=3)
    assert figures(evaluate(frame, samples=50)) == figures(evaluate(shuffled, samples=50))


def test_unknown_truth_is_ignored(predictions):
    frame = predictions("pfirrmann", "bulging")
    unknown = predictions("pfirrmann", "bulging", patients=50, seed=9).iloc[200:250].assign(truth=np.nan)
    unknown["study"] = "x" + unknown["study"]
    both = pd.concat([unknown, frame], ignore_index=True)
    assert figures(evaluate(frame, samples=50)) == figures(evaluate(both, samples=50))
    with pytest.raises(PredictionsError, match="nothing to evaluate"):
        evaluate(frame.assign(truth=np.nan))


def test_a_target_without_labels_is_not_listed(predictions):
    frame = predictions("pfirrmann", "bulging")
    frame.loc[frame.target == "bulging", "truth"] = np.nan
    assert list(evaluate(frame, samples=5).targets) == ["pfirrmann"]


def test_discs_without_a_prediction_are_counted_apart(predictions):
    frame = predictions("bulging", "narrowing").astype({"confident": object})
    lost = frame.index[frame.target == "bulging"][:7]
    frame.loc[lost, ["grade", "p_0", "p_1", "u_0", "u_1", "confident"]] = np.nan
    frame.loc[lost, "confident"] = ""
    bulging = evaluate(frame, samples=5).targets["bulging"]
    assert (bulging.n, bulging.not_graded) == (193, 7)
    assert bulging.confusion_KK.sum() == 193
    assert sum(level.not_graded for level in bulging.levels.values()) == 7


def test_one_class_gives_undefined_figures_never_zero(predictions):
    frame = predictions("herniation").assign(truth=0)
    target = evaluate(frame, samples=50).targets["herniation"]
    assert target.positives == 0
    for name in ("auc", "average_precision", "sensitivity"):
        assert target.to_dict()["metrics"][name] == {"value": None, "low": None, "high": None}
    assert target.estimates["specificity"].value > 0


def test_where_one_patient_alone_has_a_grade_the_mean_over_grades_has_no_interval(predictions):
    frame = predictions("modic", patients=60)
    frame["truth"] = np.where(frame.truth.isin([1, 3]), 0, frame.truth)
    frame.loc[0, "truth"] = 3
    with_it = evaluate(frame, samples=400).targets["modic"].estimates["macro_f1"]
    assert np.isfinite(with_it.value) and np.isnan(with_it.high)


def test_levels_are_the_same_figures_on_their_own_discs(predictions):
    frame = predictions("bulging")
    pooled = evaluate(frame, samples=30).targets["bulging"]
    assert list(pooled.levels) == list(LEVELS[:5])
    alone = evaluate(frame[frame.level == "L4/L5"], samples=30).targets["bulging"]
    assert pooled.levels["L4/L5"].to_dict()["metrics"] == alone.to_dict()["metrics"]
    assert sum(level.n for level in pooled.levels.values()) == pooled.n


def test_calibration_before_needs_the_uncalibrated_probabilities(predictions):
    frame = predictions("bulging", patients=200)
    known = evaluate(frame, samples=20).targets["bulging"].estimates
    assert known["ece_uncalibrated"].value > known["ece"].value
    bare = frame.drop(columns=[f"u_{index}" for index in range(5)])
    assert "ece_uncalibrated" not in evaluate(bare, samples=20).targets["bulging"].estimates


def test_a_severe_disc_called_normal_is_counted_among_the_severe(predictions):
    frame = predictions("canal_stenosis").assign(truth=0)
    frame.loc[:9, "truth"] = 2
    frame["grade"] = 1
    frame.loc[:2, "grade"] = 0
    severe = evaluate(frame, samples=50).targets["canal_stenosis"]
    assert severe.severe_positives == 10
    assert severe.severe["called_normal"].value == pytest.approx(0.3)


def test_pfirrmann_iv_called_ii_was_overlooked_called_iii_was_not(predictions):
    frame = predictions("pfirrmann").assign(truth=4, grade=3)
    frame.loc[:49, "grade"] = 2
    severe = evaluate(frame, samples=50).targets["pfirrmann"].severe
    assert severe["called_normal"].value == pytest.approx(50 / len(frame))


def test_left_and_right_are_also_judged_together(predictions):
    names = ("foraminal_stenosis_left", "foraminal_stenosis_right")
    frame = predictions(*names)
    result = evaluate(frame, samples=30)
    both = result.sides["foraminal_stenosis"]
    assert both.n == sum(result.targets[name].n for name in names)
    kappa = sklearn_metrics.cohen_kappa_score(frame.truth, frame.grade, weights="quadratic")
    assert both.estimates["quadratic_kappa"].value == pytest.approx(kappa, rel=1e-12)
    assert evaluate(frame[frame.target == names[0]], samples=30).sides == {}


def test_a_stated_threshold_decides_instead_of_the_cuts(predictions):
    frame = predictions("herniation")
    stated = evaluate(frame, samples=30, threshold=0.2).targets["herniation"].estimates
    recall = sklearn_metrics.recall_score(frame.truth, frame.p_1 >= 0.2)
    assert stated["sensitivity"].value == pytest.approx(recall, rel=1e-12)
    assert stated["macro_f1"] == evaluate(frame, samples=30).targets["herniation"].estimates["macro_f1"]


def test_two_studies_of_a_patient_are_drawn_together(predictions):
    frame = predictions("bulging", patients=60)
    alone = evaluate(frame, samples=400)
    frame["patient"] = (frame["study"].astype(int) // 6).astype(str)
    together = evaluate(frame, samples=400)
    assert (alone.patients, together.patients) == (60, 10)
    ours, theirs = (one.targets["bulging"].estimates["brier"].value for one in (alone, together))
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_nothing_is_said_without_an_interval(predictions):
    metrics = evaluate(predictions(*(target.name for target in TARGETS), patients=220), samples=60)
    for target in (metrics.targets | metrics.sides).values():
        for name, figure in (target.estimates | target.severe).items():
            assert np.isfinite([figure.value, figure.low, figure.high]).all(), (target.target.name, name)
