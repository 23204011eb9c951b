"""The dural sac in axial T2: outlined on a crop behind the disc in the slice that crosses it, and its area.

Its own network does it: epidural fat is as bright as CSF, so that no threshold parts them (notebooks/EXPERIMENTS.md,
2026-11-27). Shape letters: N crop, C class, H W pixels of a crop; rows grow backwards, columns to the patient's left.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spinenet.crops import CropSpec, Placement, place
from spinenet.geometry import in_image
from spinenet.labels import View
from spinenet.locating.measuring.accuracy import is_unknown
from spinenet.locating.measuring.boundary import boundaries
from spinenet.locating.measuring.fine_crops import normalised
from spinenet.study import LevelFrame, LocatedSeries, Measurement, Note, Scope, Severity

SIDE, PIXEL_MM = 80, 0.6
BEHIND_MM = 8.0
"""From the back of the disc to the middle of the crop: half of a sac of 16 mm."""
SAC_CLASSES = ("background", "sac")
BACKGROUND, SAC = range(2)
SAC_AREA = "sac_area_mm2"
ERROR_MM2_PER_MM, LOWER_ERROR_MM2_PER_MM, LOWER_LEVELS = 45.0, 85.0, frozenset({"L4/L5", "L5/S1"})
"""How far 95 of 100 areas are off at most, in mm2 for each mm that the outline's border is blurred, and at the lower
levels, where fat lies around the sac. Measured on what was not learnt from (docs/explanation/measuring.md)."""
LEAST_ERROR_MM2, BORDER_REACH_MM = 20.0, 5.0
"""No outline measured had a border as sharp as less; what is unsure farther from the sac is another thing."""
MAX_TILT_DEGREES = 30.0
"""Between the slice and the disc; an area in a slice tilted so far is 15 % larger than across the sac."""
PLAUSIBLE_MM2 = (20.0, 400.0)
LEAST_SOLID = 0.85
"""Share of its convex hull that a sac fills at least; an outline that has lost a part fills less."""
SECOND_PIECE = 0.1
"""A second piece of so much of the largest one is more than a speck."""

EDGE_PIXELS, MAX_CUT_MM = 2, 6.0
"""A sac whose outline lies within so many pixels of the image's edge or padding for longer than this goes on beyond it;
a round one of 8 mm radius loses 2 mm² to such an edge, and 19 to one of 12 mm."""

OutlineSacs = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(N, H, W) normalised crops -> (N, C, H, W) probabilities of SAC_CLASSES."""


@dataclass(frozen=True)
class SacSlice:
    """The axial slice that shows the sac at a level, and where the crop lies in it."""

    level: str
    placement: Placement
    index: int

    def crop(self) -> NDArray[np.float32]:
        """(H, W) what outlines the sac sees."""
        return normalised(self.placement.pixels(self.index))


class Sacs(NamedTuple):
    """Level -> area of the sac as it is ``given``, and why it is not at the other levels that an axial slice crosses.
    ``outlined`` holds those too that are a sac's but not given: the canal's grades are read from them (``predict``)."""

    given: Mapping[str, Measurement] = MappingProxyType({})
    notes: tuple[Note, ...] = ()
    outlined: Mapping[str, Measurement] = MappingProxyType({})


def measure_sacs(located: Sequence[LocatedSeries], outline: OutlineSacs) -> Sacs:
    """Outline the sac in the slice that crosses each level, and take its area."""
    slices = crossing_slices(located)
    outlined: dict[str, Measurement] = {}
    notes = []
    soft_NCHW = outline(np.stack([one.crop() for one in slices])) if slices else ()
    for one, soft_CHW in zip(slices, soft_NCHW, strict=True):
        mask_HW = soft_CHW[SAC] > 0.5
        flawed = tilt_problem(one.placement) or outline_problem(mask_HW)
        if not flawed:
            outlined[one.level] = _measurement(one, soft_CHW[SAC])
        if problem := field_problem(one, mask_HW) or flawed:
            notes.append(_note(one, problem, Severity.NOTE))
        elif is_unknown(size := outlined[one.level]):
            blurred = f"{size.value:.0f} mm² may be off by {size.error_95:.0f}; look at it and measure it"
            notes.append(_note(one, blurred, Severity.FLAG))
    withheld = {note.subject for note in notes}
    return Sacs({level: one for level, one in outlined.items() if level not in withheld}, tuple(notes), outlined)


def _note(one: SacSlice, problem: str, severity: Severity) -> Note:
    slice_words = f"{one.placement.series.name}, slice {one.index + 1}"
    text = f"the area of the dural sac is not given: {problem} ({slice_words})"
    return Note("no_sac_area", Scope.LEVEL, one.level, text, severity)


def _measurement(one: SacSlice, soft_HW: NDArray[np.floating]) -> Measurement:
    sac_HW = sac_of(soft_HW > 0.5)
    return Measurement(
        one.level, SAC_AREA, float(round(sac_HW.sum() * PIXEL_MM**2)), "mm2", area_error_95(one.level, soft_HW),
        series=one.placement.series.name, slice_index=one.index, outline_mm=_outline_mm(one, sac_HW),
    )  # fmt: skip


def _outline_mm(one: SacSlice, sac_HW: NDArray[np.bool_]) -> tuple[tuple[float, ...], ...]:
    """The line around a sac without holes, in the patient."""
    matrix, series = one.placement.matrix(one.index), one.placement.series
    points_rc = max(boundaries(sac_HW), key=len) @ matrix[:, :2].T + matrix[:, 2]
    places = (series.to_mm(np.array([one.index, *point_rc])) for point_rc in points_rc)
    return tuple(tuple(round(float(mm), 2) for mm in place_mm) for place_mm in places)


