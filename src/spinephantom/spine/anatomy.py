"""Build a person's spine: dimensions, frames of bodies and discs, and the line of the canal. All in mm and LPS.

Sizes are means of published morphometry (``sizes``); every person is drawn around them. Other numbers are choices of
drawing. Tables run from L5 or L5/S1 upwards.
"""

from dataclasses import replace

import numpy as np

from spinenet.labels import LEVELS
from spinephantom.patient.pathology import DiscState, mirrored_state
from spinephantom.patient.person import Person, mirrored_person
from spinephantom.shapes.column import BodyShape, DiscShape, Node, SacralShape, rim
from spinephantom.shapes.distances import kidney, superellipse
from spinephantom.shapes.frames import Array, Frame, rotation_x, rotation_y, rotation_z
from spinephantom.spine.arch import build_arches, build_joints, build_sacral_arch
from spinephantom.spine.records import Disc, Recess, SacralSegment, Spine, Vertebra
from spinephantom.spine.roots import build_roots
from spinephantom.spine.sac import build_canal
from spinephantom.spine.sizes import BODIES, DISCS, PEDICLES, PROCESSES, SAC, SACRUM

VERTEBRAE = ("L5", "L4", "L3", "L2", "L1", "T12", "T11", "T10", "T9", "T8")


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
        _with_concavity(body, discs[index + 1].concavity if index + 1 < len(discs) else 1.0, discs[index].concavity)
        for index, body in enumerate(vertebrae)
    ]
    sacrum = _build_sacrum(base, person, discs[0])
    canal = build_canal(person, tuple(discs), tuple(vertebrae), sacrum)
    joints = build_joints(tuple(discs))
    arches = build_arches(tuple(vertebrae), tuple(discs), joints, person.transitional == "sacralised_l5")
    spine = Spine(
        person,
        tuple(vertebrae),
        tuple(discs),
        sacrum,
        canal,
        joints,
        arches,
        build_sacral_arch(sacrum, joints[0]),
        roots=(),
    )
    return replace(spine, roots=build_roots(spine))


def _table(person: Person, values: Array, index: int) -> float:
    """A dimension; a sixth lumbar vertebra makes the change from L5 upwards slower."""
    if person.transitional != "extra":
        return float(values[min(index, len(values) - 1)])
    return float(np.interp(max(index - 1.0, 0.5 * index), np.arange(len(values)), values))


def _sacral_slope(person: Person, states: tuple[DiscState, ...]) -> float:
    """Tilt of the end-plate of S1 (radians) that makes T12 stand over it: slope follows lordosis."""
    frame = Frame(np.zeros(3), np.eye(3))
    for index in range(VERTEBRAE.index("T12") + 1):
        height, _, wedge, _, _ = _disc_size(person, index, states[index])
        frame = _stack(frame, person, index, states[index], height, wedge)[2]
        height, wedge = _body_size(person, index, states[index])
        frame = frame.tilted(-wedge / 2).moved(w=height).tilted(-wedge / 2)
    _, back, up = frame.center_mm
    return float(np.arctan2(back, up) - np.deg2rad(person.lean_deg))


def _disc_size(person: Person, index: int, state: DiscState) -> tuple[float, float, float, float, float]:
    """Height of the rim, height in the middle, wedge, concavity and healthy height."""
    rudiment = DISCS.rudiment if index == 0 and person.transitional == "sacralised_l5" else 1.0
    norm = person.scale * person.slenderness * rudiment * _table(person, DISCS.height_mm, index)
    mid = norm * state.height_ratio
    concavity = min(_table(person, DISCS.hollow_mm, index) * person.scale, DISCS.deepest_hollow * mid)
    height = mid - 2.0 * concavity
    # a collapsed disc cannot keep its wedge: the rims meet at the back
    steepest = np.arctan(max(height + 0.4, 0.4) / _disc_half_depth(person, index))
    wedge = np.deg2rad(_table(person, DISCS.wedge_deg, index) * rudiment) * person.lordosis_scale
    return height, mid, float(np.clip(wedge, -steepest, steepest)), concavity, norm


