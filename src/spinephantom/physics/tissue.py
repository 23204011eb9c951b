"""Relaxation times and fat fractions of the tissues: what the scanner sees.

Values at 1.5 T (data/tissues.toml). Water and fat are two pools, which gives T1, T2 and STIR contrast from one table
without tuning any of them.
"""

from dataclasses import dataclass, replace

import numpy as np

from spinephantom.data import Array, record, rows
from spinephantom.patient.person import Person


@dataclass(frozen=True)
class Tissue:
    """Proton density of the water pool, its relaxation times at 1.5 T, and the fat that comes with it."""

    density: float
    t1_ms: float
    t2_ms: float
    fat: float = 0.0
    fat_density: float = 1.0


@dataclass(frozen=True)
class FatPool:
    """The fat of all tissues, and how far its frequency lies from water's."""

    t1_ms: float
    t2_ms: float
    shift_hz_per_tesla: float


@dataclass(frozen=True)
class Drying:
    """What becomes of a nucleus as it dries, from Pfirrmann V to I: points of curves over its T2."""

    t2_ms: Array
    density: Array
    t1_ms: Array


@dataclass(frozen=True)
class Variation:
    """How tissues differ between persons."""

    arch_fat_beyond_marrow: float
    most_arch_fat: float
    spread: float
    """Of T1 and T2, as a share up or down; ``wide_spread`` in widened studies."""
    wide_spread: float
    herniated_from_nucleus_ms: float


TABLE = rows(Tissue, "tissues", "tissues")
FAT = record(FatPool, "tissues", "fat")
VARIATION = record(Variation, "tissues", "persons")
_NUCLEUS = record(Drying, "tissues", "nucleus")


def nucleus(t2_ms: float) -> Tissue:
    """The nucleus of a disc with this T2: drier means less water and shorter T1.

    >>> nucleus(88.0).density
    0.8
    """
    density = float(np.interp(t2_ms, _NUCLEUS.t2_ms, _NUCLEUS.density))
    return Tissue(density, float(np.interp(t2_ms, _NUCLEUS.t2_ms, _NUCLEUS.t1_ms)), t2_ms)


def herniated(t2_ms: float) -> Tissue:
    """Herniated material with this T2."""
    return replace(TABLE["herniated"], t1_ms=nucleus(VARIATION.herniated_from_nucleus_ms).t1_ms, t2_ms=t2_ms)


def sample_tissues(rng: np.random.Generator, person: Person, spread: float) -> dict[str, Tissue]:
    """The table for one person: marrow and muscle fat of the person, times jittered by up to ``spread``."""
    tissues = dict(TABLE)
    tissues["marrow"] = replace(tissues["marrow"], fat=person.marrow_fat)
    arch_fat = min(person.marrow_fat + VARIATION.arch_fat_beyond_marrow, VARIATION.most_arch_fat)
    tissues["arch_marrow"] = replace(tissues["arch_marrow"], fat=arch_fat)
    for name in sorted(tissues):
        factors = rng.uniform(1.0 - spread, 1.0 + spread, 2)
        tissue = tissues[name]
        tissues[name] = replace(tissue, t1_ms=tissue.t1_ms * factors[0], t2_ms=tissue.t2_ms * factors[1])
    return tissues
