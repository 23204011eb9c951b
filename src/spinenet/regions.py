"""Parts of the spine: the discs that are counted in them, and the sizes that an adult's have there."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Region:
    """A part of the spine whose discs are counted upwards from one that is recognised by itself, the anchor.

    ``levels`` are named from the anchor on, of which ``usual`` belong to the region in most people and ``fewest`` must
    be seen for any to be named. ``beyond_mm`` is how far the image must go on below the anchor, or what looks like it
    may be any disc. Neighbouring disc centres of one spine are typically within ``steps_mm`` of each other (the median
    of its clear ones, ``step_mm`` where there is none) and rise by ``min_rise_mm`` at least; nearer regions are parts
    of one disc. The median depth of the discs and step between them can be ``adult_depths_mm`` and ``adult_steps_mm``.
    """

    name: str
    levels: tuple[str, ...]
    usual: int
    fewest: int
    beyond_mm: float
    step_mm: float
    steps_mm: tuple[float, float]
    min_rise_mm: float
    adult_depths_mm: tuple[float, float]
    adult_steps_mm: tuple[float, float]


LUMBAR = Region(
    name="lumbar spine",
    levels=("L5/S1", "L4/L5", "L3/L4", "L2/L3", "L1/L2", "T12/L1", "T11/T12", "T10/T11", "T9/T10", "T8/T9"),
    usual=5,
    fewest=4,
    beyond_mm=18.0,
    step_mm=33.0,
    steps_mm=(20.0, 46.0),
    min_rise_mm=13.0,
    # In 349 series of SPIDER the medians were 28 to 44 and 23 to 48 mm; the other figures were chosen by hand there.
    adult_depths_mm=(22.0, 54.0),
    adult_steps_mm=(19.0, 54.0),
)

REMNANT = "S1/S2"
"""A disc within the sacrum: a reader may name the lowest disc so, and it is no level that is graded."""
