"""One patient written as DICOM, NIfTI and MHA is the same patient: every voxel at its place, left on the left."""

import numpy as np
import pytest

from spinenet.readers import find_studies, read_mha, read_nifti, read_study

ORIENTATIONS = {
    "sagittal": ((0, 1, 0), (0, 0, -1), "sagittal"),
    "sagittal from the left, head first": ((0, 1, 0), (0, 0, 1), "sagittal"),
    "sagittal, oblique": ((0.28, 0.96, 0), (0, 0, -1), "sagittal"),
    "axial": ((1, 0, 0), (0, 1, 0), "axial"),
    "axial from above": ((-1, 0, 0), (0, 1, 0), "axial"),
    "axial, tilted": ((1, 0, 0), (0, 0.96, -0.28), "axial"),
    "coronal": ((1, 0, 0), (0, 0, -1), "coronal"),
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_each_voxel_reads_the_same_from_all_formats(tmp_path, patient, orientation):
    row, column, plane = ORIENTATIONS[orientation]
    stack = patient.stack(row, column)
    patient.write(tmp_path / "dicom", stack)
    (source,) = find_studies([tmp_path / "dicom"])
    (dicom,) = read_study(source).series
    nifti = read_nifti(patient.nifti(tmp_path / "a.nii.gz", stack))
    mha = read_mha(patient.mha(tmp_path / "a.mha", stack))
    for series in (dicom, nifti, mha):
        assert series.plane == plane
        assert patient.shows_patient(series)
        assert series.voxels_SRC.dtype == np.float32 and series.voxels_SRC.flags["C_CONTIGUOUS"]
        assert np.array_equal(series.voxels_SRC, dicom.voxels_SRC)
        assert np.allclose(series.affine_vox2mm, dicom.affine_vox2mm, atol=1e-4)


def test_a_single_slice_is_a_series(tmp_path, patient):
    stack = patient.stack(shape=(1, 24, 20))
    for series in (
        read_nifti(patient.nifti(tmp_path / "a.nii", stack)),
        read_mha(patient.mha(tmp_path / "a.mha", stack)),
    ):
        assert series.voxels_SRC.shape == (1, 24, 20) and patient.shows_patient(series)
