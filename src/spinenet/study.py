"""The records that pass from stage to stage. All frozen; a stage returns new ones.

World coordinates are the patient's LPS in mm as in DICOM (x to the left, y to the back, z to the head). A series holds
its voxels in one canonical order whatever the file said, so that no later stage has to ask:

- sagittal: slice index grows to the patient's left, row index downwards (inferior), column index backwards (posterior);
- axial: slice index grows upwards (superior), row index backwards (posterior), column index to the patient's left;
- coronal: slice index grows backwards, row index downwards, column index to the patient's left.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spinenet import geometry
from spinenet.labels import LEVELS, Target, View, is_experimental


class Basis(StrEnum):
    """What a series' view was decided by; UNDECIDED where nothing told its weighting, EXCLUDED where it has no use."""

    USER = "user"
    PHYSICS = "physics"
    NAME = "name"
    IMAGE = "image"
    UNDECIDED = "undecided"
    EXCLUDED = "excluded"


@dataclass(frozen=True)
class SourceImages:
    """The DICOM images a series was read from, for results that refer to them.

    ``instances`` holds for each slice in canonical order (SOP Instance UID, number of the frame counted from 1), None
    for a slice that was interpolated; ``positions_mm`` the place of its first pixel and ``orientation`` the cosines of
    rows and columns as the files have them (LPS), whose pixels are in no canonical order.
    """

    series_uid: str
    sop_class_uid: str
    instances: tuple[tuple[str, int] | None, ...]
    positions_mm: tuple[tuple[float, float, float] | None, ...] = ()
    orientation: tuple[float, ...] = ()


@dataclass(frozen=True)
class Origin:
    """The DICOM study a study was read from. What identifies the patient is kept out of every output by default;
    ``elements`` are keywords and values of birth date, sex and study."""

    study_uid: str
    patient_name: str = field(default="", repr=False)
    patient_id: str = field(default="", repr=False)
    elements: tuple[tuple[str, str], ...] = field(default=(), repr=False)


class Scope(StrEnum):
    """What a note speaks of."""

    STUDY = "study"
    SERIES = "series"
    LEVEL = "level"


class Severity(StrEnum):
    """What follows from a note: nothing, caution with the grades it covers, or no grade at all."""

    NOTE = "note"
    FLAG = "flag"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Note:
    """One thing to know about a study: ``code`` for programs, ``text`` for people and never identifying. ``subject``
    names the series or level that ``scope`` speaks of; empty for the whole study."""

    code: str
    scope: Scope
    subject: str
    text: str
    severity: Severity = Severity.NOTE

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}" if self.subject else self.text


@dataclass(frozen=True)
class Series:
    """One stack of parallel slices.

    ``voxels_SRC`` is (slices, rows, columns), float32, finite, in canonical order; ``affine_vox2mm`` (4, 4) takes
    (slice, row, column, 1) to LPS mm. ``view`` is None where plane or weighting could not be decided or are not used;
    ``basis`` and in words ``reason`` say why it is what it is. ``laterality_known`` is false where the source does not
    say which side is left, ``original`` where the images were computed from others (a reformatted series). Series with
    different ``frame_of_reference`` do not share world coordinates; "" is not known, taken as shared. ``images`` is
    None where the source is not DICOM. ``remarks`` are of its reading."""

    name: str
    voxels_SRC: NDArray[np.float32]
    affine_vox2mm: NDArray[np.float64]
    plane: str
    view: View | None
    reason: str = ""
    laterality_known: bool = True
    frame_of_reference: str = ""
    images: SourceImages | None = None
    basis: Basis = Basis.PHYSICS
    original: bool = True
    remarks: tuple[str, ...] = ()

    @cached_property
    def spacing_mm(self) -> NDArray[np.float64]:
        """Distance between slices, rows and columns, (3,) in mm."""
        return geometry.spacing_mm(self.affine_vox2mm)

    @cached_property
    def mm2vox(self) -> NDArray[np.float64]:
        """(4, 4) from LPS mm (x, y, z, 1) to (slice, row, column, 1)."""
        return np.asarray(np.linalg.inv(self.affine_vox2mm), np.float64)

    def to_mm(self, points_vox: NDArray[np.floating]) -> NDArray[np.float64]:
        """Voxel positions (..., 3) as (slice, row, column) to the patient's LPS mm (..., 3)."""
        return points_vox @ self.affine_vox2mm[:3, :3].T + self.affine_vox2mm[:3, 3]

    def to_vox(self, points_mm: NDArray[np.floating]) -> NDArray[np.float64]:
        """Positions in LPS mm (..., 3) to (slice, row, column) (..., 3), not rounded, inside the image or not."""
        return points_mm @ self.mm2vox[:3, :3].T + self.mm2vox[:3, 3]


