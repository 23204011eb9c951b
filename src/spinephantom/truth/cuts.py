"""Where one grade ends and the next begins (data/grading.toml)."""

from dataclasses import dataclass

from spinephantom.data import record

Pair = tuple[float, float]


@dataclass(frozen=True)
class OutlineCuts:
    """What stands out beyond the rims of the bodies: a little over much of the circumference, or much over a little."""

    overhang_mm: float
    bulge: float
    herniation_mm: float
    herniation: float
    dome: float


@dataclass(frozen=True)
class DiscCuts:
    """Signal and height of the disc, slip, and what happens to the end-plates."""

    t2_ms: tuple[float, ...]
    collapsed: float
    narrowed: float
    slip_mm: float
    slip: float
    schmorl_mm: float
    modic_mm2: float
    meyerding: tuple[float, ...]


@dataclass(frozen=True)
class CanalCuts:
    """The sac: what is left of it, its area, and how crowded the strands are.

    Crowding counts as stenosis only where something narrows the sac: at L1/L2 strands fill as much of a healthy one.
    """

    ratio: Pair
    area_mm2: Pair
    packed: Pair
    narrowed: float
    schizas_a: tuple[float, ...]
    schizas_d_mm2: float


@dataclass(frozen=True)
class ForamenCuts:
    """The foramen and the root that leaves through it."""

    fat_lost_mm: float
    overlap: Pair
    slit_mm: float
    deepest_mm: float


@dataclass(frozen=True)
class RecessCuts:
    """The lateral recess and the root that passes it."""

    mild_mm: float
    depth_mm: Pair
    displaced_mm: float
    overlap: float


OUTLINE = record(OutlineCuts, "grading", "outline")
DISC = record(DiscCuts, "grading", "disc")
CANAL = record(CanalCuts, "grading", "canal")
FORAMEN = record(ForamenCuts, "grading", "foramen")
RECESS = record(RecessCuts, "grading", "recess")
