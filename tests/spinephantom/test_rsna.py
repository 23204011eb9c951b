"""The phantom in RSNA's 2024 layout: its habits are those of the published files, and its points are where they say."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from spinenet.datasets.rsna_names import CONDITIONS, RSNA_LEVELS, column_of
from spinenet.labels import LEVELS, View
from spinenet.readers import find_studies, read_study
from spinephantom import PhantomStudy, StudyOptions
from spinephantom.patient.pathology import Mode
from spinephantom.scan.prescription import plan_axial
from spinephantom.shapes.planes import Grid
from spinephantom.write.rsna_files import MISTAKES, published_series, write_rsna, write_rsna_tables
from spinephantom.write.truth_files import truth_record, write_truth


@pytest.fixture(scope="module")
def study(angled_study: PhantomStudy) -> PhantomStudy:
    return angled_study


@pytest.fixture(scope="module")
def root(study: PhantomStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One study without mistakes."""
    root = tmp_path_factory.mktemp("rsna")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spinephantom.write.rsna_files.MISTAKES", {})
        write_truth(root, {**truth_record(study, "1", "training"), **write_rsna(study, root)})
    write_rsna_tables(root)
    return root


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def files(root: Path, row: dict[str, str]) -> list[pydicom.Dataset]:
    folder = root / "train_images" / row["study_id"] / row["series_id"]
    return [pydicom.dcmread(folder / f"{number}.dcm") for number in range(1, len(list(folder.iterdir())) + 1)]


def test_tables_have_the_published_columns_and_words(root: Path) -> None:
    (labels,) = rows(root / "train.csv")
    assert list(labels)[:2] == ["study_id", "spinal_canal_stenosis_l1_l2"] and len(labels) == 26
    assert list(labels)[-1] == "right_subarticular_stenosis_l5_s1"
    assert set(labels.values()) - {labels["study_id"]} <= {"Moderate", "Severe", ""}
    described = rows(root / "train_series_descriptions.csv")
    assert {row["series_description"] for row in described} == {"Sagittal T1", "Sagittal T2/STIR", "Axial T2"}
    points = rows(root / "train_label_coordinates.csv")
    assert list(points[0]) == ["study_id", "series_id", "instance_number", "condition", "level", "x", "y"]
    assert points[0]["condition"] == "Spinal Canal Stenosis" and points[0]["level"] == "L1/L2"


def test_labels_are_those_of_one_rater(root: Path) -> None:
    (labels,) = rows(root / "train.csv")
    words = {labels[column_of(condition, level)] for condition in CONDITIONS for level in RSNA_LEVELS} - {""}
    assert len(words) == 1


def test_headers_are_as_sparse_and_as_wrong_as_the_published_ones(root: Path) -> None:
    for row in rows(root / "train_series_descriptions.csv"):
        for number, dataset in enumerate(files(root, row), start=1):
            assert dataset.file_meta.TransferSyntaxUID == pydicom.uid.RLELossless
            assert dataset.file_meta.MediaStorageSOPClassUID == pydicom.uid.EnhancedMRImageStorage
            assert not {"Modality", "BodyPartExamined", "SOPClassUID", "EchoTime", "NumberOfFrames"} & set(
                dataset.dir()
            )
            assert dataset.SeriesDescription == ("T1" if row["series_description"] == "Sagittal T1" else "T2")
            assert (dataset.PatientID, dataset.StudyInstanceUID) == (row["study_id"], row["study_id"])
            assert dataset.SeriesInstanceUID == f"{row['study_id']}.{row['series_id']}"
            assert dataset.InstanceNumber == number


def test_points_lie_on_the_structure_they_name(root: Path, study: PhantomStudy) -> None:
    truth = {(point.target, point.level): point.world_mm for point in study.keypoints}
    target_of = {condition.words: condition.target for condition in CONDITIONS}
    points = rows(root / "train_label_coordinates.csv")
    assert len(points) >= 20
    for row in points:
        dataset = files(root, row)[int(row["instance_number"]) - 1]
        axes = np.array(dataset.ImageOrientationPatient, float).reshape(2, 3)
        step_mm = np.array([row["x"], row["y"]], float) * np.array(dataset.PixelSpacing, float)
        world_mm = np.array(dataset.ImagePositionPatient, float) + step_mm @ axes
        away_mm = np.linalg.norm(world_mm - truth[target_of[row["condition"]], row["level"]])
        assert away_mm < 4 * float(dataset.PixelSpacing[0])  # a rater's hand: one pixel in each direction


