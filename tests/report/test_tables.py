"""The tables of a run: the contract's columns, and nothing lost or half written whenever a run is killed."""

import csv
import io
import os
from dataclasses import replace
from pathlib import Path

import pytest

from spinenet.errors import OutputError
from spinenet.locating.discs import NUMBERING
from spinenet.report import tables
from spinenet.report.tables import StudyRow, append, prediction_rows, recover, study_row, write_table
from spinenet.study import Prediction, StudyResult

RESULT = StudyResult(
    key="study-1",
    status="ok",
    seconds=0.5,
    notes=(NUMBERING,),
    predictions=(
        Prediction("L5/S1", "pfirrmann", 4, (0.05, 0.05, 0.1, 0.7, 0.1), True),
        Prediction("L5/S1", "canal_stenosis", 0, (0.5, 0.3, 0.2), False),
    ),
)


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


def add(folder: Path, key: str) -> None:
    result = replace(RESULT, key=key)
    append(folder, study_row(result), prediction_rows(result))


def test_columns_are_those_of_the_contract_in_order() -> None:
    assert ", ".join(tables.PREDICTION_COLUMNS) == (
        "study, level, target, grade, label, p_0, p_1, p_2, p_3, p_4, confident, evidence"
    )
    assert ", ".join(tables.STUDY_COLUMNS) == "study, status, levels_found, grades, images, message, seconds"


def test_grades_are_published_values_and_probabilities_end_with_the_scale() -> None:
    pfirrmann, stenosis = prediction_rows(RESULT)
    assert (pfirrmann["grade"], pfirrmann["label"], pfirrmann["p_3"]) == ("4", "grade IV", "0.700000")
    assert pfirrmann["confident"] == "true"
    assert (stenosis["grade"], stenosis["label"], stenosis["confident"]) == ("0", "possible moderate", "false")
    assert (stenosis["p_2"], stenosis["p_3"], stenosis["p_4"]) == ("0.200000", "", "")


def test_a_failed_study_has_no_grades() -> None:
    assert prediction_rows(replace(RESULT, status="failed")) == []


def test_probabilities_of_another_scale_are_refused() -> None:
    wrong = replace(RESULT, predictions=(Prediction("L5/S1", "pfirrmann", 4, (0.5, 0.5), True),))
    with pytest.raises(ValueError, match="2 probabilities, 5 grades"):
        prediction_rows(wrong)


def test_a_message_stays_one_line_and_keeps_commas(tmp_path: Path) -> None:
    recover(tmp_path)
    append(tmp_path, StudyRow("a,b", "failed", 0, 'no "T2",\nno T1', 0.1), [])
    assert rows_of(tmp_path / "studies.csv")[0]["message"] == 'no "T2", no T1'
    assert list(recover(tmp_path)) == ["a,b"]


def test_a_second_run_finds_every_complete_study_and_changes_nothing(tmp_path: Path) -> None:
    recover(tmp_path)
    add(tmp_path, "a")
    add(tmp_path, "b")
    before = (tmp_path / "predictions.csv").read_bytes()
    assert list(recover(tmp_path)) == ["a", "b"]
    assert (tmp_path / "predictions.csv").read_bytes() == before


def test_a_study_without_its_line_in_studies_csv_is_removed(tmp_path: Path) -> None:
    recover(tmp_path)
    add(tmp_path, "a")
    complete = (tmp_path / "studies.csv").read_bytes()
    add(tmp_path, "b")
    (tmp_path / "studies.csv").write_bytes(complete)
    assert list(recover(tmp_path)) == ["a"]
    assert {row["study"] for row in rows_of(tmp_path / "predictions.csv")} == {"a"}


@pytest.mark.parametrize("lost_bytes", [1, 5, 60])
def test_a_cut_line_is_removed_with_its_study_only(tmp_path: Path, lost_bytes: int) -> None:
    recover(tmp_path)
    add(tmp_path, "a")
    append(tmp_path, StudyRow("b", "failed", 0, "x" * 60, 1.0), [])
    studies = tmp_path / "studies.csv"
    studies.write_bytes(studies.read_bytes()[:-lost_bytes])
    assert list(recover(tmp_path)) == ["a"]
    assert studies.read_bytes().endswith(b"\n")
    assert len(rows_of(tmp_path / "predictions.csv")) == 2


def test_of_a_study_that_was_completed_twice_the_later_result_counts(tmp_path: Path) -> None:
    recover(tmp_path)
    for key in ("a", "b", "a"):
        add(tmp_path, key)
    failed = replace(RESULT, key="b", status="failed")
    append(tmp_path, study_row(failed), [])
    assert [(key, row.status) for key, row in recover(tmp_path).items()] == [("a", RESULT.status), ("b", "failed")]
    assert [row["study"] for row in rows_of(tmp_path / "predictions.csv")] == ["a"] * len(RESULT.predictions)


def test_a_message_is_bounded_and_no_formula_and_an_endless_one_can_be_read_again(tmp_path: Path) -> None:
    recover(tmp_path)
    append(tmp_path, StudyRow("a", "failed", 0, "=HYPERLINK(1)", 0.1), [])
    append(tmp_path, StudyRow("b", "failed", 0, "; ".join(["a note"] * 40_000), 0.1), [])
    found = {row["study"]: row["message"] for row in rows_of(tmp_path / "studies.csv")}
    assert found["a"] == "'=HYPERLINK(1)" and len(found["b"]) < 5000
    assert recover(tmp_path)["a"].message == "=HYPERLINK(1)"
    with (tmp_path / "studies.csv").open("a", encoding="utf-8") as file:
        file.write(f"c,failed,0,0,,{'x' * 200_000},0.1\n")
    assert list(recover(tmp_path)) == ["a", "b", "c"]


def test_a_foreign_table_is_refused_and_kept(tmp_path: Path) -> None:
    foreign = tmp_path / "predictions.csv"
    foreign.write_text("my,own,table\n1,2,3\n")
    with pytest.raises(OutputError, match="other columns"):
        recover(tmp_path)
    assert foreign.read_text() == "my,own,table\n1,2,3\n"


def test_a_failed_write_leaves_the_table_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recover(tmp_path)
    add(tmp_path, "a")
    before = (tmp_path / "predictions.csv").read_bytes()

    def disk_full(descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(OSError, match="no space"):
        add(tmp_path, "b")
    assert (tmp_path / "predictions.csv").read_bytes() == before


def test_an_evaluation_may_add_columns(tmp_path: Path) -> None:
    rows = [{**row, "truth": "3"} for row in prediction_rows(RESULT)]
    write_table(tmp_path / "predictions.csv", (*tables.PREDICTION_COLUMNS, "truth"), rows)
    assert [row["truth"] for row in rows_of(tmp_path / "predictions.csv")] == ["3", "3"]
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.csv"]
