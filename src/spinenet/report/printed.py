"""The report text and the table of grades as a PDF in A4 (extra ``pdf``), for archives and readers without a browser.

It is no print of the page: that has pictures, and needs a browser to be printed. No name of a patient is in it.
"""

import io
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from xml.sax.saxutils import escape

from spinenet.errors import OutputError
from spinenet.labels import EXPERIMENTAL, RESEARCH_ONLY
from spinenet.report.certainty import EXPLAINED
from spinenet.report.page.grade_table import Cell, GradeTable, SizeCell, grade_table
from spinenet.report.text.language import sentence
from spinenet.report.text.narrative import Narrative, level_names, narrative
from spinenet.study import Severity, StudyResult

try:
    from reportlab.lib import colors
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.lib.units import mm
    from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle
except ImportError as error:
    raise OutputError("a PDF needs reportlab: pip install 'spinenet-mri[pdf]'") from error

CAUTIONS = "CAUTION"
MARGIN_MM, FIRST_COLUMN_MM = 16, 38
TEXT = ParagraphStyle("text", fontName="Helvetica", fontSize=9, leading=12)
SMALL = ParagraphStyle("small", TEXT, fontSize=7.5, leading=9.5)
WARNING = ParagraphStyle("warning", TEXT, fontName="Helvetica-Bold", textColor=colors.HexColor("#a01010"))
HEADING = ParagraphStyle("heading", TEXT, fontName="Helvetica-Bold", fontSize=10.5, leading=13, spaceBefore=8)
TITLE = ParagraphStyle("title", HEADING, fontSize=14, leading=18, spaceBefore=0)
LINES = TableStyle(
    [
        ("GRID", (0, 0), (-1, -1), 0.4, colors.lightgrey),
        ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        *((f"{side}PADDING", (0, 0), (-1, -1), 2) for side in ("LEFT", "RIGHT", "TOP", "BOTTOM")),
    ]
)


def pdf_of(result: StudyResult, model: Mapping[str, Any]) -> bytes:
    """The PDF of a graded study, the same whenever it is made of the same result."""
    text, content = narrative(result, model), io.BytesIO()
    printed = SimpleDocTemplate(
        content,
        pagesize=A4,
        title=text.title,
        author="spinenet",
        subject=RESEARCH_ONLY,
        lang="en",
        invariant=True,
        **{f"{side}Margin": MARGIN_MM * mm for side in ("left", "right", "top", "bottom")},
    )
    foot = partial(_foot, text.made_by)
    printed.build(list(_content(result, text)), onFirstPage=foot, onLaterPages=foot)
    return content.getvalue()


def _foot(made_by: str, canvas: Any, printed: Any) -> None:
    """What stands below every page: a sheet may come alone."""
    canvas.setFont("Helvetica", 7)
    canvas.drawString(MARGIN_MM * mm, 10 * mm, RESEARCH_ONLY)
    canvas.drawString(MARGIN_MM * mm, 6.5 * mm, made_by)
    canvas.drawRightString(A4[0] - MARGIN_MM * mm, 10 * mm, str(canvas.getPageNumber()))


def _content(result: StudyResult, text: Narrative) -> Iterator[Flowable]:
    """Title and warning, the impression, what calls for caution, the table, then the rest of the text."""
    technique, findings, impression, not_assessed = text.headings
    yield from (_paragraph(text.title, TITLE), _paragraph(text.notice, WARNING))
    yield _paragraph(impression, HEADING)
    yield from (_paragraph(f"{number}. {line}") for number, line in enumerate(text.impression, 1))
    cautions = [sentence(str(flag)) for flag in result.flags if flag.severity is not Severity.NOTE]
    yield from (_paragraph(CAUTIONS, HEADING), *map(_paragraph, cautions)) if cautions else ()
    stood = [one for one in result.reported if not one.experimental]
    tried = [one for one in result.reported if one.experimental]
    levels = level_names(result)
    tables = (("", stood, result.measurements, tried), (EXPERIMENTAL.capitalize(), tried, (), stood))
    for heading, predictions, sizes, others in tables:
        if predictions:
            yield _paragraph(heading, HEADING)
            yield _table(grade_table(predictions, levels, sizes, others=others))
    yield from (Spacer(1, 2 * mm), _paragraph(EXPLAINED, SMALL))
    yield _paragraph(findings, HEADING)
    yield from (_paragraph(f"{level}: {' '.join(sentences)}") for level, sentences in text.findings)
    for heading, lines in ((technique, text.technique), (not_assessed, text.not_assessed)):
        yield _paragraph(heading, HEADING)
        yield from map(_paragraph, lines)


def _paragraph(text: str, style: ParagraphStyle = TEXT) -> Paragraph:
    return Paragraph(escape(text), style)


def _table(table: GradeTable) -> Table:
    """Findings and sizes by levels: a page is wide enough for the levels, not for all findings."""
    names = [name for name, _, _ in table.rows]
    rows = [[_paragraph(""), *(Paragraph(f"<b>{name}</b>", SMALL) for name in names)]]
    for column, title in enumerate(table.columns):
        rows.append([_paragraph(title, SMALL), *(_cell(cells[column]) for _, cells, _ in table.rows)])
    for column, title in enumerate(table.sizes):
        rows.append(
            [
                _paragraph(title, SMALL),
                *(_size(sizes[column]) for _, _, sizes in table.rows),
            ]
        )
    width = (A4[0] / mm - 2 * MARGIN_MM - FIRST_COLUMN_MM) / max(len(names), 1)
    widths = [FIRST_COLUMN_MM * mm, *(width * mm for _ in names)]
    return Table(rows, widths, style=LINES, repeatRows=1, hAlign="LEFT")


def _size(size: SizeCell) -> Paragraph:
    return _paragraph(" ".join(filter(None, (size.text, size.error, size.remark))), SMALL)


def _cell(cell: Cell | str | None) -> Paragraph:
    """A grade in words with its probability, bold where it is a finding that is stood by."""
    if cell is None or isinstance(cell, str):
        return _paragraph(cell or "\u2013", SMALL)
    words = escape(cell.words)
    told = f"<b>{words}</b>" if cell.weight and cell.kind == "stands" else words
    how = cell.by if cell.kind == "open" and cell.by else f"{cell.percent} %"
    return Paragraph(f"{told} {how}", SMALL)
