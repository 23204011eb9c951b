"""The worklist: nothing missing, the most urgent on top, what was not graded plain to see."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spinenet.labels import EXPERIMENTAL, RESEARCH_ONLY
from spinenet.locating.discs import NUMBERING
from spinenet.report.document import document, study_entry, write_document
from spinenet.report.findings import urgency_of
from spinenet.report.page.worklist import entry_of, findings_by_urgency, render, write_worklist
from spinenet.study import Note, Prediction, Scope, Severity, StudyResult


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
    assert urgency_of(predictions) == expected


def test_an_uncertain_severe_grade_does_not_sink_down_the_list() -> None:
    assert urgency_of([replace(SEVERE, confident=False)]) == 3
    assert findings_by_urgency([replace(SEVERE, confident=False)]) == ("L4/L5 Spinal canal stenosis: severe?",)


def test_what_no_patient_has_verified_neither_moves_a_study_up_nor_stands_in_its_row(model: dict[str, Any]) -> None:
    tried = replace(SEVERE, confident=False, evidence="synthetic")
    row = entry_of(entry("a", tried, CALM), "a.html")
    assert (row.word, row.findings, row.open_grades) == ("none", (), 0)
    assert EXPERIMENTAL in render([row], model) and "Spinal canal" not in render([row], model)


def test_rows_are_sorted_by_urgency_and_what_was_not_graded_is_announced(model: dict[str, Any]) -> None:
    studies = [entry("c", LOW), refused("f", "no spine"), entry("a", SEVERE), entry("b", LOW)]
    html = render([entry_of(study, f"reports/{study['study']}.html") for study in studies], model)
    assert re.findall(r'data-study="(\w)"', html) == ["a", "b", "c", "f"]
    assert "<b>1</b> of 4 studies was not graded" in html
    assert "no spine" in html and html.count(RESEARCH_ONLY) == 2


def test_a_study_without_grades_is_not_called_unremarkable(model: dict[str, Any]) -> None:
    row = entry_of(refused("a", "two discs in view"), "a.html")
    assert (row.word, row.findings, row.reasons) == ("not graded", (), ("two discs in view",))
    assert "nothing that sets it apart" not in render([row], model)


def test_many_findings_are_cut_off_and_counted() -> None:
    several = [stenosis("foraminal_stenosis_left", 1, level=level) for level in ("L5/S1", "L4/L5", "L3/L4", "L2/L3")]
    named = findings_by_urgency([*several, LOW, SEVERE])
    assert (named[0], named[-1], len(named)) == ("L4/L5 Spinal canal stenosis: severe", "1 more", 6)


def test_cautions_are_listed_with_what_they_are_about() -> None:
    flags = (
        Note("a", Scope.LEVEL, "L1/L2", "out of view", Severity.FLAG),
        Note("b", Scope.STUDY, "", "no STIR"),
    )
    notes = (NUMBERING, Note("c", Scope.SERIES, "t1", "levels are named as in t2", Severity.FLAG))
    reasons = entry_of(entry("a", LOW, notes=notes, flags=flags, status="partial"), "a.html").reasons
    assert reasons == ("t1: levels are named as in t2", "L1/L2: out of view")


def test_links_lead_to_the_pages_whatever_the_key(graded: StudyResult, model: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "reports" / "ward 3 #1.json"
    file.parent.mkdir()
    write_document(file, document(model, [study_entry(replace(graded, key="ward 3 #1"))]))
    write_worklist([file], tmp_path / "worklist.html")
    html = (tmp_path / "worklist.html").read_text(encoding="utf-8")
    assert 'href="reports/ward%203%20%231.html"' in html
    assert "test model 2.1" in html
    assert not any(word in html for word in ("Doe", "4711", "1.2.3", "://"))


def test_markup_in_a_reason_is_shown_not_run(model: dict[str, Any]) -> None:
    row = entry_of(refused("a", "</td><script>alert(1)</script>"), "a.html")
    assert "<script>alert" not in render([row], model)
