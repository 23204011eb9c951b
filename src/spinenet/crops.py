"""The only preprocessing of the grader: which slices show a level, and one affine resample for each of them.

A level frame, in world coordinates, and a slice of the acquired voxels give one 2x3 matrix from crop pixels to slice
pixels; spacing, orientation, the disc's rotation and the crop are that one matrix. Training moves the frame before it
is used, so augmentation is folded into the same resample, and prediction and training cannot drift apart.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from spinenet.geometry import cross
from spinenet.labels import LEVELS, VIEWS, View
from spinenet.study import LevelCrop, LevelFrame, LocatedSeries, Series


@dataclass  # not frozen: Hydra composes it, and OmegaConf makes frozen dataclasses read-only
class CropSpec:
    """Field of one crop, shared by training and prediction and stored in every bundle."""

    rows: int = 64
    """Pixels of a crop from top to bottom (axial: from front to back)."""
    columns: int = 80
    """Pixels of a crop from front to back (axial: from side to side)."""
    pixel_mm: float = 0.8
    """Pixel of sagittal crops."""
    posterior_shift_mm: float = 6.0
    """Middle of a sagittal crop behind the disc's centre: disc, end-plates, half of each body, canal and foramen are
    inside."""
    reach_mm: float = 24.0
    """Sagittal slices up to so far beside the midline, beyond the foramina of both sides."""
    slice_step_mm: float = 3.4
    """Sagittal slices are at least so far apart."""
    max_slices: int = 13
    """At most so many slices of a sagittal series."""
    axial_pixel_mm: float = 0.65
    """Pixel of axial crops."""
    axial_shift_mm: float = 19.0
    """Middle of an axial crop behind the disc's centre: the disc's back, canal, recesses and facets are inside."""
    axial_reach_mm: float = 8.0
    """Axial slices up to so far above or below the disc."""
    max_axial: int = 5
    """At most so many slices of an axial stack."""

    def to_dict(self) -> dict[str, float]:
        """Plain dict for ``model.json``."""
        return asdict(self)


@dataclass(frozen=True)
class Placement:
    """How the slices of a series show a level.

    ``linear`` (2, 2) takes steps of crop rows and columns to steps of slice pixels. ``middle`` (3,) is the voxel under
    the middle of the crop where the disc's centre lies, ``step`` (3,) the voxels a mm from there to the next slices:
    along a sagittal stack's normal, or an axial one's crossing of the disc's normal.
    """

    series: Series
    spec: CropSpec
    linear: NDArray[np.float64]
    middle: NDArray[np.float64]
    step: NDArray[np.float64]

    def offset_mm(self, slice_index: int) -> float:
        """Distance of a slice from the disc's centre: sagittal to the left, axial upwards along the disc's normal."""
        return float((slice_index - self.middle[0]) / self.step[0])

    def center(self, slice_index: int) -> NDArray[np.float64]:
        """(row, column) of the slice under the middle of the crop."""
        return (self.middle + self.offset_mm(slice_index) * self.step)[1:]

    def matrix(self, slice_index: int) -> NDArray[np.float64]:
        """(2, 3) matrix from crop pixels (row, column, 1) to pixels of the slice."""
        half = np.array([(self.spec.rows - 1) / 2, (self.spec.columns - 1) / 2])
        corner = self.center(slice_index) - self.linear @ half
        return np.concatenate([self.linear, corner[:, None]], axis=1)

    def pixels(self, slice_index: int) -> NDArray[np.float32]:
        """The crop of one slice, (rows, columns) of the spec."""
        return resample(self.series.voxels_SRC[slice_index], self.matrix(slice_index), self.spec)

    def share_in_view(self, slice_index: int) -> float:
        """Share of the crop of one slice that lies within the image, 0 to 1."""
        rows, columns = np.indices((self.spec.rows, self.spec.columns))
        places = np.einsum("ij,jhw->ihw", self.matrix(slice_index), np.stack([rows, columns, np.ones_like(rows)]))
        far = np.array(self.series.voxels_SRC.shape[1:])[:, None, None] - 1
        return float(np.mean(((places >= -0.5) & (places <= far + 0.5)).all(axis=0)))

    def slices(self) -> list[int]:
        """Indices of the acquired slices that show the level, nearest first."""
        spec, shape = self.spec, self.series.voxels_SRC.shape
        offsets_mm = (np.arange(shape[0]) - self.middle[0]) / self.step[0]
        # Rounded, so that of two slices equally far the first always comes first.
        nearest_first = [int(index) for index in np.argsort(np.abs(offsets_mm).round(3), kind="stable")]
        if self.series.plane == "axial":
            far = np.array(shape[1:]) - 1
            near = [index for index in nearest_first if abs(offsets_mm[index]) <= spec.axial_reach_mm]
            inside = [index for index in near if (np.clip(at := self.center(index), 0, far) == at).all()]
            return inside[: spec.max_axial]
        step_mm = self.series.spacing_mm[0]
        stride = max(1, int(np.ceil(spec.slice_step_mm / step_mm - 1e-6)))
        middle = nearest_first[0]
        apart = [index for index in nearest_first if (index - middle) % stride == 0]
        return [index for index in apart if abs(index - middle) * step_mm <= spec.reach_mm][: spec.max_slices]

    def crop(self, slice_index: int, pixels_HW: NDArray[np.float32]) -> LevelCrop:
        """A slice with the pixels of its crop; ValueError where the view of the series is not known."""
        series = self.series
        if series.view is None:
            raise ValueError(f"{series.name}: no view, so what its crops show is not known; {series.reason}")
        # Of one slice whose side is unknown even the sign of the distance would be a guess.
        beside = series.laterality_known or len(series.voxels_SRC) > 1
        return LevelCrop(
            series_name=series.name,
            view=series.view,
            slice_index=slice_index,
            offset_mm=self.offset_mm(slice_index) if beside else 0.0,
            pixels_HW=pixels_HW,
        )

    def crops(self, slices: Sequence[int]) -> list[LevelCrop]:
        """The crops of these slices, in their order."""
        return [self.crop(index, self.pixels(index)) for index in slices]


def place(series: Series, frame: LevelFrame, spec: CropSpec) -> Placement:
    """Where a level's crops lie in a series, each in the plane of its slice.

    Sagittal: columns along the frame's posterior axis, rows downwards. Axial: columns to the left, rows backwards.
    """
    normal = _unit(series.affine_vox2mm[:3, 0])
    if series.plane == "axial":
        left = cross(frame.posterior, frame.superior)
        left = _unit(left - left @ normal * normal)
        along, shift_mm = frame.superior, spec.axial_shift_mm
        row_mm, column_mm = spec.axial_pixel_mm * cross(normal, left), spec.axial_pixel_mm * left
    else:
        # From the frame's own slice to another along the normal: the in-plane position stays what it is.
        along, shift_mm = normal, spec.posterior_shift_mm
        row_mm, column_mm = -spec.pixel_mm * frame.superior, spec.pixel_mm * frame.posterior
    mm2vox = series.mm2vox
    middle = series.to_vox(frame.center_mm + shift_mm * frame.posterior)
    linear = np.stack([mm2vox[1:3, :3] @ row_mm, mm2vox[1:3, :3] @ column_mm], axis=1)
    return Placement(series, spec, linear, middle, mm2vox[:3, :3] @ along)


@dataclass(frozen=True)
class LevelSlices:
    """The slices of a series that show a level, nearest first, and where the level lies in them."""

    frame: LevelFrame
    placement: Placement
    slices: list[int]


def levels_shown(series: Series, frames: Sequence[LevelFrame], spec: CropSpec) -> list[LevelSlices]:
    """Those of the levels that a series shows."""
    placed = [(frame, place(series, frame, spec)) for frame in frames]
    return [LevelSlices(frame, one, slices) for frame, one in placed if (slices := one.slices())]


def judged_slice(located: LocatedSeries, frame: LevelFrame, spec: CropSpec) -> tuple[Placement, int]:
    """The slice a level is judged by: that in which levels were found, of an axial stack the nearest."""
    placement = place(located.series, frame, spec)
    if located.series.plane == "sagittal":
        return placement, located.midline_slice
    offsets_mm = (np.arange(len(located.series.voxels_SRC)) - placement.middle[0]) / placement.step[0]
    return placement, int(np.argmin(np.abs(offsets_mm)))


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector / np.linalg.norm(vector)


COARSE = 1.4
"""Slices of more pixels to a pixel of the crop are smoothed before they are resampled."""
MARGIN = 4
"""Pixels that smoothing reads beside a crop."""


@dataclass(frozen=True)
class Window:
    """The part of a slice that a crop reads: the pixel (2,) it begins at and the one after its last, the (2, 3) matrix
    from crop pixels into it, and the standard deviation in pixels of the smoothing before it is resampled, 0: none."""

    low: NDArray[np.int64]
    high: NDArray[np.int64]
    matrix: NDArray[np.float64]
    smoothing: float


def window_of(shape: tuple[int, ...], matrix: NDArray[np.float64], spec: CropSpec) -> Window:
    """What a crop matrix reads of a slice of this (rows, columns).

    Where the slice is much finer than the crop it is smoothed first, so that noise does not depend on the matrix size.
    """
    pixels_per_step = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    corners = matrix @ np.array([[0, 0, spec.rows, spec.rows], [0, spec.columns, 0, spec.columns], [1, 1, 1, 1]])
    low = np.clip(np.floor(corners.min(1)).astype(int) - MARGIN, 0, np.array(shape) - 1)
    high = np.minimum(np.maximum(np.ceil(corners.max(1)).astype(int) + MARGIN, low + 1), shape)
    inside = np.concatenate([matrix[:, :2], matrix[:, 2:] - low[:, None]], axis=1)
    return Window(low, high, inside, 0.4 * np.sqrt(pixels_per_step**2 - 1) if pixels_per_step > COARSE else 0.0)


def resample(slice_RC: NDArray[np.float32], matrix: NDArray[np.float64], spec: CropSpec) -> NDArray[np.float32]:
    """Bilinear resample of one slice by a crop matrix; outside the image the nearest edge value is used."""
    from scipy import ndimage

    window = window_of(slice_RC.shape, matrix, spec)
    if window.smoothing:
        slice_RC = slice_RC[window.low[0] : window.high[0], window.low[1] : window.high[1]]
        slice_RC, matrix = ndimage.gaussian_filter(slice_RC, window.smoothing), window.matrix
    return ndimage.affine_transform(
        slice_RC, matrix[:, :2], matrix[:, 2], (spec.rows, spec.columns), order=1, mode="nearest", prefilter=False
    )


@dataclass(frozen=True)
class Bag:
    """Every slice that shows each level of one study: the grader's input. S is the most places any level has.

    ``crops_LSHW`` grey values on the scale of their series: 0 dark and 1 bright around the spine, so that a disc stays
    comparable with the CSF and with the other discs; ``tissue_LS3`` the series' bodies, canal and discs on that scale
    (``locating.discs.reference_values``); ``view_LS`` index into VIEWS; ``offset_LS`` mm of sagittal slices to the left
    of the midline and of axial ones above the disc; ``mirrored_LS`` true where an axial slice is shown mirrored left to
    right; ``mask_LS`` true where a slice is present; ``level_L`` index into LEVELS.

    Every axial slice is there twice, as it is and mirrored, so that the bag of the mirrored study holds the same
    pictures: only the signs of sagittal offsets and ``mirrored_LS`` of axial slices change. ``shown`` holds the slices
    with their origin, for reports, and ``shown_LS`` which of them is at a place (-1 where none is).
    """

    crops_LSHW: NDArray[np.float32]
    tissue_LS3: NDArray[np.float32]
    view_LS: NDArray[np.int64]
    offset_LS: NDArray[np.float32]
    mirrored_LS: NDArray[np.bool_]
    mask_LS: NDArray[np.bool_]
    level_L: NDArray[np.int64]
    shown_LS: NDArray[np.int64]
    shown: tuple[tuple[LevelCrop, ...], ...]

    def inputs(self) -> dict[str, NDArray[np.generic]]:
        """The grader's inputs by name, with a leading batch axis of one study."""
        return {name: getattr(self, name)[None] for name in BAG_ARRAYS}


