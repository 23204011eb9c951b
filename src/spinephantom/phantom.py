"""The records of a synthetic study, and the options it is made with."""

from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from spinenet.errors import ConfigError
from spinenet.labels import LEVELS, TARGETS, View
from spinenet.study import Series
from spinephantom.patient.pathology import N_DISCS, Mode
from spinephantom.physics.sequence import Protocol
from spinephantom.scan.prescription import AXIAL_SHARES, RSNA_AXIAL_SHARES, Coverage
from spinephantom.spine.records import Spine
from spinephantom.truth.keypoints import KeyPoint

GENERATOR_VERSION = "17"
"""Raise with every change that alters the bytes of a study."""


@dataclass  # not frozen: it is also the schema of a configuration group, which cannot be composed frozen
class StudyOptions:
    """How studies are made; the seed decides everything else."""

    mode: Mode = Mode.BALANCED
    """Which patients: RSNA, BALANCED or SCREENING."""
    axial: bool = True
    """Make axial T2 stacks too."""
    slices: int = 0
    """Slices of each sagittal series; 0 draws as in practice."""
    slice_spacing_mm: float = 0.0
    """Distance of the sagittal slices; 0 draws as in practice."""
    size: int = 384
    """Matrix of the sagittal series; 0 draws as in practice."""
    axial_size: int = 320
    """Matrix of the axial stacks; 0 draws as in practice."""
    sub_slices: int = 2
    """Parts that a slice is painted in, for partial volume."""
    stir_share: float = 0.25
    """Share of studies with STIR instead of T2."""
    widened_share: float = 0.25
    """Share of studies whose relaxation times spread by a quarter instead of a few per cent."""
    random_share: float = 0.0
    """Share of studies whose tissues have grey values drawn at random, physics aside: shapes must do."""
    pixel: str = "uint8"
    """uint8 (windowed, some saturated) or uint16 (12 bits)."""
    lowest_disc: int = 0
    """Discs below the sagittal field of view; 2 ends it below L3/L4, so that no sacrum is in view."""
    discs_in_view: int = 0
    """Discs in the sagittal field of view, from the lowest; 0 is all."""
    mirror: bool = False
    """Make the mirror image of the study that the seed stands for."""
    clean: bool = False
    """No noise, coil, band or ghost: the ideal image, for measurements of contrast."""

    def __post_init__(self) -> None:
        self.mode = Mode(self.mode)
        if self.pixel not in ("uint8", "uint16"):
            raise ConfigError(f"pixel must be uint8 or uint16, not {self.pixel!r}")
        if self.slices < 0 or self.slice_spacing_mm < 0.0:
            raise ConfigError("slices and slice_spacing_mm must be 0 (drawn per study) or positive")
        if self.sub_slices < 1:
            raise ConfigError(f"sub_slices must be at least 1, not {self.sub_slices}")
        for name in ("size", "axial_size"):
            if getattr(self, name) and not 64 <= getattr(self, name) <= 1024:
                raise ConfigError(f"{name} must be 0 (drawn per study) or 64 to 1024, not {getattr(self, name)}")
        if self.lowest_disc < 0 or self.discs_in_view < 0 or self.lowest_disc + self.discs_in_view > N_DISCS:
            raise ConfigError(f"lowest_disc and discs_in_view must lie within the {N_DISCS} discs there are")

    def coverage(self) -> Coverage:
        """What concerns the planes alone."""
        return Coverage(
            self.slices,
            self.slice_spacing_mm,
            self.size,
            self.axial_size,
            self.lowest_disc,
            self.discs_in_view,
            RSNA_AXIAL_SHARES if self.mode is Mode.RSNA else AXIAL_SHARES,
        )


@dataclass(frozen=True)
class PhantomStack:
    """Parallel slices in canonical order with their segmentation in SPIDER's values."""

    series: Series
    mask_SRC: NDArray[np.uint8]


@dataclass(frozen=True)
class PhantomSeries:
    """One acquired series: a sagittal one has one stack, angled axial groups one a disc, from the lowest up.

    ``name`` is t1, t2 (also where the view says STIR), axial or axial_2; its stacks are named so, with ".0", ".1" ...
    where there are several.
    """

    name: str
    view: View
    stacks: tuple[PhantomStack, ...]
    protocol: Protocol
    pixel: str

    @property
    def series(self) -> Series:
        """The images of a series with a single stack."""
        (stack,) = self.stacks
        return stack.series

    @property
    def mask_SRC(self) -> NDArray[np.uint8]:  # noqa: N802 - the name of the stacks' own field
        """The segmentation of a series with a single stack."""
        (stack,) = self.stacks
        return stack.mask_SRC


@dataclass(frozen=True)
class PhantomStudy:
    """A synthetic study with its truth.

    ``grades_LT`` is (len(LEVELS), len(TARGETS)) grade indices, UNKNOWN where a disc is not in view or no slice shows
    the stenosis; ``rater_grades_RLT`` the same as single simulated raters would give them. ``levels`` holds
    measurements, published grades and margins by level name.
    """

    seed: int
    options: StudyOptions
    series: tuple[PhantomSeries, ...]
    grades_LT: NDArray[np.int64]
    levels: dict[str, dict[str, object]]
    keypoints: tuple[KeyPoint, ...]
    spine: Spine
    rater_grades_RLT: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, len(LEVELS), len(TARGETS)), int))

    @property
    def images(self) -> tuple[Series, ...]:
        """Every stack of every series, sagittal ones first."""
        return tuple(stack.series for item in self.series for stack in item.stacks)

    def parameters(self) -> dict[str, object]:
        """The numbers the study was built from, by name."""
        discs = {disc.level: asdict(disc.state) for disc in self.spine.discs}
        return {"person": asdict(self.spine.person), "discs": discs}


def options_record(options: StudyOptions) -> dict[str, object]:
    """Options as plain values, as they are written to the truth file."""
    return {**asdict(options), "mode": options.mode.value}
