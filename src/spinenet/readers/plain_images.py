"""Pictures without a header, where a data set says what they show: never found by themselves, as they have no place."""

from pathlib import Path

import numpy as np
from PIL import Image

from spinenet.errors import ReadError, in_words
from spinenet.labels import View
from spinenet.readers import names
from spinenet.readers.sources import Acquisition
from spinenet.readers.volume import series_from_volume
from spinenet.study import Series

SLICE_MM = 4.0
"""Taken for the thickness of the one slice; nothing is measured along it."""


def read_picture(path: Path, name: str, wanted: View | None, pixel_mm: float) -> Series:
    """One sagittal slice, upright and facing left, as a series of its own at the origin; ReadError where damaged.

    Its side is unknown.
    """
    where = names.shown(path)
    try:
        with Image.open(path) as picture:
            voxels_RC = np.asarray(picture.convert("L"), np.float32)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ReadError(f"{where}: not a picture that can be read ({in_words(error)}); copy it again") from error
    affine_vox2mm = np.array([[SLICE_MM, 0, 0, 0], [0, 0, pixel_mm, 0], [0, -pixel_mm, 0, 0], [0, 0, 0, 1]])
    return series_from_volume(
        voxels_RC[None],
        affine_vox2mm,
        name=name,
        where=where,
        acquisition=Acquisition(description=names.stem_of(path), wanted=wanted),
        laterality_known=False,
    )
