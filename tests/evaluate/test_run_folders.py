"""A run is tested on patients it has not learnt from, by whichever folder they are named."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from spinenet.datasets import Dataset, LabelledStudy
from spinenet.datasets.labelled import no_grades
from spinenet.errors import DatasetError
from spinenet.evaluate.collection import run_folders
from spinenet.evaluate.collection.run_folders import open_run
from spinenet.readers import StudySource

Tested = Callable[..., set[str]]


@pytest.fixture
def tested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tested:
    """``tested(name, root, patients, fold=0)``: who tests a run that learnt from patients 1 and 2 of the table in
    ``learnt`` and from phantoms in ``phantoms``; patient 3 was its test patient."""
    data = {"name": "table", "root": "learnt", "extra": {"phantom": "phantoms"}}
    (tmp_path / "split.json").write_text(json.dumps({"seed": 0, "folds": {"1": 1, "2": 2, "3": 0}}))
    (tmp_path / "bundle").mkdir()
    monkeypatch.setattr(run_folders, "load_bundle", lambda folder: SimpleNamespace(path=folder))

    def who(name: str, root: str, patients: str, fold: int = 0) -> set[str]:
        (tmp_path / "config.yaml").write_text(yaml.safe_dump({"data": data | {"fold": fold}}))
        studies = tuple(LabelledStudy(one, one, StudySource(one, Path()), no_grades()) for one in patients)
        monkeypatch.setattr(run_folders, "load_dataset", lambda *of: Dataset(name, studies, ()))
        return {study.patient for study in open_run(tmp_path, name, Path(root)).test}

    return who


def test_a_run_is_tested_on_the_patients_of_its_fold(tested: Tested) -> None:
    assert tested("table", "learnt", "123") == {"3"}


def test_what_was_prepared_from_a_folder_holds_the_patients_of_the_folder(
    tested: Tested, caplog: pytest.LogCaptureFixture
) -> None:
    assert tested("table", "prepared", "123") == {"3"}
    assert "2 of 3 studies of prepared are left out: it learnt from patients of these names" in caplog.text
    with pytest.raises(DatasetError, match="none is left to test on"):
        tested("table", "prepared", "123", fold=-1)


@pytest.mark.parametrize("fold", [0, -1])
def test_patients_of_other_names_and_of_other_data_sets_are_all_tested(tested: Tested, fold: int) -> None:
    assert tested("table", "elsewhere", "1345", fold) == ({"3", "4", "5"} if fold == 0 else {"4", "5"})
    assert tested("spider", "elsewhere", "1234", fold) == {"1", "2", "3", "4"}


def test_phantoms_of_another_folder_are_others_and_those_of_the_same_are_not(tested: Tested) -> None:
    assert tested("phantom", "others", "12") == {"1", "2"}
    with pytest.raises(DatasetError, match="none is left to test on"):
        tested("phantom", "phantoms", "45")


def test_a_run_without_a_bundle_is_told_what_makes_one(tested: Tested, tmp_path: Path) -> None:
    (tmp_path / "bundle").rmdir()
    with pytest.raises(DatasetError, match="no bundle in it; spinenet export makes one of the run"):
        tested("table", "learnt", "123")
