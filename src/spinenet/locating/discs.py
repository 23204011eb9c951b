"""From a sagittal series to named levels: segment a few slices, connect the discs, count them from the sacrum.

The locator network gives each pixel one of ``LOCATOR_CLASSES``. The lowest disc, the one on the sacrum, is a class of
its own: it is recognised by how the sacrum looks, not by being the last one in view, so a study whose field of view
ends above it gets no level names at all instead of wrong ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import LEVELS
from spinenet.locating.measurements import Sampler, measured
from spinenet.regions import LUMBAR
from spinenet.study import LevelFrame, LocatedSeries, Note, Scope, Series, Severity

LOCATOR_CLASSES = ("background", "vertebra", "canal", "disc", "lowest_disc")
VERTEBRA, CANAL, DISC, LOWEST_DISC = 1, 2, 3, 4
PIXEL_MM = 1.25
"""Pixel size the locator works at."""
SIZE_MULTIPLE = 16
"""Rows and columns are padded to a multiple of this: the network halves its grid four times."""
MIN_DISC_MM2 = 60.0
"""Smaller regions are specks. This and the following were chosen by hand on SPIDER's series and phantoms."""
MIN_LOWEST = 0.3
"""How much of a disc must look like the lowest one; with the sacrum out of view hardly any pixel does."""
PASSED_OVER = 1.45
"""Discs farther apart than so many typical steps of their spine have one between them that was not found. In 328 series
of SPIDER the widest step was 1.32, and 2.02 in the one with a disc passed over; steps grow shorter upwards, so that two
of them were 1.57 in a phantom."""
BEYOND_STEPS = 1.05
"""The image goes on below the lowest disc by so many of the nearest disc spacings: 1.18 at least in 140 series of
SPIDER, 0.9 in one patient (188), who is refused since an image that ends within L5/S1 looks the same."""
TYPICAL_DISC_MM2 = 220.0
"""Mid-sagittal area from which a disc counts as fully seen."""

NUMBERING = Note(
    "numbering",
    Scope.STUDY,
    "",
    "levels are numbered from the sacrum, not verified; a transitional vertebra would shift them",
)
"""Belongs to every study with named levels."""
DISC_BELOW = "disc_below"
"""Code of the note that something like a disc lies below the lowest one counted."""
LEVEL_MISSED = "level_missed"
"""Code of the note that a level, whose name begins the note's text, was passed over."""

Segmenter = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(N, 1, H, W) normalised images at PIXEL_MM -> (N, len(LOCATOR_CLASSES), H, W) probabilities."""


@dataclass(frozen=True)
class LocatorGrid:
    """One slice on the locator's grid. ``step_rc`` (2,) is the grid's pixel size in pixels of the slice."""

    image_HW: NDArray[np.float32]
    step_rc: NDArray[np.float64]

    def to_slice(self, points_N2: NDArray[np.float64]) -> NDArray[np.float64]:
        """Grid (row, column) to slice (row, column): pixel centres."""
        return (points_N2 + 0.5) * self.step_rc - 0.5

    def from_mm(self, series: Series) -> NDArray[np.float64]:
        """(3, 4) from LPS mm (x, y, z, 1) to (slice, row, column) of the grid; the slice index stays the series'."""
        mm2grid = series.mm2vox[:3].copy()
        mm2grid[1:, 3] += 0.5
        mm2grid[1:] /= self.step_rc[:, None]
        mm2grid[1:, 3] -= 0.5
        return mm2grid


