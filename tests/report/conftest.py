"""One made-up study with two sagittal series of images that have a DICOM origin, and what a model says of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinenet.labels import LEVELS, TARGETS, View
from spinenet.locating.discs import NUMBERING
from spinenet.locating.measuring.fine_crops import CANAL, COLUMNS, DISC, FINE_CLASSES, LOWER, ROWS, UPPER
from spinenet.locating.measuring.quantities import level_measurements
from spinenet.study import (
    LevelCrop,
    LevelFrame,
    LocatedSeries,
    MeasuredSeries,
    Note,
    Origin,
    Prediction,
    Scope,
    Series,
    Severity,
    SourceImages,
    StudyResult,
)

MODEL = {
    "name": "test model",
    "version": "2.1",
    "digest": "0" * 64,
    "data": "made-up patients",
    "licence": "none",
    "targets": [target.name for target in TARGETS],
}
SLICES = 5
SHOWN = ("L5/S1", "L4/L5", "L3/L4", "L2/L3", "L1/L2")


@pytest.fixture
def model() -> dict[str, object]:
    return dict(MODEL)


def _frame(level: str, place: int) -> LevelFrame:
    center_mm = np.array([0.0, 0, -60.0 + 35 * place])
    return LevelFrame(level, center_mm, np.array([0.0, 1, 0]), np.array([0.0, 0, 1]), 30.0 + place, 8.0 + place)


def _series(name: str, view: View, number: int) -> Series:
    affine = np.array([[4.0, 0, 0, -8], [0, 0, 1, -50], [0, -1, 0, 130], [0, 0, 0, 1]])
    voxels_SRC = np.random.default_rng(number).random((SLICES, 220, 100), np.float32)
    instances = tuple((f"1.2.3.{number}.{index + 1}", 1) for index in range(SLICES))
    positions_mm = tuple((4.0 * index - 8, -50.0, 130.0) for index in range(SLICES))
    images = SourceImages(
        f"1.2.3.{number}", "1.2.840.10008.5.1.4.1.1.4", instances, positions_mm, (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
    )
    return Series(name, voxels_SRC, affine, "sagittal", view, "TR and TE", frame_of_reference="1.2.9", images=images)


def _outline() -> np.ndarray:
    """A disc of 8.4 x 30.1 mm about the centre of its frame, bodies above and below it, and a canal behind them."""
    outline_CHW = np.zeros((len(FINE_CLASSES), ROWS, COLUMNS), np.uint8)
    middle, body = ROWS // 2, slice(18, 61)
    outline_CHW[DISC, middle - 6 : middle + 6, body] = 255
    outline_CHW[UPPER, : middle - 6, body] = 255
    outline_CHW[LOWER, middle + 6 :, body] = 255
    outline_CHW[CANAL, :, 64:82] = 255
    return outline_CHW


def _predictions() -> tuple[Prediction, ...]:
    generator = np.random.default_rng(7)
    predictions = []
    for level in SHOWN[:4]:
        for target in TARGETS:
            shares = generator.dirichlet(np.ones(len(target.grades)))
            index = int(shares.argmax())
            grades = sorted({target.grades[index], target.grades[int(generator.integers(len(target.grades)))]})
            evidence = "synthetic" if "stenosis" in target.name else "real"
            predictions.append(
                Prediction(
                    level,
                    target.name,
                    target.grades[index],
                    tuple(float(share) for share in shares),
                    len(grades) == 1 and evidence == "real",
                    evidence,
                    tuple(grades),
                )
            )
    return tuple(predictions)


@pytest.fixture
def graded() -> StudyResult:
    """Five levels found, four of them graded for every target; a flag; a DICOM origin with a patient's name."""
    located = tuple(
        LocatedSeries(
            _series(name, view, number),
            tuple(_frame(level, LEVELS.index(level)) for level in SHOWN),
            2,
            np.array([0, 1, 0.5, 0.8, 0.4], np.float32),
        )
        for number, (name, view) in enumerate((("t2", View.SAGITTAL_T2), ("t1", View.SAGITTAL_T1)), start=1)
    )
    generator = np.random.default_rng(0)
    attention = generator.dirichlet(np.ones(2 * SLICES), len(TARGETS)).T
    crops = {
        level: tuple(
            LevelCrop(
                one.series.name,
                one.series.view,
                index,
                4.0 * (index - 2),
                generator.random((64, 80), np.float32),
                tuple(float(share) for share in attention[number * SLICES + index]),
            )
            for number, one in enumerate(located)
            for index in range(SLICES)
        )
        for level in SHOWN[:4]
    }
    return StudyResult(
        "study-1",
        "ok",
        0.4,
        notes=(NUMBERING,),
        flags=(Note("low-signal", Scope.LEVEL, "L1/L2", "little signal above L1/L2", Severity.FLAG),),
        located=located,
        predictions=_predictions(),
        measured=(MeasuredSeries("t2", View.SAGITTAL_T2, {}, {level: _outline() for level in SHOWN}),),
        measurements=level_measurements(located, ()),
        crops=crops,
        origin=Origin("1.2.3", "Doe^Jane", "ID4711"),
    )


@pytest.fixture
def complete(graded: StudyResult) -> StudyResult:
    """The same with an axial stack of three slices, of which every level has crops."""
    affine = np.array([[0, 0, 1, -50], [0, 1, 0, -50], [4.0, 0, 0, -29], [0, 0, 0, 1]])
    first = graded.located[0]
    voxels_SRC = np.random.default_rng(3).random((3, 90, 110), np.float32)
    series = replace(
        first.series, name="axial", voxels_SRC=voxels_SRC, affine_vox2mm=affine, plane="axial", images=None
    )
    axial = replace(first, series=replace(series, view=View.AXIAL_T2), midline_slice=1)
    crops = {
        level: (*several, *(replace(crop, series_name="axial", view=View.AXIAL_T2) for crop in several[:3]))
        for level, several in graded.crops.items()
    }
    return replace(graded, located=(*graded.located, axial), crops=crops)


@dataclass
class PageLog:
    """A page and everything it asked for or complained about."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, path: Path) -> Any:
        self.page.goto(path.as_uri())
        return self.page


@pytest.fixture
def watched(browser: Any) -> Iterator[PageLog]:
    context = browser.new_context(offline=True)
    context.set_default_timeout(120_000)  # of a machine that is busy with other things too
    watched = PageLog(context.new_page())
    watched.page.on("request", lambda request: watched.requests.append(request.url))
    watched.page.on("console", lambda message: watched.complaints.append(message.text))
    watched.page.on("pageerror", lambda error: watched.complaints.append(str(error)))
    yield watched
    context.close()
