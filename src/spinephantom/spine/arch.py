"""The arches: pedicles, laminae and processes as bars, facet joints and yellow ligaments, each in its place."""

from dataclasses import replace

import numpy as np

from spinephantom.patient.pathology import DiscState
from spinephantom.shapes.distances import Ball, Bar, Point, ball_sdf, bar_sdf
from spinephantom.shapes.frames import Array, Frame
from spinephantom.shapes.joints import FacetShape, FlavumShape, flavum_sdf, inferior_sdf, joint_space_sdf, superior_sdf
from spinephantom.shapes.parts import Part
from spinephantom.shapes.spinous import SpinousShape, spinous_sdf
from spinephantom.spine.records import Disc, Joint, SacralSegment, Vertebra
from spinephantom.spine.sizes import PROCESSES, SAC

SIDES = (1.0, -1.0)
"""Left and right, as the sign of u."""
_HALF_JOINT_MM = 7.6
"""Half the length of a joint in the plane of its disc."""
_LEAN_RAD = float(np.deg2rad(6.0))
"""By which the upper end of a joint lies before its lower end: superior facets look up a little."""
_LAMINA = {"L5": (0.30, 2.5), "L4": (0.33, 2.7), "L3": (0.36, 2.9)}
"""Where a lamina lies below the middle of its body, as a share of the height, and how tall it is; above L3 as L3."""


def _bar(frame: Frame, bar: Bar) -> Part:
    start, end = np.array(bar.start), np.array(bar.end)
    radius = max(bar.start_radius, bar.end_radius) * max(bar.squash, 1.0)
    reach = 0.5 * float(np.linalg.norm(end - start)) + radius + abs(bar.shear) * radius
    return Part(bar_sdf, bar, frame, frame.world(0.5 * (start + end)), reach, 0.9)


def build_joints(discs: tuple[Disc, ...]) -> tuple[tuple[Joint, Joint], ...]:
    """Facet joints and flavum of every disc, left and right each from its own numbers."""
    return tuple((_joint(disc, index, 0), _joint(disc, index, 1)) for index, disc in enumerate(discs))


def _joint(disc: Disc, index: int, side: int) -> Joint:
    state = disc.state
    frame = disc.frame.sided(SIDES[side])
    # the arch above follows its body in a degenerative slip, less what the joint holds back
    follows = 0.0 if state.isthmic else -0.8 * state.slip_mm
    drag = follows * disc.frame.axes[:, 1]
    joint = joint_frame(disc, index, side)
    shape = _facet_shape(disc, side)
    radius = 17.0 * max(shape.scale, 1.0) + shape.tip
    superior = Part(superior_sdf, shape, joint, joint.world((0.0, -3.0, 0.5 * (shape.top + shape.bottom))), radius, 0.9)
    inferior = Part(inferior_sdf, shape, joint, joint.world((0.0, 4.5, 3.0)), radius, 1.3)
    space = Part(joint_space_sdf, shape, joint, joint.center_mm, 11.5 * max(shape.scale, 1.0))
    flavum = _flavum(disc, side, frame)
    cyst = state.facet_cyst_mm_lr[side]
    ball = None
    if cyst:
        place = (-_HALF_JOINT_MM * shape.scale - 0.25 * cyst, -0.15 * cyst, 0.0)
        ball = Part(ball_sdf, Ball(place, (0.5 * cyst, 0.5 * cyst, 0.6 * cyst)), joint, joint.world(place), 0.6 * cyst)
    removed = state.laminectomy and (abs(state.laminectomy) > 0.95 or state.laminectomy * SIDES[side] > 0.0)
    return Joint(
        superior=superior,
        inferior=inferior.shifted(drag),
        space=space,
        flavum=None if removed else flavum.shifted(0.7 * drag),
        cyst=ball,
    )


def joint_frame(disc: Disc, index: int, side: int) -> Frame:
    """Frame (t, n, w) of a facet joint: along it to the back, across it to the midline side, up."""
    state = disc.state
    angle = np.deg2rad(PROCESSES.facet_deg[index] + state.facet_angle_deg_lr[side])
    sine, cosine = float(np.sin(angle)), float(np.cos(angle))
    edge_u, edge_v = disc.recess.facet_edge
    # a joint that hypertrophies grows towards the canal
    reach = _HALF_JOINT_MM - 4.0 * (state.facet_scale_lr[side] - 1.0)
    frame = disc.frame.sided(SIDES[side]).moved(u=edge_u + reach * sine, v=edge_v + reach * cosine)
    turn = np.array([[sine, -cosine, 0.0], [cosine, sine, 0.0], [0.0, 0.0, 1.0]])
    return Frame(frame.center_mm, frame.axes @ turn).tilted(_LEAN_RAD)