def locator_grid(slice_RC: NDArray[np.float32], spacing_rc_mm: NDArray[np.float64]) -> LocatorGrid:
    """Resample a slice to PIXEL_MM without padding, in its own grey values."""
    from scipy import ndimage

    step_rc = PIXEL_MM / spacing_rc_mm
    shape = tuple(int(n) for n in np.maximum(1, np.round(np.array(slice_RC.shape) / step_rc)))
    blur = 0.4 * np.sqrt(np.maximum(step_rc**2 - 1, 0))
    smooth = ndimage.gaussian_filter(slice_RC, blur) if blur.max() > 0.2 else slice_RC
    image = ndimage.affine_transform(
        smooth, step_rc, 0.5 * step_rc - 0.5, shape, order=1, mode="nearest", prefilter=False
    )
    return LocatorGrid(image.astype(np.float32), step_rc)


def normalise(image_HW: NDArray[np.float32]) -> NDArray[np.float32]:
    """Grey values to about 0..1 by the 1st and 99.5th percentile; what the locator sees in training and use."""
    low, high = np.percentile(image_HW, [1.0, 99.5])
    return np.clip((image_HW - low) / max(high - low, 1e-6), 0, 1.2).astype(np.float32)


def pad_to_multiple(image_HW: NDArray[np.float32], multiple: int = SIZE_MULTIPLE) -> NDArray[np.float32]:
    """Zero-pad below and to the right to a multiple of ``multiple``."""
    rows, columns = image_HW.shape
    return np.pad(image_HW, ((0, -rows % multiple), (0, -columns % multiple)))


def candidate_slices(series: Series) -> list[int]:
    """Slices to segment: the middle one and up to two on each side, about 4 mm apart."""
    count = series.voxels_SRC.shape[0]
    middle = count // 2
    chosen = [middle + k * _stride(series) for k in (-2, -1, 0, 1, 2)]
    return [index for index in chosen if 0 <= index < count]


def _stride(series: Series) -> int:
    """Slices that make about 4 mm."""
    return max(1, round(4.0 / float(series.spacing_mm[0])))


@dataclass(frozen=True)
class DiscCandidate:
    """One connected disc-like region: its frame, its weight as evidence (about 1 for a clear disc) and how much of it
    looks like the lowest disc (0 to 1)."""

    frame: LevelFrame
    weight: float
    lowest: float


@dataclass(frozen=True)
class Detection:
    """The discs seen in the most nearly mid-sagittal slice of a series, from below upwards, not yet named.

    ``sacrum_below`` says of each disc whether the image goes on far enough below it to show a sacrum.
    """

    series: Series
    slice_index: int
    discs: tuple[DiscCandidate, ...]
    sacrum_below: tuple[bool, ...]
    reference: NDArray[np.float32]

    @property
    def anchor(self) -> int | None:
        """Index of the disc most like the lowest one, None where none is or the image ends just below it."""
        if not self.discs:
            return None
        index = int(np.argmax([disc.lowest * disc.weight for disc in self.discs]))
        return index if self.discs[index].lowest >= MIN_LOWEST and self.sacrum_below[index] else None

    @property
    def certainty(self) -> float:
        """How surely the lowest disc was recognised, 0 to 1."""
        return 0.0 if self.anchor is None else self.discs[self.anchor].lowest * self.discs[self.anchor].weight


def detect(series: Series, segment: Segmenter) -> Detection:
    """Segment a few slices about the middle of the stack, and others beside them for as long as these show more of the
    spine, and take the discs of the one that shows most disc and canal together."""
    seen = _segmented(series, candidate_slices(series), segment)
    best = max(seen, key=lambda one: one.spine)
    while further := _beside(best.index, [one.index for one in seen], series):
        found = _segmented(series, further, segment)
        seen += found
        better = max(found, key=lambda one: one.spine)
        if better.spine <= best.spine:
            break
        best = better
    discs = disc_candidates(best.probabilities_CHW, best.grid, series, best.index)
    sampler = Sampler(best.probabilities_CHW, best.grid.from_mm(series))
    discs = [replace(disc, frame=measured(disc.frame, sampler, canal=CANAL, vertebra=VERTEBRA)) for disc in discs]
    return Detection(
        series=series,
        slice_index=best.index,
        discs=tuple(discs),
        sacrum_below=tuple(
            _image_below(disc.frame, _beyond_mm(discs[index:]), best.grid, series) for index, disc in enumerate(discs)
        ),
        reference=reference_values(best.grid.image_HW, best.probabilities_CHW.argmax(0)),
    )


