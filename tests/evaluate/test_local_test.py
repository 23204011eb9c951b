"""Acceptance testing: bars stated before, judged once over patients, and one page."""

import json
import shutil
from dataclasses import replace
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
from spinenet.evaluate.samples import check_predictions, load_predictions, load_truth
from spinenet.model.bundle import load_bundle
from spinenet.readers import find_studies
from spinenet.readers.dicom.assembly import study_key
from spinenet.readers.sources import StudySource

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
    bars = Bar("herniation", "sensitivity", least=0.1, patients=1), Bar("modic", "auc", least=0.1)
    few = judge(check_predictions(frame), Protocol("t", bars, samples=300))
    assert [one.words for one in few] == ["too few; at least 10 patients with the finding before it can be judged"] * 2


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
    bar = '[[bar]]\ntarget = "modic"\nfigure = "auc"\nleast = 0.9\n'
    for text, message in (
        ("name = 1 =", "not a protocol in TOML"),
        ('name = "x"', r"no \[\[bar\]\]"),
        ("bar = 3", r"no \[\[bar\]\]"),
        ("bar = [3]", r"no \[\[bar\]\]"),
        ("weight = 3\n" + bar, "no such key weight; there are name, bundle, samples, seed"),
        ("name = 3\n" + bar, "name is 3; it is a text"),
        ("bundle = 3\n" + bar, "bundle is 3; it is the 64 letters"),
        ('bundle = "0.7.0"\n' + bar, "bundle is '0.7.0'; it is the 64 letters"),
        ("samples = 1\n" + bar, "samples is 1; it is a whole number from 200"),
        ("samples = 1000.5\n" + bar, "samples is 1000.5; it is a whole number"),
        ("samples = true\n" + bar, "samples is True; it is a whole number"),
        ("seed = -1\n" + bar, "seed is -1; it is a whole number from 0"),
        (bar.replace("modic", "scoliosis"), "bar 1: target is 'scoliosis'; it is one of pfirrmann, modic"),
        (bar.replace('"modic"', "[1]"), r"bar 1: target is \[1\]"),
        (bar.replace("least = 0.9", ""), "either least or most"),
        (bar + "most = 0.95", "either least or most"),
        (bar.replace('figure = "auc"\n', ""), "it needs target and figure"),
        (bar + 'question = "severe"', "no severe grades"),
        (bar + 'unit = "level"', "unit is 'level'; it is disc or patient"),
        (bar + "patients = 0", "patients is 0; it is a whole number from 1"),
        (bar + "threshold = 5", "threshold is 5; it is a probability between 0 and 1"),
        (bar.replace("auc", "f2"), "no figure f2 of modic .* auc, .* within_level"),
        (bar.replace("auc", "kappa") + 'unit = "patient"', "no figure kappa .*by patient"),
        (bar + "threshold = 0.2", "a threshold belongs to sens"),
        (bar.replace("0.9", '"high"'), "least is 'high'; it is a number"),
        (bar.replace("0.9", "nan"), "least is nan; it is a number"),
        (bar.replace("0.9", "90"), "auc cannot pass 90; it is never above 1"),
        (bar.replace("least", "most"), "auc is better the higher it is; give least"),
        (bar.replace("auc", "false_calls"), "false_calls is better the lower it is; give most"),
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


def test_what_could_not_be_read_was_not_found_and_is_told_beside_the_bar(predictions):
    frame = predictions("herniation", patients=80).astype({"confident": object})
    frame["grade"] = frame["truth"]  # every disc that is read is right
    frame[["p_0", "p_1"]] = np.eye(2)[frame["truth"]]
    with_it = frame.loc[frame.truth == 1, "study"].unique()
    unread = frame["study"].isin([*with_it[:2], "079"])
    assert "079" not in with_it[:2]
    frame.loc[unread, ["grade", "p_0", "p_1", "u_0", "u_1"]] = np.nan
    bars = [Bar("herniation", "sensitivity", least=0.1, unit=unit) for unit in ("disc", "patient")]
    discs, patients = judge(check_predictions(frame), Protocol("t", tuple(bars), samples=200))
    missed = unread & (frame.truth == 1)
    assert discs.estimate.value == pytest.approx(1 - missed.sum() / (frame.truth == 1).sum(), rel=1e-12)
    expected = frame[missed]["study"].nunique()
    assert patients.estimate.value == pytest.approx(1 - expected / len(with_it), rel=1e-12)
    assert (patients.patients, patients.positive_patients, patients.unread) == (80, len(with_it), 3)
    assert patients.positive_unread == expected


def test_studies_of_one_patient_are_one_where_the_readers_table_names_patients(tmp_path):
    table = pd.DataFrame({"study": ["a", "b", "c"], "level": "L4/L5", "target": "bulging", "truth": "1"})
    table.assign(patient=["p", "p", ""]).to_csv(tmp_path / "t.csv", index=False)
    graded = table.drop(columns="truth")[:2].assign(grade="1", p_0="0.2", p_1="0.8", confident="true")
    graded.reindex(columns=[*graded, "p_2", "p_3", "p_4"]).to_csv(tmp_path / "predictions.csv", index=False)
    frame = load_predictions(tmp_path / "predictions.csv", load_truth(tmp_path / "t.csv"))
    assert frame["patient"].tolist() == ["p", "p", "c"]
    table.assign(study="a", level=["L4/L5", "L3/L4", "L2/L3"], patient=["p", "q", "p"]).to_csv(
        tmp_path / "t.csv", index=False
    )
    with pytest.raises(PredictionsError, match="a study of two patients"):
        load_truth(tmp_path / "t.csv")


def test_readers_may_name_a_study_as_the_output_folder_does_whose_salt_lies_beside_their_table(tmp_path):
    sources = [StudySource(study_key("1.2.3"), tmp_path, identity="1.2.3"), StudySource("spine-7", tmp_path)]
    salted = study_key("1.2.3", b"salt")
    truth = pd.DataFrame({"study": [salted, "spine-7"], "level": "L4/L5", "target": "modic", "truth": "0"})
    keys = [source.key for source in sources]
    assert local_test.names_beside(tmp_path / "t.csv", sources) == {}
    (tmp_path / ".salt").write_bytes(b"salt")
    named = local_test.with_keys(truth, keys, local_test.names_beside(tmp_path / "t.csv", sources))
    assert named["study"].tolist() == keys


@pytest.fixture(scope="module")
def department(tmp_path_factory):
    """A study, and narrowing as its readers graded it."""
    root = tmp_path_factory.mktemp("department")
    shutil.copytree(SAMPLE, root / "in" / "one")
    (source,) = find_studies([root / "in"])
    levels = ["L5/S1", "L4/L5", "L3/L4"]
    truth = pd.DataFrame({"study": source.key, "level": levels, "target": "narrowing", "truth": "0"})
    (root / "p.toml").write_text('[[bar]]\ntarget = "narrowing"\nfigure = "auc"\nleast = 0.7\n')
    return root, truth, load_bundle()


def test_studies_are_graded_judged_once_and_signed_for_with_digests(department, tmp_path):
    root, truth, bundle = department
    protocol = load_protocol(root / "p.toml")
    unknown = truth[:1].assign(level="L2/L3", truth="")
    pd.concat([truth, truth.assign(study="another"), unknown]).to_csv(tmp_path / "truth.csv", index=False)
    assert local_test.accept([root / "in"], tmp_path / "truth.csv", protocol, bundle, tmp_path / "out") == TOO_FEW
    record = json.loads((tmp_path / "out" / "acceptance.json").read_text())
    assert record["bars"][0]["patients"] == record["truth_of_other_studies"] == 1  # what was not given counts nowhere
    assert record["bars"][0]["verdict"] == TOO_FEW and record["digests"]["bundle"] == bundle.metadata["digest"]
    assert record["rows_without_truth"] == 1
    page = (tmp_path / "out" / "acceptance.html").read_text()
    assert "without a truth, which count nowhere: 1" in page
    assert "Disc narrowing (present, by disc): AUC at least 0.7" in page and "<p>1 study of 1 patient judged" in page
    assert record["seal"] in page and record["research_use_only"] in page and protocol.digest in page
    with pytest.raises(ConfigError, match="a second look is another test"):
        local_test.accept([root / "in"], tmp_path / "truth.csv", protocol, bundle, tmp_path / "out")


def test_what_cannot_be_judged_is_said_before_any_study_is_read(department, tmp_path, monkeypatch):
    root, truth, bundle = department
    monkeypatch.setattr(local_test, "read_studies", None)  # nothing may come so far
    protocol, path = load_protocol(root / "p.toml"), tmp_path / "t.csv"
    other = replace(protocol, bundle="0" * 64)
    unknown = replace(protocol, bars=(Bar("subarticular_stenosis_left", "auc", least=0.5),))
    cases = (
        (truth, other, ConfigError, "the protocol is for the bundle"),
        (truth, unknown, ConfigError, "bar 1: .* does not grade subarticular_stenosis_left"),
        (truth.assign(study="unknown"), protocol, PredictionsError, "no grade of a study in .*names unknown, ..."),
        (truth.assign(truth=""), protocol, PredictionsError, "no grade of a study in"),
        (truth.assign(level="L4-L5"), protocol, PredictionsError, "unknown level; they are L5/S1, L4/L5"),
        (truth.assign(truth="2"), protocol, PredictionsError, "not on the target's scale, which is 0, 1 for narrowing"),
        (truth.assign(study=["", *truth["study"][1:]]), protocol, PredictionsError, "no study .* 1 such rows"),
        (truth.drop(columns="level"), protocol, PredictionsError, "no column level"),
        (truth[:0], protocol, PredictionsError, "no rows"),
    )
    for table, wanted, kind, message in cases:
        table.to_csv(path, index=False)
        fewer = replace(bundle, calibration={"narrowing": bundle.calibration["narrowing"]})
        with pytest.raises(kind, match=message):
            local_test.accept([root / "in"], path, wanted, fewer, tmp_path / "out")


def test_readers_may_name_a_study_by_its_uid():
    truth = pd.DataFrame({"study": ["1.2.3", "spine-7", "other"], "level": "L4/L5", "target": "modic", "truth": "0"})
    named = local_test.with_keys(truth, ["spine-7", study_key("1.2.3")])
    assert named["study"].tolist() == [study_key("1.2.3"), "spine-7", "other"]
    with pytest.raises(PredictionsError, match="1.2.3 and study-.* are the same study"):
        local_test.with_keys(pd.concat([truth[:1], truth[:1].assign(study=study_key("1.2.3"))]), [study_key("1.2.3")])
