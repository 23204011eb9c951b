"""No file takes more memory or time than an image may: it is refused by a few of its bytes."""

import gzip
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

from spinenet.errors import ReadError
from spinenet.readers import find_studies, read_study
from spinenet.readers.dicom import elements, limits
from spinenet.readers.dicom.limits import check_jpeg2000

SIZ = b"\xff\x4f\xff\x51\x00\x29\x00\x00"


def codestream(rows: int, columns: int) -> bytes:
    return SIZ + struct.pack(">4I", columns, rows, 0, 0) + bytes(40)


def problems(folder: Path) -> str:
    texts = []
    for source in find_studies([folder]):
        try:
            texts += [str(note) for note in read_study(source).notes]
        except ReadError as error:
            texts.append(str(error))
    return "; ".join(texts)


def test_a_codestream_is_of_the_size_that_the_header_states() -> None:
    check_jpeg2000(codestream(24, 20), (24, 20))
    boxed = b"\x00\x00\x00\x0cjP  \r\n\x87\n" + struct.pack(">I4s", 200, b"jp2c") + codestream(24, 20)
    check_jpeg2000(boxed, (24, 20))
    for bad in (codestream(60_000, 60_000), b"", b"\xff\x4f", codestream(20, 24)):
        with pytest.raises(ReadError):
            check_jpeg2000(bad, (24, 20))


@pytest.mark.parametrize("length", [0, 1, 7])
def test_a_box_without_length_ends_no_parser_in_a_loop(patient: Any, tmp_path: Path, length: int) -> None:
    def hostile(data: Any, index: int) -> None:
        boxes = b"\x00\x00\x00\x0cjP  \r\n\x87\n" + struct.pack(">I4s", length, b"free") + bytes(1500)
        data.file_meta.TransferSyntaxUID = JPEG2000Lossless
        data.PixelData = encapsulate([boxes])
        data["PixelData"].is_undefined_length = True

    patient.write(tmp_path, patient.stack(), hostile)
    began = time.monotonic()
    assert "slices left out" in problems(tmp_path)
    assert time.monotonic() - began < 10


def test_what_inflates_to_gigabytes_is_not_inflated(
    patient: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_INFLATED_BYTES", 1 << 20)
    (path, *others) = patient.write(tmp_path, patient.stack())
    for other in others:
        other.unlink()
    data = dcmread(path)
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    data.save_as(path, enforce_file_format=True)
    assert problems(tmp_path) == ""  # a deflated image of usual size is read
    raw = path.read_bytes()
    (length,) = struct.unpack("<I", raw[140:144])
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = packer.compress(bytes(64 << 20)) + packer.flush()
    path.write_bytes(raw[: 144 + length] + bomb)
    assert "cannot be read as DICOM" in problems(tmp_path)


def test_images_larger_than_any_mr_image_are_none(patient: Any, tmp_path: Path) -> None:
    def vast(data: Any, index: int) -> None:
        data.Rows = data.Columns = 7000

    patient.write(tmp_path, patient.stack(), vast)
    assert "more pixels than MR images have" in problems(tmp_path)


def test_files_and_frames_beyond_all_measure_are_named(
    patient: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient.write(tmp_path, patient.stack(), lambda data, index: setattr(data, "NumberOfFrames", 200_000))
    assert f"more than {limits.MAX_FRAMES} frames" in problems(tmp_path)
    monkeypatch.setattr(limits, "MAX_FILE_BYTES", 1000)
    assert "cannot be read as DICOM" in problems(tmp_path)


def test_blanked_values_stay_readable_after_all_limits(patient: Any, tmp_path: Path) -> None:
    patient.write(tmp_path, patient.stack())
    (series,) = read_study(find_studies([tmp_path])[0]).series
    assert patient.shows_patient(series) and np.isfinite(series.voxels_SRC).all()


def test_a_volume_that_would_take_gigabytes_is_refused_by_its_header(tmp_path: Path) -> None:
    header = nib.Nifti1Header()
    header.set_data_shape((500, 480, 490))
    header.set_data_dtype(np.float64)
    (tmp_path / "x_t2.nii").write_bytes(header.binaryblock + bytes(1000))
    assert "8 bytes are too many" in problems(tmp_path)
    lines = "NDims = 3\nDimSize = 500 480 490\nElementType = MET_DOUBLE\nElementDataFile = LOCAL\n"
    (tmp_path / "x_t2.nii").unlink()
    (tmp_path / "x_t2.mha").write_text(lines)
    assert "8 bytes are too many" in problems(tmp_path)


def test_voxels_far_behind_the_header_are_not_looked_for(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.random.default_rng(0).integers(0, 999, (15, 64, 64)).astype(np.int16), np.eye(4))
    for made in (image, nib.Nifti2Image(image.dataobj, np.eye(4))):
        nib.save(made, tmp_path / "x_t2.nii.gz")
        assert problems(tmp_path) == ""
        raw = bytearray(gzip.decompress((tmp_path / "x_t2.nii.gz").read_bytes()))
        place, offset = (108, struct.pack("<f", 2e9)) if made is image else (168, struct.pack("<q", 2 * 10**9))
        raw[place : place + len(offset)] = offset
        with gzip.open(tmp_path / "x_t2.nii.gz", "wb") as file:
            file.write(raw)
        assert "behind its header" in problems(tmp_path)


@pytest.mark.filterwarnings("ignore:The value length")
def test_a_value_longer_than_any_header_tells_nothing_and_costs_nothing(
    patient: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elements, "MAX_VALUE_BYTES", 1000)
    patient.write(tmp_path, patient.stack(), lambda data, index: setattr(data, "BodyPartExamined", "HEAD" * 300))
    (series,) = read_study(find_studies([tmp_path])[0]).series
    assert series.view is not None  # the head is none that is graded
