"""What a phantom has to pass before anything is learnt from it: the numbers behind each test."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import LEVELS, MIRROR, TARGET_INDEX, TARGETS, View
from spinephantom.data import Interval, raw, record
from spinephantom.patient.disease import Course, sample_discs
from spinephantom.patient.pathology import LUMBAR_DISCS, Mode
from spinephantom.patient.person import sample_person
from spinephantom.phantom import PhantomStack, PhantomStudy, StudyOptions
from spinephantom.physics.kspace import filtered, k_window
from spinephantom.physics.sequence import Weighting, sample_protocol, sample_scanner, signal
from spinephantom.physics.tissue import sample_tissues
from spinephantom.population.prevalence import sample_spine
from spinephantom.scan.scanner_artefacts import sample_acquisition
from spinephantom.shapes.planes import Grid
from spinephantom.spine.anatomy import build_spine, mirrored
from spinephantom.spine.records import Spine
from spinephantom.synthesis import image, make_study
from spinephantom.truth import grades as truth
from spinephantom.truth.label_image import CANAL, FIRST_DISC, label_planes
from spinephantom.truth.morphometry import SAC_HEIGHTS_MM, Measurements, measure


@dataclass(frozen=True)
class Limits:
    """What is asked for (data/acceptance.toml)."""

    clear: float
    agreement: float
    prevalence: float
    level_mm: float
    elsewhere: float
    there: float
    edge_px: tuple[float, float]
    keypoint_px: float
    seconds: float
    memory_mb: float


LIMITS = record(Limits, "acceptance", "limits")
CONTRASTS = {name: Interval(*entry["value"]) for name, entry in raw("acceptance")["contrast"].items()}
"""Ranges of ratios of tissue signals; the median over seeds has to lie within."""
PIXEL_MM = 0.3
WRONG_LEVEL = LEVELS.index("T11/T12")
AUDITED_LEVEL = LEVELS.index("L4/L5")


def spine_of(seed: int, mode: Mode) -> Spine:
    """The spine of the study with this seed, without its images."""
    person_rng, disease_rng = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
    return sample_spine(disease_rng, mode, sample_person(person_rng, mode))


# 1: grades recomputed from the segmentation


def regraded(spine: Spine, level: int, measured: Measurements) -> dict[str, int]:
    """Canal and disc height graded anew from labelled pixels alone, on planes laid through the disc."""
    again = replace(
        measured, canal_area_mm2=float(_sac_areas(spine, level).min()), mid_height_mm=_thickness(spine, level)
    )
    grades = truth.grade(again)
    return {name: grades[name] for name in ("canal_stenosis", "narrowing")}


def _sac_areas(spine: Spine, level: int) -> NDArray[np.float64]:
    disc = spine.discs[level]
    u, v, w = disc.frame.axes.T
    corner = disc.frame.moved(u=-18.0, v=disc.recess.center_v - 18.0).center_mm
    count = int(36.0 / PIXEL_MM)
    grid = Grid(corner, w, PIXEL_MM * v, PIXEL_MM * u, np.array(SAC_HEIGHTS_MM), count, count)
    areas: NDArray[np.float64] = (label_planes(grid, spine) == CANAL).sum(axis=(1, 2)) * PIXEL_MM**2
    return areas


def _thickness(spine: Spine, level: int) -> float:
    """Mean over the middle half of the disc's depth, in its midline."""
    disc = spine.discs[level]
    u, v, w = disc.frame.axes.T
    half = 0.25 * disc.half_depth
    cols = int(2.0 * half / PIXEL_MM)
    grid = Grid(disc.frame.moved(v=-half, w=13.0).center_mm, u, -0.1 * w, 0.1 * v, np.zeros(1), 260, int(cols * 3))
    labels = label_planes(grid, spine)[0]
    return float((labels == FIRST_DISC + level).sum(axis=0).mean() * 0.1)


def regrading(spines: Iterable[Spine]) -> tuple[int, int]:
    """How many clear grades agree with those of the segmentation, and how many there are."""
    agree = total = 0
    for spine in spines:
        for level in range(LUMBAR_DISCS):
            measured = measure(spine, level)
            state = spine.discs[level].state
            grades, margins = truth.grade(measured), truth.margins(measured)
            for name, grade in regraded(spine, level, measured).items():
                # the mask shows a disc with its Schmorl nodes, the height is measured without them
                hidden = name == "narrowing" and (state.schmorl_above_mm or state.schmorl_below_mm)
                if margins[name] > LIMITS.clear and not hidden:
                    total += 1
                    agree += grade == grades[name]
    return agree, total


