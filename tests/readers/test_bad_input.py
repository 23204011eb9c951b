"""Whatever is wrong with a file, the user gets one line that says what and what to do."""

import gzip
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest

from spinenet.errors import ReadError
from spinenet.readers import find_studies, read_mha, read_nifti, read_study

NOISE = np.random.default_rng(0).normal(100, 10, (20, 20, 20)).astype(np.float32)


def nifti(path, voxels, affine=None):
    nib.save(nib.Nifti1Image(voxels, np.eye(4) if affine is None else affine), path)
    return path


def mha(path, voxels=NOISE, **changed):
    """A hand-written uncompressed .mha, so that its header can say what no library would write."""
    header = {
        "ObjectType": "Image",
        "NDims": voxels.ndim,
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "TransformMatrix": " ".join(map(str, np.eye(voxels.ndim).ravel().astype(int))),
        "Offset": " ".join("0" * voxels.ndim),
        "ElementSpacing": " ".join("1" * voxels.ndim),
        "DimSize": " ".join(map(str, voxels.shape[::-1])),
        "ElementType": "MET_FLOAT",
        **changed,
        "ElementDataFile": "LOCAL",
    }
    lines = "".join(f"{key} = {value}\n" for key, value in header.items())
    path.write_bytes(lines.encode() + voxels.astype("<f4").tobytes())
    return path


def error_of(call, path):
    """The message, after a check that it is one line which names the file."""
    with pytest.raises(ReadError) as caught:
        call(path)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(path.name) and len(message) < 250
    return message


def test_hand_written_mha_is_read(tmp_path):
    assert read_mha(mha(tmp_path / "a.mha")).voxels_SRC.shape == (20, 20, 20)


def with_value(value):
    voxels = NOISE.copy()
    voxels[3, 4, 5] = value
    return voxels


@pytest.mark.parametrize(
    ("voxels", "words"),
    [
        (with_value(np.nan), "NaN"),
        (with_value(np.inf), "infinite"),
        (with_value(-np.inf), "infinite"),
        (np.full((20, 20, 20), 7.0, np.float32), "every voxel is 7"),
        (NOISE[0], "2 dimensions"),
        (np.stack([NOISE, NOISE]), "4 dimensions"),
    ],
)
def test_images_that_show_nothing_usable(tmp_path, voxels, words):
    assert words in error_of(read_nifti, nifti(tmp_path / "a.nii.gz", voxels.T))
    assert words in error_of(read_mha, mha(tmp_path / "a.mha", voxels))


@pytest.mark.parametrize("spacing", ["0 1 1", "1 -1 1", "1 nan 1", "1 x 1", "1 1"])
def test_mha_spacing_must_be_positive_numbers(tmp_path, spacing):
    message = error_of(read_mha, mha(tmp_path / "a.mha", ElementSpacing=spacing))
    assert "pacing" in message


@pytest.mark.parametrize("pixdim", [0.0, -1.0, np.nan])
def test_nifti_spacing_must_be_positive(tmp_path, pixdim):
    path = nifti(tmp_path / "a.nii", NOISE)
    content = bytearray(path.read_bytes())
    content[80:84] = np.float32(pixdim).tobytes()  # pixdim[1]
    path.write_bytes(content)
    assert "not positive" in error_of(read_nifti, path)


def test_implausible_spacing(tmp_path):
    assert "not plausible" in error_of(read_nifti, nifti(tmp_path / "a.nii", NOISE, np.diag([1000.0, 1, 1, 1])))
    assert "not plausible" in error_of(read_mha, mha(tmp_path / "a.mha", ElementSpacing="0.001 1 1"))


def test_singular_affine(tmp_path):
    affine = np.eye(4)
    affine[:3, 1] = affine[:3, 0]
    assert "singular" in error_of(read_nifti, nifti(tmp_path / "a.nii", NOISE, affine))
    error_of(read_mha, mha(tmp_path / "a.mha", TransformMatrix="1 0 0 1 0 0 0 0 1"))


def test_colour_images(tmp_path):
    colour = np.zeros((20, 20, 20), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    assert "colour" in error_of(read_nifti, nifti(tmp_path / "a.nii", colour))
    assert "colour" in error_of(read_mha, mha(tmp_path / "a.mha", ElementNumberOfChannels="3"))


def test_files_too_large_to_be_plausible_are_not_even_read(tmp_path):
    path = nifti(tmp_path / "a.nii", NOISE)
    content = bytearray(path.read_bytes())
    content[42:48] = np.array([30000, 30000, 30000], np.int16).tobytes()
    path.write_bytes(content)
    assert "too many" in error_of(read_nifti, path)
    assert "too many" in error_of(read_mha, mha(tmp_path / "a.mha", DimSize="30000 30000 30000"))


@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.99])
def test_truncated_files(tmp_path, part):
    for write, call, name in ((nifti, read_nifti, "a.nii.gz"), (nifti, read_nifti, "b.nii"), (mha, read_mha, "a.mha")):
        path = write(tmp_path / name, NOISE)
        content = path.read_bytes()
        path.write_bytes(content[: int(part * len(content))])
        assert name in error_of(call, path)


def test_truncated_compressed_mha(tmp_path, patient):
    path = patient.mha(tmp_path / "a.mha", patient.stack(shape=(5, 64, 64)))
    path.write_bytes(path.read_bytes()[:-200])
    assert "cut short" in error_of(read_mha, path)


def test_text_renamed_to_an_image(tmp_path):
    for name, call in (("a.mha", read_mha), ("a.mhd", read_mha), ("a.nii", read_nifti), ("a.nii.gz", read_nifti)):
        (tmp_path / name).write_text("Dear colleague, please find enclosed = the images.\n" * 40)
        assert name in error_of(call, tmp_path / name)
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(b"still no image" * 100))
    assert "b.nii.gz" in error_of(read_nifti, tmp_path / "b.nii.gz")


def test_mhd_without_its_data_file(tmp_path, patient):
    path = patient.mha(tmp_path / "a.mhd", patient.stack())
    next(file for file in tmp_path.iterdir() if file != path).unlink()
    assert "a.mhd" in error_of(read_mha, path)


def test_missing_simpleitk_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    assert "install 'spinenet-mri[mha]'" in error_of(read_mha, mha(tmp_path / "a.mha"))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "no such file or folder"),
        (lambda path: path.mkdir(), "no DICOM, NIfTI or MHA image"),
        (lambda path: path.write_bytes(b""), "the file is empty"),
        (lambda path: path.write_text("hello"), "not a DICOM, NIfTI"),
    ],
)
def test_paths_without_images(tmp_path, make, words):
    make(tmp_path / "given")
    with pytest.raises(ReadError, match=words):
        find_studies([tmp_path / "given"])


@pytest.mark.parametrize(
    "content", [b"no DICOM at all", b"\0" * 128 + b"DICM", b"\0" * 128 + b"DICM\x02\x00\x10\x00UI"]
)
def test_broken_dicom_given_by_itself(tmp_path, content):
    (tmp_path / "a.dcm").write_bytes(content)
    (source,) = find_studies([tmp_path / "a.dcm"])
    with pytest.raises(ReadError, match="cannot be read as DICOM"):
        read_study(source)


def test_importing_the_readers_loads_no_imaging_library():
    code = "import sys, spinenet.readers; print({'pydicom', 'nibabel', 'SimpleITK', 'torch'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"
