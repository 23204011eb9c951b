"""Grades measured on the geometry and tissue of the phantom, with the distance of every measurement to its cut.

Nothing here reads how the disc was drawn except through its signed distance functions, its frame and its tissue.
"""

from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import LEVELS, TARGET, TARGET_INDEX, TARGETS, UNKNOWN
from spinenet.phantom import shapes
from spinenet.phantom.anatomy import EPIDURAL_GAP_MM, Disc, SacralSegment, Spine, Vertebra
from spinenet.phantom.canal import sac_distance

T2_CUTS_MS = (165.0, 105.0, 68.0, 42.0)
"""Nucleus T2 above which the disc is Pfirrmann I, II, III, IV."""
COLLAPSED, NARROWED = 0.50, 0.75
"""Share of the normal height below which a disc is Pfirrmann V whatever its signal, and narrowed."""
BULGE_MM, BULGE_SHARE = 1.0, 0.25
HERNIATION_MM, HERNIATION_SHARE = 2.0, 0.25
SLIP_MM, SLIP_SHARE = 3.0, 0.08
SCHMORL_MM = 2.0
MODIC_MM2 = 40.0
CANAL_RATIO = (2.0 / 3.0, 1.0 / 3.0)
CANAL_AREA_MM2 = (75.0, 50.0)
"""Area of the sac below which the canal is at least moderately, severely narrowed whatever the ratio."""


@dataclass(frozen=True)
class Measurements:
    """What was measured at one disc."""

    level: str
    nucleus_t2_ms: float
    mid_height_mm: float
    norm_height_mm: float
    overhang_share: float
    """Share of the circumference with more than 1 mm of overhang."""
    local_overhang_mm: float
    """Greatest overhang above the disc's general outline."""
    local_share: float
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
    canal_ap_mm: float
    """Smallest depth of the sac in the midline."""
    center_mm: tuple[float, float, float]

    @property
    def height_ratio(self) -> float:
        return self.mid_height_mm / self.norm_height_mm

    @property
    def canal_ratio(self) -> float:
        return self.canal_area_mm2 / self.canal_free_area_mm2


def measure(spine: Spine, index: int) -> Measurements:
    """Measure one disc; ``index`` 0 is L5/S1."""
    disc = spine.discs[index]
    lower: Vertebra | SacralSegment = spine.vertebrae[index - 1] if index else spine.sacrum[0]
    share, local, local_share = _measure_outline(disc)
    slip, depth = _measure_slip(spine.vertebrae[index], lower)
    free, area, ap = _measure_canal(disc, spine)
    state = disc.state
    return Measurements(
        level=LEVELS[index],
        nucleus_t2_ms=state.nucleus_t2_ms,
        mid_height_mm=_measure_height(disc),
        norm_height_mm=disc.norm_height,
        overhang_share=share,
        local_overhang_mm=local,
        local_share=local_share,
        slip_mm=slip,
        depth_mm=depth,
        schmorl_above_mm=_measure_schmorl(disc, upper=True),
        schmorl_below_mm=_measure_schmorl(disc, upper=False),
        modic_type=state.modic_type,
        modic_area_mm2=_modic_area(disc),
        canal_area_mm2=area,
        canal_free_area_mm2=free,
        canal_ap_mm=ap,
        center_mm=tuple(float(c) for c in disc.frame.center_mm),  # type: ignore[arg-type]
    )


def _measure_height(disc: Disc) -> float:
    """Mean thickness over the middle half of the depth, in the midline, Schmorl nodes not counted."""
    plain = _without_nodes(disc)
    v = np.linspace(-0.25, 0.25, 7, dtype=np.float32)[:, None] * disc.half_depth
    w = np.linspace(-13.0, 13.0, 521, dtype=np.float32)[None, :]
    inside = shapes.disc_sdf(np.zeros_like(v), v, w, plain) < 0.0
    return float(inside.sum(axis=1).mean() * (w[0, 1] - w[0, 0]))


