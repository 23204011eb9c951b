"""Where the slices go: what a technician plans on the localiser, drawn without knowing any grade.

Sagittal stacks cover the spine from foramen to foramen. Axial series are groups of slices along the discs (all five
lumbar discs, or the lower three), or one block of parallel slices.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from spinephantom.paint.trunk import Body
from spinephantom.patient.pathology import LUMBAR_DISCS
from spinephantom.scan.practice import AXIAL, SAGITTAL
from spinephantom.shapes.frames import Array, rotation_x, rotation_y
from spinephantom.shapes.planes import Grid
from spinephantom.spine.records import Disc, Spine


class AxialPlan(StrEnum):
    """How axial slices are laid out."""

    FIVE_DISCS = "five_discs"
    THREE_DISCS = "three_discs"
    BLOCK = "block"


AXIAL_SHARES = tuple(AXIAL.plans[plan] for plan in AxialPlan)
"""How often each plan is met in practice; ``RSNA_AXIAL_SHARES`` in RSNA 2024."""
RSNA_AXIAL_SHARES = tuple(AXIAL.plans_rsna[plan] for plan in AxialPlan)


@dataclass(frozen=True)
class Coverage:
    """What is asked of the planes; 0 means drawn as in practice.

    ``lowest_disc`` 2 ends the sagittal field of view below L3/L4, so that no sacrum is in view; ``discs_in_view`` cuts
    it above that many discs. ``axial_shares`` are the shares of the axial plans.
    """

    slices: int = 0
    slice_spacing_mm: float = 0.0
    size: int = 0
    axial_size: int = 0
    lowest_disc: int = 0
    discs_in_view: int = 0
    axial_shares: tuple[float, ...] = AXIAL_SHARES


def plan_sagittal(rng: np.random.Generator, spine: Spine, body: Body, coverage: Coverage) -> Grid:
    """Planes around the midline; 6 to 9 discs and the upper sacrum in view unless asked otherwise."""
    size = coverage.size or int(rng.choice(SAGITTAL.sizes, p=SAGITTAL.size_shares))
    field = SAGITTAL.extent_mm
    extent = field._replace(high=max(field.low, field.high * size)).draw(rng)
    bottom = -SAGITTAL.below_mm.draw(rng)
    behind = SAGITTAL.behind_mm.draw(rng)
    spacing_mm = coverage.slice_spacing_mm or float(np.round(SAGITTAL.spacing_mm.draw(rng), 1))
    width = SAGITTAL.width_mm.draw(rng)
    slices = coverage.slices or int(np.clip(round(width / spacing_mm), *SAGITTAL.slices))
    yaw, aside = np.deg2rad(SAGITTAL.yaw_deg.draw(rng)), SAGITTAL.aside_mm.draw(rng)
    if coverage.slices:
        # a stack of few slices is centred with care, or it would miss the canal
        yaw, aside = 0.0, 0.0
    if coverage.lowest_disc:
        bottom = float(spine.vertebrae[coverage.lowest_disc - 1].frame.center_mm[2])
    # the model ends at its uppermost vertebra
    extent = min(extent, float(spine.vertebrae[-1].frame.center_mm[2]) - bottom)
    pixel = extent / size
    rows = size
    if coverage.discs_in_view:
        top = float(spine.vertebrae[coverage.lowest_disc + coverage.discs_in_view - 1].frame.center_mm[2])
        rows = max(32, int(np.ceil((top - bottom) / pixel)))
    z = bottom + pixel * (rows - 1 - np.arange(rows))
    # large people do not fit: then the field of view keeps the back and loses the belly
    front = float(np.max(np.interp(z, body.z_mm, body.skin_y_mm))) + behind - extent
    middle_z = 0.5 * (z[0] + z[-1])
    middle_x = float(np.interp(middle_z, spine.canal.z_mm, spine.canal.x_mm)) + aside
    middle_y = float(np.interp(middle_z, spine.canal.z_mm, spine.canal.y_mm))
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0.0], [np.sin(yaw), np.cos(yaw), 0.0], [0.0, 0.0, 1.0]])
    # the planes turn about the canal, not about the skin
    origin = np.array([middle_x, middle_y, z[0]]) + turn[:, 1] * (front - middle_y)
    offsets = spacing_mm * (np.arange(slices) - 0.5 * (slices - 1))
    return Grid(origin, turn[:, 0], np.array([0.0, 0.0, -pixel]), pixel * turn[:, 1], offsets, rows, size)


def resized(grid: Grid, rng: np.random.Generator, coverage: Coverage) -> Grid:
    """The same planes scanned again with another field of view about the same centre."""
    size = coverage.size or int(rng.choice(SAGITTAL.sizes, p=SAGITTAL.size_shares))
    pixel = grid.spacing_mm * grid.cols / size * SAGITTAL.resized.draw(rng)
    row, col = grid.row_mm * (pixel / grid.spacing_mm), grid.col_mm * (pixel / grid.spacing_mm)
    rows = max(32, round(grid.rows * grid.spacing_mm / pixel)) if coverage.discs_in_view else size
    # the lower and the posterior edge stay
    last = grid.origin_mm + (grid.rows - 1) * grid.row_mm + (grid.cols - 1) * grid.col_mm
    origin = last - (rows - 1) * row - (size - 1) * col
    return replace(grid, origin_mm=origin, row_mm=row, col_mm=col, rows=rows, cols=size)


def plan_axial(rng: np.random.Generator, spine: Spine, coverage: Coverage) -> list[tuple[Grid, ...]]:
    """One or two axial series, each one stack or several, from the lowest up."""
    plan = tuple(AxialPlan)[int(rng.choice(len(AxialPlan), p=coverage.axial_shares))]
    size = coverage.axial_size or int(rng.choice(AXIAL.sizes, p=AXIAL.size_shares))
    extent = AXIAL.extent_mm.draw(rng)
    pixel, spacing_mm = extent / size, float(np.round(AXIAL.spacing_mm.draw(rng), 1))
    upright = rng.random() < AXIAL.upright
    tilts, yaws = (np.deg2rad(rng.normal(0.0, sd, LUMBAR_DISCS)) for sd in (AXIAL.tilt_sd_deg, AXIAL.yaw_sd_deg))
    shifts, aside = rng.normal(0.0, AXIAL.shift_sd_mm, LUMBAR_DISCS), rng.normal(0.0, AXIAL.aside_sd_mm, 2)
    counts = rng.choice(AXIAL.slices, LUMBAR_DISCS)
    split = rng.random() < AXIAL.split
    steepest = np.deg2rad(AXIAL.steepest_deg)
    if plan is AxialPlan.BLOCK:
        return [(_block(spine, float(tilts[0]), (size, pixel, spacing_mm), aside),)]
    groups = []
    for index in range(LUMBAR_DISCS if plan is AxialPlan.FIVE_DISCS else 3):
        disc = spine.discs[index]
        # some lay all groups flat except the lowest
        follow = 0.0 if upright and index else 1.0
        tilt = np.clip(follow * _tilt(disc) + tilts[index], -steepest, steepest)
        axes = rotation_x(float(tilt)) @ rotation_y(yaws[index])
        offsets = spacing_mm * (np.arange(counts[index]) - 0.5 * (counts[index] - 1)) + shifts[index]
        groups.append(_axial_grid(disc.frame.center_mm, disc.half_depth, axes, offsets, (size, pixel), aside))
    if split and plan is AxialPlan.FIVE_DISCS:
        return [tuple(groups[:3]), tuple(groups[3:])]
    return [tuple(groups)]


def _tilt(disc: Disc) -> float:
    """Angle of the disc's plane about the left-right axis, as ``rotation_x`` takes it."""
    return float(np.arctan2(-disc.frame.axes[1, 2], disc.frame.axes[2, 2]))


