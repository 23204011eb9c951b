"""RLE Lossless: the same pixels as pydicom's coders, and damaged bytes refused."""

import contextlib

import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.uid import RLELossless

from spinenet.errors import ReadError
from spinenet.readers.dicom.rle_lossless import decode, encode


def encoded(pixels_RC: np.ndarray) -> bytes:
    rows, columns = pixels_RC.shape
    bits = 8 * pixels_RC.itemsize
    return RLELosslessEncoder.encode(
        pixels_RC,
        encoding_plugin="pydicom",
        rows=rows,
        columns=columns,
        number_of_frames=1,
        samples_per_pixel=1,
        bits_allocated=bits,
        bits_stored=bits,
        pixel_representation=0,
        photometric_interpretation="MONOCHROME2",
    )


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (64, 33)])
def test_pixels_come_back_as_they_were_packed(kind: type, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    noisy = rng.integers(0, np.iinfo(kind).max, shape, dtype=kind, endpoint=True)
    flat = np.repeat(noisy[:, :1], shape[1], axis=1)  # long runs
    for pixels_RC in (noisy, flat):
        np.testing.assert_array_equal(decode(encoded(pixels_RC), shape, 8 * pixels_RC.itemsize), pixels_RC)


@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 5, 3), (300, 401, 3)])
def test_what_we_pack_others_unpack(shape: tuple[int, int, int]) -> None:
    rows, columns, samples = shape
    picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    picture[:, columns // 3 :] //= 64  # short runs, and long ones below
    picture[rows // 2 :, columns // 2 :] = 7
    frames = get_decoder(RLELossless).iter_array(
        encapsulate([encode(picture)]),
        decoding_plugin="pydicom",
        rows=rows,
        columns=columns,
        number_of_frames=1,
        samples_per_pixel=samples,
        planar_configuration=0,
        bits_allocated=8,
        bits_stored=8,
        pixel_representation=0,
        photometric_interpretation="RGB" if samples == 3 else "MONOCHROME2",
        pixel_keyword="PixelData",
        transfer_syntax_uid=RLELossless,
    )
    np.testing.assert_array_equal(np.reshape(next(frames)[0], shape), picture)


@pytest.mark.parametrize("size", [0, 63, 64, 90])
def test_a_frame_cut_short_is_refused(size: int) -> None:
    whole = encoded(np.random.default_rng(0).integers(0, 60000, (40, 40), dtype=np.uint16))
    with pytest.raises(ReadError):
        decode(whole[:size], (40, 40), 16)


def test_segments_that_do_not_fit_the_pixels_are_refused() -> None:
    whole = encoded(np.zeros((8, 8), np.uint16))
    with pytest.raises(ReadError, match="2 RLE segments where 1"):
        decode(whole, (8, 8), 8)
    with pytest.raises(ReadError):
        decode(whole, (80, 80), 16)


def test_changed_bytes_end_in_pixels_or_a_refusal_and_in_nothing_else() -> None:
    rng = np.random.default_rng(1)
    whole = encoded(rng.integers(0, 3000, (32, 32), dtype=np.uint16))
    for _ in range(500):
        changed = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            changed[place] = rng.integers(0, 256)
        with contextlib.suppress(ReadError):
            assert decode(bytes(changed), (32, 32), 16).shape == (32, 32)
