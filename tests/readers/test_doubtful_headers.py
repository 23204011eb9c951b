"""Headers that contradict themselves or point elsewhere: no side, no grey value and no file is taken on their word."""

import gzip
import json
import os
import struct
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from spinenet.errors import ReadError
from spinenet.readers import find_studies, read_mha, read_nifti, read_study
from spinenet.readers.sources import Acquisition
from spinenet.readers.volume import without_padding


def both_forms(patient: Any, path: Path, change: np.ndarray, codes: tuple[int, int] = (1, 1)) -> Path:
    """A NIfTI file whose sform is its qform changed in the world."""
    patient.nifti(path, patient.stack())
    image: Any = nib.load(path, mmap=False)
    moved = nib.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header)
    moved.set_qform(image.affine, codes[0])
    moved.set_sform(change @ image.affine, codes[1])
    moved.to_filename(path)
    return path


def test_sform_and_qform_that_mirror_each_other_leave_the_sides_unknown(patient: Any, tmp_path: Path) -> None:
    series = read_nifti(both_forms(patient, tmp_path / "p_t2.nii.gz", np.diag([-1.0, 1, 1, 1])))
    assert not series.laterality_known and "contradict each other about left and right" in series.remarks[0]
    (source,) = find_studies([tmp_path])
    assert any("contradict" in note.text for note in read_study(source).notes)


def test_a_form_without_a_code_contradicts_nothing(patient: Any, tmp_path: Path) -> None:
    series = read_nifti(both_forms(patient, tmp_path / "p_t2.nii.gz", np.diag([-1.0, 1, 1, 1]), (0, 1)))
    assert series.laterality_known and not series.remarks


def test_forms_that_are_turned_a_little_are_read_and_turned_a_lot_are_said(patient: Any, tmp_path: Path) -> None:
    for degrees, said in ((2, 0), (30, 1)):
        turn = np.eye(4)
        turn[1:3, 1:3] = [[np.cos(np.radians(degrees)), -np.sin(np.radians(degrees))],
                          [np.sin(np.radians(degrees)), np.cos(np.radians(degrees))]]  # fmt: skip
        series = read_nifti(both_forms(patient, tmp_path / "p_t2.nii.gz", turn))
        assert series.laterality_known and len(series.remarks) == said


def test_an_empty_sform_gives_way_to_the_qform(patient: Any, tmp_path: Path) -> None:
    path = both_forms(patient, tmp_path / "p_t2.nii", np.eye(4))
    raw = bytearray(path.read_bytes())
    raw[280:328] = bytes(48)
    path.write_bytes(raw)
    assert patient.shows_patient(read_nifti(path))


def test_unused_bits_of_the_units_do_not_matter(patient: Any, tmp_path: Path) -> None:
    path = patient.nifti(tmp_path / "p_t2.nii.gz", patient.stack())
    raw = bytearray(gzip.decompress(path.read_bytes()))
    raw[123] = 0x42
    path.write_bytes(gzip.compress(bytes(raw)))
    assert patient.shows_patient(read_nifti(path))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda raw: raw[:112] + struct.pack("<ff", 1, float("nan")) + raw[120:], "its header"),
        (lambda raw: b"", "empty"),
        (lambda raw: raw[: len(raw) // 2], "cut short"),
    ],
)
def test_what_is_wrong_with_a_nifti_file_is_what_is_said(patient: Any, tmp_path: Path, spoil: Any, said: str) -> None:
    path = patient.nifti(tmp_path / "p_t2.nii", patient.stack())
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(ReadError, match=said):
        read_nifti(path)


def test_a_file_without_orientation_has_no_plane_by_orientation(patient: Any, tmp_path: Path) -> None:
    series = read_nifti(both_forms(patient, tmp_path / "p_t2.nii.gz", np.eye(4), (0, 0)))
    assert "states no orientation" in series.reason and not series.laterality_known


@pytest.mark.parametrize(
    "content",
    [
        {"ScanningSequence": ["GR"], "EchoTime": 0.1},
        {"ScanningSequence": {"a": 1}, "EchoTime": [], "ImageType": 7, "RepetitionTime": {"x": [1]}},
        {"EchoTime": "NaN", "EchoTrainLength": True, "ProtocolName": [["T2"]]},
        [1, 2],
    ],
)
def test_a_sidecar_of_any_shape_never_stops_the_image(patient: Any, tmp_path: Path, content: Any) -> None:
    path = patient.nifti(tmp_path / "p_t2.nii.gz", patient.stack())
    (tmp_path / "p_t2.json").write_text(json.dumps(content))
    series = read_nifti(path)
    assert patient.shows_patient(series)
    if isinstance(content, dict) and content.get("ScanningSequence") == ["GR"]:
        assert series.view is None and "gradient echo" in series.reason


