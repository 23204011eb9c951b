"""What is measured is what is shipped: the evaluation's table and ``spinenet predict`` agree row by row, and what is
refused there is refused here."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from spinenet import predict
from spinenet.datasets import LabelledStudy
from spinenet.errors import ReadError
from spinenet.evaluate.collection import collect
from spinenet.labels import LEVELS, STENOSIS_LEVELS, TARGETS, UNKNOWN, VIEWS, Target, View
from spinenet.model.bundle import Bundle
from spinenet.model.calibration import TargetCalibration
from spinenet.readers import StudySource
from spinenet.report.tables import PREDICTION_COLUMNS
from spinenet.serve import batch
from spinenet.study import Measurement, Series, Study
from spinephantom import PhantomStudy

LIKELY, IN_SET = 0.5, 0.35
SLIP = Measurement("L2/L3", "slip_mm", 7.8, "mm", series="t2")


@dataclass(frozen=True)
class Clinic:
    """The studies of one phantom as several patients, each with something of its own."""

    studies: dict[str, Study]
    grades_LT: np.ndarray

    def find(self, paths: object) -> list[StudySource]:
        return [StudySource(key, Path("/archive") / key) for key in (*self.studies, "unreadable")]

    def read(self, source: StudySource) -> Study:
        if source.key not in self.studies:
            raise ReadError(f"{source.location}: cut short")
        return self.studies[source.key]

    @property
    def labelled(self) -> list[LabelledStudy]:
        return [LabelledStudy(one.key, one.key, one, self.grades_LT, {}) for one in self.find(())]


def shown(series: Series, **box: slice) -> Series:
    """The part of a series within a box of rows and columns."""
    rows, columns = box.get("rows", slice(None)), box.get("columns", slice(None))
    affine = series.affine_vox2mm.copy()
    affine[:3, 3] = series.to_mm(np.array([0.0, rows.start or 0, columns.start or 0]))
    return replace(series, voxels_SRC=np.ascontiguousarray(series.voxels_SRC[:, rows, columns]), affine_vox2mm=affine)


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Bundle) -> Bundle:
    """An untrained bundle that grades everything in every view."""
    facts = {**tiny_bundle.metadata, "views": list(VIEWS), "evidence": {"canal_stenosis": "synthetic"}}
    return replace(tiny_bundle, metadata=facts, calibration={target.name: calibration_of(target) for target in TARGETS})


def calibration_of(target: Target) -> TargetCalibration:
    """Some grades are stood by, some are not likely enough, and some sets hold another grade."""
    return TargetCalibration(confident_from=(LIKELY, LIKELY), set_thresholds=(IN_SET,) * len(target.grades))


@pytest.fixture(scope="module")
def clinic(angled_study: PhantomStudy, perfect_segmenter: Any) -> Iterator[Clinic]:
    stacks = [item for series in angled_study.series for item in series.stacks]
    masked = [(one.series, one.mask_SRC) for one in stacks if one.series.plane == "sagittal"]
    sagittal = [series for series, _ in masked]
    axial = [one.series for one in stacks if one.series.plane == "axial"]
    noise = np.random.default_rng(0).normal(0, 1, axial[0].voxels_SRC.shape)
    noisy = [replace(one, voxels_SRC=(40 * np.ptp(one.voxels_SRC) * noise).astype(np.float32)) for one in axial]
    narrow = [shown(one, rows=slice(0, 40), columns=slice(0, 47)) for one in axial]
    lowest_row = {name: int(np.nonzero((mask == 201).any((0, 2)))[0][0]) for name, mask in
                  ((series.name, mask) for series, mask in masked)}  # fmt: skip
    above = [(shown(series, rows=slice(0, lowest_row[series.name])), mask[:, : lowest_row[series.name]])
             for series, mask in masked]  # fmt: skip
    series_of = {
        "ordinary": [*sagittal, *axial],
        "noisy": [*sagittal, *noisy],
        "cut": [*sagittal, *narrow],
        "no-sacrum": [*(series for series, _ in above), *axial],
        "child": [*sagittal, *axial],
        "t2": [one for one in sagittal if one.view is View.SAGITTAL_T2],
    }
    studies = {key: Study(key, tuple(series)) for key, series in series_of.items()}
    studies["child"] = replace(studies["child"], age_years=12.0)
    clinic = Clinic(studies, angled_study.grades_LT)
    segment = perfect_segmenter(*masked, *above)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bundle, "segment", lambda self, images_N1HW: segment(images_N1HW))
        patch.setattr(batch, "find_studies", clinic.find)
        patch.setattr(batch, "read_study", clinic.read)
        patch.setattr(collect, "read_study", clinic.read)
        patch.setattr(predict, "level_measurements", lambda *measured: (SLIP,))
        yield clinic


@pytest.fixture(scope="module")
def predicted(clinic: Clinic, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """predictions.csv of ``spinenet predict``."""
    out = tmp_path_factory.mktemp("out")
    batch.predict_paths([Path("any")], out, bundle)
    with (out / "predictions.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def collected(clinic: Clinic, bundle: Bundle) -> pd.DataFrame:
    """The evaluation's table of the same studies."""
    return collect.to_frame(collect.collect(clinic.labelled, bundle), bundle)


