"""Grades that follow from measurements, with the distance of every grade to the next.

Every rule is written in signed margins: how far a measurement is from a cut as a share of the cut, negative once the
cut is passed towards disease. "Either" is then the smaller of two margins and "both" the larger one; the grade is the
number of negative margins, and the smallest of them tells how borderline it is. The rules in words are written in
docs/reference/phantom.md.
"""

from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import LEVELS, TARGET, TARGET_INDEX, TARGETS, UNKNOWN
from spinephantom.patient.pathology import LUMBAR_DISCS
from spinephantom.truth.cuts import CANAL, DISC, FORAMEN, OUTLINE, RECESS
from spinephantom.truth.morphometry import Measurements

Margins = tuple[float, ...]
SEVERITIES = ("normal", "mild", "moderate", "severe")
"""Of stenosis in four grades (Lee, Schizas, Bartynski)."""
THREE_OF_FOUR = (0, 0, 1, 2)
"""RSNA's three grades of the four; from moderate on there is stenosis in two."""


def _below(value: float, *cuts: float) -> Margins:
    return tuple(value / cut - 1.0 for cut in cuts)


def _above(value: float, cut: float) -> float:
    return 1.0 - value / cut


def _canal(m: Measurements) -> Margins:
    ratio, area = _below(m.canal_ratio, *CANAL.ratio), _below(m.canal_area_mm2, *CANAL.area_mm2)
    crowded, filled = (_above(m.packing, cut) for cut in CANAL.packed)
    narrow = min(ratio[0], area[0])
    moderate = min(narrow, max(crowded, *_below(m.canal_ratio, CANAL.narrowed)))
    return moderate, min(ratio[1], area[1], max(narrow, filled))


def _foramen(m: Measurements, side: int) -> Margins:
    """Moderate: fat lost on three sides or all, or the root pressed on; severe: it has lost half its room."""
    lost = sorted(_below(clearance, FORAMEN.fat_lost_mm)[0] for clearance in m.fat_clearance_mm_lr[side])
    pressed, deformed = (_above(m.exiting_root_overlap_lr[side], cut) for cut in FORAMEN.overlap)
    return min(lost[2], pressed), deformed


def _recess(m: Measurements, side: int) -> Margins:
    shallow = _below(m.recess_depth_mm_lr[side], *RECESS.depth_mm)
    severe = min(shallow[1], _above(m.root_overlap_lr[side], RECESS.overlap))
    return min(shallow[0], _above(m.root_displacement_mm_lr[side], RECESS.displaced_mm), severe), severe


def signed_margins(m: Measurements) -> dict[str, Margins]:
    """Target -> margin to each of its cuts, from mild to severe; negative where the cut is passed.

    Modic has one cut, the extent at which there is a change at all. Stenosis is graded at the lowest five
    discs alone, as in RSNA 2024.
    """
    collapsed = _below(m.height_ratio, DISC.collapsed)[0]
    slip = abs(m.slip_mm)
    found = {
        "pfirrmann": tuple(min(margin, collapsed) for margin in _below(m.nucleus_t2_ms, *DISC.t2_ms)),
        "modic": (_above(m.modic_area_mm2, DISC.modic_mm2),),
        "herniation": (
            max(_above(m.local_overhang_mm, OUTLINE.herniation_mm), *_below(m.local_share, OUTLINE.herniation)),
        ),
        "bulging": (_above(m.overhang_share, OUTLINE.bulge),),
        "narrowing": _below(m.height_ratio, DISC.narrowed),
        "spondylolisthesis": (min(_above(slip, DISC.slip_mm), _above(slip / m.depth_mm, DISC.slip)),),
        "endplate_upper": (_above(m.schmorl_above_mm, DISC.schmorl_mm),),
        "endplate_lower": (_above(m.schmorl_below_mm, DISC.schmorl_mm),),
    }
    if LEVELS.index(m.level) >= LUMBAR_DISCS:
        return found
    return found | {
        "canal_stenosis": _canal(m),
        "foraminal_stenosis_left": _foramen(m, 0),
        "foraminal_stenosis_right": _foramen(m, 1),
        "subarticular_stenosis_left": _recess(m, 0),
        "subarticular_stenosis_right": _recess(m, 1),
    }


def grade(m: Measurements) -> dict[str, int]:
    """Published grades by target name."""
    passed = {name: sum(margin < 0.0 for margin in margins) for name, margins in signed_margins(m).items()}
    return {
        name: m.modic_type * count if name == "modic" else TARGET[name].grades[count] for name, count in passed.items()
    }


def margins(m: Measurements) -> dict[str, float]:
    """Distance of each grade to the nearest cut as a share of the cut: small means borderline."""
    return {name: min(abs(margin) for margin in values) for name, values in signed_margins(m).items()}


