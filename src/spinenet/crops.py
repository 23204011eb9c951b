"""The only preprocessing of the grader: which slices show a level, and one affine resample for each of them.

A level frame and a slice of the acquired voxels give one 2x3 matrix from crop pixels to slice pixels; spacing,
orientation, the disc's rotation and the crop are that one matrix. Training moves the frame before it is used, so
augmentation is folded into the same resample, and prediction and training cannot drift apart.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from spinenet.geometry import spacing_mm
from spinenet.labels import LEVELS, VIEWS, View
from spinenet.study import LevelCrop, LevelFrame, LocatedSeries


@dataclass  # not frozen: Hydra composes it, and OmegaConf makes frozen dataclasses read-only
class CropSpec:
    """Field of one crop, shared by training and prediction and stored in every bundle.

    ``rows`` x ``columns`` pixels of ``pixel_mm``, centred ``posterior_shift_mm`` behind the disc's centre so that disc,
    end-plates, half of each neighbouring body and the canal are inside. Slices up to ``reach_mm`` beside the midline
    are used, at least ``slice_step_mm`` apart, at most ``max_slices`` of a series.
    """

    rows: int = 64
    columns: int = 80
    pixel_mm: float = 0.8
    posterior_shift_mm: float = 6.0
    reach_mm: float = 14.0
    slice_step_mm: float = 3.4
    max_slices: int = 7

    def to_dict(self) -> dict[str, float]:
        """Plain dict for ``model.json``."""
        return asdict(self)


def slices_of(located: LocatedSeries, spec: CropSpec) -> list[int]:
    """Indices of the acquired slices that show the levels, nearest to the midline first, at most ``max_slices``."""
    step_mm = spacing_mm(located.series.affine_vox2mm)[0]
    count = located.series.voxels_SRC.shape[0]
    stride = max(1, int(np.ceil(spec.slice_step_mm / step_mm - 1e-6)))
    chosen = [index for index in range(count) if (index - located.midline_slice) % stride == 0]
    chosen = [index for index in chosen if abs(index - located.midline_slice) * step_mm <= spec.reach_mm]
    chosen.sort(key=lambda index: (abs(index - located.midline_slice), index))
    return chosen[: spec.max_slices]


def crop_matrix(
    frame: LevelFrame, affine_vox2mm: NDArray[np.float64], slice_index: int, spec: CropSpec
) -> NDArray[np.float64]:
    """(2, 3) matrix from crop pixels (row, column, 1) to pixels of one slice.

    The crop lies in the plane of the slice; its columns run along the frame's posterior axis, its rows downwards.
    """
    mm2vox = np.linalg.inv(affine_vox2mm)
    middle_mm = frame.center_mm + spec.posterior_shift_mm * frame.posterior
    row_step = mm2vox[:3, :3] @ (-spec.pixel_mm * frame.superior)
    column_step = mm2vox[:3, :3] @ (spec.pixel_mm * frame.posterior)
    middle = mm2vox[:3, :3] @ middle_mm + mm2vox[:3, 3]
    # From the frame's own slice to this one along the slice normal: the in-plane position stays what it is.
    along_normal = mm2vox[:3, :3] @ _unit(affine_vox2mm[:3, 0])
    middle = middle + along_normal * (slice_index - middle[0]) / along_normal[0]
    linear = np.stack([row_step, column_step], axis=1)[1:]
    corner = middle[1:] - linear @ np.array([(spec.rows - 1) / 2, (spec.columns - 1) / 2])
    return np.concatenate([linear, corner[:, None]], axis=1)


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector / np.linalg.norm(vector)


def resample(slice_RC: NDArray[np.float32], matrix: NDArray[np.float64], spec: CropSpec) -> NDArray[np.float32]:
    """Bilinear resample of one slice by a crop matrix; outside the image the nearest edge value is used.

    Where the slice is much finer than the crop it is smoothed first, so that noise does not depend on the matrix size.
    """
    from scipy import ndimage

    pixels_per_step = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if pixels_per_step > 1.4:
        margin = 4
        corners = matrix @ np.array([[0, 0, spec.rows, spec.rows], [0, spec.columns, 0, spec.columns], [1, 1, 1, 1]])
        low = np.clip(np.floor(corners.min(1)).astype(int) - margin, 0, np.array(slice_RC.shape) - 1)
        high = np.maximum(np.ceil(corners.max(1)).astype(int) + margin, low + 1)
        window = slice_RC[low[0] : high[0], low[1] : high[1]]
        slice_RC = ndimage.gaussian_filter(window, 0.4 * np.sqrt(pixels_per_step**2 - 1))
        matrix = np.concatenate([matrix[:, :2], matrix[:, 2:] - low[:, None]], axis=1)
    return ndimage.affine_transform(
        slice_RC, matrix[:, :2], matrix[:, 2], (spec.rows, spec.columns), order=1, mode="nearest", prefilter=False
    )


@dataclass(frozen=True)
class Bag:
    """Every slice that shows each level of one study: the grader's input. S is the most slices any level has.

    ``crops_LSHW`` grey values on the scale of their series: 0 dark and 1 bright around the spine, so that a disc stays
    comparable with the CSF and with the other discs; ``tissue_LS3`` the series' bodies, canal and discs on that scale
    (``locate.reference_values``); ``view_LS`` index into VIEWS; ``offset_LS`` mm beside the midline, left positive;
    ``mask_LS`` true where a slice is present; ``level_L`` index into LEVELS; ``shown`` the same crops with their
    origin, for reports.
    """

    crops_LSHW: NDArray[np.float32]
    tissue_LS3: NDArray[np.float32]
    view_LS: NDArray[np.int64]
    offset_LS: NDArray[np.float32]
    mask_LS: NDArray[np.bool_]
    level_L: NDArray[np.int64]
    shown: tuple[tuple[LevelCrop, ...], ...]

    def inputs(self) -> dict[str, NDArray[np.generic]]:
        """The grader's inputs by name, with a leading batch axis of one study."""
        return {name: getattr(self, name)[None] for name in BAG_ARRAYS}


