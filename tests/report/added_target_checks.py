"""Where a target added in its one entry is found; ``test_added_target.py`` runs this in a label space with it."""

import csv
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from spinenet.checking.gates import NOT_LOOKED_FOR
from spinenet.datasets.masks import locate_from_mask
from spinenet.labels import (
    LEVELS,
    MIRROR,
    NEVER_LOOKED_FOR,
    RADIOLOGISTS_LOOK_FOR,
    TARGET,
    TARGET_INDEX,
    TARGETS,
    UNKNOWN,
)
from spinenet.model.bundle import Bundle, load_bundle, write_bundle
from spinenet.model.calibration import NEUTRAL
from spinenet.predict import decide, grade
from spinenet.report.certainty import label, reading_of
from spinenet.report.dicom import codes
from spinenet.report.dicom.objects import made_from
from spinenet.report.dicom.sr_text import read_report
from spinenet.report.dicom.structured_report import write_report
from spinenet.report.document import document, study_entry
from spinenet.report.options import Language
from spinenet.report.page.html import render
from spinenet.report.schema import predictions_schema
from spinenet.report.tables import append, prediction_rows, recover, study_row
from spinenet.report.text.narrative import narrative
from spinenet.study import Prediction, Study, StudyCheck, StudyLevels, StudyResult
from spinephantom import PhantomStudy

NAME = "vertebral_fracture"


@pytest.fixture(scope="module")
def bundle(untrained: Any, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Untrained networks for every target, exported and opened."""
    networks = {name: (untrained.folder / name).read_bytes() for name in ("locator.onnx", "grader.onnx")}
    calibration = {target.name: NEUTRAL for target in TARGETS}
    facts = {"name": "with a target more", "version": "0", "data": "random weights", "licence": "none"}
    return load_bundle(write_bundle(tmp_path_factory.mktemp("bundle"), networks, untrained.spec, calibration, facts))


@pytest.fixture(scope="module")
def result(bundle: Bundle, phantom: PhantomStudy) -> StudyResult:
    """A phantom with given levels, graded by that bundle."""
    series = tuple(locate_from_mask(item.series, item.mask_SRC) for item in phantom.series)
    located = StudyLevels(Study("study-1", tuple(one.series for one in series)), series)
    return decide(grade(StudyCheck(located, series), bundle), bundle)


def test_it_has_a_head_and_a_query_of_its_name(untrained: Any) -> None:
    assert NAME in untrained.grader.heads and NAME in untrained.grader.pooling.queries
    assert MIRROR[TARGET_INDEX[NAME]] == TARGET_INDEX[NAME]


def test_the_exported_bundle_grades_it(bundle: Bundle) -> None:
    assert NAME in bundle.targets and bundle.metadata["label_space"]["targets"][NAME] == [0, 1]


def test_the_bundle_in_the_package_opens_and_does_not_grade_it() -> None:
    assert load_bundle().not_graded == (NAME,)


def test_it_is_graded_where_its_needs_are_met(result: StudyResult) -> None:
    graded = {one.level for one in result.predictions if one.target == NAME}
    assert graded == {one.level for one in result.predictions if one.target == "bulging"} and len(graded) >= 5


def test_predictions_csv_has_its_rows(result: StudyResult, tmp_path: Path) -> None:
    recover(tmp_path)
    append(tmp_path, study_row(result), prediction_rows(result))
    with (tmp_path / "predictions.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["target"] == NAME]
    assert [row["label"] for row in rows] == [label(one) for one in result.predictions if one.target == NAME]
    assert len(rows) >= 5 and all(0 <= float(row["p_1"]) <= 1 and row["p_2"] == "" for row in rows)


def test_the_schema_names_it_and_what_is_written_fits(result: StudyResult, bundle: Bundle) -> None:
    schema = predictions_schema()
    assert NAME in schema["$defs"]["target"]["enum"]
    content = document({"name": "m", "version": "0", "targets": bundle.targets}, [study_entry(result)])
    jsonschema.validate(content, schema)
    assert any(one["target"] == NAME for level in content["studies"][0]["levels"] for one in level["grades"])
    assert NAME not in content["not_graded"] and "fracture" not in content["never_looked_for"]
    next(one for one in content["studies"][0]["levels"][0]["grades"] if one["target"] == NAME)["grade"] = 2
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, schema)


def test_the_page_shows_it_and_no_longer_says_that_nobody_looked(
    result: StudyResult, bundle: Bundle, model: dict[str, Any]
) -> None:
    page = render(result, model={**model, "targets": bundle.targets})
    assert "Vertebral fracture" in page
    assert RADIOLOGISTS_LOOK_FOR[1:] == NEVER_LOOKED_FOR and "fracture" not in NOT_LOOKED_FOR
    assert "fracture, " not in page


def test_the_structured_report_says_it_of_the_vertebra(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    made = made_from(graded, model, identify=False)
    assert made is not None
    write_report(made, tmp_path / "report.dcm")
    said = {one.level: one for one in read_report(tmp_path / "report.dcm").grades if one.target == NAME}
    given = {one.level: one for one in graded.predictions if one.target == NAME}
    assert {level: one.grades for level, one in said.items()} == {
        level: reading_of(one).grades for level, one in given.items()
    }
    assert codes.SITES[TARGET[NAME].unit]["L4/L5"].meaning == "L4 vertebra"


def test_nobody_has_labelled_it_in_a_phantom(phantom: PhantomStudy) -> None:
    assert (phantom.grades_LT[:, TARGET_INDEX[NAME]] == UNKNOWN).all()
    assert (phantom.rater_grades_RLT[..., TARGET_INDEX[NAME]] == UNKNOWN).all()
    assert np.shape(phantom.grades_LT) == (len(LEVELS), len(TARGETS))


def test_a_target_without_phrases_is_called_by_its_english_term() -> None:
    broken = Prediction("L4/L5", "vertebral_fracture", 1, (0.1, 0.9), True)
    result = StudyResult("a", "ok", 0.0, predictions=(broken,))
    for language in Language:
        words = dict(narrative(result, {}, language).findings)["L4/L5"]
        isolates = {0x2066: None, 0x2069: None}  # around Latin letters in Arabic
        assert [one.translate(isolates) for one in words] == ["Vertebral fracture."]