# 2: prevalence


def lumbar_grades(seed: int, mode: Mode) -> list[dict[str, int]]:
    """Published grades of the lumbar levels of the study with this seed."""
    spine = spine_of(seed, mode)
    return [truth.grade(measure(spine, level)) for level in range(LUMBAR_DISCS)]


# 3: mirror


def mirror_differences(spine: Spine) -> int:
    """Grades that do not change sides when the spine does."""
    seen = mirrored(spine)
    wrong = 0
    for level in range(LUMBAR_DISCS):
        plain, other = truth.grade(measure(spine, level)), truth.grade(measure(seen, level))
        for name, grade in plain.items():
            wrong += grade != other[TARGETS[MIRROR[TARGET_INDEX[name]]].name]
    return wrong


# 4: counterfactual pairs


def change_outside(seed: int, level: int, **changes: object) -> tuple[float, float]:
    """Largest share of the brightest value by which a clean study changes beyond and within ``LIMITS.level_mm`` of a
    disc when one thing is changed there."""
    options = StudyOptions(axial=False, slices=3, size=192, sub_slices=1, clean=True, pixel="uint16")
    spine = spine_of(seed, Mode.SCREENING)
    states = [disc.state for disc in spine.discs]
    states[level] = replace(states[level], **changes)  # type: ignore[arg-type]
    before, after = (image(seed, options, one) for one in (spine, build_spine(spine.person, tuple(states))))
    outside = inside = 0.0
    for one, other in zip(before.series, after.series, strict=True):
        indices = np.indices(one.series.voxels_SRC.shape).reshape(3, -1)
        affine = one.series.affine_vox2mm
        points = (affine[:3, :3] @ indices).T + affine[:3, 3]
        far = np.linalg.norm((points - spine.discs[level].frame.center_mm)[:, 1:], axis=1) > LIMITS.level_mm
        changed = np.abs(one.series.voxels_SRC - other.series.voxels_SRC).ravel() / one.series.voxels_SRC.max()
        outside, inside = max(outside, float(changed[far].max())), max(inside, float(changed[~far].max()))
    return outside, inside


# 5: shortcuts


def audited_study(seed: int) -> PhantomStudy:
    """A small study of somebody whose level L4/L5 says nothing about the rest of the body.

    Age, constitution and canal, which honestly tell of disease everywhere, are the same in all; each disc has its own
    disease. What is then told from elsewhere than the level is told by the generator.
    """
    person_rng, disease_rng = (np.random.default_rng([seed, n]) for n in (11, 12))
    person = replace(sample_person(person_rng), canal_scale=1.0, lipomatosis_mm=0.0, transitional="none")
    course = Course(0.0, -1, (), False, 0.0)
    states = sample_discs(disease_rng, Mode.BALANCED, person, course)
    options = StudyOptions(axial=False, slices=3, size=128, sub_slices=1, stir_share=0.0, discs_in_view=8)
    return image(seed, options, build_spine(person, states))


def has_stenosis(study: PhantomStudy) -> bool:
    """Whether the canal of the audited level is narrowed at all."""
    return bool(study.grades_LT[AUDITED_LEVEL, TARGET_INDEX["canal_stenosis"]] > 0)


def shortcuts(study: PhantomStudy) -> dict[str, NDArray[np.float64]]:
    """Audit -> features that must not tell the grade of the audited level."""
    t2 = study.series[1].stacks[0]
    middle = t2.series.voxels_SRC[1]
    return {
        "wrong-level crop": _crop(t2, study.spine.discs[WRONG_LEVEL].frame.center_mm),
        "background": _pooled(np.where(_near_spine(t2, study), middle.mean(), middle), 8),
        "histogram": np.quantile(t2.series.voxels_SRC, np.linspace(0.02, 0.98, 25)),
        "header": _header(study),
    }


def _crop(stack: PhantomStack, center_mm: NDArray[np.float64], half: int = 16) -> NDArray[np.float64]:
    """Pixels about a point in the middle slice, (2 * half) squared, then pooled by two."""
    voxel = stack.series.to_vox(center_mm)
    padded = np.pad(stack.series.voxels_SRC[1], half)
    row, col = (
        min(max(round(float(at)), 0), size - 2 * half) for at, size in zip(voxel[1:3], padded.shape, strict=True)
    )
    return _pooled(padded[row : row + 2 * half, col : col + 2 * half], 2)


