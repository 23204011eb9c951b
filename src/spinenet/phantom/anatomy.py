"""The spine of a person: dimensions, frames of bodies and discs, and the line of the canal. All in mm and LPS.

Local frames: u lateral (+ left), v antero-posterior (+ back), w along the spine (+ up). Vertebrae and discs are listed
from the lowest: vertebra 0 is L5, disc 0 is L5/S1. Numbers are means of published morphometry (see the sources listed
in the phantom's documentation); every person is drawn around them.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from spinenet.labels import LEVELS
from spinenet.phantom.pathology import DiscState, mirrored_state
from spinenet.phantom.person import Person, mirrored_person

Array = NDArray[np.float64]

VERTEBRAE = ("L5", "L4", "L3", "L2", "L1", "T12", "T11", "T10", "T9", "T8")
_WIDTH_MM = np.array([48.4, 48.0, 46.0, 44.0, 42.2, 39.5, 36.5, 34.0, 32.5, 31.5])
_DEPTH_MM = np.array([34.5, 35.0, 35.0, 34.5, 34.5, 33.0, 32.0, 31.0, 30.0, 29.0])
_HEIGHT_MM = np.array([27.5, 27.3, 27.5, 27.0, 26.2, 25.3, 24.0, 22.5, 21.5, 20.8])
_BODY_WEDGE_DEG = np.array([8.0, 3.0, 1.0, -1.0, -2.0, -3.0, -2.5, -2.5, -3.0, -3.0])
_DISC_HEIGHT_MM = np.array([10.7, 11.3, 11.0, 10.0, 8.5, 7.0, 6.0, 5.5, 5.0, 4.8])
_DISC_WEDGE_DEG = np.array([13.5, 10.5, 7.5, 5.5, 3.5, 1.0, 0.0, -0.5, -1.0, -1.0])
_CONCAVITY_MM = np.array([1.7, 1.7, 1.6, 1.5, 1.4, 1.2, 1.1, 1.0, 1.0, 1.0])
_SAC_AP_MM = np.array([12.3, 13.2, 13.8, 14.4, 15.0, 14.6, 14.0, 13.6, 13.3, 13.0])
_SAC_AREA_MM2 = np.array([140.0, 170.0, 185.0, 200.0, 205.0, 195.0, 180.0, 170.0, 165.0, 160.0])
_SPINOUS_TILT_DEG = np.array([8.0, 5.0, 4.0, 4.0, 6.0, 12.0, 24.0, 34.0, 42.0, 46.0])
_SPINOUS_LENGTH_MM = np.array([25.0, 29.0, 31.0, 31.0, 30.0, 28.0, 27.0, 27.0, 27.0, 27.0])
_SPINOUS_HEIGHT_MM = np.array([12.5, 15.5, 17.5, 18.5, 18.5, 16.5, 12.5, 9.5, 8.5, 8.0])
_SACRAL_HEIGHT_MM = np.array([30.0, 25.0, 21.0, 18.0, 15.0])
_SACRAL_DEPTH_MM = np.array([33.0, 21.5, 15.0, 11.5, 9.5, 8.0])
"""Depth at the top of S1, at each border below it, and at the end."""
_SACRAL_BEND_DEG = np.array([4.0, 10.0, 16.0, 20.0, 20.0])
EPIDURAL_GAP_MM = 1.7
"""Fat and ligament between the back of a disc or body and the front of the sac."""


@dataclass(frozen=True)
class Frame:
    """A place and three axes: columns of ``axes`` are u, v and w in LPS."""

    center_mm: Array
    axes: Array

    def moved(self, u: float = 0.0, v: float = 0.0, w: float = 0.0) -> "Frame":
        return replace(self, center_mm=self.center_mm + self.axes @ np.array([u, v, w]))

    def tilted(self, angle_rad: float) -> "Frame":
        """Turned about u: positive angles turn w forwards."""
        return replace(self, axes=self.axes @ rotation_x(angle_rad))


@dataclass(frozen=True)
class Vertebra:
    """One vertebra; half axes and heights in mm. ``above`` and ``below`` are the adjoining discs' states."""

    name: str
    frame: Frame
    half_width: float
    half_depth: float
    height: float
    wedge_rad: float
    concavity: tuple[float, float]
    """Depth of the upper and of the lower end-plate."""
    above: DiscState
    below: DiscState
    wall_concavity: float
    canal_ap: float
    spinous_tilt_rad: float
    spinous_length: float
    spinous_height: float


