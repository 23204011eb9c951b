"""Records of a person's spine: places, bodies, discs, the parts of the arches, roots and the canal. All in mm and LPS.

Local frames: u lateral (+ left), v antero-posterior (+ back), w along the spine (+ up). Vertebrae and discs are listed
from the lowest: vertebra 0 stands on disc 0, the lowest mobile disc (L5/S1).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spinephantom.patient.pathology import DiscState
from spinephantom.patient.person import Person
from spinephantom.shapes.column import BodyShape, DiscShape, SacralShape, body_sdf, disc_sdf, sacral_sdf
from spinephantom.shapes.frames import Array, Frame
from spinephantom.shapes.parts import Part

_FINE_MM = 0.02


@dataclass(frozen=True)
class Vertebra:
    """One vertebra; half axes and heights in mm. ``above`` and ``below`` are the adjoining discs' states."""

    name: str
    frame: Frame
    half_width: float
    half_depth: float
    height: float
    wedge_rad: float
    shape: BodyShape
    above: DiscState
    below: DiscState
    canal_ap: float
    """From the back of the body to the root of the spinous process, less 1."""
    pedicle: tuple[float, float, float, float]
    """Lateral offset, width, height and height above the middle of the body."""
    spinous_tilt_rad: float
    spinous_length: float
    spinous_height: float
    process_span: float
    """From tip to tip of the transverse processes."""

    @property
    def part(self) -> Part:
        """The body, Schmorl nodes not cut."""
        reach = float(np.hypot(self.half_depth, 0.5 * self.height))
        return Part(body_sdf, self.shape, self.frame, self.frame.center_mm, max(reach, self.half_width) + 8.0)


@dataclass(frozen=True)
class Recess:
    """The canal around the sac at a disc, in the disc's frame with u away from the midline; the same on both sides."""

    half_width: float
    half_ap: float
    triangle: float
    """How much the sac narrows towards its back."""
    center_v: float
    normal: tuple[float, float]
    offset: float
    """The outer face of the flavum lies where ``normal`` times the position from the sac's centre is ``offset``."""
    facet_edge: tuple[float, float]
    """Antero-medial edge of the facet joint, (u, v)."""

    @property
    def apex_v(self) -> float:
        """Where the two halves of the flavum meet."""
        return self.center_v + self.offset / self.normal[1]


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
    recess: Recess
    shape: DiscShape
    state: DiscState

    @property
    def part(self) -> Part:
        """All of the disc, herniated material and nodes included."""
        beyond = 12.0 + self.state.herniation_mm + 1.2 * abs(self.shape.fragment_up)
        return Part(disc_sdf, self.shape, self.frame, self.frame.center_mm, self.half_width + beyond)


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
    shape: SacralShape
    above: DiscState

    @property
    def part(self) -> Part:
        """The body."""
        reach = max(self.half_width, float(np.hypot(self.half_depth_top, 0.5 * self.height)))
        return Part(sacral_sdf, self.shape, self.frame, self.frame.center_mm, reach + 7.0)


@dataclass(frozen=True)
class Canal:
    """The dural sac as a curve over z: centre and half axes of its cross section, tabulated at ``z_mm`` (rising)."""

    z_mm: Array
    x_mm: Array
    y_mm: Array
    half_ap_mm: Array
    half_width_mm: Array
    posterior_fat_mm: Array
    front_fat_mm: Array
    triangle: Array
    squeeze_mm: Array
    """How far epidural fat presses the sac in."""
    pad_mm: Array
    """How far the fat between thickened ligaments presses the sac forward."""
    slope_cos: Array

    def at(self, z_mm: NDArray[np.floating]) -> dict[str, NDArray[np.float32]]:
        """All tables at these heights, to a fiftieth of a millimetre."""
        steps = (z_mm - np.float32(self.z_mm[0])) * np.float32(1.0 / _FINE_MM)
        last = len(next(iter(self._fine.values()))) - 1
        index = np.minimum(np.maximum(steps + np.float32(0.5), 0.0), np.float32(last)).astype(np.int32)
        return {name: table.take(index) for name, table in self._fine.items()}

    @cached_property
    def _fine(self) -> dict[str, NDArray[np.float32]]:
        names = (
            "x_mm", "y_mm", "half_ap_mm", "half_width_mm", "posterior_fat_mm", "front_fat_mm", "triangle",
            "squeeze_mm", "pad_mm", "slope_cos",
        )  # fmt: skip
        z_mm = np.arange(self.z_mm[0], self.z_mm[-1] + _FINE_MM, _FINE_MM)
        return {name: np.interp(z_mm, self.z_mm, getattr(self, name)).astype(np.float32) for name in names}


@dataclass(frozen=True)
class Joint:
    """What lies behind a disc on one side. ``superior`` belongs to the vertebra below, ``inferior`` to that above."""

    superior: Part
    inferior: Part
    space: Part
    flavum: Part | None
    cyst: Part | None

    def soft(self) -> tuple[Part, ...]:
        """What narrows the canal besides bone."""
        return tuple(part for part in (self.flavum, self.cyst) if part is not None)


@dataclass(frozen=True)
class Root:
    """A spinal nerve from the sac to the psoas: points (N, 3) half a millimetre apart, and its radius there."""

    name: str
    sign: float
    points_mm: Array
    radius_mm: Array
    recess_shift_mm: float
    """How far it has been displaced at the disc above its pedicle."""


@dataclass(frozen=True)
class Spine:
    """Everything with a shape that the person's spine has. Pairs are (left, right)."""

    person: Person
    vertebrae: tuple[Vertebra, ...]
    discs: tuple[Disc, ...]
    sacrum: tuple[SacralSegment, ...]
    canal: Canal
    joints: tuple[tuple[Joint, Joint], ...]
    """For every disc."""
    arches: tuple[tuple[Part, ...], ...]
    """For every vertebra, without the articular processes."""
    sacral_arch: tuple[Part, ...]
    roots: tuple[tuple[Root, Root], ...]
    """From S1 upwards: the root under the pedicle of vertebra k is ``roots[k + 1]``."""

    def neighbours(self) -> list[tuple[Disc | None, Disc]]:
        """The disc above (None at the top) and the disc below each vertebra."""
        return list(zip((*self.discs[1:], None), self.discs, strict=True))

    def posterior(self, index: int) -> tuple[Part, ...]:
        """The whole arch of a vertebra: pedicles, laminae and processes."""
        below = [joint.inferior for joint in self.joints[index]]
        above = [joint.superior for joint in self.joints[index + 1]] if index + 1 < len(self.joints) else []
        return (*self.arches[index], *below, *above)

    def walls(self, index: int) -> tuple[Part, ...]:
        """All that can narrow the canal at a disc: disc and bodies, joints, ligaments, the arches above and below."""
        lower = self.vertebrae[index - 1].part if index else self.sacrum[0].part
        arches = (*self.arches[index], *(self.arches[index - 1] if index else self.sacral_arch))
        joints = [part for joint in self.joints[index] for part in (joint.superior, joint.inferior)]
        # in a strong lordosis the ligaments of the discs beside reach this far
        beside = self.joints[max(index - 1, 0) : index + 2]
        joints += [part for pair in beside for joint in pair for part in joint.soft()]
        return (self.discs[index].part, self.vertebrae[index].part, lower, *joints, *arches)

    def sacral_posterior(self) -> tuple[Part, ...]:
        """Roof, side walls and articular processes of the sacrum."""
        return (*self.sacral_arch, *(joint.superior for joint in self.joints[0]))
