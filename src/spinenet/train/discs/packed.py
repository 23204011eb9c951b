"""The discs of a labelled study as small pictures, held in memory: what training draws from.

Shapes: M picture, H W pixels, R C pixels twice as large (R of grades: rater), L level, T target.
"""

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinenet.crops import DISC_PAIR, CropSpec, place, scaled_crop
from spinenet.datasets import LabelledStudy
from spinenet.datasets.level_sources import placed_series
from spinenet.datasets.masks import locator_classes
from spinenet.labels import LEVELS, TARGETS, UNKNOWN, Target, View
from spinenet.locating.discs import DISC
from spinenet.study import LevelFrame, LocatedSeries
from spinenet.system.progress import track

MARGIN = 24
"""Pixels around a crop that are kept, so that it can be moved, turned and widened: 12.7 mm."""
BESIDE_MM = (-4.0, -2.0, 0.0, 2.0, 4.0)
"""Slices of a T2-like series that training may show, from the one in which levels were found; of T1 that one alone."""
NOT_DRAWN = 255
"""Class of a pixel of which a label image says nothing."""
_LOW, _SPAN = 0.25, 1.75
"""A picture holds grey values of -0.25 to 1.5 on its series' scale as bytes: (value + _LOW) / _SPAN * 255."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PackedStudy:
    """``pictures_MHW`` uint8 with a margin, ``classes_MRC`` (background, body, canal, disc or NOT_DRAWN) of half the
    resolution. Of each picture ``level_M`` indexes LEVELS, ``series_M`` indexes ``views``, ``offset_M`` is its slice's
    distance in mm from the one in which levels were found. ``source`` is the data set, ``raters_RLT`` are the grades
    of single raters, without rows where none are told."""

    source: str
    grades_LT: NDArray[np.int64]
    views: tuple[View, ...]
    pictures_MHW: NDArray[np.uint8]
    classes_MRC: NDArray[np.uint8]
    level_M: NDArray[np.int64]
    series_M: NDArray[np.int64]
    offset_M: NDArray[np.float64]
    raters_RLT: NDArray[np.int64]


def with_margin(spec: CropSpec) -> CropSpec:
    """The field that is kept of a crop."""
    return replace(spec, rows=spec.rows + 2 * MARGIN, columns=spec.columns + 2 * MARGIN)


def to_bytes(crop: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Grey values on a series' scale as bytes."""
    return np.clip((crop + _LOW) / _SPAN * 255, 0, 255).round().astype(np.uint8)


SCALE, OFFSET = _SPAN / 255, -_LOW
"""Of a byte: value = byte * SCALE + OFFSET."""


def pack_study(study: LabelledStudy, source: str, spec: CropSpec) -> PackedStudy | None:
    """The discs of one study, read from its files; None where nothing but the locator could place its levels."""
    wide = with_margin(spec)
    usable = {view for views in DISC_PAIR for view in views}
    found = [one for one in placed_series(study, wide) if one.series.plane == "sagittal" and one.series.view in usable]
    rows = [(index, *row) for index, one in enumerate(found) for row in _pictures(study, one, wide)]
    if not rows:
        return None
    series, levels, offsets, pictures, classes = zip(*rows, strict=True)
    return PackedStudy(
        source,
        study.grades_LT,
        tuple(one.series.view for one in found if one.series.view),
        np.stack(pictures),
        np.stack(classes),
        np.array(levels, np.int64),
        np.array(series, np.int64),
        np.array(offsets),
        study.raters_RLT,
    )


def pack_all(studies: Sequence[LabelledStudy], sources: Sequence[str], spec: CropSpec) -> list[PackedStudy]:
    """The packed studies; how many have no levels and are left out is said."""
    each = list(zip(studies, sources, strict=True))
    packed = [pack_study(study, source, spec) for study, source in track(each, "reading")]
    kept = [one for one in packed if one is not None]
    if len(kept) < len(packed):
        said = "%d of %d studies are left out: no label images or points place levels in them; prepare them first"
        _log.warning(said, len(packed) - len(kept), len(packed))
    return kept


Picture = tuple[int, float, NDArray[np.uint8], NDArray[np.uint8]]
"""Level, offset in mm, picture, classes."""


def _pictures(study: LabelledStudy, one: LocatedSeries, wide: CropSpec) -> Iterator[Picture]:
    image = study.masks.get(one.series.name)
    classes_SRC = None
    if image is not None:
        # The lowest disc is a disc; where only some of it was drawn, the rest is not background.
        classes_SRC = np.minimum(locator_classes(image.values(one.series)), DISC)
        if not image.whole:
            classes_SRC[classes_SRC == 0] = NOT_DRAWN
    beside_mm = (0.0,) if one.series.view in DISC_PAIR[0] else BESIDE_MM
    step_mm = float(one.series.spacing_mm[0])
    offsets_mm = (np.arange(len(one.series.voxels_SRC)) - one.midline_slice) * step_mm
    slices = dict.fromkeys(int(np.abs(offsets_mm - wanted).argmin()) for wanted in beside_mm)
    for frame in one.frames:
        for index in slices:
            classes = _classes(classes_SRC, one, frame, index, wide)
            picture = to_bytes(scaled_crop(one, frame, index, wide))
            yield LEVELS.index(frame.level), float(offsets_mm[index]), picture, classes


def _classes(
    classes_SRC: NDArray[np.uint8] | None, one: LocatedSeries, frame: LevelFrame, index: int, wide: CropSpec
) -> NDArray[np.uint8]:
    half = replace(wide, rows=wide.rows // 2, columns=wide.columns // 2, pixel_mm=2 * wide.pixel_mm)
    if classes_SRC is None:
        return np.full((half.rows, half.columns), NOT_DRAWN, np.uint8)
    matrix = place(one.series, frame, half).matrix(index)
    shape = (half.rows, half.columns)
    return ndimage.affine_transform(
        classes_SRC[index], matrix[:, :2], matrix[:, 2], shape, order=0, mode="constant", cval=NOT_DRAWN
    )


def can_show(target: Target, views: Collection[View]) -> bool:
    """Whether midline slices of these views can show a target."""
    return any(not need.lateral and set(need.views) <= set(views) for need in target.needs)


def raters_of(studies: Sequence[PackedStudy], sources: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Target that these studies have labels of and can show -> the data sets that have them, in the order given."""
    labelled: dict[str, set[str]] = {target.name: set() for target in TARGETS}
    for study in studies:
        known_T = (study.grades_LT[np.unique(study.level_M)] != UNKNOWN).any(0)
        for index, target in enumerate(TARGETS):
            if known_T[index] and can_show(target, study.views):
                labelled[target.name].add(study.source)
    return {name: tuple(one for one in sources if one in found) for name, found in labelled.items() if found}
