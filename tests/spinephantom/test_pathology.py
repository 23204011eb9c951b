"""Disease and persons: mirrored right, and nothing left out of the mirror."""

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest

from spinenet.errors import ConfigError
from spinephantom.patient.disease import sample_course, sample_discs
from spinephantom.patient.pathology import N_DISCS, DiscState, Mode, mirrored_state, modes_named
from spinephantom.patient.person import Person, mirrored_person, sample_person
from spinephantom.spine.anatomy import build_spine
from spinephantom.spine.cauda import make_strands, open_room, strand_points

LOPSIDED = DiscState(
    bulge_skew=0.2,
    bulge_second=(1.0, 0.5, 0.0),
    herniation_u_mm=4.0,
    flavum_mm_lr=(3.0, 5.0),
    facet_scale_lr=(1.0, 1.4),
    facet_angle_deg_lr=(3.0, -5.0),
    facet_fluid_mm_lr=(0.0, 2.0),
    facet_cyst_mm_lr=(6.0, 0.0),
    superior_process_mm_lr=(0.0, 3.0),
    foraminal_osteophyte_mm_lr=(2.0, 0.0),
    schmorl_above_at=(0.1, 0.2),
    schmorl_below_at=(-0.2, 0.3),
    laminectomy=0.5,
)


def test_every_lopsided_field_changes_sides_in_the_mirror() -> None:
    mirrored = mirrored_state(LOPSIDED)
    for field in fields(DiscState):
        default, given = field.default, getattr(LOPSIDED, field.name)
        assert (getattr(mirrored, field.name) != given) == (given != default), field.name
    assert mirrored.flavum_mm_lr == (5.0, 3.0)
    assert mirrored.bulge_second == (0.0, 0.5, 1.0)
    assert mirrored.schmorl_above_at == (-0.1, 0.2)


def test_every_pair_is_listed_as_lopsided() -> None:
    pairs = {field.name for field in fields(DiscState) if field.name.endswith("_lr")}
    assert pairs <= {field.name for field in fields(DiscState) if getattr(LOPSIDED, field.name) != field.default}


def test_two_mirrors_undo_each_other() -> None:
    assert mirrored_state(mirrored_state(LOPSIDED)) == LOPSIDED
    person = replace(sample_person(np.random.default_rng(4)), lipomatosis_mm=2.0)
    assert mirrored_person(mirrored_person(person)) == person
    assert mirrored_person(person) != person


@pytest.fixture(scope="module")
def samples() -> dict[Mode, list[tuple[Person, tuple[DiscState, ...]]]]:
    made: dict[Mode, list[tuple[Person, tuple[DiscState, ...]]]] = {}
    for mode in Mode:
        for seed in range(220):
            rng = np.random.default_rng(seed)
            person = sample_person(rng)
            made.setdefault(mode, []).append((person, sample_discs(rng, mode, person, sample_course(rng, person.age))))
    return made


def test_modes_differ_in_how_ill_they_are_not_in_whom(samples: dict) -> None:
    assert all(a[0] == b[0] == c[0] for a, b, c in zip(*samples.values(), strict=True))
    black = {mode: np.mean([discs[1].nucleus_t2_ms < 42.0 for _, discs in items]) for mode, items in samples.items()}
    assert 0.1 < black[Mode.BALANCED] < 0.3 > black[Mode.SCREENING]
    thick = {mode: np.mean([discs[1].flavum_mm_lr for _, discs in items]) for mode, items in samples.items()}
    assert thick[Mode.BALANCED] > thick[Mode.RSNA] > thick[Mode.SCREENING]