def _facet_shape(disc: Disc, side: int) -> FacetShape:
    state = disc.state
    lost = max(disc.norm_height - disc.mid_height, 0.0)
    growth = state.superior_process_mm_lr[side]
    return FacetShape(
        scale=state.facet_scale_lr[side],
        gap=0.1 if state.fused else 1.3 + state.facet_fluid_mm_lr[side],
        # as the disc collapses the tip rides up into the foramen
        top=6.0 + 0.6 * lost + 0.9 * growth,
        bottom=-15.0,
        tip=growth,
    )


def _flavum(disc: Disc, side: int, frame: Frame) -> Part:
    recess, state = disc.recess, disc.state
    shape = FlavumShape(
        normal=recess.normal,
        center_v=recess.center_v,
        # and pushes the ligament before it
        offset=recess.offset - 4.0 * (state.facet_scale_lr[side] - 1.0),
        thickness=state.flavum_mm_lr[side],
        end_u=recess.facet_edge[0] + 1.0,
        half_height=12.0,
        # what the ligament loses in height it gains in thickness
        buckle=0.30 * float(np.clip(1.0 - state.height_ratio, 0.0, 0.6)),
        middle=0.7 * SAC.flavum_mm,
    )
    middle = (0.5 * shape.end_u, recess.center_v + 0.5 * recess.offset, 0.0)
    return Part(flavum_sdf, shape, frame, frame.world(middle), 20.0 + 0.4 * shape.end_u)


def build_arches(
    vertebrae: tuple[Vertebra, ...], discs: tuple[Disc, ...], joints: tuple[tuple[Joint, Joint], ...], sacralised: bool
) -> tuple[tuple[Part, ...], ...]:
    """For every vertebra its pedicles, pars, laminae, transverse and spinous processes."""
    arches = []
    for index, body in enumerate(vertebrae):
        above = joints[index + 1] if index + 1 < len(joints) else None
        parts: list[Part] = []
        for side in (0, 1):
            upper = None if above is None else above[side]
            parts += _half_arch(body, discs[index], joints[index][side], upper, side)
            if index == 0 and sacralised:
                parts.append(_sacral_process(body, side))
        if abs(body.below.laminectomy) <= 0.95:
            parts.append(_spinous(body, discs[index]))
        arches.append(tuple(parts))
    return tuple(arches)


def _half_arch(body: Vertebra, below: Disc, joint: Joint, above: Joint | None, side: int) -> list[Part]:
    sign, state = SIDES[side], body.below
    frame = body.frame.sided(sign)
    offset, width, tall, up = body.pedicle
    back = body.half_depth
    # a gap in the pars leaves the arch behind while the body slips
    stay = state.slip_mm * below.frame.axes[:, 1] if state.isthmic else np.zeros(3)
    thumb = frame.local(joint.inferior.frame.world((0.0, 4.4, 8.0)))
    if state.isthmic:
        thumb = thumb - frame.axes.T @ stay
    root = (offset + 0.5, back + 7.4, up - 0.22 * tall)
    parts = [pedicle(body, side), _transverse(frame, body)]
    if above is not None:
        base = _point(frame.local(above.superior.frame.world((1.0, -3.4, -10.0))))
        parts.append(_bar(frame, Bar((offset + 0.5, back + 6.0, up), base, 0.42 * tall, 4.6)))
    split = 0.42 if state.isthmic else 1.0
    parts.append(_bar(frame, Bar(root, _between(root, _point(thumb), split), 4.2, 4.2, 1.25)))
    lower = Frame(frame.center_mm + stay, frame.axes)
    if state.isthmic:
        parts.append(_bar(lower, Bar(_between(root, _point(thumb), 0.78), _point(thumb), 4.0, 4.4, 1.25)))
    removed = state.laminectomy and (abs(state.laminectomy) > 0.95 or state.laminectomy * sign > 0.0)
    if not removed:
        # laminae reach to the height of the disc, but for the lowest, between which the canal is open
        share, tall = _LAMINA.get(body.name, _LAMINA["L3"])
        apex = (0.0, body.half_depth + body.canal_ap + 1.0, -share * body.height)
        end = (0.92 * float(thumb[0]), float(thumb[1]) - 0.5, -(share - 0.06) * body.height)
        parts.append(replace(_bar(lower, Bar(apex, end, 3.0, 3.4, tall, 0.26)), cortex_mm=1.3))
    return parts


def _point(point: Array) -> Point:
    return float(point[0]), float(point[1]), float(point[2])


def _between(start: Point, end: Point, share: float) -> Point:
    return _point(np.asarray(start) + share * (np.asarray(end) - np.asarray(start)))


def pedicle(body: Vertebra, side: int) -> Part:
    """The pedicle of one side."""
    frame = body.frame.sided(SIDES[side])
    offset, width, tall, up = body.pedicle
    back = body.half_depth
    start, end = (offset - 0.5, 0.55 * back, up), (offset + 0.5, back + 7.5, up - 0.5)
    return _bar(frame, Bar(start, end, 0.5 * width, 0.5 * width, tall / width))


