"""A canal that goes on beyond the crop of its level is measured on a second crop farther back."""

import numpy as np
import pytest
from numpy.typing import NDArray

from spinenet.labels import View
from spinenet.locating.measuring.fine_crops import CANAL, DISC, FINE_CLASSES
from spinenet.locating.measuring.lengths import CANAL_CUT
from spinenet.locating.measuring.measured_study import measure_study
from spinenet.locating.measuring.whole_canal import WHOLE_CANAL
from spinenet.study import LevelFrame, LocatedSeries, Series

DISC_GREY, CANAL_GREY = 120.0, 240.0


def drawn(canal_mm: tuple[float, float]) -> LocatedSeries:
    """One sagittal slice: a disc of 36 by 10 mm about the origin, a canal between two places (mm) behind it."""
    row, column = np.indices((200, 240))
    up_mm, back_mm = 50 - 0.5 * row, 0.5 * column - 40
    grey = np.where((np.abs(up_mm) < 5) & (np.abs(back_mm) < 18), DISC_GREY, 10.0)
    grey = np.where((back_mm > canal_mm[0]) & (back_mm < canal_mm[1]), CANAL_GREY, grey)
    affine = np.array([[4.0, 0, 0, 0], [0, 0, 0.5, -40], [0, -0.5, 0, 50], [0, 0, 0, 1]])
    series = Series("t2", grey[None].astype(np.float32), affine, "sagittal", View.SAGITTAL_T2)
    frame = LevelFrame("L4/L5", np.zeros(3), np.array([0.0, 1, 0]), np.array([0.0, 0, 1]), 36.0, 10.0)
    return LocatedSeries(series, (frame,), 0, np.array([0, 1, 0.5, 0.8, 0.3], np.float32))


def by_grey(crops_NHW: NDArray[np.float32]) -> NDArray[np.float32]:
    """An outline of discs and canals by their grey values."""
    soft_NCHW = np.zeros((len(crops_NHW), len(FINE_CLASSES), *crops_NHW.shape[1:]), np.float32)
    soft_NCHW[:, CANAL] = crops_NHW > 0.75
    soft_NCHW[:, DISC] = (crops_NHW > 0.25) & (crops_NHW < 0.75)
    soft_NCHW[:, 0] = 1 - soft_NCHW[:, 1:].sum(1)
    return soft_NCHW


@pytest.mark.parametrize(("canal_mm", "is_cut"), [((22, 36), False), ((24, 46), True)])
def test_a_canal_that_the_crop_cuts_is_measured_whole(canal_mm: tuple[float, float], is_cut: bool) -> None:
    (measured,) = measure_study([drawn(canal_mm)], by_grey)
    numbers, true_mm = measured.levels["L4/L5"], canal_mm[1] - canal_mm[0]
    assert numbers[CANAL_CUT] == is_cut
    name = WHOLE_CANAL["canal_mm"] if is_cut else "canal_mm"
    assert numbers[name] == pytest.approx(true_mm, abs=1.2)
    assert (WHOLE_CANAL["canal_mm"] in numbers) is is_cut
    assert not is_cut or numbers["canal_mm"] < true_mm - 4