BAG_ARRAYS = ("crops_LSHW", "tissue_LS3", "view_LS", "offset_LS", "mirrored_LS", "mask_LS", "level_L")
Choose = Callable[[Series, list[int], NDArray[np.float64]], list[int]]
"""Series, slices that show a level and their offsets in mm -> the slices to take."""


def every_slice(series: Series, slices: list[int], offsets_mm: NDArray[np.float64]) -> list[int]:
    """What prediction takes."""
    return slices


@dataclass(frozen=True)
class ShownSlice:
    """A slice of a series that shows a level, and where the level lies in it."""

    located: LocatedSeries
    placement: Placement
    slice_index: int

    def pixels(self) -> NDArray[np.float32]:
        """Its crop, (rows, columns) of the spec."""
        return self.placement.pixels(self.slice_index)


Shown = dict[str, list[ShownSlice]]
"""Level, from the sacrum up -> the slices that show it."""


def shown_slices(located: Sequence[LocatedSeries], spec: CropSpec, choose: Choose = every_slice) -> Shown:
    """Which slices show each level of a study, of every located series."""
    shown: Shown = {}
    for one in located:
        for found in levels_shown(one.series, one.frames, spec):
            offsets_mm = np.array([found.placement.offset_mm(index) for index in found.slices])
            for index in choose(one.series, found.slices, offsets_mm):
                shown.setdefault(found.frame.level, []).append(ShownSlice(one, found.placement, index))
    return {level: shown[level] for level in sorted(shown, key=LEVELS.index)}


