"""Splits: a patient is in one part only, rare findings are in every part, and a run can be divided again alike."""

import hashlib
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from spinenet.datasets import load_dataset, splits
from spinenet.datasets.labelled import Dataset, LabelledStudy, no_grades
from spinenet.datasets.splits import DataConfig, load_split, patient_folds, save_split, split_studies
from spinenet.errors import DatasetError
from spinenet.labels import TARGET, TARGET_INDEX
from spinenet.readers import StudySource


def study(patient: str, key: str = "", **grades: int) -> LabelledStudy:
    """A study with these grades (indices) at L4/L5."""
    grades_LT = no_grades()
    for target, grade in grades.items():
        grades_LT[1, TARGET_INDEX[target]] = grade
    return LabelledStudy(key or patient, patient, StudySource(key or patient, Path()), grades_LT, {})


def patients(count: int = 60) -> list[LabelledStudy]:
    """Every tenth patient has a herniation, two have Modic type 3, Pfirrmann grades go round."""
    return [
        study(
            str(index),
            herniation=int(index % 10 == 3),
            modic=3 if index in (7, 31) else 0,
            pfirrmann=index % 5,
            bulging=index % 2,
        )
        for index in range(count)
    ]


@pytest.fixture
def datasets(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[LabelledStudy]]:
    """Data sets by name, as ``split_studies`` will find them."""
    known = {
        "spider": patients(),
        "phantom": [study(f"p{index}") for index in range(5)],
        "sudirman": [study(f"sudirman-{index}", pfirrmann=index % 5) for index in range(30)],
    }
    monkeypatch.setattr(splits, "load_dataset", lambda name, root: Dataset(name, tuple(known[name]), ()))
    return known


def names(part: tuple[LabelledStudy, ...]) -> set[str]:
    return {one.patient for one in part}


@pytest.mark.parametrize("seed", range(4))
def test_rare_findings_are_in_every_fold(seed: int) -> None:
    studies = patients()
    folds = patient_folds(studies, 3, seed)
    assert sorted(Counter(folds.values()).values()) == [20, 20, 20]
    herniations = Counter(folds[str(index)] for index in range(3, 60, 10))
    assert herniations == {0: 2, 1: 2, 2: 2}
    assert folds["7"] != folds["31"]  # both discs with Modic type 3 in one fold would leave the others none
    for grade in range(5):
        in_folds = Counter(folds[str(index)] for index in range(grade, 60, 5))
        assert max(in_folds.values()) - min(in_folds.values()) <= 2, TARGET["pfirrmann"].words[grade]


