"""Acceptance testing: bars stated before, judged once over patients, and one page."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from spinenet.errors import ConfigError, PredictionsError
from spinenet.evaluate.quality_assurance import local_test
from spinenet.evaluate.quality_assurance.bars import Bar
from spinenet.evaluate.quality_assurance.local_test import FAIL, PASS, TOO_FEW, judge, overall
from spinenet.evaluate.quality_assurance.protocol import Protocol, load_protocol
from spinenet.evaluate.samples import check_predictions
from spinenet.model.bundle import load_bundle
from spinenet.readers.dicom.assembly import study_key

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "data" / "sample"


def verdicts(frame, *bars):
    return [one.verdict for one in judge(check_predictions(frame), Protocol("test", bars, samples=300))]


def test_a_bar_is_passed_by_the_whole_interval_failed_by_the_whole_interval_and_else_needs_more_patients(predictions):
    frame = predictions("bulging", patients=150)
    found = judge(check_predictions(frame), Protocol("test", (Bar("bulging", "auc", least=0.5),), samples=300))[0]
    low, value, high = found.estimate.low, found.estimate.value, found.estimate.high
    limits = (low - 0.001, (value + low) / 2, high + 0.001)
    assert verdicts(frame, *(Bar("bulging", "auc", least=limit) for limit in limits)) == [PASS, TOO_FEW, FAIL]
    brier = [Bar("bulging", "brier", most=limit) for limit in (0.9, 0.001)]
    assert verdicts(frame, *brier) == [PASS, FAIL]


def test_too_few_patients_with_the_finding_are_told_how_many_would_do(predictions):
    frame = predictions("herniation", patients=60)
    assert verdicts(frame, Bar("herniation", "auc", least=0.5, patients=1000)) == [TOO_FEW]
    near = judge(check_predictions(frame), Protocol("t", (Bar("herniation", "auc", least=0.5),), samples=300))[0]
    halfway = (near.estimate.value + near.estimate.low) / 2
    found = judge(check_predictions(frame), Protocol("t", (Bar("herniation", "auc", least=halfway),), samples=300))[0]
    assert found.verdict == TOO_FEW
    assert found.wanted == pytest.approx(4 * found.positive_patients, abs=1)  # half the distance: four times as many
    frame["truth"] = (frame.index < 5 * 5).astype(int) * frame.truth
    assert verdicts(frame, Bar("herniation", "sensitivity", least=0.1, patients=1)) == [TOO_FEW]
    assert verdicts(frame, Bar("modic", "auc", least=0.1)) == [TOO_FEW]


def test_a_patient_has_what_any_of_the_discs_has_and_is_called_where_any_is(predictions):
    frame = predictions("canal_stenosis", patients=200)
    bar = Bar("canal_stenosis", "sensitivity", least=0.1, question="severe", unit="patient", threshold=0.2)
    found = judge(check_predictions(frame), Protocol("t", (bar,), samples=200))[0]
    by_patient = (
        frame.assign(severe=frame.truth == 2, called=frame.p_2 >= 0.2).groupby("study")[["severe", "called"]].any()
    )
    assert found.estimate.value == pytest.approx(by_patient[by_patient.severe].called.mean(), rel=1e-12)
    assert found.positive_patients == by_patient.severe.sum()
    false = Bar("canal_stenosis", "false_calls", most=5, question="severe", threshold=0.2)
    found = judge(check_predictions(frame), Protocol("t", (false,), samples=200))[0]
    assert found.estimate.value == pytest.approx(((frame.p_2 >= 0.2) & (frame.truth < 2)).sum() / 200, rel=1e-12)


def test_a_disc_that_was_not_graded_counts_against_the_share_of_graded_discs(predictions):
    frame = predictions("narrowing", patients=40).astype({"confident": object})
    frame.loc[frame.index[:50], ["grade", "p_0", "p_1", "u_0", "u_1"]] = np.nan
    found = judge(check_predictions(frame), Protocol("t", (Bar("narrowing", "graded", least=0.9),), samples=200))[0]
    assert found.estimate.value == pytest.approx(0.75) and found.verdict == FAIL


def test_where_nothing_failed_the_exact_interval_says_how_many_patients_would_do(predictions):
    (found,) = judge(
        check_predictions(predictions("narrowing", patients=20)),
        Protocol("t", (Bar("narrowing", "graded", least=0.95),), samples=200),
    )
    assert (found.estimate.value, found.verdict, found.wanted) == (1.0, TOO_FEW, 72)  # 0.95 ** 72 < 0.025


def test_one_failed_bar_fails_and_one_with_too_few_leaves_it_open(predictions):
    frame = predictions("bulging", patients=100)
    bars = [
        Bar("bulging", "auc", least=limit, patients=patients) for limit, patients in ((0.1, 1), (0.999, 1), (0.1, 999))
    ]
    found = judge(check_predictions(frame), Protocol("t", tuple(bars), samples=200))
    assert [overall(found), overall(found[::2]), overall(found[:1])] == [FAIL, TOO_FEW, PASS]


def test_a_protocol_is_checked_before_any_study_is_read(tmp_path):
    protocol = load_protocol(ROOT / "configs" / "acceptance.toml")
    assert len(protocol.bars) == 7 and len(protocol.digest) == 64
    for text, message in (
        ("name = 1 =", "not a protocol in TOML"),
        ('name = "x"', r"no \[\[bar\]\]"),
        ('weight = 3\n[[bar]]\ntarget = "modic"\nfigure = "auc"\nleast = 1', "weight"),
        ('[[bar]]\ntarget = "scoliosis"\nfigure = "auc"\nleast = 1', "bar 1: unknown target"),
        ('[[bar]]\ntarget = "modic"\nfigure = "auc"', "either least or most"),
        ('[[bar]]\ntarget = "modic"\nfigure = "auc"\nleast = 1\nquestion = "severe"', "no severe grades"),
        ('[[bar]]\ntarget = "modic"\nfigure = "auc"\nleast = 1\nunit = "level"', "neither disc nor patient"),
        ('[[bar]]\ntarget = "modic"\nleast = 1', "target and figure are needed"),
        ('[[bar]]\ntarget = "modic"\nfigure = "f2"\nleast = 1', "no figure f2 of modic .* auc, .* within_level"),
        ('[[bar]]\ntarget = "modic"\nfigure = "kappa"\nleast = 1\nunit = "patient"', "no figure kappa .*by patient"),
        ('[[bar]]\ntarget = "modic"\nfigure = "auc"\nleast = 1\nthreshold = 0.2', "a threshold belongs to sens"),
        ('[[bar]]\ntarget = "modic"\nfigure = "auc"\nleast = "high"', "are numbers"),
    ):
        (tmp_path / "p.toml").write_text(text)
        with pytest.raises(ConfigError, match=message):
            load_protocol(tmp_path / "p.toml")


def test_a_bar_is_said_in_words():
    severe = Bar("pfirrmann", "sensitivity", least=0.9, question="severe", unit="patient", threshold=0.05)
    assert (
        severe.words == "Pfirrmann degeneration (grade IV or V, by patient, called from 0.05): Sensitivity at least 0.9"
    )
    assert (
        Bar("pfirrmann", "quadratic_kappa", least=0.7).words == "Pfirrmann degeneration: Quadratic kappa at least 0.7"
    )
    called = Bar("herniation", "false_calls", most=1).words
    assert called == "Disc herniation (present, by disc): False calls a patient at most 1"


def test_a_bar_of_severe_grades_asks_for_severe_ones_whatever_its_figure(predictions):
    frame = predictions("pfirrmann", patients=60)
    bars = [Bar("pfirrmann", "anywhere", least=0.1, question=question) for question in ("presence", "severe")]
    present, severe = judge(check_predictions(frame), Protocol("t", tuple(bars), samples=50))
    by_patient = frame.assign(p=frame.p_3 + frame.p_4, severe=frame.truth >= 4).groupby("study")[["p", "severe"]].max()
    assert severe.estimate.value == pytest.approx(roc_auc_score(by_patient.severe, by_patient.p), rel=1e-12)
    assert severe.estimate.value != present.estimate.value


def test_studies_are_graded_judged_once_and_signed_for_with_digests(tmp_path):
    bundle = load_bundle()
    shutil.copytree(SAMPLE, tmp_path / "in" / "one")
    (tmp_path / "p.toml").write_text('[[bar]]\ntarget = "narrowing"\nfigure = "auc"\nleast = 0.7\n')
    protocol = load_protocol(tmp_path / "p.toml")
    local_test.read_studies([tmp_path / "in"], bundle, tmp_path / "graded", lambda done, total: None)
    graded = pd.read_csv(tmp_path / "graded" / "predictions.csv", dtype=str)
    rows = graded[graded.target == "narrowing"]
    truth = rows.assign(truth="0")[["study", "level", "target", "truth"]]
    pd.concat([truth, truth.assign(study="another")]).to_csv(tmp_path / "truth.csv", index=False)
    assert local_test.accept([tmp_path / "in"], tmp_path / "truth.csv", protocol, bundle, tmp_path / "out") == TOO_FEW
    record = json.loads((tmp_path / "out" / "acceptance.json").read_text())
    assert record["bars"][0]["patients"] == record["truth_of_other_studies"] == 1  # what was not given counts nowhere
    assert record["bars"][0]["verdict"] == TOO_FEW and record["digests"]["bundle"] == bundle.metadata["digest"]
    page = (tmp_path / "out" / "acceptance.html").read_text()
    assert "Disc narrowing (present, by disc): AUC at least 0.7" in page and "<p>1 study judged" in page
    assert record["seal"] in page and record["research_use_only"] in page and protocol.digest in page
    other = Protocol("t", protocol.bars, bundle="0" * 64)
    with pytest.raises(ConfigError, match="the protocol is for the bundle"):
        local_test.accept([tmp_path / "in"], tmp_path / "truth.csv", other, bundle, tmp_path / "out")
    rows.assign(truth="0", study="unknown")[["study", "level", "target", "truth"]].to_csv(
        tmp_path / "t.csv", index=False
    )
    with pytest.raises(PredictionsError, match="none of its discs"):
        local_test.accept([tmp_path / "in"], tmp_path / "t.csv", protocol, bundle, tmp_path / "out")


def test_readers_may_name_a_study_by_its_uid():
    truth = pd.DataFrame({"study": ["1.2.3", "spine-7", "other"], "level": "L4/L5", "target": "modic", "truth": "0"})
    named = local_test.with_keys(truth, ["spine-7", study_key("1.2.3")])
    assert named["study"].tolist() == [study_key("1.2.3"), "spine-7", "other"]
