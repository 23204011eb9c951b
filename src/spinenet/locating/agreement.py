"""Do the images of two series bear out that their coordinates are the same patient's in the same place?

Series of one frame of reference share coordinates. De-identified studies often give every series a frame of its own
though the coordinates agree, and a patient who was laid anew has another frame because they do not. The image tells:
what two series show of one place depends on each other, whatever their weighting, and at no other place as much. One
series is moved over the other, and where their grey values tell most of each other is where it lies.

Measured on phantoms and on real SPACE volumes cut axially beside another sequence of the same patient
(``notebooks/EXPERIMENTS.md``, 2026-11-27). Shape letters: N points, B bins.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinenet.crops import CropSpec, Placement, levels_shown, place
from spinenet.study import LevelFrame, Series

Floats = NDArray[np.float64]

FIELD = CropSpec(
    rows=18, columns=26, pixel_mm=2.5, axial_pixel_mm=3.0, axial_shift_mm=17.0, axial_reach_mm=16.0, max_axial=9
)
"""Where points are taken at each level: disc, bodies, canal and what lies before and behind them."""
STEP_MM = 4.0
UP_MM, BACK_MM, LEFT_MM = 40.0, 12.0, 24.0
"""How far series are moved over each other: beyond the next disc, by a canal's depth, and past the foramina."""
NEAR_MM = 6.0
"""Displacements up to a step each way are none: discs are found to 2 mm, and patients move a little."""
APART_MM = 9.0
"""Farther away is another place."""
CLEAR = 1.5
"""In its place a series tells so many times as much of the other as anywhere else. Stacks of one patient reached 1.9
and more (phantoms), those of another laid over at L4/L5 1.5 seldom."""
BINS = 12
FEWEST_POINTS, MOST_POINTS, ENOUGH_POINTS = 200, 4000, 1500
"""The last tell where along the spine a series lies."""
SLICE_REACH_MM = 4.0
"""So far beside a single slice points still count as shown by it."""
BLUR_MM = 1.2


def share_frame(one: Series, other: Series) -> bool:
    """Whether the files say that two series share their coordinates; a frame that is not known is taken as shared."""
    frames = {one.frame_of_reference, other.frame_of_reference}
    return "" in frames or len(frames) == 1


@dataclass(frozen=True)
class Points:
    """Where a series shows levels, (N, 3) in LPS mm, and its grey values there, (N,)."""

    places_mm: Floats
    values_N: Floats


@dataclass(frozen=True)
class Displacement:
    """How far a series lies from where its coordinates put it in another one, (3,) LPS mm, and how many times as much
    they tell of each other there as anywhere farther away: 0 where too little of them overlaps."""

    offset_mm: Floats
    clearness: float

    @property
    def is_clear(self) -> bool:
        """Whether the images have anything to do with each other."""
        return self.clearness >= CLEAR

    @property
    def agrees(self) -> bool:
        """Whether the image bears the coordinates out."""
        return self.is_clear and float(np.linalg.norm(self.offset_mm)) <= NEAR_MM

    @property
    def contradicts(self) -> bool:
        """Whether the image shows another place than the coordinates say."""
        return self.is_clear and float(np.linalg.norm(self.offset_mm)) > APART_MM

    @property
    def words(self) -> str:
        """What speaks against the coordinates."""
        if not self.is_clear:
            return "what it shows there is not what they show"
        return f"what it shows lies about {np.linalg.norm(self.offset_mm):.0f} mm from where its coordinates put it"


def axial_points(stacks: Sequence[Series], frames: Sequence[LevelFrame]) -> Points:
    """Points of axial stacks around these levels."""
    shown = [(level.placement, level.slices) for stack in stacks for level in levels_shown(stack, frames, FIELD)]
    return _points([(placement, index) for placement, slices in shown for index in slices])


def sagittal_points(series: Series, slice_index: int, frames: Sequence[LevelFrame]) -> Points:
    """Points of one sagittal slice around the levels found in it."""
    return _points([(place(series, frame, FIELD), slice_index) for frame in frames])


def stack_points(series: Series) -> Points:
    """Points all over the slices of a stack, for series in which no level is known."""
    slices, rows, columns = series.voxels_SRC.shape
    down, across = np.maximum(1, np.rint(FIELD.axial_pixel_mm / series.spacing_mm[1:])).astype(int)
    places = np.mgrid[:slices, :rows:down, :columns:across].reshape(3, -1).T
    values_N = _blurred(series)[tuple(places.T)].astype(float)
    return Points(series.to_mm(places.astype(float)), values_N)


def displacement(points: Points, fixed: Series) -> Displacement:
    """Where the series that ``points`` are of lies in ``fixed``."""
    offsets_mm = _along_spine_mm(BACK_MM)
    if len(fixed.voxels_SRC) > 1:
        sides = [x for x in np.arange(-LEFT_MM, LEFT_MM + 1, 2 * STEP_MM) if x]
        near = np.array([-STEP_MM, 0.0, STEP_MM])
        offsets_mm += [np.array([x, y, z]) for x in sides for y in near for z in near]
    return _best(_reachable(points, fixed, MOST_POINTS), fixed, offsets_mm)


def displacement_along(points: Points, fixed: Series) -> Displacement:
    """As ``displacement``, looked for along the spine alone, at a tenth of the cost: a patient who slid on the table
    shares the frame of reference and lies elsewhere."""
    return _best(_reachable(points, fixed, ENOUGH_POINTS), fixed, _along_spine_mm(STEP_MM))