def _transverse(frame: Frame, body: Vertebra) -> Part:
    offset, width, _, up = body.pedicle
    back = body.half_depth
    stout = body.name == "L5"
    start = (offset + 0.3 * width, back + (3.0 if stout else 8.0), up - 1.0)
    end = (0.5 * body.process_span - 3.0, back + (7.0 if stout else 10.0), up + (3.0 if stout else 0.5))
    return _bar(frame, Bar(start, end, 6.0 if stout else 3.2, 4.2 if stout else 2.4, 1.0 if stout else 1.8))


def iliolumbar(body: Vertebra, side: int) -> Part:
    """The ligament from the transverse process of the lowest vertebra to the crest of the ilium."""
    offset, _, _, up = body.pedicle
    tip = (0.5 * body.process_span - 4.0, body.half_depth + 7.0, up + 3.0)
    end = (0.5 * body.process_span + 22.0 + 0.2 * offset, body.half_depth + 3.0, up - 1.0)
    return _bar(body.frame.sided(SIDES[side]), Bar(tip, end, 2.4, 1.5, 1.5))


def _sacral_process(body: Vertebra, side: int) -> Part:
    """The transverse process of a sacralised L5, which meets the wing of the sacrum."""
    frame, back, low = body.frame.sided(SIDES[side]), body.half_depth, -0.5 * body.height
    return _bar(frame, Bar((0.72 * 0.5 * body.process_span, back + 2.0, 2.0), (38.0, back - 2.0, low - 6.0), 5.0, 8.0))


def _spinous(body: Vertebra, below: Disc) -> Part:
    state = body.below
    stay = state.slip_mm * below.frame.axes[:, 1] if state.isthmic else np.zeros(3)
    start = body.half_depth + body.canal_ap + 1.0
    shape = SpinousShape(
        start,
        -0.30 * body.height,
        float(np.cos(body.spinous_tilt_rad)),
        float(np.sin(body.spinous_tilt_rad)),
        body.spinous_length,
        body.spinous_height,
    )
    frame = Frame(body.frame.center_mm + stay, body.frame.axes)
    drop = -0.30 * body.height - 0.5 * body.spinous_length * shape.sine
    reach = 0.5 * body.spinous_length + 0.62 * body.spinous_height
    return Part(spinous_sdf, shape, frame, frame.world((0.0, start + 0.5 * body.spinous_length, drop)), reach)


def build_sacral_arch(sacrum: tuple[SacralSegment, ...], joints: tuple[Joint, Joint]) -> tuple[Part, ...]:
    """Roof and side walls of the sacral canal, and what carries the uppermost articular processes."""
    parts: list[Part] = []
    for side in (0, 1):
        for segment in sacrum[:4]:
            parts += _sacral_side(segment, side)
        frame = sacrum[0].frame.sided(SIDES[side])
        base = _point(frame.local(joints[side].superior.frame.world((1.0, -3.4, -11.0))))
        high = 0.5 * sacrum[0].height
        back = sacrum[0].half_depth_top
        # the root of the wing has no cortex of its own: it lies inside the wing, which belongs to the surroundings
        stem = Bar((18.0, 0.45 * back, high - 9.0), (23.0, back + 8.0, high - 9.5), 6.5, 6.5)
        parts += [replace(_bar(frame, stem), cortex_mm=0.0), _bar(frame, Bar(stem.end, base, 5.5, 4.6))]
    return tuple(parts)


def _sacral_side(segment: SacralSegment, side: int) -> list[Part]:
    frame = segment.frame.sided(SIDES[side])
    depth, high = segment.half_depth_top, segment.height
    wide = segment.half_width
    low_depth = segment.half_depth_bottom
    back = 0.5 * (depth + low_depth) + segment.roof_mm
    # the roof keeps its distance from the back wall, which runs forwards on its way down
    lean = -(depth - low_depth) / high
    roof = Bar((0.0, back, -0.1 * high), (0.72 * wide, back - 4.5, -0.1 * high), 2.4, 3.2, 0.40 * high / 2.8, lean)
    wall = Bar((0.72 * wide, back - 4.5, 0.0), (0.85 * wide, depth, 0.0), 3.4, 4.5, 1.4)
    return [_bar(frame, roof), _bar(frame, wall)]


def screws(vertebrae: tuple[Vertebra, ...], states: tuple[DiscState, ...]) -> list[tuple[Array, Array]]:
    """Both ends of the pedicle screws of all fused discs, LPS mm; empty without a fusion."""
    held = {index + step for index, state in enumerate(states) if state.fused for step in (0, -1)}
    ends = []
    for index in sorted(k for k in held if k >= 0):
        body = vertebrae[index]
        offset, _, _, up = body.pedicle
        for sign in SIDES:
            frame = body.frame.sided(sign)
            ends.append(
                (frame.world((offset + 2.0, body.half_depth + 16.0, up)), frame.world((0.5 * offset, -8.0, up)))
            )
    return ends
