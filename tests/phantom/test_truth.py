"""Grades follow from geometry: recomputed from exported masks, and as frequent as the mode says."""

import numpy as np
import pytest

from spinenet.labels import LEVELS
from spinenet.phantom import PhantomStudy, make_study, truth
from spinenet.phantom.anatomy import build_spine
from spinenet.phantom.disease import sample_discs
from spinenet.phantom.measure import measure
from spinenet.phantom.pathology import DiscState, Mode
from spinenet.phantom.person import sample_person
from spinenet.phantom.spine import Spine


def spine_of(seed: int, mode: Mode) -> Spine:
    rng = np.random.default_rng(seed)
    person = sample_person(rng)
    return build_spine(person, sample_discs(rng, mode, person))


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
    body = vw[vw[:, 0] < disc.half_depth + 9.0]
    v = body[np.abs(np.abs(body[:, 1]) - 0.5 * disc.mid_height - 5.0) < 2.5, 0]
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
                assert int(ratio < truth.NARROWED) == record["grades"]["narrowing"]
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
            assert int(abs(slip) > truth.SLIP_MM) == record["grades"]["spondylolisthesis"]
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


def test_prevalence_of_the_two_modes() -> None:
    """Screening is mostly healthy and worse at lower levels; balanced shows every grade often."""
    counts = {mode: [truth.grade(measure(spine_of(s, mode), s % 5)) for s in range(60)] for mode in Mode}

    def share(mode: Mode, target: str, *values: int) -> float:
        return float(np.mean([grades[target] in values for grades in counts[mode]]))

    assert all(share(Mode.BALANCED, "pfirrmann", grade) > 0.08 for grade in range(1, 6))
    assert share(Mode.SCREENING, "pfirrmann", 5) < 0.12
    assert 0.08 < share(Mode.BALANCED, "herniation", 1) < 0.40
    assert share(Mode.SCREENING, "herniation", 1) < 0.17
    assert 0.25 < share(Mode.SCREENING, "bulging", 1) < 0.75
    assert share(Mode.BALANCED, "canal_stenosis", 1, 2) > 0.15 > share(Mode.SCREENING, "canal_stenosis", 1, 2)
    assert share(Mode.BALANCED, "modic", 1, 2, 3) > 0.25 > share(Mode.SCREENING, "modic", 1, 2, 3)
