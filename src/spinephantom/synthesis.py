"""One synthetic study from one number: person, disease, scanner, images, masks and truth."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import TARGET, View
from spinenet.study import Series
from spinephantom.paint import skeleton
from spinephantom.paint.abdomen import Organ, make_organs
from spinephantom.paint.background import paint_background
from spinephantom.paint.canal import Contents, canal_contents
from spinephantom.paint.canvas import Canvas
from spinephantom.paint.trunk import Body, make_body
from spinephantom.patient.pathology import LUMBAR_DISCS
from spinephantom.patient.person import sample_person
from spinephantom.phantom import PhantomSeries, PhantomStack, PhantomStudy, StudyOptions
from spinephantom.physics.sequence import (
    PRACTICE,
    PoolSignal,
    Protocol,
    Weighting,
    random_signals,
    sample_protocol,
    sample_scanner,
    tissue_signal,
)
from spinephantom.physics.texture import make_textures
from spinephantom.physics.tissue import VARIATION, Tissue, herniated, nucleus, sample_tissues
from spinephantom.population.prevalence import sample_spine
from spinephantom.scan import magnitude as scan
from spinephantom.scan import scanner_artefacts as artefacts
from spinephantom.scan.practice import SAGITTAL, SLICE
from spinephantom.scan.prescription import (
    plan_axial,
    plan_sagittal,
    resized,
    sub_planes,
)
from spinephantom.shapes.planes import Grid
from spinephantom.spine.anatomy import mirrored
from spinephantom.spine.arch import screws
from spinephantom.spine.records import Spine
from spinephantom.truth import grades as truth
from spinephantom.truth.keypoints import place_keypoints
from spinephantom.truth.label_image import label_planes
from spinephantom.truth.morphometry import Measurements, measure
from spinephantom.truth.simulated_raters import Findings, rate

_PLANES_AT_ONCE = 3
"""Slices that are painted together: few, as all that is needed for it is held in memory."""
_VIEWS = {
    Weighting.T1: View.SAGITTAL_T1,
    Weighting.T2: View.SAGITTAL_T2,
    Weighting.STIR: View.SAGITTAL_STIR,
    Weighting.FAT_SATURATED: View.SAGITTAL_STIR,
}


@dataclass(frozen=True)
class _Plan:
    """One series before it is painted."""

    name: str
    view: View
    protocol: Protocol


@dataclass(frozen=True)
class _Job:
    """Series on the same planes, which are painted once."""

    grids: tuple[Grid, ...]
    plans: tuple[_Plan, ...]


@dataclass(frozen=True)
class _Insides:
    """What of a person is drawn once for all series, besides the spine."""

    body: Body
    organs: tuple[Organ, ...]
    contents: Contents
    texture_seed: tuple[int, int]


def make_study(seed: int, options: StudyOptions | None = None, **changes: Any) -> PhantomStudy:
    """A synthetic study with its truth; ``changes`` are fields of StudyOptions that differ from ``options``.

    The same seed and options give the same bytes on one machine. Raises ConfigError for options that cannot be.

    >>> study = make_study(7, mode="screening", axial=False, slices=3, size=96)
    >>> [(item.name, item.series.voxels_SRC.shape) for item in study.series]
    [('t1', (3, 96, 96)), ('t2', (3, 96, 96))]
    """
    options = replace(options or StudyOptions(), **changes)
    person_rng, disease_rng = _streams(seed)[:2]
    return image(seed, options, sample_spine(disease_rng, options.mode, sample_person(person_rng, options.mode)))


def rescanned(study: PhantomStudy, visit: int) -> PhantomStudy:
    """The same person with the same tissues on another ``visit``, from 1 on: another scanner with other settings, other
    planes and fields of view, and other noise."""
    return image(study.seed, study.options, study.spine, visit)


def _streams(seed: int) -> list[np.random.Generator]:
    """Separate: acquisition cannot depend on disease, and a change in one part leaves the others as they were."""
    return [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(6)]


def _streams_of_visit(seed: int, visit: int) -> list[np.random.Generator]:
    """Those of scanner, noise and planes."""
    if visit == 0:
        return _streams(seed)[3:]
    return [np.random.default_rng(s) for s in np.random.SeedSequence([seed, 9, visit]).spawn(3)]


def image(seed: int, options: StudyOptions, spine: Spine, visit: int = 0) -> PhantomStudy:
    """The study of a spine that is already there; ``options.mode`` has no say any more."""
    tissue_rng = _streams(seed)[2]
    scanner_rng, noise_rng, plan_rng = _streams_of_visit(seed, visit)
    # planes are laid on the person as he is; a mirrored study is the mirror image of person and planes
    jobs = _plan(plan_rng, scanner_rng, spine, make_body(np.random.default_rng(seed), spine), options)
    spine = mirrored(spine) if options.mirror else spine
    body = make_body(np.random.default_rng(seed), spine)
    widened = tissue_rng.random() < options.widened_share
    spread = VARIATION.wide_spread if widened else VARIATION.spread
    tissues = sample_tissues(tissue_rng, spine.person, spread)
    tissues |= _disc_tissues(spine)
    randomised = tissue_rng.random() < options.random_share
    insides = _Insides(
        body,
        make_organs(np.random.default_rng([seed, 1]), body),
        canal_contents(spine, np.random.default_rng([seed, 2])),
        (seed, 3),
    )
    series: list[PhantomSeries] = []
    for job in jobs:
        signals = tuple(
            random_signals(tissue_rng, tissues)
            if randomised
            else {name: tissue_signal(plan.protocol, tissue) for name, tissue in tissues.items()}
            for plan in job.plans
        )
        series += _acquire(job, signals, spine, insides, options, scanner_rng, noise_rng)
    return _with_truth(seed, options, tuple(series), spine, jobs)


def _plan(
    rng: np.random.Generator, scanner_rng: np.random.Generator, spine: Spine, body: Body, options: StudyOptions
) -> tuple[_Job, ...]:
    """Sagittal T1, sagittal T2 or STIR, mostly on the same planes, and the axial series."""
    scanner = sample_scanner(scanner_rng)
    without_fat = Weighting.FAT_SATURATED if scanner_rng.random() < PRACTICE.fat_saturated else Weighting.STIR
    second = without_fat if scanner_rng.random() < options.stir_share else Weighting.T2
    coverage = options.coverage()
    planes = plan_sagittal(rng, spine, body, coverage)
    others = None if rng.random() < SAGITTAL.same_planes or options.slices else resized(planes, rng, coverage)
    axial = plan_axial(rng, spine, coverage) if options.axial else []
    t1, t2 = (
        _Plan(name, _VIEWS[weighting], sample_protocol(scanner_rng, scanner, weighting))
        for name, weighting in (("t1", Weighting.T1), ("t2", second))
    )
    jobs = [_Job((planes,), (t1, t2))] if others is None else [_Job((planes,), (t1,)), _Job((others,), (t2,))]
    protocol = sample_protocol(scanner_rng, scanner, Weighting.T2, axial=True)
    for number, groups in enumerate(axial, start=1):
        name = "axial" if number == 1 else f"axial_{number}"
        jobs.append(_Job(groups, (_Plan(name, View.AXIAL_T2, protocol),)))
    if options.mirror:
        jobs = [replace(job, grids=tuple(grid.mirrored() for grid in job.grids)) for job in jobs]
    return tuple(jobs)


def _disc_tissues(spine: Spine) -> dict[str, Tissue]:
    """Nucleus and herniated material of every disc, each with its own T2."""
    tissues = {skeleton.nucleus_tissue(disc): nucleus(disc.state.nucleus_t2_ms) for disc in spine.discs}
    for disc in spine.discs:
        tissues[skeleton.herniated_tissue(disc)] = herniated(disc.state.herniation_t2_ms)
    return tissues


def _thickness_mm(grid: Grid) -> float:
    offsets = grid.offsets_mm
    return SLICE.thickness * float(offsets[1] - offsets[0]) if len(offsets) > 1 else 4.0


def _acquire(
    job: _Job,
    signals: tuple[dict[str, PoolSignal], ...],
    spine: Spine,
    insides: _Insides,
    options: StudyOptions,
    rng: np.random.Generator,
    noise_rng: np.random.Generator,
) -> list[PhantomSeries]:
    """All series on the planes of a job as the scanner stores them; painted and received a few planes at a time."""
    receiver = scan.IdealReceiver if options.clean else scan.Receiver
    received = [
        receiver(plan.protocol, artefacts.sample_acquisition(rng, plan.view), table, job.grids, insides.body, noise_rng)
        for plan, table in zip(job.plans, signals, strict=True)
    ]
    masks = []
    for number, grid in enumerate(job.grids):
        masks.append(label_planes(grid, spine))
        count = len(grid.offsets_mm)
        for part in np.array_split(np.arange(count), max(1, round(count / _PLANES_AT_ONCE))):
            planes = slice(int(part[0]), int(part[-1]) + 1)
            canvas = _paint(grid, planes, spine, insides, signals, options)
            for index, one in enumerate(received):
                one.receive(number, planes, index, canvas)
    return [_stored(plan, one, masks, job.grids, options) for plan, one in zip(job.plans, received, strict=True)]


def _paint(
    grid: Grid,
    planes: slice,
    spine: Spine,
    insides: _Insides,
    signals: tuple[dict[str, PoolSignal], ...],
    options: StudyOptions,
) -> Canvas:
    """Noise-free water and fat images of all series on some planes of a stack."""
    thickness_mm = _thickness_mm(grid)
    grid = replace(grid, offsets_mm=grid.offsets_mm[planes])
    # all stacks of a study show the same patient: the grain of the tissue comes from one seed
    canvas = Canvas(grid, signals, make_textures(np.random.default_rng(insides.texture_seed), grid))
    canvas.metal = screws(spine.vertebrae, tuple(disc.state for disc in spine.discs))
    # the surroundings are vague: one plane a slice is enough for them
    paint_background(canvas, insides.body, insides.organs)
    window = skeleton.spine_window(grid, spine)
    if window is not None:
        finer = canvas.repeated(window, sub_planes(grid.cut(window), options.sub_slices, thickness_mm))
        skeleton.paint_spine(finer, spine, insides.contents)
        canvas.put(window, finer)
    return canvas


def _stored(
    plan: _Plan,
    received: scan.Receiver,
    masks: list[NDArray[np.uint8]],
    grids: tuple[Grid, ...],
    options: StudyOptions,
) -> PhantomSeries:
    """A series with all its stacks on one grey scale."""
    acquisition = received.acquisition
    if options.clean:
        acquisition = replace(acquisition, window=(0.0, 0.9995), gamma=1.0)
    store = artefacts.to_uint8 if options.pixel == "uint8" else artefacts.to_uint16
    stacks = []
    for number, (stored, grid, mask) in enumerate(zip(store(received.images, acquisition), grids, masks, strict=True)):
        name = plan.name if len(grids) == 1 else f"{plan.name}.{number}"
        plane = "axial" if plan.view is View.AXIAL_T2 else "sagittal"
        series = Series(name, stored.astype(np.float32), grid.affine_vox2mm, plane, plan.view, "phantom")
        stacks.append(PhantomStack(series, mask))
    return PhantomSeries(plan.name, plan.view, tuple(stacks), plan.protocol, options.pixel)


def _with_truth(
    seed: int, options: StudyOptions, series: tuple[PhantomSeries, ...], spine: Spine, jobs: tuple[_Job, ...]
) -> PhantomStudy:
    measured: dict[int, Measurements] = {}
    grid = jobs[0].grids[0]
    for index, disc in enumerate(spine.discs):
        if _in_view(disc.frame.center_mm, disc.half_depth, disc.mid_height, grid):
            measured[index] = measure(spine, index)
    levels = {m.level: truth.as_record(m) for m in measured.values()}
    lumbar = [m for index, m in measured.items() if index < LUMBAR_DISCS]
    keypoints = place_keypoints(lumbar, {plan.name: (plan.view, job.grids) for job in jobs for plan in job.plans})
    findings = _findings(measured, {(point.level, point.target) for point in keypoints})
    grades = truth.grade_table(
        {index: {name: truth.grade(measured[index])[name] for name in shown} for index, shown in findings.items()}
    )
    raters = rate(np.random.default_rng([seed, 3]), findings, grades)
    return PhantomStudy(seed, options, series, grades, levels, keypoints, spine, raters)


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
