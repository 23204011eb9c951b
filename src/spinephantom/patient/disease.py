"""How disease comes together: latent degeneration of study, level and side drives all parameters of a disc.

A Gaussian copula (reference, 5.6): one normal score per study (age and constitution), per level and per side; every
parameter follows its score with the correlation written beside it. At some levels, called loose, the parameters are
drawn independently of each other, so that no one sign stands for another: black discs in wide canals, thick ligaments
without bulges, extrusions of bright discs. No grade is drawn here: grades are measured on the geometry that results.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from spinephantom.patient.pathology import N_DISCS, DiscState, Mode
from spinephantom.patient.person import Person

Pair = tuple[float, float]

LOOSE_SHARE = 0.25
"""Share of levels whose parameters do not follow the level's degeneration."""
OPERATED_SHARE = 0.03
# index 0 is L5/S1; load of each level on the study's degeneration
_LOAD = np.array([1.10, 1.15, 0.80, 0.65, 0.50, 0.40, 0.40, 0.40, 0.35, 0.30])
# Pfirrmann as a continuous variable -> T2 of the nucleus and share of the healthy height (reference, 2.2 and 5.5)
_PFIRRMANN = np.array([0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5])
_T2_MS = np.array([212, 190, 165, 133, 105, 86, 68, 55, 42, 35, 29], float)
_HEIGHT = np.array([1.02, 1.0, 1.0, 0.99, 0.96, 0.91, 0.84, 0.74, 0.60, 0.45, 0.36])
# how much of the growth into the foramen a level needs to be narrowed, and how prone it is to it
_PROCESS = (2.2, 0.85, 1.6, 1.8, 1.6, 0.4)
_LONGEST_MM = (8.0, 5.0, 7.0, 9.0, 9.5, 4.0)
_SPUR = (1.4, 1.0, 0.9, 0.8, 0.7, 0.4)
# shifts of the means of bulge (mm), flavum (mm) and facet size by level: disease of the canal peaks at L4/L5
_BULGE = (0.0, 0.7, 0.0, -0.6, -1.0, -1.0)
_FLAVUM = (-0.2, 1.0, 0.8, 0.5, 0.0, -0.3)
_FACET = (0.02, -0.03, -0.15, -0.19, -0.24, -0.2)
# probability that something is there at all in the population
_HERNIATION = np.array([0.12, 0.11, 0.04, 0.025, 0.012, 0.008, 0.006, 0.005, 0.003, 0.002])
_SLIP = np.array([0.02, 0.05, 0.02, 0.01, 0.008, 0.004, 0.003, 0.002, 0.001, 0.001])


@dataclass(frozen=True)
class Habits:
    """Marginal distributions of a mode: chances, and means and spreads that the latent scores move along."""

    herniation: float
    """Chance of a herniation at a level, or how many times more often than in the population if above 1."""
    slip: float
    """Likewise for a degenerative slip."""
    schmorl: float
    modic: float
    modic_types: tuple[float, float, float]
    bulge_mm: Pair
    flavum_mm: Pair
    facet: Pair
    foraminal_mm: Pair
    """Mean and spread of the growth of the superior process and of osteophytes; below 0 is none."""


HABITS = {
    Mode.SCREENING: Habits(1.0, 1.0, 0.10, 0.10, (0.25, 0.68, 0.07), (0.5, 1.5), (3.4, 0.9), (1.03, 0.12), (-1.0, 1.4)),
    Mode.RSNA: Habits(1.6, 1.6, 0.14, 0.21, (0.25, 0.65, 0.10), (1.0, 1.9), (3.9, 1.7), (1.07, 0.16), (1.0, 2.2)),
    Mode.BALANCED: Habits(0.2, 0.10, 0.30, 0.40, (0.32, 0.40, 0.28), (1.4, 2.3), (4.7, 2.2), (1.13, 0.2), (1.8, 2.5)),
}


@dataclass(frozen=True)
class Course:
    """What is decided for the whole spine before its discs: overall score, pars defect, operation."""

    score: float
    isthmic: int
    """Disc below the vertebra with a gap in its pars, -1 for none."""
    operated: tuple[int, ...]
    fused: bool
    laminectomy: float


