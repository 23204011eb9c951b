"""A fault of ours is not called damage: it is raised as it is, and damage keeps what the library said."""

import ast
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.datadict import dictionary_VR

from spinenet.errors import ReadError
from spinenet.readers import find_studies, nifti, read_mha, read_nifti, read_study
from spinenet.readers.archives import ImageFiles
from spinenet.readers.dicom import headers, pixels
from spinenet.readers.dicom.elements import read_dataset

READERS = Path(nifti.__file__).parent


class OurFaultError(ValueError):
    """Of a kind that libraries raise on damaged bytes."""


def fault(*arguments, **named):
    raise OurFaultError


def test_a_fault_in_our_reading_of_headers_is_raised(tmp_path, patient, monkeypatch):
    patient.write(tmp_path, patient.stack())
    monkeypatch.setattr(headers, "_orthonormal", fault)
    with pytest.raises(OurFaultError):
        find_studies([tmp_path])


def test_a_fault_in_our_rescaling_is_raised(tmp_path, patient, monkeypatch):
    patient.write(tmp_path, patient.stack())
    (source,) = find_studies([tmp_path])
    monkeypatch.setattr(pixels, "first_value", fault)
    with pytest.raises(OurFaultError):
        read_study(source)


def test_a_fault_in_our_affine_is_raised(tmp_path, monkeypatch):
    nib.save(nib.Nifti1Image(np.random.default_rng(0).normal(size=(20, 20, 20)), np.eye(4)), tmp_path / "a.nii")
    monkeypatch.setattr(nifti, "check_affine", fault)
    with pytest.raises(OurFaultError):
        read_nifti(tmp_path / "a.nii")


@pytest.mark.parametrize(("name", "read"), [("a.nii.gz", read_nifti), ("a.mha", read_mha)])
def test_damage_keeps_what_the_library_said(tmp_path, patient, name, read):
    path = {"a.nii.gz": patient.nifti, "a.mha": patient.mha}[name](tmp_path / name, patient.stack(shape=(5, 64, 64)))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ReadError) as caught:
        read(path)
    assert caught.value.__cause__ is not None and not isinstance(caught.value.__cause__, ReadError)


def test_damaged_dicom_keeps_what_the_library_said(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"no DICOM")
    with pytest.raises(ReadError) as caught, ImageFiles() as images:
        read_dataset(tmp_path / "a.dcm", images)
    assert "DICM" in str(caught.value.__cause__)


@pytest.mark.parametrize("path", sorted(READERS.rglob("*.py")), ids=lambda path: path.name)
def test_no_reader_drops_the_cause_of_an_error(path):
    raised = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Raise)]
    assert not [node for node in raised if isinstance(node.cause, ast.Constant)]


def test_what_any_decoder_may_raise_is_caught_around_pydicom_alone():
    catching = {path.name for path in READERS.rglob("*.py") if "except damage()" in path.read_text()}
    assert catching == {"elements.py", "pixels.py"}


ODD_VALUES = {
    "Rows": [0, 65535, [24, 24]],
    "Columns": [0, [20, 20]],
    "BitsStored": [0, 17, 65535],
    "SamplesPerPixel": [0, 3, [1, 1]],
    "PixelRepresentation": [1, 65535],
    "ImagePositionPatient": [["1e300", "0", "0"], ["1e308", "1e308", "1e308"], ["-1e9", "0", "0"], ["0", "0"]],
    "ImageOrientationPatient": [["1e200", "0", "0", "0", "1", "0"], ["0"] * 6, ["nan"] * 6],
    "PixelSpacing": [["1e308", "1e308"], ["0", "0"], ["-1", "1"]],
    "SliceThickness": ["1e308", "-1", "nan"],
    "SpacingBetweenSlices": ["1e308", "1e-308"],
    "RescaleSlope": ["1e308", "0", "-1"],
    "RescaleIntercept": ["1e308", "-1e308"],
    "NumberOfFrames": ["-1", "999999999999"],
    "SeriesNumber": ["999999999999", "-5"],
    "EchoTime": ["1e308", "-1"],
    "EchoTrainLength": ["999999999999"],
    "PatientAge": ["²²²Y", "999W", "-01Y"],
    "PatientBirthDate": ["²0260101", "99999999"],
    "MagneticFieldStrength": ["1e308", "0"],
}


@pytest.mark.parametrize(("keyword", "value"), [(key, value) for key in ODD_VALUES for value in ODD_VALUES[key]])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_values_that_no_scanner_writes_end_in_a_reason_or_an_image(tmp_path, patient, keyword, value):
    for path in patient.write(tmp_path, patient.stack()):
        dataset = dcmread(path)
        dataset.add_new(keyword, dictionary_VR(keyword), None)
        dataset[keyword]._value = value
        dataset.save_as(path, enforce_file_format=False)
    try:
        series = [one for source in find_studies([tmp_path]) for one in read_study(source).series]
    except ReadError:
        return
    assert series and all(np.isfinite(one.voxels_SRC).all() for one in series)
