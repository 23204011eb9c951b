"""DICOM headers: which files are MR images, and where each of their slices lies (no pixel is read).

Damaged bytes show as a ReadError where a value is taken from its data set, and there alone (``elements``); what follows
works on plain values, so that a fault of ours is never taken for damage.
A frame of an enhanced multi-frame object keeps its geometry in functional groups (DICOM PS3.3 C.7.6.16), its own before
the shared ones. Whether an object is multi-frame is told by its content: the SOP class is wrong in some archives.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spinenet.errors import ReadError
from spinenet.readers.archives import ImageFiles
from spinenet.readers.dicom.elements import (
    Header,
    Memory,
    Value,
    first_value,
    layers,
    number,
    numbers,
    quiet,
    read_dataset,
)
from spinenet.readers.dicom.limits import MAX_FRAME_PIXELS, MAX_FRAMES
from spinenet.readers.name_words import names_no_agent
from spinenet.readers.sources import Acquisition, Frame, Person

LOG = logging.getLogger(__name__)

_KEYWORDS = (
    # fmt: off
    "SpecificCharacterSet",
    "StudyInstanceUID",
    "StudyDate",
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientAge",
    "PatientSex",
    "PatientSize",
    "PatientWeight",
    "PatientSpeciesDescription",
    "PatientBreedDescription",
    "StudyTime",
    "AccessionNumber",
    "StudyID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "InstanceNumber",
    "SOPClassUID",
    "Modality",
    "ImageType",
    "SeriesNumber",
    "SeriesDescription",
    "ProtocolName",
    "BodyPartExamined",
    "BurnedInAnnotation",
    "ContrastBolusAgent",
    "ContrastBolusAgentSequence",
    "ContrastBolusIngredient",
    "ContrastBolusRoute",
    "ContrastBolusVolume",
    "ContrastBolusTotalDose",
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
    "NumberOfSeriesRelatedInstances",
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
PERSON_DETAILS = ("PatientAge", "PatientSize", "PatientWeight", "StudyTime", "AccessionNumber", "StudyID")
"""What else a header says of patient and study, in the order of ``Person.details``."""
_CODES = {
    ("EchoPulseSequence", "GRADIENT"): "GR",
    ("EchoPulseSequence", "SPIN"): "SE",
    ("InversionRecovery", "YES"): "IR",
}
MAX_MATRIX = 65_535
"""Rows and columns are numbers of two bytes."""
MAX_POSITION_MM = 100_000.0
"""No scanner is that far from its own centre: the number is damaged."""
TILT = 0.02
"""How far products of direction vectors may lie from 1 and 0."""
_HUMAN = re.compile("homo|human|man$|mensch|person|n/?a$|none|unknown", re.IGNORECASE)
_AGE = re.compile(r"(?P<before>[PYMWD]?) *0*(?P<number>\d{1,4})(?:[.,]\d+)? *(?P<unit>[^\W\d_]*)\.?")
_YEARS_PER_UNIT = {
    **dict.fromkeys(("JOUR", "D", "T", "G"), 1 / 365),
    **dict.fromkeys(("SEM", "SETT", "W"), 1 / 52),
    **dict.fromkeys(("Y", "A", "J", "L", "R", "P", "\u6b73", "\u5c81"), 1.0),
    "M": 1 / 12,
}
"""How units of age begin, in the languages of headers, longer ones before shorter: years, ans, Jahre, lat, rok, sai."""


@dataclass
class Headers:
    """What many headers hold: frames; by study, the files that are no MR image and what they are; unreadable files."""

    frames: list[Frame] = field(default_factory=list)
    skipped: dict[str, list[tuple[Path, str]]] = field(default_factory=dict)
    broken: list[Path] = field(default_factory=list)


def read_headers(paths: Iterable[Path]) -> Headers:
    """Headers of all files; a damaged file is listed in ``broken`` and stops nothing."""
    headers, memory = Headers(), Memory()
    with quiet(), ImageFiles() as images:
        for path in paths:
            try:
                _add(headers, path, Header(read_dataset(path, images, _KEYWORDS), memory))
            except ReadError:
                LOG.debug("%s: left out", path, exc_info=True)
                headers.broken.append(path)
    return headers


def _add(headers: Headers, path: Path, header: Header) -> None:
    stated_uid = header.value("StudyInstanceUID")
    study_uid = _words(stated_uid) or str(path.parent)
    frames, problem = _frames(header, path, study_uid)
    headers.frames += frames
    if problem and not stated_uid:
        headers.broken.append(path)  # cut short within its header
    elif problem:
        headers.skipped.setdefault(study_uid, []).append((path, problem))


def _frames(header: Header, path: Path, study_uid: str) -> tuple[list[Frame], str]:
    """Frames of one file, or none and what the file is instead."""
    problem = _no_image(header)
    if problem:
        return [], problem
    count = header.count("PerFrameFunctionalGroupsSequence")
    stated = number(header.value("NumberOfFrames")) or 1
    if max(count, stated) > MAX_FRAMES:
        return [], f"multi-frame image of more than {MAX_FRAMES} frames"
    if stated > 1 and count < stated:
        return [], "multi-frame image without positions"
    found = [_frame(header, path, study_uid, index) for index in range(max(count, 1))]
    frames = [frame for frame in found if frame is not None]
    return frames, "" if len(frames) == len(found) else "image without position or orientation"


def _no_image(header: Header) -> str:
    """What the object is where it is not one grey-value MR image, else an empty string."""
    if _is_animal(header):
        return "image of an animal"
    modality = _words(header.value("Modality") or "MR").strip().upper()
    if _words(header.value("SOPClassUID")).startswith(_SECONDARY_CAPTURE):
        return "secondary capture"
    if modality != "MR":
        return _OBJECTS.get(modality, "object that is not MR")
    if not _pixels(header, "Rows") or not _pixels(header, "Columns"):
        return "object without an image"
    if _pixels(header, "Rows") * _pixels(header, "Columns") > MAX_FRAME_PIXELS:
        return "image of more pixels than MR images have"
    return "colour image" if (number(header.value("SamplesPerPixel")) or 1) != 1 else ""


def _is_animal(header: Header) -> bool:
    said = (_words(header.value(f"Patient{key}Description")).strip() for key in ("Species", "Breed"))
    return any(text and not _HUMAN.match(text) for text in said)


def _pixels(header: Header, keyword: str) -> int:
    """Number of rows or columns; 0 where none is stated."""
    count = number(header.value(keyword))
    return int(count) if count is not None and 1 <= count <= MAX_MATRIX else 0


def _frame(header: Header, path: Path, study_uid: str, index: int) -> Frame | None:
    described = layers(header, index)
    position = numbers(first_value(described, "ImagePositionPatient"))
    orientation = numbers(first_value(described, "ImageOrientationPatient"))
    if len(position) != 3 or max(map(abs, position)) > MAX_POSITION_MM or not _orthonormal(orientation):
        return None
    spacing = numbers(first_value(described, "PixelSpacing"))
    series_number, acquisition = int(number(header.value("SeriesNumber")) or 0), _acquisition(described)
    return Frame(
        path=path,
        index=index,
        uid=_words(header.value("SOPInstanceUID") or str(path)),
        study_uid=study_uid,
        series_uid=_words(
            header.value("SeriesInstanceUID") or f"{path.parent} {series_number} {acquisition.description}"
        ),
        series_number=series_number,
        rows=_pixels(header, "Rows"),
        columns=_pixels(header, "Columns"),
        position_mm=(position[0], position[1], position[2]),
        orientation=orientation,
        spacing_mm=(spacing[0], spacing[1]) if len(spacing) == 2 and min(spacing) > 0 else None,
        gap_mm=_positive(described, "SpacingBetweenSlices", "SliceThickness"),
        acquisition=acquisition,
        tags=_tags(described),
        frame_of_reference=_words(first_value(described, "FrameOfReferenceUID")),
        sop_class_uid=_words(header.value("SOPClassUID")),
        person=_person(header),
        age_years=_age_years(header),
        image_number=_image_number(header),
        stated_count=_stated_count(header),
    )


def _image_number(header: Header) -> int | None:
    stated = number(header.value("InstanceNumber"))
    return int(stated) if stated is not None and not header.count("PerFrameFunctionalGroupsSequence") else None


def _stated_count(header: Header) -> int | None:
    """Images of the series, where they are files of one frame each and their number is stated."""
    stated = number(header.value("NumberOfSeriesRelatedInstances"))
    return int(stated) if stated is not None and not header.count("PerFrameFunctionalGroupsSequence") else None


def _person(header: Header) -> Person:
    told = {key: _words(header.value(key)).strip() for key in PERSON_DETAILS}
    return Person(
        id=_words(header.value("PatientID")).strip(),
        name=_words(header.value("PatientName")),
        birth_date=_words(header.value("PatientBirthDate")).strip(),
        sex=_words(header.value("PatientSex")).strip(),
        study_date=_words(header.value("StudyDate")).strip(),
        details=tuple(told.values()),
    )


def _orthonormal(orientation: tuple[float, ...]) -> bool:
    if len(orientation) != 6:
        return False
    row, column = orientation[:3], orientation[3:]
    return abs(_dot(row, row) - 1) <= TILT and abs(_dot(column, column) - 1) <= TILT and abs(_dot(row, column)) <= TILT


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def _positive(described: Sequence[Header], *keywords: str) -> float | None:
    for keyword in keywords:
        value = number(first_value(described, keyword))
        if value is not None and value > 0:
            return value
    return None


def _acquisition(described: Sequence[Header]) -> Acquisition:
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
        contrast_agent=_is_enhanced(described),
        field_t=_positive(described, "MagneticFieldStrength"),
        burnt_in=_words(first_value(described, "BurnedInAnnotation")).strip().upper() == "YES",
        echo_train=int(echoes) if echoes else None,
        fat_suppressed="FAT" in _words(first_value(described, "SpectrallySelectedSuppression")).upper().split("_"),
    )


def _is_enhanced(described: Sequence[Header]) -> bool:
    """Whether a contrast agent, its route or amount is stated; a word that none was given outweighs the others."""
    told = [_words(first_value(described, f"ContrastBolus{key}")) for key in ("Agent", "Ingredient", "Route")]
    if any(re.search(r"\w", text) and names_no_agent(text) for text in told):
        return False
    given = any(not names_no_agent(text) for text in told)
    amounts = [number(first_value(described, f"ContrastBolus{key}")) for key in ("Volume", "TotalDose")]
    in_sequence = any(header.count("ContrastBolusAgentSequence") for header in described)
    return given or in_sequence or any(amount is not None and amount > 0 for amount in amounts)


def _age_years(header: Header) -> float | None:
    """Age at the examination as stated, however it is spelled (``014Y``, ``14 y``, ``006M``, ``14``), or by the dates
    of birth and study where these say less; None where nothing does."""
    told = _stated_years(_words(header.value("PatientAge")))
    birth, study = (_date(_words(header.value(key))) for key in ("PatientBirthDate", "StudyDate"))
    if birth and study:
        years = int(study[:4]) - int(birth[:4]) - int(study[4:] < birth[4:] if len(birth) == 8 else 0)
        told += [float(years)] if 0 <= years <= 120 else []
    return min((age for age in told if age <= 120), default=None)


def _stated_years(text: str) -> list[float]:
    """An age in years where the text is one.

    >>> [_stated_years(text) for text in ("014Y", "P014Y", "14,5 ans", "14\u6b73", "6 Monate", "adult")]
    [[14.0], [14.0], [14.0], [14.0], [0.5], []]
    """
    stated = _AGE.fullmatch(text.strip().upper())
    if stated is None:
        return []
    unit = stated["unit"] or stated["before"] or "Y"
    years = next((years for begins, years in _YEARS_PER_UNIT.items() if unit.startswith(begins)), None)
    return [] if years is None else [float(stated["number"]) * years]


def _date(text: str) -> str:
    """Digits of a date, of a year alone where no more is told, "" where it is none.

    >>> _date("1990-01-31"), _date("1990"), _date("unknown"), _date("00000000")
    ('19900131', '1990', '', '')
    """
    digits = re.sub(r"[-./ ]", "", text)
    return digits if _is_number(digits) and len(digits) in (4, 8) and "1850" < digits[:4] < "2200" else ""


def _tags(described: Sequence[Header]) -> tuple[str, ...]:
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


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _words(value: Value | None) -> str:
    if value is None:
        return ""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
