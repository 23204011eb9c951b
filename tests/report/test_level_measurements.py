"""Measurements by outlines in every output: value, error, place among patients, and what they did to the grades."""

import csv
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spinenet.labels import RESEARCH_ONLY
from spinenet.report.dicom.objects import made_from
from spinenet.report.dicom.sr_text import read_report
from spinenet.report.dicom.structured_report import write_report
from spinenet.report.document import document, measurement_rows, predictions_of, study_entry
from spinenet.report.page.html import render
from spinenet.report.page.level_measurements import reasons_of
from spinenet.report.schema import predictions_schema
from spinenet.report.study_files import REPORTS_FOLDER, write_folder_files, write_study_files
from spinenet.report.tables import MEASUREMENTS_FILE
from spinenet.study import Measurement, Prediction, Reason, StudyResult

HEIGHTS = {"L5/S1": 6.4, "L4/L5": 8.1, "L3/L4": 10.0, "L2/L3": 10.4}
REASONS = (Reason("disc behind the bodies", 0.8), Reason("slip", 0.05), Reason("signal of the nucleus", -0.4))


@pytest.fixture
def outlined(graded: StudyResult) -> StudyResult:
    """The study as a bundle that outlines has it: heights with error and percentile, a signal; reasons of bulging."""
    sizes = [Measurement(level, "disc_height_mm", mm, "mm", 1.1, 33, "t2") for level, mm in HEIGHTS.items()]
    sizes.append(Measurement("L4/L5", "nucleus_signal_share", 0.13, "1", 0.02, 0, "t2"))
    sizes.append(Measurement("L4/L5", "slip_mm", -1.5, "mm"))
    sizes.append(Measurement("L2/L3", "disc_height_middle_mm", 11.0, "mm", 1.2, None, "t2"))
    bulging = Prediction("L4/L5", "bulging", 1, (0.2, 0.8), True, reasons=REASONS)
    others = [one for one in graded.predictions if (one.level, one.target) != ("L4/L5", "bulging")]
    return replace(graded, measurements=tuple(sizes), predictions=(bulging, *others))


def text_of(html: str) -> str:
    body = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def level_of(result: StudyResult, name: str) -> Any:
    return next(level for level in study_entry(result)["levels"] if level["level"] == name)


def test_a_document_keeps_name_and_value_and_says_beside_it_how_well_it_is_known(outlined: StudyResult) -> None:
    level = level_of(outlined, "L4/L5")
    assert level["measurements"] == {"disc_height_mm": 8.1, "nucleus_signal_share": 0.13, "slip_mm": -1.5}
    assert level["measurement_details"] == {
        "disc_height_mm": {"series": "t2", "error_95": 1.1, "percentile": 33},
        "nucleus_signal_share": {"series": "t2", "error_95": 0.02, "percentile": 0},
    }


def test_a_document_with_measurements_and_reasons_is_what_the_schema_says(
    outlined: StudyResult, model: dict[str, Any]
) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    entry = study_entry(outlined)
    jsonschema.validate(document(model, [entry]), predictions_schema())
    entry["levels"][0]["measurement_details"] = {"disc_height_mm": {"error_95": "small"}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document(model, [entry]), predictions_schema())


def test_reasons_come_back_as_they_were(outlined: StudyResult) -> None:
    entry = study_entry(outlined)
    read = {(one.level, one.target): one for one in predictions_of(entry)}
    assert read["L4/L5", "bulging"].reasons == REASONS
    assert level_of(outlined, "L4/L5")["grades"][0]["reasons"][0] == {
        "measurement": "disc behind the bodies",
        "change": 0.8,
    }


def test_without_outlines_nothing_is_said_that_was_not_said_before(graded: StudyResult, model: dict[str, Any]) -> None:
    for level in study_entry(graded)["levels"]:
        assert set(level) == {"level", "place", "measurements", "grades"}
        assert all("reasons" not in grade for grade in level["grades"])
    page = render(graded, model=model)
    assert "Sizes by the locator" in page and 'class="sizes"' not in page and ".sizes" not in page
    assert measurement_rows(study_entry(graded)) == []


def test_the_page_sets_a_disc_beside_the_patients_others_and_beside_patients(
    outlined: StudyResult, model: dict[str, Any]
) -> None:
    text = text_of(render(outlined, model=model))
    assert "disc height 8.1 ± 1.1 mm 10.0 33rd" in text  # others: 6.4, 10.0, 10.4
    assert "signal of the nucleus 0.13 ± 0.02 below 5th" in text
    assert "slip -1.5 mm" in text
    assert "Sizes by the locator" not in text and text.count(RESEARCH_ONLY) == 3


def test_the_reasons_of_a_finding_reach_the_page(outlined: StudyResult, model: dict[str, Any]) -> None:
    text = text_of(render(outlined, model=model))
    assert "present raised by: disc behind the bodies; lowered by: signal of the nucleus" in text
    assert "model on measurements" in text


def test_what_hardly_moved_a_grade_or_is_no_finding_is_not_explained() -> None:
    weak = Prediction("L4/L5", "bulging", 1, (0.2, 0.8), True, reasons=(Reason("slip", 0.09),))
    calm = Prediction("L4/L5", "bulging", 0, (0.8, 0.2), True, reasons=REASONS)
    told = reasons_of(replace(calm, confident=False))
    assert reasons_of(weak) is None and reasons_of(calm) is None
    assert told is not None and (told.raised, told.grade) == ("disc behind the bodies", "cannot exclude")


def test_the_structured_report_holds_every_measurement(
    outlined: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    made = made_from(outlined, model, identify=False)
    assert made is not None
    write_report(made, tmp_path / "report.dcm")
    read = read_report(tmp_path / "report.dcm").measurements
    assert read == {level.name: level.measurements for level in outlined.levels if level.measurements}
    assert read["L4/L5"]["nucleus_signal_share"] == 0.13


def test_a_folder_has_a_table_of_measurements_where_there_are_outlines(
    outlined: StudyResult, graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    for name, result in (("with", outlined), ("without", graded)):
        write_study_files(result, tmp_path / name / REPORTS_FOLDER, model=model)
        write_folder_files(tmp_path / name, [result.key])
    assert not (tmp_path / "without" / MEASUREMENTS_FILE).exists()
    with (tmp_path / "with" / MEASUREMENTS_FILE).open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(outlined.measurements)
    signal = next(row for row in rows if row["measurement"] == "nucleus_signal_share")
    assert list(signal.values()) == ["study-1", "L4/L5", "nucleus_signal_share", "0.13", "1", "0.02", "0", "t2", ""]
    slip = next(row for row in rows if row["measurement"] == "slip_mm")
    assert (slip["value"], slip["error_95"], slip["percentile"], slip["series"]) == ("-1.5", "", "", "")
