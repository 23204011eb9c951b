"""The pages in a real browser: no network, no complaint, filters that work, two printed pages.

Needs playwright (extra ``dev``) and a Chromium of the system: ``apt-get install chromium``.
"""

import csv
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spinenet.labels import LEVELS, RESEARCH_ONLY
from spinenet.locating.measuring.quantities import QUANTITIES
from spinenet.report.options import Language, ReportOptions
from spinenet.report.page.html import write_study_report
from spinenet.report.study_files import REPORTS_FOLDER, write_folder_files, write_study_files
from spinenet.report.text.language import phrases
from spinenet.study import Measurement, Note, Reason, Scope, Severity, StudyResult


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture
def run(complete: StudyResult, model: dict[str, Any], folder: Path) -> Path:
    """A folder of results: a study with findings at usual levels, a calm one, and one that failed."""
    calm = tuple(one for one in complete.predictions if one.target in ("pfirrmann", "modic"))
    refused = Note("no_sacrum", Scope.SERIES, "t2", "the sacrum is not in view", Severity.REFUSE)
    failed = replace(complete, key="failed", status="failed", flags=(refused,))
    if not (folder / "worklist.html").exists():
        for result in (replace(complete, key="busy"), replace(complete, key="calm", predictions=calm), failed):
            write_study_files(result, folder / REPORTS_FOLDER, model=model)
        without = replace(complete, key="without")
        write_study_report(without, folder / REPORTS_FOLDER, model=model, options=ReportOptions(slices=False))
        write_folder_files(folder, ["failed", "calm", "busy"])
    return folder


def visible(page: Any) -> list[str]:
    rows = page.locator("#worklist tbody tr").all()
    return [row.get_attribute("data-study") for row in rows if row.is_visible()]


@pytest.mark.parametrize("name", ["worklist.html", "reports/busy.html", "reports/failed.html"])
def test_a_page_opens_without_network_and_without_complaint(watched: Any, run: Path, name: str) -> None:
    page = watched.open(run / name)
    assert page.get_by_text(RESEARCH_ONLY).first.is_visible()
    assert all(url.startswith(("file://", "data:")) for url in watched.requests)
    assert watched.complaints == []


def test_every_picture_of_a_report_is_drawn(watched: Any, run: Path) -> None:
    page = watched.open(run / "reports/busy.html")
    widths = page.eval_on_selector_all("img", "images => images.map(image => image.naturalWidth)")
    assert len(widths) == 4 * (3 + 2 + 2) and min(widths) > 0


@pytest.mark.parametrize("name", ["busy", "calm", "failed"])
def test_a_report_prints_to_two_pages_at_most(watched: Any, run: Path, name: str) -> None:
    page = watched.open(run / f"reports/{name}.html")
    printed = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == (1 if name == "failed" else 2)


def test_a_report_of_ten_levels_prints_to_three_pages_at_most(
    watched: Any, complete: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    usual = complete.graded_levels
    likened = {level: usual[index % len(usual)] for index, level in enumerate(LEVELS)}
    tall = replace(
        complete,
        predictions=tuple(
            replace(one, level=level)
            for level, like in likened.items()
            for one in complete.predictions
            if one.level == like
        ),
        crops={level: complete.crops[like] for level, like in likened.items()},
    )
    page = watched.open(write_study_report(tall, tmp_path, model=model))
    assert page.locator(".grades tbody tr").first.locator("xpath=..").locator("tr").count() == len(LEVELS) == 10
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))) <= 3


def test_measurements_stay_off_paper_and_fit_on_a_phone(
    watched: Any, complete: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    sizes = tuple(
        Measurement(level, one.name, 123.4, one.unit, 12.3, 100, "t2")
        for level in complete.graded_levels
        for one in QUANTITIES
    )
    moved = tuple(Reason(words, change) for words, change in (("disc behind the bodies", 0.9), ("slip", -0.5)))
    told = tuple(replace(one, reasons=moved) for one in complete.predictions)
    path = write_study_report(replace(complete, measurements=sizes, predictions=told), tmp_path, model=model)
    page = watched.open(path)
    assert page.locator("details.sizes").count() == len(complete.graded_levels) + 1  # one was found, not graded
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))) == 2
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_the_worklist_starts_with_the_most_urgent_and_ends_with_what_was_not_graded(watched: Any, run: Path) -> None:
    assert visible(watched.open(run / "worklist.html")) == ["busy", "calm", "failed"]


def test_filters_leave_the_rows_that_fit(watched: Any, run: Path) -> None:
    page = watched.open(run / "worklist.html")
    page.fill("#search", "SACRUM view")
    assert visible(page) == ["failed"] and page.inner_text("#count") == "1 of 3 studies"
    page.fill("#search", "no such thing")
    assert visible(page) == [] and page.is_visible("#nothing")
    page.click("button[type=reset]")
    page.wait_for_function("document.getElementById('count').textContent === '3 of 3 studies'")
    page.select_option("#urgency", "not graded")
    assert visible(page) == ["failed"]
    page.select_option("#urgency", "")
    page.select_option("#lacking", "any or no series")
    page.select_option("#finding", "Disc herniation")
    assert visible(page) == ["busy"]
    page.select_option("#finding", "")
    page.select_option("#status", "ok")
    assert visible(page) == ["busy", "calm"]
    assert watched.complaints == []


