"""How disease comes together in numbers (data/disease.toml). Tables by level run upwards from L5/S1."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from spinephantom.data import Bell, Interval, record, rows
from spinephantom.patient.pathology import Mode
from spinephantom.shapes.frames import Array

Pair = tuple[float, float]


class Reach(NamedTuple):
    """From ``least`` to ``least + more``, by a share that is drawn."""

    least: float
    more: float

    def at(self, share: Any) -> Any:
        """The value at a share from 0 to 1, or at an array of them."""
        return self.least + self.more * share


class SkewedReach(NamedTuple):
    """As Reach, the share raised to a power: small values are more frequent than large ones."""

    least: float
    more: float
    power: float

    def at(self, share: Any) -> Any:
        """The value at a share from 0 to 1, or at an array of them."""
        return self.least + self.more * share**self.power


@dataclass(frozen=True)
class LatentHabits:
    """What the scores of study, level and side are made of, in standard deviations."""

    mean_age_years: float
    years_per_sd: float
    constitution_sd: float
    load: Array
    level_sd: float
    usual_load: float
    balanced: Pair
    loose: float
    sides: Pair
    worse_side: Pair


@dataclass(frozen=True)
class Correlations:
    """Of parameters with the level's score."""

    t2: float
    bulge: float
    osteophyte: float
    herniation: float
    slip: float
    schmorl: float
    modic: float
    sides: float


@dataclass(frozen=True)
class PfirrmannHabits:
    """Pfirrmann's grade as a number: its mean and spread, and what follows from it (points of curves)."""

    grade: Array
    t2_ms: Array
    height: Array
    t2_jitter: float
    height_jitter: float
    height_ends: Pair
    mean: float
    by_load: float
    spread: float
    worse_patients: float


@dataclass(frozen=True)
class DiscHabits:
    """Bulge, osteophytes, fissures and gas."""

    most_bulge_mm: float
    bulge_skew: Bell
    uneven_mm: Reach
    uneven_ends_mm: Pair
    osteophyte_mm: Bell
    fissure: float
    fissure_grades: Interval
    fissure_mm: Interval
    gas: float
    gas_from_grade: float
    gas_share: Reach


@dataclass(frozen=True)
class HerniationHabits:
    """Where herniations lie and how large they are."""

    population: Array
    zones: tuple[float, ...]
    zones_mm: tuple[Pair, ...]
    least_height: float
    extruded: float
    sequestered: float
    size_mm: SkewedReach
    width_mm: Reach
    migration_sd_mm: float
    farthest_mm: float
    t2_ms: Reach
    bulge_mm: Reach


@dataclass(frozen=True)
class SlipHabits:
    """Degenerative and isthmic slips."""

    population: Array
    women: float
    men: float
    by_age: tuple[float, float, float]
    by_age_ends: Pair
    most_chance: float
    unnoticed_mm: Bell
    size_mm: Interval
    backward: float
    backward_from_mm: float
    backward_size: float
    unstable_mm: float
    pars_defect: float
    pars_defect_l5: float
    isthmic_mm: Interval


@dataclass(frozen=True)
class EndplateHabits:
    """Schmorl nodes."""

    depth_mm: SkewedReach
    across: Interval
    along: Interval
    length: Interval


@dataclass(frozen=True)
class ModicHabits:
    """Extent of altered marrow."""

    extent_mm: Interval
    front: Interval
    length: Interval
    back: float
    one_side: float
    lesion: float
    lesion_mm: Interval


@dataclass(frozen=True)
class LevelHabits:
    """How levels differ from the mean of a mode, and what grows into the foramen."""

    bulge_mm: Array
    flavum_mm: Array
    facet: Array
    process: Array
    longest_process_mm: Array
    spur: Array


@dataclass(frozen=True)
class JointHabits:
    """Ligaments, facet joints and their cysts."""

    flavum_ends_mm: Pair
    scale_ends: Pair
    longest_spur_mm: float
    angle_sd_deg: float
    angle_ends_deg: Pair
    fluid_gamma: Pair
    fluid_unstable_mm: float
    fluid_ends_mm: Pair
    cyst: float
    cyst_l4_l5: float
    cyst_unstable: float
    cyst_mm: Interval


@dataclass(frozen=True)
class OperationHabits:
    """Laminectomy and fusion."""

    share: float
    both_sides: float
    fused: float
    fused_t2_ms: float


@dataclass(frozen=True)
class ModeHabits:
    """Marginal distributions of a mode: chances, and means and spreads that the latent scores move along."""

    herniation: float
    herniation_times: float
    slip: float
    slip_times: float
    schmorl: float
    modic: float
    modic_types: tuple[float, float, float]
    bulge_mm: Pair
    flavum_mm: Pair
    facet: Pair
    foraminal_mm: Pair


LATENT = record(LatentHabits, "disease", "latent")
CORRELATION = record(Correlations, "disease", "correlation")
PFIRRMANN = record(PfirrmannHabits, "disease", "pfirrmann")
DISC = record(DiscHabits, "disease", "disc")
HERNIATION = record(HerniationHabits, "disease", "herniation")
SLIP = record(SlipHabits, "disease", "slip")
ENDPLATES = record(EndplateHabits, "disease", "endplates")
MODIC = record(ModicHabits, "disease", "modic")
BY_LEVEL = record(LevelHabits, "disease", "levels")
JOINTS = record(JointHabits, "disease", "joints")
OPERATION = record(OperationHabits, "disease", "operation")
MODES = {Mode(name): habits for name, habits in rows(ModeHabits, "disease", "modes").items()}


def at_level(table: Array, level: int) -> float:
    """Of a table by level; above its end the last value holds."""
    return float(np.asarray(table)[min(level, len(table) - 1)])
