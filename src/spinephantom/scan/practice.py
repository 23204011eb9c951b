"""How slices are laid and images turn out in practice (data/acquisition.toml)."""

from dataclasses import dataclass

from spinephantom.data import Bell, Interval, record

Pair = tuple[float, float]


@dataclass(frozen=True)
class SagittalPractice:
    """Sagittal stacks; ``extent_mm`` ends in the most millimetres by pixel."""

    sizes: tuple[int, ...]
    size_shares: tuple[float, ...]
    extent_mm: Bell
    below_mm: Interval
    behind_mm: Interval
    spacing_mm: Bell
    width_mm: Bell
    slices: tuple[int, int]
    yaw_deg: Bell
    aside_mm: Bell
    resized: Interval
    same_planes: float


@dataclass(frozen=True)
class AxialPractice:
    """Axial series: groups along discs or one block."""

    plans: dict[str, float]
    plans_rsna: dict[str, float]
    sizes: tuple[int, ...]
    size_shares: tuple[float, ...]
    extent_mm: Bell
    spacing_mm: Bell
    upright: float
    tilt_sd_deg: float
    steepest_deg: float
    yaw_sd_deg: float
    shift_sd_mm: float
    aside_sd_mm: float
    slices: tuple[int, int]
    split: float
    block_tilt: float
    block_slices: tuple[int, int]


@dataclass(frozen=True)
class SlicePractice:
    """A slice."""

    thickness: float


@dataclass(frozen=True)
class ImagePractice:
    """Imperfections: how many series have one, and how strong it is."""

    snr: Bell
    accelerated: float
    parallel: Interval
    coil: Pair
    coil_depth_mm: float
    coil_power: float
    coil_ends_mm: Pair
    saturated_sagittal: float
    saturated_axial: float
    saturation: Interval
    saturation_gap_mm: Interval
    saturation_edge_mm: Interval
    ghosts: float
    ghost: Interval
    ghost_shift: Interval
    wrapped: float
    wrap: Interval
    crosstalks: float
    crosstalk: Interval
    zippers: float
    zipper: Interval
    filter_axial: Interval
    filter_sagittal: Interval
    waves: int
    wave_sd: float
    wave_cycles: Interval
    middle_mm: tuple[Pair, Pair]
    black: Interval
    white: tuple[float, ...]
    white_without_fat: float
    full_scale: Interval
    gamma: Interval


SAGITTAL = record(SagittalPractice, "acquisition", "sagittal")
AXIAL = record(AxialPractice, "acquisition", "axial")
SLICE = record(SlicePractice, "acquisition", "slice")
IMAGE = record(ImagePractice, "acquisition", "image")