def severity(values: Margins) -> float:
    """One number that rises from the healthiest to the worst; its whole part is the number of cuts passed.

    >>> severity((0.5, 1.0)) < severity((0.1, 0.8)) < 1.0 < severity((-0.1, 0.3)) < severity((-0.2, 0.1)) < 2.0
    True
    """
    passed = sum(value < 0.0 for value in values)
    if passed == 0:
        return float(np.exp(-values[0]))
    done = -values[passed - 1]
    if passed == len(values):
        return passed + 1.0 - float(np.exp(-done))
    return passed + done / (done + values[passed] + 1e-9)


def grade_table(grades: dict[int, dict[str, int]]) -> NDArray[np.int64]:
    """(len(LEVELS), len(TARGETS)) grade indices, UNKNOWN where nothing was measured."""
    table = np.full((len(LEVELS), len(TARGETS)), UNKNOWN)
    for level, values in grades.items():
        for name, value in values.items():
            table[level, TARGET_INDEX[name]] = TARGET[name].index_of(value)
    return table


def as_record(m: Measurements) -> dict[str, object]:
    """Everything about one level for the truth file: measurements, grades, extended grades, margins."""
    return {
        "measurements": _rounded(asdict(m)),
        "grades": grade(m),
        "extended": extended(m),
        "margins": {name: round(value, 4) for name, value in margins(m).items()},
        "signed_margins": _rounded(signed_margins(m)),
    }


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, (list, tuple)) else value


def extended(m: Measurements) -> dict[str, object]:
    """Grades of named systems that the label space does not hold."""
    found: dict[str, object] = {"meyerding": _meyerding(m)}
    if LEVELS.index(m.level) >= LUMBAR_DISCS:
        return found
    four = four_grades(m)
    herniated = grade(m)["herniation"] == 1
    return found | {
        "severity": {name: SEVERITIES[index] for name, index in four.items()},
        "schizas": _schizas(m),
        "lee_central": four["canal_stenosis"],
        "lee_foraminal_left": four["foraminal_stenosis_left"],
        "lee_foraminal_right": four["foraminal_stenosis_right"],
        "herniation_kind": m.herniation_kind if herniated else "",
        "msu": _msu(m) if herniated else "",
        "zone": _zone(m) if herniated else "",
    }


def four_grades(m: Measurements) -> dict[str, int]:
    """Stenosis targets of a lumbar level -> normal 0, mild 1, moderate 2, severe 3; THREE_OF_FOUR gives the others."""
    canal = grade(m)["canal_stenosis"]
    return {
        "canal_stenosis": canal + 1 if canal or m.canal_ratio < CANAL.narrowed else 0,
        "foraminal_stenosis_left": _lee_foraminal(m, 0),
        "foraminal_stenosis_right": _lee_foraminal(m, 1),
        "subarticular_stenosis_left": _recess_in_four(m, 0),
        "subarticular_stenosis_right": _recess_in_four(m, 1),
    }


def _recess_in_four(m: Measurements, side: int) -> int:
    """Mild: not as deep as it should be, its root free."""
    passed = sum(margin < 0.0 for margin in _recess(m, side))
    return passed + 1 if passed or m.recess_depth_mm_lr[side] < RECESS.mild_mm else 0


def _meyerding(m: Measurements) -> int:
    """0 without a slip, else I to V as 1 to 5; backward slips count likewise."""
    share = abs(m.slip_mm) / m.depth_mm
    return 1 + sum(share > cut for cut in DISC.meyerding) if grade(m)["spondylolisthesis"] else 0


def _schizas(m: Measurements) -> str:
    if m.packing >= CANAL.packed[1]:
        return "D" if m.canal_area_mm2 < CANAL.schizas_d_mm2 else "C"
    if m.packing >= CANAL.packed[0]:
        return "B"
    return f"A{1 + sum(m.packing >= cut for cut in CANAL.schizas_a)}"


def _lee_foraminal(m: Measurements, side: int) -> int:
    """0 to 3; one lost side or two that do not face each other are 0 and 1, three count as all."""
    moderate, severe = _foramen(m, side)
    if severe < 0.0:
        return 3
    if moderate < 0.0:
        return 2
    return int(sum(clearance < FORAMEN.fat_lost_mm for clearance in m.fat_clearance_mm_lr[side]) == 2)


def _msu(m: Measurements) -> str:
    """Size 1 to 3 by the way to the line between the facets, and A, B or C by the quarter of that line."""
    size = 1 + (m.msu_share > 0.5) + (m.msu_share > 1.0)
    aside = abs(m.herniation_u_mm) / m.facet_edge_u_mm
    return f"{size}{'A' if aside <= 0.5 else 'B' if aside <= 1.0 else 'C'}"


def _zone(m: Measurements) -> str:
    aside = abs(m.herniation_u_mm)
    borders = (0.5 * m.facet_edge_u_mm, *m.pedicle_u_mm)
    return ("central", "subarticular", "foraminal", "extraforaminal")[sum(aside > border for border in borders)]
