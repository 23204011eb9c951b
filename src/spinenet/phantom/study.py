"""One synthetic study from one number: person, disease, scanner, images, masks and truth."""

from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spinenet.errors import ConfigError
from spinenet.labels import View
from spinenet.phantom import artefacts, render, truth
from spinenet.phantom.anatomy import Spine, build_spine, mirrored
from spinenet.phantom.background import Body, make_body, paint_background
from spinenet.phantom.canvas import Canvas, Grid
from spinenet.phantom.masks import label_planes
from spinenet.phantom.pathology import N_DISCS, Mode, sample_discs
from spinenet.phantom.person import sample_person
from spinenet.phantom.sequence import (
    Protocol,
    Weighting,
    sample_protocol,
    sample_scanner,
    tissue_signal,
)
from spinenet.phantom.texture import make_textures
from spinenet.phantom.tissue import Tissue, nucleus, sample_tissues
from spinenet.study import Series

GENERATOR_VERSION = "2"
"""Raise with every change that alters the bytes of a study."""

_VIEWS = {Weighting.T1: View.SAGITTAL_T1, Weighting.T2: View.SAGITTAL_T2, Weighting.STIR: View.SAGITTAL_STIR}


@dataclass  # not frozen: it is also the schema of a configuration group, which cannot be composed frozen
class StudyOptions:
    """How studies are made; the seed decides everything else.

    ``lowest_disc`` 2 ends the field of view below L3/L4, so that no sacrum is in view; ``discs_in_view`` cuts it above
    that many discs. ``size`` is the matrix (0: drawn per study), ``pixel`` is "uint8" (windowed, some saturated) or
    "uint16" (12 bits).
    """

    mode: Mode = Mode.BALANCED
    slices: int = 5
    slice_spacing_mm: float = 4.0
    size: int = 384
    sub_slices: int = 2
    stir_share: float = 0.2
    pixel: str = "uint8"
    lowest_disc: int = 0
    discs_in_view: int = 0
    mirror: bool = False
    clean: bool = False
    """No noise, coil, band or ghost: the ideal image, for measurements of contrast."""

    def __post_init__(self) -> None:
        self.mode = Mode(self.mode)
        if self.pixel not in ("uint8", "uint16"):
            raise ConfigError(f"pixel must be uint8 or uint16, not {self.pixel!r}")
        if self.slices < 1 or self.sub_slices < 1 or self.slice_spacing_mm <= 0.0:
            raise ConfigError("slices, sub_slices and slice_spacing_mm must be positive")
        if self.size and not 64 <= self.size <= 1024:
            raise ConfigError(f"size must be 0 (drawn per study) or 64 to 1024, not {self.size}")
        if self.lowest_disc < 0 or self.discs_in_view < 0 or self.lowest_disc + self.discs_in_view > N_DISCS:
            raise ConfigError(f"lowest_disc and discs_in_view must lie within the {N_DISCS} discs there are")


@dataclass(frozen=True)
class PhantomSeries:
    """One series: images in canonical order, the mask in SPIDER's values, and how it was acquired."""

    name: str
    series: Series
    mask_SRC: NDArray[np.uint8]
    protocol: Protocol
    pixel: str


@dataclass(frozen=True)
class PhantomStudy:
    """A synthetic study with its truth.

    ``grades_LT`` is (len(LEVELS), len(TARGETS)) grade indices, UNKNOWN where a disc is not in view or the target needs
    axial images. ``levels`` holds measurements, published grades and margins by level name.
    """

    seed: int
    options: StudyOptions
    series: tuple[PhantomSeries, ...]
    grades_LT: NDArray[np.int64]
    levels: dict[str, dict[str, object]]
    spine: Spine

    def parameters(self) -> dict[str, object]:
        """The numbers the study was built from, by name."""
        discs = {disc.level: asdict(disc.state) for disc in self.spine.discs}
        return {"person": asdict(self.spine.person), "discs": discs}


def options_record(options: StudyOptions) -> dict[str, object]:
    """Options as plain values, as they are written to the truth file."""
    return {**asdict(options), "mode": options.mode.value}


