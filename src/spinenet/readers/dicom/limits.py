"""What a DICOM file may ask for before it is read: size, unpacked size, pixels and frames; checked on bytes alone.

Compressed files of a few kilobytes can promise gigabytes, and a box without length sends a parser round for ever.
"""

import struct
import zlib
from typing import IO

from spinenet.errors import ReadError

MAX_FILE_BYTES = 1 << 30
MAX_INFLATED_BYTES = 1 << 28
"""Largest data set behind deflation: a few hundred slices."""
MAX_VALUE_BYTES = 1 << 20
"""What a header says in one element; longer values tell nothing. Sequences are asked for otherwise."""
MAX_FRAME_PIXELS = 2048 * 2048
"""No MR image is larger: 1024 x 1024 is the most that scanners reconstruct, whole spines are 2000 x 700."""
MAX_FRAMES = 4000
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_CHUNK = 1 << 20


def check_bytes(file: IO[bytes]) -> None:
    """Raise ReadError where a file is larger, or would unpack to more, than an image is; leaves it at its beginning."""
    size = file.seek(0, 2)
    file.seek(0)
    if size > MAX_FILE_BYTES:
        raise ReadError(f"the file is larger than {MAX_FILE_BYTES >> 20} MB")
    start = file.read(1024)
    if _DEFLATED in start and start[128:136] == b"DICM\x02\x00\x00\x00":
        (length,) = struct.unpack("<I", start[140:144])
        file.seek(144 + length)
        _check_inflated(file)
    file.seek(0)


def _check_inflated(file: IO[bytes]) -> None:
    unpacker, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while packed := file.read(_CHUNK):
        while packed:
            total += len(unpacker.decompress(packed, _CHUNK))
            packed = unpacker.unconsumed_tail
            if total > MAX_INFLATED_BYTES:
                raise ReadError(f"the file would unpack to more than {MAX_INFLATED_BYTES >> 20} MB")


def check_jpeg2000(codestream: bytes, shape: tuple[int, int]) -> None:
    """Raise ReadError unless a JPEG 2000 codestream, bare or in boxes, says that it holds one frame of this shape.

    Its size stands in the marker SIZ, right behind the first (ISO/IEC 15444-1, A.5.1).
    """
    start = _boxed(codestream) if codestream[4:8] == b"jP  " else 0
    head = codestream[start : start + 44]
    if len(head) < 44 or head[:4] != b"\xff\x4f\xff\x51":
        raise ReadError("no JPEG 2000 codestream")
    right, bottom, left, top = struct.unpack(">4I", head[8:24])
    if (bottom - top, right - left) != shape:
        raise ReadError("the codestream is not of the size that the header states")


def _boxed(codestream: bytes) -> int:
    """Where the codestream begins within a JP2 file."""
    at = 0
    while at + 8 <= len(codestream):
        length, kind = struct.unpack(">I4s", codestream[at : at + 8])
        if kind == b"jp2c":
            return at + 8
        if length < 8:  # 0 is the last box, 1 has a length of eight bytes: neither comes before an image of ours
            break
        at += length
    raise ReadError("no JPEG 2000 codestream in its boxes")
