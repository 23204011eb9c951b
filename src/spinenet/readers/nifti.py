"""NIfTI files (nibabel), with the JSON sidecar of BIDS for the view where there is one."""

import gzip
import json
import logging
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinenet.errors import ReadError
from spinenet.geometry import RAS_TO_LPS, spacing_mm
from spinenet.labels import View
from spinenet.readers import names
from spinenet.readers.name_words import names_no_agent
from spinenet.readers.sources import Acquisition
from spinenet.readers.volume import (
    check_affine,
    check_file,
    check_shape,
    check_stored,
    not_oriented,
    series_from_volume,
    told,
)
from spinenet.study import Series

SUFFIXES = (".nii", ".nii.gz")
SIDES = "left and right"
MAX_TURN_DEGREES = 10.0
_UNITS = {1: "meter", 2: "mm", 3: "micron"}
MAX_SIDECAR_BYTES = 1 << 20
EXTENSION_BEGINS = 352
MAX_EXTENSION_BYTES = 1 << 24
"""What may stand between header and voxels: a packed file could hold gigabytes there."""
_CODES = (
    "ScanningSequence",
    "SequenceVariant",
    "ScanOptions",
    "MRAcquisitionType",
    "SequenceName",
    "PulseSequenceName",
)
_AGENTS = ("ContrastBolusAgent", "ContrastBolusIngredient")
_MM_PER_UNIT = {"meter": 1000.0, "micron": 0.001}


@dataclass(frozen=True)
class _NiftiImage:
    """What a file says of its image. ``affine`` takes (i, j, k, 1) to RAS in ``units``, ``zooms`` are as stored."""

    image: Any
    shape: tuple[int, ...]
    zooms: tuple[float, ...]
    affine: NDArray[np.float64]
    units: str
    is_oriented: bool
    is_grey: bool
    bytes_per_voxel: int
    description: str
    contradiction: str = ""
    """What sform and qform say differently."""


def read_nifti(path: Path, name: str | None = None, wanted: View | None = None) -> Series:
    """Read a .nii or .nii.gz file as one series; ReadError where it is damaged or no 3-D grey-value image.

    sform is preferred to qform; where neither is set, or they contradict each other about left and right, sides are
    unknown. Units other than mm are converted.
    """
    where = names.shown(path)
    check_file(path, where)
    with _library(where), np.errstate(all="ignore"):  # what overflows is refused later, in words
        stored = _opened(path, where)
    shape = _checked_shape(stored, where)
    scale = _MM_PER_UNIT.get(stored.units, 1.0)
    with np.errstate(all="ignore"):
        affine_vox2mm = RAS_TO_LPS @ np.diag([scale, scale, scale, 1.0]) @ stored.affine
    check_affine(affine_vox2mm, where)
    with _library(where), np.errstate(all="ignore"):
        voxels = stored.image.get_fdata(dtype=np.float32, caching="unchanged")
    series = series_from_volume(
        voxels.reshape(shape),
        affine_vox2mm,
        name=name or names.stem_of(path),
        where=where,
        acquisition=replace(_acquisition(path, stored.description), wanted=wanted),
        laterality_known=stored.is_oriented and SIDES not in stored.contradiction,
    )
    if stored.contradiction:
        series = replace(series, remarks=(*series.remarks, stored.contradiction))
    return series if stored.is_oriented else not_oriented(series)


@contextmanager
def _library(where: str) -> Iterator[None]:
    """What nibabel raises on a damaged file becomes a ReadError; for its calls alone."""
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)  # it would print header repairs to the screen
    damage = (ImageFileError, HeaderDataError, WrapStructError, gzip.BadGzipFile, zlib.error, EOFError, OSError)
    try:
        yield
    except MemoryError as error:
        raise ReadError(f"{where}: not enough memory to read it") from error
    except (HeaderDataError, KeyError) as error:
        raise ReadError(f"{where}: its header holds what NIfTI does not know ({told(error)}); correct it") from error
    except (*damage, ValueError) as error:
        raise ReadError(f"{where}: not a readable NIfTI file; is it cut short or renamed? Copy it again") from error


def _opened(path: Path, where: str) -> _NiftiImage:
    """The header as it is stored: nibabel repairs a spacing in silence, zero becomes one there, minus becomes plus."""
    import nibabel as nib
    from nibabel.openers import ImageOpener

    with ImageOpener(str(path)) as file:
        _check_extension(file.read(EXTENSION_BEGINS), where)
    image: Any = nib.load(path, mmap=False)  # a mapped file that is cut short while it is read ends the process
    if not isinstance(image, nib.Nifti1Image):
        raise ReadError(f"{where}: a {type(image).__name__}, not NIfTI; convert it")
    with ImageOpener(str(path)) as file:
        stored = type(image.header).from_fileobj(file, check=False)
    header, dtype = image.header, image.header.get_data_dtype()
    affine, contradiction = _placed(image)
    return _NiftiImage(
        image=image,
        shape=tuple(image.shape),
        zooms=tuple(np.asarray(stored["pixdim"], dtype=float)[1 : 1 + min(3, len(image.shape))]),
        affine=affine,
        units=_UNITS.get(int(header["xyzt_units"]) & 7, "unknown"),
        is_oriented=bool(header["sform_code"] > 0 or header["qform_code"] > 0),
        bytes_per_voxel=dtype.itemsize,
        is_grey=dtype.fields is None and dtype.kind != "c",
        description=bytes(header["descrip"]).decode("latin-1"),
        contradiction=contradiction,
    )


