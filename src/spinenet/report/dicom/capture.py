"""The overview of a study as a DICOM secondary capture: the mid-sagittal slice with named levels beside their findings.

For a viewer that shows no structured report. No name of a patient is in the picture, whatever is asked for.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless, SecondaryCaptureImageStorage

from spinenet import __version__
from spinenet.labels import EXPERIMENTAL, LEVELS, RESEARCH_ONLY
from spinenet.readers.dicom import rle_lossless
from spinenet.report.certainty import Certainty, with_percent
from spinenet.report.dicom.objects import ObjectSource, new_object
from spinenet.report.findings import experimental_of, findings_of
from spinenet.report.page.pictures import frames_in, grey_of, mark_of, sagittal_first, spine_window
from spinenet.report.reviewed import naming_of
from spinenet.study import LocatedSeries, Scope, Severity, StudyResult
from spinenet.system.files import replacing

SERIES_NUMBER = 9002
UNLISTED = "Grades without a finding are not listed. What was not looked for is never absent."
HEIGHT, PICTURE_WIDTH, TEXT_WIDTH, MARGIN = 900, 700, 700, 16
SCALES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
"""Of the letters, the first at which everything fits."""
YELLOW, WHITE, GREY, RED = (255, 210, 63), (235, 235, 235), (150, 150, 150), (255, 150, 120)


@dataclass(frozen=True)
class Paragraph:
    """Words of one size and colour; lengths in pixels."""

    text: str
    colour: tuple[int, int, int]
    size: int
    indent: int = 0
    below: int = 0

    @property
    def line_height(self) -> int:
        """From one line to the next."""
        return round(1.3 * self.size)

    def lines(self) -> list[str]:
        """The words broken into lines that fit beside the slice."""
        words = self.text.split()
        if not words:
            return [""]
        lines, width, space = [words[0]], width_of(words[0], self.size), width_of(" ", self.size)
        for word in words[1:]:
            own = width_of(word, self.size)
            if width + space + own > TEXT_WIDTH - 2 * MARGIN - self.indent:
                lines, width = [*lines, word], own
            else:
                lines[-1], width = f"{lines[-1]} {word}", width + space + own
        return lines


@functools.cache
def width_of(word: str, size: int) -> float:
    """Pixels; words come again and again, at every level and in every size that is tried."""
    return float(font(size).getlength(word))


def write_capture(made: ObjectSource, path: Path) -> bool:
    """Write the overview of a study; it is there whole or not at all. True: there is always one."""
    pixels_HWC = draw(made.result, f"{made.model['name']} {made.model['version']}, spinenet {__version__}")
    capture = new_object(made, SecondaryCaptureImageStorage, "OT", SERIES_NUMBER, "spinenet overview, research only")
    capture.ConversionType = "SYN"
    capture.ImageType = ["DERIVED", "SECONDARY"]
    capture.PatientOrientation = capture.Laterality = ""
    capture.BurnedInAnnotation = "NO"  # of the patient, that is: level names and grades are burned in
    capture.SamplesPerPixel, capture.PhotometricInterpretation, capture.PlanarConfiguration = 3, "RGB", 0
    capture.Rows, capture.Columns = pixels_HWC.shape[:2]
    capture.BitsAllocated, capture.BitsStored, capture.HighBit, capture.PixelRepresentation = 8, 8, 7, 0
    capture.file_meta.TransferSyntaxUID = RLELossless
    capture.PixelData = encapsulate([rle_lossless.encode(pixels_HWC)])
    capture["PixelData"].VR = "OB"
    with replacing(path) as partial:
        capture.save_as(partial, enforce_file_format=True)
    return True


def draw(result: StudyResult, made_by: str) -> NDArray[np.uint8]:
    """(HEIGHT or more, PICTURE_WIDTH + TEXT_WIDTH, 3): slice on the left, findings on the right, head of the page up.

    The letters become smaller where findings are many; where even that is not enough the picture becomes higher.
    """
    shown, height = _fitted(list(_paragraphs(result, made_by)))
    canvas = Image.new("RGB", (PICTURE_WIDTH + TEXT_WIDTH, max(HEIGHT, height)))
    _draw_slice(canvas, sagittal_first(result.located)[0])
    _draw_findings(canvas, shown)
    return np.asarray(canvas)


def _draw_slice(canvas: Image.Image, located: LocatedSeries) -> None:
    """The slice the levels were found in, as large as fits, true to scale."""
    slice_RC = located.series.voxels_SRC[located.midline_slice]
    _, row_mm, column_mm = (float(mm) for mm in located.series.spacing_mm)
    height_mm, width_mm = slice_RC.shape[0] * row_mm, slice_RC.shape[1] * column_mm
    scale = min(HEIGHT / height_mm, PICTURE_WIDTH / width_mm)
    picture = Image.fromarray(grey_of(slice_RC, spine_window(located)))
    picture = picture.resize((round(width_mm * scale), round(height_mm * scale)), Image.Resampling.BICUBIC)
    canvas.paste(picture, (0, 0))
    pen, letters = ImageDraw.Draw(canvas), font(20)
    for frame in frames_in(located):
        mark = mark_of(frame, located.series)
        line = [(x * scale, y * scale) for x, y in (mark.anterior_mm, mark.posterior_mm)]
        pen.line(line, YELLOW, 2)
        label = (mark.label_mm[0] * scale, mark.label_mm[1] * scale)
        pen.text(label, frame.level, YELLOW, letters, anchor="rm", stroke_width=2, stroke_fill="black")


def _paragraphs(result: StudyResult, made_by: str) -> Iterator[Paragraph]:
    """What stands beside the slice."""
    yield Paragraph("Lumbar spine MRI: grades by spinenet", WHITE, 24)
    yield Paragraph(RESEARCH_ONLY, RED, 16, below=8)
    for flag in result.flags:
        if flag.severity is Severity.FLAG and flag.scope is not Scope.LEVEL:
            yield Paragraph(f"Caution: {flag}", RED, 14)
    for level in sorted(result.graded_levels, key=LEVELS.index, reverse=True):
        predictions = [one for one in result.predictions if one.level == level]
        yield Paragraph(level, YELLOW, 18)
        found = findings_of(predictions) or "no finding that the model stands by"
        likely, unsure = (with_percent(predictions, one) for one in (Certainty.LIKELY, Certainty.OPEN))
        yield Paragraph(found, WHITE, 15, 20, below=0 if likely or unsure else 4)
        if likely:
            yield Paragraph(f"likely: {likely}", WHITE, 14, 20, below=0 if unsure else 4)
        if unsure:
            yield Paragraph(f"cannot exclude: {unsure}", GREY, 14, 20, below=4)
        tried = experimental_of([one for one in result.reported if one.level == level])
        if tried:
            yield Paragraph(f"{EXPERIMENTAL}: {tried}", GREY, 13, 20, below=4)
    naming = naming_of(result)
    for note in (*([naming.text] if naming else []), UNLISTED, made_by):
        yield Paragraph(note[0].upper() + note[1:], GREY, 13)


def _fitted(paragraphs: Sequence[Paragraph]) -> tuple[list[Paragraph], int]:
    """The paragraphs in the largest letters with which all fit, and the height they take, in pixels."""
    for scale in SCALES:
        shown = [replace(one, size=round(scale * one.size)) for one in paragraphs]
        height = 2 * MARGIN + sum(len(one.lines()) * one.line_height + one.below for one in shown)
        if height < HEIGHT:
            break
    return shown, height


def _draw_findings(canvas: Image.Image, paragraphs: Sequence[Paragraph]) -> None:
    """Write the paragraphs below each other."""
    pen, top = ImageDraw.Draw(canvas), MARGIN
    for one in paragraphs:
        for line in one.lines():
            pen.text((PICTURE_WIDTH + MARGIN + one.indent, top), line, one.colour, font(one.size))
            top += one.line_height
        top += one.below


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Letters of a size in pixels."""
    return ImageFont.load_default(size)
