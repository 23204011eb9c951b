"""Fitting of the numbers in calibration.json: acceptance weights of each mode, and ranks of findings among patients.

Several proposals for each of many persons are built and measured once. The weights are then fitted on these: the
accepted levels of a few persons with much the same disease are their proposals in proportion to their acceptance, so
that persons stay as frequent as they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import TARGET, Heading
from spinephantom.patient.disease import Course, sample_course, sample_discs
from spinephantom.patient.pathology import LUMBAR_DISCS, Mode
from spinephantom.patient.person import Person, sample_person
from spinephantom.population.prevalence import AIMS, Weights, graded, sample_spine, shares_of
from spinephantom.spine.anatomy import build_spine
from spinephantom.truth.grades import Margins, grade, severity, signed_margins
from spinephantom.truth.morphometry import measure

SEED = 20241
"""Persons of the calibration are none of those that studies are made of."""
CERTAIN = 0.95
"""Share of the proposals of a level that are not certain to be accepted."""
STEPS, STEP = 400, 0.3
LARGEST = 4.0
GROUP = 6
RANKS = 161
DAMPING = 0.7
"""Of a correction by one sample: grades of one level depend on each other, and samples are small."""
FEW = 0.01
"""Shares are compared as if this much more had been found: what is rare in a sample says little."""
LevelGrades = tuple[dict[str, int], ...]


@dataclass(frozen=True)
class Proposal:
    """One spine as proposed: of the lumbar levels, published grades and signed margins by target."""

    grades: LevelGrades
    margins: tuple[dict[str, Margins], ...]


def propose(mode: Mode, person_index: int, count: int) -> list[Proposal]:
    """Independent proposals for one person."""
    rng = np.random.default_rng([SEED, person_index, list(Mode).index(mode)])
    person = sample_person(rng, mode)
    course = sample_course(rng, person.age)
    return [_measured(rng, mode, person, course) for _ in range(count)]


def _measured(rng: np.random.Generator, mode: Mode, person: Person, course: Course) -> Proposal:
    spine = build_spine(person, sample_discs(rng, mode, person, course))
    measured = [measure(spine, level) for level in range(LUMBAR_DISCS)]
    return Proposal(tuple(grade(m) for m in measured), tuple(signed_margins(m) for m in measured))


def fit_weights(mode: Mode, pool: list[list[Proposal]]) -> Weights:
    """Weights that bring the accepted proposals of all persons to the prevalence of AIMS."""
    aims = AIMS[mode]
    return _fitted({condition: np.zeros_like(aim) for condition, aim in aims.items()}, _seen(mode, pool), aims)


def correct_weights(mode: Mode, weights: Weights, pool: list[list[Proposal]], found: list[LevelGrades]) -> Weights:
    """Weights under which spines come nearer to AIMS than those of ``found``, sampled with ``weights``.

    Every weight moves by what its grade lacks; the proposals say where a level is certain to be accepted.
    """
    tables = {}
    for condition, aim in AIMS[mode].items():
        share = shares_of(found, condition, aim)
        tables[condition] = _relative(weights.log_weights[condition] + DAMPING * np.log((aim + FEW) / (share + FEW)))
    return Weights(tables, _acceptance(tables, _seen(mode, pool))[1])


def sample_grades(mode: Mode, weights: Weights, seed: int) -> LevelGrades:
    """Published grades of the lumbar levels of one spine sampled with these weights."""
    rng = np.random.default_rng([SEED + 1, seed])
    spine = sample_spine(rng, mode, sample_person(rng, mode), weights)
    return tuple(grade(measure(spine, level)) for level in range(LUMBAR_DISCS))


def _fitted(
    tables: dict[str, NDArray[np.float64]],
    seen: dict[str, NDArray[np.float64]],
    targets: dict[str, NDArray[np.float64]],
) -> Weights:
    """The weights, from ``tables`` on, that give the proposals these prevalences."""
    tables = dict(tables)
    for _ in range(STEPS):
        found = _shares(tables, seen)
        for condition, target in targets.items():
            table = tables[condition] + STEP * np.log((target + 2e-3) / (found[condition] + 2e-3))
            tables[condition] = _relative(table)
    return Weights(tables, _acceptance(tables, seen)[1])


def _relative(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Beside the mildest grade: a grade that cannot be reached must not drag the others to the limit."""
    relative: NDArray[np.float64] = np.clip(table - table[:, :1], -LARGEST, LARGEST)
    return relative