def _check_extension(start: bytes, where: str) -> None:
    """Raise ReadError where voxels begin so far behind the header that it holds no header (NIfTI-1 or -2)."""
    if len(start) < EXTENSION_BEGINS:
        return  # nibabel says what is wrong with it
    offsets = [struct.unpack(f"{order}f", start[108:112])[0] for order in "<>"]
    if start[:4] in (b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c"):
        offsets = [struct.unpack(f"{order}q", start[168:176])[0] for order in "<>"]
    is_little = start[:1] != b"\x00"
    if offsets[0 if is_little else 1] > MAX_EXTENSION_BYTES:
        raise ReadError(f"{where}: its voxels are said to begin {MAX_EXTENSION_BYTES >> 20} MB behind its header")


def _placed(image: Any) -> tuple[NDArray[np.float64], str]:
    """The affine to RAS that the header states, and what its two forms say differently."""
    header, affine = image.header, np.asarray(image.affine, dtype=float)
    if not (header["sform_code"] > 0 and header["qform_code"] > 0):
        return affine, ""
    other = np.asarray(header.get_qform(), dtype=float)
    spacing, others = spacing_mm(affine), spacing_mm(other)
    if not np.all(np.isfinite(affine)) or spacing.min() < 1e-6:
        return other, "its sform is empty; it was placed by its qform"
    if others.min() < 1e-6 or not np.all(np.isfinite(other)):
        return affine, ""
    directions, turned = affine[:3, :3] / spacing, other[:3, :3] / others
    mirrored = np.sign(np.linalg.det(directions)) != np.sign(np.linalg.det(turned))
    # where the axis that runs most from side to side points
    side = int(np.argmax(np.abs(directions[0])))
    if mirrored or directions[0, side] * turned[0, side] < 0 or np.argmax(np.abs(turned[0])) != side:
        return affine, f"its sform and qform contradict each other about {SIDES}"
    angle = np.degrees(np.arccos(np.clip((directions * turned).sum(axis=0).min(), -1, 1)))
    if angle > MAX_TURN_DEGREES:
        return affine, f"its sform and qform are turned by {angle:.0f} degrees against each other; sform was taken"
    return affine, ""


def _checked_shape(stored: _NiftiImage, where: str) -> tuple[int, ...]:
    """Shape with trailing axes of one dropped; odd spacing, colour and complex images are refused."""
    if not np.all(np.isfinite(stored.zooms)) or min(stored.zooms, default=0.0) <= 0:
        stated = ", ".join(f"{zoom:g}" for zoom in stored.zooms)
        raise ReadError(f"{where}: voxel spacing ({stated}) is not positive; correct pixdim in the header")
    if not stored.is_grey:
        raise ReadError(f"{where}: a colour or complex image; give one grey value a voxel")
    shape = stored.shape
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    check_shape(shape, where)
    check_stored(shape, stored.bytes_per_voxel, where)
    return shape


def _acquisition(path: Path, description: str) -> Acquisition:
    """What name, header text (dcm2niix writes TE there) and sidecar say."""
    sidecar = _sidecar(path)
    echo = re.search(r"\bTE=([0-9.eE+-]+)", description)
    words = [names.stem_of(path), *(_words(sidecar.get(key)) for key in ("SeriesDescription", "ProtocolName"))]
    codes = (_words(sidecar.get(key)) for key in _CODES)
    echoes = _number(sidecar.get("EchoTrainLength"))
    return Acquisition(
        tr_ms=_milliseconds(sidecar.get("RepetitionTime")),
        te_ms=_milliseconds(sidecar.get("EchoTime")) or (_number(echo.group(1)) if echo else None),
        ti_ms=_milliseconds(sidecar.get("InversionTime")),
        sequence=" ".join(re.sub(r"[\\_,]", " ", code) for code in codes),
        image_type=" ".join(_words(sidecar.get(key)) for key in ("ImageType", "ImageTypeText")).strip(),
        description=" ".join(words),
        body_part=_words(sidecar.get("BodyPartExamined")),
        contrast_agent=any(not names_no_agent(_words(sidecar.get(key))) for key in _AGENTS),
        field_t=_number(sidecar.get("MagneticFieldStrength")),
        echo_train=int(echoes) if echoes else None,
    )


def _sidecar(path: Path) -> dict[str, Any]:
    """The JSON file beside the image, or nothing where there is none, it is no JSON object or larger than any is."""
    file = path.with_name(names.stem_of(path) + ".json")
    try:
        if not file.is_file() or file.stat().st_size > MAX_SIDECAR_BYTES:
            return {}
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _words(value: object) -> str:
    """Text as it is, a list of texts and numbers as words, nothing else; BIDS allows both."""
    several = value if isinstance(value, list) else [value]
    return " ".join(str(one) for one in several if isinstance(one, str | int | float) and not isinstance(one, bool))


def _number(value: object) -> float | None:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if np.isfinite(number) and number > 0 else None


def _milliseconds(seconds: object) -> float | None:
    number = _number(seconds)
    return None if number is None else 1000.0 * number
