"""JPEG lossless: what a scanner stored comes back bit by bit, damage raises ReadError and nothing else."""

import random

import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLossless, JPEGLosslessSV1

from spinenet.errors import ReadError
from spinenet.readers import find_studies, read_study
from spinenet.readers.dicom.jpeg_lossless import decode


def predicted(values, row, column, selection):
    """Table H.1 of ITU-T T.81 and its rules for the first row and column."""
    if row == 0:
        return int(values[0, column - 1]) if column else 1 << 15
    left, above, corner = (
        int(values[row, column - 1]),
        int(values[row - 1, column]),
        int(values[row - 1, column - 1]),
    )
    if column == 0:
        return above
    choices = (left, above, corner, left + above - corner, left + ((above - corner) >> 1))
    return (*choices, above + ((left - corner) >> 1), (left + above) >> 1)[selection - 1]


def encode(values, selection=1, restart_rows=0):
    """A JPEG lossless stream of uint16 (rows, columns) whose 17 codes all have 5 bits."""
    rows, columns = values.shape
    bits, intervals = "", []
    for row in range(rows):
        top = row - row % restart_rows if restart_rows else 0
        for column in range(columns):
            difference = (int(values[row, column]) - predicted(values[top:], row - top, column, selection)) & 0xFFFF
            difference -= 0x10000 if difference > 0x8000 else 0
            size = abs(difference).bit_length() if difference != 0x8000 else 16
            bits += f"{size:05b}"
            if 0 < size < 16:
                bits += f"{difference + (difference < 0) * ((1 << size) - 1):0{size}b}"
        if restart_rows and (row + 1) % restart_rows == 0:
            intervals.append(bits)
            bits = ""
    streams = []
    for each in [*intervals, bits] if bits else intervals:
        padded = each + "1" * (-len(each) % 8)
        streams.append(int(padded, 2).to_bytes(len(padded) // 8, "big").replace(b"\xff", b"\xff\x00"))
    scan = streams[0] + b"".join(bytes([0xFF, 0xD0 + index % 8]) + stream for index, stream in enumerate(streams[1:]))
    size = rows.to_bytes(2, "big") + columns.to_bytes(2, "big")
    table = bytes([0, 0, 0, 0, 0, 17, *[0] * 11, *range(17)])
    interval = (restart_rows * columns).to_bytes(2, "big")
    return (
        b"\xff\xd8\xff\xc3\x00\x0b\x10" + size + b"\x01\x01\x11\x00"
        b"\xff\xc4" + (2 + len(table)).to_bytes(2, "big") + table + b"\xff\xdd\x00\x04" + interval + b"\xff\xda\x00\x08"
        b"\x01\x01\x00" + bytes([selection, 0, 0]) + scan + b"\xff\xd9"
    )


@pytest.fixture(scope="module")
def noise():
    values = np.random.default_rng(0).integers(0, 65536, (9, 11)).astype(np.uint16)
    values[2, 3:5] = 0, 32768  # the difference of 2^15 has no bits of its own
    return values


@pytest.mark.parametrize("selection", range(1, 8))
@pytest.mark.parametrize("restart_rows", [0, 3, 4])
def test_every_predictor_gives_back_every_value(noise, selection, restart_rows):
    stream = encode(noise, selection, restart_rows)
    np.testing.assert_array_equal(decode(stream, noise.shape), noise)


@pytest.mark.parametrize("syntax", [JPEGLossless, JPEGLosslessSV1])
def test_slices_stored_as_jpeg_lossless_show_the_patient(tmp_path, patient, syntax):
    def compress(dataset, _):
        stored = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)
        dataset.PixelData = encapsulate([encode(stored)])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax

    patient.write(tmp_path, patient.stack(shape=(3, 24, 20)), compress)
    (source,) = find_studies([tmp_path])
    (series,) = read_study(source).series
    assert patient.shows_patient(series)


def test_damage_is_told_or_shown_but_never_worse(noise):
    stream = encode(noise)
    told = 0
    for seed in range(300):
        chance = random.Random(seed)
        damaged = bytearray(stream)
        for _ in range(chance.choice([1, 3, 20])):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            assert decode(bytes(damaged[: chance.choice([None, 90])]), noise.shape).shape == noise.shape
        except ReadError:
            told += 1
    assert told > 100
