"""Ghosts, zipper lines and motion blur are seen along either axis, and anatomy that looks like them is not."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from spinenet.checking.artefacts import ARTEFACTS, FLOOR, artefact_figures, artefacts_of, limits_of
from spinenet.labels import LEVELS, View
from spinenet.study import LevelFrame, LocatedSeries, Series
from spinephantom.physics.sequence import Weighting, sample_protocol, sample_scanner
from spinephantom.scan.scanner_artefacts import sample_acquisition, with_motion, with_zipper

GHOST, ZIPPER, BLUR = range(3)
POSTERIOR, SUPERIOR = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])
FRAMES = tuple(
    LevelFrame(level, np.array([0.0, 80.0, 50.0 + 35.0 * index]), POSTERIOR, SUPERIOR, 34.0, 9.0, 0.96)
    for index, level in enumerate(LEVELS[:5])
)


@pytest.fixture(scope="module")
def tissue():
    """(320, 260) irregular tissue in 0.8 mm pixels, grey values 0 to 200."""
    rough = np.random.default_rng(3).normal(0, 1, (320, 260))
    smooth = ndimage.gaussian_filter(rough, 1.1)
    return 100 + 35 * smooth / smooth.std()


@pytest.fixture(scope="module")
def scanner():
    """A T2 protocol and the imperfections of an acquisition."""
    rng = np.random.default_rng(0)
    protocol = sample_protocol(rng, sample_scanner(rng), Weighting.T2)
    return protocol, replace(sample_acquisition(rng, View.SAGITTAL_T2), wrap=0.0, ghost=0.0, ghost_shift=0.3)


def located(image_RC):
    affine = np.array([[4.0, 0, 0, 0], [0, 0, 0.8, 0], [0, -0.8, 0, 250.0], [0, 0, 0, 1.0]])
    voxels_SRC = np.clip(image_RC, 0, 255)[None].astype(np.float32)
    series = Series("t2", voxels_SRC, affine, "sagittal", View.SAGITTAL_T2, "Told by physics.")
    return LocatedSeries(series, FRAMES, 0, np.array([30.0, 170.0, 100.0, 160.0, 40.0], np.float32))


def beyond(image_RC):
    """Indices of the figures that lie beyond their limits."""
    return np.flatnonzero(artefact_figures(located(image_RC)) > FLOOR).tolist()


def test_tissue_without_artefact_has_none(tissue):
    assert beyond(tissue) == []
    assert list(artefacts_of(located(tissue), tuple(FLOOR))) == []


@pytest.mark.parametrize("phase_rows", [True, False])
def test_a_strong_ghost_is_seen_along_either_axis_and_a_faint_one_is_let_be(tissue, scanner, phase_rows):
    protocol, acquisition = scanner
    along = replace(protocol, phase_rows=phase_rows)
    strong, faint = (with_motion(tissue[None], along, replace(acquisition, ghost=g))[0] for g in (0.15, 0.03))
    assert beyond(strong) == [GHOST] and beyond(faint) == []


@pytest.mark.parametrize("phase_rows", [True, False])
def test_a_zipper_line_is_seen_along_either_axis(tissue, scanner, phase_rows):
    along, line = replace(scanner[0], phase_rows=phase_rows), replace(scanner[1], zipper=6.0, zipper_at=0.4)
    assert beyond(with_zipper(tissue.astype(np.float32), np.random.default_rng(1), along, line, 10.0)) == [ZIPPER]


def test_a_straight_line_of_skin_that_does_not_go_all_the_way_is_no_zipper(tissue):
    skin = tissue.copy()
    skin[: int(0.55 * len(skin)), 200] += 60
    whole = tissue.copy()
    whole[:, 200] += 60
    assert ZIPPER not in beyond(skin) and ZIPPER in beyond(whole)


@pytest.mark.parametrize("axis", [0, 1])
def test_blur_along_one_axis_is_motion_and_along_both_is_not(tissue, axis):
    assert beyond(ndimage.gaussian_filter1d(tissue, 2.5, axis)) == [BLUR]
    assert BLUR not in beyond(ndimage.gaussian_filter(tissue, 2.5))


@pytest.mark.parametrize("shape", [(8, 8), (40, 300), (300, 12)])
@pytest.mark.parametrize("value", [0.0, 90.0])
def test_a_slice_with_nothing_in_it_has_no_artefact(shape, value):
    assert beyond(np.full(shape, value)) == []
    assert np.isfinite(artefact_figures(located(np.full(shape, value)))).all()


def test_limits_are_passed_by_few_clean_series_and_never_lie_below_what_can_mislead():
    clean_NA = np.abs(np.random.default_rng(0).normal(0, 0.15, (400, len(ARTEFACTS))))
    limits = np.array(limits_of(clean_NA))
    assert (np.mean(clean_NA > limits, axis=0) <= 0.01).all() and (limits > FLOOR).all()
    assert limits_of(np.zeros((100, len(ARTEFACTS)))) == tuple(FLOOR)


def test_an_artefact_is_said_in_words_and_without_limits_nothing_is(tissue, scanner):
    ghosted = with_motion(tissue[None], scanner[0], replace(scanner[1], ghost=0.15))[0]
    (said,) = artefacts_of(located(ghosted), tuple(FLOOR))
    assert "copies of the image" in said
    assert list(artefacts_of(located(ghosted), ())) == []
