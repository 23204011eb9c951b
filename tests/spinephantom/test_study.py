"""A phantom study as a whole: reproducible, mirrored right, its signal following its tissue."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinenet.errors import ConfigError
from spinenet.labels import LEVELS, TARGET_INDEX, UNKNOWN, View
from spinephantom import GENERATOR_VERSION, Mode, PhantomStudy, make_study

KNOWN = Path(__file__).with_name("known_studies.json")
SMALL = {"axial": False, "size": 256, "slices": 3}


@pytest.fixture(scope="module")
def studies() -> list[PhantomStudy]:
    return [make_study(seed, axial=False, size=288, slices=1, stir_share=0.0, clean=True) for seed in range(6)]


def test_same_seed_gives_the_same_bytes() -> None:
    first, second, other = make_study(5, **SMALL), make_study(5, **SMALL), make_study(6, **SMALL)
    for a, b in zip(first.series, second.series, strict=True):
        assert a.series.voxels_SRC.tobytes() == b.series.voxels_SRC.tobytes()
        assert a.mask_SRC.tobytes() == b.mask_SRC.tobytes()
    assert first.levels == second.levels
    assert first.series[0].series.voxels_SRC.tobytes() != other.series[0].series.voxels_SRC.tobytes()


def summary(study: PhantomStudy) -> dict[str, Any]:
    """What tells one study from another, to the rounding in which machines may differ."""
    stacks = [stack for item in study.series for stack in item.stacks]
    return {
        "grey": [round(float(stack.series.voxels_SRC.mean()), 1) for stack in stacks],
        "labelled": [
            np.bincount(stack.mask_SRC.ravel(), minlength=212)[[1, 2, 100, 201, 202]].tolist() for stack in stacks
        ],
        "canal_mm2": [round(record["measurements"]["canal_area_mm2"], 1) for record in study.levels.values()],
        "grades": study.grades_LT[: len(study.levels)].tolist(),
        "raters": study.rater_grades_RLT.sum(axis=(0, 1)).tolist(),
    }


def test_a_generator_version_stands_for_one_set_of_studies() -> None:
    known = json.loads(KNOWN.read_text())
    options = {"size": 128, "axial_size": 96, "slices": 5, "sub_slices": 1}
    found = {mode.value: summary(make_study(21, mode=mode, **options)) for mode in Mode}
    assert known["version"] == GENERATOR_VERSION, f"write into {KNOWN.name}: {json.dumps(found)}"
    for mode, one in known["studies"].items():
        assert found[mode]["grades"] == one["grades"] and found[mode]["raters"] == one["raters"]
        assert np.allclose(found[mode]["grey"], one["grey"], atol=0.11)
        assert np.allclose(found[mode]["labelled"], one["labelled"], atol=3)
        assert np.allclose(found[mode]["canal_mm2"], one["canal_mm2"], atol=0.5)


def test_disease_and_acquisition_are_drawn_independently() -> None:
    healthy, ill = make_study(7, mode="screening", **SMALL), make_study(7, mode="balanced", **SMALL)
    assert healthy.spine.person == ill.spine.person
    assert [item.protocol for item in healthy.series] == [item.protocol for item in ill.series]
    assert healthy.levels != ill.levels


def test_mirrored_study_is_the_study_seen_in_a_mirror() -> None:
    plain, mirrored = make_study(9, **SMALL), make_study(9, mirror=True, **SMALL)
    flipped = mirrored.series[0].mask_SRC[::-1]
    assert (plain.series[0].mask_SRC != flipped).mean() < 1e-4
    for level, record in plain.levels.items():
        other = {"left": "right", "right": "left"}
        swapped = {
            "_".join(other.get(word, word) for word in name.split("_")): grade
            for name, grade in record["grades"].items()
        }
        assert swapped == mirrored.levels[level]["grades"]


def test_pfirrmann_follows_the_brightness_of_the_nucleus(studies: list[PhantomStudy]) -> None:
    by_grade: dict[int, list[float]] = {}
    for study in studies:
        t2 = study.series[1]
        csf = np.quantile(t2.series.voxels_SRC[t2.mask_SRC == 100], 0.9)
        for level, record in study.levels.items():
            disc = t2.series.voxels_SRC[t2.mask_SRC == 201 + LEVELS.index(level)]
            if disc.size:
                by_grade.setdefault(record["grades"]["pfirrmann"], []).append(float(np.quantile(disc, 0.8) / csf))
    means = [np.mean(by_grade[grade]) for grade in (1, 2, 3, 4)]
    assert means == sorted(means, reverse=True)
    assert means[0] > 2.0 * means[3]


def test_marrow_lies_between_muscle_and_fluid_on_t2_and_above_fluid_on_t1(studies: list[PhantomStudy]) -> None:
    for study in studies[:4]:
        t1, t2 = study.series
        # fluid fills at least a quarter of the canal, roots and cord the rest
        for item, share, low, high in ((t2, 0.75, 0.2, 0.85), (t1, 0.25, 1.1, 8.0)):
            marrow = np.median(item.series.voxels_SRC[(item.mask_SRC > 0) & (item.mask_SRC < 6)])
            fluid = np.quantile(item.series.voxels_SRC[item.mask_SRC == 100], share)
            assert low < marrow / fluid < high


def test_grades_are_known_for_discs_in_view_and_for_targets_without_sides() -> None:
    study = make_study(11, **SMALL)
    seen = [LEVELS.index(level) for level in study.levels]
    assert 5 <= len(seen) <= 10 and seen == list(range(len(seen)))
    assert (study.grades_LT[seen, TARGET_INDEX["pfirrmann"]] != UNKNOWN).all()
    assert (study.grades_LT[seen, TARGET_INDEX["canal_stenosis"]] != UNKNOWN).all()
    assert (study.grades_LT[:, TARGET_INDEX["foraminal_stenosis_left"]] == UNKNOWN).all()
    assert (study.grades_LT[len(seen) :] == UNKNOWN).all()


def test_field_of_view_can_end_above_the_sacrum_or_hold_few_discs() -> None:
    above = make_study(3, lowest_disc=2, **SMALL)
    assert "L5/S1" not in above.levels and "L3/L4" in above.levels
    assert not np.isin(above.series[0].mask_SRC, (1, 201)).any()
    two = make_study(3, discs_in_view=2, **SMALL)
    assert set(np.unique(two.series[0].mask_SRC)) & set(range(201, 211)) == {201, 202}


@pytest.mark.parametrize(("share", "view"), [(0.0, View.SAGITTAL_T2), (1.0, View.SAGITTAL_STIR)])
def test_second_series_is_t2_or_stir_but_always_named_t2(share: float, view: View) -> None:
    study = make_study(4, stir_share=share, **SMALL)
    assert [item.name for item in study.series] == ["t1", "t2"]
    assert study.series[1].series.view is view


def test_twelve_bit_pixels_are_not_windowed() -> None:
    study = make_study(2, pixel="uint16", **SMALL)
    for item in study.series:
        assert 255 < item.series.voxels_SRC.max() <= 4095


@pytest.mark.parametrize("wrong", [{"pixel": "float"}, {"slices": -1}, {"size": 8}, {"discs_in_view": 20}])
def test_impossible_options_are_refused_with_a_clear_line(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        make_study(1, **wrong)