def make_study(seed: int, **options: object) -> PhantomStudy:
    """Make a study; ``options`` are the fields of StudyOptions. The same seed and options give the same bytes."""
    return make(seed, StudyOptions(**options))  # type: ignore[arg-type]


def make(seed: int, options: StudyOptions) -> PhantomStudy:
    """As make_study, from ready options."""
    # separate streams: acquisition cannot depend on disease, and a change in one part leaves the others as they were
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(6)]
    person_rng, disease_rng, tissue_rng, scanner_rng, texture_rng, noise_rng = streams
    person = sample_person(person_rng)
    spine = build_spine(person, sample_discs(disease_rng, options.mode, person.age))
    spine = mirrored(spine) if options.mirror else spine
    body = make_body(texture_rng, spine)
    grid = _field_of_view(scanner_rng, spine, body, options)
    protocols = _protocols(scanner_rng, options)
    tissues = sample_tissues(tissue_rng, person, 0.25 if tissue_rng.random() < 0.25 else 0.07)
    tissues |= _disc_tissues(spine)
    canvas = _paint(grid, spine, body, protocols, tissues, options, texture_rng)
    mask = label_planes(grid, spine)
    series = tuple(
        _acquire(index, canvas, grid, body, protocol, mask, options, scanner_rng, noise_rng)
        for index, protocol in enumerate(protocols)
    )
    return _with_truth(seed, options, series, spine, grid)


def _protocols(rng: np.random.Generator, options: StudyOptions) -> tuple[Protocol, ...]:
    scanner = sample_scanner(rng)
    second = Weighting.STIR if rng.random() < options.stir_share else Weighting.T2
    return tuple(sample_protocol(rng, scanner, weighting) for weighting in (Weighting.T1, second))


def _disc_tissues(spine: Spine) -> dict[str, Tissue]:
    """Nucleus and herniated material of every disc, each with its own T2."""
    tissues = {render.nucleus_tissue(disc): nucleus(disc.state.nucleus_t2_ms) for disc in spine.discs}
    for disc in spine.discs:
        material = nucleus(70.0)
        tissues[render.herniated_tissue(disc)] = replace(material, density=0.70, t2_ms=disc.state.herniation_t2_ms)
    return tissues


def _field_of_view(rng: np.random.Generator, spine: Spine, body: Body, options: StudyOptions) -> Grid:
    """Planes around the midline; 6 to 9 discs and the upper sacrum in view unless asked otherwise."""
    size = options.size or int(rng.choice((320, 384, 448, 512), p=(0.2, 0.4, 0.3, 0.1)))
    extent = float(np.clip(rng.normal(284.0, 24.0), 250.0, max(250.0, 0.92 * size)))
    bottom = -float(rng.uniform(52.0, 85.0))
    behind = float(rng.uniform(5.0, 40.0))
    if options.lowest_disc:
        bottom = float(spine.vertebrae[options.lowest_disc - 1].frame.center_mm[2])
    # the model ends at T8
    extent = min(extent, float(spine.vertebrae[-1].frame.center_mm[2]) - bottom)
    spacing = extent / size
    rows = size
    if options.discs_in_view:
        top = float(spine.vertebrae[options.lowest_disc + options.discs_in_view - 1].frame.center_mm[2])
        rows = max(32, int(np.ceil((top - bottom) / spacing)))
    z = bottom + spacing * (rows - 1 - np.arange(rows))
    back = float(np.max(np.interp(z, body.z_mm, body.skin_y_mm))) + behind
    # large people do not fit: then the field of view keeps the back and loses the belly
    y = back - extent + spacing * np.arange(size)
    offsets = np.arange(options.slices) - 0.5 * (options.slices - 1)
    middle = float(np.interp(0.5 * (z[0] + z[-1]), spine.canal.z_mm, spine.canal.x_mm))
    planes = middle + options.slice_spacing_mm * offsets
    return Grid(planes, z, y)


def _sub_planes(grid: Grid, options: StudyOptions) -> Grid:
    """Several planes within each slice, whose mean is the partial volume of a thick slice."""
    steps = (np.arange(options.sub_slices) + 0.5) / options.sub_slices - 0.5
    thickness = 0.9 * options.slice_spacing_mm
    return replace(grid, planes_x=(grid.planes_x[:, None] + thickness * steps[None, :]).ravel())


