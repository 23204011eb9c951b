"""What the notebooks read: predictions with truth, raters, cases and slices come back as they were saved."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinenet.datasets import LabelledStudy, load_dataset
from spinenet.errors import DatasetError, PredictionsError
from spinenet.evaluate.experiments.saved import (
    SavedPredictions,
    load_saved,
    raters_table,
    save_phantom_test,
    slices_of_discs,
)
from spinenet.labels import LEVELS, TARGET, TARGETS, UNKNOWN
from spinenet.model.bundle import Bundle
from spinenet.readers import read_study
from spinephantom import PhantomStudy
from spinephantom.write.nifti_files import write_nifti
from spinephantom.write.truth_files import truth_record, write_truth


@pytest.fixture(scope="module")
def root(angled_study: PhantomStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("phantoms")
    write_nifti(angled_study, root, "1")
    write_truth(root, truth_record(angled_study, "1", "test"))
    return root


@pytest.fixture(scope="module")
def labelled(root: Path) -> LabelledStudy:
    return load_dataset("phantom", root).studies[0]


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Bundle, labelled: LabelledStudy, perfect_segmenter: Any) -> Any:
    """The untrained bundle with a locator that knows this phantom's masks."""
    series = [one for one in read_study(labelled.source).series if one.plane == "sagittal"]
    segment = perfect_segmenter(*((one, labelled.masks[one.name].values(one)) for one in series))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bundle, "segment", lambda self, images_N1HW: segment(images_N1HW))
        yield tiny_bundle


@pytest.fixture(scope="module")
def folder(root: Path, labelled: LabelledStudy, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "test"
    save_phantom_test([labelled], root / "truth", bundle, folder)
    return folder


@pytest.fixture(scope="module")
def saved(folder: Path) -> SavedPredictions:
    return load_saved(folder)


def test_predictions_keep_the_exact_truth_of_the_phantom(saved: SavedPredictions, angled_study: PhantomStudy) -> None:
    known = saved.predictions[saved.predictions["truth"].notna()]
    assert len(known) > 30
    for row in known.itertuples():
        target = TARGET[row.target]
        expected = angled_study.grades_LT[LEVELS.index(row.level), TARGETS.index(target)]
        assert target.index_of(int(row.truth)) == expected


def test_every_known_grade_of_every_rater_has_one_row(saved: SavedPredictions, angled_study: PhantomStudy) -> None:
    assert saved.raters is not None
    assert len(saved.raters) == (angled_study.rater_grades_RLT != UNKNOWN).sum()
    canal = saved.raters[saved.raters["target"] == "canal_stenosis"]
    assert {(row.rater, int(row.grade)) for row in canal.itertuples()} == {("rater 1", 1), ("rater 2", 2)}


def test_cases_say_how_a_phantom_was_acquired_and_who_was_scanned(saved: SavedPredictions, root: Path) -> None:
    record = json.loads((root / "truth" / "1.json").read_text())
    assert saved.cases is not None and len(saved.cases) == 1
    case = saved.cases.iloc[0]
    assert case["study"] == "sub-1" and case["vendor"] == record["series"][0]["Manufacturer"]
    assert case["sex"] == record["parameters"]["person"]["sex"]
    assert float(case["signal to noise"]) > 1


def test_slices_are_those_nearest_the_midline_of_each_kept_disc(
    saved: SavedPredictions, labelled: LabelledStudy, bundle: Bundle
) -> None:
    assert saved.slices and {study for study, _ in saved.slices} == {"sub-1"}
    for disc, pixels_SHW in slices_of_discs([labelled], set(saved.slices), bundle).items():
        assert pixels_SHW.shape[0] == 3 and pixels_SHW.dtype == np.uint8
        assert np.array_equal(saved.slices[disc], pixels_SHW)
        assert np.ptp(pixels_SHW[0]) > 200  # stretched over the grey values of its own


def test_a_folder_from_when_raters_were_called_readers_is_not_opened_without_them(tmp_path: Path) -> None:
    (tmp_path / "readers.csv.gz").write_bytes(gzip.compress(b"reader,study,level,target,grade\n"))
    with pytest.raises(PredictionsError, match=r"readers.csv.gz is raters.csv.gz now, .* rename both"):
        load_saved(tmp_path)


def test_a_folder_with_predictions_alone_is_enough(saved: SavedPredictions, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "predictions.csv").write_bytes(gzip.decompress((folder / "predictions.csv.gz").read_bytes()))
    bare = load_saved(tmp_path)
    assert bare.predictions.equals(saved.predictions)
    assert bare.raters is None and bare.cases is None and bare.slices == {}


def test_studies_without_single_raters_make_an_empty_table(labelled: LabelledStudy) -> None:
    assert raters_table([replace(labelled, raters_RLT=labelled.raters_RLT[:0])]).empty


def test_nothing_to_predict_is_said(tmp_path: Path, tiny_bundle: Bundle) -> None:
    with pytest.raises(DatasetError, match="no phantom to predict"):
        save_phantom_test([], tmp_path, tiny_bundle, tmp_path / "out")
