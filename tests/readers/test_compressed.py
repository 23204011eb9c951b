"""A decoder that crashes or never ends costs the slice it was given, and the others of the study are read."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless

from spinenet.errors import ReadError
from spinenet.readers import find_studies, read_study
from spinenet.readers.dicom import compressed
from spinenet.readers.dicom.pixels import MAX_LOST, stored_values
from spinenet.system.piped_process import PipedProcess

SHAPE = (7, 64, 64)
HOSTILE = """
import os, signal, time
def decode(codestream):
    if codestream.endswith(b"KILL"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if codestream.endswith(b"WAIT"):
        time.sleep(600)
    import _openjpeg, io
    return _openjpeg.decode(io.BytesIO(codestream), 0, as_array=True)[1].view("<i2").reshape(64, 64)
def get_parameters(codestream):
    return {"precision": 16}
"""
"""Stands in for the library: two codestreams end it, others it decodes."""


@pytest.fixture
def decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PipedProcess]:
    (tmp_path / "libraries").mkdir()
    (tmp_path / "libraries" / "openjpeg.py").write_text(HOSTILE)
    monkeypatch.syspath_prepend(tmp_path / "libraries")
    decoder = PipedProcess(compressed.DECODER.program, 60.0, compressed.MEMORY_BYTES)
    monkeypatch.setattr(compressed, "DECODER", decoder)
    yield decoder
    decoder.end()


def ending(marks: dict[int, bytes]) -> Any:
    """An edit that compresses each slice and lets the codestreams of some end in a mark."""

    def edit(data: Any, index: int) -> None:
        data.compress(JPEG2000Lossless, generate_instance_uid=False)
        data.PixelData = encapsulate([get_frame(data.PixelData, 0, number_of_frames=1) + marks.get(index, b"")])
        data["PixelData"].is_undefined_length = True

    return edit


def read(folder: Path) -> tuple[Any, str]:
    (source,) = find_studies([folder])
    study = read_study(source)
    (series,) = study.series
    return series, "; ".join(map(str, study.notes))


def test_a_decoder_that_crashes_costs_its_slice_and_the_line_says_which(
    tmp_path: Path, patient: Any, decoder: PipedProcess
) -> None:
    patient.write(tmp_path / "in", patient.stack(shape=SHAPE), ending({3: b"KILL"}))
    series, said = read(tmp_path / "in")
    assert "1 of 7 slices left out (image 4): the program that decodes the pixels crashed" in said
    assert len(series.voxels_SRC) == 7 and patient.shows_patient(series, tolerance=1.0)  # bridged


def test_a_decoder_that_never_ends_is_ended(tmp_path: Path, patient: Any, decoder: PipedProcess) -> None:
    patient.write(tmp_path / "in", patient.stack(shape=SHAPE), ending({0: b"WAIT"}))
    patient.write(tmp_path / "warm", patient.stack(shape=SHAPE), ending({}))
    read(tmp_path / "warm")
    decoder.timeout_s = 20.0  # a new one must start within it, on a busy machine too
    series, said = read(tmp_path / "in")
    assert "1 of 7 slices left out (image 1): the program that decodes the pixels took longer than" in said
    assert len(series.voxels_SRC) == 6 and patient.shows_patient(series)


def test_a_stack_whose_slices_all_hang_is_given_up(tmp_path: Path, patient: Any, decoder: PipedProcess) -> None:
    patient.write(tmp_path / "in", patient.stack(shape=(40, 64, 64)), ending(dict.fromkeys(range(40), b"WAIT")))
    decoder.timeout_s = 1.0
    began = time.monotonic()
    with pytest.raises(ReadError, match=rf"{40 - MAX_LOST} of 40 slices left out .*, on {MAX_LOST} other slices"):
        read(tmp_path / "in")
    assert time.monotonic() - began < 20


def test_slices_that_are_not_compressed_start_no_decoder(tmp_path: Path, patient: Any, decoder: PipedProcess) -> None:
    patient.write(tmp_path / "in", patient.stack(shape=SHAPE))
    read(tmp_path / "in")
    assert decoder._process is None


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_decoded_values_are_those_of_pydicom(patient: Any, syntax: str, signed: int, bits: int) -> None:
    low = -(1 << (bits - 1)) if signed else 0
    values = np.random.default_rng(0).integers(low, low + (1 << bits), SHAPE[1:])
    data = patient.slice(patient.stack(shape=SHAPE), 0)
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = (
        8 if bits == 8 else 16,
        bits,
        bits - 1,
        signed,
    )
    data.PixelData = values.astype(f"<{'i' if signed else 'u'}{data.BitsAllocated // 8}").tobytes()
    data.compress(syntax, generate_instance_uid=False)
    assert np.array_equal(stored_values(data, 0), values) and np.array_equal(data.pixel_array, values)
    data.PixelRepresentation = 1 - signed  # a header that contradicts the codestream
    assert np.array_equal(stored_values(data, 0), data.pixel_array)
