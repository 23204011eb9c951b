"""One synthetic study from one number: person, disease, scanner, images, masks and truth."""

from dataclasses import asdict, dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from spinenet.errors import ConfigError
from spinenet.labels import LEVELS, TARGET, TARGETS, View
from spinenet.study import Series
from spinephantom.paint import render
from spinephantom.paint.abdomen import Organ, make_organs
from spinephantom.paint.background import paint_background
from spinephantom.paint.canal import Contents, canal_contents
from spinephantom.paint.canvas import Canvas
from spinephantom.paint.trunk import Body, make_body
from spinephantom.patient.pathology import N_DISCS, Mode
from spinephantom.patient.person import sample_person
from spinephantom.physics.sequence import (
    PoolSignal,
    Protocol,
    Weighting,
    random_signals,
    sample_protocol,
    sample_scanner,
    tissue_signal,
)
from spinephantom.physics.texture import EVEN, make_textures
from spinephantom.physics.tissue import Tissue, nucleus, sample_tissues
from spinephantom.population.prevalence import sample_spine
from spinephantom.scan import magnitude as scan
from spinephantom.scan import scanner_artefacts as artefacts
from spinephantom.scan.prescription import (
    AXIAL_SHARES,
    RSNA_AXIAL_SHARES,
    Coverage,
    plan_axial,
    plan_sagittal,
    resized,
    sub_planes,
)
from spinephantom.shapes.planes import Grid
from spinephantom.spine.anatomy import mirrored
from spinephantom.spine.arch import screws
from spinephantom.spine.records import LUMBAR_DISCS, Spine
from spinephantom.truth import grades as truth
from spinephantom.truth.keypoints import KeyPoint, place_keypoints
from spinephantom.truth.label_image import label_planes
from spinephantom.truth.measure import Measurements, measure
from spinephantom.truth.raters import Findings, read

GENERATOR_VERSION = "12"
"""Raise with every change that alters the bytes of a study."""

_PLANES_AT_ONCE = 6
"""Slices that are painted together: few, as all that is needed for it is held in memory."""
_VIEWS = {Weighting.T1: View.SAGITTAL_T1, Weighting.T2: View.SAGITTAL_T2, Weighting.STIR: View.SAGITTAL_STIR}


