"""NIfTI files (nibabel), with the JSON sidecar of BIDS for the view where there is one."""

import gzip
import json
import logging
import re
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinenet.errors import ReadError
from spinenet.geometry import RAS_TO_LPS
from spinenet.labels import View
from spinenet.readers import names
from spinenet.readers.sources import Acquisition
from spinenet.readers.volume import check_affine, check_shape, series_from_volume
from spinenet.study import Series

SUFFIXES = (".nii", ".nii.gz")
_MM_PER_UNIT = {"meter": 1000.0, "micron": 0.001}


def read_nifti(path: Path, name: str | None = None, wanted: View | None = None) -> Series:
    """Read a .nii or .nii.gz file as one series; ReadError where it is damaged or no 3-D grey-value image.

    sform is preferred to qform; where neither is set, sides are unknown. Units other than mm are converted.
    """
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    damage = (ImageFileError, HeaderDataError, WrapStructError, gzip.BadGzipFile, zlib.error, EOFError, OSError)
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)  # it would print header repairs to the screen
    where = names.shown(path)
    try:
        image: Any = nib.load(path)
        if not isinstance(image, nib.Nifti1Image):
            raise ReadError(f"{where}: a {type(image).__name__}, not NIfTI; convert it")
        _check_stored_spacing(image, where)
        with np.errstate(all="ignore"):  # what overflows is refused later, in words
            affine_vox2mm, oriented = _affine(image, where)
            shape = _checked_shape(image, where)
            voxels = image.get_fdata(dtype=np.float32, caching="unchanged").reshape(shape)
    except FileNotFoundError:
        raise ReadError(f"{where}: no such file") from None
    except (*damage, ValueError, KeyError, MemoryError) as error:
        raise ReadError(f"{where}: not a readable NIfTI file; is it cut short or renamed? Copy it again") from error
    return series_from_volume(
        voxels,
        affine_vox2mm,
        name=name or names.stem_of(path),
        where=where,
        acquisition=replace(_acquisition(path, bytes(image.header["descrip"]).decode("latin-1")), wanted=wanted),
        laterality_known=oriented,
    )


def _check_stored_spacing(image: Any, where: str) -> None:
    """Refuse a spacing that nibabel would silently repair: zero becomes one there, minus becomes plus."""
    from nibabel.openers import ImageOpener

    with ImageOpener(image.get_filename()) as file:
        header = type(image.header).from_fileobj(file, check=False)
    zooms = np.asarray(header["pixdim"], dtype=float)[1 : 1 + min(3, len(image.shape))]
    if not np.all(np.isfinite(zooms)) or np.any(zooms <= 0):
        told = ", ".join(f"{zoom:g}" for zoom in zooms)
        raise ReadError(f"{where}: voxel spacing ({told}) is not positive; correct pixdim in the header")


def _affine(image: Any, where: str) -> tuple[NDArray[np.float64], bool]:
    """Affine to LPS mm, and whether the file states an orientation at all."""
    header = image.header
    scale = _MM_PER_UNIT.get(header.get_xyzt_units()[0], 1.0)
    affine_vox2mm = RAS_TO_LPS @ np.diag([scale, scale, scale, 1.0]) @ np.asarray(image.affine, dtype=float)
    check_affine(affine_vox2mm, where)
    return affine_vox2mm, bool(header["sform_code"] > 0 or header["qform_code"] > 0)


def _checked_shape(image: Any, where: str) -> tuple[int, ...]:
    """Shape with trailing axes of one dropped; colour and complex images are refused."""
    dtype = image.header.get_data_dtype()
    if dtype.fields is not None or dtype.kind == "c":
        raise ReadError(f"{where}: a colour or complex image; give one grey value a voxel")
    shape: tuple[int, ...] = tuple(image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    check_shape(shape, where)
    return shape


def _acquisition(path: Path, description: str) -> Acquisition:
    """What name, header text (dcm2niix writes TE there) and sidecar say."""
    sidecar = _sidecar(path)
    echo = re.search(r"\bTE=([0-9.eE+-]+)", description)
    words = [names.stem_of(path), *(str(sidecar.get(key, "")) for key in ("SeriesDescription", "ProtocolName"))]
    codes = (sidecar.get(key, "") for key in ("ScanningSequence", "SequenceVariant", "ScanOptions"))
    return Acquisition(
        tr_ms=_milliseconds(sidecar.get("RepetitionTime")),
        te_ms=_milliseconds(sidecar.get("EchoTime")) or (_number(echo.group(1)) if echo else None),
        ti_ms=_milliseconds(sidecar.get("InversionTime")),
        sequence=" ".join(re.sub(r"[\\_,]", " ", str(code)) for code in codes),
        image_type=" ".join(map(str, sidecar.get("ImageType") or ())),
        description=" ".join(words),
        body_part=str(sidecar.get("BodyPartExamined", "")),
        field_t=_number(sidecar.get("MagneticFieldStrength")),
    )


def _sidecar(path: Path) -> dict[str, Any]:
    """The JSON file beside the image, or nothing where there is none or it is no JSON object."""
    file = path.with_name(names.stem_of(path) + ".json")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _number(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if np.isfinite(number) and number > 0 else None


def _milliseconds(seconds: object) -> float | None:
    number = _number(seconds)
    return None if number is None else 1000.0 * number