def build_bag(located: Sequence[LocatedSeries], spec: CropSpec, choose: Choose = every_slice) -> Bag:
    """Crop every level of a study from every located series that shows it, levels from the sacrum up."""
    return bag_of(shown_slices(located, spec, choose), (spec.rows, spec.columns), ShownSlice.pixels)


def bag_of(shown: Shown, size: tuple[int, int], pixels: Callable[[ShownSlice], NDArray[np.float32]]) -> Bag:
    """The bag of these slices, whose crops, of this size, ``pixels`` gives."""
    crops = {
        level: [one.placement.crop(one.slice_index, pixels(one)) for one in slices] for level, slices in shown.items()
    }
    places = {level: _places(crops[level]) for level in shown}
    shape = (len(shown), max(map(len, places.values()), default=0))
    bag = Bag(
        crops_LSHW=np.zeros((*shape, *size), np.float32),
        tissue_LS3=np.zeros((*shape, 3), np.float32),
        view_LS=np.zeros(shape, np.int64),
        offset_LS=np.zeros(shape, np.float32),
        mirrored_LS=np.zeros(shape, np.bool_),
        mask_LS=np.zeros(shape, np.bool_),
        level_L=np.array([LEVELS.index(level) for level in shown], np.int64),
        shown_LS=np.full(shape, -1, np.int64),
        shown=tuple(tuple(crops[level]) for level in shown),
    )
    for row, level in enumerate(shown):
        for column, (index, mirrored) in enumerate(places[level]):
            _fill(bag, (row, column), crops[level][index], shown[level][index].located.reference, mirrored)
            bag.shown_LS[row, column] = index
    return bag


