"""Where each size of a page's table was measured: the slice, and on it the line around what was measured.

Shape letters: C class, H W pixels of a crop, N points.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from spinenet.locating.measuring.alignment import central_disc
from spinenet.locating.measuring.boundary import boundaries
from spinenet.locating.measuring.fine_crops import CANAL, DISC, LOWER, UPPER, crop_axes
from spinenet.report.outlined_slice import WHOLE
from spinenet.report.page.grade_table import COARSE, SIZES
from spinenet.study import LocatedSeries, Measurement, StudyResult

CLASSES = {"disc_height_mm": (DISC,), "canal_depth_least_mm": (CANAL,), "slip_mm": (UPPER, LOWER)}
"""What of the outlines a size is of."""
Line = NDArray[np.float64]


def measured_places(result: StudyResult) -> dict[str, tuple[str, int, list[Line]]]:
    """``level|size`` -> series, slice, and closed lines (N, 2) of (row, column) on it; none where the locator alone
    measured, whose own lines the viewer has."""
    places = {}
    located = {one.series.name: one for one in result.located}
    shown = {level.name: level.series for level in result.levels}
    values = {(one.level, one.name): one for one in result.measurements}
    for level in shown:
        for name in SIZES:
            size = values.get((level, name)) or values.get((level, COARSE.get(name, name)))
            one = located.get(size.series or shown[level]) if size else None
            if size is not None and one is not None:
                index = one.midline_slice if size.slice_index is None else size.slice_index
                places[f"{level}|{name}"] = (one.series.name, index, list(_lines(result, size, one)))
    return places


def _lines(result: StudyResult, size: Measurement, located: LocatedSeries) -> Iterator[Line]:
    if size.outline_mm:
        yield np.array([located.series.to_vox(np.array(place_mm))[1:] for place_mm in size.outline_mm])
    outlines = {one.series_name: one.outlines for one in result.measured}.get(size.series, {})
    frame = next((one for one in located.frames if one.level == size.level), None)
    if frame is None or size.level not in outlines:
        return
    axes = crop_axes(located.series, frame)
    for number in CLASSES.get(size.name, ()):
        for line in boundaries(_mask(outlines[size.level], number)):
            yield axes.corner_rc + line @ np.stack([axes.row_step_rc, axes.column_step_rc])


def _mask(outline_CHW: NDArray[np.uint8], number: int) -> NDArray[np.bool_]:
    """(H, W) what is surely of a class; of discs, the one that the crop lies about."""
    return central_disc(outline_CHW / WHOLE) if number == DISC else outline_CHW[number] > WHOLE / 2
