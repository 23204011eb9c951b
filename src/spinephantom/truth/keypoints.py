"""The points a rater marks: where each graded structure is seen best, in voxels of one stack and in mm."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from spinenet.labels import View
from spinephantom.shapes.frames import Array
from spinephantom.shapes.planes import Grid
from spinephantom.truth.morphometry import Measurements

SAGITTAL_T2 = (View.SAGITTAL_T2, View.SAGITTAL_STIR)


@dataclass(frozen=True)
class KeyPoint:
    """One mark: series by name, stack and slice by index, row and column as fractions of canonical voxel order."""

    target: str
    level: str
    series: str
    stack: int
    slice_index: int
    row: float
    column: float
    world_mm: tuple[float, float, float]


def marked_points(measured: Measurements) -> dict[str, tuple[tuple[View, ...], Array]]:
    """Target -> the views it is marked in and its place in LPS mm (one list of conventions: RSNA 2024's)."""
    points: dict[str, tuple[tuple[View, ...], Array]] = {
        "canal_stenosis": (SAGITTAL_T2, np.array(measured.sac_center_mm))
    }
    for side, name in enumerate(("left", "right")):
        exiting, traversing = measured.exiting_root_mm_lr[side], measured.traversing_root_mm_lr[side]
        points[f"foraminal_stenosis_{name}"] = ((View.SAGITTAL_T1,), np.array(exiting))
        points[f"subarticular_stenosis_{name}"] = ((View.AXIAL_T2,), np.array(traversing))
    return points


def place_keypoints(
    measured: Iterable[Measurements], planes: Mapping[str, tuple[View, tuple[Grid, ...]]]
) -> tuple[KeyPoint, ...]:
    """Every mark of these lumbar levels that falls into a stack; ``planes`` is series name -> view and stacks."""
    placed = []
    for level in measured:
        for target, (views, point) in marked_points(level).items():
            found = _nearest(point, views, planes)
            if found is not None:
                placed.append(KeyPoint(target, level.level, *found))
    return tuple(placed)


def _nearest(
    point: Array, views: tuple[View, ...], planes: Mapping[str, tuple[View, tuple[Grid, ...]]]
) -> tuple[str, int, int, float, float, tuple[float, float, float]] | None:
    """The slice of these views nearest to a point, no more than one slice spacing away, and the point in its plane."""
    best = None
    for name, (view, grids) in planes.items():
        for stack, grid in enumerate(grids if view in views else ()):
            offset, row, column = grid.indices(point)
            index = int(np.argmin(np.abs(grid.offsets_mm - offset)))
            distance = float(abs(grid.offsets_mm[index] - offset))
            inside = 0.0 <= row <= grid.rows - 1 and 0.0 <= column <= grid.cols - 1
            if inside and distance <= 6.0 and (best is None or distance < best[0]):
                x, y, z = (
                    (grid.origin_mm + grid.offsets_mm[index] * grid.normal) + row * grid.row_mm + column * grid.col_mm
                )
                best = (distance, (name, stack, index, float(row), float(column), (float(x), float(y), float(z))))
    return None if best is None else best[1]
