"""RLE Lossless frames of one sample a pixel (DICOM PS3.5 annex G), byte planes unpacked by Pillow's PackBits decoder.

Twice as fast as decoding in Python; damaged bytes end in ReadError.
"""

import struct

import numpy as np
from numpy.typing import NDArray

from spinenet.errors import ReadError

HEADER = 64
"""Bytes before the first segment: their number and 15 offsets, unsigned 32-bit little endian."""


def decode(codestream: bytes, shape: tuple[int, int], bits: int) -> NDArray[np.unsignedinteger]:
    """(rows, columns) of unsigned values with ``bits`` allocated (8 or 16); ReadError where bytes are missing."""
    count = bits // 8
    if len(codestream) < HEADER or bits not in (8, 16):
        raise ReadError("no RLE header")
    number, *offsets = struct.unpack("<16L", codestream[:HEADER])
    if number != count:
        raise ReadError(f"{number} RLE segments where {count} are needed")
    ends = [*offsets[1:count], len(codestream)]
    planes = [
        _plane(codestream[start:end], shape) for start, end in zip(offsets[:count], ends, strict=True)
    ]  # the most significant byte comes first
    return np.stack(planes, -1).view(f">u{count}")[..., 0].astype(f"u{count}")


def _plane(segment: bytes, shape: tuple[int, int]) -> NDArray[np.uint8]:
    from PIL import Image

    size = shape[0] * shape[1]
    try:
        # One long row: runs may go on over the ends of rows.
        plane = Image.frombytes("L", (size, 1), segment, "packbits", "L")
    except (ValueError, OSError) as error:
        raise ReadError("an RLE segment is damaged or cut short") from error
    return np.frombuffer(plane.tobytes(), np.uint8).reshape(shape)
