"""What is wrong with each disc: latent degeneration -> parameters of geometry and tissue.

One normal score per study (age and constitution) and one per level drive all parameters through a Gaussian copula, so
that narrowing, bulging, thick flavum and so on come together as they do in patients. The mode only changes the
marginal distributions. No grade is drawn here: grades are measured later, on the geometry these parameters make.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from scipy.special import ndtr, ndtri

N_DISCS = 10
"""L5/S1 up to T8/T9: as many as the label space names; the field of view decides which are seen."""


class Mode(StrEnum):
    """Which marginal distributions the parameters follow."""

    BALANCED = "balanced"
    SCREENING = "screening"


@dataclass(frozen=True)
class DiscState:
    """Parameters of one disc and its neighbours; u lateral (+ left), v antero-posterior (+ back), w along the spine.

    ``*_fraction`` are shares of the disc's half axes, pairs ``*_lr`` are (left, right).
    """

    nucleus_t2_ms: float = 180.0
    height_ratio: float = 1.0
    bulge_mm: float = 0.0
    bulge_skew: float = 0.0
    """Share of the bulge that leans to the left (negative: right)."""
    herniation_mm: float = 0.0
    herniation_u_mm: float = 0.0
    herniation_width_mm: float = 6.0
    extruded: bool = False
    migration_mm: float = 0.0
    herniation_t2_ms: float = 62.0
    slip_mm: float = 0.0
    """Forward shift of the upper body; negative is backward."""
    flavum_mm_lr: tuple[float, float] = (3.0, 3.0)
    facet_scale_lr: tuple[float, float] = (1.0, 1.0)
    osteophyte_mm: float = 0.0
    schmorl_above_mm: float = 0.0
    schmorl_below_mm: float = 0.0
    schmorl_above_at: tuple[float, float] = (0.0, 0.0)
    schmorl_below_at: tuple[float, float] = (0.0, 0.0)
    """Where the node sits, (u_fraction, v_fraction)."""
    schmorl_width: float = 1.2
    """Length of the node along the end-plate relative to its own radius."""
    modic_type: int = 0
    modic_above_mm: float = 0.0
    modic_below_mm: float = 0.0
    modic_span: tuple[float, float] = (-1.0, 1.0)
    """Front and back end of the altered marrow as v_fraction."""
    fissure_mm: float = 0.0
    facet_angle_deg_lr: tuple[float, float] = (0.0, 0.0)
    """Turn of the joint away from the level's usual angle; positive is more coronal."""
    facet_fluid_mm_lr: tuple[float, float] = (0.0, 0.0)
    facet_cyst_mm_lr: tuple[float, float] = (0.0, 0.0)
    """Diameter of a round synovial cyst at the inner edge of the joint."""
    bulge_second: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Added to the bulge towards the left foramen, in the middle and towards the right foramen, mm."""
    sequestered: bool = False
    """The herniated fragment has lost its connection with the disc."""
    superior_process_mm_lr: tuple[float, float] = (0.0, 0.0)
    """Growth of the superior articular process into the foramen."""
    foraminal_osteophyte_mm_lr: tuple[float, float] = (0.0, 0.0)
    gas: float = 0.0
    """Share of the nucleus that is gas (vacuum), 0 to 1."""
    isthmic: bool = False
    """The slip comes from a gap in the pars: the arch above stays behind."""
    laminectomy: float = 0.0
    """Share of the laminae taken away, by its sign on the left (+) or right (-); 1 and -1 are both sides."""
    fused: bool = False
    """Screws in both bodies and bone between them."""


# index 0 is L5/S1; load of each level on the study's degeneration (reference, 5.6)
_LOAD = np.array([1.10, 1.15, 0.80, 0.65, 0.50, 0.40, 0.40, 0.40, 0.35, 0.30])
# Pfirrmann as a continuous variable -> T2 of the nucleus and share of the healthy height (reference, 2.2 and 5.5)
_PFIRRMANN = np.array([0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5])
_T2_MS = np.array([212, 190, 165, 133, 105, 86, 68, 55, 42, 35, 29], float)
_HEIGHT = np.array([1.02, 1.0, 1.0, 0.99, 0.96, 0.91, 0.84, 0.74, 0.60, 0.45, 0.36])
# probability that something is there at all; screening per level, balanced the same everywhere
_HERNIATION = np.array([0.12, 0.11, 0.04, 0.025, 0.012, 0.008, 0.006, 0.005, 0.003, 0.002])
_SLIP = np.array([0.035, 0.05, 0.02, 0.01, 0.008, 0.004, 0.003, 0.002, 0.001, 0.001])
_MODIC_TYPES = {Mode.SCREENING: (0.25, 0.68, 0.07), Mode.BALANCED: (0.32, 0.40, 0.28)}


def _chance(mode: Mode, screening: float, balanced: float) -> float:
    return balanced if mode is Mode.BALANCED else screening


def study_score(rng: np.random.Generator, age: float) -> float:
    """Standard-normal-like degeneration of the whole spine, given age in years."""
    return float((age - 50.0) / 22.0 + 0.75 * rng.standard_normal())


def _pfirrmann(mode: Mode, latent: float, level: int) -> float:
    """Continuous Pfirrmann grade (0.5 to 5.5); balanced mode makes it uniform, screening follows level and age."""
    if mode is Mode.BALANCED:
        return 0.5 + 5.0 * float(ndtr(latent))
    return float(np.clip(2.05 + 0.45 * _LOAD[level] + 0.95 * latent, 0.5, 5.5))


def _height_ratio(rng: np.random.Generator, pfirrmann: float) -> float:
    ratio = float(np.interp(pfirrmann, _PFIRRMANN, _HEIGHT))
    return float(np.clip(ratio * rng.normal(1.0, 0.06), 0.28, 1.15))


def _coupled(rng: np.random.Generator, latent: float, correlation: float) -> float:
    return float(correlation * latent + np.sqrt(1.0 - correlation**2) * rng.standard_normal())


def _disc_tissue(rng: np.random.Generator, mode: Mode, latent: float, level: int) -> DiscState:
    grade = _pfirrmann(mode, latent, level)
    t2 = float(np.interp(grade, _PFIRRMANN, _T2_MS)) * float(rng.normal(1.0, 0.02))
    bulge = 1.9 * (_coupled(rng, latent, 0.65) - _chance(mode, 0.15, -0.15))
    return DiscState(
        nucleus_t2_ms=t2,
        height_ratio=_height_ratio(rng, grade),
        bulge_mm=float(np.clip(bulge + 0.8, 0.0, 5.5)),
        bulge_skew=float(np.clip(rng.normal(0.0, 0.12), -0.25, 0.25)),
        osteophyte_mm=float(np.clip(1.2 * _coupled(rng, latent, 0.7) - 0.3, 0.0, 3.6)),
        fissure_mm=float(rng.uniform(2.0, 4.0)) if 1.8 < grade < 4.2 and rng.random() < 0.2 else 0.0,
    )


def _with_herniation(rng: np.random.Generator, mode: Mode, state: DiscState, level: int, latent: float) -> DiscState:
    chance = _chance(mode, float(_HERNIATION[level]), 0.2)
    threshold = _quantile(1.0 - chance)
    draws = rng.uniform(size=4)
    material_t2 = float(rng.uniform(45.0, 110.0))
    if _coupled(rng, latent, 0.25) < threshold:
        return state
    # paracentral most often; sagittal slices far off the midline would be needed for the rarer lateral ones
    offset = float(np.clip(rng.normal(0.0, 4.5), -11.0, 11.0))
    return replace(
        state,
        herniation_mm=2.8 + 6.4 * float(draws[0]) ** 1.3,
        herniation_u_mm=offset,
        herniation_width_mm=4.5 + 2.5 * float(draws[1]),
        extruded=bool(draws[2] < 0.35),
        migration_mm=float((draws[3] - 0.5) * 16.0),
        herniation_t2_ms=material_t2,
        bulge_mm=min(state.bulge_mm, 2.0),
    )


def _quantile(p: float) -> float:
    return float(ndtri(p))


def _with_slip(rng: np.random.Generator, mode: Mode, state: DiscState, level: int, latent: float) -> DiscState:
    chance = _chance(mode, float(_SLIP[level]), 0.10)
    small = float(np.clip(rng.normal(0.0, 0.6), -1.6, 1.6))
    size = float(rng.uniform(3.4, 10.0))
    backward = rng.random() < 0.2
    if _coupled(rng, latent, 0.35) < _quantile(1.0 - chance):
        return replace(state, slip_mm=small)
    return replace(state, slip_mm=-0.55 * size if backward and size > 6.5 else size)


def _with_endplates(rng: np.random.Generator, mode: Mode, state: DiscState, latent: float) -> DiscState:
    threshold = _quantile(1.0 - _chance(mode, 0.10, 0.30))
    depth = 2.3 + 3.2 * rng.uniform(size=2) ** 1.5
    places = [(float(rng.uniform(-0.3, 0.3)), float(rng.uniform(-0.55, 0.55))) for _ in range(2)]
    present = [_coupled(rng, latent, 0.3) > threshold for _ in range(2)]
    return replace(
        state,
        schmorl_above_mm=float(depth[0]) if present[0] else 0.0,
        schmorl_below_mm=float(depth[1]) if present[1] else 0.0,
        schmorl_above_at=places[0],
        schmorl_below_at=places[1],
        schmorl_width=float(rng.uniform(0.9, 2.2)),
    )


def _with_modic(rng: np.random.Generator, mode: Mode, state: DiscState, latent: float) -> DiscState:
    kind = int(rng.choice((1, 2, 3), p=_MODIC_TYPES[mode]))
    extents = rng.uniform(4.0, 14.0, size=2)
    front = float(rng.uniform(-1.1, -0.2))
    span = (front, float(min(1.1, front + rng.uniform(1.0, 2.0))))
    one_side = rng.random()
    lesion_depth = float(rng.uniform(2.6, 5.0))
    without_lesion = rng.random() > 0.8
    if _coupled(rng, latent, 0.4) < _quantile(1.0 - _chance(mode, 0.10, 0.40)):
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


def _with_posterior(rng: np.random.Generator, mode: Mode, state: DiscState, latent: float) -> DiscState:
    thick, large = _chance(mode, 3.5, 4.9), _chance(mode, 1.06, 1.18)
    spread = _chance(mode, 1.2, 2.2)
    flavum = [float(np.clip(thick + spread * _coupled(rng, latent, 0.6), 2.0, 9.0)) for _ in range(2)]
    facet = [float(np.clip(large + 0.17 * _coupled(rng, latent, 0.6), 0.85, 1.7)) for _ in range(2)]
    return replace(state, flavum_mm_lr=(flavum[0], flavum[1]), facet_scale_lr=(facet[0], facet[1]))


def sample_discs(rng: np.random.Generator, mode: Mode, age: float) -> tuple[DiscState, ...]:
    """States of all discs, from L5/S1 upwards, for a person of this age in years."""
    score = study_score(rng, age)
    return tuple(_sample_disc(rng, mode, score, level) for level in range(N_DISCS))


def _sample_disc(rng: np.random.Generator, mode: Mode, score: float, level: int) -> DiscState:
    if mode is Mode.BALANCED:
        latent = float(0.6 * score / 1.1 + 0.8 * rng.standard_normal())
    else:
        latent = float(score * _LOAD[level] + 0.6 * rng.standard_normal())
    state = _disc_tissue(rng, mode, latent, level)
    unit = latent if mode is Mode.BALANCED else latent / float(np.hypot(1.1 * _LOAD[level], 0.6))
    state = _with_herniation(rng, mode, state, level, unit)
    state = _with_slip(rng, mode, state, level, unit)
    state = _with_endplates(rng, mode, state, unit)
    state = _with_modic(rng, mode, state, unit)
    return _with_posterior(rng, mode, state, unit)


def mirrored_state(state: DiscState) -> DiscState:
    """The same disc seen in a mirror: left and right change places."""

    def swap(at: tuple[float, float]) -> tuple[float, float]:
        return (-at[0], at[1])

    return replace(
        state,
        bulge_skew=-state.bulge_skew,
        herniation_u_mm=-state.herniation_u_mm,
        flavum_mm_lr=state.flavum_mm_lr[::-1],
        facet_scale_lr=state.facet_scale_lr[::-1],
        facet_angle_deg_lr=state.facet_angle_deg_lr[::-1],
        facet_fluid_mm_lr=state.facet_fluid_mm_lr[::-1],
        facet_cyst_mm_lr=state.facet_cyst_mm_lr[::-1],
        bulge_second=state.bulge_second[::-1],
        superior_process_mm_lr=state.superior_process_mm_lr[::-1],
        foraminal_osteophyte_mm_lr=state.foraminal_osteophyte_mm_lr[::-1],
        laminectomy=-state.laminectomy,
        schmorl_above_at=swap(state.schmorl_above_at),
        schmorl_below_at=swap(state.schmorl_below_at),
    )
