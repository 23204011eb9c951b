"""DICOM headers: which files are MR images, and where each of their slices lies (no pixel is read).

A frame of an enhanced multi-frame object keeps its geometry in functional groups (DICOM PS3.3 C.7.6.16), its own before
the shared ones. Whether an object is multi-frame is told by its content: the SOP class is wrong in some archives.
"""

import functools
import math
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spinenet.readers.archives import open_image
from spinenet.readers.sources import Acquisition, Frame

_KEYWORDS = (
    # fmt: off
    "SpecificCharacterSet",
    "StudyInstanceUID",
    "StudyDate",
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientAge",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "SOPClassUID",
    "Modality",
    "ImageType",
    "SeriesNumber",
    "SeriesDescription",
    "ProtocolName",
    "BodyPartExamined",
    "ContrastBolusAgent",
    "ScanningSequence",
    "SequenceVariant",
    "ScanOptions",
    "EchoPulseSequence",
    "InversionRecovery",
    "MRAcquisitionType",
    "SequenceName",
    "PulseSequenceName",
    "SpectrallySelectedSuppression",
    "EchoTrainLength",
    "MagneticFieldStrength",
    "RepetitionTime",
    "EchoTime",
    "InversionTime",
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "StackID",
    "FrameOfReferenceUID",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "SamplesPerPixel",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    # fmt: on
)
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_OBJECTS = {
    "SR": "structured report",
    "PR": "presentation state",
    "KO": "key object selection",
    "SEG": "segmentation",
    "DOC": "document",
    "OT": "secondary capture",
}
_NO_AGENT = frozenset({"", "none", "no", "n", "0"})
_CODES = {
    ("EchoPulseSequence", "GRADIENT"): "GR",
    ("EchoPulseSequence", "SPIN"): "SE",
    ("InversionRecovery", "YES"): "IR",
}


_YEARS_PER_UNIT = {"Y": 1.0, "M": 1 / 12, "W": 1 / 52, "D": 1 / 365}


