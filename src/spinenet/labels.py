"""The label space: levels, targets, their scales and words. Everything else indexes what is written here.

Levels are named from the sacrum up, so index 0 is L5/S1 and SPIDER's ``IVD label`` n is index n - 1. The names are a
count from the lowest disc: a transitional vertebra shifts them all.
"""

from dataclasses import dataclass
from enum import StrEnum

UNKNOWN = -1
"""Grade index of a target nobody has labelled. Never the same as "absent"."""

LEVELS = ("L5/S1", "L4/L5", "L3/L4", "L2/L3", "L1/L2", "T12/L1", "T11/T12", "T10/T11", "T9/T10", "T8/T9")

STENOSIS_LEVELS = LEVELS[:5]
"""L5/S1 to L1/L2: where stenosis is graded, as in RSNA 2024."""

RESEARCH_ONLY = "Research use only. Not a medical device; not for diagnosis or treatment decisions."


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


VIEWS = tuple(View)
SAGITTAL_VIEWS = (View.SAGITTAL_T1, View.SAGITTAL_T2, View.SAGITTAL_STIR)
"""Views in which levels are found."""


@dataclass(frozen=True)
class Target:
    """One thing that is graded at a level.

    ``grades`` are the published values (Pfirrmann 1 to 5); arrays hold the index into ``grades``, or UNKNOWN.
    """

    name: str
    scale: Scale
    grades: tuple[int, ...]
    words: tuple[str, ...]
    title: str

    def index_of(self, grade: int) -> int:
        """Index of a published grade; raises ValueError if the scale does not have it.

        >>> TARGET["pfirrmann"].index_of(5)
        4
        """
        if grade not in self.grades:
            raise ValueError(f"{self.name}: grade {grade} is not one of {self.grades}")
        return self.grades.index(grade)


def _binary(name: str, title: str) -> Target:
    return Target(name, Scale.BINARY, (0, 1), ("absent", "present"), title)


def _stenosis(name: str, title: str) -> Target:
    return Target(name, Scale.ORDINAL, (0, 1, 2), ("normal or mild", "moderate", "severe"), title)


TARGETS = (
    Target(
        "pfirrmann",
        Scale.ORDINAL,
        (1, 2, 3, 4, 5),
        ("grade I", "grade II", "grade III", "grade IV", "grade V"),
        "Pfirrmann degeneration",
    ),
    Target(
        "modic",
        Scale.NOMINAL,
        (0, 1, 2, 3),
        ("no Modic change", "Modic type 1", "Modic type 2", "Modic type 3"),
        "Modic change",
    ),
    _binary("herniation", "Disc herniation"),
    _binary("bulging", "Disc bulging"),
    _binary("narrowing", "Disc narrowing"),
    _binary("spondylolisthesis", "Spondylolisthesis"),
    _binary("endplate_upper", "Upper endplate change"),
    _binary("endplate_lower", "Lower endplate change"),
    _stenosis("canal_stenosis", "Spinal canal stenosis"),
    _stenosis("foraminal_stenosis_left", "Left foraminal stenosis"),
    _stenosis("foraminal_stenosis_right", "Right foraminal stenosis"),
    _stenosis("subarticular_stenosis_left", "Left subarticular stenosis"),
    _stenosis("subarticular_stenosis_right", "Right subarticular stenosis"),
)
TARGET = {target.name: target for target in TARGETS}
TARGET_INDEX = {target.name: index for index, target in enumerate(TARGETS)}
MAX_GRADES = max(len(target.grades) for target in TARGETS)

DISC_TARGETS = tuple(TARGET_INDEX[target.name] for target in TARGETS if "stenosis" not in target.name)
"""Targets that SPIDER labels: what a sagittal-only model can have learnt from patients."""


def _mirrored(name: str) -> str:
    swap = {"left": "right", "right": "left"}
    return "_".join(swap.get(part, part) for part in name.split("_"))


MIRROR = tuple(TARGET_INDEX[_mirrored(target.name)] for target in TARGETS)
"""``grades_T[list(MIRROR)]`` are the grades of the study mirrored left to right."""
