"""Plain DICOM studies: valid by the standard, complete in their headers, and read back to where they were made."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from spinenet.labels import View
from spinenet.readers import find_studies, read_study
from spinephantom import PhantomStudy, write_dicom


@pytest.fixture(scope="module", params=[6, 7], ids=["from the right", "from the left"])
def study(request: pytest.FixtureRequest, angled_study: PhantomStudy) -> PhantomStudy:
    return replace(angled_study, seed=request.param)


@pytest.fixture(scope="module")
def folder(study: PhantomStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dicom")
    write_dicom(study, folder)
    return folder


def test_stacks_come_back_whatever_the_order_of_their_numbers(folder: Path, study: PhantomStudy) -> None:
    read = read_study(find_studies([folder])[0]).series
    written = study.images
    assert len(read) == len(written)
    for one in written:
        nearest = min(read, key=lambda other: (other.view != one.view, _far(one.affine_vox2mm, other.affine_vox2mm)))
        assert nearest.view is one.view
        assert np.allclose(nearest.affine_vox2mm, one.affine_vox2mm, atol=1e-3)
        assert np.corrcoef(nearest.voxels_SRC.ravel(), one.voxels_SRC.ravel())[0, 1] > 0.9999


def _far(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).max())


def test_key_points_lie_within_half_a_pixel_after_reading_and_left_is_left(folder: Path, study: PhantomStudy) -> None:
    read = read_study(find_studies([folder])[0]).series
    items = {item.name: item for item in study.series}
    for point in study.keypoints:
        made = items[point.series].stacks[point.stack].series
        near = min(read, key=lambda other: (other.view != made.view, _far(made.affine_vox2mm, other.affine_vox2mm)))
        voxel = np.linalg.inv(near.affine_vox2mm) @ np.append(point.world_mm, 1.0)
        assert np.allclose(voxel[:3], [point.slice_index, point.row, point.column], atol=0.5)
    world = {(point.target, point.level): point.world_mm for point in study.keypoints}
    for name in ("foraminal", "subarticular"):
        assert world[f"{name}_stenosis_left", "L4/L5"][0] > world[f"{name}_stenosis_right", "L4/L5"][0]


def test_numbers_run_from_the_right_or_from_the_left_by_the_seed(folder: Path, study: PhantomStudy) -> None:
    slices = [pydicom.dcmread(path) for path in sorted((folder / "t1").iterdir())]
    x = [float(dataset.ImagePositionPatient[0]) for dataset in slices]
    assert x == sorted(x, reverse=bool(study.seed % 2))
    assert [int(dataset.InstanceNumber) for dataset in slices] == list(range(1, len(slices) + 1))


def test_headers_name_every_thing_a_viewer_needs(folder: Path, study: PhantomStudy) -> None:
    for item in study.series:
        for path in (folder / item.name).iterdir():
            dataset = pydicom.dcmread(path)
            axes = np.array(dataset.ImageOrientationPatient, float).reshape(2, 3)
            assert np.allclose(axes @ axes.T, np.eye(2), atol=1e-6)
            assert dataset.Modality == "MR" and dataset.FrameOfReferenceUID.startswith("2.25.")
            assert dataset.EchoTime == item.protocol.te_ms and ("InversionTime" in dataset) == (
                item.view is View.SAGITTAL_STIR
            )
            assert {"SliceThickness", "SpacingBetweenSlices", "SliceLocation", "WindowCenter"} <= set(dataset.dir())


def test_only_philips_rescales(study: PhantomStudy, tmp_path: Path) -> None:
    for vendor in ("Philips Medical Systems", "SIEMENS"):
        item = study.series[0]
        one = replace(study, series=(replace(item, protocol=replace(item.protocol, vendor=vendor)),))
        path = write_dicom(one, tmp_path / vendor)[0]
        assert ("RescaleSlope" in pydicom.dcmread(path)) == vendor.startswith("Philips")


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
def test_files_are_valid_mr_images(folder: Path, study: PhantomStudy) -> None:
    for item in study.series:
        path = next(iter((folder / item.name).iterdir()))
        said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        assert "MRImage" in said.stderr and "Error" not in said.stderr, said.stderr