def _axial_grid(
    center_mm: Array,
    half_depth: float,
    axes: Array,
    offsets: NDArray[np.floating],
    matrix: tuple[int, float],
    aside: Array,
) -> Grid:
    """A stack across the spine: the canal a little in front of the middle of the image."""
    size, pixel = matrix
    middle = center_mm + axes @ np.array([aside[0], half_depth + 12.0 + aside[1], 0.0])
    origin = middle - 0.5 * (size - 1) * pixel * (axes[:, 0] + axes[:, 1])
    return Grid(origin, axes[:, 2], pixel * axes[:, 1], pixel * axes[:, 0], offsets, size, size)


def _block(spine: Spine, tilt: float, matrix: tuple[int, float, float], aside: Array) -> Grid:
    """One stack of parallel slices from the end-plate of S1 to the disc L2/L3, perpendicular to the lumbar spine."""
    size, pixel, spacing_mm = matrix
    low, high = spine.discs[0].frame.center_mm, spine.discs[3].frame.center_mm
    middle = spine.discs[2]
    axes = rotation_x(_tilt(middle) + AXIAL.block_tilt * tilt)
    center = 0.5 * (low + high)
    center[1] = middle.frame.center_mm[1]
    reach = 0.5 * float(abs((high - low) @ axes[:, 2])) + 8.0
    steps = int(np.clip(np.ceil(reach / spacing_mm), *AXIAL.block_slices))
    offsets = spacing_mm * np.arange(-steps, steps + 1)
    return _axial_grid(center, middle.half_depth, axes, offsets, (size, pixel), aside)


def sub_planes(grid: Grid, count: int, thickness_mm: float) -> Grid:
    """Several planes within each slice, whose mean is the partial volume of a thick slice."""
    steps = thickness_mm * ((np.arange(count) + 0.5) / count - 0.5)
    return replace(grid, offsets_mm=(grid.offsets_mm[:, None] + steps[None, :]).ravel())
