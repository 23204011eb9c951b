"""Measurements follow the shapes: physics in one direction, sides kept apart, a mirror that swaps them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spinephantom.patient.disease import sample_course, sample_discs
from spinephantom.patient.pathology import LUMBAR_DISCS, N_DISCS, DiscState, Mode
from spinephantom.patient.person import Person, sample_person
from spinephantom.shapes.planes import Grid
from spinephantom.spine.anatomy import build_spine, mirrored
from spinephantom.spine.sac import conus_z
from spinephantom.truth.label_image import CANAL, label_planes
from spinephantom.truth.morphometry import SAC_HEIGHTS_MM, Measurements, measure

LEFT, RIGHT = 0, 1


def person(**changes: object) -> Person:
    """Somebody of mean size with a straight spine."""
    straight = (0.0,) * N_DISCS
    mean = sample_person(np.random.default_rng(3))
    plain = {"scale": 1.0, "canal_scale": 1.0, "cobb_deg": straight, "rotation_deg": straight, "transitional": "none"}
    plain |= {"lipomatosis_mm": 0.0, "fracture": (-1, 0.0), "slenderness": 1.0, "lordosis_scale": 1.2}
    return replace(mean, **(plain | changes))  # type: ignore[arg-type]


def measured(index: int = 1, who: Person | None = None, **state: object) -> Measurements:
    states = [DiscState() for _ in range(N_DISCS)]
    states[index] = DiscState(**state)  # type: ignore[arg-type]
    return measure(build_spine(who or person(), tuple(states)), index)


@pytest.mark.parametrize(
    ("index", "norm", "spread"), [(0, 140, 32), (1, 155, 60), (2, 157, 50), (3, 171, 55), (4, 210, 50)]
)
def test_a_healthy_sac_has_the_area_of_patients(index: int, norm: float, spread: float) -> None:
    """Medians and spread of the canal in the masks of SPIDER's 30 SPACE volumes; of L5/S1 the published sac."""
    healthy = measured(index)
    assert abs(healthy.canal_area_mm2 - norm) < 0.5 * spread
    assert healthy.canal_ratio > 0.88


@pytest.mark.parametrize("index", range(LUMBAR_DISCS))
def test_health_leaves_recesses_and_foramina_open(index: int) -> None:
    healthy = measured(index)
    assert min(healthy.recess_depth_mm_lr) >= 5.0
    assert max(healthy.root_overlap_lr) == max(healthy.exiting_root_overlap_lr) == 0.0
    assert np.min(healthy.fat_clearance_mm_lr) > 0.5
    assert 12.0 < min(healthy.foramen_height_mm_lr) < 24.0
    assert min(healthy.foramen_width_mm_lr) > 4.0


@pytest.mark.parametrize(
    "less_to_more",
    [
        [{"flavum_mm_lr": (t, t)} for t in (3.0, 5.0, 7.0, 9.0)],
        [{"bulge_mm": b, "flavum_mm_lr": (5.0, 5.0)} for b in (0.0, 3.0, 4.5, 6.0)],
        [{"herniation_mm": a} for a in (4.0, 6.0, 8.0)],
        [{"facet_scale_lr": (s, s)} for s in (1.0, 1.3, 1.6)],
        [{"slip_mm": s, "height_ratio": 0.7} for s in (0.0, 5.0, 9.0)],
    ],
)
def test_what_grows_into_the_canal_leaves_less_of_the_sac(less_to_more: list[dict]) -> None:
    ratios = [measured(**state).canal_ratio for state in less_to_more]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[-1] < ratios[0] - 0.04


def test_epidural_fat_squeezes_the_sac_and_packs_the_roots() -> None:
    lean, fat = measured(), measured(who=person(lipomatosis_mm=5.0))
    assert fat.canal_area_mm2 < 0.6 * lean.canal_area_mm2
    assert fat.packing > 1.6 * lean.packing


def test_fat_between_thickened_ligaments_presses_on_the_sac() -> None:
    """As the triangle of fat behind the narrowed sacs of SPIDER's SPACE volumes; a healthy sac is as it was."""
    little, much = (person(sac_posterior_fat_mm=mm) for mm in (2.0, 6.0))
    thick = {"flavum_mm_lr": (6.5, 6.5)}
    assert measured(who=much, **thick).canal_area_mm2 < 0.7 * measured(who=little, **thick).canal_area_mm2
    assert measured(who=much).canal_area_mm2 == pytest.approx(measured(who=little).canal_area_mm2, rel=0.02)


def test_a_collapsed_disc_lowers_the_foramen() -> None:
    heights = [measured(height_ratio=ratio).foramen_height_mm_lr[LEFT] for ratio in (1.0, 0.7, 0.4)]
    assert heights == sorted(heights, reverse=True) and heights[-1] < heights[0] - 3.0


def test_growth_of_the_superior_process_narrows_its_own_foramen_only() -> None:
    before, after = measured(), measured(superior_process_mm_lr=(4.0, 0.0))
    assert after.foramen_area_mm2_lr[LEFT] < before.foramen_area_mm2_lr[LEFT] - 10.0
    assert after.foramen_area_mm2_lr[RIGHT] == pytest.approx(before.foramen_area_mm2_lr[RIGHT])
    assert min(after.fat_clearance_mm_lr[LEFT]) < min(before.fat_clearance_mm_lr[LEFT])


