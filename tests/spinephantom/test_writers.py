"""Phantoms on disc: SPIDER's layout to the letter, plain DICOM, and runs that can be resumed."""

import csv
import json
from pathlib import Path

import numpy as np
import pydicom
import pytest

from spinenet.errors import DatasetError
from spinenet.geometry import canonical
from spinephantom import PhantomStudy, make_study, write_dicom, write_spider, write_spider_tables
from spinephantom.phantom import StudyOptions
from spinephantom.write.collection import PhantomConfig, generate

SimpleITK = pytest.importorskip("SimpleITK")


@pytest.fixture(scope="module")
def study() -> PhantomStudy:
    return make_study(21, axial=False, size=192, slices=3)


@pytest.fixture(scope="module")
def root(study: PhantomStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spider")
    write_spider(study, folder, "1", storage="PIR")
    write_spider(study, folder, "2", subset="validation", storage="LPS")
    write_spider_tables(folder)
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_layout_is_that_of_spider(root: Path, study: PhantomStudy) -> None:
    expected = {"1_t1.mha", "1_t2.mha", "2_t1.mha", "2_t2.mha"}
    assert {path.name for path in (root / "images").iterdir()} == expected
    assert {path.name for path in (root / "masks").iterdir()} == expected
    overview = rows(root / "overview.csv")
    assert len(overview[0]) == 39
    assert [row["new_file_name"] for row in overview] == ["1_t1", "1_t2", "2_t1", "2_t2"]
    assert [row["subset"] for row in overview] == ["training"] * 2 + ["validation"] * 2
    gradings = rows(root / "radiological_gradings.csv")
    assert list(gradings[0]) == [
        "Patient", "IVD label", "Modic", "UP endplate", "LOW endplate", "Spondylolisthesis",
        "Disc herniation", "Disc narrowing", "Disc bulging", "Pfirrman grade",
    ]  # fmt: skip
    first = [row for row in gradings if row["Patient"] == "1"]
    assert [int(row["IVD label"]) for row in first] == list(range(1, len(study.levels) + 1))
    assert first[0]["Pfirrman grade"] == str(study.levels["L5/S1"]["grades"]["pfirrmann"])


def test_masks_hold_vertebrae_canal_and_discs_from_the_lowest(root: Path) -> None:
    mask = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(root / "masks" / "1_t1.mha")))
    values = set(np.unique(mask).tolist())
    assert {0, 1, 2, 3, 4, 5, 100, 201, 202, 203, 204, 205} <= values
    assert values <= {0, *range(1, 11), 100, *range(201, 211)}


@pytest.mark.parametrize("patient", ["1", "2"])
def test_both_storage_orders_come_back_to_the_same_canonical_volume(
    root: Path, study: PhantomStudy, patient: str
) -> None:
    image = SimpleITK.ReadImage(str(root / "images" / f"{patient}_t1.mha"))
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    stored = SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0).astype(np.float32)
    voxels, affine, plane = canonical(stored, affine)
    assert plane == "sagittal"
    np.testing.assert_array_equal(voxels, study.series[0].series.voxels_SRC)
    np.testing.assert_allclose(affine, study.series[0].series.affine_vox2mm, atol=1e-6)


def test_truth_file_says_how_the_study_was_made(root: Path) -> None:
    record = json.loads((root / "truth" / "1.json").read_text())
    assert record["seed"] == 21 and record["generator_version"] and record["parameters"]["person"]["age"] > 0
    level = record["levels"]["L4/L5"]
    assert set(level) >= {"measurements", "grades", "margins", "extended"}
    assert level["measurements"]["canal_area_mm2"] > 20.0
    assert set(level["margins"]) == set(level["grades"])


def test_stir_is_called_t2_in_the_file_name_only(tmp_path: Path) -> None:
    write_spider(make_study(8, axial=False, size=128, slices=1, stir_share=1.0), tmp_path, "1")
    write_spider_tables(tmp_path)
    row = rows(tmp_path / "overview.csv")[1]
    assert row["new_file_name"] == "1_t2" and "IR" in row["ScanningSequence"]
    assert any(word in row["SeriesDescription"].lower() for word in ("stir", "tirm"))


def config(folder: Path, **changes: object) -> PhantomConfig:
    options = StudyOptions(axial=False, size=128, slices=1, sub_slices=1)
    return PhantomConfig(out=str(folder), study=options, **changes)  # type: ignore[arg-type]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.*"))}


def test_resumed_run_makes_what_is_missing_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    assert list(generate(config(tmp_path / "a", studies=3))) == ["1", "2", "3"]
    list(generate(config(tmp_path / "b", studies=1)))
    assert list(generate(config(tmp_path / "b", studies=3))) == ["2", "3"]
    assert files(tmp_path / "a") == files(tmp_path / "b")
    with pytest.raises(DatasetError, match="other settings"):
        list(generate(config(tmp_path / "b", studies=3, seed=5)))


def test_several_processes_write_the_same_bytes(tmp_path: Path) -> None:
    list(generate(config(tmp_path / "one", studies=2)))
    list(generate(config(tmp_path / "two", studies=2, workers=2)))
    assert files(tmp_path / "one") == files(tmp_path / "two")


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90"])
def test_dicom_slices_sorted_by_position_give_the_volume_back(study: PhantomStudy, tmp_path: Path, syntax: str) -> None:
    write_dicom(study, tmp_path, transfer_syntax=syntax)
    slices = [pydicom.dcmread(path) for path in (tmp_path / "t1").iterdir()]
    slices.sort(key=lambda dataset: dataset.ImagePositionPatient[0])
    assert {str(dataset.file_meta.TransferSyntaxUID) for dataset in slices} == {syntax}
    volume = np.stack([dataset.pixel_array for dataset in slices])
    np.testing.assert_array_equal(volume, study.series[0].series.voxels_SRC)
    assert slices[0].SOPInstanceUID.startswith("2.25.") and len({d.SeriesInstanceUID for d in slices}) == 1
    orientation = np.array(slices[0].ImageOrientationPatient, float).reshape(2, 3)
    np.testing.assert_allclose(orientation, [[0, 1, 0], [0, 0, -1]], atol=1e-9)


def test_dicom_bytes_are_fixed_by_the_seed(study: PhantomStudy, tmp_path: Path) -> None:
    write_dicom(study, tmp_path / "a", transfer_syntax="1.2.840.10008.1.2.5")
    write_dicom(study, tmp_path / "b", transfer_syntax="1.2.840.10008.1.2.5")
    assert files(tmp_path / "a") == files(tmp_path / "b")