def _disc_half_depth(person: Person, index: int) -> float:
    return (
        0.25
        * person.scale
        * (_table(person, BODIES.depth_mm, index) + _table(person, BODIES.depth_mm, max(index - 1, 0)))
    )


def _stack(
    frame: Frame, person: Person, index: int, state: DiscState, height: float, wedge: float
) -> tuple[Array, Array, Frame]:
    """Centre and axes of a disc that stands on ``frame``, and the frame of the end-plate above it."""
    half_turn = rotation_x(-wedge / 2) @ rotation_y(np.deg2rad(person.cobb_deg[index]) / 2)
    middle = frame.axes @ half_turn
    center = frame.center_mm + 0.5 * height * middle[:, 2]
    upper = middle @ half_turn @ rotation_z(np.deg2rad(person.rotation_deg[index]))
    return center, middle, Frame(center + 0.5 * height * middle[:, 2] - state.slip_mm * middle[:, 1], upper)


def _add_disc(frame: Frame, person: Person, index: int, state: DiscState) -> tuple[Disc, Frame]:
    """The disc that stands on ``frame`` (end-plate below it) and the frame of the end-plate above it."""
    height, mid, wedge, concavity, norm = _disc_size(person, index, state)
    half_depth = _disc_half_depth(person, index)
    half_width = 0.5 * person.scale * _table(person, BODIES.width_mm, index)
    center, axes, upper = _stack(frame, person, index, state, height, wedge)
    disc = Disc(
        level=LEVELS[index],
        frame=Frame(center, axes),
        half_width=half_width,
        half_depth=half_depth,
        height=height,
        mid_height=mid,
        norm_height=norm,
        wedge_rad=wedge,
        concavity=concavity,
        sac_ap=person.canal_scale * _table(person, SAC.depth_mm, index),
        recess=_recess(person, index, half_depth),
        shape=_disc_shape(state, (half_width, half_depth), (height, mid), wedge, concavity),
        state=state,
    )
    return disc, upper