def _paint(
    grid: Grid,
    spine: Spine,
    body: Body,
    protocols: tuple[Protocol, ...],
    tissues: dict[str, Tissue],
    options: StudyOptions,
    rng: np.random.Generator,
) -> Canvas:
    """Noise-free water and fat images of all series, one plane a slice."""
    signals = tuple(
        {name: tissue_signal(protocol, tissue) for name, tissue in tissues.items()} for protocol in protocols
    )
    textures = make_textures(rng, len(grid.planes_x), *grid.shape[1:], grid.spacing_mm)
    # the surroundings are vague: one plane a slice is enough for them
    canvas = Canvas(grid, signals, textures)
    paint_background(canvas, body, spine, rng)
    canvas = canvas.repeated(_sub_planes(grid, options))
    render.paint_spine(canvas, spine, rng)
    canvas.water, canvas.fat = canvas.averaged(options.sub_slices)
    return canvas


def _acquire(
    index: int,
    canvas: Canvas,
    grid: Grid,
    body: Body,
    protocol: Protocol,
    mask: NDArray[np.uint8],
    options: StudyOptions,
    rng: np.random.Generator,
    noise_rng: np.random.Generator,
) -> PhantomSeries:
    acquisition = artefacts.sample_acquisition(rng)
    z = grid.rows_z.astype(np.float32)
    water, fat, noise = canvas.water[index], canvas.fat[index], 0.0
    if options.clean:
        acquisition = replace(acquisition, ghost=0.0, window=(0.0, 0.9995))
    else:
        profile = artefacts.sensitivity(grid, acquisition, body.at("skin_y_mm", z), _band_edge(body, z))
        water, fat = water * profile, fat * profile
        brightest = max(
            canvas.signals[index][name].water * (1 - canvas.signals[index][name].fraction)
            for name in ("csf", "marrow", "cord")
        )
        noise = 0.8 * brightest / acquisition.snr
    image = artefacts.acquire(water, fat, protocol, acquisition, noise_rng, noise)
    stored = (
        artefacts.to_uint8(image, acquisition) if options.pixel == "uint8" else artefacts.to_uint16(image, acquisition)
    )
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack(
        [[options.slice_spacing_mm, 0, 0], [0, 0, -grid.spacing_mm], [0, grid.spacing_mm, 0]]
    )
    affine[:3, 3] = (grid.planes_x[0], grid.cols_y[0], grid.rows_z[0])
    name = "t1" if protocol.weighting is Weighting.T1 else "t2"
    view = _VIEWS[protocol.weighting]
    series = Series(name, stored.astype(np.float32), affine, "sagittal", view, "phantom")
    return PhantomSeries(name, series, mask, protocol, options.pixel)


def _band_edge(body: Body, z: NDArray[np.float32]) -> NDArray[np.float32]:
    """The straight line along the front of the lumbar spine that a saturation band is planned on."""
    slope, offset = np.polyfit(z[z > -10.0], body.at("spine_front_y_mm", z[z > -10.0]), 1)
    return (slope * z + offset).astype(np.float32)


def _with_truth(
    seed: int, options: StudyOptions, series: tuple[PhantomSeries, ...], spine: Spine, grid: Grid
) -> PhantomStudy:
    levels: dict[str, dict[str, object]] = {}
    grades: dict[int, dict[str, int]] = {}
    for index, disc in enumerate(spine.discs):
        if not _in_view(disc.frame.center_mm, disc.half_depth, disc.mid_height, grid):
            continue
        measured = truth.measure(spine, index)
        levels[disc.level] = truth.as_record(measured)
        grades[index] = truth.grade(measured)
    return PhantomStudy(seed, options, series, truth.grade_table(grades), levels, spine)


def _in_view(center_mm: NDArray[np.float64], half_depth: float, height: float, grid: Grid) -> bool:
    """Whether a disc with a good part of the bodies beside it lies inside the field of view."""
    room = 0.45 * half_depth + 0.5 * height
    rows = grid.rows_z[-1] + room < center_mm[2] < grid.rows_z[0] - room
    return bool(rows and grid.cols_y[0] + half_depth < center_mm[1] < grid.cols_y[-1] - half_depth)
