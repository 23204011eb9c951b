"""How like a patient's an axial T2 slice of a disc is: figures of a crop in the disc's own millimetres.

v is mm behind the back of the disc in the midline, u mm beside the midline. Grey values are on the grader's scale: 0 is
the 2nd, 1 the 98th percentile of the field around the canal.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from spinenet.labels import LEVELS, View
from spinenet.study import Series
from spinephantom.data import record
from spinephantom.phantom import PhantomStudy
from spinephantom.shapes.frames import Array, Frame
from spinephantom.spine.records import Disc

PIXEL_MM = 0.5
V_MM = np.arange(-19.0, 25.0, PIXEL_MM)
U_MM = np.arange(-25.0, 25.0 + 0.5 * PIXEL_MM, PIXEL_MM)
ROWS_MM = ((0.0, 2.0), (2.0, 4.0), (4.0, 6.0), (6.0, 8.0), (8.0, 10.0), (10.0, 14.0))
COLUMNS_MM = (0.0, 3.0, 6.0, 9.0, 12.0, 15.0, 18.0)
_MIDDLE_MM = 0.8
"""A slice is taken for a disc's if its plane is no further from the disc's middle."""
F32 = NDArray[np.float32]


@dataclass(frozen=True)
class Patients:
    """What real slices above L5/S1 look like (data/acceptance.toml); pairs are least and most."""

    grey: Array
    grey_off: tuple[float, float]
    sac_width_mm: tuple[float, float]
    sac_depth_mm: tuple[float, float]
    sac_from_disc_mm: tuple[float, float]
    fat_share: tuple[float, float]
    edge: tuple[float, float]
    disc_noise: tuple[float, float]
    sac_spread: tuple[float, float]


PATIENTS = record(Patients, "acceptance", "patients")


@dataclass(frozen=True)
class Figures:
    """What is compared. ``table`` (ROWS_MM, COLUMNS_MM) are mean grey values, both sides together."""

    table: NDArray[np.float64]
    sac_width_mm: float
    sac_depth_mm: float
    sac_from_disc_mm: float
    fat_share: float
    """Share bright of what lies 8 to 18 mm beside the midline and up to 10 mm behind the disc."""
    edge: float
    """Steepest edges: 99th percentile of the step from pixel to pixel."""
    disc_noise: float
    sac_spread: float

    def numbers(self) -> dict[str, float]:
        """All but the table by name."""
        return {name: float(value) for name, value in vars(self).items() if name != "table"}


def crop_at(series: Series, slice_index: int, back: Frame) -> F32:
    """(V_MM, U_MM) grey values of one axial slice; ``back`` lies at the back of the disc in the midline, LPS mm."""
    normal = series.affine_vox2mm[:3, 0] / np.linalg.norm(series.affine_vox2mm[:3, 0])
    left = back.axes[:, 0] - back.axes[:, 0] @ normal * normal
    left = left / np.linalg.norm(left)
    behind = np.cross(normal, left)
    behind = behind * np.sign(behind @ back.axes[:, 1])
    points_mm = back.center_mm + V_MM[:, None, None] * behind + U_MM[None, :, None] * left
    place = series.to_vox(points_mm.reshape(-1, 3)).T.reshape(3, *points_mm.shape[:2])
    return on_scale(map_coordinates(series.voxels_SRC[slice_index], place[1:], order=1, mode="nearest"))


def on_scale(crop_VU: NDArray[np.floating]) -> F32:
    """A crop on the grader's scale."""
    dark, bright = np.percentile(crop_VU, [2, 98])
    return np.asarray((crop_VU - dark) / max(bright - dark, 1e-6), np.float32)


def disc_crops(study: PhantomStudy) -> dict[str, F32]:
    """Lumbar level -> crop of the axial slice through the middle of its disc, where there is one."""
    found = {}
    for disc in study.spine.discs[: LEVELS.index("L1/L2") + 1]:
        series, index, off_mm = _nearest(study, disc.frame.center_mm)
        if series is not None and off_mm <= _MIDDLE_MM:
            found[disc.level] = crop_at(series, index, disc.frame.moved(v=_back_mm(disc)))
    return found


