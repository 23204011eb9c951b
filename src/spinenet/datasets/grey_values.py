"""Grey values of a prepared series in few bytes: 256 of them, each row's difference from the one above, Huffman's code.

The values stand closer where the image is dark (their square roots are evenly spaced), as few bright voxels of fat or
vessels set a series' range: a step is 0.1 % of the range at a tenth of it, 0.8 % at its top, an image's noise several
per cent. Integers that span 255 or less come back exactly.
"""

import zlib
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from spinenet.study import LocatedSeries, Series

LAST = 255


@dataclass(frozen=True, kw_only=True)
class HeldSeries(Series):
    """A series in memory in bytes: ``steps_SRC`` index its 256 ``grey_values``, ``voxels_SRC`` has its shape alone."""

    steps_SRC: NDArray[np.uint8]
    grey_values: NDArray[np.float32]


def shape_alone(steps_SRC: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Unknown voxels (NaN) of this shape, which take no memory."""
    return np.broadcast_to(np.float32(np.nan), steps_SRC.shape)


def held(one: LocatedSeries) -> LocatedSeries:
    """A located series in bytes."""
    steps_SRC, grey_values = steps_of(one.series.voxels_SRC)
    facts = {each.name: getattr(one.series, each.name) for each in fields(Series)}
    facts |= {"voxels_SRC": shape_alone(steps_SRC), "steps_SRC": steps_SRC, "grey_values": grey_values}
    return replace(one, series=HeldSeries(**facts))


def whole(one: LocatedSeries) -> LocatedSeries:
    """A located series with its voxels."""
    series = one.series
    assert isinstance(series, HeldSeries)
    facts = {each.name: getattr(series, each.name) for each in fields(Series)}
    # Every byte has a value; not asking is twice as fast.
    facts["voxels_SRC"] = np.take(series.grey_values, series.steps_SRC, mode="clip")
    return replace(one, series=Series(**facts))


def steps_of(voxels_SRC: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The voxels as 256 steps, and the grey value that each stands for."""
    low, high = float(voxels_SRC.min()), float(voxels_SRC.max())
    if high - low <= LAST and bool(np.all(voxels_SRC == np.rint(voxels_SRC))):
        return (voxels_SRC - low).astype(np.uint8), (low + np.arange(LAST + 1)).astype(np.float32)
    steps_SRC = np.rint(np.sqrt((voxels_SRC - low) / (high - low or 1.0)) * LAST).astype(np.uint8)
    return steps_SRC, (low + (high - low) * (np.arange(LAST + 1) / LAST) ** 2).astype(np.float32)


def packed(voxels_SRC: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The steps of the voxels in few bytes, and the grey value that each stands for."""
    steps_SRC, grey_values = steps_of(voxels_SRC)
    code = zlib.compressobj(strategy=zlib.Z_HUFFMAN_ONLY)  # noise repeats nothing: half the time, and no larger
    written = code.compress(np.diff(steps_SRC, axis=1, prepend=np.uint8(0)).tobytes()) + code.flush()
    return np.frombuffer(written, np.uint8), grey_values


def unpacked(written: NDArray[np.uint8], shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """The steps of ``packed``; ValueError or zlib.error where the bytes are damaged."""
    steps_SRC = np.frombuffer(zlib.decompress(written.tobytes()), np.uint8).reshape(shape).copy()
    for row in range(1, shape[1]):  # overflows as the differences did; a fifth of the time that np.cumsum takes
        steps_SRC[:, row] += steps_SRC[:, row - 1]
    return steps_SRC
