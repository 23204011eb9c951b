"""NIfTI: which affine counts, in which unit, and what the sidecar says."""

import json

import nibabel as nib
import numpy as np
import pytest

from spinenet.labels import View
from spinenet.readers import read_nifti


def rewrite(path, change):
    """Change a NIfTI file's header in place."""
    image = nib.load(path)
    voxels, header = np.asarray(image.dataobj), image.header.copy()
    change(header)
    copy = nib.Nifti1Image(voxels, None, header)
    path.unlink()
    nib.save(copy, path)


def test_qform_alone_places_the_image(tmp_path, patient):
    path = patient.nifti(tmp_path / "a.nii.gz", patient.stack())
    affine = nib.load(path).affine

    def keep_qform(header):
        header.set_qform(affine, code=1)
        header.set_sform(None, code=0)

    rewrite(path, keep_qform)
    series = read_nifti(path)
    assert patient.shows_patient(series) and series.laterality_known


def test_sides_are_unknown_without_qform_and_sform(tmp_path, patient):
    path = patient.nifti(tmp_path / "a.nii", patient.stack())

    def forget(header):
        header["qform_code"] = header["sform_code"] = 0

    rewrite(path, forget)
    assert not read_nifti(path).laterality_known


def test_metres_and_micrometres_become_millimetres(tmp_path, patient):
    stack = patient.stack()
    for unit, factor in (("meter", 0.001), ("micron", 1000.0)):
        affine_ras = np.diag([-factor, -factor, factor, 1.0]) @ stack.affine_vox2mm[:, [2, 1, 0, 3]]
        image = nib.Nifti1Image(stack.voxels.transpose(2, 1, 0), affine_ras)
        image.header.set_xyzt_units(unit)
        nib.save(image, tmp_path / f"{unit}.nii")
        assert patient.shows_patient(read_nifti(tmp_path / f"{unit}.nii"))


def test_scaled_integers_are_scaled(tmp_path, patient):
    stack = patient.stack()
    image = nib.Nifti1Image(stack.voxels.transpose(2, 1, 0).astype(np.float64), np.eye(4))
    image.set_sform(np.diag([-1.0, -1.0, 1.0, 1.0]) @ stack.affine_vox2mm[:, [2, 1, 0, 3]], code=1)
    image.set_data_dtype(np.int16)
    nib.save(image, tmp_path / "a.nii")
    assert patient.shows_patient(read_nifti(tmp_path / "a.nii"))


def test_a_fourth_axis_of_one_is_dropped(tmp_path, patient):
    path = patient.nifti(tmp_path / "a.nii", patient.stack())
    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[..., None], image.affine), tmp_path / "b.nii")
    assert patient.shows_patient(read_nifti(tmp_path / "b.nii"))


@pytest.mark.parametrize(
    ("sidecar", "view"),
    [
        ({"RepetitionTime": 0.6, "EchoTime": 0.012}, View.SAGITTAL_T1),
        ({"RepetitionTime": 4.0, "EchoTime": 0.045, "InversionTime": 0.16}, View.SAGITTAL_STIR),
        ({"SeriesDescription": "SAG T2 TSE"}, View.SAGITTAL_T2),
        ({}, None),
        ([1, 2], None),
    ],
)
def test_the_sidecar_tells_the_view(tmp_path, patient, sidecar, view):
    path = patient.nifti(tmp_path / "scan.nii.gz", patient.stack())
    (tmp_path / "scan.json").write_text(json.dumps(sidecar))
    series = read_nifti(path)
    assert series.view is view and series.reason.endswith(".")