@dataclass(frozen=True)
class Disc:
    """One disc. ``height`` is that of the rim, ``mid_height`` includes the hollows of the end-plates."""

    level: str
    frame: Frame
    half_width: float
    half_depth: float
    height: float
    mid_height: float
    norm_height: float
    wedge_rad: float
    concavity: float
    sac_ap: float
    posterior_fat: float
    state: DiscState


@dataclass(frozen=True)
class SacralSegment:
    """One of S1..S5: a body that narrows from top to bottom."""

    frame: Frame
    half_width: float
    half_depth_top: float
    half_depth_bottom: float
    height: float
    concavity: float
    rest_mm: float
    """Height of what is left of the disc below it."""
    roof_mm: float
    """From its back wall to the middle of the roof of the sacral canal."""
    above: DiscState


@dataclass(frozen=True)
class Canal:
    """The dural sac as a curve over z: centre and half axes of its cross section, tabulated at ``z_mm`` (rising)."""

    z_mm: Array
    x_mm: Array
    y_mm: Array
    half_ap_mm: Array
    half_width_mm: Array
    posterior_fat_mm: Array
    slope_cos: Array

    def at(self, z_mm: NDArray[np.floating]) -> dict[str, NDArray[np.float32]]:
        """All tables interpolated at these heights."""
        names = ("x_mm", "y_mm", "half_ap_mm", "half_width_mm", "posterior_fat_mm", "slope_cos")
        return {name: np.interp(z_mm, self.z_mm, getattr(self, name)).astype(np.float32) for name in names}


@dataclass(frozen=True)
class Spine:
    """Everything with a shape that the person's spine has."""

    person: Person
    vertebrae: tuple[Vertebra, ...]
    discs: tuple[Disc, ...]
    sacrum: tuple[SacralSegment, ...]
    canal: Canal

    def neighbours(self) -> list[tuple[Disc | None, Disc]]:
        """The disc above (None at the top) and the disc below each vertebra."""
        return list(zip((*self.discs[1:], None), self.discs, strict=True))