def _back_mm(disc: Disc) -> float:
    """How far behind the middle of a disc its back lies in the midline."""
    v = np.arange(0.0, 1.6 * disc.half_depth, 0.1)
    inside = disc.part.at(disc.frame.world(np.stack([0.0 * v, v, 0.0 * v], axis=-1))) < 0.0
    return float(v[np.flatnonzero(inside)[-1]])


def _nearest(study: PhantomStudy, center_mm: Array) -> tuple[Series | None, int, float]:
    """The axial slice nearest to a point, and how far off it is in mm."""
    best: tuple[Series | None, int, float] = (None, 0, np.inf)
    for stack in (stack for item in study.series if item.view is View.AXIAL_T2 for stack in item.stacks):
        at = float(stack.series.to_vox(center_mm)[0])
        index = int(np.clip(round(at), 0, len(stack.series.voxels_SRC) - 1))
        off_mm = abs(at - index) * float(stack.series.spacing_mm[0])
        if off_mm < best[2]:
            best = (stack.series, index, off_mm)
    return best


def figures(crop_VU: F32) -> Figures:
    """All figures of one crop on the grader's scale."""
    bright = crop_VU > 0.5 * np.percentile(_box(crop_VU, (2.0, 9.0), 5.0), 90)
    middle = bright[:, np.abs(U_MM) <= 1.0].mean(axis=1) > 0.5
    start = int(np.argmax(middle & (V_MM > -1.0)))
    across = [_run(bright[np.abs(V_MM - v).argmin()], len(U_MM) // 2) for v in (4.0, 5.0, 6.0)]
    beside = crop_VU[np.ix_((V_MM >= 0.0) & (V_MM < 10.0), (np.abs(U_MM) > 8.0) & (np.abs(U_MM) < 18.0))]
    steps = np.hypot(*np.gradient(crop_VU))
    disc = _box(crop_VU, (-14.0, -6.0), 8.0)
    grain = disc[1:-1, 1:-1] - 0.25 * (disc[2:, 1:-1] + disc[:-2, 1:-1] + disc[1:-1, 2:] + disc[1:-1, :-2])
    return Figures(
        table=grey_table(crop_VU),
        sac_width_mm=float(np.median(across)) * PIXEL_MM,
        sac_depth_mm=_run(middle, start) * PIXEL_MM,
        sac_from_disc_mm=float(V_MM[start]),
        fat_share=float((beside > 0.6).mean()),
        edge=float(np.percentile(steps, 99)),
        disc_noise=float(grain.std()),
        sac_spread=float(_box(crop_VU, (3.0, 8.0), 5.0).std()),
    )


def grey_table(crop_VU: F32) -> NDArray[np.float64]:
    """Mean grey values (ROWS_MM, COLUMNS_MM)."""
    side = np.abs(U_MM)
    columns = [np.abs(side - u) <= 1.0 for u in COLUMNS_MM]
    rows = [_within(V_MM, low, high - PIXEL_MM) for low, high in ROWS_MM]
    return np.array([[crop_VU[np.ix_(row, column)].mean() for column in columns] for row in rows])


def _within(values: Array, low: float, high: float) -> NDArray[np.bool_]:
    return np.asarray((values >= low) & (values <= high))


def _box(crop_VU: F32, v_mm: tuple[float, float], half_u_mm: float) -> F32:
    return crop_VU[np.ix_(_within(V_MM, *v_mm), np.abs(U_MM) <= half_u_mm)]


def _run(line: NDArray[np.bool_], start: int) -> int:
    """Length of the stretch of true values around a place; 0 where it is false."""
    if not line[start]:
        return 0
    false = np.flatnonzero(~line)
    before, after = false[false < start], false[false > start]
    return int((after[0] if len(after) else len(line)) - (before[-1] + 1 if len(before) else 0))
