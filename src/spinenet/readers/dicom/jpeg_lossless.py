"""JPEG lossless (ITU-T T.81 process 14, one component): the compression archives use most, decoded without a library.

Free libraries for it either end the process on damaged bytes or bind their users to their licence. A Huffman code is
walked bit by bit in every decoder; here the step from each bit to the next code is tabulated for all bits at once.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinenet.errors import ReadError

_SOF3, _DHT, _SOS, _DRI = 0xC3, 0xC4, 0xDA, 0xDD
_WITHOUT_LENGTH = {0xD8, 0x01, *range(0xD0, 0xD8)}
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_PREDICTORS = {
    2: lambda left, above, corner: above,
    3: lambda left, above, corner: corner,
    4: lambda left, above, corner: left + above - corner,
    5: lambda left, above, corner: left + ((above - corner) >> 1),
    6: lambda left, above, corner: above + ((left - corner) >> 1),
    7: lambda left, above, corner: (left + above) >> 1,
}
"""Table H.1 of the standard but for selection value 1, the left neighbour, which is a running sum."""


@dataclass(frozen=True)
class _Image:
    """What the markers before the scan say. ``step_of_code``, ``size_of_code``: (65536,) by the next 16 bits."""

    precision: int
    rows: int
    columns: int
    step_of_code: NDArray[np.uint8]
    size_of_code: NDArray[np.uint8]
    selection: int
    point_transform: int
    restart: int
    scan: bytes


def decode(codestream: bytes, shape: tuple[int, int]) -> NDArray[np.uint16]:
    """Stored values (rows, columns) of one compressed frame; ReadError where it is damaged or not of ``shape``."""
    image = _parse(codestream, shape)
    count = image.rows * image.columns
    interval = image.restart or count
    if interval % image.columns:
        raise ReadError("a restart interval that is not of whole rows")
    parts = _RESTART.split(image.scan)
    if len(parts) < -(-count // interval):
        raise ReadError("the scan ends early")
    starts = range(0, count, interval)
    differences = [
        _differences(part, min(interval, count - start), image) for start, part in zip(starts, parts, strict=False)
    ]
    blocks = [_undo_prediction(block.reshape(-1, image.columns), image) for block in differences]
    return (np.concatenate(blocks) << image.point_transform).astype(np.uint16)


def _parse(data: bytes, shape: tuple[int, int]) -> _Image:
    frame: tuple[int, int, int] | None = None
    tables: dict[int, bytes] = {}
    restart = 0
    for marker, body, end in _segments(data):
        if marker == _SOF3:
            frame = _frame(body, shape)
        elif marker == _DHT:
            tables |= _tables(body)
        elif marker == _DRI:
            restart = int.from_bytes(body[:2], "big")
        elif marker == _SOS:
            if frame is None or len(body) < 6 or body[0] != 1 or body[2] >> 4 not in tables:
                raise ReadError("a scan without its frame or code table")
            steps, sizes = _lookup(tables[body[2] >> 4])
            selection, transform = body[3], body[5] & 15
            if not 1 <= selection <= 7 or transform >= frame[0]:
                raise ReadError(f"selection value {selection}, point transform {transform} of {frame[0]} bits")
            return _Image(*frame, steps, sizes, selection, transform, restart, _scan(data[end:]))
    raise ReadError("no scan")


def _segments(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """(marker, its bytes, where they end) until the data do."""
    position = 0
    while position + 4 <= len(data):
        marker = data[position + 1]
        if data[position] != 0xFF:
            raise ReadError("no marker where one must be")
        if marker in _WITHOUT_LENGTH:
            position += 2
            continue
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        yield marker, data[position + 4 : end], end
        position = end


def _scan(data: bytes) -> bytes:
    """Up to the end of the image, without what may stand behind it."""
    end = data.rfind(b"\xff\xd9")
    return data if end < 0 else data[:end]


def _frame(body: bytes, shape: tuple[int, int]) -> tuple[int, int, int]:
    if len(body) < 6 or body[5] != 1:
        raise ReadError("not one component")
    precision, rows, columns = body[0], int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    if (rows, columns) != shape or not 2 <= precision <= 16:
        raise ReadError(f"{rows} x {columns} pixels of {precision} bits where {shape[0]} x {shape[1]} are stated")
    return precision, rows, columns


def _tables(body: bytes) -> dict[int, bytes]:
    """Code tables by number: 16 counts of codes by length, then their values (one a length of difference)."""
    tables = {}
    while len(body) >= 17:
        size = 17 + sum(body[1:17])
        tables[body[0] & 15] = body[1:size]
        body = body[size:]
    return tables


def _lookup(table: bytes) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """By the next 16 bits: bits to the code after this one (0: no code) and bits of this one's difference."""
    steps, sizes = np.zeros(65536, np.uint8), np.zeros(65536, np.uint8)
    values = iter(table[16:])
    code = 0
    for length, count in enumerate(table[:16], start=1):
        for _ in range(count):
            size = next(values, 255)
            low, high = code << (16 - length), (code + 1) << (16 - length)
            if size > 16 or high > 65536:
                raise ReadError("an impossible code table")
            steps[low:high] = length + size % 16
            sizes[low:high] = size
            code += 1
        code <<= 1
    return steps, sizes


def _differences(scan: bytes, count: int, image: _Image) -> NDArray[np.int64]:
    """The first ``count`` differences of one restart interval."""
    stored = np.frombuffer(scan.replace(b"\xff\x00", b"\xff") + bytes(8), np.uint8).astype(np.uint32)
    words = stored[:-3] << 24 | stored[1:-2] << 16 | stored[2:-1] << 8 | stored[3:]
    next16 = ((words[:, None] >> np.arange(16, 8, -1, dtype=np.uint32)) & 0xFFFF).astype(np.uint16).ravel()
    steps = image.step_of_code[next16].tobytes()
    starts, position = [0] * count, 0
    try:
        for index in range(count):
            starts[index] = position
            position += steps[position] or len(steps)  # no such code: beyond the end
    except IndexError as error:
        raise ReadError("the scan ends early or is damaged") from error
    if position > 8 * (len(stored) - 4):
        raise ReadError("the scan ends early or is damaged")
    at = np.array(starts)
    size = image.size_of_code[next16[at]].astype(np.int64)
    extra = size % 16
    behind = at + image.step_of_code[next16[at]] - extra
    value = next16[behind].astype(np.int64) >> (16 - extra)
    negative = value < (1 << np.maximum(extra - 1, 0))
    difference = np.where(negative & (extra > 0), value - (1 << extra) + 1, value)
    return np.where(extra == 0, np.where(size == 16, 32768, 0), difference)


def _undo_prediction(differences_RC: NDArray[np.int64], image: _Image) -> NDArray[np.int64]:
    """Values from differences: the first row from its left, the first column from above, the rest as selected."""
    values_RC = differences_RC
    values_RC[0, 0] += 1 << (image.precision - image.point_transform - 1)
    if image.selection == 1:
        values_RC[:, 0] = np.cumsum(values_RC[:, 0])
        return np.cumsum(values_RC, axis=1) & 0xFFFF
    predict = _PREDICTORS[image.selection]
    rows = [(np.cumsum(values_RC[0]) & 0xFFFF).tolist()]
    for differences in values_RC[1:].tolist():
        above = rows[-1]
        row = [(above[0] + differences[0]) & 0xFFFF]
        for column in range(1, image.columns):
            row.append((predict(row[-1], above[column], above[column - 1]) + differences[column]) & 0xFFFF)
        rows.append(row)
    return np.array(rows)
