"""Who is scanned: age, sex, build, posture, canal and fat, all independent of disc disease."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from spinephantom.patient.pathology import N_DISCS, Mode

Transitional = Literal["none", "sacralised_l5", "lumbarised_s1", "extra"]
"""How the lowest segments differ from five lumbar vertebrae on a sacrum; "extra" is a sixth lumbar vertebra."""
LIPOMATOSIS = {Mode.RSNA: 0.04, Mode.BALANCED: 0.30, Mode.SCREENING: 0.04}
"""Share of persons with epidural lipomatosis. Balanced sets hold more: seen too seldom, a sac thinned by fat alone is
taken for a healthy one."""


@dataclass(frozen=True)
class Person:
    """Who is scanned: what does not follow from disc disease."""

    age: float
    sex: str
    scale: float
    """Size of the bones relative to the mean."""
    slenderness: float
    """Height of the bodies relative to their depth, 1 on average."""
    lean_deg: float
    """Backward lean of the line from S1 to T12 as the person lies in the scanner."""
    lordosis_scale: float
    cobb_deg: tuple[float, ...]
    """Lateral tilt of each disc."""
    rotation_deg: tuple[float, ...]
    canal_scale: float
    sac_posterior_fat_mm: float
    conus_z_mm: float
    """Tip of the cord above the disc L1/L2."""
    subcutaneous_mm: float
    muscle_fat: float
    marrow_fat: float
    s1_s2_disc_mm: float
    sac_end: float
    """Where the sac ends, in sacral segments below the end-plate of S1."""
    lipomatosis_mm: float = 0.0
    """Epidural fat beyond the usual, pressing on the sac."""
    transitional: Transitional = "none"
    fracture: tuple[int, float] = (-1, 0.0)
    """Vertebra (0 is the lowest lumbar one, -1 none) and the share of its height it has lost."""
    haemangioma: tuple[int, float] = (-1, 0.0)
    """Vertebra (-1 none) and radius in mm."""
    tarlov_mm: float = 0.0
    """Diameter of a cyst of a sacral root, 0 for none."""
    prone: bool = False


def sample_person(rng: np.random.Generator, mode: Mode = Mode.RSNA) -> Person:
    """A person drawn from published means and spreads; nothing here depends on disc disease."""
    age = float(rng.uniform(20.0, 82.0))
    sex = "F" if rng.random() < 0.57 else "M"
    n = N_DISCS
    cobb = rng.normal(0.0, 0.55, n)
    if rng.random() < 0.08:
        cobb += rng.uniform(10.0, 22.0) * rng.choice((-1.0, 1.0)) * np.sin(np.linspace(0.0, 2.0 * np.pi, n)) / n * 2.0
    return Person(
        age=age,
        sex=sex,
        scale=float((1.04 if sex == "M" else 0.95) * np.clip(rng.normal(1.02, 0.05), 0.88, 1.16)),
        slenderness=float(np.clip(rng.normal(1.0, 0.045), 0.88, 1.12)),
        lean_deg=float(np.clip(rng.normal(-1.0, 4.0), -9.0, 8.0)),
        lordosis_scale=float(np.clip(rng.normal(1.22, 0.2), 0.6, 1.7)),
        cobb_deg=tuple(float(c) for c in cobb),
        rotation_deg=tuple(float(r) for r in 0.5 * cobb + rng.normal(0.0, 0.4, n)),
        canal_scale=_canal_scale(rng),
        sac_posterior_fat_mm=float(rng.uniform(2.0, 6.0)),
        conus_z_mm=float(np.clip(rng.normal(3.0, 12.0), -25.0, 35.0)),
        subcutaneous_mm=float(np.clip(rng.gamma(4.0, 4.5), 5.0, 42.0)),
        muscle_fat=float(np.clip(0.06 + 0.0045 * (age - 20.0) + rng.normal(0.0, 0.07), 0.03, 0.55)),
        marrow_fat=float(np.clip(0.28 + 0.004 * (age - 20.0) + rng.normal(0.0, 0.06), 0.15, 0.68)),
        s1_s2_disc_mm=float(rng.uniform(1.2, 4.2)),
        sac_end=float(np.clip(rng.normal(1.7, 0.35), 0.9, 2.6)),
        lipomatosis_mm=float(rng.uniform(1.5, 6.0)) if rng.random() < LIPOMATOSIS[mode] else 0.0,
        transitional=_transitional(rng),
        fracture=_fracture(rng, age),
        haemangioma=_somewhere(rng, 0.10, 4.0, 11.0),
        tarlov_mm=float(rng.uniform(6.0, 22.0)) if rng.random() < 0.04 else 0.0,
        prone=bool(rng.random() < 0.02),
    )


def _canal_scale(rng: np.random.Generator) -> float:
    """Congenitally narrow in 5 %, wide in as many, otherwise around the mean; independent of disease."""
    kind = rng.random()
    if kind < 0.05:
        return float(rng.uniform(0.75, 0.82))
    if kind < 0.10:
        return float(rng.uniform(1.15, 1.25))
    return float(np.clip(rng.normal(1.0, 0.085), 0.8, 1.22))


def _transitional(rng: np.random.Generator) -> Transitional:
    """Eight in a hundred have a transitional vertebra or a sixth lumbar one (reference, 1.4 and 6)."""
    kinds: tuple[Transitional, ...] = ("none", "sacralised_l5", "lumbarised_s1", "extra")
    return kinds[int(rng.choice(4, p=(0.92, 0.04, 0.025, 0.015)))]


def _fracture(rng: np.random.Generator, age: float) -> tuple[int, float]:
    """An old compression fracture, rare in the young, mostly at the thoracolumbar junction."""
    present = rng.random() < np.interp(age, (40.0, 60.0, 80.0), (0.01, 0.04, 0.12))
    vertebra = int(rng.choice((1, 2, 3, 4, 5, 6), p=(0.08, 0.12, 0.18, 0.30, 0.22, 0.10)))
    loss = float(rng.uniform(0.15, 0.5))
    return (vertebra, loss) if present else (-1, 0.0)


def _somewhere(rng: np.random.Generator, chance: float, low: float, high: float) -> tuple[int, float]:
    """A finding of this size range in one of the vertebrae L5 to T11, or (-1, 0)."""
    vertebra, size = int(rng.integers(0, 7)), float(rng.uniform(low, high))
    return (vertebra, size) if rng.random() < chance else (-1, 0.0)


def mirrored_person(person: Person) -> Person:
    """The same person seen in a mirror."""
    return replace(
        person,
        cobb_deg=tuple(-c for c in person.cobb_deg),
        rotation_deg=tuple(-r for r in person.rotation_deg),
    )
