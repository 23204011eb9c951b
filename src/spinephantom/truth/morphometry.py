"""What can be measured at a disc: on signed distances and tissue alone, never on how the shapes were drawn.

Definitions are written out in docs/reference/phantom.md. Everything happens in the frame of the disc; pairs are (left,
right), lengths mm, areas mm2.
"""

from dataclasses import dataclass
from math import dist

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import LEVELS
from spinephantom.patient.pathology import LUMBAR_DISCS
from spinephantom.shapes import column
from spinephantom.shapes.frames import Array
from spinephantom.shapes.parts import blocked_at
from spinephantom.spine.cauda import strand_area_mm2
from spinephantom.spine.records import Disc, SacralSegment, Spine, Vertebra
from spinephantom.spine.sac import sac_distances
from spinephantom.truth.cuts import OUTLINE
from spinephantom.truth.displacement import kind_of_herniation
from spinephantom.truth.foramen import DISC_SAMPLES, Foramen, measure_foramen

Pair = tuple[float, float]


@dataclass(frozen=True)
class Measurements:
    """What was measured at one disc. Recesses, roots and foramina are measured at lumbar discs only (else 0)."""

    level: str
    nucleus_t2_ms: float
    mid_height_mm: float
    norm_height_mm: float
    overhang_share: float
    """Share of the circumference with more than 1 mm of overhang."""
    local_overhang_mm: float
    """Greatest overhang above the disc's general outline."""
    local_share: float
    herniation_u_mm: float
    """Where the greatest local overhang lies, + left."""
    herniation_kind: str
    """protrusion, extrusion, sequestration, or empty."""
    msu_share: float
    """Its depth as a share of the way from the disc to the line that joins the facets."""
    facet_edge_u_mm: float
    """From the midline to the inner edge of the facet joint."""
    pedicle_u_mm: Pair
    """From the midline to the inner and outer border of the pedicle above."""
    slip_mm: float
    """Positive: the upper body stands in front of the lower one."""
    depth_mm: float
    schmorl_above_mm: float
    schmorl_below_mm: float
    modic_type: int
    modic_area_mm2: float
    canal_area_mm2: float
    canal_free_area_mm2: float
    """Area of the sac at this level were nothing in its way."""
    sac_areas_mm2: tuple[float, ...]
    """Open area at the heights SAC_HEIGHTS_MM."""
    canal_ap_mm: float
    """Smallest depth of the sac in the midline."""
    packing: float
    """Share of the open sac that the roots of the cauda equina fill; above 1 they are squeezed."""
    recess_depth_mm_lr: Pair
    root_displacement_mm_lr: Pair
    """Traversing root."""
    root_overlap_lr: Pair
    """Share of its section that has no room left."""
    foramen_height_mm_lr: Pair
    foramen_width_mm_lr: Pair
    foramen_area_mm2_lr: Pair
    fat_clearance_mm_lr: tuple[tuple[float, float, float, float], tuple[float, float, float, float]]
    """Fat around the exiting root: up, down, front, back."""
    exiting_root_overlap_lr: Pair
    flavum_mm_lr: Pair
    center_mm: tuple[float, float, float]
    sac_center_mm: tuple[float, float, float]
    traversing_root_mm_lr: tuple[tuple[float, float, float], tuple[float, float, float]]
    exiting_root_mm_lr: tuple[tuple[float, float, float], tuple[float, float, float]]

    @property
    def height_ratio(self) -> float:
        return self.mid_height_mm / self.norm_height_mm

    @property
    def canal_ratio(self) -> float:
        return self.canal_area_mm2 / self.canal_free_area_mm2


SAC_HEIGHTS_MM = (-3.0, -1.5, 0.0, 1.5, 3.0, 4.5)
_STEP_MM = 0.35
_NOWHERE = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class _Section:
    """The canal in planes along a disc: (U, V, W) samples in the disc's frame, open sac and obstacles."""

    u: NDArray[np.float32]
    v: NDArray[np.float32]
    free: NDArray[np.bool_]
    open: NDArray[np.bool_]


