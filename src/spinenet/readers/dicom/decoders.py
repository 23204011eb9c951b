"""The program that decodes compressed frames (``system.piped_process``); run as a file, it imports nothing of ours.

A request is a line of JSON, what is to be decoded, and the bytes behind it. So is an answer: kind and shape of the
array whose bytes follow and how many of its bits the codestream fills, or what was raised.
"""

import io
import json
import os
import signal
import struct
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Any

_LENGTH = struct.Struct("<Q")
Decoded = tuple[Mapping[str, Any], bytes | bytearray | memoryview]


def jpeg2000(codestream: bytes, told: Mapping[str, Any]) -> Decoded:
    """A frame of one sample a pixel."""
    import openjpeg

    frame = openjpeg.decode(codestream)
    precision = openjpeg.get_parameters(codestream)["precision"]
    return {"kind": frame.dtype.str, "shape": frame.shape, "precision": precision}, frame.tobytes()


def jpeg_ls(codestream: bytes, told: Mapping[str, Any]) -> Decoded:
    """A frame of one sample a pixel."""
    import jpeg_ls as charls

    frame, info = charls.decode_pixel_data(codestream)
    shape = [info["height"], info["width"]] if info["components"] == 1 else [len(frame)]
    kind = "<u1" if info["bits_per_sample"] <= 8 else "<u2"
    return {"kind": kind, "shape": shape, "precision": info["bits_per_sample"]}, frame


def by_pydicom(file: bytes, told: Mapping[str, Any]) -> Decoded:
    """The one frame of a DICOM file, by the library that is ``told`` or any that can."""
    import warnings

    from pydicom import dcmread
    from pydicom.pixels import pixel_array

    warnings.simplefilter("ignore")
    frame = pixel_array(dcmread(io.BytesIO(file)), index=0, decoding_plugin=told["library"])
    return {"kind": frame.dtype.str, "shape": frame.shape, "precision": None}, frame.tobytes()


DECODERS: dict[str, Callable[[bytes, Mapping[str, Any]], Decoded]] = {
    function.__name__: function for function in (jpeg2000, jpeg_ls, by_pydicom)
}


def _answer(request: bytes) -> bytes:
    line, _, data = request.partition(b"\n")
    told = json.loads(line)
    try:
        about, frame = DECODERS[told["decoder"]](data, told)
    except Exception as error:  # noqa: BLE001  # libraries raise what they like on damaged bytes; it is raised there
        about, frame = {"error": f"{type(error).__name__}: {error}"[:500]}, b""
    return json.dumps(about).encode() + b"\n" + frame


def _limit(memory_bytes: int) -> None:
    """No more memory than that, no image of it on disk when it crashes, and Ctrl-C is the caller's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(ImportError, ValueError, OSError):  # not on every system
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def _answers_alone() -> IO[bytes]:
    """Standard output as a file of its own: what libraries print goes nowhere."""
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    return answers


def _serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    while len(head := requests.read(_LENGTH.size)) == _LENGTH.size:
        answer = _answer(requests.read(*_LENGTH.unpack(head)))
        answers.write(_LENGTH.pack(len(answer)) + answer)
        answers.flush()


if __name__ == "__main__":
    _limit(int(sys.argv[1]))
    sys.path[:] = [*sys.path, *sys.argv[2:]]
    _serve(sys.stdin.buffer, _answers_alone())