def _places(crops: Sequence[LevelCrop]) -> list[tuple[int, bool]]:
    """(index of the crop, whether mirrored) of every place: the crops in order, then the mirrored axial ones."""
    axial = [index for index, crop in enumerate(crops) if crop.view is View.AXIAL_T2]
    return [(index, False) for index in range(len(crops))] + [(index, True) for index in axial]


def _fill(bag: Bag, at: tuple[int, int], crop: LevelCrop, scale: NDArray[np.float32], mirrored: bool) -> None:
    dark, bright = scale[:2]
    pixels_HW = crop.pixels_HW[:, ::-1] if mirrored else crop.pixels_HW
    bag.crops_LSHW[at] = (pixels_HW - dark) / (bright - dark)
    bag.tissue_LS3[at] = (scale[2:] - dark) / (bright - dark)
    bag.view_LS[at] = VIEWS.index(crop.view)
    bag.offset_LS[at] = crop.offset_mm
    bag.mirrored_LS[at] = mirrored
    bag.mask_LS[at] = True


DISC_PAIR = ((View.SAGITTAL_T1,), (View.SAGITTAL_T2, View.SAGITTAL_STIR))
"""The two places V of the disc network's picture, and the views that may stand in each."""
DISC_ARRAYS = ("crops_LVHW", "present_LV", "level_L")