def measure(spine: Spine, index: int) -> Measurements:
    """Measure one disc; ``index`` 0 is the lowest (L5/S1)."""
    disc = spine.discs[index]
    lower: Vertebra | SacralSegment = spine.vertebrae[index - 1] if index else spine.sacrum[0]
    share, local, local_share, place = _measure_outline(disc)
    slip, depth = _measure_slip(spine.vertebrae[index], lower)
    section = _canal_section(spine, index)
    areas = section.open.sum(axis=(0, 1)) * _STEP_MM**2
    area = float(areas.min())
    lumbar = index < LUMBAR_DISCS
    foramina = (measure_foramen(spine, index, 0), measure_foramen(spine, index, 1)) if lumbar else (_NONE, _NONE)
    recesses = (_measure_recess(spine, index, 0), _measure_recess(spine, index, 1)) if lumbar else (_OPEN, _OPEN)
    state, pedicle = disc.state, spine.vertebrae[index].pedicle
    return Measurements(
        level=LEVELS[index],
        nucleus_t2_ms=state.nucleus_t2_ms,
        mid_height_mm=_measure_height(disc),
        norm_height_mm=disc.norm_height,
        overhang_share=share,
        local_overhang_mm=local,
        local_share=local_share,
        herniation_u_mm=place,
        herniation_kind=kind_of_herniation(disc),
        msu_share=_msu_share(disc, local, place),
        facet_edge_u_mm=disc.recess.facet_edge[0],
        pedicle_u_mm=(pedicle[0] - 0.5 * pedicle[1], pedicle[0] + 0.5 * pedicle[1]),
        slip_mm=slip,
        depth_mm=depth,
        schmorl_above_mm=_measure_schmorl(disc, upper=True),
        schmorl_below_mm=_measure_schmorl(disc, upper=False),
        modic_type=state.modic_type,
        modic_area_mm2=_modic_area(disc),
        canal_area_mm2=area,
        canal_free_area_mm2=float(section.free.sum(axis=(0, 1)).mean() * _STEP_MM**2),
        sac_areas_mm2=tuple(float(a) for a in areas),
        canal_ap_mm=float(section.open[len(section.open) // 2].sum(axis=0).min() * _STEP_MM),
        packing=strand_area_mm2(index) / max(area, 1.0),
        recess_depth_mm_lr=(recesses[0].depth_mm, recesses[1].depth_mm),
        root_displacement_mm_lr=(recesses[0].shift_mm, recesses[1].shift_mm),
        root_overlap_lr=(recesses[0].overlap, recesses[1].overlap),
        foramen_height_mm_lr=(foramina[0].height_mm, foramina[1].height_mm),
        foramen_width_mm_lr=(foramina[0].width_mm, foramina[1].width_mm),
        foramen_area_mm2_lr=(foramina[0].area_mm2, foramina[1].area_mm2),
        fat_clearance_mm_lr=(foramina[0].clearance_mm, foramina[1].clearance_mm),
        exiting_root_overlap_lr=(foramina[0].overlap, foramina[1].overlap),
        flavum_mm_lr=(_flavum_thickness(spine, index, 0), _flavum_thickness(spine, index, 1)),
        center_mm=_triple(disc.frame.center_mm),
        sac_center_mm=_sac_center(spine, disc, section),
        traversing_root_mm_lr=(recesses[0].root_mm, recesses[1].root_mm),
        exiting_root_mm_lr=(foramina[0].root_mm, foramina[1].root_mm),
    )


@dataclass(frozen=True)
class _Recess:
    depth_mm: float
    shift_mm: float
    overlap: float
    root_mm: tuple[float, float, float]


_OPEN = _Recess(0.0, 0.0, 0.0, _NOWHERE)
_NONE = Foramen(0.0, 0.0, 0.0, (0.0, 0.0, 0.0, 0.0), 0.0, _NOWHERE)


def _triple(point: Array) -> tuple[float, float, float]:
    return float(point[0]), float(point[1]), float(point[2])


def _measure_height(disc: Disc) -> float:
    """Mean thickness over the middle half of the depth, in the midline, Schmorl nodes not counted."""
    plain = _without_nodes(disc)
    v = np.linspace(-0.25, 0.25, 7, dtype=np.float32)[:, None] * disc.half_depth
    w = np.linspace(-13.0, 13.0, 521, dtype=np.float32)[None, :]
    inside = column.disc_sdf(np.zeros_like(v), v, w, plain) < 0.0
    return float(inside.sum(axis=1).mean() * (w[0, 1] - w[0, 0]))


def _without_nodes(disc: Disc) -> column.DiscShape:
    """The disc alone: no Schmorl nodes, and no bone at the foramina, which is not a herniation."""
    none = column.Node(_NOWHERE, _NOWHERE)
    return disc.shape._replace(above=none, below=none, foraminal_lr=(0.0, 0.0))


def _measure_outline(disc: Disc) -> tuple[float, float, float, float]:
    """Share of the circumference that stands out, greatest local overhang, the share that is local, and its place."""
    plain = _without_nodes(disc)
    # to both sides of the midline alike, so that a mirror changes nothing
    angle = (np.arange(-47, 49) * (np.pi / 48.0)).astype(np.float32)[:, None, None]
    radius = np.linspace(0.8, 1.7, 91, dtype=np.float32)[None, :, None]
    height = np.linspace(-6.0, 6.0, 5, dtype=np.float32)[None, None, :]
    u = radius * np.sin(angle) * disc.half_width
    v = radius * np.cos(angle) * disc.half_depth - 0.5 * disc.shape.slip
    inside = (column.disc_sdf(u, v, height, plain) < 0.0).any(axis=2)
    rim = column.disc_outline(u, v + np.float32(0.5 * disc.shape.slip), plain)[..., 0] < 1.0
    length = np.hypot(u, v)[..., 0]
    reach = np.where(inside, length, 0.0).max(axis=1) - np.where(rim, length, 0.0).max(axis=1)
    back = np.cos(angle[:, 0, 0]) > 0.0
    local = np.where(back, reach - np.median(reach[back]), -9.0)
    share = float((reach > OUTLINE.overhang_mm).mean())
    place = float(np.sin(angle[local.argmax(), 0, 0]) * disc.half_width)
    return share, float(local.max()), float((local > OUTLINE.herniation_mm).sum() / len(reach)), place


def _msu_share(disc: Disc, local_mm: float, place_mm: float) -> float:
    """Depth of the local overhang relative to the way from the disc's edge to the line between the facets."""
    edge = column.rim(place_mm, disc.half_width, disc.half_depth)[0][1]
    return local_mm / max(disc.recess.facet_edge[1] - edge, 1.0)


def _corner(body: Vertebra | SacralSegment, upper: bool, back: bool) -> Array:
    sign = 1.0 if back else -1.0
    if isinstance(body, SacralSegment):
        return body.frame.moved(v=sign * body.half_depth_top, w=0.5 * body.height).center_mm
    half = 0.5 * (body.height - sign * body.half_depth * np.tan(body.wedge_rad))
    return body.frame.moved(v=sign * body.half_depth, w=half if upper else -half).center_mm


def _measure_slip(upper: Vertebra, lower: Vertebra | SacralSegment) -> tuple[float, float]:
    """Forward shift of the upper body along the disc, and the depth of the lower end-plate."""
    back, front = _corner(lower, True, True), _corner(lower, True, False)
    upper_back, upper_front = _corner(upper, False, True), _corner(upper, False, False)
    along = (back - front) + (upper_back - upper_front)
    # bodies differ in depth: compare the middles of the end-plates, as slip is not growth
    shift = 0.5 * (back + front) - 0.5 * (upper_back + upper_front)
    return float(shift @ along / np.linalg.norm(along)), float(np.linalg.norm(back - front))


def _measure_schmorl(disc: Disc, upper: bool) -> float:
    """How much deeper than the plain end-plate the disc reaches into the body above or below."""
    if not (disc.shape.above if upper else disc.shape.below).radii[0]:
        return 0.0
    u = np.linspace(-0.4, 0.4, 9, dtype=np.float32)[:, None, None] * disc.half_width
    v = np.linspace(-0.65, 0.65, 27, dtype=np.float32)[None, :, None] * disc.half_depth
    w = np.linspace(0.0, 18.0, 121, dtype=np.float32)[None, None, :] * (1.0 if upper else -1.0)
    step = abs(float(w[0, 0, 1]))
    reach = (column.disc_sdf(u, v, w, disc.shape) < 0.0).sum(axis=2) * step
    plain = (column.disc_sdf(u, v, w, _without_nodes(disc)) < 0.0).sum(axis=2) * step
    return float((reach - plain).max())


def _modic_area(disc: Disc) -> float:
    """Altered marrow in the mid-sagittal plane."""
    front, back = np.clip(disc.state.modic_span, -1.0, 1.0)
    return float((disc.state.modic_above_mm + disc.state.modic_below_mm) * (back - front) * disc.half_depth)


def _canal_section(spine: Spine, index: int) -> _Section:
    """Where the sac would be and where it is left open, on a grid along the disc."""
    disc = spine.discs[index]
    recess = disc.recess
    half_u = np.ceil((1.15 * recess.half_width + 0.5) / _STEP_MM) * _STEP_MM
    u = np.arange(-half_u, half_u + 0.1, _STEP_MM, dtype=np.float32)[:, None, None]
    half_v = recess.half_ap + 3.5
    v = (recess.center_v + np.arange(-half_v, half_v, _STEP_MM)).astype(np.float32)[None, :, None]
    w = np.array(SAC_HEIGHTS_MM, np.float32)[None, None, :]
    axes, center = disc.frame.axes.astype(np.float32), disc.frame.center_mm.astype(np.float32)
    x, y, z = (center[i] + u * axes[i, 0] + v * axes[i, 1] + w * axes[i, 2] for i in range(3))
    free, left = (distance < 0.0 for distance in sac_distances((x, y, z), spine.canal))
    # only samples inside the sac need the walls
    points = np.stack([np.broadcast_to(axis, left.shape)[left] for axis in (x, y, z)], axis=-1)
    middle = disc.frame.moved(v=recess.center_v).center_mm
    near = [p for p in spine.walls(index) if dist(p.center_mm, middle) < p.radius_mm + half_u + 4.0]
    opened = left.copy()
    opened[left] = ~blocked_at(points, tuple(near))
    return _Section(u, v, free, opened)


def _sac_center(spine: Spine, disc: Disc, section: _Section) -> tuple[float, float, float]:
    """Centroid of the open sac at the middle of the disc; of the sac as it would be where nothing is open."""
    middle = SAC_HEIGHTS_MM.index(0.0)
    seen = section.open[..., middle] if section.open[..., middle].any() else section.free[..., middle]
    u = float((section.u[..., 0] * seen).sum() / seen.sum())
    v = float((section.v[..., 0] * seen).sum() / seen.sum())
    return _triple(disc.frame.world((u, v, 0.0)))


def _measure_recess(spine: Spine, index: int, side: int) -> _Recess:
    """Depth of the lateral recess from above the disc's middle to the pedicle below, and its root's state."""
    disc, root = spine.discs[index], spine.roots[index][side]
    frame = disc.frame.sided(root.sign)
    joint = spine.joints[index][side]
    lower = spine.vertebrae[index - 1].part if index else spine.sacrum[0].part
    front = (disc.part, lower)
    behind = (joint.superior, *joint.soft())
    u = 0.6 * float(frame.local(joint.space.frame.center_mm)[0])
    heights = np.arange(3.0, -0.5 * disc.height - 3.0, -1.0)
    v = np.arange(disc.half_depth - 5.0, disc.half_depth + 16.0, 0.25)
    plane = np.stack(np.broadcast_arrays(u, v[None, :], heights[:, None]), axis=-1)
    local = frame.local(root.points_mm)
    places = [int(np.abs(local[:, 2] - w).argmin()) for w in (3.0, 0.0, -4.0)]
    around = np.insert(DISC_SAMPLES, 2, 0.0, axis=1)
    sections = local[places][:, None] + root.radius_mm[places][:, None, None] * around
    points = frame.world(np.concatenate([plane.reshape(-1, 3), sections.reshape(-1, 3)]))
    wall, roof = blocked_at(points, front), blocked_at(points, behind)
    count = plane[..., 0].size
    wall_plane, roof_plane = (blocked[:count].reshape(plane.shape[:2]) for blocked in (wall, roof))
    first = v[np.where(wall_plane, np.arange(len(v)), 0).max(axis=1)]
    last = np.where(roof_plane.any(axis=1), v[roof_plane.argmax(axis=1)], v[-1])
    covered = (wall | roof)[count:].reshape(len(places), -1).mean(axis=1)
    depth = float(np.maximum(last - first, 0.0).min())
    return _Recess(depth, root.recess_shift_mm, float(covered.max()), _triple(root.points_mm[places[1]]))


def _flavum_thickness(spine: Spine, index: int, side: int) -> float:
    """Greatest thickness of one half of the ligament in the plane of the disc, 0 where it has been removed."""
    flavum = spine.joints[index][side].flavum
    if flavum is None:
        return 0.0
    shape = flavum.shape
    steps = np.arange(0.0, 13.0, 0.1)
    across = np.array(shape.normal)
    along = np.array([shape.normal[1], -shape.normal[0]])
    start = np.array([0.0, shape.center_v + shape.offset / shape.normal[1]])
    points = start + 0.5 * shape.end_u / along[0] * along - steps[:, None] * across
    inside = flavum.at(flavum.frame.world(np.column_stack([points, np.zeros(len(steps))]))) < 0.0
    return float(inside.sum() * 0.1)