@pytest.mark.parametrize(
    ("name", "shows"),
    [
        ("bulge in a wide canal", lambda p, d: d.bulge_mm > 3.0 and p.canal_scale > 1.1),
        (
            "narrow canal, sound disc",
            lambda p, d: p.canal_scale < 0.83 and d.nucleus_t2_ms > 105.0 and d.bulge_mm < 1.5,
        ),
        ("black disc in a wide canal", lambda p, d: d.nucleus_t2_ms < 42.0 and p.canal_scale > 1.1),
        ("bright disc with extrusion", lambda p, d: d.extruded and d.nucleus_t2_ms > 105.0),
        ("thick flavum in a wide canal", lambda p, d: min(d.flavum_mm_lr) > 5.0 and p.canal_scale > 1.1),
        ("collapsed disc, no spurs", lambda p, d: d.height_ratio < 0.5 and max(d.superior_process_mm_lr) < 0.5),
        ("left worse", lambda p, d: d.superior_process_mm_lr[0] > d.superior_process_mm_lr[1] + 2.0),
        ("right worse", lambda p, d: d.superior_process_mm_lr[1] > d.superior_process_mm_lr[0] + 2.0),
        ("lipomatosis", lambda p, d: p.lipomatosis_mm > 2.0),
        ("gas", lambda p, d: d.gas > 0.0),
        ("scoliosis", lambda p, d: abs(sum(p.cobb_deg[:5])) > 5.0),
        ("transitional", lambda p, d: p.transitional != "none"),
        ("operated", lambda p, d: d.laminectomy != 0.0),
        ("prone", lambda p, d: p.prone),
        ("isthmic", lambda p, d: d.isthmic),
    ],
)
def test_every_confounder_of_the_reference_occurs(samples: dict, name: str, shows: Callable) -> None:
    found = [shows(person, disc) for person, discs in samples[Mode.RSNA] for disc in discs[:2]]
    assert 1 <= sum(found) < 0.3 * len(found), name


def test_sides_are_alike_but_not_the_same_and_neither_is_the_worse(samples: dict) -> None:
    lr = np.array([disc.flavum_mm_lr for _, discs in samples[Mode.RSNA] for disc in discs[:5]])
    assert 0.4 < np.corrcoef(lr.T)[0, 1] < 0.9
    assert abs(np.mean(lr[:, 0] - lr[:, 1])) < 0.1


def test_findings_of_the_person_are_as_frequent_as_published(samples: dict) -> None:
    people = [person for person, _ in samples[Mode.RSNA]]
    assert 0.05 < np.mean([person.transitional != "none" for person in people]) < 0.12
    assert 0.06 < np.mean([person.haemangioma[1] > 0.0 for person in people]) < 0.15
    assert 0.02 < np.mean([person.canal_scale < 0.83 for person in people]) < 0.10


def test_roots_sink_to_the_front_of_who_lies_prone() -> None:
    """Strands of the cauda equina at L3, measured from the middle of the sac, + to the back."""
    person = replace(sample_person(np.random.default_rng(3)), prone=False)
    depths = []
    for prone in (False, True):
        spine = build_spine(replace(person, prone=prone), tuple(DiscState() for _ in range(N_DISCS)))
        room = open_room(spine, ())
        z = spine.vertebrae[2].frame.center_mm[2]
        middle = float(np.interp(z, spine.canal.z_mm, spine.canal.y_mm))
        strands = make_strands(np.random.default_rng(0))
        points = [strand_points(spine, strand, room) for strand in strands if strand.root < 1]
        depths.append(np.mean([np.interp(z, p[:, 2], p[:, 1]) - middle for p in points if len(p)]))
    assert depths[0] > 1.0 and depths[1] < -1.0


@pytest.mark.parametrize(("mode", "share"), [(Mode.RSNA, 0.04), (Mode.BALANCED, 0.30), (Mode.SCREENING, 0.04)])
def test_lipomatosis_is_as_frequent_as_the_mode_says(mode: Mode, share: float) -> None:
    rng = np.random.default_rng(11)
    found = np.mean([sample_person(rng, mode).lipomatosis_mm > 0.0 for _ in range(3000)])
    assert abs(found - share) < 4.0 * np.sqrt(share * (1.0 - share) / 3000)


def test_a_mode_that_is_none_is_one_clear_line() -> None:
    assert modes_named(["rsna"]) == [Mode.RSNA]
    with pytest.raises(ConfigError, match="foo is none of rsna, balanced, screening"):
        modes_named(["foo"])