@dataclass(frozen=True)
class DiscViews:
    """The discs of a study as one T1 and one T2-like series show them: the disc network's input.

    ``crops_LVHW`` the crop of the slice in which a series' levels were found, float32 on the scale of that series (0
    dark, 1 bright; ``locating.discs.reference_values``), 0 where the series does not show the level; ``present_LV`` 1.0
    where it does, else 0.0; ``level_L`` int64, index into LEVELS, from the sacrum up. V: DISC_PAIR.
    """

    crops_LVHW: NDArray[np.float32]
    present_LV: NDArray[np.float32]
    level_L: NDArray[np.int64]

    def inputs(self) -> dict[str, NDArray[np.generic]]:
        """The disc network's inputs by name."""
        return {name: getattr(self, name) for name in DISC_ARRAYS}


def disc_views(located: Sequence[LocatedSeries], spec: CropSpec) -> list[DiscViews]:
    """The first T1 series beside each T2-like one, in the order of the series: one of each of these pairs.

    A study without one of the two is shown once (once a series), the other view absent; empty where neither has a
    level.
    """
    first, second = (
        [one for one in located if one.series.plane == "sagittal" and one.series.view in views and one.frames]
        for views in DISC_PAIR
    )
    pairs = itertools.product(first[:1] or [None], second or [None])  # type: ignore[list-item]
    return [_side_by_side(pair, spec) for pair in pairs if any(pair)]


def _side_by_side(pair: Sequence[LocatedSeries | None], spec: CropSpec) -> DiscViews:
    shown = [{frame.level: frame for frame in one.frames} if one else {} for one in pair]
    levels = sorted(set().union(*shown), key=LEVELS.index)
    views = DiscViews(
        crops_LVHW=np.zeros((len(levels), len(pair), spec.rows, spec.columns), np.float32),
        present_LV=np.zeros((len(levels), len(pair)), np.float32),
        level_L=np.array([LEVELS.index(level) for level in levels], np.int64),
    )
    for place_V, (one, frames) in enumerate(zip(pair, shown, strict=True)):
        for row, level in enumerate(levels):
            if one is not None and level in frames:
                views.crops_LVHW[row, place_V] = scaled_crop(one, frames[level], one.midline_slice, spec)
                views.present_LV[row, place_V] = 1.0
    return views


def scaled_crop(located: LocatedSeries, frame: LevelFrame, slice_index: int, spec: CropSpec) -> NDArray[np.float32]:
    """The crop (rows, columns) of one slice of a sagittal series, 0 where it is dark and 1 where it is bright."""
    dark, bright = located.reference[:2]
    return (place(located.series, frame, spec).pixels(slice_index) - dark) / (bright - dark)
