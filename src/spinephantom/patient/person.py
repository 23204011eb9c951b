"""Who is scanned: age, sex, build, posture, canal and fat, all independent of disc disease."""

from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spinephantom.data import Bell, Interval, record
from spinephantom.patient.pathology import N_DISCS, Mode

Transitional = Literal["none", "sacralised_l5", "lumbarised_s1", "extra"]
"""How the lowest segments differ from five lumbar vertebrae on a sacrum; "extra" is a sixth lumbar vertebra."""


class Ageing(NamedTuple):
    """What grows with age: at 20 years, more each year, standard deviation, least and most."""

    at_20: float
    per_year: float
    sd: float
    low: float
    high: float

    def draw(self, rng: np.random.Generator, age: float) -> float:
        """A value at an age in years."""
        expected = self.at_20 + self.per_year * (age - 20.0)
        return float(np.clip(expected + rng.normal(0.0, self.sd), self.low, self.high))


@dataclass(frozen=True)
class Build:
    """Age, sex, size and posture."""

    age_years: Interval
    women: float
    scale_men: float
    scale_women: float
    scale: Bell
    slenderness: Bell
    lean_deg: Bell
    lordosis_scale: Bell
    tilt_sd_deg: float
    scoliosis: float
    scoliosis_deg: Interval
    rotation_per_tilt: float
    rotation_sd_deg: float
    conus_mm: Bell
    sac_end: Bell
    s1_s2_disc_mm: Interval
    prone: float


@dataclass(frozen=True)
class CanalSizes:
    """Size of the canal, relative to the mean."""

    narrow: float
    narrow_scale: Interval
    wide: float
    wide_scale: Interval
    scale: Bell


@dataclass(frozen=True)
class Fat:
    """Fat in the canal, under the skin, in muscles and marrow."""

    posterior_mm: Interval
    lipomatosis: dict[str, float]
    lipomatosis_mm: Interval
    subcutaneous_shape: float
    subcutaneous_scale_mm: float
    subcutaneous_mm: Interval
    muscle: Ageing
    marrow: Ageing


@dataclass(frozen=True)
class Incidental:
    """What is found besides disease of discs."""

    transitional: dict[str, float]
    fracture_age_years: tuple[float, ...]
    fracture: tuple[float, ...]
    fractured: tuple[float, ...]
    fracture_loss: Interval
    haemangioma: float
    haemangioma_mm: Interval
    tarlov: float
    tarlov_mm: Interval


BUILD = record(Build, "person", "build")
CANAL = record(CanalSizes, "person", "canal")
FAT = record(Fat, "person", "fat")
INCIDENTAL = record(Incidental, "person", "incidental")


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
    """A person drawn from published means and spreads (data/person.toml); nothing depends on disc disease."""
    age = BUILD.age_years.draw(rng)
    sex = "F" if rng.random() < BUILD.women else "M"
    cobb = _tilts(rng)
    return Person(
        age=age,
        sex=sex,
        scale=(BUILD.scale_men if sex == "M" else BUILD.scale_women) * BUILD.scale.draw(rng),
        slenderness=BUILD.slenderness.draw(rng),
        lean_deg=BUILD.lean_deg.draw(rng),
        lordosis_scale=BUILD.lordosis_scale.draw(rng),
        cobb_deg=tuple(float(c) for c in cobb),
        rotation_deg=tuple(
            float(r) for r in BUILD.rotation_per_tilt * cobb + rng.normal(0.0, BUILD.rotation_sd_deg, N_DISCS)
        ),
        canal_scale=_canal_scale(rng),
        sac_posterior_fat_mm=FAT.posterior_mm.draw(rng),
        conus_z_mm=BUILD.conus_mm.draw(rng),
        subcutaneous_mm=float(
            np.clip(rng.gamma(FAT.subcutaneous_shape, FAT.subcutaneous_scale_mm), *FAT.subcutaneous_mm)
        ),
        muscle_fat=FAT.muscle.draw(rng, age),
        marrow_fat=FAT.marrow.draw(rng, age),
        s1_s2_disc_mm=BUILD.s1_s2_disc_mm.draw(rng),
        sac_end=BUILD.sac_end.draw(rng),
        lipomatosis_mm=FAT.lipomatosis_mm.draw(rng) if rng.random() < FAT.lipomatosis[mode] else 0.0,
        transitional=_transitional(rng),
        fracture=_fracture(rng, age),
        haemangioma=_somewhere(rng, INCIDENTAL.haemangioma, INCIDENTAL.haemangioma_mm),
        tarlov_mm=INCIDENTAL.tarlov_mm.draw(rng) if rng.random() < INCIDENTAL.tarlov else 0.0,
        prone=bool(rng.random() < BUILD.prone),
    )


def _tilts(rng: np.random.Generator) -> NDArray[np.float64]:
    """Tilt of each disc to the side in degrees; with scoliosis a double curve besides."""
    cobb = rng.normal(0.0, BUILD.tilt_sd_deg, N_DISCS)
    if rng.random() < BUILD.scoliosis:
        angle = BUILD.scoliosis_deg.draw(rng) * rng.choice((-1.0, 1.0))
        cobb += angle * np.sin(np.linspace(0.0, 2.0 * np.pi, N_DISCS)) / N_DISCS * 2.0
    return cobb


def _canal_scale(rng: np.random.Generator) -> float:
    """Congenitally narrow in some, wide in as many, otherwise around the mean; independent of disease."""
    kind = rng.random()
    if kind < CANAL.narrow:
        return CANAL.narrow_scale.draw(rng)
    if kind < CANAL.narrow + CANAL.wide:
        return CANAL.wide_scale.draw(rng)
    return CANAL.scale.draw(rng)


def _transitional(rng: np.random.Generator) -> Transitional:
    """Whether there is a transitional vertebra or a sixth lumbar one."""
    kinds: list[Any] = list(INCIDENTAL.transitional)
    found: Transitional = kinds[int(rng.choice(len(kinds), p=tuple(INCIDENTAL.transitional.values())))]
    return found


def _fracture(rng: np.random.Generator, age: float) -> tuple[int, float]:
    """An old compression fracture, rare in the young, mostly at the thoracolumbar junction."""
    present = rng.random() < np.interp(age, INCIDENTAL.fracture_age_years, INCIDENTAL.fracture)
    vertebra = int(rng.choice(range(1, 1 + len(INCIDENTAL.fractured)), p=INCIDENTAL.fractured))
    loss = INCIDENTAL.fracture_loss.draw(rng)
    return (vertebra, loss) if present else (-1, 0.0)


def _somewhere(rng: np.random.Generator, chance: float, size: Interval) -> tuple[int, float]:
    """A finding of this size range in one of the vertebrae L5 to T11, or (-1, 0)."""
    vertebra, drawn = int(rng.integers(0, 7)), size.draw(rng)
    return (vertebra, drawn) if rng.random() < chance else (-1, 0.0)


def mirrored_person(person: Person) -> Person:
    """The same person seen in a mirror."""
    return replace(
        person,
        cobb_deg=tuple(-c for c in person.cobb_deg),
        rotation_deg=tuple(-r for r in person.rotation_deg),
    )
