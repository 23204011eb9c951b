"""``predictions.json``: as its published schema says, complete, readable again, and about no patient."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spinenet.errors import OutputError
from spinenet.labels import LEVELS, RESEARCH_ONLY, TARGET_INDEX, TARGETS, View
from spinenet.locating.measuring.quantities import level_measurements
from spinenet.report.document import (
    document,
    merge_documents,
    notes_of,
    predictions_of,
    read_document,
    study_entry,
    write_document,
)
from spinenet.report.schema import predictions_schema
from spinenet.study import Note, Prediction, Scope, Severity, StudyResult


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return predictions_schema()


def check(content: Any, schema: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(content, schema, jsonschema.Draft202012Validator)


def test_what_is_written_is_what_the_schema_says(
    graded: StudyResult, model: dict[str, Any], schema: dict[str, Any], tmp_path: Path
) -> None:
    failed = replace(graded, key="study-2", status="failed")
    entries = [study_entry(graded), study_entry(failed), study_entry(replace(graded, key="study-3"), identify=True)]
    write_document(tmp_path / "predictions.json", document(model, entries))
    content = read_document(tmp_path / "predictions.json")
    check(content, schema)
    assert content["notice"] == RESEARCH_ONLY
    assert [study["study"] for study in content["studies"]] == ["study-1", "study-2", "study-3"]


def test_levels_have_a_place_and_grades_the_slices_that_decided_them(graded: StudyResult) -> None:
    levels = study_entry(graded)["levels"]
    for entry, level in zip(levels, graded.levels, strict=True):
        assert entry["place"] == {"series": level.series, "center_mm": level.center_mm.tolist()}
        for grade in entry["grades"]:
            column = TARGET_INDEX[grade["target"]]
            shares = {
                (crop.series_name, crop.slice_index): crop.attention_T[column] for crop in graded.crops[level.name]
            }
            first = grade["slices"][0]
            assert shares[first["series"], first["slice"]] == max(shares.values())
            assert first["share"] == pytest.approx(max(shares.values()), abs=1e-3)
            assert 1 <= len(grade["slices"]) <= 3


def test_what_stands_in_the_place_of_a_missing_uid_is_told_nowhere(graded: StudyResult) -> None:
    nameless = replace(graded, origin=replace(graded.origin, study_uid="/ward/Doe"))
    assert "ward" not in json.dumps(study_entry(nameless, identify=True))


def test_uids_are_told_only_where_outputs_may_identify(graded: StudyResult) -> None:
    assert "1.2.3" not in json.dumps(study_entry(graded))
    told = study_entry(graded, identify=True)
    assert told["study_uid"] == "1.2.3" and "Doe" not in json.dumps(told) and "4711" not in json.dumps(told)
    for entry, one in zip(told["series"], graded.located, strict=True):
        assert entry["images"]["series_uid"] == one.series.images.series_uid
        named = [(image["sop_uid"], image["frame"]) for image in entry["images"]["slices"]]
        assert named == list(one.series.images.instances)


def test_the_schema_refuses_grades_of_another_scale(
    graded: StudyResult, model: dict[str, Any], schema: dict[str, Any]
) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    content = document(model, [study_entry(graded)])
    grade = content["studies"][0]["levels"][0]["grades"][0]
    for change in ({"grade": 0}, {"probabilities": [0.5, 0.5]}, {"evidence": "guess"}, {"patient": "Doe"}):
        content["studies"][0]["levels"][0]["grades"][0] = {**grade, **change}
        with pytest.raises(jsonschema.ValidationError):
            check(content, schema)


def test_the_schema_names_the_label_space(schema: dict[str, Any]) -> None:
    definitions = schema["$defs"]
    assert definitions["target"]["enum"] == [target.name for target in TARGETS]
    assert definitions["level"]["properties"]["level"]["enum"] == list(LEVELS)
    assert definitions["series"]["properties"]["view"]["enum"] == [*map(str, View), None]
    assert definitions["note"]["properties"]["scope"]["enum"] == list(map(str, Scope))
    assert definitions["note"]["properties"]["severity"]["enum"] == list(map(str, Severity))
    for target, rule in zip(TARGETS, definitions["grade"]["allOf"], strict=True):
        assert rule["if"]["properties"]["target"]["const"] == target.name
        assert rule["then"]["properties"]["grade"]["enum"] == list(target.grades)


def test_predictions_come_back_as_they_were(graded: StudyResult, model: dict[str, Any]) -> None:
    def rounded(one: Prediction) -> Prediction:
        return replace(one, probabilities=tuple(round(share, 6) for share in one.probabilities))

    assert predictions_of(study_entry(graded)) == tuple(map(rounded, graded.predictions))


def test_a_failed_study_has_a_reason_and_no_grade(graded: StudyResult) -> None:
    refused = Note("few_discs", Scope.SERIES, "t2", "no spine", Severity.REFUSE)
    entry = study_entry(replace(graded, status="failed", notes=(), flags=(refused, *graded.flags)))
    assert (entry["message"], entry["levels"], entry["series"]) == ("t2: no spine", [], [])
    assert [flag["code"] for flag in entry["flags"]] == ["few_discs", "low-signal"]


def test_notes_and_flags_come_back_as_they_were(graded: StudyResult) -> None:
    entry = study_entry(graded)
    assert (notes_of(entry["notes"]), notes_of(entry["flags"])) == (graded.notes, graded.flags)


def test_a_level_that_was_found_but_not_graded_is_listed_without_grades(graded: StudyResult) -> None:
    levels = {entry["level"]: entry for entry in study_entry(graded)["levels"]}
    assert list(levels) == ["L5/S1", "L4/L5", "L3/L4", "L2/L3", "L1/L2"]
    assert levels["L1/L2"]["grades"] == [] and levels["L1/L2"]["measurements"]


def test_measurements_are_the_mean_over_the_series_that_show_the_level(graded: StudyResult) -> None:
    t2, t1 = graded.located
    taller = replace(t1, frames=tuple(replace(frame, height_mm=frame.height_mm + 1) for frame in t1.frames[:2]))
    sizes = level_measurements((t2, taller), ())
    measured = {level.name: level.measurements for level in replace(graded, measurements=sizes).levels}
    assert [measured[level]["disc_height_mm"] for level in LEVELS[:3]] == [8.5, 9.5, 10.0]
    assert measured["L5/S1"]["disc_depth_mm"] == 30.0


def test_nothing_of_the_patient_is_in_it(graded: StudyResult, model: dict[str, Any]) -> None:
    text = json.dumps(document(model, [study_entry(graded)]))
    assert not any(word in text for word in ("Doe", "Jane", "4711", "1.2.3"))


def test_a_model_of_few_targets_lists_the_others_as_not_graded(model: dict[str, Any]) -> None:
    content = document({**model, "targets": ("pfirrmann",)}, [])
    assert content["not_graded"] == [target.name for target in TARGETS if target.name != "pfirrmann"]
    assert "fracture" in content["never_looked_for"]


def test_many_documents_become_one(
    graded: StudyResult, model: dict[str, Any], schema: dict[str, Any], tmp_path: Path
) -> None:
    parts = []
    for key in ("b", "a", "ü"):
        parts.append(tmp_path / f"{key}.json")
        write_document(parts[-1], document(model, [study_entry(replace(graded, key=key))]))
    merge_documents(parts, tmp_path / "predictions.json")
    content = read_document(tmp_path / "predictions.json")
    check(content, schema)
    assert [study["study"] for study in content["studies"]] == ["b", "a", "ü"]
    assert {**content, "studies": []} == {**read_document(parts[0]), "studies": []}


@pytest.mark.parametrize("text", ["", "[]", '{"format": 99}', '{"studies": '])
def test_another_file_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "predictions.json"
    path.write_text(text)
    with pytest.raises(OutputError, match=r"predictions\.json: not a predictions\.json of"):
        read_document(path)
