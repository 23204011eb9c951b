"""The study that comes with the project: small, synthetic, and readable right after installing."""

from dataclasses import replace
from pathlib import Path

import pydicom
import pytest

from spinenet.labels import LEVELS, View, columns_of
from spinenet.model.bundle import load_bundle
from spinenet.predict import predict_study
from spinenet.readers import find_studies, read_study
from spinenet.report.page.viewer import viewer_data
from spinenet.serve.batch import model_facts
from spinenet.study import Study
from spinephantom import make_study

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


def assert_every_grade_has_its_slice(study: Study) -> None:
    """The page opens a slice for each grade that is given, of a series that such grades are read from."""
    bundle = load_bundle()
    result = predict_study(study, bundle)
    data = viewer_data(result, model_facts(bundle))
    views = {one.series.name: one.series.view for one in result.located}
    assert len(result.predictions) > 30
    for one in result.predictions:
        deciding = data["cells"][f"{one.level}|{one.target}"]
        assert deciding, f"{one.level} {one.target}"
        for pane, index, share, corners in deciding:
            shown = data["panes"][pane]["slices"][index]
            assert views[shown["series"]] in bundle.read_from(one.target) and share > 0 and len(corners) == 4


def test_the_slice_that_decided_is_shown_for_every_grade_of_the_sample(study: Study) -> None:
    assert_every_grade_has_its_slice(study)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_the_slice_that_decided_is_shown_for_every_grade_of_a_phantom(seed: int) -> None:
    phantom = make_study(500 + seed, size=256, axial_size=192, sub_slices=1)
    assert_every_grade_has_its_slice(Study(f"phantom-{seed}", phantom.images))