def damage() -> tuple[type[Exception], ...]:
    """What pydicom and its decoders raise on damaged bytes (found by fuzzing). For ``except damage():``."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    plain = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RuntimeError, AssertionError)
    outside = (OSError, EOFError, MemoryError, struct.error, zlib.error, zipfile.BadZipFile)
    return (*plain, *outside, BytesLengthException, InvalidDicomError)


@dataclass
class Headers:
    """What many headers hold: frames; by study, the files that are no MR image and what they are; unreadable files."""

    frames: list[Frame] = field(default_factory=list)
    skipped: dict[str, list[tuple[Path, str]]] = field(default_factory=dict)
    broken: list[Path] = field(default_factory=list)


def read_headers(paths: Iterable[Path]) -> Headers:
    """Headers of all files; a damaged file is listed in ``broken`` and stops nothing."""
    headers = Headers()
    with quiet():
        for path in paths:
            _add(headers, path)
    return headers


def read_dataset(path: Path, keywords: Sequence[str] | None = None) -> Any:
    """The data set of a file, with ``keywords`` only those elements and no pixels; raises what damage() lists."""
    from pydicom import dcmread

    with open_image(path) as file:
        start = file.read(132)
        file.seek(0)
        bare = start[128:] != b"DICM" and start[:2] in (b"\x02\x00", b"\x08\x00")
        return dcmread(
            file,
            force=bare,
            stop_before_pixels=keywords is not None,
            specific_tags=list(keywords) if keywords else None,
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom's remarks on odd values off the user's screen; what matters becomes a note."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def layers(dataset: Any, index: int) -> list[Any]:
    """Data sets that describe frame ``index``, the most specific first."""
    groups = []
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence")
    if per_frame and index < len(per_frame):
        groups.append(per_frame[index])
    groups += list(dataset.get("SharedFunctionalGroupsSequence") or [])[:1]
    items = [element.value[0] for group in groups for element in group if element.VR == "SQ" and element.value]
    return [*items, dataset]


def first_value(described: Sequence[Any], *keywords: str) -> Any:
    """First value that is there, looked up keyword by keyword through the layers; None where there is none."""
    for keyword in keywords:
        for dataset in described:
            value = value_of(dataset, keyword)
            if value is not None and value != "":
                return value
    return None


def value_of(dataset: Any, keyword: str) -> Any:
    """What a data set holds under a keyword, None where it has none; raises what damage() lists.

    What the slices of a series have in common is converted once for all of them: half of the time of a large tree.
    """
    element = dataset.get_item(_tag(keyword))
    if element is None:
        return None
    if not element.is_raw or element.VR in ("SQ", None) or element.value is None:
        return dataset.get(keyword)
    charset = dataset.original_character_set
    return _converted(element._replace(value_tell=0), charset if isinstance(charset, str) else tuple(charset or ()))


@functools.lru_cache(maxsize=4096)
def _converted(raw: Any, charset: str | tuple[str, ...]) -> Any:
    from pydicom.dataelem import convert_raw_data_element

    return convert_raw_data_element(raw, encoding=list(charset) if isinstance(charset, tuple) else charset).value


@functools.cache
def _tag(keyword: str) -> Any:
    from pydicom.datadict import tag_for_keyword
    from pydicom.tag import BaseTag

    return BaseTag(tag_for_keyword(keyword) or 0)


def number(value: Any) -> float | None:
    """A finite float, the first of several, or None.

    >>> number("3.5"), number(["7", "8"]), number("x"), number(None)
    (3.5, 7.0, None, None)
    """
    values = numbers(value)
    return values[0] if values else None


def numbers(value: Any) -> tuple[float, ...]:
    """The finite floats in a value that may be one, many, or text; empty where one of them is not a number."""
    if value is None or value == "":
        return ()
    several = [value] if isinstance(value, str | int | float) or not hasattr(value, "__iter__") else list(value)
    try:
        floats = tuple(float(item) for item in several)
    except (ValueError, TypeError):
        return ()
    return floats if all(map(math.isfinite, floats)) else ()


def _add(headers: Headers, path: Path) -> None:
    try:
        dataset = read_dataset(path, _KEYWORDS)
        study_uid = str(value_of(dataset, "StudyInstanceUID") or path.parent)
        frames, problem = _frames(dataset, path, study_uid)
    except damage():
        headers.broken.append(path)
        return
    headers.frames += frames
    if problem and not value_of(dataset, "StudyInstanceUID"):
        headers.broken.append(path)  # cut short within its header
    elif problem:
        headers.skipped.setdefault(study_uid, []).append((path, problem))


def _frames(dataset: Any, path: Path, study_uid: str) -> tuple[list[Frame], str]:
    """Frames of one file, or none and what the file is instead."""
    problem = _no_image(dataset)
    if problem:
        return [], problem
    count = len(value_of(dataset, "PerFrameFunctionalGroupsSequence") or [])
    stated = int(number(value_of(dataset, "NumberOfFrames")) or 1)
    if stated > 1 and count < stated:
        return [], "multi-frame image without positions"
    found = [_frame(dataset, path, study_uid, index) for index in range(max(count, 1))]
    frames = [frame for frame in found if frame is not None]
    return frames, "" if len(frames) == len(found) else "image without position or orientation"


def _no_image(dataset: Any) -> str:
    """What the object is where it is not one grey-value MR image, else an empty string."""
    modality = str(value_of(dataset, "Modality") or "MR").strip().upper()
    if str(value_of(dataset, "SOPClassUID") or "").startswith(_SECONDARY_CAPTURE):
        return "secondary capture"
    if modality != "MR":
        return _OBJECTS.get(modality, "object that is not MR")
    if not value_of(dataset, "Rows") or not value_of(dataset, "Columns"):
        return "object without an image"
    return "colour image" if int(value_of(dataset, "SamplesPerPixel") or 1) != 1 else ""


def _frame(dataset: Any, path: Path, study_uid: str, index: int) -> Frame | None:
    described = layers(dataset, index)
    position = numbers(first_value(described, "ImagePositionPatient"))
    orientation = numbers(first_value(described, "ImageOrientationPatient"))
    if len(position) != 3 or not _orthonormal(orientation):
        return None
    spacing = numbers(first_value(described, "PixelSpacing"))
    series_number, acquisition = int(number(value_of(dataset, "SeriesNumber")) or 0), _acquisition(described)
    return Frame(
        path=path,
        index=index,
        uid=str(value_of(dataset, "SOPInstanceUID") or path),
        study_uid=study_uid,
        series_uid=str(
            value_of(dataset, "SeriesInstanceUID") or f"{path.parent} {series_number} {acquisition.description}"
        ),
        series_number=series_number,
        rows=int(value_of(dataset, "Rows")),
        columns=int(value_of(dataset, "Columns")),
        position_mm=(position[0], position[1], position[2]),
        orientation=orientation,
        spacing_mm=(spacing[0], spacing[1]) if len(spacing) == 2 and min(spacing) > 0 else None,
        gap_mm=_positive(described, "SpacingBetweenSlices", "SliceThickness"),
        acquisition=acquisition,
        tags=_tags(described),
        frame_of_reference=str(first_value(described, "FrameOfReferenceUID") or ""),
        sop_class_uid=str(value_of(dataset, "SOPClassUID") or ""),
        patient=_words(value_of(dataset, "PatientID")).strip(),
        patient_name=str(value_of(dataset, "PatientName") or ""),
        age_years=_age_years(dataset),
    )


@functools.lru_cache(maxsize=1024)
def _orthonormal(orientation: tuple[float, ...]) -> bool:
    if len(orientation) != 6:
        return False
    axes = np.array(orientation).reshape(2, 3)
    return bool(np.allclose(axes @ axes.T, np.eye(2), atol=0.02))


def _positive(described: Sequence[Any], *keywords: str) -> float | None:
    for keyword in keywords:
        value = number(first_value(described, keyword))
        if value is not None and value > 0:
            return value
    return None


def _acquisition(described: Sequence[Any]) -> Acquisition:
    codes = [_words(first_value(described, key)) for key in ("ScanningSequence", "SequenceVariant", "ScanOptions")]
    codes += [_words(first_value(described, key)) for key in ("MRAcquisitionType", "SequenceName", "PulseSequenceName")]
    codes += [code for (key, value), code in _CODES.items() if first_value(described, key) == value]
    names = [_words(first_value(described, key)) for key in ("SeriesDescription", "ProtocolName")]
    echoes = _positive(described, "EchoTrainLength")
    return Acquisition(
        tr_ms=_positive(described, "RepetitionTime"),
        te_ms=_positive(described, "EffectiveEchoTime", "EchoTime"),
        ti_ms=_positive(described, "InversionTimes", "InversionTime"),
        sequence=" ".join(codes),
        image_type=_words(first_value(described, "FrameType", "ImageType")),
        description=" ".join(dict.fromkeys(name for name in names if name)),
        body_part=_words(first_value(described, "BodyPartExamined")),
        contrast_agent=_words(first_value(described, "ContrastBolusAgent")).lower() not in _NO_AGENT,
        field_t=_positive(described, "MagneticFieldStrength"),
        echo_train=int(echoes) if echoes else None,
        fat_suppressed="FAT" in _words(first_value(described, "SpectrallySelectedSuppression")).upper().split("_"),
    )


def _age_years(dataset: Any) -> float | None:
    """Age at the examination as stated (``014Y``, ``006M``), else from the dates of birth and study; else None."""
    stated = _words(value_of(dataset, "PatientAge")).strip().upper()
    if len(stated) == 4 and stated[:3].isdigit() and stated[3] in _YEARS_PER_UNIT:
        return int(stated[:3]) * _YEARS_PER_UNIT[stated[3]]
    birth, study = (_words(value_of(dataset, key)).strip() for key in ("PatientBirthDate", "StudyDate"))
    if len(birth) != 8 or len(study) != 8 or not (birth + study).isdigit():
        return None
    years = int(study[:4]) - int(birth[:4]) - int(study[4:] < birth[4:])
    return years if 0 <= years <= 120 else None


def _tags(described: Sequence[Any]) -> tuple[str, ...]:
    """Values by which stacks that share positions may be told apart, the most telling first."""
    keys = (
        ("EffectiveEchoTime", "EchoTime"),
        ("FrameType", "ImageType"),
        ("InversionTimes", "InversionTime"),
        ("StackID",),
        ("TemporalPositionIndex", "TemporalPositionIdentifier"),
        ("AcquisitionNumber",),
    )
    return tuple(_words(first_value(described, *names)) for names in keys)


def _words(value: Any) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, str) or not hasattr(value, "__iter__") else " ".join(map(str, value))
