"""A result in a notebook: a summary, and the slices that the grader saw at a level as one picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from spinenet.errors import StudyError
from spinenet.labels import RESEARCH_ONLY, View
from spinenet.report.certainty import Certainty, with_percent
from spinenet.report.findings import findings_of
from spinenet.report.page.html import environment
from spinenet.report.page.pictures import Window, grey_of
from spinenet.report.page.strips import attention_of, caption_of, crop_windows, rank_in_words
from spinenet.report.text.narrative import level_names
from spinenet.study import LevelCrop, StudyResult

TILE = 160
"""Height of a slice, and all that follows, in pixels."""
GAP, LINE, MARGIN = 8, 16, 12
INK, PAPER = 230, 24


@dataclass(frozen=True)
class Glance:
    """One level in a line: findings, what is likely and what cannot be excluded."""

    level: str
    findings: str
    likely: str
    still_open: str
    graded: bool


def summary(result: StudyResult) -> str:
    """What there is to know of a study as HTML, with what must be said wherever a grade is."""
    glances = [_glance(level, result) for level in level_names(result)]
    return str(environment().get_template("notebook.html").render(result=result, glances=glances, notice=RESEARCH_ONLY))


def _glance(level: str, result: StudyResult) -> Glance:
    given = [one for one in result.predictions if one.level == level]
    likely, still_open = (with_percent(given, one) for one in (Certainty.LIKELY, Certainty.OPEN))
    return Glance(level, findings_of(given), likely, still_open, bool(given))


def slices_seen(result: StudyResult, level: str) -> Image.Image:
    """The slices that the grades of a level were read from, a row a view, from the right or from below.

    Under each stands where it lies and its place in its row by how much it counted. StudyError where the level was not
    graded.
    """
    crops = result.crops.get(level, ())
    if not crops:
        raise StudyError(f"{level} was not graded in {result.key}; graded: {', '.join(result.crops) or 'nothing'}")
    rows = [[crop for crop in crops if crop.view is view] for view in View]
    rows = [sorted(row, key=lambda crop: crop.offset_mm) for row in rows if row]
    width = max(sum(_width(crop) + GAP for crop in row) for row in rows) + 2 * MARGIN
    canvas = Image.new("L", (width, len(rows) * (TILE + 4 * LINE) + LINE + 2 * MARGIN), PAPER)
    windows = crop_windows(result.crops)
    sides = {one.series.name for one in result.located if one.series.laterality_known}
    top = MARGIN
    for row in rows:
        names = ", ".join(dict.fromkeys(crop.series_name for crop in row))
        _write(canvas, (MARGIN, top), f"{level}, {row[0].view.words} ({names})")
        _draw_row(canvas, top + LINE, row, windows, _captions(row, result, sides))
        top += TILE + 4 * LINE
    _write(canvas, (MARGIN, top), RESEARCH_ONLY)
    return canvas


def _captions(row: Sequence[LevelCrop], result: StudyResult, sides: set[str]) -> list[tuple[str, str]]:
    targets = list(dict.fromkeys(one.target for one in result.predictions))
    shares = [attention_of(crop, targets) for crop in row]
    ordered = sorted((share or 0.0 for share in shares), reverse=True)
    return [
        (caption_of(crop, crop.series_name in sides), rank_in_words(share or 0.0, ordered))
        for crop, share in zip(row, shares, strict=True)
    ]


def _draw_row(
    canvas: Image.Image,
    top: int,
    row: Sequence[LevelCrop],
    windows: Mapping[str, Window],
    captions: Sequence[tuple[str, str]],
) -> None:
    left = MARGIN
    for crop, lines in zip(row, captions, strict=True):
        picture = Image.fromarray(grey_of(crop.pixels_HW, windows[crop.series_name]))
        canvas.paste(picture.resize((_width(crop), TILE), Image.Resampling.BICUBIC), (left, top))
        for number, line in enumerate(lines):
            _write(canvas, (left, top + TILE + number * LINE), line)
        left += _width(crop) + GAP


def _width(crop: LevelCrop) -> int:
    rows, columns = crop.pixels_HW.shape
    return round(TILE * columns / rows)


def _write(canvas: Image.Image, place: tuple[int, int], text: str) -> None:
    ImageDraw.Draw(canvas).text(place, text, INK, ImageFont.load_default(LINE - 4))