def _shares(
    tables: dict[str, NDArray[np.float64]], seen: dict[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    """Share of each grade (levels, grades) among accepted proposals, all persons counting the same."""
    accepted, _ = _acceptance(tables, seen)
    share_PML = accepted / accepted.sum(axis=1, keepdims=True)
    found = {condition: np.einsum("pml,pmlk->lk", share_PML, onehot) for condition, onehot in seen.items()}
    return {condition: table / table.sum(axis=1, keepdims=True) for condition, table in found.items()}


def _seen(mode: Mode, pool: list[list[Proposal]]) -> dict[str, NDArray[np.float64]]:
    pool = _alike(pool)
    return {condition: _onehot(condition, aim, pool) for condition, aim in AIMS[mode].items()}


def _alike(pool: list[list[Proposal]]) -> list[list[Proposal]]:
    """Persons in groups of those whose stenoses are about as grave, each group with all proposals of its members."""

    def gravity(proposals: list[Proposal]) -> float:
        stenoses = [name for name, target in TARGET.items() if target.heading is Heading.CANAL]
        return float(np.mean([[grades[name] for name in stenoses] for p in proposals for grades in p.grades]))

    ordered = sorted(pool, key=gravity)
    groups = [ordered[start : start + GROUP] for start in range(0, len(ordered) - GROUP + 1, GROUP)]
    return [[proposal for proposals in group for proposal in proposals] for group in groups]


def _onehot(condition: str, aim: NDArray[np.float64], pool: list[list[Proposal]]) -> NDArray[np.float64]:
    """(persons, proposals, levels, grades): how often a level has a grade, 0 to 2 where the condition has sides."""
    counts = np.zeros((len(pool), len(pool[0]), LUMBAR_DISCS, aim.shape[1]))
    for person, proposals in enumerate(pool):
        for number, proposal in enumerate(proposals):
            for level, grades in enumerate(proposal.grades):
                for _, index in graded({condition: aim}, grades):
                    counts[person, number, level, index] += 1.0
    return counts


def _acceptance(
    tables: dict[str, NDArray[np.float64]], seen: dict[str, NDArray[np.float64]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Chance (persons, proposals, levels) to be accepted, and the log weight at which each level is certain to be."""
    log_PML = sum(np.einsum("pmlk,lk->pml", onehot, tables[condition]) for condition, onehot in seen.items())
    bound = np.quantile(log_PML, CERTAIN, axis=(0, 1))
    return np.exp(np.minimum(log_PML - bound, 0.0)), bound


def fit_ranks(weights: Weights, pool: list[list[Proposal]]) -> dict[str, list[float]]:
    """Condition -> severities of accepted levels at evenly spaced ranks; sides and levels together."""
    found: dict[str, list[tuple[float, float]]] = {}
    for level, grades, margins in _levels(pool):
        chance = float(np.exp(min(weights.log_weight(level, grades) - weights.bound[level], 0.0)))
        for name, values in margins.items():
            found.setdefault(TARGET[name].condition, []).append((severity(values), chance))
    return {condition: _quantiles(np.array(pairs)) for condition, pairs in found.items()}


def _levels(pool: list[list[Proposal]]) -> Iterator[tuple[int, dict[str, int], dict[str, Margins]]]:
    for proposals in pool:
        for proposal in proposals:
            yield from zip(range(LUMBAR_DISCS), proposal.grades, proposal.margins, strict=True)


def _quantiles(pairs_N2: NDArray[np.float64]) -> list[float]:
    """Severities at RANKS evenly spaced ranks of weighted severities."""
    ordered = pairs_N2[np.argsort(pairs_N2[:, 0], kind="stable")]
    ranks = np.cumsum(ordered[:, 1]) / ordered[:, 1].sum()
    at = np.searchsorted(ranks, (np.arange(RANKS) + 0.5) / RANKS)
    return [round(float(value), 4) for value in ordered[np.minimum(at, len(ordered) - 1), 0]]


def as_table(weights: Weights) -> dict[str, list[object]]:
    """The weights as they are written to the file."""
    rows = {condition: np.round(table, 3).tolist() for condition, table in weights.log_weights.items()}
    return {**rows, "bound": np.round(weights.bound, 3).tolist()}
