"""MetaImage files: .mha, and .mhd with its data beside it (SimpleITK)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from spinenet.errors import ReadError, in_words
from spinenet.labels import View
from spinenet.readers import names
from spinenet.readers.sources import Acquisition
from spinenet.readers.volume import (
    check_affine,
    check_file,
    check_shape,
    check_stored,
    not_oriented,
    series_from_volume,
)
from spinenet.study import Series

SUFFIXES = (".mha", ".mhd")
_HEADER_BYTES = 65_536
MAX_SIZE = 1e6
FLAT = 0.5
"""Three axes of length 1 that are nearly square to each other span more."""
_EIGHT_BYTES = {"MET_DOUBLE", "MET_LONG", "MET_ULONG", "MET_LONG_LONG", "MET_ULONG_LONG"}
_ORIENTATION_KEYS = ("TransformMatrix", "Rotation", "Orientation")


def read_mha(path: Path, name: str | None = None, wanted: View | None = None) -> Series:
    """Read a .mha or .mhd file as one series; ReadError where it is damaged or no 3-D grey-value image.

    Needs SimpleITK (extra ``mha``). Sides are unknown where the header gives no orientation, and not
    verified in files named as in SPIDER.
    """
    where = names.shown(path)
    check_file(path, where)
    header = _header(path)
    _check_header(header, where)
    _check_data(path, header["ElementDataFile"], where)
    voxels, affine_vox2mm = _read(path)
    oriented = any(key in header for key in _ORIENTATION_KEYS)
    series = series_from_volume(
        voxels,
        affine_vox2mm,
        name=name or names.stem_of(path),
        where=where,
        acquisition=Acquisition(description=names.stem_of(path), wanted=wanted),
        laterality_known=oriented and not names.is_spider(path),
    )
    return series if oriented else not_oriented(series)


def data_file(path: Path) -> Path | None:
    """The file beside a header that holds its voxels; None where they follow the header, or there is no header."""
    if path.suffix.lower() not in SUFFIXES:
        return None
    try:
        name = _header(path)["ElementDataFile"]
    except ReadError:
        return None
    return None if name.upper() == "LOCAL" or Path(name).name != name or name in ("", "LIST") else path.with_name(name)


def _header(path: Path) -> dict[str, str]:
    """The ``key = value`` lines before the voxels; ReadError where it does not begin like a MetaImage."""
    try:
        with path.open("rb") as file:
            text = file.read(_HEADER_BYTES).decode("latin-1")
    except OSError as error:
        raise ReadError(f"{names.shown(path)}: cannot be opened ({in_words(error)})") from error
    header: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if not equals:
            break
        header[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            break
    if "DimSize" not in header or "ElementDataFile" not in header:
        raise ReadError(
            f"{names.shown(path)}: not a MetaImage file (no header with DimSize); was something else renamed?"
        )
    return header


def _check_data(path: Path, name: str, where: str) -> None:
    """Refuse voxels anywhere but behind the header or in a plain file beside it: a header must not reach other files,
    pipes or devices."""
    if name.upper() == "LOCAL":
        return
    data = data_file(path)
    if data is None or "%" in name:
        raise ReadError(f"{where}: its data file is not one beside it; write it as one .mha file")
    if data.is_symlink() or not data.is_file():
        raise ReadError(f"{where}: its data file {names.shown(data)} is not there; copy it too")
    check_file(data, names.shown(data))


def _check_header(header: dict[str, str], where: str) -> None:
    """Refuse what is no 3-D grey-value image with positive spacing, before a voxel is read."""
    sizes = _numbers(header, "DimSize", where)
    if not np.all(np.isfinite(sizes)):
        raise ReadError(f"{where}: DimSize is '{_excerpt(header['DimSize'])}', not sizes; the header is damaged")
    if max(map(abs, sizes)) > MAX_SIZE:
        raise ReadError(f"{where}: DimSize is '{_excerpt(header['DimSize'])}'; the header is damaged")
    check_shape(tuple(map(int, sizes)), where)
    wide = header.get("ElementType", "").upper() in _EIGHT_BYTES
    check_stored(tuple(map(int, sizes)), 8 if wide else 4, where)
    channels = header.get("ElementNumberOfChannels", "1")
    if channels != "1":
        raise ReadError(f"{where}: a colour image ({_excerpt(channels)} values a voxel); give grey values")
    key = "ElementSpacing" if "ElementSpacing" in header else "ElementSize"
    spacing = _numbers(header, key, where) if key in header else [1.0, 1.0, 1.0]
    if len(spacing) != 3 or not np.all(np.isfinite(spacing)) or min(spacing) <= 0:
        raise ReadError(f"{where}: voxel spacing ({_excerpt(header[key])}) is not positive; correct the header")
    axes = next((_numbers(header, one, where) for one in _ORIENTATION_KEYS if one in header), [])
    if len(axes) == 9 and not (np.isfinite(axes).all() and abs(np.linalg.det(np.reshape(axes, (3, 3)))) > FLAT):
        raise ReadError(f"{where}: its axes lie in one plane (TransformMatrix); correct the header, or export it again")


def _excerpt(value: str) -> str:
    return names.printable(value[:40])


def _numbers(header: dict[str, str], key: str, where: str) -> list[float]:
    try:
        return [float(value) for value in header[key].split()]
    except ValueError as error:
        raise ReadError(f"{where}: {key} is '{_excerpt(header[key])}', not numbers; the header is damaged") from error


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Voxels (slices, rows, columns as stored) as float32 and their affine to LPS mm, which is ITK's own frame."""
    try:
        import SimpleITK as sitk  # noqa: N813
    except ImportError as error:
        raise ReadError(f"{names.shown(path)}: reading MHA needs SimpleITK; install 'spinenet-mri[mha]'") from error
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("MetaImageIO")
    reader.SetFileName(str(path))
    try:
        with _silent():
            image = reader.Execute()
    except RuntimeError as error:
        raise ReadError(
            f"{names.shown(path)}: the voxels cannot be read; is the file cut short? Copy it again"
        ) from error
    if image.GetDimension() != 3:
        raise ReadError(
            f"{names.shown(path)}: {image.GetDimension()} dimensions in NDims, 3 in DimSize; export it again"
        )
    affine_vox2mm = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(3, 3)
    affine_vox2mm[:3, :3] = (direction * np.array(image.GetSpacing()))[:, ::-1]  # arrays are indexed z, y, x
    affine_vox2mm[:3, 3] = image.GetOrigin()
    check_affine(affine_vox2mm, names.shown(path))
    return sitk.GetArrayViewFromImage(image).astype(np.float32), affine_vox2mm  # one copy: the view ends with the image


@contextmanager
def _silent() -> Iterator[None]:
    """Keep what the C++ library prints of a damaged file off the screen: the caller's one line says it."""
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
