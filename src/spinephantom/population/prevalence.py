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
from spinephantom.data import calibration, raw
from spinephantom.patient.disease import sample_course, sample_disc
from spinephantom.patient.pathology import LUMBAR_DISCS, N_DISCS, DiscState, Mode
from spinephantom.patient.person import Person
from spinephantom.spine.anatomy import build_spine
from spinephantom.spine.records import Spine
from spinephantom.truth.grades import grade
from spinephantom.truth.morphometry import measure

MOST_PROPOSALS = 12
"""After so many proposals for a level the last one is taken: narrow canals would otherwise go on for ever."""


def _shares(rows: list[list[float]]) -> NDArray[np.float64]:
    table = np.array(rows)
    return table / table.sum(axis=1, keepdims=True)


AIMS: dict[Mode, dict[str, NDArray[np.float64]]] = {
    mode: {condition: _shares(entry["value"]) for condition, entry in raw("prevalence")[mode].items()} for mode in Mode
}
"""Mode -> condition -> share of each grade at L5/S1 up to L1/L2; both sides of a condition share one row."""


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
