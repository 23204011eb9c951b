"""The label space: levels, and one entry for each target that says all there is to know of it.

Everything else indexes what is written here: heads of networks, tables, schema, pages, structured reports and the
columns of data sets. To add a target is to add its entry to TARGETS.

Levels are named from the sacrum up, so index 0 is L5/S1 and SPIDER's ``IVD label`` n is index n - 1. The names are a
count from the lowest disc: a transitional vertebra shifts them all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

from spinenet.regions import LUMBAR

UNKNOWN = -1
"""Grade index of a target nobody has labelled. Never the same as "absent"."""

LEVELS = LUMBAR.levels

STENOSIS_LEVELS = LEVELS[: LUMBAR.usual]
"""L5/S1 to L1/L2: where stenosis is graded, as in RSNA 2024."""

RESEARCH_ONLY = "Research use only. Not a medical device; not for diagnosis or treatment decisions."
EXPERIMENTAL = "experimental: learnt from synthetic studies, not verified on patients"
"""What is said wherever a grade of that kind is shown."""


def is_experimental(evidence: str) -> bool:
    """Whether no patient has shown that grades learnt from this are right: they are shown apart, never confident, and
    belong into no finding, impression or order of reading."""
    return evidence == "synthetic"


class Scale(StrEnum):
    """How the grades of a target relate to each other."""

    BINARY = "binary"
    ORDINAL = "ordinal"
    NOMINAL = "nominal"


class View(StrEnum):
    """What a series shows: its plane and weighting."""

    SAGITTAL_T1 = "sagittal_t1"
    SAGITTAL_T2 = "sagittal_t2"
    SAGITTAL_STIR = "sagittal_stir"
    AXIAL_T2 = "axial_t2"

    @property
    def words(self) -> str:
        """For people.

        >>> View.SAGITTAL_STIR.words
        'sagittal STIR'
        """
        plane, weighting = self.value.split("_")
        return f"{plane} {weighting.upper()}"


VIEWS = tuple(View)
SAGITTAL_VIEWS = (View.SAGITTAL_T1, View.SAGITTAL_T2, View.SAGITTAL_STIR)
"""Views in which levels are found."""


class Side(StrEnum):
    """The patient's side."""

    LEFT = "left"
    RIGHT = "right"

    @property
    def other(self) -> "Side":
        """The side it has in the mirrored study."""
        return Side.RIGHT if self is Side.LEFT else Side.LEFT


class Unit(StrEnum):
    """What a target is graded of at a level: its disc with all that lies beside it, or the vertebra above the disc."""

    DISC = "disc"
    VERTEBRA = "vertebra"


class Heading(StrEnum):
    """The table of a page that a target stands in, in the page's order."""

    DISC = "Disc, endplates and alignment"
    CANAL = "Canal, foramina and subarticular zones"


class Code(NamedTuple):
    """A coded word: value, coding scheme, meaning."""

    value: str
    scheme: str
    meaning: str


PRIVATE_SCHEME = "99SPINENET"


def private(value: str, meaning: str) -> Code:
    """A code of our own scheme, for what no published one says."""
    return Code(value, PRIVATE_SCHEME, meaning)


@dataclass(frozen=True)
class Need:
    """What together shows a target: a series of each of ``views``.

    ``lateral``: sagittal slices beside the midline on the target's side, axial ones that reach to where it lies there.
    """

    views: tuple[View, ...]
    lateral: bool = False


def any_of(*views: View, lateral: bool = False) -> tuple[Need, ...]:
    """The needs of a target that one series of any of these views shows."""
    return tuple(Need((view,), lateral) for view in views)


@dataclass(frozen=True)
class Grade:
    """One grade of a scale: its published value, its words in a table, and how a structured report codes it.

    ``short`` are its words where a heading says the target, ``phrase`` those that need no title; empty: as in a table,
    and the title before it. ``urgency`` indexes ``report.findings.URGENCIES``.
    """

    value: int
    words: str
    code: Code
    short: str = ""
    phrase: str = ""
    urgency: int = 0