@dataclass(frozen=True)
class _SegmentedSlice:
    """One slice as the locator sees it; ``spine`` is how much disc and canal it shows together."""

    index: int
    grid: LocatorGrid
    probabilities_CHW: NDArray[np.float32]
    spine: float


def _segmented(series: Series, slices: Sequence[int], segment: Segmenter) -> list[_SegmentedSlice]:
    grids = [locator_grid(series.voxels_SRC[index], series.spacing_mm[1:]) for index in slices]
    images = np.stack([pad_to_multiple(normalise(grid.image_HW)) for grid in grids])[:, None]
    rows, columns = grids[0].image_HW.shape
    probabilities_NCHW = segment(images)[:, :, :rows, :columns]
    spine_N = np.sqrt(probabilities_NCHW[:, DISC:].sum((1, 2, 3)) * probabilities_NCHW[:, CANAL].sum((1, 2)))
    return [
        _SegmentedSlice(index, grid, probabilities_CHW, float(spine))
        for index, grid, probabilities_CHW, spine in zip(slices, grids, probabilities_NCHW, spine_N, strict=True)
    ]


def _beside(best: int, seen: Sequence[int], series: Series) -> list[int]:
    """The next slices on that side of the stack where the best one is the last that was looked at; none elsewhere."""
    side = 1 if best == max(seen) else -1 if best == min(seen) else 0
    further = [best + side * k * _stride(series) for k in (1, 2)] if side else []
    within = [index for index in further if 0 <= index < len(series.voxels_SRC)]
    return within or ([end] if side and (end := 0 if side < 0 else len(series.voxels_SRC) - 1) not in seen else [])


def name_levels(detection: Detection) -> LocatedSeries | Note:
    """Name the discs of a series upwards from its lowest one.

    The reason, in words for a user, where no level can be named: no spine, fewer discs than the region needs, or the
    sacrum not in view.
    """
    name = detection.series.name

    def unnamed(code: str, reason: str) -> Note:
        return Note(code, Scope.SERIES, name, reason, Severity.REFUSE)

    needed = f"at least {LUMBAR.fewest} are needed"
    if len(detection.discs) < LUMBAR.fewest:
        reason = f"only {len(detection.discs)} lumbar discs in view, {needed}; is this a sagittal lumbar series?"
        return unnamed("few_discs", reason)
    anchor = detection.anchor
    if anchor is None:
        reason = "the sacrum is not in view, so levels cannot be numbered from below; no grades are given"
        return unnamed("no_sacrum", reason)
    chain = spinal_chain(detection.discs[anchor:])
    frames, missed = _count_up([disc.frame for disc in chain])
    if len(frames) < LUMBAR.fewest:
        reason = f"only {len(frames)} discs above the sacrum in view, {needed} to number levels"
        return unnamed("few_discs", reason)
    below = f"{anchor} disc-like structure(s) below the lowest lumbar disc were ignored"
    notes = [Note(DISC_BELOW, Scope.SERIES, name, below)] if anchor > 0 else []
    notes += [
        Note(LEVEL_MISSED, Scope.SERIES, name, f"{level} was not found between its neighbours") for level in missed
    ]
    return located_series(detection, frames, notes)


def located_series(detection: Detection, frames: Sequence[LevelFrame], notes: Sequence[Note] = ()) -> LocatedSeries:
    """A detection with its discs named."""
    return LocatedSeries(
        detection.series,
        tuple(frames),
        detection.slice_index,
        detection.reference,
        tuple(notes),
        detection.certainty,
    )


