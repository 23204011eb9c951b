"""Grades follow from geometry: recomputed from exported masks, and as frequent as the mode says."""

from dataclasses import replace

import numpy as np
import pytest

from spinenet.labels import LEVELS
from spinephantom import PhantomStudy, make_study
from spinephantom.patient.disease import sample_course, sample_discs
from spinephantom.patient.pathology import LUMBAR_DISCS, DiscState, Mode
from spinephantom.patient.person import sample_person
from spinephantom.spine.anatomy import build_spine
from spinephantom.truth import grades as truth
from spinephantom.truth.cuts import CANAL, DISC
from spinephantom.truth.morphometry import Measurements, measure


@pytest.fixture(scope="module")
def studies() -> list[PhantomStudy]:
    return [make_study(seed, axial=False, size=512, slices=1, sub_slices=1, clean=True) for seed in range(100, 104)]


def in_disc_frame(study: PhantomStudy, index: int, label: int) -> np.ndarray:
    """Pixels of a label as (v, w) in the frame of a disc, mm."""
    item = study.series[0]
    voxels = np.argwhere(item.mask_SRC == label)
    points = voxels @ item.series.affine_vox2mm[:3, :3].T + item.series.affine_vox2mm[:3, 3]
    frame = study.spine.discs[index].frame
    return ((points - frame.center_mm) @ frame.axes)[:, 1:]


def mask_height(study: PhantomStudy, index: int) -> float:
    """Mean thickness of the middle half of a disc, from its mask."""
    disc = study.spine.discs[index]
    vw = in_disc_frame(study, index, 201 + index)
    spacing = study.series[0].series.affine_vox2mm[1, 2]
    middle = np.abs(vw[:, 0]) < 0.25 * disc.half_depth
    return float(middle.sum() * spacing**2 / (0.5 * disc.half_depth))


def body_middle(study: PhantomStudy, index: int, label: int) -> float:
    """Middle between front and back of a body near its end-plate at a disc, along the disc, mm."""
    disc = study.spine.discs[index]
    vw = in_disc_frame(study, index, label)
    v = np.sort(vw[np.abs(np.abs(vw[:, 1]) - 0.5 * disc.mid_height - 5.0) < 2.5, 0])
    # the canal parts the body from its lamina, which has the same label
    behind = np.flatnonzero(np.diff(v) > 3.0)
    v = v[: behind[0] + 1] if len(behind) else v
    return float(0.5 * (v.max() + v.min()))


def test_narrowing_recomputed_from_masks_agrees_outside_the_margin(studies: list[PhantomStudy]) -> None:
    checked = 0
    for study in studies:
        for level, record in study.levels.items():
            index = LEVELS.index(level)
            state = study.spine.discs[index].state
            clear = record["margins"]["narrowing"] > 0.08 and not (state.schmorl_above_mm or state.schmorl_below_mm)
            if clear and abs(study.spine.discs[index].frame.center_mm[0]) < 4.0:
                ratio = mask_height(study, index) / study.spine.discs[index].norm_height
                assert int(ratio < DISC.narrowed) == record["grades"]["narrowing"]
                checked += 1
    assert checked >= 8


def test_slip_recomputed_from_masks_agrees_outside_the_margin(studies: list[PhantomStudy]) -> None:
    checked = 0
    for study in studies:
        for level, record in study.levels.items():
            index = LEVELS.index(level)
            off_plane = abs(study.spine.discs[index].frame.center_mm[0]) > 3.0
            if index == 0 or off_plane or record["margins"]["spondylolisthesis"] < 0.6:
                continue
            slip = body_middle(study, index, index) - body_middle(study, index, index + 1)
            assert abs(slip - record["measurements"]["slip_mm"]) < 1.8
            assert int(abs(slip) > DISC.slip_mm) == record["grades"]["spondylolisthesis"]
            checked += 1
    assert checked >= 8


def test_a_healthy_disc_has_no_finding() -> None:
    person = sample_person(np.random.default_rng(3))
    spine = build_spine(person, tuple(DiscState() for _ in LEVELS))
    for index in range(6):
        grades = truth.grade(measure(spine, index))
        assert grades.pop("pfirrmann") == 1
        assert not any(grades.values())


@pytest.mark.parametrize(
    ("change", "target"),
    [
        ({"height_ratio": 0.6}, "narrowing"),
        ({"bulge_mm": 3.0}, "bulging"),
        ({"herniation_mm": 6.0}, "herniation"),
        ({"slip_mm": 6.0}, "spondylolisthesis"),
        ({"slip_mm": -5.0}, "spondylolisthesis"),
        ({"schmorl_above_mm": 4.0}, "endplate_upper"),
        ({"schmorl_below_mm": 4.0}, "endplate_lower"),
        ({"flavum_mm_lr": (9.0, 9.0), "bulge_mm": 5.0}, "canal_stenosis"),
    ],
)
def test_one_changed_parameter_changes_its_own_grade_only_at_its_level(change: dict, target: str) -> None:
    person = sample_person(np.random.default_rng(3))
    states = [DiscState() for _ in LEVELS]
    states[1] = DiscState(**change)
    spine = build_spine(person, tuple(states))
    assert truth.grade(measure(spine, 1))[target] >= 1
    assert truth.grade(measure(spine, 3))[target] == 0


def test_collapse_alone_makes_grade_five() -> None:
    states = tuple(DiscState(height_ratio=0.4, nucleus_t2_ms=80.0) for _ in LEVELS)
    spine = build_spine(sample_person(np.random.default_rng(3)), states)
    assert truth.grade(measure(spine, 2))["pfirrmann"] == 5


