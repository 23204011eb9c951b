"""Phantoms in their own layout come back as they were made: voxels, places, views, grades, raters and masks."""

import json
from pathlib import Path

import numpy as np
import pytest

from spinenet.datasets import Dataset, load_dataset
from spinenet.datasets.masks import locate_all
from spinenet.errors import DatasetError
from spinenet.labels import LEVELS, UNKNOWN, View
from spinenet.readers import read_study
from spinephantom import GENERATOR_VERSION, PhantomStudy, write_spider, write_spider_tables
from spinephantom.write.nifti_files import stack_name, write_nifti
from spinephantom.write.truth_files import truth_record, write_truth


@pytest.fixture(scope="module")
def study(angled_study: PhantomStudy) -> PhantomStudy:
    return angled_study


@pytest.fixture(scope="module")
def root(study: PhantomStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("phantom")
    for name in ("1", "12"):
        write_nifti(study, root, name)
        write_truth(root, truth_record(study, name, "training"))
    return root


@pytest.fixture(scope="module")
def dataset(root: Path) -> Dataset:
    return load_dataset("phantom", root)


def test_every_stack_of_every_series_comes_back_with_its_place_and_view(dataset: Dataset, study: PhantomStudy) -> None:
    read = {series.name: series for series in read_study(dataset.studies[0].source).series}
    written = {stack_name(item, i): stack for item in study.series for i, stack in enumerate(item.stacks)}
    assert sorted(read) == sorted(written) and len(read) > 4
    for name, stack in written.items():
        assert read[name].view is stack.series.view and read[name].plane == stack.series.plane
        assert np.array_equal(read[name].voxels_SRC, stack.series.voxels_SRC)
        assert np.allclose(read[name].affine_vox2mm, stack.series.affine_vox2mm, atol=1e-4)


def test_a_key_point_lies_where_it_was_marked(dataset: Dataset, study: PhantomStudy) -> None:
    read = {series.name: series for series in read_study(dataset.studies[0].source).series}
    items = {item.name: item for item in study.series}
    for point in study.keypoints:
        series = read[stack_name(items[point.series], point.stack)]
        voxel = np.linalg.inv(series.affine_vox2mm) @ np.append(point.world_mm, 1.0)
        assert np.allclose(voxel[:3], [point.slice_index, point.row, point.column], atol=0.05)


def test_grades_and_raters_come_back(dataset: Dataset, study: PhantomStudy) -> None:
    first = dataset.studies[0]
    assert [one.key for one in dataset.studies] == ["sub-1", "sub-12"] and first.patient == "1"
    assert {one.generator for one in dataset.studies} == {f"spinephantom {GENERATOR_VERSION}"}
    assert np.array_equal(first.grades_LT, study.grades_LT) and (first.grades_LT != UNKNOWN).sum() > 30
    assert np.array_equal(first.raters_RLT, study.rater_grades_RLT)


def test_what_made_them_is_known_in_the_layout_of_spider_too(phantom: PhantomStudy, tmp_path: Path) -> None:
    write_spider(phantom, tmp_path, "1")
    write_spider_tables(tmp_path)
    write_truth(tmp_path, truth_record(phantom, "1", "training"))
    assert load_dataset("phantom", tmp_path).studies[0].generator == f"spinephantom {GENERATOR_VERSION}"


def test_a_collection_that_calls_its_raters_readers_is_the_same(
    dataset: Dataset, study: PhantomStudy, tmp_path: Path
) -> None:
    record = truth_record(study, "1", "training")
    write_nifti(study, tmp_path, "1")
    write_truth(tmp_path, {"readers": record.pop("raters"), **record})
    (older,) = load_dataset("phantom", tmp_path).studies
    assert np.array_equal(older.raters_RLT, dataset.studies[0].raters_RLT)


def test_masks_give_the_levels_of_all_series(dataset: Dataset, study: PhantomStudy) -> None:
    first = dataset.studies[0]
    series = read_study(first.source).series
    by_name = {one.name: one for one in series}
    assert np.array_equal(first.masks["acq-sag_T1w"].values(by_name["acq-sag_T1w"]), study.series[0].mask_SRC)
    located = locate_all(series, first.masks)
    assert {one.series.view for one in located} >= {View.SAGITTAL_T1, View.AXIAL_T2}
    assert {frame.level for frame in located[0].frames} >= set(LEVELS[:5])


def test_a_study_without_images_is_said_and_left_out(root: Path, study: PhantomStudy, tmp_path: Path) -> None:
    write_nifti(study, tmp_path, "1")
    for name in ("1", "2"):
        write_truth(tmp_path, truth_record(study, name, "training"))
    dataset = load_dataset("phantom", tmp_path)
    assert [one.key for one in dataset.studies] == ["sub-1"]
    assert tuple(map(str, dataset.findings)) == ("2.json: images/ holds no series of it; left out",)


def test_what_is_no_phantom_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no phantoms; expected images/, masks/ and truth/"):
        load_dataset("phantom", tmp_path)


def test_a_damaged_truth_file_is_named(root: Path, study: PhantomStudy, tmp_path: Path) -> None:
    write_nifti(study, tmp_path, "1")
    record = truth_record(study, "1", "training")
    write_truth(tmp_path, {**record, "grades": {"L4/L5": {"pfirrmann": 9}}})
    with pytest.raises(DatasetError, match="1.json: not a truth file"):
        load_dataset("phantom", tmp_path)
    assert json.loads((root / "truth" / "1.json").read_text())["keypoints"]
