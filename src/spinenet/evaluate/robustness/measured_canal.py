"""Canal grades beside the canal as it measures: does what was learnt from phantoms follow the anatomy of patients?

No patient here has a rater's grade of stenosis, but SPIDER's SPACE volumes have the canal outlined. A model that
grades canals at all must find those severe that are shallow or small. Shapes: A and L pixels backwards and to the left.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import spearmanr

from spinenet.datasets import LabelledStudy
from spinenet.datasets.masks import CANAL_VALUE
from spinenet.evaluate.intervals import Estimate, Resamples, bca, draw_patients
from spinenet.model.bundle import Bundle
from spinenet.predict import predict_study
from spinenet.readers import read_study
from spinenet.study import LevelFrame, LocatedSeries, Series, StudyResult
from spinenet.system.files import replacing

TARGET_NAME = "canal_stenosis"
STEP_MM = 0.5
HALF_FIELD_MM = 20.0
"""Half the side of the plane in which a canal is measured, around the back of the disc."""
PLANES_MM = (-4.0, -2.0, 0.0, 2.0, 4.0)
"""Planes above and below the middle of the disc; the narrowest counts."""
MIDLINE_MM = 2.0
"""The depth is measured within this distance of the canal's middle."""
MEASURES = {"depth_mm": "canal depth", "area_mm2": "canal area", "relative_area": "area / the patient's largest"}


@dataclass(frozen=True)
class Canal:
    """A canal at a disc: front to back in the midline (mm) and area (mm2), each in the narrowest of PLANES_MM."""

    depth_mm: float
    area_mm2: float


def measure_canal(mask_SRC: NDArray[np.uint8], series: Series, frame: LevelFrame) -> Canal | None:
    """The canal of a label image in the planes of a disc; None where it is not all in the image."""
    found = [_section(mask_SRC, series, frame, above_mm) for above_mm in PLANES_MM]
    sections = [section for section in found if section is not None]
    if len(sections) < len(PLANES_MM):
        return None
    return Canal(min(one.depth_mm for one in sections), min(one.area_mm2 for one in sections))


def _section(mask_SRC: NDArray[np.uint8], series: Series, frame: LevelFrame, above_mm: float) -> Canal | None:
    steps_mm = np.arange(-HALF_FIELD_MM, HALF_FIELD_MM + STEP_MM / 2, STEP_MM)
    middle_mm = frame.center_mm + above_mm * frame.superior + 0.5 * frame.depth_mm * frame.posterior
    left = np.cross(frame.posterior, frame.superior)
    points_AL3 = middle_mm + steps_mm[:, None, None] * frame.posterior + steps_mm[None, :, None] * left
    at_3AL = np.moveaxis(series.to_vox(points_AL3), -1, 0)
    inside_AL = ndimage.map_coordinates((mask_SRC == CANAL_VALUE).astype(np.uint8), at_3AL, order=0) > 0
    if not inside_AL.any():
        return None
    columns = np.flatnonzero(inside_AL.any(axis=0))
    near = np.abs(steps_mm - steps_mm[columns].mean()) <= MIDLINE_MM
    return Canal(float(np.median(inside_AL[:, near].sum(axis=0)) * STEP_MM), float(inside_AL.sum() * STEP_MM**2))


def graded_canals(studies: Iterable[LabelledStudy], bundle: Bundle) -> Iterator[tuple[pd.DataFrame, StudyResult]]:
    """One study at a time, its volumes alone: a row a level with the expected grade and the canal's measures."""
    for labelled in studies:
        study = read_study(labelled.source)
        volumes = tuple(one for one in study.series if one.name in labelled.masks and len(one.voxels_SRC) > 1)
        if not volumes:
            continue
        result = predict_study(replace(study, series=volumes), bundle)
        yield canal_rows(labelled, result.located, result), result


def canal_rows(labelled: LabelledStudy, series: Sequence[LocatedSeries], result: StudyResult) -> pd.DataFrame:
    """A row a level: the expected grade of ``result``, and the canal as it is outlined in ``series``."""
    return pd.DataFrame(list(_rows(labelled, series, result)))


def _rows(labelled: LabelledStudy, series: Sequence[LocatedSeries], result: StudyResult) -> Iterator[dict[str, object]]:
    expected = {
        one.level: float(np.arange(len(one.probabilities)) @ np.array(one.probabilities))
        for one in result.predictions
        if one.target == TARGET_NAME
    }
    for located in series:
        mask_SRC = labelled.masks[located.series.name].values(located.series)
        for frame in located.frames:
            canal = measure_canal(mask_SRC, located.series, frame)
            if canal and frame.level in expected:
                yield {
                    "study": labelled.key,
                    "level": frame.level,
                    "expected_grade": expected[frame.level],
                    "depth_mm": canal.depth_mm,
                    "area_mm2": canal.area_mm2,
                }


def with_relative_area(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with each area as a share of the largest of its patient: canals differ from person to person."""
    return frame.assign(relative_area=frame.area_mm2 / frame.groupby("study").area_mm2.transform("max"))


def rank_correlations(frame: pd.DataFrame, *, samples: int = 1000, seed: int = 0) -> dict[str, Estimate]:
    """Measure -> Spearman's rank correlation with the expected grade; BCa intervals over patients. Narrow canals with
    severe grades give negative values."""
    patient_N, patients = pd.factorize(frame.study)
    resamples = draw_patients(len(patients), samples, seed)
    return {name: bca(_spearman(frame, name, patient_N, resamples), resamples) for name in MEASURES}


def _spearman(
    frame: pd.DataFrame, name: str, patient_N: NDArray[np.int64], resamples: Resamples
) -> NDArray[np.float64]:
    x_N, y_N = frame.expected_grade.to_numpy(), frame[name].to_numpy()
    times_CN = resamples.weights_CP[:, patient_N].astype(int)
    return np.array([spearmanr(np.repeat(x_N, times_N), np.repeat(y_N, times_N)).statistic for times_N in times_CN])


def extremes(frame: pd.DataFrame, count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The levels graded most and least severe, at most one of a patient in each."""
    ordered = frame.sort_values("expected_grade", ascending=False)
    return ordered.drop_duplicates("study").head(count), ordered[::-1].drop_duplicates("study").head(count)


def contact_sheet(rows: Sequence[pd.DataFrame], crops: dict[tuple[str, str], NDArray[np.float32]], out: Path) -> None:
    """A PNG with one line of pictures a table, each with its grade and measures. It shows patients."""
    from matplotlib.figure import Figure

    columns = max(len(one) for one in rows)
    figure = Figure(figsize=(2.1 * columns, 2.2 * len(rows)), layout="constrained")
    axes = np.atleast_2d(figure.subplots(len(rows), columns, squeeze=False))
    for line, table in zip(axes, rows, strict=True):
        for axis in line:
            axis.set_axis_off()
        for axis, row in zip(line, table.itertuples(), strict=False):
            axis.imshow(crops[str(row.study), str(row.level)], cmap="gray")
            words = f"{row.study} {row.level}: {row.expected_grade:.2f}\n{row.depth_mm:.1f} mm, {row.area_mm2:.0f} mm2"
            axis.set_title(words, fontsize=7)
    with replacing(out) as partial:
        figure.savefig(partial, format="png", dpi=140)
