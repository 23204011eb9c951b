"""The words of a page: every one of them in every language, with the same places to be filled."""

import re
import string
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from spinenet.labels import TARGET, TARGETS
from spinenet.locating.measuring.quantities import QUANTITIES
from spinenet.report import page
from spinenet.report.certainty import BY_READER, EXPLAINED, PLAINLY, PLAINLY_OF_A_READER, Certainty
from spinenet.report.findings import URGENCIES
from spinenet.report.identification import Identification
from spinenet.report.options import Language, ReportOptions
from spinenet.report.page import change, change_sentences, html, shifted_names, strips, study_pairs, worklist
from spinenet.report.page.html import render, write_study_report
from spinenet.report.page.page_words import page_words
from spinenet.report.text.language import phrases
from spinenet.serve import change_lines
from spinenet.study import Prediction, StudyResult

FOLDER = Path(str(files(page)))
OTHERS = [language for language in Language if language is not Language.EN]
ASKED = re.compile(r'\bt\(\s*"((?:[^"\\]|\\.)+)"|words\(\s*"((?:[^"\\]|\\.)+)"(?: if [^)]*? else "([^"]+)")?')


def table(language: Language) -> dict[str, Any]:
    said = phrases(language).table("surely")
    return said | tomllib.loads((FOLDER / "words" / f"{language}.toml").read_text(encoding="utf-8"))


def asked() -> set[str]:
    """All English words that templates, scripts and modules of the page ask for, and those of labels and sizes."""
    modules = (html, strips, worklist, change, change_sentences, change_lines)
    sources = [*(FOLDER / "templates").glob("*"), *(Path(str(one.__file__)) for one in modules)]
    found = {word for path in sources for words in ASKED.findall(path.read_text("utf-8")) for word in words if word}
    steps = {words for target in TARGETS for step in target.steps for words in (step.words, step.short) if words}
    numerals = {"I", "II", "III", "IV", "V"}
    sizes = {words for one in QUANTITIES for words in (one.words, one.heading)}
    said = (
        {one.value for one in Certainty if one.value}
        | set(BY_READER.values())
        | {EXPLAINED, PLAINLY, PLAINLY_OF_A_READER, "reader", "approved"}
    )
    headings = {heading for heading, _ in Identification("a", "b", "c", "d", "e", "f").parts} | {"Model", "Licence"}
    headed = {html.APPROVED, html.BY_OUTLINES, html.BY_LOCATOR, "ok", "partial", "failed", "Refused", "Caution", "Note"}
    compared = {*change.VERDICTS, *change_sentences.GONE, shifted_names.SHIFTED, study_pairs.NOT_CHECKED, "up", "down"}
    listed = {
        *URGENCIES,
        "moderate priority",
        "not graded",
        "stands",
        "new {finding}",
        *change_sentences.NEW.values(),
        *worklist.REVIEWS.values(),
        change.TWO_PERSONS,
        "All rows, as table and page: {files}.",
        "with results from before: {count}",
        "deleted: {study}",
        "corrected: {studies}",
        "{study}: not graded: {why}",
        "1 experimental grade",
        "{count} experimental grades",
        "1 level",
        "{count} levels",
        "1 other size, see the table",
        "{count} other sizes, see the table",
        "{whose}, before",
    }
    reviews = {change.REVIEWED.format(which=which) for which in change.WHICH.values()}
    return found | (steps - numerals) | sizes | said | headings | headed | compared | listed | reviews


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
    page.wait_for_selector("#correct td select")
    assert page.locator("#correct td select option", has_text="مشطوب").count() > 0
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))) == 2
    assert watched.complaints == []


PFIRRMANN = Prediction("L4/L5", "pfirrmann", 4, (0.0, 0.0, 0.05, 0.5, 0.45), False, grade_set=(4, 5))
ENDPLATE = Prediction("L3/L4", "endplate_upper", 0, (0.6, 0.4), False, grade_set=(0, 1))


@pytest.mark.parametrize("language", OTHERS)
def test_a_finding_is_called_by_its_change_not_by_where_it_is(
    complete: StudyResult, model: dict[str, Any], language: Language
) -> None:
    words = page_words(language)
    change = words.phrases.of("finding", "endplate_upper", upper=words.apart("L3"), lower=words.apart("L4"))
    assert change in words.in_full(ENDPLATE)
    page = render(complete, model=model, options=ReportOptions(language=language))
    assert re.sub("[\u2066\u2069]", "", change) in re.sub("[\u2066\u2069]", "", page)
    for name in ("endplate_upper", "endplate_lower"):
        place = words.phrases.of("target", name)
        assert place not in page and words.title(TARGET[name]) in page.replace("\N{SOFT HYPHEN}", "")


def test_in_german_the_change_of_an_end_plate_names_its_vertebra() -> None:
    told = page_words(Language.DE).in_full(ENDPLATE).replace("\N{NO-BREAK SPACE}", " ")
    assert told == "L3/L4 Veränderungen der Grundplatte von L3: nicht auszuschließen (40 %)"


def test_levels_grades_and_per_cents_stand_in_their_order_in_arabic(watched: Any) -> None:
    words = page_words(Language.AR)
    told = words.phrases("then").join(words.in_full(one) for one in (PFIRRMANN, ENDPLATE))
    watched.page.set_content(f'<p dir="rtl" style="width: 1200px">{told}</p>')
    left = """(words) => words.map((word) => {
        const node = document.querySelector("p").firstChild, range = document.createRange();
        const at = node.data.indexOf(word);
        range.setStart(node, at);
        range.setEnd(node, at + word.length);
        return range.getBoundingClientRect().x;
    })"""
    x = watched.page.evaluate(left, ["L4/L5", "Pfirrmann", "IV", "أو", "V\u2069 (", "95", "؛", "L3/L4", "40"])
    assert x == sorted(x, reverse=True)
    number, sign = watched.page.evaluate(left, ["95", "%"])
    assert number < sign


def test_arabic_pages_separate_and_measure_in_arabic(complete: StudyResult, model: dict[str, Any]) -> None:
    page = render(complete, model=model, options=ReportOptions(language=Language.AR))
    heads = re.findall(r'<th scope="col" class="number">(.*?)</th>', page)
    assert heads and all(re.search("، مم$", head) for head in heads)
    lead = re.search(r'<section class="lead">(.*?)</section>', page, re.S)
    assert lead and "؛" in lead[1] and ";" not in lead[1]
    bars = re.findall(r'title="([^"]*)"', page)
    assert bars and not any(re.search("[,;]", bar) for bar in bars)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("language", list(Language))
def test_no_word_of_the_table_is_longer_than_its_column(
    watched: Any, complete: StudyResult, model: dict[str, Any], tmp_path: Path, language: Language, width: int
) -> None:
    options = ReportOptions(language=language, slices=False)
    page = watched.open(write_study_report(complete, tmp_path, model=model, options=options))
    page.set_viewport_size({"width": width, "height": 1000})
    wide = """() => [...document.querySelectorAll(".grades th, .grades td")].filter((cell) => {
        const range = document.createRange(), { left, right } = cell.getBoundingClientRect();
        range.selectNodeContents(cell);
        const shown = range.getBoundingClientRect();
        return shown.left < left - 0.5 || shown.right > right + 0.5;
    }).map((cell) => cell.textContent.trim())"""
    assert page.evaluate(wide) == []
    wraps = "getComputedStyle(document.querySelector('.grades thead th')).overflowWrap"
    assert page.evaluate(wraps) == "normal"
