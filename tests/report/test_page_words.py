"""The words of a page: every one of them in every language, with the same places to be filled."""

import re
import string
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from spinenet.labels import TARGETS
from spinenet.locating.measuring.quantities import QUANTITIES
from spinenet.report import page
from spinenet.report.certainty import BY_READER, EXPLAINED, Certainty
from spinenet.report.identification import Identification
from spinenet.report.options import Language, ReportOptions
from spinenet.report.page import html, strips
from spinenet.report.page.html import render, write_study_report
from spinenet.report.text.language import phrases
from spinenet.study import StudyResult

FOLDER = Path(str(files(page)))
OTHERS = [language for language in Language if language is not Language.EN]
ASKED = re.compile(r'\bt\(\s*"((?:[^"\\]|\\.)+)"|words\(\s*"((?:[^"\\]|\\.)+)"(?: if [^)]*? else "([^"]+)")?')


def table(language: Language) -> dict[str, Any]:
    return tomllib.loads((FOLDER / "words" / f"{language}.toml").read_text(encoding="utf-8"))


def asked() -> set[str]:
    """All English words that templates, scripts and modules of the page ask for, and those of labels and sizes."""
    sources = [*(FOLDER / "templates").glob("*"), Path(html.__file__), Path(strips.__file__)]
    found = {word for path in sources for words in ASKED.findall(path.read_text("utf-8")) for word in words if word}
    steps = {words for target in TARGETS for step in target.steps for words in (step.words, step.short) if words}
    numerals = {"I", "II", "III", "IV", "V"}
    sizes = {words for one in QUANTITIES for words in (one.words, one.heading)}
    said = {one.value for one in Certainty if one.value} | set(BY_READER.values()) | {EXPLAINED, "reader", "approved"}
    headings = {heading for heading, _ in Identification("a", "b", "c", "d", "e", "f").parts} | {"Model", "Licence"}
    headed = {html.APPROVED, html.BY_OUTLINES, html.BY_LOCATOR, "ok", "partial", "failed", "Refused", "Caution", "Note"}
    return found | (steps - numerals) | sizes | said | headings | headed


@pytest.mark.parametrize("language", OTHERS)
def test_every_word_of_the_page_is_translated_with_the_same_places(language: Language) -> None:
    words = table(language)
    assert asked() - set(words) == set()
    assert set(words["note"]) == set(table(Language.DE)["note"])
    for english, other in words.items():
        if english != "note":
            places = [{name for _, name, *_ in string.Formatter().parse(text) if name} for text in (english, other)]
            assert places[0] == places[1] and other.strip(), english


@pytest.mark.parametrize("language", OTHERS)
def test_a_page_holds_no_english_but_the_programs_remarks(
    complete: StudyResult, model: dict[str, Any], language: Language
) -> None:
    page = render(complete, model=model, options=ReportOptions(language=language))
    text = re.sub(
        r'<bdi lang="en">.*?</bdi>|<script.*?</script>|<style>.*?</style>|<code.*?</code>', " ", page, flags=re.S
    )
    text = re.sub(r"<dl class=\"model\">.*?</dl>", " ", text, flags=re.S)
    shown = " ".join(re.findall(r">([^<]+)<", text))
    english = set(re.findall(r"\b(?:the|of|and|not|level|disc|slice|slices|with|found|likely|graded|below)\b", shown))
    assert english == set()
    assert f'<html lang="{language}" dir="{phrases(language)("direction")}">' in page


@pytest.mark.parametrize("language", OTHERS)
def test_a_page_of_five_levels_prints_to_two_pages_in_every_language(
    watched: Any, complete: StudyResult, model: dict[str, Any], tmp_path: Path, language: Language
) -> None:
    page = watched.open(
        write_study_report(complete, tmp_path, model=model, options=ReportOptions(language=language, slices=False))
    )
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))) == 2


def test_a_page_in_arabic_runs_from_the_right_in_a_browser(
    watched: Any, complete: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    path = write_study_report(complete, tmp_path, model=model, options=ReportOptions(language=Language.AR))
    page = watched.open(path)
    page.wait_for_selector("#viewer[data-ready]")
    first, last = (page.locator(f"section.grades thead th >> nth={index}").bounding_box() for index in (0, -1))
    assert first["x"] > last["x"]
    page.locator(".open-slice").first.click()
    assert "قُرئ من" in page.inner_text(".read-from")
    page.click("#correct summary")
    assert page.locator("#correct td select option", has_text="مشطوب").count() > 0
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))) == 2
    assert watched.complaints == []
