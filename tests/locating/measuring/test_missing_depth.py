"""A lumbar level without a least depth of its canal says why."""

import numpy as np
import pytest

from spinenet.labels import View
from spinenet.locating.measuring.missing_depth import CODE, missing_depths
from spinenet.study import LevelFrame, LocatedSeries, MeasuredSeries, Measurement, Scope, Series

WITHIN = {"canal_above_mm": 14.0, "canal_below_mm": 14.0, "canal_is_cut": 0.0, "canal_min_mm": float("nan")}
SERIES = Series("t2", np.zeros((1, 8, 8), np.float32), np.eye(4), "sagittal", View.SAGITTAL_T2)
FRAMES = tuple(
    LevelFrame(one, np.zeros(3), np.eye(3)[1], np.eye(3)[2], 36.0, 9.0) for one in ("L3/L4", "L4/L5", "T12/L1")
)
LOCATED = LocatedSeries(SERIES, FRAMES, 0, np.zeros(3, np.float32))
KNOWN = Measurement("L3/L4", "canal_depth_least_mm", 3.0, "mm", 6.0, 0, "t2")


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        ({"L4/L5": WITHIN}, "what is outlined of it is no deeper than 3 mm"),
        ({"L4/L5": WITHIN | {"canal_below_mm": 4.0}}, "the middle slice lies beside the canal there"),
        ({"L4/L5": WITHIN | {"canal_is_cut": 1.0}}, "the canal goes on beyond what is outlined"),
        ({"L4/L5": WITHIN | {"canal_min_mm": 11.0}}, "the image ends too near to the disc"),
        ({"L3/L4": WITHIN}, "the disc was not outlined there"),
    ],
)
def test_a_lumbar_level_without_a_least_depth_says_why(numbers: dict[str, dict[str, float]], reason: str) -> None:
    (note,) = missing_depths((LOCATED,), (MeasuredSeries("t2", View.SAGITTAL_T2, numbers),), (KNOWN,))
    assert (note.code, note.scope, note.subject) == (CODE, Scope.LEVEL, "L4/L5") and note.text.endswith(reason)


def test_nothing_is_missed_where_nothing_is_outlined() -> None:
    assert missing_depths((LOCATED,), (), ()) == ()
