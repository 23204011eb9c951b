"""What a reader changes on a page: saved as a file, read back, and put into every output."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from spinenet.checking.measured_findings import slip_flags
from spinenet.errors import OutputError
from spinenet.labels import LEVELS
from spinenet.report.certainty import Certainty, reading_of
from spinenet.report.corrections import corrected, correction_rows, read_corrections
from spinenet.report.dicom.objects import made_from
from spinenet.report.dicom.sr_text import read_report
from spinenet.report.dicom.structured_report import walk, write_report
from spinenet.report.options import Language
from spinenet.report.page.grade_table import grade_table
from spinenet.report.page.html import render, write_study_report
from spinenet.report.reviewed import as_predicted
from spinenet.report.text.language import phrases
from spinenet.report.text.narrative import narrative
from spinenet.study import Measurement, Prediction, StudyResult

CHANGES: dict[str, Any] = {
    "corrections": 2,
    "study": "study-1",
    "model": "0" * 64,
    "reader": "Reader^Jo",
    "at": "2026-11-27T03:04:05.678Z",
    "approved": True,
    "shift": 0,
    "struck": ["L2/L3"],
    "adopted": [],
    "grades": {"L4/L5": {"herniation": 1, "modic": None, "canal_stenosis": 2}, "L1/L2": {"bulging": 1}},
    "comments": {"L4/L5": "Extrusion to the left.", "": "Compare with 2024."},
}


@pytest.fixture
def saved(tmp_path: Path) -> Any:
    def save(**changes: Any) -> Path:
        path = tmp_path / "corrected.json"
        path.write_text(json.dumps({**CHANGES, **changes}), encoding="utf-8")
        return path

    return save


def test_a_grade_by_a_reader_takes_the_place_of_the_models(graded: StudyResult, saved: Any) -> None:
    result = corrected(graded, read_corrections(saved()))
    grades = {(one.level, one.target): one for one in result.predictions}
    one = grades["L4/L5", "herniation"]
    assert (one.grade, one.probabilities, one.confident, one.evidence) == (1, (0.0, 1.0), True, "reader")
    assert ("L4/L5", "modic") not in grades and not grades["L4/L5", "canal_stenosis"].experimental
    assert grades["L1/L2", "bulging"].evidence == "reader"  # a level that the model did not grade
    assert not any(level == "L2/L3" for level, _ in grades) and "L2/L3" not in {one.name for one in result.levels}
    before = {(one.level, one.target): one for one in graded.predictions}
    untouched = [key for key in grades if grades[key].evidence not in ("reader", "approved")]
    assert untouched and all(grades[key] == before[key] for key in untouched)
    assert as_predicted(result) is graded
    draft = corrected(graded, read_corrections(saved(approved=False)))
    assert {one.evidence for one in draft.predictions} == {"reader", "real", "synthetic"}


def test_what_a_reader_approves_is_no_longer_possible_in_text_page_and_structured_report(
    graded: StudyResult, model: dict[str, Any], saved: Any, tmp_path: Path
) -> None:
    result = corrected(graded, read_corrections(saved(grades={}, struck=[], adopted=list(LEVELS))))
    before = {(one.level, one.target): one for one in graded.predictions}
    stands = [one for one in result.predictions if one.evidence == "approved"]
    assert len([one for one in stands if not before[one.level, one.target].confident]) > 5
    for one in stands:
        said = reading_of(before[one.level, one.target])
        assert one.grade in said.grades and said.certainty is not Certainty.OPEN
        assert (reading_of(one).certainty, reading_of(one).grades) == (Certainty.STANDS, (one.grade,))
        assert one.probabilities == before[one.level, one.target].probabilities
    for language in Language:
        text = narrative(result, model, language)
        told = " ".join(sentence for _, sentences in text.findings for sentence in sentences).lower()
        for word in ("likely", "possible"):
            assert phrases(language).surely(word, "").lower() not in told
    page = render(result, model=model)
    assert "likely" not in page.split('<section class="grades">')[1].split("</table>")[0]
    assert "likely, possible or cannot be excluded was left so" in page
    made = made_from(result, model, identify=False)
    assert made is not None
    write_report(made, tmp_path / "report.dcm")
    reported = {(one.level, one.target): one for one in read_report(tmp_path / "report.dcm").grades}
    for one in stands:
        again = reported[one.level, one.target]
        assert (again.grades, again.certainty, again.evidence) == ((one.grade,), Certainty.STANDS, "approved")


def test_the_form_says_which_of_several_likely_grades_stands_once_it_is_taken_over(
    graded: StudyResult, model: dict[str, Any]
) -> None:
    one = Prediction("L4/L5", "pfirrmann", 3, (0.0, 0.1, 0.4, 0.5, 0.0), False, grade_set=(3, 4))
    said = "Pfirrmann degeneration: likely III or IV (90 %), taken as IV"
    assert said in render(replace(graded, predictions=(one,)), model=model)


def test_no_unsure_grade_becomes_the_readers_but_at_levels_where_it_was_taken_over(
    graded: StudyResult, saved: Any
) -> None:
    before = {(one.level, one.target): one for one in graded.predictions}
    assert read_corrections(saved(corrections=1)).adopted == set(LEVELS)  # what its form said
    for adopted in ([], ["L4/L5"]):
        result = corrected(graded, read_corrections(saved(grades={}, struck=[], adopted=adopted)))
        unsure = [one for one in result.predictions if not before[one.level, one.target].confident]
        assert {one.level for one in unsure if one.evidence == "approved"} == set(adopted)
        assert all(one == before[one.level, one.target] for one in unsure if one.level not in adopted)
    moved = corrected(graded, read_corrections(saved(grades={}, struck=[], adopted=["L4/L5"], shift=1)))
    names = {one.level for one, was in zip(moved.predictions, graded.predictions, strict=True)
             if one.evidence == "approved" and not was.confident}  # fmt: skip
    assert names == {"L3/L4"}


def test_a_transitional_vertebra_moves_every_name_by_one(graded: StudyResult, saved: Any) -> None:
    result = corrected(graded, read_corrections(saved(shift=1, grades={}, struck=[], comments={"L5/S1": "sacralised"})))
    up = {level: LEVELS[LEVELS.index(level) + 1] for level in LEVELS[:-1]}
    assert [one.level for one in result.predictions] == [up[one.level] for one in graded.predictions]
    assert {one.level for one in result.measurements} == {up[one.level] for one in graded.measurements}
    assert set(result.crops) == {up[level] for level in graded.crops}
    for after, before in zip(result.located, graded.located, strict=True):
        assert [one.level for one in after.frames] == [up[one.level] for one in before.frames]
        assert [one.center_mm is two.center_mm for one, two in zip(after.frames, before.frames, strict=True)]
    text = dict(narrative(result, {}).findings)
    assert "Reader's comment: sacralised" in text["L4/L5"]


def test_text_and_page_say_who_corrected_and_approved(graded: StudyResult, model: dict[str, Any], saved: Any) -> None:
    result = corrected(graded, read_corrections(saved()))
    text = narrative(result, model)
    assert text.made_by.endswith("what is likely, possible or cannot be excluded was left so.")
    level = dict(text.findings)["L4/L5"]
    assert "Disc herniation (protrusion or extrusion not distinguished)." in level
    assert "Severe spinal canal stenosis." in level and level[-1] == "Reader's comment: Extrusion to the left."
    assert text.impression[-1] == "Reader's comment: Compare with 2024."
    html = render(result, model=model)
    assert "Corrected and approved by Reader^Jo, 2026-11-27 03:04 UTC." in html
    assert re.search(r'<span class="grade">present</span> <span class="percent">reader', html)
    draft = render(corrected(graded, read_corrections(saved(approved=False))), model=model)
    assert "Corrected, not approved, by Reader^Jo" in draft


def test_an_experimental_grade_beside_a_readers_is_not_said_to_be_missing(
    graded: StudyResult, model: dict[str, Any], saved: Any
) -> None:
    result = corrected(graded, read_corrections(saved(struck=[], grades={"L4/L5": {"canal_stenosis": 2}})))
    levels = [one.level for one in graded.predictions if one.target == "canal_stenosis"]
    stood = [one for one in result.predictions if not one.experimental]
    tried = [one for one in result.predictions if one.experimental]
    for given, others, word in ((stood, tried, "experimental"), (tried, stood, "reader")):
        table = grade_table(given, levels, others=others)
        cells = {level: row[table.columns.index("Spinal canal stenosis")] for level, row, _ in table.rows}
        empty = {level for level, cell in cells.items() if cell == word}
        assert len(levels) > 1 and empty == ({"L4/L5"} if word == "reader" else set(levels) - {"L4/L5"})
        assert None not in cells.values()
    page = render(result, model=model).replace("\u00ad", "")
    assert page.count('<td class="empty">experimental</td>') == len(levels) - 1


def test_an_approved_report_is_verified_with_the_reader_as_observer(
    graded: StudyResult, model: dict[str, Any], saved: Any, tmp_path: Path
) -> None:
    for approved, flags in ((True, ("VERIFIED", "FINAL")), (False, ("UNVERIFIED", "PRELIMINARY"))):
        made = made_from(corrected(graded, read_corrections(saved(approved=approved))), model, identify=False)
        assert made is not None
        write_report(made, tmp_path / "report.dcm")
        report = dcmread(tmp_path / "report.dcm")
        assert (report.VerificationFlag, report.PreliminaryFlag) == flags
        observers = [one.PersonName for one in report.ContentSequence if one.ValueType == "PNAME"]
        assert observers == ["Reader^Jo"]
        groups = [one for one in walk(report.ContentSequence) if one.ConceptNameCodeSequence[0].CodeValue == "125007"]
        by_algorithm = [one for one in groups if "Algorithm Name" in str(one.ContentSequence)]
        given = [grade for grade in read_corrections(saved()).grades.values() if grade is not None]
        assert len(groups) - len(by_algorithm) == 1 + len(given)  # the study's group, and the reader's
        grades = {(one.level, one.target): one for one in read_report(tmp_path / "report.dcm").grades}
        assert (grades["L4/L5", "herniation"].grades, grades["L4/L5", "herniation"].evidence) == ((1,), "reader")
        if approved:
            (verifier,) = report.VerifyingObserverSequence
            assert (verifier.VerifyingObserverName, verifier.VerificationDateTime) == ("Reader^Jo", "20261127030405")
        else:
            assert "VerifyingObserverSequence" not in report


def test_corrections_are_labels_beside_what_the_model_said(graded: StudyResult, saved: Any) -> None:
    rows = list(correction_rows(graded, read_corrections(saved())))
    said = {(one.level, one.target): one.grade for one in graded.predictions}
    assert {(row["level"], row["target"]): row["corrected"] for row in rows} == {
        ("L4/L5", "herniation"): "1",
        ("L4/L5", "canal_stenosis"): "2",
        ("L1/L2", "bulging"): "1",
    }
    assert rows[0]["grade"] == str(said["L4/L5", "herniation"]) and rows[-1]["grade"] == ""


@pytest.mark.parametrize(
    "wrong",
    [
        {"corrections": 3},
        {"grades": {"L4/L5": {"herniation": 7}}},
        {"grades": {"L4/L5": {"weather": 1}}},
        {"grades": {"C4/C5": {"herniation": 1}}},
        {"shift": 3},
        {"reader": " "},
        {"struck": ["none"]},
    ],
)
def test_a_file_that_is_no_correction_is_refused_in_one_line(saved: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(OutputError) as refused:
        read_corrections(saved(**wrong))
    assert "corrected.json" in str(refused.value) and "\n" not in str(refused.value)


def test_corrections_of_another_study_are_refused(graded: StudyResult, saved: Any) -> None:
    with pytest.raises(OutputError, match="none of other"):
        corrected(replace(graded, key="other"), read_corrections(saved()))


def test_the_form_saves_what_was_changed_and_shows_it_again(
    watched: Any, complete: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    page = watched.open(write_study_report(complete, tmp_path, model=model))
    page.click("#correct summary")
    given = {(one.level, one.target): one.grade for one in complete.predictions}
    other = str(1 - given["L4/L5", "herniation"])
    page.fill("#correct [name=reader]", "Reader^Jo")
    page.select_option('#correct [name="L4/L5|herniation"]', other)
    page.select_option('#correct [name="L3/L4|modic"]', "struck")
    page.check('#correct [name="struck|L2/L3"]')
    page.fill('#correct [name="comment|L4/L5"]', 'to the left, "large" </script>')
    page.select_option("#correct [name=shift]", "1")
    listed = page.locator("#correct .unsure li:has(> label)")
    assert listed.count() > 1 and not page.locator('#correct [name="adopted|L2/L3"]').is_visible()
    assert "herniation" not in listed.filter(has_text="L4/L5").inner_text()  # the reader has graded it
    page.check('#correct [name="adopted|L4/L5"]')
    page.check("#correct [name=approved]")
    with page.expect_download() as download:
        page.click("#correct [type=submit]")
    download.value.save_as(tmp_path / "corrected.json")
    corrections = read_corrections(tmp_path / "corrected.json")
    assert corrections.grades == {("L4/L5", "herniation"): int(other), ("L3/L4", "modic"): None}
    assert (corrections.struck, corrections.shift, corrections.review.approved) == ({"L2/L3"}, 1, True)
    assert corrections.adopted == {"L4/L5"}
    assert corrections.model == model["digest"] and watched.complaints == []
    result = replace(corrected(complete, corrections), key="again")
    page = watched.open(write_study_report(result, tmp_path, model=model))
    page.click("#correct summary")
    assert page.input_value('#correct [name="L4/L5|herniation"]') == other
    assert page.input_value('#correct [name="comment|L4/L5"]') == 'to the left, "large" </script>'
    assert page.is_checked('#correct [name="adopted|L4/L5"]')
    assert page.is_checked('#correct [name="struck|L2/L3"]') and page.input_value("#correct [name=shift]") == "1"
    assert watched.complaints == []
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_slip_that_the_reader_sees_is_no_longer_said_to_be_graded_absent(
    graded: StudyResult, saved: Any, model: dict[str, Any]
) -> None:
    slip = Measurement("L4/L5", "slip_mm", 7.8, "mm", 1.5, 99, "t2")
    absent = Prediction("L4/L5", "spondylolisthesis", 0, (0.9, 0.1), True)
    measured = replace(graded, predictions=(absent,), measurements=(slip,), flags=slip_flags((absent,), (slip,)))
    for grade, is_cautioned in ((1, False), (0, True)):
        corrections = read_corrections(saved(grades={"L4/L5": {"spondylolisthesis": grade}}))
        page = render(corrected(measured, corrections), model=model)
        assert ("a forward slip of 7.8 mm was measured" in page) is is_cautioned