def sac_placement(one: LocatedSeries, frame: LevelFrame) -> Placement:
    """Where the crops of a level lie in an axial stack."""
    behind_mm = frame.depth_mm / 2 + BEHIND_MM
    return place(one.series, frame, CropSpec(SIDE, SIDE, axial_pixel_mm=PIXEL_MM, axial_shift_mm=behind_mm))


def crossing_slices(located: Sequence[LocatedSeries]) -> list[SacSlice]:
    """Of every level the axial T2 slice nearest to the plane of its disc where the canal is, if it lies within the
    disc's height or its slab reaches the plane."""
    nearest: dict[str, tuple[float, SacSlice]] = {}
    for one, frame in _shown(located):
        placement = sac_placement(one, frame)
        offsets_mm = [abs(placement.offset_mm(index)) for index in range(len(one.series.voxels_SRC))]
        index = int(np.argmin(offsets_mm))
        reach_mm = max(frame.height_mm, float(one.series.spacing_mm[0])) / 2
        if offsets_mm[index] <= min(reach_mm, nearest.get(frame.level, (np.inf,))[0]):
            nearest[frame.level] = (offsets_mm[index], SacSlice(frame.level, placement, index))
    return [one for _, one in nearest.values()]


def _shown(located: Sequence[LocatedSeries]) -> Iterator[tuple[LocatedSeries, LevelFrame]]:
    for one in located:
        if one.series.view is View.AXIAL_T2:
            yield from ((one, frame) for frame in one.frames)


def sac_of(mask_HW: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest piece of a mask, with what it encloses: roots are dark."""
    from scipy import ndimage

    pieces_HW, count = ndimage.label(mask_HW)
    if not count:
        return mask_HW
    largest = int(np.argmax(np.bincount(pieces_HW.ravel())[1:])) + 1
    return np.asarray(ndimage.binary_fill_holes(pieces_HW == largest), np.bool_)


def area_error_95(level: str, soft_HW: NDArray[np.floating]) -> float:
    """How far the area is off at most in 95 of 100 cases, mm2, by how blurred the outline's border is."""
    per_mm = LOWER_ERROR_MM2_PER_MM if level in LOWER_LEVELS else ERROR_MM2_PER_MM
    return float(round(max(LEAST_ERROR_MM2, per_mm * border_mm(soft_HW))))


def border_mm(soft_HW: NDArray[np.floating]) -> float:
    """Width of the soft border of a sac: its uncertain area over the length of its outline."""
    from scipy import ndimage

    sac_HW = sac_of(soft_HW > 0.5)
    near_HW = ndimage.binary_dilation(sac_HW, iterations=round(BORDER_REACH_MM / PIXEL_MM))
    outline_mm = sum(np.count_nonzero(np.diff(sac_HW, axis=axis)) for axis in (0, 1)) * PIXEL_MM
    return float((4 * soft_HW * (1 - soft_HW))[near_HW].sum() * PIXEL_MM**2 / max(outline_mm, PIXEL_MM))


def tilt_problem(placement: Placement) -> str:
    """Why a slice lies too far from the plane of the disc, "" where it does not."""
    # ``step`` goes along the disc's normal from slice to slice: a mm of it is the cosine of the tilt
    cosine = abs(placement.step[0]) * placement.series.spacing_mm[0]
    tilt = float(np.degrees(np.arccos(np.clip(cosine, 0, 1))))
    return f"the slice is tilted by {tilt:.0f} degrees against the disc" if tilt > MAX_TILT_DEGREES else ""


def field_problem(one: SacSlice, mask_HW: NDArray[np.bool_]) -> str:
    """Why a slice does not show enough, "" where it does."""
    from scipy import ndimage

    row_columns = np.indices(mask_HW.shape).reshape(2, -1)
    matrix = one.placement.matrix(one.index)
    places_rc = (matrix[:, :2] @ row_columns + matrix[:, 2:]).T
    shown_HW = in_image(one.placement.series.voxels_SRC[one.index], places_rc).reshape(mask_HW.shape)
    if shown_HW.all():
        return ""
    at_edge_HW = sac_of(mask_HW) & ndimage.binary_dilation(~shown_HW, iterations=EDGE_PIXELS)
    cut_mm = np.count_nonzero(at_edge_HW) * PIXEL_MM / EDGE_PIXELS
    return "the image ends within the sac" if cut_mm > MAX_CUT_MM else ""


def outline_problem(mask_HW: NDArray[np.bool_]) -> str:
    """Why an outline is no sac's, "" where it may be one's."""
    from scipy import ndimage

    pieces_HW, _ = ndimage.label(mask_HW)
    sizes = np.sort(np.bincount(pieces_HW.ravel())[1:])
    area_mm2 = float(sac_of(mask_HW).sum() * PIXEL_MM**2)
    edge = np.ones_like(mask_HW)
    edge[1:-1, 1:-1] = False
    if not PLAUSIBLE_MM2[0] <= area_mm2 <= PLAUSIBLE_MM2[1]:
        return f"what is outlined has {area_mm2:.0f} mm²"
    if (mask_HW & edge).any():
        return "what is outlined goes on beyond the crop"
    if solidity(sac_of(mask_HW)) < LEAST_SOLID:
        return "what is outlined has notches"
    if len(sizes) > 1 and sizes[-2] >= SECOND_PIECE * sizes[-1]:
        return "what is outlined has two pieces"
    return ""


def solidity(mask_HW: NDArray[np.bool_]) -> float:
    """Share of the convex hull of its pixels that a mask of 20 mm² or more fills."""
    from scipy.spatial import ConvexHull

    corners = np.array([[-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]])
    points = (np.argwhere(mask_HW)[:, None] + corners).reshape(-1, 2)
    return float(mask_HW.sum() / ConvexHull(points).volume)
