"""How far a measurement may be off, by how blurred the disc's border is in its mask.

Measured on the patients of SPIDER with networks that had not seen them, against the same measurement from their label
images, T1 and T2: half the width of the interval that holds 95 % of the differences, their median taken off. So it is
how far two segmentations of one slice differ, not the bias of either (docs/explanation/measuring.md has that).
"""

from bisect import bisect_left
from collections.abc import Mapping

from spinenet.study import Measurement

BLUR_MM = (1.0, 1.1)
"""Widths of the border (``series.border_mm``) from which a mask is middling and blurred: thirds of what was seen."""
ERRORS_95: Mapping[str, tuple[float, float, float, float]] = {
    "height_front_mm": (1.3, 1.3, 2.4, 1.7),
    "height_middle_mm": (1.2, 1.2, 1.8, 1.4),
    "height_back_mm": (1.2, 1.2, 1.6, 1.4),
    "height_mean_mm": (1.1, 1.1, 1.7, 1.3),
    "depth_mm": (2.0, 2.3, 6.1, 3.4),
    "plate_depth_mm": (1.8, 2.2, 3.7, 2.6),
    "slip_mm": (1.5, 2.1, 2.7, 2.1),
    "slip_middle_mm": (1.2, 1.4, 2.1, 1.6),
    "slip_percent": (4.2, 5.8, 7.3, 6.0),
    "behind_mm": (2.0, 2.9, 4.3, 3.2),
    "canal_mm": (2.2, 2.2, 3.5, 2.6),
    "canal_min_mm": (2.1, 2.4, 3.7, 2.7),
    "canal_above_mm": (1.8, 2.1, 3.0, 2.2),
    "cross_section_mm2": (70, 70, 70, 70),  # SPACE volumes; 37 at L1/L2 to L3/L4, whatever the border
    "body_front_mm": (1.3, 1.6, 2.1, 1.7),
    "body_middle_mm": (1.2, 1.2, 1.6, 1.4),
    "body_back_mm": (1.1, 1.3, 2.3, 1.5),
    "wedge_deg": (3.3, 3.5, 7.3, 4.6),
    "tilt_deg": (1.6, 1.8, 4.1, 2.8),
    "nucleus": (0.02, 0.02, 0.04, 0.02),
    "annulus": (0.04, 0.04, 0.09, 0.05),
}
"""Name -> 95 % error where the border is clear, middling, blurred, and over all: the larger of T1's and T2's, signals
T2's."""
NARROW_MM, NARROW_PER_MM = 10.0, 0.6
NARROW_ERRORS_95 = (1.5, 2.1, 2.5, 1.9)
"""A canal below the first is known less well, by so much for each mm that it is narrower, beside these errors: fitted
on 1,906 discs of SPIDER by networks that had not seen them, held out by patient (docs/explanation/measuring.md)."""
CANALS = frozenset({"canal_mm", "canal_min_mm"})
SLIPS, SLIP_SHARE = {"slip_mm": 2.0, "slip_percent": 5.5}, 0.5
"""A larger slip is known less well by this share of what it is larger: beyond 3 mm the other errors held 80 % of 77."""
SECOND_CROP_ERROR_95 = 2.9
"""Of a canal that a second crop had to show (``whole_canal``): 287 discs of SPIDER."""
MAX_ERROR_SHARE = 0.75
"""A size of the canal or the sac that may be off by more than this share of it is no size."""


def error_95(name: str, border_mm: float | None = None, value: float | None = None) -> float:
    """95 % error of a measurement in its own unit; KeyError where none was measured.

    ``border_mm`` is the width of a network's soft border. A label image has none of its own: what is read from one has
    the error over all. ``value`` is what was measured: narrow canals and large slips are known less well.

    >>> error_95("height_middle_mm", 0.6), error_95("height_middle_mm", 1.4), error_95("height_middle_mm")
    (1.2, 1.8, 1.4)
    >>> error_95("canal_min_mm", 0.6, 12.0), error_95("canal_min_mm", 0.6, 6.0)
    (2.1, 3.9)
    """
    blur = -1 if border_mm is None else bisect_left(BLUR_MM, border_mm)
    usual = ERRORS_95[name][blur]
    if name in CANALS and value is not None and value < NARROW_MM:
        return max(usual, round(NARROW_ERRORS_95[blur] + NARROW_PER_MM * (NARROW_MM - value), 1))
    if name in SLIPS and value is not None:
        return round(usual + SLIP_SHARE * max(0.0, abs(value) - SLIPS[name]), 1)
    return usual


def is_unknown(size: Measurement) -> bool:
    """Whether a size of the canal or the sac is known so badly that it is not given."""
    return size.error_95 is not None and size.error_95 > MAX_ERROR_SHARE * size.value