def key_of(row: Any) -> tuple[str, str, str]:
    return row["study"], row["level"], row["target"]


def test_the_table_of_the_evaluation_holds_the_grades_of_prediction_and_no_others(
    predicted: list[dict[str, str]], collected: pd.DataFrame, clinic: Clinic
) -> None:
    labelled = {level for index, level in enumerate(LEVELS) if (clinic.grades_LT[index] != UNKNOWN).any()}
    expected = {key_of(row): row for row in predicted if row["level"] in labelled}
    graded = collected[collected["grade"].notna()]
    assert {key_of(row) for row in graded.to_dict("records")} == set(expected)
    assert {study for study, *_ in expected} == {"ordinary", "noisy", "cut", "t2"}
    for row in graded.to_dict("records"):
        theirs = expected[key_of(row)]
        assert (str(row["grade"]), row["label"], row["evidence"]) == (
            theirs["grade"],
            theirs["label"],
            theirs["evidence"],
        )
        assert str(row["confident"]).lower() == theirs["confident"]
        ours = [row[f"p_{index}"] for index in range(5)]
        assert row["evidence"] == "synthetic" or str(row["grade"]) in row["grade_set"].split()
        assert ["" if np.isnan(p) else f"{p:.6f}" for p in ours] == [theirs[f"p_{index}"] for index in range(5)]
    assert set(PREDICTION_COLUMNS) <= set(collected.columns)


def test_confidence_is_compared_where_every_part_of_its_rule_decides(predicted: list[dict[str, str]]) -> None:
    shown = [row for row in predicted if row["evidence"] == "real"]
    likely = [row for row in shown if chances(row).max() >= LIKELY]
    assert len({row["confident"] for row in likely}) == 2
    assert any((chances(row) >= IN_SET).sum() > 1 for row in likely)
    alone = [row for row in likely if (chances(row) >= IN_SET).sum() == 1 and row["target"] == "spondylolisthesis"]
    absent = {row["confident"] for row in alone if (row["level"], row["grade"]) == (SLIP.level, "0")}
    assert absent == {"false"} and "true" in {row["confident"] for row in alone}


def chances(row: dict[str, str]) -> np.ndarray:
    return np.array([float(row[f"p_{k}"] or 0) for k in range(5)])


def test_every_grade_that_was_refused_says_why(collected: pd.DataFrame) -> None:
    rows = collected[collected["grade"].isna()]
    # an empty reason: the slices do not show it, so nothing was refused
    reasons = {study: set(group["refused"]) - {""} for study, group in rows.groupby("study")}
    assert reasons["child"] == {"under_age"} and reasons["unreadable"] == {"unreadable"}
    assert reasons["no-sacrum"] == {"no_sacrum"}
    assert "low_signal" in reasons["noisy"] and "cut_off" in reasons["cut"]
    assert not reasons.get("ordinary") and not reasons.get("t2")
    subarticular = collected[
        collected["target"].str.startswith("subarticular") & collected["level"].isin(STENOSIS_LEVELS)
    ]
    lost = subarticular[(subarticular["study"] == "noisy") & subarticular["grade"].isna()]
    assert len(lost) == 10 and set(lost["refused"]) == {"low_signal"}


def test_truth_that_no_series_shows_is_unknown_as_in_training(collected: pd.DataFrame) -> None:
    known = collected[collected["truth"].notna()].groupby("study")["target"].agg(set)
    assert {"modic", "subarticular_stenosis_left"} <= known["ordinary"] and "pfirrmann" in known["t2"]
    assert not {"modic", "subarticular_stenosis_left", "subarticular_stenosis_right"} & known["t2"]
    assert {"modic", "subarticular_stenosis_left"} <= known["unreadable"] & known["child"] & known["noisy"]