def _along_spine_mm(back_mm: float) -> list[Floats]:
    up, back = (np.arange(-reach, reach + 1, STEP_MM) for reach in (UP_MM, back_mm))
    return [np.array([0.0, y, z]) for z in up for y in back]


def _best(points: Points, fixed: Series, offsets_mm: Sequence[Floats]) -> Displacement:
    image = _blurred(fixed)
    fewest = max(FEWEST_POINTS, int(_inside(points.places_mm, fixed).sum()) // 2)
    places_N3, way = fixed.to_vox(points.places_mm), fixed.mm2vox[:3, :3]
    moved = (places_N3 + way @ offset_mm for offset_mm in offsets_mm)
    shared = np.array([_shared_information(points.values_N, at_N3, fixed, image, fewest) for at_N3 in moved])
    best = int(shared.argmax())
    apart = np.linalg.norm(np.array(offsets_mm) - offsets_mm[best], axis=1) > APART_MM
    return Displacement(-offsets_mm[best], float(shared[best] / max(shared[apart].max(), 1e-6)))


def _points(slices: Sequence[tuple[Placement, int]]) -> Points:
    if not slices:
        return Points(np.zeros((0, 3)), np.zeros(0))
    pixels = np.stack([*np.indices((FIELD.rows, FIELD.columns)).reshape(2, -1), np.ones(FIELD.rows * FIELD.columns)])
    places, values = [], []
    for placement, index in slices:
        in_slice = placement.matrix(index) @ pixels
        far = np.array(placement.series.voxels_SRC.shape[1:])[:, None] - 1
        inside = ((in_slice >= 0) & (in_slice <= far)).all(axis=0)
        places.append(placement.series.to_mm(np.insert(in_slice.T, 0, index, axis=1))[inside])
        values.append(placement.pixels(index).ravel()[inside])
    return Points(np.concatenate(places), np.concatenate(values).astype(float))


def _reachable(points: Points, fixed: Series, most: int) -> Points:
    """At most so many of those that can come to lie in ``fixed`` when they are moved over it."""
    beside_mm = LEFT_MM if len(fixed.voxels_SRC) > 1 else SLICE_REACH_MM
    near = _inside(points.places_mm, fixed, np.array([beside_mm, UP_MM, BACK_MM]))
    places_mm, values_N = points.places_mm[near], points.values_N[near]
    stride = max(1, len(values_N) // most)
    return Points(places_mm[::stride], values_N[::stride])


def _inside(places_mm: Floats, fixed: Series, margin_mm: Floats | None = None) -> NDArray[np.bool_]:
    """Which places lie in a series, or as near to it as ``margin_mm`` (across slices, along rows and columns)."""
    return _is_shown(fixed.to_vox(places_mm), fixed, margin_mm)


def _is_shown(at_N3: Floats, fixed: Series, margin_mm: Floats | None = None) -> NDArray[np.bool_]:
    """The same of voxel positions; what lies beside a single slice by SLICE_REACH_MM is shown by it."""
    reach_mm = np.array([SLICE_REACH_MM if len(fixed.voxels_SRC) == 1 else 0.0, 0.0, 0.0])
    margin = (reach_mm if margin_mm is None else np.maximum(margin_mm, reach_mm)) / fixed.spacing_mm
    far = np.array(fixed.voxels_SRC.shape) - 1
    return np.asarray(((at_N3 >= -margin) & (at_N3 <= far + margin)).all(axis=1))


def _blurred(series: Series) -> NDArray[np.float32]:
    """The slices as sharp as the points are dense."""
    from scipy import ndimage

    sigma = BLUR_MM / series.spacing_mm[1:]
    return np.asarray(ndimage.gaussian_filter(series.voxels_SRC, (0, *sigma)), np.float32)


def _shared_information(
    values_N: Floats, at_N3: Floats, fixed: Series, image: NDArray[np.float32], fewest: int
) -> float:
    """Normalised mutual information (Studholme et al. 1999, less 1) of values and what ``fixed`` shows at these voxel
    positions; 0 where fewer than ``fewest`` of them lie in it."""
    from scipy import ndimage

    inside = _is_shown(at_N3, fixed)
    if inside.sum() < fewest:
        return 0.0
    places = np.clip(at_N3[inside], 0, np.array(image.shape) - 1)
    seen = ndimage.map_coordinates(image, places.T, order=1)
    joint_BB = joint_shares(ranks(values_N[inside]), ranks(seen))
    together = entropy(joint_BB)
    return (entropy(joint_BB.sum(axis=0)) + entropy(joint_BB.sum(axis=1))) / together - 1 if together > 0 else 0.0


def ranks(values_N: NDArray[np.floating]) -> NDArray[np.int64]:
    """Which of BINS equally frequent bins each value falls into."""
    # Quantiles as numpy gives them, in a third of its time: some 200 times a study.
    ordered_N = np.sort(values_N)
    at_B = np.arange(1, BINS) * ((len(ordered_N) - 1) / BINS)
    below_B = at_B.astype(int)
    low_B, high_B = ordered_N[below_B], ordered_N[below_B + 1]
    return np.searchsorted(low_B + (at_B - below_B) * (high_B - low_B), values_N)


def joint_shares(one_N: NDArray[np.int64], other_N: NDArray[np.int64]) -> Floats:
    """(B, B) shares of points whose two series fall into each pair of bins."""
    return np.bincount(BINS * one_N + other_N, minlength=BINS * BINS).reshape(BINS, BINS) / len(one_N)


def entropy(shares: Floats) -> float:
    present = shares[shares > 0]
    return float(-(present * np.log(present)).sum())
