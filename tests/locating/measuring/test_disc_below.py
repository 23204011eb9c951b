"""A vertebra below the one taken for the sacrum is seen, and a remnant of a disc in the sacrum is none."""

import numpy as np
import pytest

from spinenet.checking.gates import DOUBTFUL_NAMES, check
from spinenet.crops import CropSpec
from spinenet.labels import LEVELS, View
from spinenet.locating.discs import DISC_BELOW
from spinenet.locating.measuring.disc_below import shows_disc_below, with_discs_below
from spinenet.locating.measuring.fine_crops import COLUMNS, FINE_CLASSES, PIXEL_MM, ROWS, SHIFT_MM
from spinenet.study import LevelFrame, LocatedSeries, Series, Study, StudyLevels

STEP_MM, HEIGHT_MM, DEPTH_MM = 36.0, 9.0, 34.0
PAPER, BODY, DISC = 0.0, 50.0, 100.0


def frame(index):
    up = 60.0 + STEP_MM * index
    return LevelFrame(
        LEVELS[index], np.array([0.0, 100.0, up]), np.array([0.0, 1, 0]), np.array([0.0, 0, 1]), 34.0, 9.0
    )


def spine(*, below_depth_mm=DEPTH_MM, view=View.SAGITTAL_T2, first=0, levels=5):
    """Bodies and discs of one column in 1 mm pixels, and a disc of some depth one body below the lowest that is counted
    (none if 0: there the body goes on, as the sacrum does)."""
    affine = np.array([[4.0, 0, 0, 0], [0, 0, 1.0, 0], [0, -1.0, 0, 250.0], [0, 0, 0, 1.0]])
    image_RC = np.full((330, 200), PAPER, np.float32)
    image_RC[:, 100 - 17 : 100 + 17] = BODY
    image_RC[:, 130:134] = DISC  # as bright, but no disc: grey values are scaled alike in every crop
    for index in range(-1, 6):
        depth_mm = below_depth_mm if index == -1 else DEPTH_MM
        row, half = round(250 - 60 - STEP_MM * index), round(depth_mm / 2)
        image_RC[row - 4 : row + 5, 100 - half : 100 + half] = DISC
    series = Series(f"{view}", image_RC[None], affine, "sagittal", view)
    return LocatedSeries(
        series, tuple(map(frame, range(first, levels))), 0, np.array([0, 100, 50, 100, 50], np.float32)
    )


def outlined(crops_NHW, sureness=1.0):
    """Soft masks read from the drawn grey values: the disc in the middle, the bodies above and below it."""
    up_mm = (((ROWS - 1) / 2 - np.arange(ROWS)) * PIXEL_MM)[:, None] * np.ones(COLUMNS)
    behind_mm = ((np.arange(COLUMNS) - (COLUMNS - 1) / 2) * PIXEL_MM + SHIFT_MM) * np.ones((ROWS, 1))
    near = (np.abs(up_mm) < STEP_MM / 2) & (np.abs(behind_mm) < 25)
    body = (crops_NHW > 0.25) & (crops_NHW < 0.75) & (np.abs(up_mm) < STEP_MM)
    soft = np.zeros((len(crops_NHW), len(FINE_CLASSES), ROWS, COLUMNS), np.float32)
    soft[:, 1] = sureness * ((crops_NHW > 0.75) & near)
    soft[:, 2], soft[:, 3] = body & (up_mm > 0), body & (up_mm < 0)
    return soft


def test_a_whole_disc_one_body_below_the_lowest_counted_is_seen():
    assert shows_disc_below(spine(), outlined)


@pytest.mark.parametrize("depth_mm", [0.0, 14.0, 20.0, 24.0])
def test_a_sacrum_without_a_disc_or_with_a_remnant_of_one_is_a_sacrum(depth_mm):
    assert not shows_disc_below(spine(below_depth_mm=depth_mm), outlined)


def test_a_disc_that_is_hardly_made_out_is_none():
    assert not shows_disc_below(spine(), lambda crops_NHW: outlined(crops_NHW, sureness=0.7))


def test_nothing_is_looked_for_where_the_disc_above_the_sacrum_is_not_in_view():
    assert not shows_disc_below(spine(first=1), outlined)


def test_a_disc_below_makes_the_names_of_all_levels_doubtful():
    told = with_discs_below([spine(), spine(view=View.SAGITTAL_T1)], outlined)
    assert [[note.code for note in one.notes] for one in told] == [[DISC_BELOW], []]  # thresholds are of T2
    result = check(StudyLevels(Study("17", tuple(one.series for one in told)), told), CropSpec(), {})
    (flag,) = [flag for flag in result.flags if flag.code == DOUBTFUL_NAMES]
    assert "a disc lies below the lowest one counted" in flag.text
    assert result.cautioned == set(LEVELS[:5])
