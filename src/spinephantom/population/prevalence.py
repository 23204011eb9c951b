"""Spines as frequent as they should be: proposals are built and measured, and kept by the grades they turn out to have.

A level's disease is drawn until it is accepted; the chance to be accepted is a product of weights, one for each graded
condition at that level. The weights were fitted once (``scripts/calibrate_phantom.py``) so that the accepted levels
have the prevalence of AIMS. A study depends on its own seed only, and whose spine it is stays independent of disease.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import TARGETS
from spinephantom.data import calibration
from spinephantom.patient.disease import sample_course, sample_disc
from spinephantom.patient.pathology import LUMBAR_DISCS, N_DISCS, DiscState, Mode
from spinephantom.patient.person import Person
from spinephantom.spine.anatomy import build_spine
from spinephantom.spine.records import Spine
from spinephantom.truth.grades import grade
from spinephantom.truth.morphometry import measure

MOST_PROPOSALS = 12
"""After so many proposals for a level the last one is taken: narrow canals would otherwise go on for ever."""

_CANAL = ((96.5, 2.6, 1.0), (75.1, 12.0, 12.9), (82.2, 11.7, 6.2), (89.7, 7.6, 2.7), (95.5, 3.4, 1.1))
_FORAMEN = ((64.1, 25.8, 10.1), (61.2, 32.0, 6.8), (77.0, 20.9, 2.1), (91.0, 8.6, 0.4), (96.4, 3.2, 0.4))
_RECESS = ((71.4, 20.4, 8.2), (45.1, 31.6, 23.3), (67.0, 23.0, 10.0), (82.7, 13.2, 4.1), (93.0, 5.6, 1.4))
_EVEN_CANAL = ((80.0, 12.0, 8.0), (50.0, 28.0, 22.0), (55.0, 25.0, 20.0), (66.0, 20.0, 14.0), (72.0, 17.0, 11.0))
_EVEN_FORAMEN = (*(((50.0, 26.0, 24.0),) * 3), (64.0, 20.0, 16.0), (72.0, 16.0, 12.0))
_EVEN_RECESS = ((45.0, 27.0, 28.0), (35.0, 30.0, 35.0), (42.0, 28.0, 30.0), (52.0, 24.0, 24.0), (60.0, 22.0, 18.0))
_SCREENED_CANAL = ((98.5, 1.2, 0.3), (90.0, 7.5, 2.5), (95.0, 4.0, 1.0), (97.5, 2.0, 0.5), (98.5, 1.2, 0.3))
_SCREENED_HERNIATION = ((65.0, 35.0), (75.0, 25.0), (93.5, 6.5), (96.5, 3.5), (99.5, 0.5))


def _shares(rows: tuple[tuple[float, ...], ...]) -> NDArray[np.float64]:
    table = np.array(rows)
    return table / table.sum(axis=1, keepdims=True)


AIMS: dict[Mode, dict[str, NDArray[np.float64]]] = {
    Mode.RSNA: {
        "canal_stenosis": _shares(_CANAL),
        "foraminal_stenosis": _shares(_FORAMEN),
        "subarticular_stenosis": _shares(_RECESS),
    },
    Mode.BALANCED: {
        "canal_stenosis": _shares(_EVEN_CANAL),
        "foraminal_stenosis": _shares(_EVEN_FORAMEN),
        "subarticular_stenosis": _shares(_EVEN_RECESS),
    },
    Mode.SCREENING: {"canal_stenosis": _shares(_SCREENED_CANAL), "herniation": _shares(_SCREENED_HERNIATION)},
}
"""Mode -> condition -> share of each grade at L5/S1 up to L1/L2; both sides of a condition share one row.

RSNA: counts of the training set (reference, 1.1; sides pooled). Screening: herniation in healthy adults [V35], stenosis
after Framingham [V36] (reference, 1.4).
"""


@dataclass(frozen=True)
class Weights:
    """Logarithms of acceptance weights: condition -> (levels, grades), and the value at which a level is certain."""

    log_weights: dict[str, NDArray[np.float64]]
    bound: NDArray[np.float64]

    def log_weight(self, level: int, grades: dict[str, int]) -> float:
        """Of a level with these published grades."""
        return float(sum(table[level, index] for table, index in graded(self.log_weights, grades)))


def graded(tables: dict[str, NDArray[np.float64]], grades: dict[str, int]) -> list[tuple[NDArray[np.float64], int]]:
    """The table and the grade index of every condition, twice where it has sides."""
    return [
        (table, target.index_of(grades[target.name]))
        for condition, table in tables.items()
        for target in TARGETS
        if target.condition == condition
    ]


def shares_of(
    found: Iterable[Sequence[dict[str, int]]], condition: str, like: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Share of each grade at each level, of the shape of ``like``; ``found`` holds every spine's published grades."""
    counts = np.zeros_like(like)
    for levels in found:
        for level, grades in enumerate(levels):
            for _, index in graded({condition: like}, grades):
                counts[level, index] += 1.0
    shares: NDArray[np.float64] = counts / counts.sum(axis=1, keepdims=True)
    return shares


@cache
def shipped_weights(mode: Mode) -> Weights:
    """The fitted weights of a mode."""
    tables = {name: np.array(rows) for name, rows in calibration()[mode.value].items()}
    return Weights({name: tables[name] for name in AIMS[mode]}, tables["bound"])


def sample_spine(rng: np.random.Generator, mode: Mode, person: Person, weights: Weights | None = None) -> Spine:
    """The spine of this person with disease as frequent as the mode says; ``weights`` other than the shipped ones."""
    weights = weights or shipped_weights(mode)
    course = sample_course(rng, person.age)
    states = [DiscState()] * N_DISCS
    pending = list(range(N_DISCS))
    for _ in range(MOST_PROPOSALS):
        for level in pending:
            states[level] = sample_disc(rng, mode, person, course, level)
        spine = build_spine(person, tuple(states))
        pending = [level for level in pending if level < LUMBAR_DISCS and not _accepted(rng, weights, spine, level)]
        if not pending:
            break
    return spine


def _accepted(rng: np.random.Generator, weights: Weights, spine: Spine, level: int) -> bool:
    log_weight = weights.log_weight(level, grade(measure(spine, level)))
    return bool(np.log(1.0 - rng.random()) <= log_weight - weights.bound[level])
