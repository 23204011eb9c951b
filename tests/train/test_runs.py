"""What a run says it has learnt, and which evaluation calibrates which target."""

import json
from pathlib import Path

from spinenet.datasets.labelled import LabelledStudy, no_grades
from spinenet.datasets.splits import Split
from spinenet.labels import TARGET_INDEX, UNKNOWN
from spinenet.model.calibration import NEUTRAL, TargetCalibration
from spinenet.readers import StudySource
from spinenet.train.counts import counted
from spinenet.train.runs import first_fitted, learnt_by


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


def test_evidence_is_counted_in_patients_and_positives_and_synthetic_studies_apart():
    def study(key, patient, **grades):
        grades_LT = no_grades()
        for name, values in grades.items():
            grades_LT[: len(values), TARGET_INDEX[name]] = values
        return LabelledStudy(key, patient, StudySource(key, Path(key)), grades_LT)

    train = (
        study("1a", "1", bulging=[0, 1, 1]),
        study("1b", "1", bulging=[0], modic=[2]),
        study("2", "2", bulging=[UNKNOWN, 1]),
        study("s", "s", bulging=[1], canal_stenosis=[2]),
    )
    split = Split(train, (), (), {}, sources=("spider", "spider", "spider", "phantom"))
    assert counted(split, ["bulging", "modic", "canal_stenosis", "narrowing"]) == {
        "bulging": {"patients": 2, "discs": 5, "positives": 3, "synthetic": 1},
        "modic": {"patients": 1, "discs": 1, "positives": 1, "synthetic": 0},
        "canal_stenosis": {"patients": 0, "discs": 0, "positives": 0, "synthetic": 1},
    }


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
