"""Thin sagittal volumes cut axially lie where the patient does, and their grades are counted by level."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinenet.evaluate.robustness import axial_cuts
from spinenet.evaluate.robustness.axial_cuts import cut_axially, grades_by_level
from spinenet.labels import View
from spinenet.readers import find_studies, read_study
from spinenet.study import LevelFrame, LocatedSeries, Prediction, Series, StudyResult

DISC_MM, SPOT_MM = np.array([2.0, 10.0, -40.0]), np.array([8.0, 33.0, -39.0])


def volume(slices: int) -> LocatedSeries:
    """A volume of 1 mm about a tilted disc, with a bright spot behind the disc on the patient's left."""
    affine = np.array([[1.0, 0, 0, -10], [0, 0, 1, -30], [0, -1, 0, 0], [0, 0, 0, 1]])
    places_mm = np.moveaxis(np.indices((slices, 80, 100)), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    grey = 20 + 200 * np.exp(-(((places_mm - SPOT_MM) / 3) ** 2).sum(-1))
    series = Series("t2", grey.astype(np.float32), affine, "sagittal", View.SAGITTAL_T2)
    tilt = np.deg2rad(12)
    back, up = np.array([0, np.cos(tilt), np.sin(tilt)]), np.array([0, -np.sin(tilt), np.cos(tilt)])
    frames = tuple(LevelFrame(level, DISC_MM, back, up, 36.0, 9.0) for level in ("L4/L5", "T12/L1"))
    return LocatedSeries(series, frames, slices // 2, np.zeros(5, np.float32))


class Labelled:
    key = "7"


def cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, located: LocatedSeries) -> LocatedSeries | None:
    monkeypatch.setattr(axial_cuts, "placed_series", lambda study, spec: (located,))
    study: Any = Labelled()
    return cut_axially(study, tmp_path)


def test_what_lies_in_a_patient_lies_there_in_the_cut_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cut(tmp_path, monkeypatch, volume(24)) is not None and (tmp_path / "sub-7" / "anat").is_dir()
    (source,) = find_studies([tmp_path])
    series = {one.plane: one for one in read_study(source).series}
    assert set(series) == {"axial", "sagittal"}  # of L4/L5 alone: no stenosis is graded above L1/L2
    for one in series.values():
        brightest = np.array(np.unravel_index(one.voxels_SRC.argmax(), one.voxels_SRC.shape), float)
        assert one.to_mm(brightest) == pytest.approx(SPOT_MM, abs=2.1)
        assert one.spacing_mm[0] == pytest.approx(4.0)


def test_a_few_slices_are_no_volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cut(tmp_path, monkeypatch, volume(15)) is None and not list(tmp_path.iterdir())


def test_both_sides_of_a_level_are_counted_together() -> None:
    grades = [("foraminal_stenosis_left", 2), ("foraminal_stenosis_right", 0), ("canal_stenosis", 1), ("modic", 1)]
    found = StudyResult("a", "ok", 0.0)
    told = tuple(Prediction("L4/L5", target, grade, (0.2, 0.3, 0.5), False) for target, grade in grades)
    table = grades_by_level([replace(found, predictions=told)]).set_index("target")
    assert table.graded.to_dict() == {"canal_stenosis": 1, "foraminal_stenosis": 2}
    assert table.severe["foraminal_stenosis"] == 0.5 and table.moderate["canal_stenosis"] == 1.0