@dataclass(frozen=True)
class Study:
    """All readable series of one examination. ``key`` names it in outputs and must not identify the patient."""

    key: str
    series: tuple[Series, ...]
    notes: tuple[Note, ...] = ()
    """What a user should know about the reading: skipped files, gaps, assumptions."""
    origin: Origin | None = None
    """None where the source is not DICOM."""
    age_years: float | None = None
    """Age at the examination where the source says it. Used to warn, never shown."""
    level_names: tuple[str, ...] = ()
    """Names of the discs from the lowest one up that a reader gave; one is the lowest's. Empty: counted."""


@dataclass(frozen=True)
class LevelFrame:
    """Where one disc lies, as seen in one sagittal series; in world coordinates, so that an axial series can use it.

    ``center_mm`` (3,) in the midline, ``posterior`` and ``superior`` unit vectors (3,) in LPS: the disc's long axis in
    the sagittal plane, pointing backwards, and its normal in that plane, pointing to the head. ``depth_mm`` is the
    disc's length along the long axis, ``height_mm`` its mean thickness (area / depth), ``confidence`` the mean disc
    probability. ``canal_mm`` is the depth of the canal behind the disc, ``slip_mm`` how far the body above lies in
    front of the body below, both along the long axis; None where it was not measured.
    """

    level: str
    center_mm: NDArray[np.float64]
    posterior: NDArray[np.float64]
    superior: NDArray[np.float64]
    depth_mm: float
    height_mm: float
    confidence: float = 1.0
    canal_mm: float | None = None
    slip_mm: float | None = None


@dataclass(frozen=True)
class LocatedSeries:
    """A series with its levels in world coordinates: sagittal as the locator found them, or axial.

    ``midline_slice`` is the slice the levels were found in (axial: the middle one, of no meaning). ``reference`` holds
    grey values of this series (``locating.discs.REFERENCE_NAMES``), measured under the locator's masks or, in axial
    slices, where the sagittal levels say that disc and canal are: the scale that makes series comparable.
    """

    series: Series
    frames: tuple[LevelFrame, ...]
    midline_slice: int
    reference: NDArray[np.float32]
    notes: tuple[Note, ...] = ()
    certainty: float = 1.0
    """How surely the lowest disc was recognised in it, 0 to 1; it decides the names of all levels."""