def test_a_herniation_on_the_left_closes_the_left_recess_only() -> None:
    before, after = measured(), measured(herniation_mm=7.0, herniation_u_mm=8.0, extruded=True)
    assert after.recess_depth_mm_lr[LEFT] < before.recess_depth_mm_lr[LEFT] - 2.0
    assert after.recess_depth_mm_lr[RIGHT] == before.recess_depth_mm_lr[RIGHT]
    assert after.root_displacement_mm_lr[LEFT] > 1.5 and after.root_displacement_mm_lr[RIGHT] == 0.0
    assert after.herniation_u_mm > 4.0


def test_a_collapsed_bulging_spurred_foramen_flattens_its_root() -> None:
    both: dict[str, Any] = {
        "bulge_mm": 4.0,
        "height_ratio": 0.45,
        "facet_scale_lr": (1.5, 1.0),
        "superior_process_mm_lr": (5.0, 0.0),
    }
    tight = measured(foraminal_osteophyte_mm_lr=(3.0, 0.0), **both)
    assert tight.exiting_root_overlap_lr[LEFT] > 0.1 > tight.exiting_root_overlap_lr[RIGHT]


def test_laminectomy_takes_the_ligament_of_its_side() -> None:
    right = measured(laminectomy=-0.8, flavum_mm_lr=(6.0, 6.0))
    assert right.flavum_mm_lr[RIGHT] == 0.0 < right.flavum_mm_lr[LEFT]
    assert right.canal_ratio > measured(flavum_mm_lr=(6.0, 6.0)).canal_ratio


def test_a_pars_defect_spares_the_canal_that_a_degenerative_slip_narrows() -> None:
    slip: dict[str, Any] = {"slip_mm": 8.0, "height_ratio": 0.7}
    assert measured(isthmic=True, **slip).canal_ratio > measured(**slip).canal_ratio + 0.1


def test_the_mirrored_spine_has_left_and_right_exchanged() -> None:
    rng = np.random.default_rng(8)
    who = sample_person(rng)
    spine = build_spine(who, sample_discs(rng, Mode.BALANCED, who, sample_course(rng, who.age)))
    other = mirrored(spine)
    for index in range(LUMBAR_DISCS):
        here, there = measure(spine, index), measure(other, index)
        assert here.canal_area_mm2 == pytest.approx(there.canal_area_mm2, abs=0.5)
        for name in ("recess_depth_mm_lr", "root_overlap_lr", "foramen_area_mm2_lr", "exiting_root_overlap_lr"):
            assert getattr(here, name) == pytest.approx(getattr(there, name)[::-1], abs=0.35)
        assert np.allclose(here.exiting_root_mm_lr[LEFT], np.multiply(there.exiting_root_mm_lr[RIGHT], (-1, 1, 1)))


def test_cord_and_sac_end_where_they_should() -> None:
    spine = build_spine(person(conus_z_mm=3.0, sac_end=1.6), tuple(DiscState() for _ in range(N_DISCS)))
    assert spine.vertebrae[3].frame.center_mm[2] < conus_z(spine) < spine.vertebrae[4].frame.center_mm[2] + 14.0
    closed = spine.canal.z_mm[spine.canal.half_ap_mm < 0.2]
    assert spine.sacrum[2].frame.center_mm[2] < closed.max() < spine.sacrum[0].frame.center_mm[2]


def test_the_open_sac_recounted_in_the_segmentation_has_the_measured_area() -> None:
    rng = np.random.default_rng(6)
    who = sample_person(rng)
    spine = build_spine(who, sample_discs(rng, Mode.BALANCED, who, sample_course(rng, who.age)))
    pixel = 0.35
    for index in range(LUMBAR_DISCS):
        disc = spine.discs[index]
        axes = disc.frame.axes
        corner = disc.frame.world((-14.0, disc.recess.center_v - 14.0, 0.0))
        heights = np.array(SAC_HEIGHTS_MM)
        grid = Grid(corner, axes[:, 2], pixel * axes[:, 1], pixel * axes[:, 0], heights, 80, 80)
        areas = (label_planes(grid, spine) == CANAL).sum(axis=(1, 2)) * pixel**2
        assert areas.min() == pytest.approx(measure(spine, index).canal_area_mm2, rel=0.03, abs=1.0)


def test_every_part_lies_inside_its_ball() -> None:
    """Windows and culling rely on it: what reaches beyond would be cut off in the picture."""
    rng = np.random.default_rng(4)
    who = sample_person(rng)
    spine = build_spine(who, sample_discs(rng, Mode.BALANCED, who, sample_course(rng, who.age)))
    directions = rng.normal(size=(2000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    whole = [item.part for group in (spine.discs, spine.vertebrae, spine.sacrum) for item in group]
    arches = [part for index in range(len(spine.vertebrae)) for part in spine.posterior(index)]
    soft = [part for pair in spine.joints for joint in pair for part in (*joint.soft(), joint.space)]
    for part in (*whole, *arches, *spine.sacral_posterior(), *soft):
        for beyond in (1.01, 1.2):
            assert (part.at(part.center_mm + beyond * part.radius_mm * directions) > 0.0).all(), part.sdf
