"""Disease and persons: mirrored right, and nothing left out of the mirror."""

from dataclasses import fields, replace

import numpy as np

from spinenet.phantom.pathology import DiscState, mirrored_state
from spinenet.phantom.person import mirrored_person, sample_person

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
