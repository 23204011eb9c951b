"""Relaxation times and fat fractions of the tissues: what the scanner sees.

Values at 1.5 T. Water and fat are two pools,
``signal = (1 - fat) * density * f(t1, t2) + fat * fat_density * f(290, 150)``, which gives T1, T2 and STIR contrast
from one table without tuning any of them.
"""

from dataclasses import dataclass, replace

import numpy as np

from spinephantom.patient.person import Person

FAT_T1_MS, FAT_T2_MS = 290.0, 150.0
"""Fat keeps its signal in fast spin echo (J-coupling is suppressed), hence the long effective T2."""


@dataclass(frozen=True)
class Tissue:
    """Proton density of the water pool, its relaxation times at 1.5 T, and the fat that comes with it."""

    density: float
    t1_ms: float
    t2_ms: float
    fat: float = 0.0
    fat_density: float = 1.0


TABLE = {
    "air": Tissue(0.0, 1000.0, 50.0),
    "marrow": Tissue(0.76, 900.0, 56.0, 0.40, 0.85),
    "arch_marrow": Tissue(0.68, 900.0, 52.0, 0.50, 0.85),
    "cortical": Tissue(0.06, 700.0, 8.0),
    "csf": Tissue(1.0, 4200.0, 1900.0),
    "cord": Tissue(0.78, 900.0, 78.0),
    "root": Tissue(0.80, 1000.0, 95.0),
    "fat": Tissue(1.0, 290.0, 150.0, 1.0),
    "muscle": Tissue(0.80, 1000.0, 42.0, 0.05),
    "flavum": Tissue(0.50, 850.0, 30.0, 0.06),
    "ligament": Tissue(0.35, 800.0, 22.0, 0.0),
    "interspinous": Tissue(0.60, 900.0, 36.0, 0.35),
    "blood": Tissue(0.04, 1500.0, 60.0),
    "vein": Tissue(0.85, 1500.0, 130.0, 0.15),
    "bowel": Tissue(0.78, 1050.0, 62.0, 0.05),
    "stool": Tissue(0.55, 600.0, 45.0, 0.15),
    "kidney": Tissue(0.86, 950.0, 88.0),
    "slow_blood": Tissue(0.16, 1500.0, 120.0),
    "fluid": Tissue(0.95, 2600.0, 420.0),
    "inner_annulus": Tissue(0.60, 900.0, 44.0),
    "outer_annulus": Tissue(0.35, 700.0, 18.0),
    "nucleus": Tissue(0.90, 1350.0, 190.0),
    "herniated": Tissue(0.70, 1000.0, 62.0),
    "modic_1": Tissue(0.90, 1350.0, 115.0, 0.10, 0.85),
    "modic_2": Tissue(0.60, 900.0, 50.0, 0.75, 0.95),
    "modic_3": Tissue(0.15, 700.0, 20.0, 0.10, 0.85),
}

# nucleus by T2: density and T1 fall with it (reference table, grades V to I)
_NUCLEUS_T2_MS = (36.0, 55.0, 88.0, 130.0, 200.0)
_NUCLEUS_DENSITY = (0.45, 0.70, 0.80, 0.86, 0.90)
_NUCLEUS_T1_MS = (800.0, 950.0, 1100.0, 1250.0, 1350.0)


def nucleus(t2_ms: float) -> Tissue:
    """The nucleus of a disc with this T2: drier means less water and shorter T1.

    >>> nucleus(88.0).density
    0.8
    """
    density = float(np.interp(t2_ms, _NUCLEUS_T2_MS, _NUCLEUS_DENSITY))
    return Tissue(density, float(np.interp(t2_ms, _NUCLEUS_T2_MS, _NUCLEUS_T1_MS)), t2_ms)


def sample_tissues(rng: np.random.Generator, person: Person, spread: float) -> dict[str, Tissue]:
    """The table for one person: marrow and muscle fat of the person, times jittered by up to ``spread``."""
    tissues = dict(TABLE)
    tissues["marrow"] = replace(tissues["marrow"], fat=person.marrow_fat)
    tissues["arch_marrow"] = replace(tissues["arch_marrow"], fat=min(person.marrow_fat + 0.12, 0.85))
    for name in sorted(tissues):
        factors = rng.uniform(1.0 - spread, 1.0 + spread, 2)
        tissue = tissues[name]
        tissues[name] = replace(tissue, t1_ms=tissue.t1_ms * factors[0], t2_ms=tissue.t2_ms * factors[1])
    return tissues