@dataclass(frozen=True)
class Target:
    """One thing that is graded at a level.

    ``condition`` is what the left and the right of it share, and its name where it has no side. ``term`` is what it is
    called within a sentence; ``exactly`` the same where the level is known, by its vertebrae ``{upper}`` and
    ``{lower}``, "" where that says no more. ``steps`` are the grades of its scale in order; arrays hold their index, or
    UNKNOWN. Of ``needs`` one must be met; a side is graded only where left and right are known. From index
    ``finding_from`` on a grade is a finding, from ``severe_from`` on a severe one. ``looks_for`` is the entry of
    RADIOLOGISTS_LOOK_FOR that it answers, ``labelled_by`` data set -> column. Without ``sure_with`` none is stood by.
    """

    condition: str
    term: str
    scale: Scale
    steps: tuple[Grade, ...]
    needs: tuple[Need, ...] = field(kw_only=True)
    heading: Heading = field(default=Heading.DISC, kw_only=True)
    side: Side | None = field(default=None, kw_only=True)
    unit: Unit = field(default=Unit.DISC, kw_only=True)
    levels: tuple[str, ...] = field(default=LEVELS, kw_only=True)
    finding_from: int = field(default=1, kw_only=True)
    severe_from: int | None = field(default=None, kw_only=True)
    looks_for: str = field(default="", kw_only=True)
    exactly: str = field(default="", kw_only=True)
    code: Code | None = field(default=None, kw_only=True)
    labelled_by: Mapping[str, str] = field(default_factory=dict, kw_only=True, hash=False)
    sure_with: tuple[View, ...] = field(default=(), kw_only=True)

    @cached_property
    def name(self) -> str:
        """What it is called in every file."""
        return f"{self.condition}_{self.side}" if self.side else self.condition

    @cached_property
    def running(self) -> str:
        """Its title within a sentence.

        >>> TARGET["bulging"].running, TARGET["modic"].running, TARGETS[-1].running
        ('disc bulging', 'Modic change', 'right subarticular stenosis')
        """
        return f"{self.side} {self.term}" if self.side else self.term

    def at(self, level: str) -> str:
        """Its title within a sentence that names this level.

        >>> TARGET["endplate_upper"].at("L4/L5"), TARGET["bulging"].at("L4/L5")
        ('abnormality of the inferior end-plate of L4', 'disc bulging')
        """
        upper, lower = level.split("/")
        return self.exactly.format(upper=upper, lower=lower) or self.running

    @cached_property
    def title(self) -> str:
        """Its title where it stands alone."""
        return self.running[:1].upper() + self.running[1:]

    @cached_property
    def grades(self) -> tuple[int, ...]:
        """The published values (Pfirrmann 1 to 5)."""
        return tuple(step.value for step in self.steps)

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The grades in words."""
        return tuple(step.words for step in self.steps)

    def index_of(self, grade: int) -> int:
        """Index of a published grade; raises ValueError if the scale does not have it.

        >>> TARGET["pfirrmann"].index_of(5)
        4
        """
        if grade not in self.grades:
            raise ValueError(f"{self.name}: grade {grade} is not one of {self.grades}")
        return self.grades.index(grade)

    def step(self, grade: int) -> Grade:
        """All about a published grade."""
        return self.steps[self.index_of(grade)]


def presence(*, urgency: int = 0) -> tuple[Grade, ...]:
    """The steps of what is there or not."""
    return (
        Grade(0, "absent", Code("272519000", "SCT", "Absent")),
        Grade(1, "present", Code("52101004", "SCT", "Present"), urgency=urgency),
    )


def _severity(moderate: int, severe: int) -> tuple[Grade, ...]:
    """The steps of a stenosis as RSNA 2024 grades it, with the urgency of moderate and severe."""
    return (
        Grade(0, "normal or mild", private("normal_or_mild", "normal or mild")),
        Grade(1, "moderate", Code("6736007", "SCT", "Moderate"), urgency=moderate),
        Grade(2, "severe", Code("24484000", "SCT", "Severe"), urgency=severe),
    )


def _numeral(grade: int, numeral: str) -> Grade:
    words = f"grade {numeral}"
    return Grade(grade, words, private(f"pfirrmann_{grade}", words), numeral, f"Pfirrmann {words}")


def _type(number: int, words: str, short: str) -> Grade:
    return Grade(number, words, private(f"modic_{number}", words), short, words)


def _binary(condition: str, term: str, column: str, urgency: int = 0, **others: Any) -> Target:
    """What is seen in any sagittal series and labelled as there or not by SPIDER, in this column."""
    steps, needs = presence(urgency=urgency), any_of(*SAGITTAL_VIEWS)
    return Target(condition, term, Scale.BINARY, steps, needs=needs, labelled_by={"spider": column}, **others)


def _stenosis(
    condition: str,
    term: str,
    column: str,
    needs: tuple[Need, ...],
    code: Code,
    side: Side | None = None,
    urgency: tuple[int, int] = (1, 2),
) -> Target:
    """What narrows, as RSNA 2024 grades it in this column."""
    return Target(
        condition,
        term,
        Scale.ORDINAL,
        _severity(*urgency),
        needs=needs,
        heading=Heading.CANAL,
        side=side,
        levels=STENOSIS_LEVELS,
        severe_from=2,
        code=code,
        labelled_by={"rsna2024": column},
    )


_FORAMEN = private("foraminal", "Foraminal stenosis")
_RECESS = private("subarticular", "Subarticular stenosis")

TARGETS = (
    Target(
        "pfirrmann",
        "Pfirrmann degeneration",
        Scale.ORDINAL,
        (_numeral(1, "I"), _numeral(2, "II"), _numeral(3, "III"), _numeral(4, "IV"), _numeral(5, "V")),
        # The grades are defined by the disc's signal in sagittal T2 (Pfirrmann et al., Spine 2001;26:1873). In STIR T1
        # adds to that signal, and no study was found that grades there, so STIR does not do.
        needs=any_of(View.SAGITTAL_T2),
        finding_from=2,
        severe_from=3,
        code=Code("77547008", "SCT", "Degeneration of intervertebral disc"),
        labelled_by={"spider": "Pfirrman grade", "sudirman": "pfirrmann"},
    ),
    Target(
        "modic",
        "Modic change",
        Scale.NOMINAL,
        (
            _type(0, "no Modic change", "none"),
            _type(1, "Modic type 1", "type 1"),
            _type(2, "Modic type 2", "type 2"),
            _type(3, "Modic type 3", "type 3"),
        ),
        # A type is a pair of signals in T1 and T2 (Modic et al., Radiology 1988;166:193). Fat-suppressed series show
        # more of type 1 than T2 does: 156 segments against 93 (Finkenstaedt et al., Rofo 2018;190:152).
        needs=(Need((View.SAGITTAL_T1, View.SAGITTAL_T2)), Need((View.SAGITTAL_T1, View.SAGITTAL_STIR))),
        labelled_by={"spider": "Modic"},
    ),
    _binary(
        "herniation",
        "disc herniation",
        "Disc herniation",
        urgency=1,
        code=Code("73589001", "SCT", "Herniation of intervertebral disc"),
        sure_with=(View.SAGITTAL_T2,),
    ),
    _binary("bulging", "disc bulging", "Disc bulging"),
    _binary("narrowing", "disc narrowing", "Disc narrowing"),
    _binary(
        "spondylolisthesis",
        "spondylolisthesis",
        "Spondylolisthesis",
        urgency=2,
        code=Code("274152003", "SCT", "Spondylolisthesis"),
        sure_with=(View.SAGITTAL_T2,),
    ),
    *(
        # A disc's upper end-plate is the lower one of the vertebra above it: of the disc alone, "upper" tells nothing.
        _binary(
            f"endplate_{one}", f"end-plate change {side} the disc", text, exactly=f"abnormality of {plate} of {{{one}}}"
        )
        for one, side, text, plate in (
            ("upper", "above", "UP endplate", "the inferior end-plate"),
            ("lower", "below", "LOW endplate", "the superior end-plate"),
        )
    ),
    _stenosis(
        "canal_stenosis",
        "spinal canal stenosis",
        "spinal_canal_stenosis",
        any_of(View.SAGITTAL_T2, View.SAGITTAL_STIR, View.AXIAL_T2),
        Code("76107001", "SCT", "Spinal stenosis"),
        urgency=(2, 3),
    ),
    *(
        _stenosis(
            "foraminal_stenosis",
            "foraminal stenosis",
            f"{side}_neural_foraminal_narrowing",
            any_of(*SAGITTAL_VIEWS, lateral=True),
            _FORAMEN,
            side,
        )
        for side in Side
    ),
    *(
        _stenosis(
            "subarticular_stenosis",
            "subarticular stenosis",
            f"{side}_subarticular_stenosis",
            any_of(View.AXIAL_T2, lateral=True),
            _RECESS,
            side,
        )
        for side in Side
    ),
)
TARGET = {target.name: target for target in TARGETS}
TARGET_INDEX = {target.name: index for index, target in enumerate(TARGETS)}
MAX_GRADES = max(len(target.grades) for target in TARGETS)

_PLACE = {(target.condition, target.side): index for index, target in enumerate(TARGETS)}
MIRROR = tuple(_PLACE[target.condition, target.side.other if target.side else None] for target in TARGETS)
"""``grades_T[list(MIRROR)]`` are the grades of the study mirrored left to right."""

RADIOLOGISTS_LOOK_FOR = (
    *("fracture", "sacrum and sacroiliac joints", "pars defects", "tumour and metastasis", "infection"),
    *("inflammatory disease", "cord signal, conus and cauda equina", "nerve roots", "facet joints", "cysts"),
    *("paraspinal muscles", "scoliosis", "changes after surgery", "organs and vessels outside the spine"),
)
"""What a radiologist looks for in the same images besides what is graded here."""
NEVER_LOOKED_FOR = tuple(one for one in RADIOLOGISTS_LOOK_FOR if one not in {target.looks_for for target in TARGETS})
"""Those of RADIOLOGISTS_LOOK_FOR that no target answers."""


def columns_of(data_set: str) -> dict[str, str]:
    """Column of a data set's table -> name of the target it grades, in the order of the label space.

    >>> columns_of("spider")["UP endplate"]
    'endplate_upper'
    """
    return {target.labelled_by[data_set]: target.name for target in TARGETS if data_set in target.labelled_by}
