"""Compressed frames, decoded in a process of their own under limits of time and memory.

What decodes them is written in C and meets bytes of strangers: a crash or an endless loop costs a frame, not the run.
"""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinenet.errors import ReadError
from spinenet.readers.dicom import decoders
from spinenet.system.lone_process import ProcessLateError, ProcessLostError
from spinenet.system.piped_process import PipedProcess

TIMEOUT_S = 20.0
"""The largest frame takes a second."""
MEMORY_BYTES = 1 << 30
"""Address space; Python and a lossless frame of 2048 x 2048 take half of it."""
DECODER = PipedProcess(Path(decoders.__file__), TIMEOUT_S, MEMORY_BYTES)
_KEYWORDS = (
    # fmt: off
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    # fmt: on
)
"""What a decoder needs of a header."""


class DecoderLostError(ReadError):
    """A frame ended the process that decodes it, or took too long."""


def decode(dataset: Any, frame: bytes, library: str) -> NDArray[np.integer]:
    """One frame of a data set whose bytes are ``frame``, (rows, columns) with one sample a pixel.

    ``library`` is the name that pydicom has for what decodes it, "" for any. Raises DecoderLostError, or RuntimeError
    where the library does not take the bytes.
    """
    is_grey = dataset.SamplesPerPixel == 1
    if library == "pylibjpeg" and is_grey:
        return _as_described(*_asked({"decoder": "jpeg2000"}, frame), dataset)
    if library == "pyjpegls" and is_grey:
        return _as_described(*_asked({"decoder": "jpeg_ls"}, frame), dataset)
    decoded, _ = _asked({"decoder": "by_pydicom", "library": library}, _alone(dataset, frame))
    return decoded


def _asked(told: dict[str, str], data: bytes) -> tuple[NDArray[np.integer], int]:
    """What was decoded, and how many bits of it are filled."""
    line, _, frame = _answer(json.dumps(told).encode() + b"\n" + data).partition(b"\n")
    about = json.loads(line)
    if "error" in about:
        raise RuntimeError(about["error"])
    decoded = np.frombuffer(frame, np.dtype(about["kind"])).reshape(about["shape"])
    return decoded, about["precision"] or 8 * decoded.itemsize


def _answer(request: bytes) -> bytes:
    try:
        try:
            return DECODER(request)
        except ProcessLateError:
            raise
        except ProcessLostError:  # killed from outside, perhaps
            return DECODER(request)
    except ProcessLostError as error:
        raise DecoderLostError(f"the program that decodes the pixels {error}") from error


def _as_described(values: NDArray[np.integer], precision: int, dataset: Any) -> NDArray[np.integer]:
    """Values of ``precision`` bits, signed where the header says so, whatever the codestream says."""
    unused = 8 * values.itemsize - precision
    as_stated = values.view(f"{'i' if dataset.PixelRepresentation == 1 else 'u'}{values.itemsize}")
    return (as_stated << unused) >> unused


def _alone(dataset: Any, frame: bytes) -> bytes:
    """A DICOM file of one frame with what a decoder needs to know, and nothing of a patient."""
    from pydicom import dcmwrite
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate

    lone: Any = Dataset()
    lone.preamble = bytes(128)
    for keyword in _KEYWORDS:
        if keyword in dataset:
            setattr(lone, keyword, dataset[keyword].value)
    lone.PixelData = encapsulate([frame])
    lone.file_meta = FileMetaDataset()
    lone.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    file = io.BytesIO()
    dcmwrite(file, lone)
    return file.getvalue()
