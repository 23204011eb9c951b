"""How disease comes together: latent degeneration of study, level and side drives all parameters of a disc.

A Gaussian copula: one normal score per study (age and constitution), per level and per side; every parameter follows
its score with a correlation of its own (data/disease.toml). At some levels, called loose, the parameters are drawn
independently of each other, so that no one sign stands for another: black discs in wide canals, thick ligaments
without bulges, extrusions of bright discs. No grade is drawn here: grades are measured on the geometry that results.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from spinephantom.patient.habits import (
    BY_LEVEL,
    CORRELATION,
    DISC,
    ENDPLATES,
    HERNIATION,
    JOINTS,
    LATENT,
    MODES,
    MODIC,
    OPERATION,
    PFIRRMANN,
    SLIP,
    ModeHabits,
    at_level,
)
from spinephantom.patient.pathology import N_DISCS, DiscState, Mode
from spinephantom.patient.person import Person


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
    return float((age - LATENT.mean_age_years) / LATENT.years_per_sd + LATENT.constitution_sd * rng.standard_normal())


def sample_course(rng: np.random.Generator, age: float) -> Course:
    """Draw what concerns the spine as a whole."""
    score = study_score(rng, age)
    defect, level, operation, kind, side = rng.uniform(size=5)
    lowest = int(rng.integers(0, 3))
    levels = tuple(range(lowest, min(lowest + int(rng.integers(1, 3)), 4)))
    both = float(np.copysign(1.0 if kind < OPERATION.both_sides else 0.5, side - 0.5))
    return Course(
        score=score,
        isthmic=(0 if level < SLIP.pars_defect_l5 else 1) if defect < SLIP.pars_defect else -1,
        operated=levels if operation < OPERATION.share else (),
        fused=bool(kind < OPERATION.fused),
        laminectomy=both,
    )


def sample_disc(rng: np.random.Generator, mode: Mode, person: Person, course: Course, level: int) -> DiscState:
    """Draw the state of one disc; ``level`` 0 is L5/S1."""
    load = LATENT.load[level]
    if mode is Mode.BALANCED:
        study, own = LATENT.balanced
        unit = study * course.score / LATENT.usual_load + own * float(rng.standard_normal())
    else:
        raw = course.score * load + LATENT.level_sd * float(rng.standard_normal())
        unit = raw / float(np.hypot(LATENT.usual_load * load, LATENT.level_sd))
    latent = _Latent(unit, bool(rng.random() < LATENT.loose))
    habits = MODES[mode]
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
    """Continuous Pfirrmann grade of a standard normal score."""
    lowest, highest = PFIRRMANN.grade[0], PFIRRMANN.grade[-1]
    if mode is Mode.BALANCED:
        return float(lowest + (highest - lowest) * float(ndtr(z)))
    load = LATENT.load[level]
    worse = PFIRRMANN.worse_patients if mode is Mode.RSNA else 0.0
    spread = PFIRRMANN.spread * float(np.hypot(LATENT.usual_load * load, LATENT.level_sd))
    return float(np.clip(PFIRRMANN.mean + worse + PFIRRMANN.by_load * load + spread * z, lowest, highest))


def _disc_tissue(rng: np.random.Generator, mode: Mode, latent: _Latent, level: int) -> DiscState:
    grade = _pfirrmann(mode, latent.coupled(rng, CORRELATION.t2), level)
    mean, spread = MODES[mode].bulge_mm
    bulge = mean + at_level(BY_LEVEL.bulge_mm, level) + spread * latent.coupled(rng, CORRELATION.bulge)
    height = float(np.interp(grade, PFIRRMANN.grade, PFIRRMANN.height)) * _jitter(rng, PFIRRMANN.height_jitter)
    vacuum = rng.uniform(size=2)
    second = DISC.uneven_mm.at(max(bulge, 0.0)) * rng.standard_normal(3)
    first, last = DISC.fissure_grades
    spur = DISC.osteophyte_mm
    return DiscState(
        nucleus_t2_ms=float(np.interp(grade, PFIRRMANN.grade, PFIRRMANN.t2_ms)) * _jitter(rng, PFIRRMANN.t2_jitter),
        height_ratio=float(np.clip(height, *PFIRRMANN.height_ends)),
        bulge_mm=float(np.clip(bulge, 0.0, DISC.most_bulge_mm)),
        bulge_skew=DISC.bulge_skew.draw(rng),
        bulge_second=tuple(float(s) for s in np.clip(second, *DISC.uneven_ends_mm)),  # type: ignore[arg-type]
        osteophyte_mm=float(
            np.clip(spur.sd * latent.coupled(rng, CORRELATION.osteophyte) + spur.mean, spur.low, spur.high)
        ),
        fissure_mm=DISC.fissure_mm.draw(rng) if first < grade < last and rng.random() < DISC.fissure else 0.0,
        gas=float(DISC.gas_share.at(vacuum[1])) if grade > DISC.gas_from_grade and vacuum[0] < DISC.gas else 0.0,
    )


def _jitter(rng: np.random.Generator, sd: float) -> float:
    """A factor about 1."""
    return float(rng.normal(1.0, sd))


def _place_of_herniation(rng: np.random.Generator) -> float:
    """Distance from the midline in mm, to the left or right."""
    zone = int(rng.choice(len(HERNIATION.zones), p=HERNIATION.zones))
    low, high = HERNIATION.zones_mm[zone]
    return float(rng.uniform(low, high) * rng.choice((-1.0, 1.0)))


def _with_herniation(
    rng: np.random.Generator, habits: ModeHabits, state: DiscState, level: int, latent: _Latent
) -> DiscState:
    chance = habits.herniation + habits.herniation_times * float(HERNIATION.population[level])
    draws = [float(draw) for draw in rng.uniform(size=6)]
    offset = _place_of_herniation(rng)
    migration = float(rng.normal(0.0, HERNIATION.migration_sd_mm))
    score = latent.coupled(rng, CORRELATION.herniation)
    if score < ndtri(1.0 - chance) or state.height_ratio < HERNIATION.least_height:
        return state
    extruded, farthest = draws[2] < HERNIATION.extruded, HERNIATION.farthest_mm
    return replace(
        state,
        herniation_mm=HERNIATION.size_mm.at(draws[0]),
        herniation_u_mm=offset,
        herniation_width_mm=HERNIATION.width_mm.at(draws[1]),
        extruded=extruded,
        sequestered=extruded and draws[3] < HERNIATION.sequestered,
        migration_mm=float(np.clip(migration, -farthest, farthest)) if extruded else 0.0,
        herniation_t2_ms=HERNIATION.t2_ms.at(draws[4]),
        bulge_mm=min(state.bulge_mm, HERNIATION.bulge_mm.at(draws[5])),
    )


def _with_slip(
    rng: np.random.Generator, habits: ModeHabits, state: DiscState, level: int, latent: _Latent, person: Person
) -> DiscState:
    # women and the old have more degenerative slips
    at_first, first_years, years = SLIP.by_age
    by_age = float(np.clip(at_first + (person.age - first_years) / years, *SLIP.by_age_ends))
    weight = (SLIP.women if person.sex == "F" else SLIP.men) * by_age
    chance = habits.slip + habits.slip_times * float(SLIP.population[level]) * weight
    small = SLIP.unnoticed_mm.draw(rng)
    size = SLIP.size_mm.draw(rng)
    backward = rng.random() < SLIP.backward and size > SLIP.backward_from_mm
    if latent.coupled(rng, CORRELATION.slip) < ndtri(1.0 - min(chance, SLIP.most_chance)):
        return replace(state, slip_mm=small)
    return replace(state, slip_mm=-SLIP.backward_size * size if backward else size)


def _with_endplates(rng: np.random.Generator, habits: ModeHabits, state: DiscState, latent: _Latent) -> DiscState:
    threshold = ndtri(1.0 - habits.schmorl)
    depth = ENDPLATES.depth_mm.at(rng.uniform(size=2))
    places = [(ENDPLATES.across.draw(rng), ENDPLATES.along.draw(rng)) for _ in range(2)]
    present = [latent.coupled(rng, CORRELATION.schmorl) > threshold for _ in range(2)]
    return replace(
        state,
        schmorl_above_mm=float(depth[0]) if present[0] else 0.0,
        schmorl_below_mm=float(depth[1]) if present[1] else 0.0,
        schmorl_above_at=places[0],
        schmorl_below_at=places[1],
        schmorl_width=ENDPLATES.length.draw(rng),
    )


def _with_modic(rng: np.random.Generator, habits: ModeHabits, state: DiscState, latent: _Latent) -> DiscState:
    kind = int(rng.choice((1, 2, 3), p=habits.modic_types))
    extents = rng.uniform(*MODIC.extent_mm, size=2)
    front = MODIC.front.draw(rng)
    span = (front, min(MODIC.back, front + MODIC.length.draw(rng)))
    one_side = rng.random()
    lesion_depth = MODIC.lesion_mm.draw(rng)
    without_lesion = rng.random() > MODIC.lesion
    if latent.coupled(rng, CORRELATION.modic) < ndtri(1.0 - habits.modic):
        return state
    above = float(extents[0]) if one_side > MODIC.one_side else 0.0
    below = float(extents[1]) if one_side < 1.0 - MODIC.one_side else 0.0
    state = replace(state, modic_type=kind, modic_above_mm=above, modic_below_mm=below, modic_span=span)
    if kind != 1 or without_lesion or state.schmorl_above_mm or state.schmorl_below_mm:
        return state
    # type 1 nearly always lies beside an end-plate lesion
    if above:
        return replace(state, schmorl_above_mm=lesion_depth)
    return replace(state, schmorl_below_mm=lesion_depth)


def _with_sides(
    rng: np.random.Generator, habits: ModeHabits, state: DiscState, latent: _Latent, level: int
) -> DiscState:
    """Ligament, facet and foramen of both sides, which are alike but not the same; either side may be the worse one."""
    shared = np.array([latent.coupled(rng, CORRELATION.sides) for _ in range(4)])
    (common, own), (whole, each) = LATENT.sides, LATENT.worse_side
    worse = rng.standard_normal(2)
    lopsided = whole * worse[:, None] + each * rng.standard_normal((2, 4))
    flavum, facet, process, spur = (common * shared + own * lopsided).T
    flavum = habits.flavum_mm[0] + at_level(BY_LEVEL.flavum_mm, level) + habits.flavum_mm[1] * flavum
    facet = habits.facet[0] + at_level(BY_LEVEL.facet, level) + habits.facet[1] * facet
    growth = habits.foraminal_mm[0] + habits.foraminal_mm[1] * np.array([process, spur])
    longest = at_level(BY_LEVEL.longest_process_mm, level)
    return replace(
        state,
        flavum_mm_lr=_pair(flavum, *JOINTS.flavum_ends_mm),
        facet_scale_lr=_pair(facet, *JOINTS.scale_ends),
        superior_process_mm_lr=_pair(at_level(BY_LEVEL.process, level) * growth[0], 0.0, longest),
        foraminal_osteophyte_mm_lr=_pair(at_level(BY_LEVEL.spur, level) * growth[1], 0.0, JOINTS.longest_spur_mm),
        facet_angle_deg_lr=_pair(rng.normal(0.0, JOINTS.angle_sd_deg, size=2), *JOINTS.angle_ends_deg),
    )


def _pair(values: NDArray[np.float64], low: float, high: float) -> tuple[float, float]:
    left, right = np.clip(values, low, high)
    return float(left), float(right)


def _with_joint_findings(rng: np.random.Generator, state: DiscState, level: int) -> DiscState:
    """Fluid in a facet joint, more with a slip; rarely a synovial cyst, mostly at L4/L5."""
    unstable = state.slip_mm > SLIP.unstable_mm
    fluid = rng.gamma(*JOINTS.fluid_gamma, size=2) + (JOINTS.fluid_unstable_mm if unstable else 0.0)
    fluid = np.clip(fluid, *JOINTS.fluid_ends_mm)
    chance = (JOINTS.cyst_l4_l5 if level == 1 else JOINTS.cyst) * (JOINTS.cyst_unstable if unstable else 1.0)
    cysts = np.where(rng.uniform(size=2) < 0.5 * chance, rng.uniform(*JOINTS.cyst_mm, size=2), 0.0)
    return replace(
        state,
        facet_fluid_mm_lr=(float(fluid[0]), float(fluid[1])),
        facet_cyst_mm_lr=(float(cysts[0]), float(cysts[1])),
    )


def _with_course(rng: np.random.Generator, state: DiscState, course: Course, level: int) -> DiscState:
    slip = SLIP.isthmic_mm.draw(rng)
    if level == course.isthmic:
        state = replace(state, isthmic=True, slip_mm=slip)
    if level not in course.operated:
        return state
    state = replace(state, laminectomy=course.laminectomy)
    if not course.fused:
        return state
    return replace(
        state, fused=True, laminectomy=float(np.sign(course.laminectomy)), nucleus_t2_ms=OPERATION.fused_t2_ms
    )
