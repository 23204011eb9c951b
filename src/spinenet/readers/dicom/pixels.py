"""Pixels of DICOM frames: decompressed, rescaled, bright where much signal."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinenet.errors import ReadError
from spinenet.readers.archives import ImageFiles
from spinenet.readers.dicom import compressed, jpeg_lossless, rle_lossless
from spinenet.readers.dicom.compressed import DecoderLostError
from spinenet.readers.dicom.elements import Header, Memory, damage, first_value, layers, number, quiet, read_dataset
from spinenet.readers.dicom.limits import check_jpeg2000
from spinenet.readers.sources import Frame

LOG = logging.getLogger(__name__)

JPEG_LOSSLESS, RLE_LOSSLESS = "jpeg_lossless", "rle_lossless"
"""Decoders of ours."""
_DECODERS = {
    "1.2.840.10008.1.2.4.50": "pillow",
    "1.2.840.10008.1.2.4.57": JPEG_LOSSLESS,
    "1.2.840.10008.1.2.4.70": JPEG_LOSSLESS,
    "1.2.840.10008.1.2.4.80": "pyjpegls",
    "1.2.840.10008.1.2.4.81": "pyjpegls",
    "1.2.840.10008.1.2.4.90": "pylibjpeg",
    "1.2.840.10008.1.2.4.91": "pylibjpeg",
    "1.2.840.10008.1.2.5": RLE_LOSSLESS,
}
"""Transfer syntax (JPEG baseline, lossless, LS, 2000; RLE) -> what decodes it: of the libraries that may be installed
the one that takes damaged bytes best."""
_JPEG2000 = frozenset({"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"})
DAMAGED = "the pixels are damaged or cut short"


@dataclass(frozen=True)
class StoredPixels:
    """Pixels as the file holds them, (rows, columns), or their compressed bytes, and what the header says of them."""

    pixels_RC: NDArray[np.integer] | None
    codestream: bytes
    decoder: str
    bits: int
    bits_allocated: int
    is_signed: bool
    is_inverted: bool


MAX_LOST = 2
"""So many frames of a stack may end their decoder before the others are not given to one: each may take its time."""


def read_pixels(frames: Sequence[Frame]) -> Iterator[tuple[int, NDArray[np.float32] | ReadError]]:
    """(index of the frame, its grey values (rows, columns) or why there are none), file by file."""
    order = sorted(range(len(frames)), key=lambda index: (str(frames[index].path), index))
    lost: list[DecoderLostError] = []
    with ImageFiles() as images:
        for path, indices in groupby(order, key=lambda index: frames[index].path):
            try:
                dataset = read_dataset(path, images)
            except ReadError as error:
                LOG.debug("%s: left out", path, exc_info=True)
                yield from ((index, error) for index in indices)
                continue
            for index in indices:
                if len(lost) == MAX_LOST:
                    yield index, ReadError(f"{lost[-1]}, on {MAX_LOST} other slices")
                    continue
                try:
                    yield index, _grey_values(dataset, frames[index])
                except ReadError as error:
                    LOG.debug("%s: left out", path, exc_info=True)
                    lost += [error] if isinstance(error, DecoderLostError) else []
                    yield index, error


def stored_values(dataset: Any, index: int) -> NDArray[np.integer]:
    """The values that a data set holds as its frame ``index``, as they are stored; ReadError where there are none."""
    stored = _stored(dataset, index)
    if stored.pixels_RC is not None:
        return stored.pixels_RC
    return _decompressed(stored, (int(dataset.Rows), int(dataset.Columns)))


def _grey_values(dataset: Any, frame: Frame) -> NDArray[np.float32]:
    """Grey values of one frame after rescale; ReadError where there are none."""
    stored = _stored(dataset, frame.index)
    pixels_RC = _decompressed(stored, (frame.rows, frame.columns)) if stored.pixels_RC is None else stored.pixels_RC
    if pixels_RC.shape != (frame.rows, frame.columns):
        raise ReadError("the frame is not of the size its header states")
    described = layers(Header(dataset, Memory()), frame.index)
    slope, intercept = (number(first_value(described, key)) for key in ("RescaleSlope", "RescaleIntercept"))
    pixels_RC = _without_padding(pixels_RC, described, stored)
    with np.errstate(all="ignore"):  # what overflows is refused later, in words
        grey = pixels_RC.astype(np.float32)
        if stored.is_inverted:
            grey = (0 if stored.is_signed else 2**stored.bits) - 1 - grey
        return grey * np.float32(slope or 1.0) + np.float32(intercept or 0.0)


def _without_padding(
    pixels_RC: NDArray[np.integer], described: Sequence[Header], stored: StoredPixels
) -> NDArray[np.integer]:
    """Stored values with what the header calls padding, which is no grey value, as low as the lowest of the others.

    One value or a range of them (PS3.3 C.7.5.1.1.2), signed or not as the pixels are, whatever its own element says.
    """
    limits = [number(first_value(described, key)) for key in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    values = [_as_stored(int(value), stored) for value in limits if value is not None]
    if not values or values == [0]:
        return pixels_RC
    padded_RC = (pixels_RC >= min(values)) & (pixels_RC <= max(values))
    if not padded_RC.any() or padded_RC.all():
        return pixels_RC
    rest = pixels_RC[~padded_RC]
    return np.where(padded_RC, rest.max() if stored.is_inverted else rest.min(), pixels_RC)


def _as_stored(value: int, stored: StoredPixels) -> int:
    value &= (1 << stored.bits_allocated) - 1
    return value - (1 << stored.bits_allocated) if stored.is_signed and value >> (stored.bits_allocated - 1) else value


def _stored(dataset: Any, index: int) -> StoredPixels:
    """What pydicom makes of one frame; ReadError where it cannot."""
    from pydicom.pixels import get_decoder, pixel_array

    try:
        _complete(dataset)
        syntax = dataset.file_meta.TransferSyntaxUID
        missing = syntax.is_compressed and syntax not in _DECODERS and not get_decoder(syntax).is_available
        decoder = _decoder_of(dataset)
        pixels, codestream = None, b""
        if syntax.is_compressed and not missing:
            codestream = _codestream(dataset, index)
            if decoder not in (JPEG_LOSSLESS, RLE_LOSSLESS):
                pixels = compressed.decode(dataset, codestream, decoder)
        elif not missing:
            with quiet():
                pixels = np.asarray(pixel_array(dataset, index=index))
        bits, is_signed = int(dataset.BitsStored), bool(dataset.PixelRepresentation)
        allocated = int(dataset.BitsAllocated)
        is_inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
    except damage() as error:
        raise ReadError(DAMAGED) from error
    if missing:
        raise ReadError(f"compressed as {syntax.name}; install 'spinenet-mri[gdcm]' to read it")
    if not 1 <= bits <= 32:
        raise ReadError(DAMAGED)
    return StoredPixels(pixels, codestream, decoder, bits, allocated, is_signed, is_inverted)


def _decoder_of(dataset: Any) -> str:
    decoder = _DECODERS.get(dataset.file_meta.TransferSyntaxUID, "")
    is_odd = dataset.get("SamplesPerPixel") != 1 or dataset.BitsAllocated > 16
    return "pydicom" if decoder == RLE_LOSSLESS and is_odd else decoder


def _codestream(dataset: Any, index: int) -> bytes:
    """The bytes of one frame."""
    from pydicom.encaps import get_frame

    codestream = get_frame(dataset.PixelData, index, number_of_frames=int(dataset.get("NumberOfFrames") or 1))
    if dataset.file_meta.TransferSyntaxUID in _JPEG2000:
        check_jpeg2000(codestream, (int(dataset.Rows), int(dataset.Columns)))
    return codestream


def _decompressed(stored: StoredPixels, shape: tuple[int, int]) -> NDArray[np.integer]:
    """What our own decoders make of a frame; ReadError where it is damaged or not of ``shape``."""
    try:
        if stored.decoder == RLE_LOSSLESS:
            packed_RC = rle_lossless.decode(stored.codestream, shape, stored.bits_allocated)
            return packed_RC.view(f"i{packed_RC.itemsize}") if stored.is_signed else packed_RC
        values_RC = jpeg_lossless.decode(stored.codestream, shape)
    except ReadError as error:
        raise ReadError(DAMAGED) from error
    if not stored.is_signed:
        return values_RC
    if stored.bits > 16:
        raise ReadError(DAMAGED)
    unused = 16 - stored.bits
    return (values_RC << unused).view(np.int16) >> unused


def _complete(dataset: Any) -> None:
    """Put in place what some archives strip and the pixels need: transfer syntax and pixel description."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if "TransferSyntaxUID" not in getattr(dataset, "file_meta", {}):
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    stated = {"SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "PixelRepresentation": 0}
    for keyword, value in {**stated, "BitsStored": dataset.BitsAllocated}.items():
        if dataset.get(keyword) in (None, ""):
            setattr(dataset, keyword, value)