def _pooled(image_RC: NDArray[np.floating], size: int) -> NDArray[np.float64]:
    rows, cols = (n - n % size for n in image_RC.shape)
    blocks = image_RC[:rows, :cols].reshape(rows // size, size, cols // size, size)
    return np.asarray(blocks.mean(axis=(1, 3)).ravel()[:200], float)


def _near_spine(stack: PhantomStack, study: PhantomStudy) -> NDArray[np.bool_]:
    """Pixels of the middle slice between the front of the discs and 75 mm behind them."""
    affine = stack.series.affine_vox2mm
    rows, cols = np.meshgrid(*(np.arange(size) for size in stack.series.voxels_SRC.shape[1:]), indexing="ij")
    points = affine[:3, 3] + rows[..., None] * affine[:3, 1] + cols[..., None] * affine[:3, 2]
    centers = np.array([disc.frame.center_mm for disc in study.spine.discs])
    order = np.argsort(centers[:, 2])
    front = np.interp(points[..., 2], centers[order, 2], centers[order, 1]) - 30.0
    return np.asarray((points[..., 1] > front) & (points[..., 1] < front + 105.0))


def _header(study: PhantomStudy) -> NDArray[np.float64]:
    """Numbers of the protocols and of the geometry that a DICOM header tells."""
    values: list[float] = []
    for item in study.series:
        protocol, affine = item.protocol, item.series.affine_vox2mm
        values += [protocol.tr_ms, protocol.te_ms, protocol.echo_train, protocol.bandwidth_hz, protocol.field_t]
        values += [float(len(protocol.vendor)), *np.linalg.norm(affine[:3, :3], axis=0), *affine[:3, 3]]
    return np.array(values)


# 6: contrast and sharpness


def contrasts(seed: int) -> dict[str, float]:
    """Ratios of tissue signals under drawn protocols, by the names of ``CONTRASTS``."""
    rng = np.random.default_rng(seed)
    tissues = sample_tissues(rng, sample_person(rng), 0.0)
    scanner = sample_scanner(rng)
    t1, t2, stir = (
        sample_protocol(rng, scanner, weighting) for weighting in (Weighting.T1, Weighting.T2, Weighting.STIR)
    )

    def ratio(protocol: object, over: str, under: str) -> float:
        return signal(protocol, tissues[over]) / signal(protocol, tissues[under])  # type: ignore[arg-type]

    return {
        "T2 muscle/CSF": ratio(t2, "muscle", "csf"),
        "T2 marrow/CSF": ratio(t2, "marrow", "csf"),
        "T2 fat/CSF": ratio(t2, "fat", "csf"),
        "T1 CSF/fat": ratio(t1, "csf", "fat"),
        "STIR fat/CSF": ratio(stir, "fat", "csf"),
    }


def edge_widths_px(seed: int) -> tuple[float, float]:
    """10-90 % widths of a sharp edge across rows and across columns, as a drawn protocol acquires it."""
    rng = np.random.default_rng(seed)
    protocol = sample_protocol(rng, sample_scanner(rng), Weighting.T2)
    strength = sample_acquisition(rng, View.SAGITTAL_T2).filter_strength
    step = np.zeros((256, 256), np.float32)
    step[64:192, 64:192] = 1.0
    seen = filtered(step, k_window(step.shape, protocol, strength))
    across_rows, across_columns = _rise(seen[:128, 128]), _rise(seen[128, :128])
    return across_rows, across_columns


def _rise(profile: NDArray[np.floating]) -> float:
    """Pixels from the last place below 10 % to the first above 90 % around the middle of a step."""
    middle = int(np.argmax(profile >= 0.5))
    return _crossing(profile[middle - 6 :], 0.9) - _crossing(profile[middle - 6 :], 0.1)


def _crossing(profile: NDArray[np.floating], value: float) -> float:
    """Where a profile first stays at or above a value on its way up, as a fraction of pixels."""
    top = int(np.argmax(profile >= 0.9))
    after = int(np.flatnonzero(profile[: top + 1] < value)[-1]) + 1
    low, high = float(profile[after - 1]), float(profile[after])
    return after - (high - value) / (high - low)


def cost(seed: int, studies: int = 3) -> tuple[float, float]:
    """Seconds of one core a three-series study, without compilation, and the most memory (MB) this process has held."""
    make_study(seed, mode=Mode.RSNA)
    start = time.process_time()
    for other in range(1, studies + 1):
        make_study(seed + other, mode=Mode.RSNA)
    return (time.process_time() - start) / studies, _peak_memory_mb()


def _peak_memory_mb() -> float:
    status = Path("/proc/self/status")
    if status.exists():  # Linux; ru_maxrss begins there with what the process had that started this one
        return float(status.read_text().split("VmHWM:")[1].split()[0]) / 1024.0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
