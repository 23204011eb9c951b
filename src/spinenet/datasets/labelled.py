"""What a data set is: how it is read, and once read its studies with grades and what was found odd."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spinenet.datasets.masks import LabelImage
from spinenet.labels import LEVELS, TARGETS, UNKNOWN
from spinenet.readers import StudySource
from spinenet.study import LevelFrame, Study


class LevelPoints(Protocol):
    """Where a data set says that the levels of one study are."""

    def frames(self, source: StudySource, study: Study) -> tuple[tuple[LevelFrame, ...], list[str]]:
        """Level frames in LPS mm, none where the points are too few, and what is odd about them.

        ``source`` has been looked into (``readers.opened``), ``study`` been read from it.
        """


@dataclass(frozen=True)
class LabelledStudy:
    """One patient's examination with its grades.

    ``grades_LT`` is (len(LEVELS), len(TARGETS)): the index of the grade in its scale, or UNKNOWN. ``masks`` maps a
    series name to its label image. ``raters_RLT`` are the grades of single raters where the data set tells them, else
    without rows. ``published_RT`` (rows, len(TARGETS)) holds every graded disc as the data set has it, whatever of it
    was found to be no label: splits are drawn by it, so that a repaired label moves no patient to another fold. None
    where that is ``grades_LT``. ``points`` are None where the data set has none, ``prepared`` where the study does not
    lie in a cache (``datasets.cache``) already. ``generator`` is what made a synthetic study, with its version.
    """

    key: str
    patient: str
    source: StudySource
    grades_LT: NDArray[np.int64]
    masks: dict[str, LabelImage] = field(default_factory=dict)
    raters_RLT: NDArray[np.int64] = field(default_factory=lambda: no_grades()[None][:0])
    published_RT: NDArray[np.int64] | None = None
    points: LevelPoints | None = None
    prepared: Path | None = None
    generator: str = ""


class Kind(StrEnum):
    """What is the matter, in the order in which a check lists it."""

    UNUSABLE = "unusable"
    NO_LABEL = "no label"
    DOUBT = "doubtful label"
    NAMES = "doubtful level names"
    DISCS = "discs graded and seen differ"
    UNUSED = "not used"
    KNOW = "to know"


@dataclass(frozen=True)
class Finding:
    """One thing that is missing or odd: ``subject`` is the patient, study or file it is said of."""

    subject: str
    text: str
    kind: Kind = Kind.KNOW

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}"


@dataclass(frozen=True)
class Dataset:
    """A data set's usable studies, and in ``findings`` everything that is missing or odd."""

    name: str
    studies: tuple[LabelledStudy, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Adapter:
    """All that the rest of the package knows of a data set.

    ``load`` reads labels and file lists below a folder, no pixels; DatasetError where the layout is another. ``check``
    reads the images of one study and says what is odd. ``licence`` and ``credit`` go with what is learnt from
    it. ``synthetic``: without patients, and what is learnt from it alone is said to be. ``rough_points``: its points
    name levels but lie too far off to place them, so that the locator does.
    """

    load: Callable[[Path], Dataset]
    check: Callable[[LabelledStudy], list[Finding]]
    licence: str
    credit: str
    synthetic: bool = False
    rough_points: bool = False


def no_grades() -> NDArray[np.int64]:
    """Grades of a study about which nothing is known."""
    return np.full((len(LEVELS), len(TARGETS)), UNKNOWN, np.int64)
