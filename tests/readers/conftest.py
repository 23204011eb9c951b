"""A patient whose grey value follows from the place in mm, written to files of every format and orientation."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from spinenet.study import Series

SAGITTAL_T2 = {"RepetitionTime": 3500.0, "EchoTime": 100.0, "ScanningSequence": "SE", "SeriesDescription": "sag"}


def grey_at(points_mm: np.ndarray) -> np.ndarray:
    """Grey value at LPS points (..., 3): whole numbers, steeper to the left than backwards than upwards."""
    return np.rint(1000 + points_mm @ np.array([4.0, 2.0, 1.0])).astype(np.int16)


@dataclass(frozen=True)
class Stack:
    """Slices of the patient: ``affine_vox2mm`` takes (slice, row, column, 1) to LPS mm."""

    affine_vox2mm: np.ndarray
    shape: tuple[int, int, int]
    tags: dict[str, Any] = field(default_factory=lambda: dict(SAGITTAL_T2))

    @cached_property
    def voxels(self) -> np.ndarray:
        indices = np.moveaxis(np.indices(self.shape), 0, -1)
        return grey_at(indices @ self.affine_vox2mm[:3, :3].T + self.affine_vox2mm[:3, 3])

    def having(self, **tags: Any) -> "Stack":
        """The same slices with other DICOM values; None leaves one out."""
        return replace(self, tags={**self.tags, **tags})


def make_stack(
    row: tuple[float, ...] = (0, 1, 0),
    column: tuple[float, ...] = (0, 0, -1),
    *,
    shape: tuple[int, int, int] = (7, 24, 20),
    spacing_mm: tuple[float, float, float] = (4.0, 0.8, 0.7),
    origin_mm: tuple[float, ...] = (-12.0, -30.0, 15.0),
) -> Stack:
    """``row`` and ``column`` are LPS directions of a row and of a column, as in DICOM; slices follow their normal."""
    affine = np.eye(4)
    directions = np.stack([np.cross(row, column), column, row], axis=1).astype(float)
    affine[:3, :3] = directions / np.linalg.norm(directions, axis=0) * spacing_mm
    affine[:3, 3] = origin_mm
    return Stack(affine, shape)


def dicom_slice(stack: Stack, index: int) -> Dataset:
    """One slice as a single-frame MR object in memory."""
    affine, uid = stack.affine_vox2mm, generate_uid()
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = uid
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, uid
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = "MR", 1, index + 1
    dataset.PatientName, dataset.PatientID, dataset.AccessionNumber = "Doe^Jane", "ID4711", "ACC0815"
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    dataset.ImagePositionPatient = [float(x) for x in affine[:3, 3] + index * affine[:3, 0]]
    dataset.ImageOrientationPatient = [float(x) for x in (*affine[:3, 2] / spacing[2], *affine[:3, 1] / spacing[1])]
    dataset.PixelSpacing = [float(spacing[1]), float(spacing[2])]
    dataset.SliceThickness = float(spacing[0])
    set_pixels(dataset, stack.voxels[index])
    for keyword, value in stack.tags.items():
        setattr(dataset, keyword, value)
        if value is None:
            delattr(dataset, keyword)
    return dataset


def set_pixels(dataset: Dataset, pixels: np.ndarray) -> None:
    """Store int16 grey values (frames, rows, columns) or (rows, columns), uncompressed."""
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.PixelData = pixels.astype("<i2").tobytes()


def write_nifti(path: Path, stack: Stack) -> Path:
    """The stack as one NIfTI file, stored in the order a sagittal scanner export has: columns, rows, slices."""
    affine_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ stack.affine_vox2mm[:, [2, 1, 0, 3]]
    nib.save(nib.Nifti1Image(stack.voxels.transpose(2, 1, 0), affine_ras), path)
    return path


def write_mha(path: Path, stack: Stack) -> Path:
    """The stack as one MetaImage."""
    sitk = pytest.importorskip("SimpleITK")
    spacing = np.linalg.norm(stack.affine_vox2mm[:3, :3], axis=0)
    image = sitk.GetImageFromArray(stack.voxels)
    image.SetSpacing([float(mm) for mm in spacing[::-1]])
    image.SetDirection((stack.affine_vox2mm[:3, :3] / spacing)[:, ::-1].ravel().tolist())
    image.SetOrigin(stack.affine_vox2mm[:3, 3].tolist())
    sitk.WriteImage(image, str(path), useCompression=True)
    return path


def write_stack(folder: Path, stack: Stack, edit: Callable[[Dataset, int], object] | None = None) -> list[Path]:
    """Write every slice to ``folder``; ``edit(dataset, index)`` may change each before. Returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index in range(stack.shape[0]):
        dataset = dicom_slice(stack, index)
        if edit:
            edit(dataset, index)
        paths.append(folder / f"{dataset.get('SeriesNumber', 0)}-{index:03d}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


def shows_patient(series: Series, tolerance: float = 0.51) -> bool:
    """Whether every voxel of the series has the grey value of the place where its affine puts it."""
    indices = np.moveaxis(np.indices(series.voxels_SRC.shape), 0, -1)
    points_mm = indices @ series.affine_vox2mm[:3, :3].T + series.affine_vox2mm[:3, 3]
    return bool(np.abs(series.voxels_SRC - grey_at(points_mm)).max() <= tolerance)


@dataclass(frozen=True)
class Tools:
    """The functions above, for tests that cannot import this file."""

    stack: Callable[..., Stack] = staticmethod(make_stack)
    slice: Callable[..., Dataset] = staticmethod(dicom_slice)
    set_pixels: Callable[..., None] = staticmethod(set_pixels)
    write: Callable[..., list[Path]] = staticmethod(write_stack)
    nifti: Callable[..., Path] = staticmethod(write_nifti)
    mha: Callable[..., Path] = staticmethod(write_mha)
    shows_patient: Callable[..., bool] = staticmethod(shows_patient)


@pytest.fixture(scope="session")
def patient() -> Tools:
    return Tools()


@pytest.fixture
def spider_root() -> Path:
    """The real SPIDER folder, or a skip that says how to give it."""
    folder = os.environ.get("SPINENET_SPIDER")
    if not folder:
        pytest.skip("SPINENET_SPIDER is not set to a SPIDER folder")
    return Path(folder)
