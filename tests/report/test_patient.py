"""The page for a patient: plain words, no grade, no number, and nothing that the model does not hold likely."""

import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from spinenet.labels import NEVER_LOOKED_FOR, TARGETS
from spinenet.report.options import Language, ReportOptions
from spinenet.report.page.patient import patient_page
from spinenet.report.study_files import write_study_files
from spinenet.report.text.language import phrases
from spinenet.study import Measurement, Prediction, StudyResult

STANDS = Prediction("L4/L5", "herniation", 1, (0.1, 0.9), True)
LIKELY = Prediction("L5/S1", "bulging", 1, (0.4, 0.6), False, grade_set=(0, 1))
OPEN = Prediction("L3/L4", "spondylolisthesis", 0, (0.8, 0.2), False, grade_set=(0, 1))
TRIED = Prediction("L4/L5", "canal_stenosis", 2, (0.0, 0.1, 0.9), False, "synthetic")


def text_of(html: str) -> str:
    return " ".join(unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL)).split())


def of(*predictions: Prediction) -> StudyResult:
    return StudyResult("a", "ok", 0.0, predictions=predictions)


def test_what_stands_and_what_may_be_there_are_told_apart_and_the_rest_is_left_to_the_doctor() -> None:
    text = text_of(patient_page(of(STANDS, LIKELY, OPEN, TRIED)))
    seen, maybe = text.split("What the program saw")[1].split("What may be there, but the program is not sure")
    assert "L4/L5 Part of the disc has moved out of its place (herniated disc)." in seen
    assert "L5/S1 The disc bulges a little past the bones." in maybe
    assert "slipped" not in text and "moved a little" not in text and "channel" not in text
    assert "found nothing to point out" in text_of(patient_page(of(OPEN)))


@pytest.mark.parametrize("language", Language)
def test_it_says_in_plain_words_what_was_not_looked_for_and_that_the_nerves_room_was_not_judged(
    language: Language,
) -> None:
    words = phrases(language)
    judged = Prediction("L4/L5", "canal_stenosis", 0, (0.9, 0.1, 0.0), True)
    unjudged, text = (text_of(patient_page(of(*given), language)) for given in ((STANDS, TRIED), (STANDS, judged)))
    room = words.of("patient_never", "room")[1:]
    assert room in unjudged and room not in text
    for thing in NEVER_LOOKED_FOR:
        assert words.of("patient_never", thing)[1:] in text
    assert not re.search(r"metasta|cauda|facet|conus|stenos|foram", text, re.IGNORECASE)


@pytest.mark.parametrize("language", Language)
def test_no_number_and_no_grade_stands_on_it(language: Language) -> None:
    html = patient_page(of(STANDS, LIKELY), language)
    text = re.sub(r"[LST]\d+/[LST]\d+", "", text_of(html))
    assert not re.search(r"\d|%|Pfirrmann|Modic", text)
    words = phrases(language)
    assert words.of("patient", "soon") in text and words("notice") in text
    assert f'dir="{words("direction")}"' in html and "<script" not in html


def test_every_target_has_plain_words() -> None:
    assert all(phrases(Language.EN).of("patient", target.name) for target in TARGETS)


def test_its_english_is_for_readers_of_the_eighth_grade() -> None:
    """Flesch and Kincaid's grade, syllables counted as groups of vowels."""
    words_of = phrases(Language.EN)
    text = ". ".join(
        words_of.of(group, key).rstrip(".?") for group in ("patient", "patient_never") for key in words_of.group(group)
    )
    sentences = [one for one in re.split(r"[.:?]\s", text) if one]
    words = re.findall(r"[A-Za-z]+", text)
    syllables = sum(max(1, len(re.findall(r"[aeiouy]+", word.lower().removesuffix("e")))) for word in words)
    assert 0.39 * len(words) / len(sentences) + 11.8 * syllables / len(words) - 15.59 < 8


def test_it_is_written_only_where_asked_for(graded: StudyResult, model: dict[str, Any], tmp_path: Path) -> None:
    write_study_files(graded, tmp_path, model=model, options=ReportOptions(patient_page=True))
    assert (tmp_path / "study-1.patient.html").exists()
    write_study_files(graded, tmp_path, model=model)
    assert not (tmp_path / "study-1.patient.html").exists()


def test_a_canal_measured_to_be_narrow_is_told_as_unsure_and_the_others_as_not_judged() -> None:
    canal = Measurement("L3/L4", "canal_depth_least_mm", 6.0, "mm", 2.1, 0, "t2")
    narrow = replace(of(STANDS), measurements=(canal,))
    text, words = text_of(patient_page(narrow, Language.EN)), phrases(Language.EN)
    assert words.of("patient", "canal_stenosis")[1:] in text
    assert words.of("patient_never", "room_elsewhere")[1:] in text and words.of("patient_never", "room")[1:] not in text