def test_all_studies_of_a_patient_share_a_fold() -> None:
    studies = [study(str(index // 2), key=f"{index // 2}-{index % 2}", bulging=index % 2) for index in range(40)]
    folds = patient_folds(studies, 5, 0)
    assert set(folds) == {str(index) for index in range(20)}


def test_the_same_seed_divides_alike_whatever_the_order_and_another_seed_does_not() -> None:
    studies = patients()
    assert patient_folds(studies, 3, 1) == patient_folds(studies[::-1], 3, 1)
    assert patient_folds(studies, 3, 1) != patient_folds(studies, 3, 2)


def test_no_patient_is_in_two_parts_and_none_is_lost(datasets: dict[str, list[LabelledStudy]]) -> None:
    datasets["spider"] += [study(one.patient, key=f"{one.patient}-t1") for one in patients()]
    split = split_studies(DataConfig(folds=3, fold=1, validation=0.2))
    parts = [names(part) for part in (split.train, split.validation, split.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 60
    assert len(split.train) + len(split.validation) + len(split.test) == 120
    assert names(split.test) == {patient for patient, fold in split.folds.items() if fold == 1}
    assert len(parts[1]) == pytest.approx(0.2 * 40, abs=1)


def test_the_folds_test_every_patient_once(datasets: dict[str, list[LabelledStudy]]) -> None:
    tests = [names(split_studies(DataConfig(folds=3, fold=fold)).test) for fold in range(3)]
    assert sum(map(len, tests)) == 60 == len(set.union(*tests))


def test_training_on_everybody_tests_nobody(datasets: dict[str, list[LabelledStudy]]) -> None:
    split = split_studies(DataConfig(fold=-1, validation=0.0))
    assert len(split.train) == 60 and split.test == () and split.validation == ()


def test_extra_data_is_for_training_alone(datasets: dict[str, list[LabelledStudy]]) -> None:
    split = split_studies(DataConfig(extra={"phantom": "anywhere"}))
    extra = {one.patient for one in datasets["phantom"]}
    assert extra <= names(split.train)
    assert not extra & (names(split.validation) | names(split.test) | set(split.folds))


def test_further_patients_are_divided_too_and_the_first_set_stays_as_it_is(
    datasets: dict[str, list[LabelledStudy]],
) -> None:
    alone = split_studies(DataConfig(fold=1))
    split = split_studies(DataConfig(fold=1, extra={"sudirman": "there", "phantom": "anywhere"}))
    assert (split.test, split.validation) == (alone.test, alone.validation)
    assert names(alone.train) == {patient for patient in names(split.train) if patient.isdecimal()}
    kept = {one.patient for one in datasets["sudirman"] if split.folds[one.patient] == 1}
    assert len(kept) == 10 and not kept & names(split.train)
    assert split.sources.count("sudirman") == 20 and split.sources.count("phantom") == 5
    everybody = split_studies(DataConfig(fold=-1, extra={"sudirman": "there"}))
    assert everybody.sources.count("sudirman") == 30


def test_two_data_sets_with_the_same_names_for_patients_are_refused(datasets: dict[str, list[LabelledStudy]]) -> None:
    datasets["sudirman"] = [study("7")]
    with pytest.raises(DatasetError, match="patients are named as in another data set"):
        split_studies(DataConfig(extra={"sudirman": "there"}))


def test_a_fold_without_patients_is_an_error(datasets: dict[str, list[LabelledStudy]]) -> None:
    datasets["spider"] = patients(6)
    with pytest.raises(DatasetError, match="6 patients in 50 folds leave none to test on in fold 49; use fewer folds"):
        split_studies(DataConfig(folds=50, fold=49))
    assert len(split_studies(DataConfig(folds=50, fold=-1, validation=0.0)).train) == 6


@pytest.mark.parametrize("validation", [0.0, 0.15])
def test_nobody_left_to_train_on_is_an_error(datasets: dict[str, list[LabelledStudy]], validation: float) -> None:
    with pytest.raises(DatasetError, match="no patient is left to train on"):
        split_studies(DataConfig(folds=1, fold=0, validation=validation))


@pytest.mark.parametrize(
    "wrong", [{"fold": 3}, {"fold": -2}, {"validation": 1.0}, {"validation": -0.1}, {"folds": 0, "fold": -1}]
)
def test_shares_and_folds_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="data.fold|data.validation"):
        DataConfig(**wrong)


def test_a_split_is_read_back_from_its_file(tmp_path: Path) -> None:
    folds = patient_folds(patients(), 3, 0)
    save_split(tmp_path / "run" / "split.json", folds, seed=0)
    assert load_split(tmp_path / "run" / "split.json") == folds


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"folds": [1]}', '{"folds": {"1": "x"}}', '{"folds": {"1": null}}', "7"]
)
def test_a_file_that_is_no_split_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(DatasetError, match="not a split file"):
        load_split(tmp_path / "split.json")


def test_a_missing_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="not a split file"):
        load_split(tmp_path / "split.json")


def test_unknown_grades_do_not_count_as_findings() -> None:
    studies = [study(str(index)) for index in range(9)]
    assert np.bincount(list(patient_folds(studies, 3, 0).values())).tolist() == [3, 3, 3]


@pytest.mark.skipif("SPINENET_SPIDER" not in os.environ, reason="SPINENET_SPIDER names no SPIDER folder")
def test_folds_of_the_real_patients_are_those_of_every_published_result() -> None:
    studies = load_dataset("spider", Path(os.environ["SPINENET_SPIDER"])).studies
    folds = patient_folds(studies, 3, 0)
    digest = hashlib.sha256(json.dumps(dict(sorted(folds.items())), sort_keys=True).encode()).hexdigest()
    assert digest.startswith("cbe6ba73dfa1aedc")  # 59, 62 and 58 patients
