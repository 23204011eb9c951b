"""What a run says it has learnt, and which evaluation calibrates which target."""

import json
from pathlib import Path

import pytest

from spinenet.datasets.labelled import LabelledStudy, no_grades
from spinenet.datasets.splits import Split
from spinenet.errors import ConfigError, DatasetError
from spinenet.labels import TARGET, TARGET_INDEX, UNKNOWN
from spinenet.model.calibration import NEUTRAL, TargetCalibration
from spinenet.readers import StudySource
from spinenet.train.counts import counted, refuse_unlabelled
from spinenet.train.runs import first_fitted, grader_config, learnt_by


def record(folder, evidence, views):
    folder.mkdir()
    (folder / "learnt.json").write_text(json.dumps({"evidence": evidence, "views": views}))
    return folder


def test_a_bundle_has_learnt_what_all_its_members_have(tmp_path):
    first = record(
        tmp_path / "a", {"modic": "real", "bulging": "real", "canal_stenosis": "synthetic"}, ["sagittal_t1", "axial_t2"]
    )
    second = record(tmp_path / "b", {"modic": "real", "bulging": "synthetic"}, ["sagittal_t1"])
    assert learnt_by([first, second]) == {
        "evidence": {"modic": "real", "bulging": "synthetic"},
        "views": ["sagittal_t1"],
    }


def study(key, patient, **grades):
    grades_LT = no_grades()
    for name, values in grades.items():
        grades_LT[: len(values), TARGET_INDEX[name]] = values
    return LabelledStudy(key, patient, StudySource(key, Path(key)), grades_LT)


def split_of(*train, sources=None):
    return Split(train, (), (), {}, sources=sources or ("spider",) * len(train))


def test_evidence_is_counted_in_patients_and_positives_and_synthetic_studies_apart():
    train = (
        study("1a", "1", bulging=[0, 1, 1]),
        study("1b", "1", bulging=[0], modic=[2, 0]),
        study("2", "2", bulging=[UNKNOWN, 1]),
        study("s", "s", bulging=[1], canal_stenosis=[2, 1]),
    )
    split = split_of(*train, sources=("spider", "spider", "spider", "phantom"))
    assert counted(split, ["bulging", "modic", "canal_stenosis", "narrowing"]) == {
        "bulging": {"patients": 2, "discs": 5, "positives": 3, "synthetic": 1},
        "modic": {"patients": 1, "discs": 2, "positives": 1, "synthetic": 0},
        "canal_stenosis": {"patients": 0, "discs": 0, "positives": 0, "synthetic": 1},
    }


def test_a_target_whose_grades_are_all_alike_is_not_learnt_and_that_is_said(caplog):
    split = split_of(study("1", "1", bulging=[0, 0], narrowing=[0, 1]), study("2", "2", bulging=[0, UNKNOWN]))
    assert set(counted(split, TARGET)) == {"narrowing"}
    refuse_unlabelled(split, "mine")
    assert caplog.messages == ["Disc bulging: every disc to train on is graded absent; it is not learnt"]


@pytest.mark.parametrize(
    ("grades", "said"), [({}, "no disc has a grade"), ({"bulging": [1, 1]}, "all grades of a target are alike")]
)
def test_patients_that_can_teach_nothing_are_refused(grades, said):
    with pytest.raises(DatasetError, match=f"mine: {said} in the patients to train on"):
        refuse_unlabelled(split_of(study("1", "1", **grades)), "mine")


@pytest.mark.parametrize("content", ["fit: {epochs: 0}", "fit: {fortnights: 2}", "seed: soon"])
def test_a_run_whose_settings_are_none_today_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(ConfigError, match=r"its config.yaml is not one of this version \(.+\)$"):
        grader_config(tmp_path)


def test_each_target_is_calibrated_where_it_first_could_be():
    unfitted = {name: NEUTRAL for name in ("bulging", "canal_stenosis")}
    patients = {**unfitted, "bulging": TargetCalibration(0.5, cuts=(0.3,))}
    phantoms = {
        "bulging": TargetCalibration(0.9, cuts=(0.6,)),
        "canal_stenosis": TargetCalibration(0.7, cuts=(0.4, 1.4)),
    }
    assert first_fitted([patients, phantoms]) == {
        "bulging": patients["bulging"],
        "canal_stenosis": phantoms["canal_stenosis"],
    }
