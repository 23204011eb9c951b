"""The picture of a study for archives that show nothing else: slice, marks and words."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread

from spinenet import __version__
from spinenet.report.dicom.capture import MARGIN, TEXT_WIDTH, Paragraph, draw, font, write_capture
from spinenet.report.dicom.objects import made_from
from spinenet.study import Note, Scope, Severity, StudyResult


def test_the_capture_shows_slice_marks_and_text_the_head_up(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path
) -> None:
    made = made_from(graded, model, identify=False)
    assert made is not None
    write_capture(made, tmp_path / "capture.dcm")
    capture = dcmread(tmp_path / "capture.dcm")
    pixels_HWC = capture.pixel_array
    assert (pixels_HWC == draw(graded, f"test model 2.1, spinenet {__version__}")).all()
    yellow_HW = (pixels_HWC == (255, 210, 63)).all(2)
    rows = np.flatnonzero(yellow_HW[:, 150:250].sum(1) > 60)  # the discs' lines
    assert len(rows) == 2 * len(graded.located[0].frames)
    assert yellow_HW[:, 700:].any()


def test_the_capture_grows_where_the_smallest_letters_do_not_fit(graded: StudyResult) -> None:
    caution = Note("few_levels", Scope.STUDY, "", "all is to be read with care " * 20, Severity.FLAG)
    plain, crowded = draw(graded, "test"), draw(replace(graded, flags=(caution,) * 40), "test")
    assert crowded.shape[0] > plain.shape[0] == 900
    assert crowded[-40:, -TEXT_WIDTH:].any(), "the last line is there"


def test_lines_of_the_capture_end_within_the_picture() -> None:
    for text in ("WWWW " * 60, "illi " * 60):
        for line in Paragraph(text, (255, 255, 255), 15, indent=20).lines():
            assert font(15).getlength(line) <= TEXT_WIDTH - 2 * MARGIN - 20