def test_a_series_holds_tilted_stacks_and_the_reader_takes_them_apart(root: Path, study: PhantomStudy) -> None:
    series = read_study(find_studies([root / "train_images"])[0]).series
    axial = [one for one in series if one.view is View.AXIAL_T2]
    written = [stack for item in study.series if item.view is View.AXIAL_T2 for stack in item.stacks]
    assert len(written) > 3 and len(axial) == len(written)
    for stack in written:
        nearest = min(axial, key=lambda one: float(np.abs(one.affine_vox2mm - stack.series.affine_vox2mm).max()))
        assert np.array_equal(nearest.voxels_SRC, stack.series.voxels_SRC)
        assert np.allclose(nearest.affine_vox2mm, stack.series.affine_vox2mm, atol=1e-3)


@pytest.fixture(scope="module")
def published(study: PhantomStudy) -> list[list[object]]:
    """The series of 1,500 publications of one study."""
    return [list(published_series(study, np.random.default_rng(seed))) for seed in range(1500)]


def test_series_come_in_the_published_numbers(published: list) -> None:
    def share(test) -> float:
        return float(np.mean([test([one.description for one in series]) for series in published]))

    assert share(lambda names: names.count("Axial T2") > 1) == pytest.approx(0.17, abs=0.03)
    assert share(lambda names: len(set(names)) < 3) == pytest.approx(0.025, abs=0.015)
    assert share(lambda names: names.count("Sagittal T1") > 1) == pytest.approx(0.006, abs=0.006)
    assert max(names.count("Axial T2") for names in ([o.description for o in s] for s in published)) >= 4


def test_instance_numbers_say_nothing_about_anatomy(published: list) -> None:
    rising = [series[0].slices[0].place[2] < series[0].slices[-1].place[2] for series in published]
    assert 0.4 < np.mean(rising) < 0.6


def test_now_and_then_frames_of_one_series_have_several_sizes(published: list, tmp_path: Path) -> None:
    mixed = [len({piece.shape for piece in one.slices}) > 1 for series in published for one in series]
    assert np.mean(mixed) == pytest.approx(0.03, abs=0.01)


def test_upper_recesses_lack_axial_slices_as_often_as_published(study: PhantomStudy) -> None:
    coverage = StudyOptions(mode=Mode.RSNA, axial_size=96).coverage()
    planned = [plan_axial(np.random.default_rng(seed), study.spine, coverage) for seed in range(600)]
    discs = {disc.level: disc.frame.center_mm for disc in study.spine.discs}

    def missing(level: str) -> float:
        grids = [[grid for series in one for grid in series] for one in planned]
        return float(np.mean([not any(_crosses(grid, discs[level]) for grid in one) for one in grids]))

    assert missing("L1/L2") == pytest.approx(0.08, abs=0.03)
    assert missing("L2/L3") == pytest.approx(0.04, abs=0.025)
    assert missing("L5/S1") < 0.02


def _crosses(grid: Grid, center_mm: np.ndarray) -> bool:
    return bool(np.min(np.abs(grid.offsets_mm - grid.indices(center_mm)[0])) < 6.0)


def test_mistakes_are_rare_and_listed(study: PhantomStudy, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr("spinephantom.write.rsna_files._write_series", lambda *_: None)
    records = [write_rsna(replace(study, seed=seed), tmp_path)["rsna"] for seed in range(400)]
    assert np.mean([bool(record["mistakes"]) for record in records]) == pytest.approx(0.09, abs=0.05)
    assert {kind for record in records for kind in record["mistakes"]} == set(MISTAKES)


def test_levels_are_those_of_the_label_space() -> None:
    assert RSNA_LEVELS == ("L1/L2", "L2/L3", "L3/L4", "L4/L5", "L5/S1") and set(RSNA_LEVELS) <= set(LEVELS)