BAG_ARRAYS = ("crops_LSHW", "tissue_LS3", "view_LS", "offset_LS", "mask_LS", "level_L")


def build_bag(located: Sequence[LocatedSeries], spec: CropSpec) -> Bag:
    """Crop every level of a study from every located series that shows it, levels from the sacrum up."""
    crops: dict[str, list[LevelCrop]] = {}
    references: dict[str, list[NDArray[np.float32]]] = {}
    for one in located:
        slices = slices_of(one, spec)
        for frame in one.frames:
            crops.setdefault(frame.level, []).extend(crop_level(one, frame, slices, spec))
            references.setdefault(frame.level, []).extend([one.reference] * len(slices))
    levels = sorted(crops, key=LEVELS.index)
    shape = (len(levels), max(map(len, crops.values())))
    bag = Bag(
        crops_LSHW=np.zeros((*shape, spec.rows, spec.columns), np.float32),
        tissue_LS3=np.zeros((*shape, 3), np.float32),
        view_LS=np.zeros(shape, np.int64),
        offset_LS=np.zeros(shape, np.float32),
        mask_LS=np.zeros(shape, np.bool_),
        level_L=np.array([LEVELS.index(level) for level in levels], np.int64),
        shown=tuple(tuple(crops[level]) for level in levels),
    )
    for row, level in enumerate(levels):
        for column, (crop, reference) in enumerate(zip(crops[level], references[level], strict=True)):
            dark, bright = reference[:2]
            bag.crops_LSHW[row, column] = (crop.pixels_HW - dark) / (bright - dark)
            bag.tissue_LS3[row, column] = (reference[2:] - dark) / (bright - dark)
            bag.view_LS[row, column] = VIEWS.index(crop.view)
            bag.offset_LS[row, column] = crop.offset_mm
            bag.mask_LS[row, column] = True
    return bag


def crop_level(located: LocatedSeries, frame: LevelFrame, slices: Sequence[int], spec: CropSpec) -> list[LevelCrop]:
    """The crops of one level from one series, in the order of ``slices``."""
    series = located.series
    step_mm = spacing_mm(series.affine_vox2mm)[0]
    return [
        LevelCrop(
            series_name=series.name,
            view=series.view or View.SAGITTAL_T2,
            slice_index=index,
            offset_mm=float((index - located.midline_slice) * step_mm),
            pixels_HW=resample(series.voxels_SRC[index], crop_matrix(frame, series.affine_vox2mm, index, spec), spec),
        )
        for index in slices
    ]
