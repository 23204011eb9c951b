"""The study that comes with the project: small, synthetic, and readable right after installing."""

from dataclasses import replace
from pathlib import Path

import pydicom
import pytest

from spinenet.labels import LEVELS, View, columns_of
from spinenet.model.bundle import load_bundle
from spinenet.predict import predict_study
from spinenet.readers import find_studies, read_study
from spinenet.study import Study

SAMPLE = Path(__file__).parents[1] / "data" / "sample"


@pytest.fixture(scope="module")
def study() -> Study:
    (source,) = find_studies([SAMPLE])
    return read_study(source)


def test_it_is_small_and_of_no_patient() -> None:
    files = sorted(SAMPLE.rglob("*.dcm"))
    assert len(files) > 30 and sum(path.stat().st_size for path in files) <= 3_000_000
    for path in files:
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        assert str(dataset.PatientName) == "Phantom^Synthetic" and dataset.PatientBirthDate == ""
        assert dataset.StudyDescription == "Synthetic lumbar spine"


def test_it_shows_every_view_with_several_axial_stacks(study: Study) -> None:
    views = [series.view for series in study.series]
    assert views.count(View.SAGITTAL_T1) == views.count(View.SAGITTAL_T2) == 1
    assert views.count(View.AXIAL_T2) == len(views) - 2 >= 3


def test_the_shipped_bundle_grades_it(study: Study) -> None:
    result = predict_study(study, load_bundle())
    assert result.status == "ok", result.message
    assert set(result.graded_levels) >= set(LEVELS[:5])
    stenoses = [one for one in result.predictions if "stenosis" in one.target]
    assert len(stenoses) >= 5 and all(one.experimental for one in stenoses)
    assert not any(one.confident or one.grade_set for one in stenoses)
    assert [flag.code for flag in result.flags].count("experimental") == 1
    assert {one.target for one in result.reported} == set(columns_of("spider").values())
    assert replace(result, experimental=True).reported == result.predictions