def test_columns_sort_both_ways(watched: Any, run: Path) -> None:
    page = watched.open(run / "worklist.html")
    page.click("[data-key=study]")
    assert visible(page) == ["busy", "calm", "failed"]
    page.click("[data-key=study]")
    assert visible(page) == ["failed", "calm", "busy"]
    page.click("[data-key=place]")
    assert visible(page)[0] == "busy"
    page.click("[data-key=place]")
    assert visible(page)[0] == "failed"


def test_a_row_leads_to_its_report(watched: Any, run: Path) -> None:
    page = watched.open(run / "worklist.html")
    page.click("text=busy")
    page.wait_for_url("**/reports/busy.html")
    assert "busy" in page.title()


def test_marks_can_be_hidden(watched: Any, run: Path) -> None:
    page = watched.open(run / "reports/without.html")
    assert page.locator(".marks").first.is_visible()
    page.click(".toggle input")
    assert not page.locator(".marks").first.is_visible()


def test_the_report_text_is_copied_as_it_stands_in_its_file(watched: Any, run: Path) -> None:
    text = (run / "reports/busy.txt").read_text(encoding="utf-8")
    page = watched.open(run / "reports/busy.html")
    assert page.text_content("#report-text") == text and text.startswith("Lumbar spine MRI")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("button.copy")
    page.wait_for_function("document.querySelector('button.copy').textContent === 'copied'")
    assert page.evaluate("navigator.clipboard.readText()") == text
    assert not (run / "reports/failed.txt").exists()


def test_a_text_in_arabic_runs_from_the_right(
    watched: Any, complete: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    options = ReportOptions(language=Language.AR)
    page = watched.open(write_study_report(complete, tmp_path, model=model, options=options))
    assert page.eval_on_selector("#report-text", "text => getComputedStyle(text).direction") == "rtl"
    assert page.get_attribute("#report-text", "lang") == "ar"
    assert page.locator("header [lang=ar]").inner_text() == phrases(Language.AR)("page_language")


def test_no_choice_of_the_form_for_corrections_is_cut(watched: Any, run: Path) -> None:
    page = watched.open(run / "reports/busy.html")
    page.click("#correct summary")
    page.wait_for_selector("#correct td select")
    assert page.locator("#correct select").count() > 40
    cut = """selects => selects.filter((select) => {
        const pen = document.createElement("canvas").getContext("2d");
        pen.font = getComputedStyle(select).font;
        return pen.measureText(select.selectedOptions[0].textContent).width + 18 > select.clientWidth;
    }).map((select) => select.selectedOptions[0].textContent)"""
    assert page.eval_on_selector_all("#correct td select", cut) == []


def test_print_cuts_no_word_and_sets_none_below_seven_points(watched: Any, run: Path) -> None:
    page = watched.open(run / "reports/busy.html")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 without its margins
    shown = "[...document.querySelectorAll('body *:not(svg *)')].filter(one => one.checkVisibility())"
    wide = f"{shown}.filter(one => one.scrollWidth > one.clientWidth + 1 && one.clientWidth).map(one => one.outerHTML)"
    assert page.evaluate(wide) == []
    words = "[...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())"
    small = f"{shown}.filter(one => {words} && parseFloat(getComputedStyle(one).fontSize) < 9.33)"
    assert page.evaluate(f"{small}.map(one => one.outerHTML)") == []
    assert page.evaluate("document.documentElement.scrollWidth") == 718
    heights = "[...document.querySelectorAll('.marks text')].map(one => one.getBoundingClientRect().height)"
    assert all(height == 0 or height >= 9.33 for height in page.evaluate(heights))


@pytest.mark.parametrize("language", list(Language))
def test_sizes_with_errors_and_what_is_said_of_them_fit_their_columns_on_paper(
    watched: Any, complete: StudyResult, model: dict[str, Any], tmp_path: Path, language: Language
) -> None:
    sizes = (
        Measurement(complete.graded_levels[0], "canal_depth_least_mm", 6.1, "mm", 5.2, None, "t2"),
        Measurement(complete.graded_levels[0], "sac_area_mm2", 62.0, "mm2", 40.0, None, "t2"),
    )
    result = replace(complete, measurements=(*complete.measurements, *sizes), located=())
    page = watched.open(write_study_report(result, tmp_path, model=model, options=ReportOptions(language=language)))
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1000})
    cut = "cells => cells.map(one => [one.innerText, one.scrollWidth > one.clientWidth + 1])"
    cells = page.eval_on_selector_all(".grades td.number.weight2", cut)
    assert len(cells) == 2 and not any(is_cut for _, is_cut in cells), cells


@pytest.mark.parametrize(("columns", "first"), [("list", "priority"), ("findings", "how surely"), ("studies", "L5/S1")])
def test_sets_of_columns_are_saved_as_a_table(watched: Any, run: Path, columns: str, first: str) -> None:
    page = watched.open(run / "worklist.html")
    page.select_option("#columns", columns)
    with page.expect_download() as waited:
        page.click("#export")
    with open(waited.value.path(), newline="", encoding="utf-8-sig") as file:
        head, *lines = csv.reader(file)
    assert head[:3] == ["study", "patient", "examined"] and any(first in name for name in head)
    assert {len(line) for line in lines} == {len(head)} and {line[0] for line in lines} >= {"busy"}
    if columns != "findings":
        assert [line[0] for line in lines] == ["busy", "calm", "failed"]


def test_the_worklist_fits_on_a_phone(watched: Any, run: Path) -> None:
    page = watched.open(run / "worklist.html")
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.get_by_text("the sacrum is not in view").first.is_visible()
