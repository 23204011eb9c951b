"""How far grades move: counted by disc and target, mirrored grades against the other side's, refusals kept."""

from dataclasses import replace

import numpy as np
import pytest

from spinenet.evaluate.robustness import retest as robustness
from spinenet.evaluate.robustness.retest import CUT, RENAMED, Retest, level_shifts, movements
from spinenet.evaluate.robustness.retest_outputs import write_retests
from spinenet.labels import LEVELS
from spinenet.study import Prediction, StudyResult


def prediction(level, target, grade, p):
    return Prediction(level, target, grade, p, True)


def retest(study, kind, grades, **levels):
    """Pairs of canal grades at one level each."""
    pairs = tuple(
        (prediction(LEVELS[i], "canal_stenosis", old, _p(old)), prediction(LEVELS[i], "canal_stenosis", new, _p(new)))
        for i, (old, new) in enumerate(grades)
    )
    return Retest(study, kind, pairs, **({"levels": len(pairs), "lost": 0, "misnamed": 0} | levels))


def _p(grade):
    return tuple(np.eye(3)[grade] * 0.7 + 0.1)


def test_movement_counts_changes_far_changes_and_drift():
    found = [retest("a", "noise", [(0, 0), (0, 2)]), retest("b", "noise", [(1, 2), (1, 1)])]
    (row,) = movements(found, samples=200, seed=0)
    assert (row.kind, row.target, row.n, row.studies) == ("noise", "canal_stenosis", 4, 2)
    assert row.changed.value == pytest.approx(0.5)
    assert row.far.value == pytest.approx(0.25)
    assert row.drift.value == pytest.approx((2 + 1) * 0.7 / 4)
    assert row.shifted.value == pytest.approx(2 * 0.7 / 4)


def test_no_change_in_few_studies_is_not_certainty():
    (row,) = movements([retest(f"{i}", "noise", [(0, 0)]) for i in range(10)], samples=100, seed=0)
    assert (row.changed.low, row.changed.high) == pytest.approx((0.0, 0.308), abs=1e-3)


def test_levels_that_are_lost_or_misnamed_are_counted_of_those_found_before():
    found = [
        retest("a", CUT, [], levels=5, lost=5, refused="the sacrum is not in view"),
        retest("b", CUT, [(0, 0)] * 5, levels=5, misnamed=4, lost=1),
    ]
    (row,) = level_shifts(found, samples=100, seed=0)
    assert (row.levels, row.refused) == (10, 1)
    assert row.lost.value == pytest.approx(0.6)
    assert row.misnamed.value == pytest.approx(0.4)


def test_a_mirrored_study_is_compared_with_the_other_side():
    sides = ("foraminal_stenosis_left", "foraminal_stenosis_right")
    before = StudyResult(
        "a", "ok", 0, predictions=tuple(prediction("L4/L5", s, g, _p(g)) for s, g in zip(sides, (0, 2), strict=True))
    )
    after = replace(
        before, predictions=tuple(replace(p, target=t) for p, t in zip(before.predictions, sides[::-1], strict=True))
    )
    right = robustness._retest("a", "mirrored", before, after)
    assert all(old.grade == new.grade for old, new in right.pairs) and len(right.pairs) == 2
    wrong = robustness._retest("a", "re-sliced", before, after)
    assert all(old.grade != new.grade for old, new in wrong.pairs)


def test_every_way_of_showing_a_study_is_tried_and_written(monkeypatch, tmp_path):
    from spinenet.labels import View
    from spinenet.study import LevelFrame, LocatedSeries, Note, Scope, Series, Severity, Study

    voxels = np.random.default_rng(0).random((3, 64, 48)).astype(np.float32)
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([[4.0, 0, 0], [0, 0, -2.0], [0, 2.0, 0]])
    views = (View.SAGITTAL_T1, View.SAGITTAL_T2)
    study = Study("a", tuple(Series(view.value, voxels, affine, "sagittal", view) for view in views))

    refused = Note("no_sacrum", Scope.STUDY, "", "the sacrum is not in view", Severity.REFUSE)

    def predict(shown, bundle):
        """Grades nothing where the lowest disc is out of view, as a careful model would."""
        if shown.series[0].voxels_SRC.shape[1] < 50:
            return StudyResult("a", "failed", 0, flags=(refused,))
        up, back = np.array([0, 0, 1.0]), np.array([0, 1.0, 0])
        places = {"L5/S1": -100.0, "L4/L5": -65.0}
        frames = tuple(LevelFrame(name, np.array([0, 40.0, z]), back, up, 30, 9) for name, z in places.items())
        located = (LocatedSeries(shown.series[0], frames, 1, np.zeros(4, np.float32)),)
        predictions = (prediction("L5/S1", "canal_stenosis", 1, _p(1)),)
        return StudyResult("a", "ok", 0, located=located, predictions=predictions)

    monkeypatch.setattr(robustness, "predict_study", predict)
    monkeypatch.setattr(robustness, "_renamed", lambda study, before, bundle: retest("a", RENAMED, [(1, 0)]))
    found = list(robustness.retests(study, None, seed=0))
    kinds = [one.kind for one in found]
    assert kinds[0] == "read again" and {"mirrored", "without T1", "middle slice alone", CUT, RENAMED} <= set(kinds)
    assert "without axial" not in kinds  # there was none
    refused = {one.kind for one in found if one.refused}
    assert CUT in refused
    write_retests(found, tmp_path, model="m 1", samples=100, seed=0)
    report = (tmp_path / "report.md").read_text()
    assert "read again" in report and "Not a medical device" in report
    assert (tmp_path / "figures" / "movements.png").stat().st_size > 5000