def _beyond_mm(discs: Sequence[DiscCandidate]) -> float:
    """How far the image must go on below the first of these discs: another body and disc must not fit there unseen."""
    if len(discs) < LUMBAR.fewest:
        return LUMBAR.beyond_mm
    chain = spinal_chain(discs)[:3]
    steps_mm = [float(np.linalg.norm(b.frame.center_mm - a.frame.center_mm)) for a, b in pairwise(chain)]
    return max(LUMBAR.beyond_mm, BEYOND_STEPS * max(min(steps_mm, default=0.0), 0.0))


def _image_below(frame: LevelFrame, beyond_mm: float, grid: LocatorGrid, series: Series) -> bool:
    """Does the slice go on far enough below the disc? What looks like the lowest disc at the edge of an image may be
    any disc."""
    point_mm = frame.center_mm - beyond_mm * frame.superior
    row, column = series.to_vox(point_mm)[1:] / grid.step_rc
    return bool(row < grid.image_HW.shape[0] - 1 and 0 <= column < grid.image_HW.shape[1])


def disc_candidates(
    probabilities_CHW: NDArray[np.float32],
    grid: LocatorGrid,
    series: Series,
    slice_index: int,
) -> list[DiscCandidate]:
    """Connected disc-like regions of at least MIN_DISC_MM2, from below upwards."""
    from scipy import ndimage

    disc_HW = probabilities_CHW[DISC] + probabilities_CHW[LOWEST_DISC]
    # Corners connect: a collapsed disc that lies obliquely is little more than one pixel thick.
    labelled_HW, _ = ndimage.label(disc_HW > 0.5, structure=np.ones((3, 3)))
    candidates = []
    for index, box in enumerate(ndimage.find_objects(labelled_HW), start=1):
        inside = labelled_HW[box] == index
        area_mm2 = inside.sum() * PIXEL_MM**2
        if area_mm2 < MIN_DISC_MM2:
            continue
        weights = np.where(inside, disc_HW[box], 0)
        frame = frame_of_disc(weights, (box[0].start, box[1].start), grid, series, slice_index)
        lowest = float(probabilities_CHW[LOWEST_DISC][box][inside].mean())
        weight = frame.confidence * min(1.0, float(area_mm2) / TYPICAL_DISC_MM2)
        candidates.append(DiscCandidate(frame, weight, lowest))
    return sorted(candidates, key=lambda candidate: candidate.frame.center_mm[2])


def spinal_chain(candidates: Sequence[DiscCandidate]) -> list[DiscCandidate]:
    """The most plausible column of discs that starts at the first candidate (dynamic programming).

    Evidence adds up; a step that is much shorter or longer than this spine's typical disc spacing costs, so a fragment
    inside a body is passed over, and a disc that was missed leaves a gap instead of ending the column.
    """
    centers_mm = np.stack([candidate.frame.center_mm for candidate in candidates])
    weights = np.array([candidate.weight for candidate in candidates])
    distance_mm = np.linalg.norm(centers_mm[:, None] - centers_mm[None], axis=2)
    clear = centers_mm[weights > 0.25 * weights.max()]
    steps_mm = np.linalg.norm(np.diff(clear, axis=0), axis=1)
    typical_mm = float(np.clip(np.median(steps_mm), *LUMBAR.steps_mm)) if steps_mm.size else LUMBAR.step_mm
    score, following = weights.copy(), np.full(len(candidates), -1)
    for lower in range(len(candidates) - 2, -1, -1):
        for upper in range(lower + 1, len(candidates)):
            step_mm = distance_mm[lower, upper]
            rise_mm = centers_mm[upper, 2] - centers_mm[lower, 2]
            if not LUMBAR.min_rise_mm <= rise_mm <= step_mm <= 2.5 * typical_mm:
                continue
            cost = min(2.0 * (step_mm / typical_mm - 1) ** 2, 0.8)
            if weights[lower] + score[upper] - cost > score[lower]:
                score[lower], following[lower] = weights[lower] + score[upper] - cost, upper
    chain, index = [candidates[0]], int(following[0])
    while index >= 0:
        chain.append(candidates[index])
        index = int(following[index])
    return chain