def test_a_sidecar_that_is_deep_large_or_a_pipe_is_no_sidecar(patient: Any, tmp_path: Path) -> None:
    path = patient.nifti(tmp_path / "p_t2.nii.gz", patient.stack())
    sidecar = tmp_path / "p_t2.json"
    for content in ("[" * 100_000, '{"EchoTime": 0.1' + " " * (2 << 20) + "}"):
        sidecar.write_text(content)
        assert patient.shows_patient(read_nifti(path))
    sidecar.unlink()
    os.mkfifo(sidecar)
    assert patient.shows_patient(read_nifti(path))


@pytest.mark.parametrize(
    "name", ["../secret.raw", "/etc/passwd", "LIST", "%03d.raw", "gone.raw", "a/b.raw", "pipe.raw"]
)
def test_a_metaimage_reaches_no_file_but_its_own_beside_it(patient: Any, tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe.raw")
    header = f"NDims = 3\nDimSize = 20 24 7\nElementType = MET_SHORT\nElementDataFile = {name}\n"
    (tmp_path / "p_t2.mhd").write_text(header)
    with pytest.raises(ReadError, match="data file"):
        read_mha(tmp_path / "p_t2.mhd")


@pytest.mark.parametrize("axes", ["0 0 0 0 0 0 0 0 0", "1 0 0 1 0 0 0 0 1", "nan 0 0 0 1 0 0 0 1"])
def test_a_metaimage_whose_axes_lie_in_one_plane_says_so(tmp_path: Path, axes: str) -> None:
    path = tmp_path / "t2.mha"
    header = (
        f"NDims = 3\nDimSize = 32 32 32\nElementType = MET_SHORT\nTransformMatrix = {axes}\nElementDataFile = LOCAL\n"
    )
    path.write_bytes(header.encode() + bytes(65536))
    with pytest.raises(ReadError, match="axes lie in one plane"):
        read_mha(path)


@pytest.mark.parametrize("sizes", ["inf 2 2", "nan 2 2", "1e308 2 2", "-5 20 20", "x 1 1"])
def test_a_metaimage_of_impossible_size_is_refused(tmp_path: Path, sizes: str) -> None:
    (tmp_path / "p_t2.mha").write_text(f"NDims = 3\nDimSize = {sizes}\nElementDataFile = LOCAL\n")
    with pytest.raises(ReadError, match=r"DimSize|empty|too few"):
        read_mha(tmp_path / "p_t2.mha")


@pytest.mark.parametrize(("stated", "signed", "value"), [(-32768, 1, -32768), (32768, 1, -32768), (65535, 0, 65535)])
def test_padding_by_the_header_is_no_grey_value(
    patient: Any, tmp_path: Path, stated: int, signed: int, value: int
) -> None:
    def padded(data: Any, index: int) -> None:
        pixels = data.pixel_array.astype(np.int32)
        pixels[:, -2:] = value
        data.PixelRepresentation, data.BitsStored, data.HighBit = signed, 16, 15
        data.PixelData = pixels.astype("<i2" if signed else "<u2").tobytes()
        data.add_new(0x00280120, "SS" if stated < 0 else "US", stated)

    patient.write(tmp_path, patient.stack(), padded)
    (series,) = read_study(find_studies([tmp_path])[0]).series
    sound = patient.stack().voxels
    assert sound.min() <= series.voxels_SRC.min() and series.voxels_SRC.max() <= sound.max()


def test_a_background_far_below_all_else_is_no_grey_value() -> None:
    voxels = np.random.default_rng(0).uniform(0, 4000, (4, 50, 50)).astype(np.float32)
    bordered = voxels.copy()
    bordered[:, :, :3] = -2000
    assert without_padding(bordered).min() == bordered[bordered >= 0].min()
    shifted = voxels - 1024  # an offset is no border
    assert without_padding(shifted) is shifted


def test_an_agent_in_a_sidecar_counts(patient: Any, tmp_path: Path) -> None:
    path = patient.nifti(tmp_path / "p_t2.nii.gz", patient.stack())
    (tmp_path / "p_t2.json").write_text(json.dumps({"ContrastBolusIngredient": "GADOLINIUM", "EchoTime": 0.1}))
    assert "contrast agent" in read_nifti(path).reason
    assert Acquisition().contrast_agent is False
