"""The worklist: nothing missing, the most urgent on top, what was not graded plain to see."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spinenet.labels import RESEARCH_ONLY
from spinenet.locating.discs import NUMBERING
from spinenet.report.document import document, study_entry, write_document
from spinenet.report.identification import Identification
from spinenet.report.options import Language
from spinenet.report.page.html import render as render_study
from spinenet.report.page.page_words import page_words
from spinenet.report.page.worklist import entry_of, render, write_worklist
from spinenet.report.ranking import ranking, ranking_of
from spinenet.report.text.narrative import narrative
from spinenet.study import Measurement, Note, Prediction, Scope, Severity, StudyResult


def stenosis(target: str, grade: int, *, confident: bool = True, level: str = "L4/L5") -> Prediction:
    shares = tuple(0.8 if index == grade else 0.1 for index in range(3))
    return Prediction(level, target, grade, shares, confident)


SEVERE = stenosis("canal_stenosis", 2)
MODERATE = stenosis("foraminal_stenosis_left", 2)
LOW = Prediction("L5/S1", "herniation", 1, (0.4, 0.6), True)
CALM = Prediction("L5/S1", "pfirrmann", 5, (0.0, 0.0, 0.0, 0.1, 0.9), True)


def entry(key: str, *predictions: Prediction, **changes: Any) -> dict[str, Any]:
    return study_entry(replace(StudyResult(key, "ok", 0.1, predictions=predictions), **changes))


def refused(key: str, reason: str) -> dict[str, Any]:
    return entry(key, status="failed", flags=(Note("few_discs", Scope.STUDY, "", reason, Severity.REFUSE),))


@pytest.mark.parametrize(("predictions", "expected"), [((SEVERE, LOW), 3), ((MODERATE,), 2), ((LOW,), 1), ((CALM,), 0)])
def test_severe_stenosis_of_the_canal_comes_first(predictions: tuple[Prediction, ...], expected: int) -> None:
    assert ranking(predictions).urgency == expected


def test_what_is_likely_moves_a_study_up_and_what_cannot_be_excluded_is_named_beside_it() -> None:
    likely = replace(SEVERE, confident=False, grade_set=(1, 2))
    row = entry_of(entry("a", likely, CALM), "a.html")
    assert row.urgency == 3
    assert row.found[0] == "L4/L5 spinal canal stenosis: likely moderate or severe (90 %)"
    rare = Prediction("L4/L5", "canal_stenosis", 0, (0.7, 0.1, 0.2), False, grade_set=(0, 2))
    row = entry_of(entry("a", rare, CALM), "a.html")
    assert (row.word, row.still_open) == ("routine", ("L4/L5 spinal canal stenosis: severe (30 %)",))
    slip = Prediction("L5/S1", "spondylolisthesis", 0, (0.8, 0.2), False, grade_set=(0, 1))
    assert entry_of(entry("a", slip), "a.html").still_open == ("L5/S1 spondylolisthesis (20 %)",)


def test_a_depth_within_its_error_stands_behind_what_is_graded_unless_the_sac_leads_too() -> None:
    depth = Measurement("L3/L4", "canal_depth_least_mm", 8.9, "mm", 3.7, 0, "t2")
    sac = Measurement("L3/L4", "sac_area_mm2", 60.0, "mm²", 30.0, 0, "t2")
    degenerated = Prediction("L5/S1", "narrowing", 1, (0.0, 1.0), True)
    for measured, word, first in (((depth,), "low", "L5/S1"), ((depth, sac), "moderate", "L3/L4")):
        row = entry_of(entry("a", degenerated, measurements=measured), "a.html")
        assert row.word == word and row.found[0].startswith(first) and "8.9 ± 3.7 mm deep" in " ".join(row.found)


def test_a_narrow_canal_moves_a_study_up_by_what_was_measured() -> None:
    narrow = Measurement("L3/L4", "canal_depth_least_mm", 6.0, "mm", 2.1, 0, "t2")
    row = entry_of(entry("a", CALM, measurements=(narrow,)), "a.html")
    assert (row.word, row.found[-1]) == ("moderate", "L5/S1 Pfirrmann degeneration: V (90 %)")
    assert row.found[0] == "L3/L4 very narrow spinal canal as measured (6.0 ± 2.1 mm deep)"


def test_series_that_a_study_lacks_stand_in_its_row(graded: StudyResult, model: dict[str, Any]) -> None:
    views = ["sagittal_t1", "sagittal_t2", "sagittal_stir", "axial_t2"]
    row = entry_of(study_entry(graded), "a.html", views)
    assert row.lacking == ("axial T2",) and 'data-lacking="axial T2"' in render([row], model)
    assert entry_of(refused("a", "no spine"), "a.html", views).lacking == ()


def test_patient_date_and_place_have_columns_where_they_are_known(model: dict[str, Any]) -> None:
    person = Identification("Doe, Jane", "4711", "1960-05-03", "F", "2026-01-02", "A7", "/archive/1")
    rows = [entry_of(entry("a", LOW), "a.html", (), person), entry_of(entry("b", LOW), "b.html")]
    html = render(rows, model)
    assert all(part in html for part in ("Doe, Jane", "4711", "2026-01-02", "/archive/1", ">Examined<"))
    assert ">Examined<" not in render(rows[1:], model)


def test_what_no_patient_has_verified_neither_moves_a_study_up_nor_stands_in_its_row(model: dict[str, Any]) -> None:
    tried = replace(SEVERE, confident=False, evidence="synthetic")
    row = entry_of(entry("a", tried, CALM), "a.html")
    assert (row.word, row.found) == ("routine", ("L5/S1 Pfirrmann degeneration: V (90 %)",))
    html = render([row], model)
    assert "not verified on patients" in html and "spinal canal" not in html.split("Order for reading")[0].lower()


def test_rows_are_sorted_by_urgency_and_what_was_not_graded_is_announced(model: dict[str, Any]) -> None:
    studies = [entry("c", LOW), refused("f", "no spine"), entry("a", SEVERE), entry("b", LOW)]
    html = render([entry_of(study, f"reports/{study['study']}.html") for study in studies], model)
    assert re.findall(r'data-study="(\w)"', html) == ["a", "b", "c", "f"]
    assert "Not graded, to be read without help, and nothing about them is known: 1 of 4." in html
    assert "no spine" in html and html.count(RESEARCH_ONLY) == 2


def test_a_study_without_grades_is_not_called_unremarkable(model: dict[str, Any]) -> None:
    row = entry_of(refused("a", "two discs in view"), "a.html")
    assert (row.word, row.found, row.reasons) == ("not graded", (), (("", "two discs in view"),))
    assert "No finding" not in render([row], model)


def test_many_findings_are_cut_off_and_counted() -> None:
    several = [stenosis("foraminal_stenosis_left", 1, level=level) for level in ("L5/S1", "L4/L5", "L3/L4", "L2/L3")]
    found = entry_of(entry("a", *several, LOW, SEVERE), "a.html").found
    assert (found[0], found[-1], len(found)) == ("L4/L5 spinal canal stenosis: severe (80 %)", "3 more", 4)


def test_cautions_are_listed_with_what_they_are_about() -> None:
    flags = (
        Note("a", Scope.LEVEL, "L1/L2", "out of view", Severity.FLAG),
        Note("b", Scope.STUDY, "", "no STIR"),
    )
    notes = (NUMBERING, Note("c", Scope.SERIES, "t1", "levels are named as in t2", Severity.FLAG))
    reasons = entry_of(entry("a", LOW, notes=notes, flags=flags, status="partial"), "a.html").reasons
    assert reasons == (("", "t1: levels are named as in t2"), ("", "L1/L2: out of view"))


def test_links_lead_to_the_pages_whatever_the_key(graded: StudyResult, model: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "reports" / "ward 3 #1.json"
    file.parent.mkdir()
    write_document(file, document(model, [study_entry(replace(graded, key="ward 3 #1"))]))
    write_worklist({file: tmp_path / "none.json"}, tmp_path / "worklist.html")
    html = (tmp_path / "worklist.html").read_text(encoding="utf-8")
    assert 'href="reports/ward%203%20%231.html"' in html
    assert "test model 2.1" in html
    assert not any(word in html for word in ("Doe", "4711", "1.2.3", "://"))


def test_markup_in_a_reason_is_shown_not_run(model: dict[str, Any]) -> None:
    row = entry_of(refused("a", "</td><script>alert(1)</script>"), "a.html")
    assert "<script>alert" not in render([row], model)


def test_what_is_slight_leads_only_where_there_is_nothing_else() -> None:
    slight = Prediction("L5/S1", "pfirrmann", 4, (0.0, 0.0, 0.4, 0.6, 0.0), False, grade_set=(3, 4))
    low = Prediction("L4/L5", "narrowing", 1, (0.1, 0.9), True)
    assert [one.source for one in ranking([slight, low]).leading] == [low]
    assert [one.source for one in ranking([slight]).leading] == [slight]


def test_page_impression_and_worklist_begin_with_the_same_finding(graded: StudyResult, model: dict[str, Any]) -> None:
    slip, canal = (
        Measurement("L4/L5", "slip_mm", 7.8, "mm", 1.5, 99, "t2"),
        Measurement("L3/L4", "canal_depth_least_mm", 6.0, "mm", 2.1, 0, "t2"),
    )
    absent = Prediction("L4/L5", "spondylolisthesis", 0, (0.8, 0.2), False, grade_set=(0, 1))
    high = stenosis("foraminal_stenosis_left", 2, level="L2/L3")
    slight = Prediction("L1/L2", "pfirrmann", 4, (0.0, 0.0, 0.4, 0.6, 0.0), False, grade_set=(3, 4))
    for predictions, sizes, first, words in (
        (
            (absent, LOW),
            (slip,),
            "L4/L5",
            "forward slip of 7.8 mm (± 1.5) measured; the grade of the pictures is absent",
        ),
        ((absent, LOW), (canal, slip), "L3/L4", "very narrow spinal canal as measured (6.0 ± 2.1 mm deep)"),
        ((high, LOW), (canal,), "L2/L3", "foraminal stenosis"),
        ((LOW, slight), (), "L5/S1", "herniation"),
        ((slight,), (), "L1/L2", "Pfirrmann"),
    ):
        result = replace(graded, predictions=predictions, measurements=sizes)
        page = re.search(r'<p class="worst">(.*?)</p>', render_study(result, model=model))
        row = entry_of(study_entry(result), "a.html")
        told = (page[1] if page else "", narrative(result, model).impression[0], row.found[0])
        assert all(one.startswith(first) and words in one for one in told), told
        assert not any(first in one and "spondylolisthesis" in one for one in row.still_open)
        assert row.urgency == ranking_of(result).urgency == (0 if result.predictions == (slight,) else row.urgency)


@pytest.mark.parametrize("language", list(Language)[1:])
def test_the_worklist_speaks_the_language_asked_for(model: dict[str, Any], language: Language) -> None:
    words = page_words(language)
    slip = Prediction("L5/S1", "spondylolisthesis", 0, (0.8, 0.2), False, grade_set=(0, 1))
    studies = (entry("a", LOW, slip), refused("b", "no spine"))
    rows = [entry_of(one, "a.html", ["axial_t2"], None, words) for one in studies]
    html = render(rows, model, words)
    text = re.sub(r'<bdi lang="en">.*?</bdi>|<script.*?</script>|<style>.*?</style>', " ", html, flags=re.S)
    shown = " ".join(re.findall(r">([^<]+)<", text))
    assert not re.search(r"\b(?:the|of|and|not|graded|herniation|levels?|low|study|lacks)\b", shown), shown
    assert words.phrases.brief("herniation") in html and f'<html lang="{language}"' in html
    assert '<bdi lang="en">no spine</bdi>' in html
