"""From an array and its affine to a checked series: the one gate that every format passes."""

import os
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinenet import geometry
from spinenet.errors import ReadError, in_words
from spinenet.readers import names
from spinenet.readers.sources import Acquisition
from spinenet.readers.views import Decision, decide_view
from spinenet.study import Basis, Series

MAX_VOXELS = 120_000_000
"""Half as much again as in the largest lumbar volume we know of; beyond it the header is wrong."""

MAX_STORED_BYTES = 480_000_000
"""What an image may take as it is stored: all voxels as 32-bit floats, half as many as 64-bit ones."""

MAX_EXTENT_MM = 1200.0
"""Images composed of a whole spine reach about 1000 mm."""

MAX_COORDINATE_MM = 1e6
"""A kilometre: larger numbers come from damaged headers and overflow what follows."""
SPACING_RANGE_MM = (0.02, 100.0)
_REFORMATTED = {"MPR", "REFORMATTED", "RESAMPLED", "INTERPOLATED"}


LABEL_SAMPLES, MOSTLY_EMPTY, FEWEST_GREYS = 200_000, 0.5, 64
"""What has fewer values, half of them 0, is no MR image whatever its name."""
NO_IMAGE_BELOW = 16
"""Fewer grey values make no image of a patient, whatever they are: labels, or a picture made of a few shades."""
FIRST_SAMPLES = 2_000
"""So many values nearly always show that there are more kinds."""
PADDING_SHARE, PADDING_GAP = 0.001, 0.05
"""One value that fills so much of the image and lies so far beside the others, in their range, is a border."""


def check_file(path: Path, where: str) -> None:
    """Raise ReadError where a path is no file that can be opened and holds something."""
    try:
        found = path.stat()
    except FileNotFoundError as error:
        what = "points to a file that is not there" if path.is_symlink() else "no such file"
        raise ReadError(f"{where}: {what}") from error
    except OSError as error:
        raise ReadError(f"{where}: cannot be opened ({in_words(error)})") from error
    if not stat.S_ISREG(found.st_mode):
        raise ReadError(f"{where}: not a file; only files are read")
    if found.st_size == 0:
        raise ReadError(f"{where}: the file is empty; copy it again")
    if not os.access(path, os.R_OK):
        raise ReadError(f"{where}: may not be read (permission denied)")


def told(error: Exception) -> str:
    """What a library says, on one line and bounded."""
    return names.printable(" ".join(str(error).split()))[:80]


def not_oriented(series: Series) -> Series:
    """The series with words that say that its plane was not stated."""
    words = "by the order of its axes, since the file states no orientation"
    return replace(series, reason=series.reason.replace("by orientation", words))


def check_shape(shape: tuple[int, ...], where: str) -> None:
    """Raise ReadError unless ``shape`` is that of a plausible stack of slices; called before pixels are read."""
    if len(shape) != 3:
        raise ReadError(
            f"{where}: the image has {len(shape)} dimensions, a series of slices has 3; give a 3-D image with positions"
        )
    if min(shape) < 1:
        raise ReadError(f"{where}: the image is empty ({_times(shape)} voxels); export it again")
    if sum(size < 16 for size in shape) > 1:
        raise ReadError(f"{where}: {_times(shape)} voxels are too few for an image of a spine")
    if int(np.prod(np.asarray(shape, dtype=float))) > MAX_VOXELS:
        raise ReadError(f"{where}: {_times(shape)} voxels are too many for one series; is the header damaged?")


def check_stored(shape: tuple[int, ...], bytes_per_voxel: int, where: str) -> None:
    """Raise ReadError where reading would take more memory than an image is worth; called before pixels are read."""
    if float(np.prod(np.asarray(shape, dtype=float))) * bytes_per_voxel > MAX_STORED_BYTES:
        raise ReadError(f"{where}: {_times(shape)} voxels of {bytes_per_voxel} bytes are too many; store grey values")


def check_affine(affine_vox2mm: NDArray[np.float64], where: str) -> None:
    """Raise ReadError unless the (4, 4) affine is finite, invertible and of plausible spacing."""
    if not np.all(np.abs(affine_vox2mm) < MAX_COORDINATE_MM):  # NaN is not smaller either
        raise ReadError(f"{where}: the affine holds NaN or infinity; the header is damaged, export the image again")
    spacing = geometry.spacing_mm(affine_vox2mm)
    if spacing.min() < SPACING_RANGE_MM[0] or spacing.max() > SPACING_RANGE_MM[1]:
        told = " x ".join(f"{value:.3g}" for value in spacing)
        raise ReadError(f"{where}: a voxel of {told} mm is not plausible; check the spacing in the header (mm)")
    if abs(np.linalg.det(affine_vox2mm[:3, :3] / spacing)) < 0.05:
        raise ReadError(f"{where}: the affine is singular, so voxels have no position; export the image again")