def _without_nodes(disc: Disc) -> Disc:
    return replace(disc, state=replace(disc.state, schmorl_above_mm=0.0, schmorl_below_mm=0.0))


def _measure_outline(disc: Disc) -> tuple[float, float, float]:
    """Share of the circumference that stands out, the greatest local overhang, and the share that is local."""
    plain = _without_nodes(disc)
    angle = np.linspace(0.0, 2.0 * np.pi, 96, endpoint=False, dtype=np.float32)[:, None, None]
    radius = np.linspace(0.6, 1.7, 177, dtype=np.float32)[None, :, None]
    height = np.linspace(-9.0, 9.0, 9, dtype=np.float32)[None, None, :]
    u = radius * np.cos(angle) * disc.half_width
    v = radius * np.sin(angle) * disc.half_depth
    inside = (shapes.disc_sdf(u, v, height, plain) < 0.0).any(axis=2)
    rim = shapes.disc_outline(u, v, disc)[..., 0] < 1.0
    length = np.hypot(u, v)[..., 0]
    reach = np.where(inside, length, 0.0).max(axis=1) - np.where(rim, length, 0.0).max(axis=1)
    general = float(np.median(reach[: len(reach) // 2]))  # the back half: angles 0 to pi
    local = reach[: len(reach) // 2] - general
    share = float((reach > BULGE_MM).mean())
    return share, float(local.max()), float((local > HERNIATION_MM).sum() / len(reach))


def _corner(body: Vertebra | SacralSegment, upper: bool, back: bool) -> NDArray[np.float64]:
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
    if not shapes.has_node(disc, upper):
        return 0.0
    u = np.linspace(-0.4, 0.4, 9, dtype=np.float32)[:, None, None] * disc.half_width
    v = np.linspace(-0.65, 0.65, 27, dtype=np.float32)[None, :, None] * disc.half_depth
    w = np.linspace(0.0, 18.0, 181, dtype=np.float32)[None, None, :] * (1.0 if upper else -1.0)
    step = abs(float(w[0, 0, 1]))
    reach = (shapes.disc_sdf(u, v, w, disc) < 0.0).sum(axis=2) * step
    plain = (shapes.disc_sdf(u, v, w, _without_nodes(disc)) < 0.0).sum(axis=2) * step
    return float((reach - plain).max())


def _modic_area(disc: Disc) -> float:
    """Altered marrow in the mid-sagittal plane."""
    front, back = np.clip(disc.state.modic_span, -1.0, 1.0)
    return float((disc.state.modic_above_mm + disc.state.modic_below_mm) * (back - front) * disc.half_depth)


def _measure_canal(disc: Disc, spine: Spine) -> tuple[float, float, float]:
    """Free area of the sac, smallest area left by disc, flavum and facets, and smallest depth in the midline."""
    step = 0.35
    center_v = disc.half_depth + EPIDURAL_GAP_MM + 0.5 * disc.sac_ap
    u = np.arange(-14.0, 14.01, step, dtype=np.float32)[:, None]
    v = (center_v + np.arange(-13.0, 15.01, step)).astype(np.float32)[None, :]
    free, left, depth = [], [], []
    for w in np.arange(-3.0, 4.6, 1.5, dtype=np.float32):
        at = disc.frame.moved(v=center_v, w=float(w)).center_mm
        x = at[0] + u * disc.frame.axes[0, 0] + (v - center_v) * disc.frame.axes[0, 1]
        y = at[1] + u * disc.frame.axes[1, 0] + (v - center_v) * disc.frame.axes[1, 1]
        z = at[2] + u * disc.frame.axes[2, 0] + (v - center_v) * disc.frame.axes[2, 1]
        sac = _sac_section(x, y, z, spine)
        blocked = np.minimum(
            shapes.disc_sdf(u, v, w, disc),
            np.minimum(shapes.flavum_sdf(u, v, w, disc), shapes.facet_sdf(u, v, w, disc)),
        )
        open_sac = (sac < 0.0) & (blocked > 0.0)
        free.append(float((sac < 0.0).sum()) * step**2)
        left.append(float(open_sac.sum()) * step**2)
        depth.append(float(open_sac[len(u) // 2].sum()) * step)
    return float(np.mean(free)), min(left), min(depth)


def _sac_section(x: NDArray, y: NDArray, z: NDArray, spine: Spine) -> NDArray[np.float32]:
    return sac_distance((x.astype(np.float32), y.astype(np.float32), z.astype(np.float32)), spine.canal)


def _pfirrmann(m: Measurements) -> int:
    if m.height_ratio < COLLAPSED:
        return 5
    return 1 + sum(m.nucleus_t2_ms <= cut for cut in T2_CUTS_MS)


def _canal_grade(m: Measurements) -> int:
    by_ratio = sum(m.canal_ratio < cut for cut in CANAL_RATIO)
    return max(by_ratio, sum(m.canal_area_mm2 < cut for cut in CANAL_AREA_MM2))


def grade(m: Measurements) -> dict[str, int]:
    """Published grades by target name, as the rules of the reference (5.5) put them."""
    slipped = abs(m.slip_mm) > SLIP_MM or abs(m.slip_mm) / m.depth_mm > SLIP_SHARE
    return {
        "pfirrmann": _pfirrmann(m),
        "modic": m.modic_type if m.modic_area_mm2 >= MODIC_MM2 else 0,
        "herniation": int(m.local_overhang_mm > HERNIATION_MM and m.local_share < HERNIATION_SHARE),
        "bulging": int(m.overhang_share > BULGE_SHARE),
        "narrowing": int(m.height_ratio < NARROWED),
        "spondylolisthesis": int(slipped),
        "endplate_upper": int(m.schmorl_above_mm > SCHMORL_MM),
        "endplate_lower": int(m.schmorl_below_mm > SCHMORL_MM),
        "canal_stenosis": _canal_grade(m),
    }


def margins(m: Measurements) -> dict[str, float]:
    """Distance of each deciding measurement to the nearest cut, as a share of the cut: small means borderline."""

    def nearest(value: float, *cuts: float) -> float:
        return min(abs(value - cut) / cut for cut in cuts)

    return {
        "pfirrmann": min(nearest(m.nucleus_t2_ms, *T2_CUTS_MS), nearest(m.height_ratio, COLLAPSED)),
        "modic": nearest(m.modic_area_mm2, MODIC_MM2),
        "herniation": nearest(m.local_overhang_mm, HERNIATION_MM),
        "bulging": nearest(m.overhang_share, BULGE_SHARE),
        "narrowing": nearest(m.height_ratio, NARROWED),
        "spondylolisthesis": nearest(abs(m.slip_mm), min(SLIP_MM, SLIP_SHARE * m.depth_mm)),
        "endplate_upper": nearest(m.schmorl_above_mm, SCHMORL_MM),
        "endplate_lower": nearest(m.schmorl_below_mm, SCHMORL_MM),
        "canal_stenosis": min(nearest(m.canal_ratio, *CANAL_RATIO), nearest(m.canal_area_mm2, *CANAL_AREA_MM2)),
    }


def grade_table(grades: dict[int, dict[str, int]]) -> NDArray[np.int64]:
    """(len(LEVELS), len(TARGETS)) grade indices, UNKNOWN where nothing was measured."""
    table = np.full((len(LEVELS), len(TARGETS)), UNKNOWN)
    for level, values in grades.items():
        for name, value in values.items():
            table[level, TARGET_INDEX[name]] = TARGET[name].index_of(value)
    return table


def as_record(m: Measurements) -> dict[str, object]:
    """Everything about one level for the truth file: measurements, grades, margins."""
    rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(m).items()}
    return {
        "measurements": rounded,
        "grades": grade(m),
        "margins": {name: round(value, 4) for name, value in margins(m).items()},
    }
