"""From the measurements of a study to one row of numbers a disc: what the model on measurements reads.

Lengths of all series together (their mean), signals of T2 and of T1 apart, and all of it beside the patient's other
discs: minus their median, as a rank, minus the next disc below and above.
Shape letters: L level, F feature. NaN is not known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import LEVELS
from spinenet.locating.measuring.cross_section import CROSS_SECTION
from spinenet.locating.measuring.lengths import CANAL_CUT
from spinenet.locating.measuring.series import Numbers
from spinenet.locating.measuring.whole_canal import WHOLE_CANAL

NO_FEATURES = (CROSS_SECTION, CANAL_CUT, *WHOLE_CANAL.values())
"""Numbers that the model on measurements has not learnt from."""
LENGTHS = (
    "height", "depth", "area", "wedge", "plate", "slip", "wall", "behind", "beyond", "before", "canal", "body", "tilt",
    "turn", "offset", "hratio",
)  # fmt: skip
"""Beginnings of the names of lengths and angles, which every series shows alike."""
DARK_PLATES = ("plate_upper_dark", "plate_lower_dark")
"""Signals in spite of their name."""
RELATIVE = (
    "height_mean_mm", "height_min_mm", "height_middle_mm", "height_front_mm", "height_back_mm", "depth_mm", "area_mm2",
    "wedge_deg", "behind_mm", "behind_mm2", "canal_mm", "canal_min_mm", "canal_dent_mm", "slip_mm", "slip_middle_mm",
    "nucleus", "signal_p50", "signal_p95", "annulus", "nucleus_sd", "nucleus_contrast", "bright_share",
    "disc_by_marrow", "marrow_upper_high", "marrow_upper_low", "marrow_lower_high", "marrow_lower_low",
    "marrow_upper_sd", "marrow_lower_sd", "plate_upper_rough_mm", "plate_lower_rough_mm", "plate_upper_pit_mm",
    "plate_lower_pit_mm", "body_wedge", "body_middle_mm", "body_front_mm", "rear_dark_mm2", "rear_at_2", "rear_at_3",
    "plate_upper_dark", "plate_lower_dark", "plate_upper_dark_sd", "plate_lower_dark_sd", "hratio",
)  # fmt: skip
"""What is compared with the patient's other discs."""
SHARED = (
    "height_mean_mm", "nucleus", "behind_mm", "canal_min_mm", "area_mm2", "hratio", "marrow_upper_high",
    "rear_dark_mm2", "disc_by_marrow",
)  # fmt: skip
"""Numbers whose median over the patient is a feature too, and their share of the patient's largest."""


@dataclass(frozen=True)
class FeatureRows:
    """``values_LF`` of the levels ``level_L`` (index into LEVELS), columns named by ``names``."""

    names: tuple[str, ...]
    level_L: tuple[int, ...]
    values_LF: NDArray[np.float64]


def is_length(name: str) -> bool:
    """Does every series show this number alike?"""
    return name.startswith(LENGTHS) and not name.startswith(DARK_PLATES)


def feature_rows(
    t2: Mapping[str, Numbers], t1: Mapping[str, Numbers], others: Sequence[Mapping[str, Numbers]] = ()
) -> FeatureRows:
    """One row a level from what ``series.measure_series`` found in a T2 and a T1 series, either of which may be empty.

    ``others`` are further series whose lengths count but whose signals do not. ValueError where nothing was measured.
    """
    series = [{level: _completed(numbers) for level, numbers in one.items()} for one in (t2, t1, *others)]
    levels = sorted(set().union(*series), key=LEVELS.index)
    if not levels:
        raise ValueError("no level was measured")
    known = [name for name in next(numbers for one in series for numbers in one.values()) if name not in NO_FEATURES]
    columns: dict[str, NDArray[np.float64]] = {}
    for name in filter(is_length, known):
        columns[f"g_{name}"] = _mean_of([_column(one, levels, name) for one in series])
    for prefix, one in (("t2", series[0]), ("t1", series[1])):
        # T2 keeps its own lengths too: it is the series that most patients have.
        for name in known:
            if prefix == "t2" or not is_length(name):
                columns[f"{prefix}_{name}"] = _column(one, levels, name)
    for name in RELATIVE:
        for prefix in ("g",) if is_length(name) else ("t2", "t1"):
            columns |= _relative(f"{prefix}_{name}", columns[f"{prefix}_{name}"], shared=name in SHARED)
    indices = tuple(LEVELS.index(level) for level in levels)
    columns["level"] = np.array(indices, np.float64)
    columns["has_t1"] = np.full(len(levels), float(bool(t1)))
    return FeatureRows(tuple(columns), indices, np.stack(list(columns.values()), 1))


def _completed(numbers: Numbers) -> Numbers:
    """With the numbers that follow from others of the same level."""
    return numbers | {
        "hratio": numbers["height_mean_mm"] / numbers["depth_mm"],
        "slip_abs_mm": abs(numbers["slip_mm"]),
        "slip_middle_abs_mm": abs(numbers["slip_middle_mm"]),
        "behind_share": numbers["behind_mm"] / numbers["depth_mm"],
    }


def _column(one: Mapping[str, Numbers], levels: Sequence[str], name: str) -> NDArray[np.float64]:
    return np.array([one[level].get(name, np.nan) if level in one else np.nan for level in levels], np.float64)


def _mean_of(columns: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    stack = np.stack(columns)
    count = (~np.isnan(stack)).sum(0)
    return np.where(count > 0, np.nansum(stack, 0) / np.maximum(count, 1), np.nan)


def _relative(name: str, values_L: NDArray[np.float64], *, shared: bool) -> dict[str, NDArray[np.float64]]:
    """A number beside those of the patient's other discs."""
    known = values_L[~np.isnan(values_L)]
    median = float(np.median(known)) if known.size else np.nan
    found = {
        f"{name}_rm": values_L - median,
        f"{name}_rk": _rank(values_L),
        f"{name}_dn": values_L - np.r_[np.nan, values_L[:-1]],
        f"{name}_up": values_L - np.r_[values_L[1:], np.nan],
    }
    if shared:
        found[f"{name}_med"] = np.full(len(values_L), median)
        found[f"{name}_rx"] = values_L / (float(known.max()) if known.size else np.nan)
    return found


def _rank(values_L: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rank among the known values as a share of their number, ties shared.

    >>> _rank(np.array([5.0, np.nan, 7.0, 7.0])).round(2).tolist()
    [0.33, nan, 0.83, 0.83]
    """
    known = values_L[~np.isnan(values_L)]
    below = (known[None] < values_L[:, None]).sum(1)
    same = (known[None] == values_L[:, None]).sum(1)
    ranks = below + (same + 1) / 2
    return np.where(np.isnan(values_L), np.nan, ranks / max(len(known), 1))