@dataclass(frozen=True)
class _Latent:
    value: float
    loose: bool

    def coupled(self, rng: np.random.Generator, correlation: float) -> float:
        """A standard normal number with this correlation to the score."""
        own, other = rng.standard_normal(2)
        score = other if self.loose else self.value
        return float(correlation * score + np.sqrt(1.0 - correlation**2) * own)


def study_score(rng: np.random.Generator, age: float) -> float:
    """Degeneration of the whole spine in standard deviations, given age in years."""
    return float((age - 50.0) / 22.0 + 0.75 * rng.standard_normal())


def sample_course(rng: np.random.Generator, age: float) -> Course:
    """Draw what concerns the spine as a whole."""
    score = study_score(rng, age)
    defect, level, operation, kind, side = rng.uniform(size=5)
    lowest = int(rng.integers(0, 3))
    levels = tuple(range(lowest, min(lowest + int(rng.integers(1, 3)), 4)))
    both = float(np.copysign(1.0 if kind < 0.5 else 0.5, side - 0.5))
    return Course(
        score=score,
        isthmic=(0 if level < 0.85 else 1) if defect < 0.06 else -1,
        operated=levels if operation < OPERATED_SHARE else (),
        fused=bool(kind < 0.55),
        laminectomy=both,
    )


def sample_disc(rng: np.random.Generator, mode: Mode, person: Person, course: Course, level: int) -> DiscState:
    """Draw the state of one disc; ``level`` 0 is L5/S1."""
    if mode is Mode.BALANCED:
        unit = 0.6 * course.score / 1.1 + 0.8 * float(rng.standard_normal())
    else:
        raw = course.score * _LOAD[level] + 0.6 * float(rng.standard_normal())
        unit = raw / float(np.hypot(1.1 * _LOAD[level], 0.6))
    latent = _Latent(unit, bool(rng.random() < LOOSE_SHARE))
    habits = HABITS[mode]
    state = _disc_tissue(rng, mode, latent, level)
    state = _with_herniation(rng, habits, state, level, latent)
    state = _with_slip(rng, habits, state, level, latent, person)
    state = _with_endplates(rng, habits, state, latent)
    state = _with_modic(rng, habits, state, latent)
    state = _with_sides(rng, habits, state, latent, level)
    state = _with_joint_findings(rng, state, level)
    return _with_course(rng, state, course, level)


def sample_discs(rng: np.random.Generator, mode: Mode, person: Person, course: Course) -> tuple[DiscState, ...]:
    """States of all discs, from L5/S1 upwards, as they come, whatever their grades."""
    return tuple(sample_disc(rng, mode, person, course, level) for level in range(N_DISCS))


def _pfirrmann(mode: Mode, z: float, level: int) -> float:
    """Continuous Pfirrmann grade (0.5 to 5.5) of a standard normal score."""
    if mode is Mode.BALANCED:
        return 0.5 + 5.0 * float(ndtr(z))
    worse = 0.35 if mode is Mode.RSNA else 0.0
    spread = 0.95 * float(np.hypot(1.1 * _LOAD[level], 0.6))
    return float(np.clip(2.05 + worse + 0.45 * _LOAD[level] + spread * z, 0.5, 5.5))


def _disc_tissue(rng: np.random.Generator, mode: Mode, latent: _Latent, level: int) -> DiscState:
    grade = _pfirrmann(mode, latent.coupled(rng, 0.85), level)
    habits = HABITS[mode]
    bulge = habits.bulge_mm[0] + _BULGE[min(level, 5)] + habits.bulge_mm[1] * latent.coupled(rng, 0.65)
    height = float(np.interp(grade, _PFIRRMANN, _HEIGHT)) * float(rng.normal(1.0, 0.06))
    vacuum = rng.uniform(size=2)
    second = (0.35 + 0.15 * max(bulge, 0.0)) * rng.standard_normal(3)
    return DiscState(
        nucleus_t2_ms=float(np.interp(grade, _PFIRRMANN, _T2_MS)) * float(rng.normal(1.0, 0.02)),
        height_ratio=float(np.clip(height, 0.28, 1.15)),
        bulge_mm=float(np.clip(bulge, 0.0, 6.0)),
        bulge_skew=float(np.clip(rng.normal(0.0, 0.14), -0.35, 0.35)),
        bulge_second=tuple(float(s) for s in np.clip(second, -1.5, 1.6)),  # type: ignore[arg-type]
        osteophyte_mm=float(np.clip(1.2 * latent.coupled(rng, 0.7) - 0.3, 0.0, 3.6)),
        fissure_mm=float(rng.uniform(2.0, 4.0)) if 1.8 < grade < 4.2 and rng.random() < 0.2 else 0.0,
        gas=float(0.2 + 0.8 * vacuum[1]) if grade > 4.3 and vacuum[0] < 0.25 else 0.0,
    )


