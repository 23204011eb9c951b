"""RLE Lossless frames (DICOM PS3.5 annex G), whose byte planes Pillow packs and unpacks as PackBits.

Several times as fast as in Python; damaged bytes end in ReadError.
"""

import io
import struct

import numpy as np
from numpy.typing import NDArray

from spinenet.errors import ReadError

HEADER = 64
"""Bytes before the first segment: their number and 15 offsets, unsigned 32-bit little endian."""
STRIP_OFFSETS, STRIP_BYTE_COUNTS = 273, 279
"""Tags of TIFF 6.0."""


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


def encode(samples_RCN: NDArray[np.uint8]) -> bytes:
    """A frame of 8-bit samples (rows, columns, samples a pixel), one segment a sample."""
    segments = [_packed(samples_RCN[..., sample]) for sample in range(samples_RCN.shape[2])]
    offsets = HEADER + np.cumsum([0, *map(len, segments)])[:-1]
    return struct.pack(f"<{HEADER // 4}L", len(segments), *offsets, *[0] * (15 - len(segments))) + b"".join(segments)


def _packed(plane_RC: NDArray[np.uint8]) -> bytes:
    """A plane row by row, padded to even length: the one strip of a TIFF file, as which libtiff writes it."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(plane_RC)).save(file, "TIFF", compression="packbits", strip_size=plane_RC.size)
    tags = Image.open(file).tag_v2  # type: ignore[attr-defined]
    (start,), (length,) = tags[STRIP_OFFSETS], tags[STRIP_BYTE_COUNTS]
    return file.getvalue()[start : start + length] + b"\0" * (length % 2)


def _plane(segment: bytes, shape: tuple[int, int]) -> NDArray[np.uint8]:
    from PIL import Image

    size = shape[0] * shape[1]
    try:
        # One long row: runs may go on over the ends of rows.
        plane = Image.frombytes("L", (size, 1), segment, "packbits", "L")
    except (ValueError, OSError) as error:
        raise ReadError("an RLE segment is damaged or cut short") from error
    return np.frombuffer(plane.tobytes(), np.uint8).reshape(shape)
