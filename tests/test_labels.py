"""The label space: published scales, levels from the sacrum up, and a mirror that swaps sides and nothing else."""

from dataclasses import replace

import pytest

from spinenet.labels import (
    LEVELS,
    MAX_GRADES,
    MIRROR,
    RADIOLOGISTS_LOOK_FOR,
    TARGET,
    TARGET_INDEX,
    TARGETS,
    UNKNOWN,
    Scale,
    Side,
    columns_of,
)


def test_levels_are_counted_from_the_sacrum():
    assert LEVELS[:6] == ("L5/S1", "L4/L5", "L3/L4", "L2/L3", "L1/L2", "T12/L1")
    lower = [level.split("/")[1] for level in LEVELS]
    upper = [level.split("/")[0] for level in LEVELS]
    assert lower[1:] == upper[:-1]  # every disc lies on the vertebra above the disc below


def test_the_published_scales():
    assert TARGET["pfirrmann"].grades == (1, 2, 3, 4, 5) and TARGET["pfirrmann"].scale is Scale.ORDINAL
    assert TARGET["modic"].grades == (0, 1, 2, 3) and TARGET["modic"].scale is Scale.NOMINAL
    stenoses = [TARGET[name] for name in columns_of("rsna2024").values()]
    assert len(stenoses) == 5 and {target.grades for target in stenoses} == {(0, 1, 2)}
    assert {target.scale for target in stenoses} == {Scale.ORDINAL}


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_every_grade_has_a_word_and_none_is_unknown(target):
    assert len(target.words) == len(set(target.words)) == len(target.grades) <= MAX_GRADES
    assert list(target.grades) == sorted(set(target.grades)) and UNKNOWN not in target.grades
    assert [target.index_of(grade) for grade in target.grades] == list(range(len(target.grades)))
    with pytest.raises(ValueError, match=target.name):
        target.index_of(target.grades[-1] + 1)


def test_a_left_right_flip_swaps_left_and_right_targets_and_no_others():
    swapped = {target.name: TARGETS[MIRROR[index]].name for index, target in enumerate(TARGETS)}
    assert {name: twin for name, twin in swapped.items() if name != twin} == {
        "foraminal_stenosis_left": "foraminal_stenosis_right",
        "foraminal_stenosis_right": "foraminal_stenosis_left",
        "subarticular_stenosis_left": "subarticular_stenosis_right",
        "subarticular_stenosis_right": "subarticular_stenosis_left",
    }


def test_both_sides_of_a_condition_are_alike_but_for_the_side():
    for index, target in enumerate(TARGETS):
        mirrored = TARGETS[MIRROR[index]]
        assert replace(mirrored, side=target.side, labelled_by=target.labelled_by) == target


def test_titles_are_said_alone_and_within_a_sentence():
    assert TARGET["pfirrmann"].title == TARGET["pfirrmann"].running == "Pfirrmann degeneration"
    assert (TARGET["bulging"].title, TARGET["bulging"].running) == ("Disc bulging", "disc bulging")
    assert TARGET["foraminal_stenosis_right"].title == "Right foraminal stenosis"


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_target_can_be_shown_and_is_a_finding_somewhere_on_its_scale(target):
    assert target.needs and all(need.views for need in target.needs)
    assert set(target.levels) <= set(LEVELS)
    assert 0 < target.finding_from < len(target.steps)
    assert target.severe_from is None or target.finding_from < target.severe_from < len(target.steps)
    assert target.looks_for in ("", *RADIOLOGISTS_LOOK_FOR)
    assert len({step.code.value for step in target.steps}) == len(target.steps)
    assert target.side in (None, Side.LEFT, Side.RIGHT)


def test_mirroring_twice_changes_nothing():
    assert [MIRROR[index] for index in MIRROR] == list(range(len(TARGETS)))


def test_targets_are_found_by_name_and_by_place():
    assert all(TARGETS[TARGET_INDEX[name]] is target for name, target in TARGET.items())
    assert len(TARGET) == len(TARGETS)


def test_spider_labels_discs_and_rsna_labels_stenoses():
    assert len(columns_of("spider")) == 8 and len(columns_of("rsna2024")) == 5
    assert not set(columns_of("spider").values()) & set(columns_of("rsna2024").values())
    assert all(target.labelled_by for target in TARGETS)