def _chance(habit: float, population: float) -> float:
    """A habit up to 1/2 is a chance itself, above it a multiple of the population's."""
    return habit if habit < 0.5 else min(habit * population, 0.6)


def _place_of_herniation(rng: np.random.Generator) -> float:
    """Distance from the midline in mm: central 15 %, subarticular 73 %, foraminal 8 %, extraforaminal 4 % (1.4)."""
    zone = int(rng.choice(4, p=(0.15, 0.73, 0.08, 0.04)))
    low, high = ((0.0, 2.5), (3.0, 11.0), (13.0, 19.0), (20.0, 25.0))[zone]
    return float(rng.uniform(low, high) * rng.choice((-1.0, 1.0)))


def _with_herniation(
    rng: np.random.Generator, habits: Habits, state: DiscState, level: int, latent: _Latent
) -> DiscState:
    chance = _chance(habits.herniation, float(_HERNIATION[level]))
    draws = rng.uniform(size=6)
    offset = _place_of_herniation(rng)
    migration = float(rng.normal(0.0, 6.0))
    # a collapsed disc has nothing left to lose (reference, 5.6)
    if latent.coupled(rng, 0.25) < ndtri(1.0 - chance) or state.height_ratio < 0.5:
        return state
    extruded = bool(draws[2] < 0.4)
    return replace(
        state,
        herniation_mm=2.6 + 6.4 * float(draws[0]) ** 1.3,
        herniation_u_mm=offset,
        herniation_width_mm=4.5 + 3.5 * float(draws[1]),
        extruded=extruded,
        sequestered=bool(extruded and draws[3] < 0.15),
        migration_mm=float(np.clip(migration, -15.0, 15.0)) if extruded else 0.0,
        herniation_t2_ms=45.0 + 65.0 * float(draws[4]),
        bulge_mm=min(state.bulge_mm, 1.0 + 2.5 * float(draws[5])),
    )


def _with_slip(
    rng: np.random.Generator, habits: Habits, state: DiscState, level: int, latent: _Latent, person: Person
) -> DiscState:
    # women and the old have more degenerative slips (reference, 1.4)
    weight = (1.35 if person.sex == "F" else 0.55) * float(np.clip(0.4 + (person.age - 30.0) / 35.0, 0.2, 1.7))
    chance = _chance(habits.slip, float(_SLIP[level])) * (weight if habits.slip > 0.5 else 1.0)
    small = float(np.clip(rng.normal(0.0, 0.6), -1.6, 1.6))
    size = float(rng.uniform(3.4, 10.0))
    backward = rng.random() < 0.2
    if latent.coupled(rng, 0.35) < ndtri(1.0 - min(chance, 0.6)):
        return replace(state, slip_mm=small)
    return replace(state, slip_mm=-0.55 * size if backward and size > 6.5 else size)


def _with_endplates(rng: np.random.Generator, habits: Habits, state: DiscState, latent: _Latent) -> DiscState:
    threshold = ndtri(1.0 - habits.schmorl)
    depth = 2.3 + 3.2 * rng.uniform(size=2) ** 1.5
    places = [(float(rng.uniform(-0.3, 0.3)), float(rng.uniform(-0.55, 0.55))) for _ in range(2)]
    present = [latent.coupled(rng, 0.3) > threshold for _ in range(2)]
    return replace(
        state,
        schmorl_above_mm=float(depth[0]) if present[0] else 0.0,
        schmorl_below_mm=float(depth[1]) if present[1] else 0.0,
        schmorl_above_at=places[0],
        schmorl_below_at=places[1],
        schmorl_width=float(rng.uniform(0.9, 2.2)),
    )