def _count_up(frames: Sequence[LevelFrame]) -> tuple[tuple[LevelFrame, ...], tuple[str, ...]]:
    """Discs named upwards from L5/S1, and names missed: a gap of two disc spacings skips one instead of shifting all
    above."""
    steps_mm = [float(np.linalg.norm(b.center_mm - a.center_mm)) for a, b in pairwise(frames)]
    # Below the median, because a disc that was missed can only lengthen steps.
    typical_mm = float(np.percentile(steps_mm, 40)) if steps_mm else LUMBAR.step_mm
    named, position = [replace(frames[0], level=LEVELS[0])], 0
    missed: list[str] = []
    for step_mm, frame in zip(steps_mm, frames[1:], strict=True):
        skipped = LEVELS[position + 1 : position + 2] if step_mm > PASSED_OVER * typical_mm else ()
        missed.extend(skipped)
        position += 1 + len(skipped)
        if position >= len(LEVELS):
            break
        named.append(replace(frame, level=LEVELS[position]))
    return tuple(named), tuple(missed)


def frame_of_disc(
    weights_HW: NDArray[np.floating],
    corner_rc: tuple[int, int],
    grid: LocatorGrid,
    series: Series,
    slice_index: int,
) -> LevelFrame:
    """Frame of one disc from its (soft) mask on the locator grid; the level is named later.

    The long axis is the first principal axis of the mask in the slice plane, turned to point backwards.
    """
    points_rc = np.argwhere(weights_HW > 0)
    weights = weights_HW[weights_HW > 0].astype(np.float64)
    in_slice = grid.to_slice(points_rc + np.array(corner_rc, float))
    points_mm = series.to_mm(np.insert(in_slice, 0, slice_index, axis=1))
    center_mm = np.average(points_mm, axis=0, weights=weights)
    offsets = (points_mm - center_mm) * np.sqrt(weights / weights.sum())[:, None]
    _, _, axes = np.linalg.svd(offsets, full_matrices=False)
    posterior = axes[0] if axes[0][1] >= 0 else -axes[0]
    normal = series.affine_vox2mm[:3, 0] / series.spacing_mm[0]
    superior = np.cross(normal, posterior)
    superior = superior if superior[2] >= 0 else -superior
    along_mm = (points_mm - center_mm) @ posterior
    low, high = np.percentile(along_mm, [1, 99])
    depth_mm = float(high - low + PIXEL_MM)
    area_mm2 = float(weights.sum() * PIXEL_MM**2)
    return LevelFrame("", center_mm, posterior, superior, depth_mm, area_mm2 / depth_mm, float(weights.mean()))


def reference_values(image_HW: NDArray[np.float32], classes_HW: NDArray[np.integer]) -> NDArray[np.float32]:
    """Grey values that make series comparable, (5,): dark, bright (2nd and 98th percentile around the spine), and the
    medians of bodies, canal (upper half: CSF) and discs. Falls back to the whole slice where a tissue is not seen."""
    spine = image_HW[classes_HW > 0]
    spine = spine if spine.size > 50 else image_HW.ravel()
    dark, bright = np.percentile(spine, [2, 98])

    def typical(mask_HW: NDArray[np.bool_], percentile: float) -> float:
        values = image_HW[mask_HW]
        return float(np.percentile(values, percentile)) if values.size > 20 else float(np.median(spine))

    body = typical(classes_HW == VERTEBRA, 50)
    canal = typical(classes_HW == CANAL, 75)
    disc = typical(classes_HW >= DISC, 50)
    return np.array([dark, max(bright, dark + 1e-3), body, canal, disc], np.float32)


REFERENCE_NAMES = ("dark", "bright", "body", "canal", "disc")
