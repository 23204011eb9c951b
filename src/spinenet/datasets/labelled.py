"""What a data set is once read: studies with grades, and what the check found."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import LEVELS, TARGETS, UNKNOWN
from spinenet.readers import StudySource


@dataclass(frozen=True)
class LabelledStudy:
    """One patient's examination with its grades.

    ``grades_LT`` is (len(LEVELS), len(TARGETS)): the index of the grade in its scale, or UNKNOWN. ``masks`` maps a
    series name to its label image (1.. vertebrae and 201.. discs from the lowest, 100 the canal). ``readers_RLT`` are
    the grades of single readers where the data set tells them, else without rows. ``published_RT`` (rows, len(TARGETS))
    holds every graded disc as the data set has it, whatever of it was found to be no label: splits are drawn by it, so
    that a repaired label moves no patient to another fold. None where that is ``grades_LT``.
    """

    key: str
    patient: str
    source: StudySource
    grades_LT: NDArray[np.int64]
    masks: dict[str, Path]
    readers_RLT: NDArray[np.int64] = field(default_factory=lambda: no_grades()[None][:0])
    published_RT: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Dataset:
    """A data set's usable studies, and in ``findings`` one line for everything that is missing or odd."""

    name: str
    studies: tuple[LabelledStudy, ...]
    findings: tuple[str, ...]


def no_grades() -> NDArray[np.int64]:
    """Grades of a study about which nothing is known."""
    return np.full((len(LEVELS), len(TARGETS)), UNKNOWN, np.int64)
