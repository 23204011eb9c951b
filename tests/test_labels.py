"""The label space: published scales, levels from the sacrum up, and a mirror that swaps sides and nothing else."""

import pytest

from spinenet.labels import (
    DISC_TARGETS,
    LEVELS,
    MAX_GRADES,
    MIRROR,
    TARGET,
    TARGET_INDEX,
    TARGETS,
    UNKNOWN,
    Scale,
)


def test_levels_are_counted_from_the_sacrum():
    assert LEVELS[:6] == ("L5/S1", "L4/L5", "L3/L4", "L2/L3", "L1/L2", "T12/L1")
    lower = [level.split("/")[1] for level in LEVELS]
    upper = [level.split("/")[0] for level in LEVELS]
    assert lower[1:] == upper[:-1]  # every disc lies on the vertebra above the disc below


def test_the_published_scales():
    assert TARGET["pfirrmann"].grades == (1, 2, 3, 4, 5) and TARGET["pfirrmann"].scale is Scale.ORDINAL
    assert TARGET["modic"].grades == (0, 1, 2, 3) and TARGET["modic"].scale is Scale.NOMINAL
    stenoses = [target for target in TARGETS if "stenosis" in target.name]
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
    for index, target in enumerate(TARGETS):
        mirrored = TARGETS[MIRROR[index]]
        if "left" in target.name or "right" in target.name:
            swapped = {"left": "right", "right": "left"}
            assert mirrored.name == "_".join(swapped.get(word, word) for word in target.name.split("_"))
        else:
            assert mirrored is target
        assert (mirrored.grades, mirrored.scale) == (target.grades, target.scale)


def test_mirroring_twice_changes_nothing():
    assert [MIRROR[index] for index in MIRROR] == list(range(len(TARGETS)))


def test_targets_are_found_by_name_and_by_place():
    assert all(TARGETS[TARGET_INDEX[name]] is target for name, target in TARGET.items())
    assert len(TARGET) == len(TARGETS)


def test_spider_labels_no_stenosis():
    assert len(DISC_TARGETS) == 8
    assert not any("stenosis" in TARGETS[index].name for index in DISC_TARGETS)
