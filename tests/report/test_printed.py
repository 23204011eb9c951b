"""The printed report: every word of the report text and every grade is in it, legible, and says whom it is not for."""

import base64
import re
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

pytest.importorskip("reportlab", reason="no reportlab: pip install reportlab")

from spinenet.labels import RESEARCH_ONLY
from spinenet.report.dicom.encapsulated_pdf import write_pdf
from spinenet.report.dicom.objects import made_from
from spinenet.report.page.grade_table import grade_table
from spinenet.report.printed import pdf_of
from spinenet.report.text.narrative import level_names, narrative
from spinenet.study import StudyResult


def pages_of(pdf: bytes) -> list[str]:
    """What is drawn on each page (PDF 1.4, 5.3.2), decoded."""
    streams = re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    return [zlib.decompress(base64.a85decode(b"<~" + one.strip(), adobe=True)).decode("latin-1") for one in streams]


def words_of(page: str) -> list[str]:
    """The words on a page in the order they are drawn in."""
    literals = re.findall(r"\((.*?)(?<!\\)\)\s*Tj", page, re.DOTALL)
    octal = [re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), one) for one in literals]
    plain = [re.sub(r"\\(.)", r"\1", one).encode("latin-1").decode("cp1252") for one in octal]
    return " ".join(plain).split()


def holds(words: list[str], sentence: str) -> bool:
    return f" {' '.join(sentence.split())} " in f" {' '.join(words)} "


def test_every_sentence_of_the_report_text_is_in_it(graded: StudyResult, model: dict[str, Any]) -> None:
    text = narrative(graded, model)
    words = [word for page in pages_of(pdf_of(graded, model)) for word in words_of(page)]
    said = [
        *text.technique,
        *text.not_assessed,
        *(f"{number}. {line}" for number, line in enumerate(text.impression, 1)),
    ]
    said += [f"{one.subject}: {one.text}." for one in graded.flags]
    said += [f"{level}: {' '.join(sentences)}" for level, sentences in text.findings]
    assert len(said) > 10 and [one for one in said if not holds(words, one)] == []


def test_every_reported_grade_is_in_its_table(graded: StudyResult, model: dict[str, Any]) -> None:
    words = [word for page in pages_of(pdf_of(graded, model)) for word in words_of(page)]
    table = grade_table([one for one in graded.reported if not one.experimental], level_names(graded))
    for column, title in enumerate(table.columns):
        row = " ".join(
            f"{cells[column].words} {cells[column].percent} %" if cells[column] else "–" for _, cells, _ in table.rows
        )
        assert holds(words, f"{title} {row}")


def test_each_sheet_says_that_it_is_for_research_and_nothing_is_below_seven_points(
    graded: StudyResult, model: dict[str, Any]
) -> None:
    pages = pages_of(pdf_of(replace(graded, experimental=True), model))
    assert len(pages) >= 2
    for page in pages:
        assert holds(words_of(page), RESEARCH_ONLY)
        sizes = [float(size) for size in re.findall(r"/F\d+ ([\d.]+) Tf", page)]
        assert sizes and min(sizes) >= 7


def test_the_object_holds_the_pdf_and_names_nobody(graded: StudyResult, model: dict[str, Any], tmp_path: Path) -> None:
    for identify in (False, True):
        made = made_from(graded, model, identify=identify)
        assert made is not None and write_pdf(made, tmp_path / "pdf.dcm")
        document = dcmread(tmp_path / "pdf.dcm")
        pdf = document.EncapsulatedDocument[: document.EncapsulatedDocumentLength]
        assert pdf == pdf_of(graded, model) and pdf.rstrip().endswith(b"%%EOF")
        assert not any("Doe" in page for page in pages_of(pdf))
        assert str(document.PatientName) == ("Doe^Jane" if identify else "")
        assert [one.ReferencedSOPInstanceUID for one in document.SourceInstanceSequence] == ["1.2.3.1.3", "1.2.3.2.3"]