@dataclass  # not frozen: it is also the schema of a configuration group, which cannot be composed frozen
class StudyOptions:
    """How studies are made; the seed decides everything else.

    0 for ``slices``, ``slice_spacing_mm`` (of the sagittal series), ``size`` or ``axial_size`` (matrices) means drawn
    as in practice. ``lowest_disc`` 2 ends the sagittal field of view below L3/L4, so that no sacrum is in view;
    ``discs_in_view`` cuts it above that many discs. ``pixel`` is "uint8" (windowed, some saturated) or "uint16"
    (12 bits).
    """

    mode: Mode = Mode.BALANCED
    axial: bool = True
    slices: int = 0
    slice_spacing_mm: float = 0.0
    size: int = 384
    axial_size: int = 320
    sub_slices: int = 2
    stir_share: float = 0.25
    widened_share: float = 0.25
    """Share of studies whose relaxation times spread by a quarter instead of a few per cent."""
    random_share: float = 0.0
    """Share of studies whose tissues have grey values drawn at random, physics aside: shapes must do."""
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
    the stenosis; ``reader_grades_RLT`` the same as single simulated readers would give them. ``levels`` holds
    measurements, published grades and margins by level name.
    """

    seed: int
    options: StudyOptions
    series: tuple[PhantomSeries, ...]
    grades_LT: NDArray[np.int64]
    levels: dict[str, dict[str, object]]
    keypoints: tuple[KeyPoint, ...]
    spine: Spine
    reader_grades_RLT: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, len(LEVELS), len(TARGETS)), int))

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


def make_study(seed: int, **options: object) -> PhantomStudy:
    """Make a study; ``options`` are the fields of StudyOptions. The same seed and options give the same bytes."""
    return make(seed, StudyOptions(**options))  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Plan:
    """One series before it is painted."""

    name: str
    view: View
    grids: tuple[Grid, ...]
    protocol: Protocol


@dataclass(frozen=True)
class _Insides:
    """What of a person is drawn once for all series, besides the spine."""

    body: Body
    organs: tuple[Organ, ...]
    contents: Contents
    texture_seed: tuple[int, int]


def make(seed: int, options: StudyOptions) -> PhantomStudy:
    """As make_study, from ready options."""
    person_rng, disease_rng = _streams(seed)[:2]
    return image(seed, options, sample_spine(disease_rng, options.mode, sample_person(person_rng, options.mode)))


def _streams(seed: int) -> list[np.random.Generator]:
    """Separate: acquisition cannot depend on disease, and a change in one part leaves the others as they were."""
    return [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(6)]


def image(seed: int, options: StudyOptions, spine: Spine) -> PhantomStudy:
    """The study of a spine that is already there; ``options.mode`` has no say any more."""
    tissue_rng, scanner_rng, noise_rng, plan_rng = _streams(seed)[2:]
    # planes are laid on the person as he is; a mirrored study is the mirror image of person and planes
    plans = _plan(plan_rng, scanner_rng, spine, make_body(np.random.default_rng(seed), spine), options)
    spine = mirrored(spine) if options.mirror else spine
    body = make_body(np.random.default_rng(seed), spine)
    tissues = sample_tissues(tissue_rng, spine.person, 0.25 if tissue_rng.random() < options.widened_share else 0.07)
    tissues |= _disc_tissues(spine)
    randomised = tissue_rng.random() < options.random_share
    insides = _Insides(
        body,
        make_organs(np.random.default_rng([seed, 1]), body),
        canal_contents(spine, np.random.default_rng([seed, 2])),
        (seed, 3),
    )
    shared = len({id(plan.grids) for plan in plans[:2]}) == 1
    jobs = [plans[:2], *((plan,) for plan in plans[2:])] if shared else [(plan,) for plan in plans]
    series: list[PhantomSeries] = []
    for job in jobs:
        signals = tuple(
            random_signals(tissue_rng, tissues)
            if randomised
            else {name: tissue_signal(plan.protocol, tissue) for name, tissue in tissues.items()}
            for plan in job
        )
        painted = [_paint(grid, spine, insides, signals, options) for grid in job[0].grids]
        masks = [label_planes(grid, spine) for grid in job[0].grids]
        for index, plan in enumerate(job):
            series.append(_acquire(index, plan, painted, masks, body, options, scanner_rng, noise_rng))
    return _with_truth(seed, options, tuple(series), spine, plans)


def _plan(
    rng: np.random.Generator, scanner_rng: np.random.Generator, spine: Spine, body: Body, options: StudyOptions
) -> tuple[_Plan, ...]:
    """Sagittal T1, sagittal T2 or STIR, and the axial series."""
    scanner = sample_scanner(scanner_rng)
    second = Weighting.STIR if scanner_rng.random() < options.stir_share else Weighting.T2
    coverage = options.coverage()
    planes = (plan_sagittal(rng, spine, body, coverage),)
    others = planes if rng.random() < 0.8 or options.slices else (resized(planes[0], rng, coverage),)
    axial = plan_axial(rng, spine, coverage) if options.axial else []
    plans = [
        _Plan("t1" if weighting is Weighting.T1 else "t2", _VIEWS[weighting], grids, protocol)
        for weighting, grids in ((Weighting.T1, planes), (second, others))
        for protocol in (sample_protocol(scanner_rng, scanner, weighting),)
    ]
    protocol = sample_protocol(scanner_rng, scanner, Weighting.T2, axial=True)
    for number, groups in enumerate(axial, start=1):
        plans.append(_Plan("axial" if number == 1 else f"axial_{number}", View.AXIAL_T2, groups, protocol))
    if options.mirror:
        flipped = {id(plan.grids): tuple(grid.mirrored() for grid in plan.grids) for plan in plans}
        plans = [replace(plan, grids=flipped[id(plan.grids)]) for plan in plans]
    return tuple(plans)


def _disc_tissues(spine: Spine) -> dict[str, Tissue]:
    """Nucleus and herniated material of every disc, each with its own T2."""
    tissues = {render.nucleus_tissue(disc): nucleus(disc.state.nucleus_t2_ms) for disc in spine.discs}
    for disc in spine.discs:
        material = nucleus(70.0)
        tissues[render.herniated_tissue(disc)] = replace(material, density=0.70, t2_ms=disc.state.herniation_t2_ms)
    return tissues


def _thickness_mm(grid: Grid) -> float:
    offsets = grid.offsets_mm
    return 0.9 * float(offsets[1] - offsets[0]) if len(offsets) > 1 else 4.0


def _paint(
    grid: Grid, spine: Spine, insides: _Insides, signals: tuple[dict[str, PoolSignal], ...], options: StudyOptions
) -> Canvas:
    """Noise-free water and fat images of all series on these planes."""
    canvas = Canvas(grid, signals, EVEN)
    canvas.metal = screws(spine.vertebrae, tuple(disc.state for disc in spine.discs))
    count = len(grid.offsets_mm)
    for part in np.array_split(np.arange(count), max(1, round(count / _PLANES_AT_ONCE))):
        _paint_planes(canvas, slice(int(part[0]), int(part[-1]) + 1), spine, insides, options)
    return canvas


def _paint_planes(canvas: Canvas, planes: slice, spine: Spine, insides: _Insides, options: StudyOptions) -> None:
    thickness_mm = _thickness_mm(canvas.grid)
    grid = replace(canvas.grid, offsets_mm=canvas.grid.offsets_mm[planes])
    # all stacks of a study show the same patient: the grain of the tissue comes from one seed
    canvas = canvas.planes(planes, make_textures(np.random.default_rng(insides.texture_seed), grid))
    # the surroundings are vague: one plane a slice is enough for them
    paint_background(canvas, insides.body, insides.organs)
    window = render.spine_window(grid, spine)
    if window is not None:
        finer = canvas.repeated(window, sub_planes(grid.cut(window), options.sub_slices, thickness_mm))
        render.paint_spine(finer, spine, insides.contents)
        canvas.put(window, finer)


def _acquire(
    index: int,
    plan: _Plan,
    canvases: list[Canvas],
    masks: list[NDArray[np.uint8]],
    body: Body,
    options: StudyOptions,
    rng: np.random.Generator,
    noise_rng: np.random.Generator,
) -> PhantomSeries:
    """The series as the scanner stores it: all its stacks under one protocol and one grey scale."""
    acquisition = artefacts.sample_acquisition(rng, plan.view)
    scanned = scan.ideal if options.clean else scan.acquire
    images = scanned(index, plan.protocol, acquisition, canvases, body, noise_rng)
    if options.clean:
        acquisition = replace(acquisition, window=(0.0, 0.9995))
    pixels = (
        artefacts.to_uint8(images, acquisition)
        if options.pixel == "uint8"
        else artefacts.to_uint16(images, acquisition)
    )
    stacks = []
    for number, (stored, canvas, mask) in enumerate(zip(pixels, canvases, masks, strict=True)):
        name = plan.name if len(images) == 1 else f"{plan.name}.{number}"
        plane = "axial" if plan.view is View.AXIAL_T2 else "sagittal"
        series = Series(name, stored.astype(np.float32), canvas.grid.affine_vox2mm, plane, plan.view, "phantom")
        stacks.append(PhantomStack(series, mask))
    return PhantomSeries(plan.name, plan.view, tuple(stacks), plan.protocol, options.pixel)


def _with_truth(
    seed: int, options: StudyOptions, series: tuple[PhantomSeries, ...], spine: Spine, plans: tuple[_Plan, ...]
) -> PhantomStudy:
    measured: dict[int, Measurements] = {}
    grid = plans[0].grids[0]
    for index, disc in enumerate(spine.discs):
        if _in_view(disc.frame.center_mm, disc.half_depth, disc.mid_height, grid):
            measured[index] = measure(spine, index)
    levels = {m.level: truth.as_record(m) for m in measured.values()}
    lumbar = [m for index, m in measured.items() if index < LUMBAR_DISCS]
    keypoints = place_keypoints(lumbar, {plan.name: (plan.view, plan.grids) for plan in plans})
    findings = _findings(measured, {(point.level, point.target) for point in keypoints})
    grades = truth.grade_table(
        {index: {name: truth.grade(measured[index])[name] for name in shown} for index, shown in findings.items()}
    )
    readers = read(np.random.default_rng([seed, 3]), findings, grades)
    return PhantomStudy(seed, options, series, grades, levels, keypoints, spine, readers)


def _findings(measured: dict[int, Measurements], marked: set[tuple[str, str]]) -> Findings:
    """What can be graded: all but what RSNA marks and no slice shows, known by its missing mark."""
    return {
        index: {
            name: margins
            for name, margins in truth.signed_margins(m).items()
            if "rsna2024" not in TARGET[name].labelled_by or (m.level, name) in marked
        }
        for index, m in measured.items()
    }


def _in_view(center_mm: NDArray[np.float64], half_depth: float, height: float, grid: Grid) -> bool:
    """Whether a disc with a good part of the bodies beside it lies inside the sagittal field of view."""
    _, row, col = grid.indices(center_mm) * np.array([1.0, grid.spacing_mm, grid.spacing_mm])
    room = 0.45 * half_depth + 0.5 * height
    inside = room < row < (grid.rows - 1) * grid.spacing_mm - room
    return bool(inside and half_depth < col < (grid.cols - 1) * grid.spacing_mm - half_depth)
