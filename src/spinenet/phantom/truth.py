"""Grades measured on the geometry and tissue of the phantom, with the distance of every measurement to its cut.

Nothing here reads how the disc was drawn except through its signed distance functions, its frame and its tissue.
"""

from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import LEVELS, TARGET, TARGET_INDEX, TARGETS, UNKNOWN
from spinenet.phantom.measure import HERNIATION_MM, Measurements

T2_CUTS_MS = (165.0, 105.0, 68.0, 42.0)
"""Nucleus T2 above which the disc is Pfirrmann I, II, III, IV."""
COLLAPSED, NARROWED = 0.50, 0.75
"""Share of the normal height below which a disc is Pfirrmann V whatever its signal, and narrowed."""
BULGE_SHARE = HERNIATION_SHARE = 0.25
SLIP_MM, SLIP_SHARE = 3.0, 0.08
SCHMORL_MM = 2.0
MODIC_MM2 = 40.0
CANAL_RATIO = (2.0 / 3.0, 1.0 / 3.0)
CANAL_AREA_MM2 = (75.0, 50.0)
"""Area of the sac below which the canal is at least moderately, severely narrowed whatever the ratio."""


def _pfirrmann(m: Measurements) -> int:
    if m.height_ratio < COLLAPSED:
        return 5
    return 1 + sum(m.nucleus_t2_ms <= cut for cut in T2_CUTS_MS)


def _canal_grade(m: Measurements) -> int:
    by_ratio = sum(m.canal_ratio < cut for cut in CANAL_RATIO)
    return max(by_ratio, sum(m.canal_area_mm2 < cut for cut in CANAL_AREA_MM2))


def grade(m: Measurements) -> dict[str, int]:
    """Published grades by target name, as the rules of the reference (5.5) put them."""
    slipped = abs(m.slip_mm) > SLIP_MM or abs(m.slip_mm) / m.depth_mm > SLIP_SHARE
    return {
        "pfirrmann": _pfirrmann(m),
        "modic": m.modic_type if m.modic_area_mm2 >= MODIC_MM2 else 0,
        "herniation": int(m.local_overhang_mm > HERNIATION_MM and m.local_share < HERNIATION_SHARE),
        "bulging": int(m.overhang_share > BULGE_SHARE),
        "narrowing": int(m.height_ratio < NARROWED),
        "spondylolisthesis": int(slipped),
        "endplate_upper": int(m.schmorl_above_mm > SCHMORL_MM),
        "endplate_lower": int(m.schmorl_below_mm > SCHMORL_MM),
        "canal_stenosis": _canal_grade(m),
    }


def margins(m: Measurements) -> dict[str, float]:
    """Distance of each deciding measurement to the nearest cut, as a share of the cut: small means borderline."""

    def nearest(value: float, *cuts: float) -> float:
        return min(abs(value - cut) / cut for cut in cuts)

    return {
        "pfirrmann": min(nearest(m.nucleus_t2_ms, *T2_CUTS_MS), nearest(m.height_ratio, COLLAPSED)),
        "modic": nearest(m.modic_area_mm2, MODIC_MM2),
        "herniation": nearest(m.local_overhang_mm, HERNIATION_MM),
        "bulging": nearest(m.overhang_share, BULGE_SHARE),
        "narrowing": nearest(m.height_ratio, NARROWED),
        "spondylolisthesis": nearest(abs(m.slip_mm), min(SLIP_MM, SLIP_SHARE * m.depth_mm)),
        "endplate_upper": nearest(m.schmorl_above_mm, SCHMORL_MM),
        "endplate_lower": nearest(m.schmorl_below_mm, SCHMORL_MM),
        "canal_stenosis": min(nearest(m.canal_ratio, *CANAL_RATIO), nearest(m.canal_area_mm2, *CANAL_AREA_MM2)),
    }


def grade_table(grades: dict[int, dict[str, int]]) -> NDArray[np.int64]:
    """(len(LEVELS), len(TARGETS)) grade indices, UNKNOWN where nothing was measured."""
    table = np.full((len(LEVELS), len(TARGETS)), UNKNOWN)
    for level, values in grades.items():
        for name, value in values.items():
            table[level, TARGET_INDEX[name]] = TARGET[name].index_of(value)
    return table


def as_record(m: Measurements) -> dict[str, object]:
    """Everything about one level for the truth file: measurements, grades, margins."""
    rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(m).items()}
    return {
        "measurements": rounded,
        "grades": grade(m),
        "margins": {name: round(value, 4) for name, value in margins(m).items()},
    }