def measured(**changes: object) -> Measurements:
    """A healthy disc L4/L5 with some of its measurements changed."""
    person = replace(sample_person(np.random.default_rng(3)), canal_scale=1.0, lipomatosis_mm=0.0)
    return replace(measure(build_spine(person, tuple(DiscState() for _ in LEVELS)), 1), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "target", "grade"),
    [
        ({"canal_area_mm2": 74.0}, "canal_stenosis", 1),
        ({"canal_area_mm2": 49.0}, "canal_stenosis", 2),
        ({"packing": 0.7}, "canal_stenosis", 0),
        ({"packing": 0.7, "canal_area_mm2": 160.0, "canal_free_area_mm2": 200.0}, "canal_stenosis", 1),
        ({"packing": 0.45, "canal_area_mm2": 74.0}, "canal_stenosis", 1),
        ({"packing": 0.7, "canal_area_mm2": 74.0}, "canal_stenosis", 2),
        ({"recess_depth_mm_lr": (2.0, 9.0)}, "subarticular_stenosis_left", 1),
        ({"recess_depth_mm_lr": (2.0, 9.0)}, "subarticular_stenosis_right", 0),
        ({"root_displacement_mm_lr": (0.0, 2.0)}, "subarticular_stenosis_right", 1),
        ({"root_overlap_lr": (0.0, 0.4)}, "subarticular_stenosis_right", 2),
        ({"fat_clearance_mm_lr": ((0.0, 0.0, 3.0, 3.0), (3.0,) * 4)}, "foraminal_stenosis_left", 0),
        ({"fat_clearance_mm_lr": ((0.0, 0.0, 0.0, 3.0), (3.0,) * 4)}, "foraminal_stenosis_left", 1),
        ({"exiting_root_overlap_lr": (0.0, 0.6)}, "foraminal_stenosis_right", 2),
    ],
)
def test_stenosis_follows_the_rules_of_the_reference(changes: dict, target: str, grade: int) -> None:
    assert truth.grade(measured())[target] == 0
    assert truth.grade(measured(**changes))[target] == grade


@pytest.mark.parametrize("packing", np.arange(0.1, 0.8, 0.05))
@pytest.mark.parametrize("area_mm2", [45.0, 60.0, 74.0, 100.0])
def test_a_severe_canal_of_fair_size_is_one_without_fluid_between_the_roots(packing: float, area_mm2: float) -> None:
    one = measured(packing=packing, canal_area_mm2=area_mm2, canal_free_area_mm2=140.0)
    severe = truth.grade(one)["canal_stenosis"] == 2
    small = area_mm2 < min(CANAL.area_mm2) or one.canal_ratio < min(CANAL.ratio)
    assert severe == (small or (truth.extended(one)["schizas"] in "CD" and area_mm2 < 0.667 * 140.0))


def test_margins_vanish_at_a_cut_and_severity_steps_over_it() -> None:
    before, after = (
        truth.signed_margins(measured(canal_area_mm2=area, canal_free_area_mm2=100.0))["canal_stenosis"]
        for area in (75.1, 74.9)
    )
    assert 0.0 < before[0] < 0.01 and -0.01 < after[0] < 0.0
    assert truth.severity(before) < 1.0 < truth.severity(after) < 1.1


def test_named_systems() -> None:
    assert truth.extended(measured())["schizas"] == "A1"
    assert truth.extended(measured(packing=0.5))["schizas"] == "B"
    assert truth.extended(measured(packing=0.7, canal_area_mm2=65.0))["schizas"] == "C"
    assert truth.extended(measured(packing=0.7, canal_area_mm2=45.0))["schizas"] == "D"
    assert truth.extended(measured(slip_mm=-12.0))["meyerding"] == 2
    herniated = {"local_overhang_mm": 5.0, "local_share": 0.1, "msu_share": 0.8}
    assert truth.extended(measured(**herniated, herniation_u_mm=1.0))["msu"] == "2A"
    assert truth.extended(measured(**herniated, herniation_u_mm=1.0))["zone"] == "central"
    assert truth.extended(measured(**herniated, herniation_u_mm=-24.0, facet_edge_u_mm=12.0))["msu"] == "2C"
    lee = truth.extended(measured(fat_clearance_mm_lr=((0.0, 0.0, 3.0, 3.0), (0.0, 3.0, 3.0, 3.0))))
    assert (lee["lee_foraminal_left"], lee["lee_foraminal_right"]) == (1, 0)


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ({}, ""),
        ({"herniation_mm": 4.0}, "protrusion"),
        ({"herniation_mm": 6.0, "herniation_width_mm": 7.0, "bulge_mm": 1.0}, "protrusion"),
        ({"herniation_mm": 6.0, "extruded": True}, "extrusion"),
        ({"herniation_mm": 5.0, "extruded": True, "migration_mm": -9.0}, "extrusion"),
        ({"herniation_mm": 6.0, "extruded": True, "sequestered": True, "migration_mm": 8.0}, "sequestration"),
    ],
)
def test_the_kind_of_a_herniation_follows_from_its_shape(state: dict, kind: str) -> None:
    person = sample_person(np.random.default_rng(3))
    states = [DiscState() for _ in range(10)]
    states[1] = DiscState(herniation_u_mm=4.0, **state)
    assert measure(build_spine(person, tuple(states)), 1).herniation_kind == kind


def test_three_grades_follow_from_four() -> None:
    rng = np.random.default_rng(5)
    person = sample_person(rng)
    spine = build_spine(person, sample_discs(rng, Mode.BALANCED, person, sample_course(rng, person.age)))
    seen = set()
    for level in range(LUMBAR_DISCS):
        one = measure(spine, level)
        for name, four in truth.four_grades(one).items():
            assert truth.THREE_OF_FOUR[four] == truth.grade(one)[name]
            assert truth.extended(one)["severity"][name] == truth.SEVERITIES[four]
            seen.add(four)
    assert len(seen) >= 3