@dataclass(frozen=True)
class MeasuredSeries:
    """A sagittal series and what was measured at its levels (``locating.measuring``): level -> name -> value, lengths
    in mm, angles in degrees, signals as shares; NaN where it could not be measured.

    ``outlines`` is level -> (C, H, W) probabilities (0 to 255) of ``measuring.fine_crops`` in the midline slice."""

    series_name: str
    view: View
    levels: dict[str, dict[str, float]]
    outlines: dict[str, NDArray[np.uint8]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class StudyLevels:
    """A study whose series have their views, and its levels: sagittal series first, then axial ones.

    ``series`` is empty where no level can be named, and ``notes`` refuse the study with the reasons; else they say what
    could not be used as it was.
    """

    study: Study
    series: tuple[LocatedSeries, ...]
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class StudyCheck:
    """What of a located study may be graded, none where ``series`` is empty, and every flag, the gravest first.

    Grades at ``cautioned`` levels are not to be stood by, nor those that were read from axial slices at
    ``cautioned_axial`` ones.
    """

    located: StudyLevels
    series: tuple[LocatedSeries, ...]
    flags: tuple[Note, ...] = ()
    cautioned: frozenset[str] = frozenset()
    cautioned_axial: frozenset[str] = frozenset()

    def doubts(self, level: str, target: Target, views: Collection[View]) -> bool:
        """Whether a target's grade at a level that was read from these views is not to be stood by."""
        if target.sure_with and not any(one.series.view in target.sure_with for one in self.series):
            return True
        return level in self.cautioned or (View.AXIAL_T2 in views and level in self.cautioned_axial)

    @property
    def refusal(self) -> str:
        """What was refused, in words."""
        return sentence(flag for flag in self.flags if flag.severity is Severity.REFUSE)


@dataclass(frozen=True)
class Reason:
    """One measurement in words, and how much it raised the log-odds of a finding against that level's typical disc."""

    measurement: str
    change: float


@dataclass(frozen=True)
class Prediction:
    """One grade: ``probabilities`` over the target's grades, ``grade`` a published value of its scale."""

    level: str
    target: str
    grade: int
    probabilities: tuple[float, ...]
    confident: bool
    evidence: str = "real"
    """What the target's grades were learnt from: ``real`` patients or ``synthetic`` studies alone; ``reader`` for one
    that a reader gave, ``approved`` for the model's that one approved."""
    grade_set: tuple[int, ...] = ()
    """Published grades that hold the true one with the coverage the bundle states; empty where it states none."""
    reasons: tuple[Reason, ...] = ()
    """The measurements that moved the grade most, the strongest first; empty where it was not read from any."""

    @property
    def experimental(self) -> bool:
        """``is_experimental`` of what it was learnt from."""
        return is_experimental(self.evidence)


@dataclass(frozen=True)
class Measurement:
    """One number measured at a level (``locating.measuring.quantities`` has the names), in ``unit`` (UCUM).

    95 of 100 are off by ``error_95`` at most; ``percentile``: among patients learnt from (0: below the 5th, 100: above
    the 95th); ``series`` was outlined, "": the locator's mean; ``outline_mm``, LPS, in axial slice ``slice_index``."""

    level: str
    name: str
    value: float
    unit: str
    error_95: float | None = None
    percentile: int | None = None
    series: str = ""
    slice_index: int | None = None
    outline_mm: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Level:
    """One level of a result: where it lies, as ``series`` shows it, and what was measured.

    ``center_mm`` (3,) is LPS, in the midline of the disc; ``posterior`` and ``superior`` as in a LevelFrame.
    ``measurements`` is name -> value in the unit that ends its name, ``errors_95`` name -> how far it may be off, for
    what could be measured.
    """

    name: str
    series: str
    center_mm: NDArray[np.float64]
    posterior: NDArray[np.float64]
    superior: NDArray[np.float64]
    measurements: dict[str, float]
    errors_95: dict[str, float]


@dataclass(frozen=True)
class StudyResult:
    """Everything known about one study after prediction; what tables and reports are made of."""

    key: str
    status: str
    """``ok``, ``partial`` (some level or series could not be used, see notes and flags) or ``failed``."""
    seconds: float
    notes: tuple[Note, ...] = ()
    """What reading and locating have to say of it; what is said of one located series stands there."""
    flags: tuple[Note, ...] = ()
    """What was refused and what calls for caution, with reasons: the gates of ``spinenet.checking.gates``, or why the
    study has no levels or could not be read."""
    located: tuple[LocatedSeries, ...] = ()
    predictions: tuple[Prediction, ...] = ()
    crops: dict[str, tuple["LevelCrop", ...]] = field(default_factory=dict)
    """level -> the crops the grader saw at it."""
    measured: tuple[MeasuredSeries, ...] = ()
    """All that was measured in outlines, T2 series first; empty where the bundle cannot outline."""
    measurements: tuple[Measurement, ...] = ()
    """What is reported of it, and of what the locator measured: by level, from the sacrum up."""
    origin: Origin | None = None
    """Where the study came from, for outputs that go back there; None where that is not DICOM."""
    experimental: bool = False
    """Whether experimental grades were asked for in what others take for findings."""

    @property
    def reported(self) -> tuple[Prediction, ...]:
        """What goes into a structured report and an impression: without experimental grades unless asked for."""
        return tuple(one for one in self.predictions if self.experimental or not one.experimental)

    @property
    def graded_levels(self) -> tuple[str, ...]:
        """Names of the graded levels, from the sacrum up."""
        return tuple(dict.fromkeys(prediction.level for prediction in self.predictions))

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels that were found, graded or not, from the sacrum up."""
        seen: dict[str, list[tuple[Series, LevelFrame]]] = {}
        for located in self.located:
            for frame in located.frames:
                seen.setdefault(frame.level, []).append((located.series, frame))
        return tuple(_level(name, seen[name], self.measurements) for name in sorted(seen, key=LEVELS.index))

    @property
    def message(self) -> str:
        """What there is to know in one line, the gravest first; of a failed study why it has no grade."""
        if self.status == "failed":
            return sentence([*(flag for flag in self.flags if flag.severity is Severity.REFUSE), *self.notes])
        grave = [note for note in (*self.notes, *self.flags) if note.severity is not Severity.NOTE]
        plain = [note for note in self.notes if note.severity is Severity.NOTE]
        return sentence([*grave, *plain, *(note for one in self.located for note in one.notes)])


def _level(name: str, seen: Sequence[tuple[Series, LevelFrame]], measurements: Sequence[Measurement]) -> Level:
    """A level as the sagittal series has it that shows the disc most surely, or another where none is left."""
    sagittal = [(series, frame) for series, frame in seen if series.plane == "sagittal"]
    series, frame = max(sagittal or seen, key=lambda one: one[1].confidence)
    here = [one for one in measurements if one.level == name]
    return Level(
        name,
        series.name,
        frame.center_mm,
        frame.posterior,
        frame.superior,
        {one.name: one.value for one in here},
        {one.name: one.error_95 for one in here if one.error_95 is not None},
    )


def sentence(notes: Iterable[Note]) -> str:
    """Notes as one line of text, each said once."""
    return "; ".join(dict.fromkeys(map(str, notes)))


@dataclass(frozen=True)
class LevelCrop:
    """One slice resampled into a level's frame, ``pixels_HW`` in the series' grey values.

    Sagittal: rows downwards, columns backwards, ``offset_mm`` of the slice from the midline, left positive (0 where
    laterality is unknown and single). Axial: rows backwards, columns to the left, ``offset_mm`` above the disc.
    """

    series_name: str
    view: View
    slice_index: int
    offset_mm: float
    pixels_HW: NDArray[np.float32]
    attention_T: tuple[float, ...] = ()
    """How much each target looked at this slice: shares that sum to 1 over the slices of a level; empty if unknown."""