def _with_modic(rng: np.random.Generator, habits: Habits, state: DiscState, latent: _Latent) -> DiscState:
    kind = int(rng.choice((1, 2, 3), p=habits.modic_types))
    extents = rng.uniform(4.0, 14.0, size=2)
    front = float(rng.uniform(-1.1, -0.2))
    span = (front, float(min(1.1, front + rng.uniform(1.0, 2.0))))
    one_side = rng.random()
    lesion_depth = float(rng.uniform(2.6, 5.0))
    without_lesion = rng.random() > 0.8
    if latent.coupled(rng, 0.4) < ndtri(1.0 - habits.modic):
        return state
    above = float(extents[0]) if one_side > 0.2 else 0.0
    below = float(extents[1]) if one_side < 0.8 else 0.0
    state = replace(state, modic_type=kind, modic_above_mm=above, modic_below_mm=below, modic_span=span)
    if kind != 1 or without_lesion or state.schmorl_above_mm or state.schmorl_below_mm:
        return state
    # type 1 nearly always lies beside an end-plate lesion (reference, 1.2)
    if above:
        return replace(state, schmorl_above_mm=lesion_depth)
    return replace(state, schmorl_below_mm=lesion_depth)


def _with_sides(rng: np.random.Generator, habits: Habits, state: DiscState, latent: _Latent, level: int) -> DiscState:
    """Ligament, facet and foramen of both sides, which are alike but not the same; either side may be the worse one."""
    lumbar = min(level, len(_PROCESS) - 1)
    shared = np.array([latent.coupled(rng, 0.6) for _ in range(4)])
    worse = rng.standard_normal(2)
    lopsided = 0.7 * worse[:, None] + 0.7 * rng.standard_normal((2, 4))
    flavum, facet, process, spur = (0.87 * shared + 0.5 * lopsided).T
    flavum = habits.flavum_mm[0] + _FLAVUM[lumbar] + habits.flavum_mm[1] * flavum
    facet = habits.facet[0] + _FACET[lumbar] + habits.facet[1] * facet
    growth = habits.foraminal_mm[0] + habits.foraminal_mm[1] * np.array([process, spur])
    angle = rng.normal(0.0, 6.0, size=2)
    return replace(
        state,
        flavum_mm_lr=_pair(flavum, 1.8, 9.0),
        facet_scale_lr=_pair(facet, 0.8, 1.65),
        superior_process_mm_lr=_pair(_PROCESS[lumbar] * growth[0], 0.0, _LONGEST_MM[lumbar]),
        foraminal_osteophyte_mm_lr=_pair(_SPUR[lumbar] * growth[1], 0.0, 6.0),
        facet_angle_deg_lr=_pair(angle, -14.0, 14.0),
    )


def _pair(values: NDArray[np.float64], low: float, high: float) -> Pair:
    left, right = np.clip(values, low, high)
    return float(left), float(right)


def _with_joint_findings(rng: np.random.Generator, state: DiscState, level: int) -> DiscState:
    """Fluid in a facet joint, more with a slip; rarely a synovial cyst, mostly at L4/L5."""
    unstable = state.slip_mm > 3.0
    fluid = np.clip(rng.gamma(1.2, 0.35, size=2) + (0.9 if unstable else 0.0), 0.0, 4.0)
    chance = (0.03 if level == 1 else 0.008) * (2.5 if unstable else 1.0)
    cysts = np.where(rng.uniform(size=2) < 0.5 * chance, rng.uniform(4.0, 10.0, size=2), 0.0)
    return replace(
        state,
        facet_fluid_mm_lr=(float(fluid[0]), float(fluid[1])),
        facet_cyst_mm_lr=(float(cysts[0]), float(cysts[1])),
    )


def _with_course(rng: np.random.Generator, state: DiscState, course: Course, level: int) -> DiscState:
    slip = float(rng.uniform(2.0, 12.0))
    if level == course.isthmic:
        state = replace(state, isthmic=True, slip_mm=slip)
    if level not in course.operated:
        return state
    state = replace(state, laminectomy=course.laminectomy)
    if not course.fused:
        return state
    return replace(state, fused=True, laminectomy=float(np.sign(course.laminectomy)), nucleus_t2_ms=40.0)