def check_extent(shape: tuple[int, ...], affine_vox2mm: NDArray[np.float64], where: str) -> None:
    """Raise ReadError where the image is larger than a patient: its spacing is wrong, and it would take ages."""
    extent_mm = float((np.array(shape) * geometry.spacing_mm(affine_vox2mm)).max())
    if extent_mm > MAX_EXTENT_MM:
        raise ReadError(f"{where}: an image of {extent_mm:.0f} mm is larger than a patient; check the pixel spacing")


def check_voxels(voxels: NDArray[np.float32], where: str) -> None:
    """Raise ReadError where grey values are not finite or all alike."""
    low, high = float(voxels.min()), float(voxels.max())  # NaN and infinity reach the extremes: no mask to allocate
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ReadError(f"{where}: the image holds NaN or infinite values; export it again without them")
    if low == high:
        raise ReadError(f"{where}: every voxel is {low:g}: the image is blank")


def series_from_volume(
    voxels: NDArray[np.float32],
    affine_vox2mm: NDArray[np.float64],
    *,
    name: str,
    where: str,
    acquisition: Acquisition,
    slice_dim: int | None = None,
    laterality_known: bool = True,
) -> Series:
    """Check a (3-D) volume with its affine to LPS mm and bring it into canonical order; ReadError names ``where``."""
    check_shape(voxels.shape, where)
    check_affine(affine_vox2mm, where)
    check_extent(voxels.shape, affine_vox2mm, where)
    voxels = without_padding(voxels)
    check_voxels(voxels, where)
    if slice_dim is None and voxels.shape.count(1) == 1:
        slice_dim = voxels.shape.index(1)
    voxels_SRC, affine, plane = geometry.canonical(voxels, affine_vox2mm, slice_dim)
    decision = decide_view(plane, acquisition)
    if acquisition.wanted is None and is_label_map(voxels_SRC):
        reason = f"{plane.capitalize()} by orientation, but few values: a map of labels, not an image"
        decision = Decision(None, f"{reason}: not used.", Basis.EXCLUDED)
    return Series(
        name,
        voxels_SRC,
        affine,
        plane,
        decision.view,
        decision.reason,
        laterality_known,
        basis=decision.basis,
        original=not _REFORMATTED & set(acquisition.image_type.upper().split()),
    )


def is_label_map(voxels: NDArray[np.float32]) -> bool:
    """Whether grey values are of very few kinds; or whole numbers of few kinds, or shares, and most of them 0: labels
    or probabilities."""
    seen = voxels.ravel()[:: max(1, voxels.size // LABEL_SAMPLES)]
    if _is_of_fewer(seen, NO_IMAGE_BELOW):
        return True
    if np.mean(seen == 0) < MOSTLY_EMPTY:
        return False
    if float(voxels.min()) >= 0 and float(voxels.max()) <= 1:
        return True
    return bool(np.all(seen == np.rint(seen))) and _is_of_fewer(seen, FEWEST_GREYS)


def _is_of_fewer(values_N: NDArray[np.float32], kinds: int) -> bool:
    """Whether values are of fewer kinds: images show that they are not in a few of them, without sorting all."""
    some_N = values_N[:: max(1, len(values_N) // FIRST_SAMPLES)]
    return len(np.unique(some_N)) < kinds and len(np.unique(values_N)) < kinds


def without_padding(voxels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Voxels with a negative value that fills what was not imaged made as dark as the darkest of the others: a
    magnitude is never negative, and such a border would leave the image no grey values."""
    low = float(voxels.min())
    if not (np.isfinite(low) and low < 0):
        return voxels
    padded = voxels == low
    if not PADDING_SHARE < padded.mean() < 1:
        return voxels
    rest = voxels[~padded]
    darkest, brightest = float(rest.min()), float(rest.max())
    if darkest - low <= PADDING_GAP * (brightest - darkest):
        return voxels
    return np.where(padded, np.float32(darkest), voxels)


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(str(size) for size in shape)