def _disc_shape(
    state: DiscState, half: tuple[float, float], heights: tuple[float, float], wedge: float, concavity: float
) -> DiscShape:
    at, front = rim(state.herniation_u_mm, *half)
    plain = DiscShape(
        half_width=half[0],
        half_depth=half[1],
        height=heights[0],
        wedge_tan=float(np.tan(wedge)),
        concavity=concavity,
        slip=state.slip_mm,
        bulge=state.bulge_mm,
        skew=state.bulge_skew,
        second=state.bulge_second,
        osteophyte=state.osteophyte_mm,
        foraminal_lr=state.foraminal_osteophyte_mm_lr,
        herniation=state.herniation_mm,
        at=at,
        front=front,
        width=state.herniation_width_mm,
        fragment=(0.0, 0.0, 0.0),
        fragment_out=0.0,
        fragment_up=0.0,
        fused=2.0,
        above=Node((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
        below=Node((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
    )
    shape = _with_fragment(plain, state, heights[1])
    above = _node(shape, state.schmorl_above_mm, state.schmorl_above_at, state.schmorl_width, 1.0)
    below = _node(shape, state.schmorl_below_mm, state.schmorl_below_at, state.schmorl_width, -1.0)
    return shape._replace(above=above, below=below)


def _with_fragment(shape: DiscShape, state: DiscState, mid_height: float) -> DiscShape:
    """Extruded material hangs on the disc; a sequestered fragment lies at least 3 mm away from it."""
    size, width = state.herniation_mm, state.herniation_width_mm
    if not size or not (state.extruded or state.sequestered):
        return shape
    out = 0.55 * size + 0.5 * state.bulge_mm
    if not state.sequestered:
        return shape._replace(
            fragment=(0.8 * width, 0.62 * size, 0.55 * mid_height + 1.8),
            fragment_out=out,
            fragment_up=state.migration_mm,
        )
    half = 4.0 + 0.2 * size
    away = max(abs(state.migration_mm), 0.5 * mid_height + 1.5 + 3.2 + half)
    up = float(np.copysign(away, state.migration_mm))
    return shape._replace(
        herniation=0.45 * size,
        fragment=(0.75 * width, 0.5 * size, half),
        fragment_out=0.5 * size,
        fragment_up=up,
        fused=0.1,
    )


def _node(shape: DiscShape, depth: float, at: tuple[float, float], width: float, sign: float) -> Node:
    """A Schmorl node: an ellipsoid that reaches ``depth`` beyond the end-plate."""
    if not depth:
        return Node((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    u, v = at[0] * shape.half_width, at[1] * shape.half_depth
    q = float(kidney(np.array(at[0]), np.array(at[1])))
    plate = 0.5 * (shape.height - v * shape.wedge_tan) + shape.concavity * max(1.0 - q * q, 0.0)
    radius = 0.5 * depth + 2.0
    return Node((u, v, sign * (plate + depth - radius)), (1.3 * radius, radius * width, radius))


def _recess(person: Person, index: int, half_depth: float) -> Recess:
    """The walls of the canal behind a disc: as close to the sac as health allows, so that a healthy sac is free."""
    half_ap = 0.5 * person.canal_scale * _table(person, SAC.depth_mm, index)
    half_width = person.canal_scale * _table(person, SAC.area_mm2, index) / (1.66 * _table(person, SAC.depth_mm, index))
    triangle = _table(person, SAC.triangle, index)
    center_v = half_depth + SAC.front_gap_mm + _table(person, SAC.front_fat_mm, index) + half_ap
    roof = np.deg2rad(_table(person, SAC.roof_deg, index))
    normal = (float(np.cos(roof)), float(np.sin(roof)))
    angle = np.linspace(0.0, np.pi, 48)
    v = np.cos(angle) / superellipse(np.sin(angle), np.cos(angle), 1.0, 1.0)
    u = np.sin(angle) / superellipse(np.sin(angle), np.cos(angle), 1.0, 1.0) * (1.0 - triangle * v)
    reach = float(np.max(u * half_width * normal[0] + v * half_ap * normal[1]))
    offset = reach + SAC.flavum_mm + _table(person, SAC.flavum_fat_mm, index)
    edge_u = person.scale * (0.4 + 0.6 * person.canal_scale) * _table(person, SAC.facet_edge_mm, index)
    edge_v = half_depth + _table(person, SAC.facet_front_mm, index)
    return Recess(half_width, half_ap, triangle, center_v, normal, offset, (edge_u, edge_v))


def _body_size(person: Person, index: int, below: DiscState) -> tuple[float, float]:
    """Height in the middle and wedge of a body."""
    # bodies take over part of the lordosis that a collapsed disc has lost
    lost = max(_table(person, DISCS.wedge_deg, index), 0.0) * person.lordosis_scale * max(1.0 - below.height_ratio, 0.0)
    height = person.scale * person.slenderness * _table(person, BODIES.height_mm, index)
    wedge = np.deg2rad(_table(person, BODIES.wedge_deg, index) + BODIES.lordosis_taken_over * lost)
    broken, loss = person.fracture
    if index == broken:
        # the front gives way, the back wall stays
        wedge -= np.arctan(loss * height / (person.scale * _table(person, BODIES.depth_mm, index)))
        height *= 1.0 - 0.5 * loss
    return height, float(wedge)


def _add_vertebra(
    frame: Frame, person: Person, index: int, states: tuple[DiscState, DiscState]
) -> tuple[Vertebra, Frame]:
    """The vertebra on ``frame`` (its lower end-plate) and the frame of its upper end-plate."""
    height, wedge = _body_size(person, index, states[1])
    middle = frame.tilted(-wedge / 2).moved(w=0.5 * height)
    half_width = 0.5 * person.scale * _table(person, BODIES.width_mm, index)
    half_depth = 0.5 * person.scale * _table(person, BODIES.depth_mm, index)
    recess = _recess(person, index, half_depth)
    above, below = states
    squared = index == 0 and person.transitional == "sacralised_l5"
    shape = BodyShape(
        half_width,
        half_depth,
        height,
        float(np.tan(wedge)),
        (1.0, 1.0),
        BODIES.wall_hollow_mm if index else BODIES.wall_hollow_lowest_mm,
        BODIES.waist_squared if squared else BODIES.waist,
        (above.osteophyte_mm, below.osteophyte_mm),
        (*above.foraminal_osteophyte_mm_lr, *below.foraminal_osteophyte_mm_lr),
    )
    pedicle_height = person.scale * _table(person, PEDICLES.height_mm, index)
    roomy = person.scale * (0.55 + 0.45 * person.canal_scale)
    vertebra = Vertebra(
        name=VERTEBRAE[index],
        frame=middle,
        half_width=half_width,
        half_depth=half_depth,
        height=height,
        wedge_rad=wedge,
        shape=shape,
        above=above,
        below=below,
        canal_ap=recess.apex_v - half_depth - 3.5,
        pedicle=(
            roomy * _table(person, PEDICLES.offset_mm, index),
            person.scale * _table(person, PEDICLES.width_mm, index),
            pedicle_height,
            0.5 * (height - half_depth * float(np.tan(wedge))) - 0.8 - 0.5 * pedicle_height,
        ),
        spinous_tilt_rad=float(np.deg2rad(_table(person, PROCESSES.spinous_tilt_deg, index))),
        spinous_length=person.scale * _table(person, PROCESSES.spinous_length_mm, index),
        spinous_height=person.scale * _table(person, PROCESSES.spinous_height_mm, index),
        process_span=person.scale * _table(person, PROCESSES.span_mm, index),
    )
    return vertebra, middle.moved(w=0.5 * height).tilted(-wedge / 2)


def _with_concavity(body: Vertebra, upper: float, lower: float) -> Vertebra:
    return replace(body, shape=body.shape._replace(concavity=(upper, lower)))


def _build_sacrum(base: Frame, person: Person, lowest: Disc) -> tuple[SacralSegment, ...]:
    segments = []
    frame = base
    lumbarised = person.transitional == "lumbarised_s1"
    for index, usual_mm in enumerate(SACRUM.height_mm):
        height = person.scale * usual_mm
        rest = max(person.s1_s2_disc_mm, 6.5) if lumbarised else person.s1_s2_disc_mm
        gap = rest if index == 0 else 0.5 * person.s1_s2_disc_mm
        bend = -np.deg2rad(SACRUM.bend_deg[index])
        middle = frame.tilted(bend / 2).moved(w=-0.5 * height)
        state = lowest.state if index == 0 else DiscState()
        half_width = person.scale * (24.0 - 4.0 * index)
        top = 0.5 * person.scale * SACRUM.depth_mm[index]
        bottom = 0.5 * person.scale * SACRUM.depth_mm[index + 1] * (1.35 if lumbarised and index == 0 else 1.0)
        concavity = lowest.concavity if index == 0 else 0.2
        segments.append(
            SacralSegment(
                frame=middle,
                half_width=half_width,
                half_depth_top=top,
                half_depth_bottom=bottom,
                height=float(height),
                concavity=concavity,
                rest_mm=gap,
                roof_mm=person.scale * (19.5 - 2.6 * index),
                shape=SacralShape(
                    half_width,
                    top,
                    bottom,
                    float(height),
                    concavity,
                    state.osteophyte_mm,
                    state.foraminal_osteophyte_mm_lr,
                ),
                above=state,
            )
        )
        # the back walls of the segments stay in line, their fronts step back
        step = 0.5 * person.scale * (SACRUM.depth_mm[index] - SACRUM.depth_mm[index + 1]) * 0.35
        frame = middle.tilted(bend / 2).moved(w=-0.5 * height - gap, v=step)
    return tuple(segments)


def mirrored(spine: Spine) -> Spine:
    """The spine of the mirrored person, built anew: left and right change places, nothing else."""
    states = tuple(mirrored_state(disc.state) for disc in spine.discs)
    return build_spine(mirrored_person(spine.person), states)
