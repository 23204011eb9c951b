"""The measurements of a whole study: T2 where there is one, else T1, else STIR.

Shape letters: L level, C class, H W pixels of a crop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import View
from spinenet.locating.measuring.cross_section import CROSS_SECTION, cross_sections
from spinenet.locating.measuring.features import FeatureRows, feature_rows
from spinenet.locating.measuring.fine_crops import crop_axes, level_crop, normalised
from spinenet.locating.measuring.lengths import NAN
from spinenet.locating.measuring.series import Outline, measure_series
from spinenet.locating.measuring.whole_canal import whole_canals
from spinenet.study import LocatedSeries, MeasuredSeries

VIEWS_IN_ORDER = (View.SAGITTAL_T2, View.SAGITTAL_T1, View.SAGITTAL_STIR)
"""STIR last: no patient's STIR has been outlined, and no grade is learnt from what is measured in it."""


def measure_study(located: Sequence[LocatedSeries], outline: Outline) -> tuple[MeasuredSeries, ...]:
    """Measure all sagittal series of the first view in ``VIEWS_IN_ORDER`` that shows a disc; empty where none does.

    T2 alone is as good as T2 and T1 together, and takes half the time (``notebooks/EXPERIMENTS.md``, 2026-11-26).
    """
    for view in VIEWS_IN_ORDER:
        shown = [one for one in located if one.series.view is view and one.frames]
        found = tuple(series for one in shown if (series := _measured(one, view, outline)).levels)
        if found:
            return _with_cross_sections(found, {one.series.name: one for one in shown}, outline)
    return ()


def features_of(measured: Sequence[MeasuredSeries]) -> FeatureRows | None:
    """One row a level of the T2 series, or of a T1 series where there is none; None where neither shows a disc."""
    t2 = [one.levels for one in measured if one.view is View.SAGITTAL_T2]
    t1 = [one.levels for one in measured if one.view is View.SAGITTAL_T1]
    if t2:
        return feature_rows(t2[0], {}, t2[1:])
    return feature_rows({}, t1[0]) if t1 else None


def normalised_crops(one: LocatedSeries) -> NDArray[np.float32]:
    """(L, H, W) what outlines the levels of a series sees of its midline slice, in the order of its frames."""
    slice_RC = one.series.voxels_SRC[one.midline_slice]
    return np.stack([normalised(level_crop(slice_RC, crop_axes(one.series, frame))) for frame in one.frames])


def _measured(one: LocatedSeries, view: View, outline: Outline) -> MeasuredSeries:
    soft_LCHW = outline(normalised_crops(one))
    measured = measure_series(one, soft_LCHW)
    whole = whole_canals(one, soft_LCHW, measured, outline)
    levels = {level: numbers | whole.get(level, {}) for level, numbers in measured.items()}
    outlines = {
        frame.level: np.round(255 * soft_CHW).astype(np.uint8)
        for frame, soft_CHW in zip(one.frames, soft_LCHW, strict=True)
        if frame.level in levels
    }
    return MeasuredSeries(one.series.name, view, levels, outlines)


def _with_cross_sections(
    found: tuple[MeasuredSeries, ...], located: Mapping[str, LocatedSeries], outline: Outline
) -> tuple[MeasuredSeries, ...]:
    """What was measured with the canal's area, of the first series whose slices cross it."""
    each = ((one.series_name, cross_sections(located[one.series_name], one.outlines, outline)) for one in found)
    name, areas = next((one for one in each if one[1]), ("", {}))

    def added(one: MeasuredSeries, level: str) -> dict[str, float]:
        return {CROSS_SECTION: areas.get(level, NAN) if one.series_name == name else NAN}

    return tuple(
        replace(one, levels={level: numbers | added(one, level) for level, numbers in one.levels.items()})
        for one in found
    )
