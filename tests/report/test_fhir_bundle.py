"""The FHIR bundle: valid to another implementation, of the study's own values, and of nobody by default."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spinenet.labels import RESEARCH_ONLY, TARGET
from spinenet.report.certainty import Certainty, reading_of
from spinenet.report.corrections import Corrections, corrected
from spinenet.report.dicom import codes
from spinenet.report.fhir_bundle import SYSTEMS, fhir_bundle
from spinenet.report.findings import in_words, is_found
from spinenet.report.options import Output, ReportOptions
from spinenet.report.reviewed import Review
from spinenet.report.study_files import write_study_files
from spinenet.report.text.narrative import narrative
from spinenet.study import Measurement, Origin, StudyResult

Resource = dict[str, Any]


def resources(bundle: Resource, kind: str) -> list[Resource]:
    return [one["resource"] for one in bundle["entry"] if one["resource"]["resourceType"] == kind]


def codes_of(concept: Resource) -> set[tuple[str, str]]:
    return {(one["system"], one["code"]) for one in concept["coding"]}


def grades_of(bundle: Resource) -> dict[tuple[str, str], Resource]:
    """(site, its question in words) -> the Observation of a grade."""
    graded = [one for one in resources(bundle, "Observation") if "text" in one["code"]]
    return {(one["bodySite"]["coding"][0]["code"], one["code"]["text"]): one for one in graded}


@pytest.mark.parametrize("identify", [False, True])
def test_another_implementation_takes_every_resource(
    graded: StudyResult, model: dict[str, Any], identify: bool
) -> None:
    r4b = pytest.importorskip("fhir.resources.R4B.bundle")
    person = {"PatientBirthDate": "19470813", "PatientSex": "F", "StudyDate": "20190722", "AccessionNumber": "8675309"}
    origin = Origin("1.2.3", "Doe^Jane", "ID4711", tuple(person.items()))
    bundle = fhir_bundle(replace(graded, origin=origin, experimental=True), model, identify=identify)
    read = r4b.Bundle.model_validate_json(json.dumps(bundle))
    assert len(read.entry) == len(bundle["entry"]) > len(graded.predictions)
    addresses = {one["fullUrl"] for one in bundle["entry"]}
    assert len(addresses) == len(bundle["entry"])
    referred = {value for value in strings_of(bundle) if value.startswith("urn:uuid:")}
    assert referred <= addresses
    systems = {one["system"] for one in dictionaries_of(bundle) if "system" in one and "code" in one}
    assert {one for one in systems if "hl7.org" not in one} <= {*SYSTEMS.values(), "urn:ietf:rfc:3986"}


def strings_of(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [text for value in node.values() for text in strings_of(value)]
    if isinstance(node, list):
        return [text for value in node for text in strings_of(value)]
    return [node] if isinstance(node, str) else []


def dictionaries_of(node: Any) -> list[Resource]:
    if isinstance(node, dict):
        return [node, *(one for value in node.values() for one in dictionaries_of(value))]
    return [one for value in node for one in dictionaries_of(value)] if isinstance(node, list) else []


def test_observations_have_the_grades_of_the_study(graded: StudyResult, model: dict[str, Any]) -> None:
    bundle = fhir_bundle(replace(graded, experimental=True), model)
    observations = grades_of(bundle)
    assert len(observations) == len(graded.predictions)
    for one in graded.predictions:
        target, reading = TARGET[one.target], reading_of(one)
        observation = observations[codes.SITES[target.unit][one.level].value, target.title]
        if one.confident:
            (value,) = codes_of(observation["valueCodeableConcept"])
            assert codes.grade_of_code(target, value[1]) == one.grade and "dataAbsentReason" not in observation
        else:
            assert "valueCodeableConcept" not in observation
            assert observation["dataAbsentReason"]["coding"][0]["code"] == "unknown"
        told: dict[str, list[Any]] = {}
        for part in observation["component"]:
            told.setdefault(part["code"]["coding"][0]["code"], []).append(
                part["valueQuantity"]["value"]
                if "valueQuantity" in part
                else part["valueCodeableConcept"]["coding"][0]["code"]
            )
        assert told[codes.PROBABILITY.value] == [pytest.approx(reading.share, abs=1e-5)]
        assert told[codes.EVIDENCE.value] == [one.evidence]
        in_set = [codes.grade_of_code(target, value) for value in told.get(codes.SET_MEMBER.value, [])]
        assert tuple(in_set) == one.grade_set
        if reading.certainty is not Certainty.STANDS:
            said = told[codes.GRADES[reading.certainty].value]
            assert tuple(codes.grade_of_code(target, value) for value in said) == reading.grades
        assert told.get(codes.LATERALITY.value) == ([codes.SIDES[target.side].value] if target.side else None)
        assert RESEARCH_ONLY in observation["note"][0]["text"]


def test_measurements_have_the_values_and_units_of_the_study(graded: StudyResult, model: dict[str, Any]) -> None:
    measured = [one for one in resources(fhir_bundle(graded, model), "Observation") if "text" not in one["code"]]
    for level, observation in zip(graded.levels, measured, strict=True):
        assert observation["bodySite"]["coding"][0]["code"] == codes.LEVEL_CODES[level.name].value
        values = {
            codes.MEASUREMENT_OF_CODE[part["code"]["coding"][0]["code"]]: part["valueQuantity"]
            for part in observation["component"]
        }
        assert {name: one["value"] for name, one in values.items()} == level.measurements
        assert {one["code"] for one in values.values()} == {"mm"}


def test_a_measurement_says_how_far_it_may_be_off(graded: StudyResult, model: dict[str, Any]) -> None:
    level = graded.levels[0].name
    sizes = (Measurement(level, "slip_mm", 4.5, "mm", 1.7, None, "t2"), Measurement(level, "disc_height_mm", 8.0, "mm"))
    bundle = fhir_bundle(replace(graded, measurements=sizes), model)
    (measured,) = [one for one in resources(bundle, "Observation") if "text" not in one["code"]]
    assert f"{level}: measurements; slip 95 % error ± 1.7 mm. " in measured["note"][0]["text"]


def test_conclusions_are_what_is_present_and_stood_by(graded: StudyResult, model: dict[str, Any]) -> None:
    for experimental in (False, True):
        (report,) = resources(fhir_bundle(replace(graded, experimental=experimental), model), "DiagnosticReport")
        found = [one for one in graded.predictions if is_found(one)]
        assert [one["text"] for one in report["conclusionCode"]] == [f"{one.level} {in_words(one)}" for one in found]
        assert report["status"] == "preliminary" and RESEARCH_ONLY in report["conclusion"]
    text = base64.b64decode(report["presentedForm"][0]["data"]).decode()
    assert text == narrative(replace(graded, experimental=True), model).text()


def test_what_no_patient_has_verified_is_in_it_only_if_asked_for(graded: StudyResult, model: dict[str, Any]) -> None:
    assert not any("stenosis" in question for _, question in grades_of(fhir_bundle(graded, model)))
    asked = grades_of(fhir_bundle(replace(graded, experimental=True), model))
    assert any("stenosis" in question for _, question in asked)


def test_common_data_elements_ask_what_the_target_asks(graded: StudyResult, model: dict[str, Any]) -> None:
    elements = {
        (question, code)
        for (_, question), one in grades_of(fhir_bundle(replace(graded, experimental=True), model)).items()
        for system, code in codes_of(one["code"])
        if system == "https://radelement.org"
    }
    assert elements == {
        ("Pfirrmann degeneration", "RDE1929"),
        ("Modic change", "RDE1517"),
        ("Disc narrowing", "RDE1515"),
        ("Spinal canal stenosis", "RDE2058"),
        ("Left subarticular stenosis", "RDE2031"),
        ("Right subarticular stenosis", "RDE2060"),
    }
    assert set(codes.RADELEMENTS) <= set(TARGET)


def test_who_was_examined_and_uids_are_told_only_if_asked_for(graded: StudyResult, model: dict[str, Any]) -> None:
    nameless = fhir_bundle(graded, model)
    for secret in ("Doe", "4711", "1.2.3."):
        assert secret not in json.dumps(nameless)
    assert resources(nameless, "ImagingStudy") == []
    assert resources(nameless, "Patient") == [{"resourceType": "Patient", "identifier": [{"value": "study-1"}]}]
    named = fhir_bundle(graded, model, identify=True)
    (patient,), (study,) = resources(named, "Patient"), resources(named, "ImagingStudy")
    assert patient["name"] == [{"text": "Doe, Jane"}] and patient["identifier"] == [{"value": "ID4711"}]
    assert study["identifier"] == [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}]
    uids = {series["uid"]: [one["uid"] for one in series["instance"]] for series in study["series"]}
    assert uids == {
        one.series.images.series_uid: [instance[0] for instance in one.series.images.instances]
        for one in graded.located
    }


@pytest.mark.parametrize("sex", ["", " ", "F", "f?", "X"])
@pytest.mark.parametrize("date", ["", "1947", "19470813", "19471399", "unknown"])
def test_headers_that_hold_anything_make_no_invalid_bundle(
    graded: StudyResult, model: dict[str, Any], sex: str, date: str
) -> None:
    r4b = pytest.importorskip("fhir.resources.R4B.bundle")
    told = {"PatientBirthDate": date, "PatientSex": sex, "StudyDate": date, "AccessionNumber": sex}
    for uid in ("1.2.3", "/ward/Doe"):
        odd = replace(graded, origin=Origin(uid, "^^=山田^太郎", " ", tuple(told.items())))
        bundle = fhir_bundle(odd, model, identify=True)
        r4b.Bundle.model_validate_json(json.dumps(bundle))
        assert "ward" not in json.dumps(bundle) and len(resources(bundle, "ImagingStudy")) == (uid == "1.2.3")


def test_a_report_that_a_reader_approved_is_final(graded: StudyResult, model: dict[str, Any]) -> None:
    review = Review("Reader^Jo", "2026-11-27T03:04:05Z", approved=True)
    bundle = fhir_bundle(corrected(graded, Corrections("study-1", "0" * 64, review)), model)
    (report,) = resources(bundle, "DiagnosticReport")
    assert report["status"] == "final" and report["resultsInterpreter"] == [{"display": "Reader^Jo"}]
    assert {one["status"] for one in resources(bundle, "Observation")} == {"final"}


def test_images_that_are_not_dicom_get_a_bundle_and_failed_studies_none(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    located = tuple(replace(one, series=replace(one.series, images=None)) for one in graded.located)
    plain = replace(graded, origin=None, located=located)
    options = ReportOptions(outputs=(Output.FHIR,), identify=True)
    write_study_files(plain, tmp_path, model=model, options=options)
    read = json.loads((tmp_path / "study-1.fhir.json").read_text(encoding="utf-8"))
    assert len(grades_of(read)) == len(plain.reported) and resources(read, "ImagingStudy") == []
    write_study_files(replace(plain, status="failed"), tmp_path, model=model, options=options)
    assert not (tmp_path / "study-1.fhir.json").exists()
