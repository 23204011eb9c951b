"""What the readers know before they read pixels: where a study lies and how its images were acquired."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from spinenet.labels import View
from spinenet.study import Note

LOST = frozenset(
    {"unreadable", "not_dicom", "no_spacing", "one_place", "slices_left_out", "interpolated"}
    | {"images_missing", "broken_off"}
)
"""Codes of notes that images of a study are missing or could not be used."""


@dataclass(frozen=True)
class Acquisition:
    """What a file says about the making of its image. Times in ms, None where it does not say.

    ``sequence`` joins the codes of scanning sequence, variant, options and sequence name; ``description`` is free text
    (series description, protocol or file name) and may identify a patient: it is looked at, never shown. ``burnt_in``
    says that text is part of the picture, ``wanted`` is the view a user has named for the series.
    """

    tr_ms: float | None = None
    te_ms: float | None = None
    ti_ms: float | None = None
    sequence: str = ""
    image_type: str = ""
    description: str = ""
    body_part: str = ""
    contrast_agent: bool = False
    field_t: float | None = None
    echo_train: int | None = None
    fat_suppressed: bool = False
    burnt_in: bool = False
    wanted: View | None = None


@dataclass(frozen=True)
class VolumeFile:
    """One NIfTI or MHA file of a study, the name of its series there, and the view a user has named for it.

    ``pixel_mm`` is the pixel size that a data set tells of a picture without a header (``readers.plain_images``).
    """

    path: Path
    name: str
    wanted: View | None = None
    pixel_mm: float | None = None


@dataclass(frozen=True)
class Person:
    """Who was examined and when, as the header says it; never shown unless asked for.

    ``details`` tell patients apart where nothing better does: age, size, weight, time and number of the study.
    """

    id: str = ""
    name: str = ""
    birth_date: str = ""
    sex: str = ""
    study_date: str = ""
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Frame:
    """One slice in a DICOM file, from its header.

    ``position_mm`` (of the first pixel's centre), ``orientation`` (directions of a row, then of a column) and
    ``spacing_mm`` (between rows, between columns; None where the header lacks it) are DICOM's, in LPS. ``index`` is the
    frame in a multi-frame file, else 0; ``gap_mm`` the stated distance between slices, or their thickness. ``tags``
    are values that may tell overlapping stacks apart, in the order to be tried. ``frame_of_reference`` names the
    coordinate system, "" where the header does not. ``person`` keeps patients apart whose studies share a UID.
    ``image_number`` is the one that viewers show, None where a file holds many frames or its header has none;
    ``stated_count`` the images that its series is said to have.
    """

    path: Path
    index: int
    uid: str
    study_uid: str
    series_uid: str
    series_number: int
    rows: int
    columns: int
    position_mm: tuple[float, float, float]
    orientation: tuple[float, ...]
    spacing_mm: tuple[float, float] | None
    gap_mm: float | None = None
    acquisition: Acquisition = field(default_factory=Acquisition)
    tags: tuple[str, ...] = ()
    frame_of_reference: str = ""
    sop_class_uid: str = ""
    person: Person = field(default_factory=Person)
    age_years: float | None = None
    image_number: int | None = None
    stated_count: int | None = None


class Format(StrEnum):
    """What the files of a study are."""

    DICOM = "DICOM"
    MHA = "MHA"
    NIFTI = "NIfTI"
    PNG = "PNG"
    ZIP = "zip"


@dataclass(frozen=True)
class StudySource:
    """A study found on disk, pixels not yet read.

    ``key`` names it in outputs and does not identify the patient; where it is no file's name, it is made from
    ``identity``, which may identify. ``location`` is for the user's own screen: it may
    hold names and never goes into a result. ``problem`` is the reason where nothing of it can be read. ``folders`` are
    DICOM series that were not looked into yet, each with words that a data set has for it.
    """

    key: str
    location: Path
    formats: tuple[Format, ...] = ()
    volumes: tuple[VolumeFile, ...] = ()
    frames: tuple[Frame, ...] = ()
    notes: tuple[Note, ...] = ()
    problem: str = ""
    folders: tuple[tuple[Path, str], ...] = ()
    identity: str = ""
    wanted: tuple[tuple[View, str], ...] = ()
    """Views that a user has named for series which its headers do not name so."""
    level_names: tuple[str, ...] = ()
    """Names of its discs, from the lowest one up, that a reader gave beforehand (``Study.level_names``)."""