def rotation_x(angle: float) -> Array:
    """Turn about the left-right axis; positive tilts the head end forwards."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def rotation_y(angle: float) -> Array:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def _rotation_z(angle: float) -> Array:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def build_spine(person: Person, states: tuple[DiscState, ...]) -> Spine:
    """Stack discs and bodies upwards from the end-plate of S1, which is the origin; then hang the sacrum below it."""
    frame = base = Frame(np.zeros(3), rotation_x(_sacral_slope(person, states)))
    discs, vertebrae = [], []
    for index in range(len(VERTEBRAE)):
        disc, frame = _add_disc(frame, person, index, states[index])
        above = states[index + 1] if index + 1 < len(states) else DiscState()
        vertebra, frame = _add_vertebra(frame, person, index, (above, states[index]))
        discs.append(disc)
        vertebrae.append(vertebra)
    vertebrae = [
        replace(body, concavity=(discs[index + 1].concavity if index + 1 < len(discs) else 1.0, discs[index].concavity))
        for index, body in enumerate(vertebrae)
    ]
    sacrum = _build_sacrum(base, person, discs[0])
    canal = _build_canal(person, tuple(discs), tuple(vertebrae), sacrum)
    return Spine(person, tuple(vertebrae), tuple(discs), sacrum, canal)


def _sacral_slope(person: Person, states: tuple[DiscState, ...]) -> float:
    """Tilt of the end-plate of S1 (radians) that makes T12 stand over it: slope follows lordosis."""
    frame = Frame(np.zeros(3), np.eye(3))
    for index in range(VERTEBRAE.index("T12") + 1):
        _, frame = _add_disc(frame, person, index, states[index])
        _, frame = _add_vertebra(frame, person, index, (states[index], states[index]))
    _, back, up = frame.center_mm
    return float(np.arctan2(back, up) - np.deg2rad(person.lean_deg))


def _add_disc(frame: Frame, person: Person, index: int, state: DiscState) -> tuple[Disc, Frame]:
    """The disc that stands on ``frame`` (end-plate below it) and the frame of the end-plate above it."""
    norm = float(person.scale * person.slenderness * _DISC_HEIGHT_MM[index])
    mid = norm * state.height_ratio
    concavity = min(_CONCAVITY_MM[index] * person.scale, 0.28 * mid)
    height = mid - 2.0 * concavity
    half_depth = 0.5 * person.scale * (0.5 * (_DEPTH_MM[index] + _DEPTH_MM[max(index - 1, 0)]))
    # a collapsed disc cannot keep its wedge: the rims meet at the back
    steepest = np.arctan(max(height + 0.4, 0.4) / half_depth)
    wedge = float(np.clip(np.deg2rad(_DISC_WEDGE_DEG[index]) * person.lordosis_scale, -steepest, steepest))
    half_turn = rotation_x(-wedge / 2) @ rotation_y(np.deg2rad(person.cobb_deg[index]) / 2)
    middle = frame.axes @ half_turn
    center = frame.center_mm + 0.5 * height * middle[:, 2]
    upper = middle @ half_turn @ _rotation_z(np.deg2rad(person.rotation_deg[index]))
    disc = Disc(
        level=LEVELS[index],
        frame=Frame(center, middle),
        half_width=0.5 * person.scale * _WIDTH_MM[index],
        half_depth=half_depth,
        height=height,
        mid_height=mid,
        norm_height=norm,
        wedge_rad=wedge,
        concavity=concavity,
        sac_ap=person.canal_scale * _SAC_AP_MM[index],
        posterior_fat=person.sac_posterior_fat_mm,
        state=state,
    )
    top = center + 0.5 * height * middle[:, 2] - state.slip_mm * middle[:, 1]
    return disc, Frame(top, upper)


def _add_vertebra(
    frame: Frame, person: Person, index: int, states: tuple[DiscState, DiscState]
) -> tuple[Vertebra, Frame]:
    """The vertebra on ``frame`` (its lower end-plate) and the frame of its upper end-plate."""
    # bodies take over part of the lordosis that a collapsed disc has lost
    lost = max(_DISC_WEDGE_DEG[index], 0.0) * person.lordosis_scale * max(1.0 - states[1].height_ratio, 0.0)
    wedge = float(np.deg2rad(_BODY_WEDGE_DEG[index] + 0.6 * lost))
    height = person.scale * person.slenderness * _HEIGHT_MM[index]
    middle = frame.axes @ rotation_x(-wedge / 2)
    center = frame.center_mm + 0.5 * height * middle[:, 2]
    upper = middle @ rotation_x(-wedge / 2)
    vertebra = Vertebra(
        name=VERTEBRAE[index],
        frame=Frame(center, middle),
        half_width=0.5 * person.scale * _WIDTH_MM[index],
        half_depth=0.5 * person.scale * _DEPTH_MM[index],
        height=height,
        wedge_rad=wedge,
        concavity=(1.0, 1.0),
        above=states[0],
        below=states[1],
        wall_concavity=0.6 if index == 0 else 1.7,
        canal_ap=person.canal_scale * _SAC_AP_MM[index] + EPIDURAL_GAP_MM + person.sac_posterior_fat_mm,
        spinous_tilt_rad=float(np.deg2rad(_SPINOUS_TILT_DEG[index])),
        spinous_length=person.scale * _SPINOUS_LENGTH_MM[index],
        spinous_height=person.scale * _SPINOUS_HEIGHT_MM[index],
    )
    return vertebra, Frame(center + 0.5 * height * middle[:, 2], upper)


def _build_sacrum(base: Frame, person: Person, lowest: Disc) -> tuple[SacralSegment, ...]:
    segments = []
    frame = base
    for index, height in enumerate(person.scale * _SACRAL_HEIGHT_MM):
        gap = person.s1_s2_disc_mm if index == 0 else 0.5 * person.s1_s2_disc_mm
        bend = -np.deg2rad(_SACRAL_BEND_DEG[index])
        middle = frame.tilted(bend / 2).moved(w=-0.5 * height)
        segments.append(
            SacralSegment(
                frame=middle,
                half_width=person.scale * (24.0 - 4.0 * index),
                half_depth_top=0.5 * person.scale * _SACRAL_DEPTH_MM[index],
                half_depth_bottom=0.5 * person.scale * _SACRAL_DEPTH_MM[index + 1],
                height=float(height),
                concavity=lowest.concavity if index == 0 else 0.2,
                rest_mm=gap,
                roof_mm=person.scale * (15.5 - 2.0 * index),
                above=lowest.state if index == 0 else DiscState(),
            )
        )
        # the back walls of the segments stay in line, their fronts step back
        step = 0.5 * person.scale * (_SACRAL_DEPTH_MM[index] - _SACRAL_DEPTH_MM[index + 1]) * 0.35
        frame = middle.tilted(bend / 2).moved(w=-0.5 * height - gap, v=step)
    return tuple(segments)


def _canal_points(
    person: Person, discs: tuple[Disc, ...], vertebrae: tuple[Vertebra, ...], sacrum: tuple[SacralSegment, ...]
) -> Array:
    """Rows of x, y, z, half AP, half width, posterior fat: one for each disc, body and sacral border."""
    fat = person.sac_posterior_fat_mm
    rows = []
    for index, (disc, body) in enumerate(zip(discs, vertebrae, strict=True)):
        half_ap = 0.5 * person.canal_scale * _SAC_AP_MM[index]
        half_width = person.canal_scale * _SAC_AREA_MM2[index] / (3.32 * 0.5 * _SAC_AP_MM[index])
        extra = 1.2 if index == 0 else 0.0
        at_disc = disc.frame.moved(v=disc.half_depth + EPIDURAL_GAP_MM + extra + half_ap).center_mm
        at_body = body.frame.moved(v=body.half_depth + EPIDURAL_GAP_MM - 0.4 + half_ap).center_mm
        rows += [[*at_disc, half_ap, half_width, fat], [*at_body, half_ap * 1.03, half_width * 1.03, 0.35 * fat]]
    lowest = person.canal_scale * _SAC_AP_MM[0]
    last = len(sacrum) - 2
    for index in range(last):
        segment = sacrum[index]
        left = max(person.sac_end - index - 0.5, 0.0) / max(person.sac_end, 0.1)
        half_ap = 0.5 * lowest * (0.25 + 0.65 * min(left, 1.0)) if left > 0 else 0.5
        depth = 0.5 * (segment.half_depth_top + segment.half_depth_bottom)
        center = segment.frame.moved(v=depth + 3.0 + 1.2 * index + half_ap).center_mm
        rows.append([*center, half_ap, 1.15 * half_ap, 2.0])
    table = np.array(rows)
    return table[np.argsort(table[:, 2])]


def _build_canal(
    person: Person, discs: tuple[Disc, ...], vertebrae: tuple[Vertebra, ...], sacrum: tuple[SacralSegment, ...]
) -> Canal:
    points = _canal_points(person, discs, vertebrae, sacrum)
    points = points[np.concatenate([[True], np.diff(points[:, 2]) > 1.0])]
    z = np.arange(points[0, 2], points[-1, 2], 0.5)
    columns = PchipInterpolator(points[:, 2], points[:, [0, 1, 3, 4, 5]], axis=0)(z)
    # the sac is a tube under tension: it does not follow every step of the wall
    columns[:, :2] = gaussian_filter1d(columns[:, :2], 4.0 / 0.5, axis=0, mode="nearest")
    slope = np.gradient(columns[:, 1], z)
    end = _sac_end_z(person, sacrum)
    # the sac tapers to a tip
    taper = np.sqrt(np.clip((z - end) / 14.0, 0.0, 1.0))
    return Canal(
        z_mm=z,
        x_mm=columns[:, 0],
        y_mm=columns[:, 1],
        half_ap_mm=columns[:, 2] * taper,
        half_width_mm=columns[:, 3] * taper,
        posterior_fat_mm=columns[:, 4],
        slope_cos=1.0 / np.sqrt(1.0 + slope**2),
    )


def _sac_end_z(person: Person, sacrum: tuple[SacralSegment, ...]) -> float:
    index = int(person.sac_end)
    segment = sacrum[index]
    return float(segment.frame.moved(w=(0.5 - (person.sac_end - index)) * segment.height).center_mm[2])


def mirrored(spine: Spine) -> Spine:
    """The spine of the mirrored person, built anew: left and right change places, nothing else."""
    states = tuple(mirrored_state(disc.state) for disc in spine.discs)
    return build_spine(mirrored_person(spine.person), states)
