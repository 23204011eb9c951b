"""What a run says it has learnt, and which evaluation calibrates which target."""

import json

from spinenet.model.calibration import NEUTRAL, TargetCalibration
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
