"""The noise of a bundle: what 95 of 100 repeated readings stay below, said only where there are enough of them."""

from dataclasses import replace

import numpy as np
import pytest

from spinenet.evaluate.robustness.noise import MIN_PAIRS, REPEATS, noise_table
from spinenet.evaluate.robustness.perturb import SAME_STUDY
from spinenet.labels import LEVELS
from spinenet.locating.measuring.quantities import level_measurements
from spinenet.study import LevelFrame, LocatedSeries, Prediction, Series, StudyResult
from spinephantom.patient.pathology import Mode
from spinephantom.synthesis import make_study, rescanned


def result(share: float, height_mm: float = 8.0) -> StudyResult:
    predictions = tuple(
        Prediction(level, "bulging", int(share > 0.5), (1 - share, share), True) for level in LEVELS[:5]
    )
    frames = tuple(
        LevelFrame(level, np.zeros(3), np.array([0.0, 1, 0]), np.array([0.0, 0, 1]), 30.0, height_mm)
        for level in LEVELS[:5]
    )
    around = np.block([[np.eye(3), np.full((3, 1), -60.0)], [np.zeros((1, 3)), np.ones((1, 1))]])
    series = Series("t2", np.zeros((1, 120, 120), np.float32), around, "sagittal", None)
    located = LocatedSeries(series, frames, 0, np.zeros(5, np.float32))
    sizes = level_measurements((located,), ())
    return StudyResult("a", "ok", 0.1, located=(located,), predictions=predictions, measurements=sizes)


def test_noise_is_what_nearly_all_repeated_readings_stay_below() -> None:
    moves = np.linspace(0, 0.4, 41)
    noise = noise_table((result(0.5), result(0.5 + move, 8.0 + move)) for move in moves)
    assert noise["bulging"] == pytest.approx(0.38, abs=0.01)
    assert noise["disc_height_mm"] == pytest.approx(0.4, abs=0.05)
    assert noise["disc_depth_mm"] == 0.0


def test_too_few_readings_say_nothing() -> None:
    pairs = [(result(0.5), result(0.6))] * (MIN_PAIRS // 5 - 1)
    assert noise_table(pairs) == {}


def test_levels_that_were_lost_are_left_out() -> None:
    lost = replace(result(0.9), predictions=(), located=())
    assert noise_table([(result(0.5), lost)] * 50) == {}


def test_a_person_scanned_again_has_the_same_spine_under_other_planes_and_grey_values() -> None:
    first = make_study(700_003, mode=Mode.SCREENING, axial=False, size=128, sub_slices=1, stir_share=0.0)
    again, third = rescanned(first, 1), rescanned(first, 2)
    assert again.spine is first.spine and set(again.levels) <= set(first.levels) | set(again.levels)
    shared = [level for level in first.levels if level in again.levels]
    assert len(shared) >= 5 and all(again.levels[level] == first.levels[level] for level in shared)
    affines = [one.images[0].affine_vox2mm for one in (first, again, third)]
    assert not np.allclose(affines[0], affines[1]) and not np.allclose(affines[1], affines[2])
    assert first.series[0].protocol != again.series[0].protocol
    same = make_study(700_003, mode=Mode.SCREENING, axial=False, size=128, sub_slices=1, stir_share=0.0)
    assert np.array_equal(same.images[0].voxels_SRC, first.images[0].voxels_SRC)


def test_every_way_of_reading_again_exists() -> None:
    assert set(REPEATS) <= set(SAME_STUDY)
