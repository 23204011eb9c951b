"""The pages in a real browser: no network, no complaint, filters that work, two printed pages.

Needs playwright (extra ``dev``) and a Chromium of the system: ``apt-get install chromium``.
"""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from spinenet.labels import LEVELS, RESEARCH_ONLY, View
from spinenet.locating.measuring.quantities import QUANTITIES
from spinenet.report.page.html import write_study_report
from spinenet.report.study_files import REPORTS_FOLDER, write_folder_files, write_study_files
from spinenet.study import LevelCrop, Measurement, Note, Reason, Scope, Severity, StudyResult

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")


@dataclass
class PageLog:
    """A page and everything it asked for or complained about."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, path: Path) -> Any:
        self.page.goto(path.as_uri())
        return self.page


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    quiet = ["--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=quiet, chromium_sandbox=False)
        yield browser
        browser.close()


@pytest.fixture
def watched(browser: Any) -> Iterator[PageLog]:
    context = browser.new_context(offline=True)
    watched = PageLog(context.new_page())
    watched.page.on("request", lambda request: watched.requests.append(request.url))
    watched.page.on("console", lambda message: watched.complaints.append(message.text))
    watched.page.on("pageerror", lambda error: watched.complaints.append(str(error)))
    yield watched
    context.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture
def run(graded: StudyResult, model: dict[str, Any], folder: Path) -> Path:
    """A folder of results: a study with findings at usual levels, a calm one, and one that failed."""
    calm = tuple(one for one in graded.predictions if one.target in ("pfirrmann", "modic"))
    refused = Note("no_sacrum", Scope.SERIES, "t2", "the sacrum is not in view", Severity.REFUSE)
    failed = replace(graded, key="failed", status="failed", flags=(refused,))
    if not (folder / "worklist.html").exists():
        for result in (replace(graded, key="busy"), replace(graded, key="calm", predictions=calm), failed):
            write_study_files(with_axial(result), folder / REPORTS_FOLDER, model=model)
        write_folder_files(folder, ["failed", "calm", "busy"])
    return folder


def with_axial(result: StudyResult) -> StudyResult:
    """The result with three axial crops a level beside the sagittal ones."""
    crops: dict[str, tuple[LevelCrop, ...]] = {}
    for level, several in result.crops.items():
        axial = [replace(crop, series_name="axial", view=View.AXIAL_T2) for crop in several[:3]]
        crops[level] = (*several, *axial)
    return replace(result, crops=crops)


def visible(page: Any) -> list[str]:
    rows = page.locator("#worklist tbody tr").all()
    return [row.get_attribute("data-study") for row in rows if row.is_visible()]


@pytest.mark.parametrize("name", ["worklist.html", "reports/busy.html", "reports/failed.html"])
def test_a_page_opens_without_network_and_without_complaint(watched: PageLog, run: Path, name: str) -> None:
    page = watched.open(run / name)
    assert page.get_by_text(RESEARCH_ONLY).first.is_visible()
    assert all(url.startswith(("file://", "data:")) for url in watched.requests)
    assert watched.complaints == []


def test_every_picture_of_a_report_is_drawn(watched: PageLog, run: Path) -> None:
    page = watched.open(run / "reports/busy.html")
    widths = page.eval_on_selector_all("img", "images => images.map(image => image.naturalWidth)")
    assert len(widths) == 4 * (3 + 2 + 2) and min(widths) > 0


@pytest.mark.parametrize("name", ["busy", "calm", "failed"])
def test_a_report_prints_to_two_pages_at_most(watched: PageLog, run: Path, name: str) -> None:
    page = watched.open(run / f"reports/{name}.html")
    printed = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == (1 if name == "failed" else 2)


def test_a_report_of_ten_levels_prints_to_three_pages_at_most(
    watched: PageLog, graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    axial = with_axial(graded)
    usual = graded.graded_levels
    likened = {level: usual[index % len(usual)] for index, level in enumerate(LEVELS)}
    tall = replace(
        axial,
        predictions=tuple(
            replace(one, level=level)
            for level, like in likened.items()
            for one in graded.predictions
            if one.level == like
        ),
        crops={level: axial.crops[like] for level, like in likened.items()},
    )
    page = watched.open(write_study_report(tall, tmp_path, model=model))
    assert page.locator(".glance tbody tr").count() == len(LEVELS) == 10
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))) <= 3


def test_measurements_take_one_printed_page_and_fit_on_a_phone(
    watched: PageLog, graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    sizes = tuple(
        Measurement(level, one.name, 123.4, one.unit, 12.3, 100, "t2")
        for level in graded.graded_levels
        for one in QUANTITIES
    )
    moved = tuple(Reason(words, change) for words, change in (("disc behind the bodies", 0.9), ("slip", -0.5)))
    told = tuple(replace(one, reasons=moved) for one in graded.predictions)
    path = write_study_report(replace(with_axial(graded), measurements=sizes, predictions=told), tmp_path, model=model)
    page = watched.open(path)
    assert page.locator(".sizes article").count() == len(graded.graded_levels) + 1  # one was found, not graded
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))) == 3
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_the_worklist_starts_with_the_most_urgent_and_ends_with_what_was_not_graded(
    watched: PageLog, run: Path
) -> None:
    assert visible(watched.open(run / "worklist.html")) == ["busy", "calm", "failed"]


def test_filters_leave_the_rows_that_fit(watched: PageLog, run: Path) -> None:
    page = watched.open(run / "worklist.html")
    page.fill("#search", "SACRUM view")
    assert visible(page) == ["failed"] and page.inner_text("#count") == "1 of 3"
    page.fill("#search", "no such thing")
    assert visible(page) == [] and page.is_visible("#nothing")
    page.click("button[type=reset]")
    page.wait_for_function("document.getElementById('count').textContent === '3 of 3'")
    page.select_option("#urgency", "not graded")
    assert visible(page) == ["failed"]
    page.select_option("#urgency", "")
    page.select_option("#status", "ok")
    assert visible(page) == ["busy", "calm"]
    assert watched.complaints == []


def test_columns_sort_both_ways(watched: PageLog, run: Path) -> None:
    page = watched.open(run / "worklist.html")
    page.click("[data-key=study]")
    assert visible(page) == ["busy", "calm", "failed"]
    page.click("[data-key=study]")
    assert visible(page) == ["failed", "calm", "busy"]
    page.click("[data-key=urgency]")
    assert visible(page)[0] == "busy"
    page.click("[data-key=urgency]")
    assert visible(page)[0] == "failed"


def test_a_row_leads_to_its_report(watched: PageLog, run: Path) -> None:
    page = watched.open(run / "worklist.html")
    page.click("text=busy")
    page.wait_for_url("**/reports/busy.html")
    assert "busy" in page.title()


def test_marks_can_be_hidden(watched: PageLog, run: Path) -> None:
    page = watched.open(run / "reports/busy.html")
    assert page.locator(".marks").first.is_visible()
    page.click(".toggle input")
    assert not page.locator(".marks").first.is_visible()
