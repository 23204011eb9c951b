"""Sizes of the mean person (data/anatomy.toml); arrays run upwards from L5, L5/S1 or S1."""

from dataclasses import dataclass

from spinephantom.data import record
from spinephantom.shapes.frames import Array


@dataclass(frozen=True)
class BodySizes:
    """Vertebral bodies."""

    width_mm: Array
    depth_mm: Array
    height_mm: Array
    wedge_deg: Array
    waist: float
    waist_squared: float
    wall_hollow_mm: float
    wall_hollow_lowest_mm: float
    lordosis_taken_over: float


@dataclass(frozen=True)
class DiscSizes:
    """Discs."""

    height_mm: Array
    wedge_deg: Array
    hollow_mm: Array
    deepest_hollow: float
    rudiment: float


@dataclass(frozen=True)
class SacSizes:
    """The dural sac at the discs, and what lies between it and the walls of the canal."""

    depth_mm: Array
    area_mm2: Array
    triangle: Array
    roof_deg: Array
    flavum_fat_mm: Array
    front_fat_mm: Array
    front_gap_mm: float
    facet_edge_mm: Array
    facet_front_mm: Array
    flavum_mm: float
    pad: float
    pad_most: float


@dataclass(frozen=True)
class PedicleSizes:
    """Pedicles."""

    offset_mm: Array
    width_mm: Array
    height_mm: Array


@dataclass(frozen=True)
class ProcessSizes:
    """Transverse, spinous and articular processes."""

    span_mm: Array
    spinous_tilt_deg: Array
    spinous_length_mm: Array
    spinous_height_mm: Array
    facet_deg: Array


@dataclass(frozen=True)
class SacrumSizes:
    """The sacrum from S1 to S5."""

    height_mm: Array
    depth_mm: Array
    bend_deg: Array


@dataclass(frozen=True)
class RootSizes:
    """Roots from S1 up to T12, their strands in the sac, and the cord."""

    radius_mm: Array
    ganglion_mm: Array
    outside_sac_mm: Array
    thick_strand_mm: float
    thin_strand_mm: float
    strands: int
    fluid_lost: tuple[float, float]
    cord_mm: tuple[float, float]
    conus_taper_mm: float


BODIES = record(BodySizes, "anatomy", "bodies")
DISCS = record(DiscSizes, "anatomy", "discs")
SAC = record(SacSizes, "anatomy", "sac")
PEDICLES = record(PedicleSizes, "anatomy", "pedicles")
PROCESSES = record(ProcessSizes, "anatomy", "processes")
SACRUM = record(SacrumSizes, "anatomy", "sacrum")
ROOTS = record(RootSizes, "anatomy", "roots")
