"""Evaluate run folders: each run's exported bundle on the test patients of its own fold, pooled over the runs.

A run folder holds ``config.yaml`` (its ``data`` says fold and seed), ``split.json`` and ``bundle/``.
"""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from spinenet.datasets import LabelledStudy, adapter, load_dataset
from spinenet.datasets.splits import load_split
from spinenet.errors import DatasetError, in_words
from spinenet.evaluate.collection.collect import (
    Centers,
    LabelledPredictions,
    collect,
    cross_calibration,
    fit_calibration,
    merge,
    to_frame,
)
from spinenet.evaluate.evaluation import Assessment, Beside, Settings
from spinenet.evaluate.levels import LevelErrors, level_errors
from spinenet.evaluate.report import write_evaluation
from spinenet.labels import UNKNOWN
from spinenet.model.bundle import Bundle, load_bundle
from spinenet.model.calibration import TargetCalibration
from spinenet.system.files import write_text

_log = logging.getLogger(__name__)

OnStudy = Callable[[LabelledStudy], None]


@dataclass(frozen=True)
class RunToTest:
    """A run's bundle and the studies it has never seen."""

    folder: Path
    bundle: Bundle
    test: tuple[LabelledStudy, ...]


def open_run(folder: Path, data_name: str, data_root: Path) -> RunToTest:
    """Open a run folder against a data set; DatasetError where the run kept no test patients.

    A data set that the run did not learn from is a test set as a whole. One of its name in another folder, such as the
    files that were prepared from it, is taken for the same as far as patients are called the same; synthetic studies
    of another folder are others.
    """
    try:
        data = yaml.safe_load((folder / "config.yaml").read_text())["data"]
        fold, learnt_from = data["fold"], {data["name"]: data["root"], **data["extra"]}
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise DatasetError(
            f"{folder}: not a run of spinenet train grader or export (no data.fold in config.yaml)"
        ) from error
    folds = load_split(folder / "split.json")
    studies = load_dataset(data_name, data_root).studies
    elsewhere = data_name not in learnt_from or Path(learnt_from[data_name]).resolve() != data_root.resolve()
    if elsewhere and (data_name not in learnt_from or adapter(data_name).synthetic):
        folds = {}
    test = tuple(study for study in studies if folds.get(study.patient, fold if elsewhere else None) == fold)
    if not test:
        raise DatasetError(f"{folder}: it was trained on every patient of {data_root}, none is left to test on")
    if elsewhere and len(test) < len(studies):
        said = "%s: %d of %d studies of %s are left out: it learnt from patients of these names; rename them if others"
        _log.warning(said, folder, len(studies) - len(test), len(studies), data_root)
    if not (folder / "bundle").is_dir():
        raise DatasetError(f"{folder}: no bundle in it; spinenet export makes one of the run, in a folder to name here")
    return RunToTest(folder, load_bundle(folder / "bundle"), test)


def evaluate_runs(
    runs: Sequence[RunToTest],
    out: Path,
    settings: Settings,
    beside: Beside | None = None,
    on_study: OnStudy = lambda study: None,
) -> Assessment:
    """Predict every run's test patients and write predictions.csv, calibration.json and the evaluation to ``out``.

    One run alone is judged with the calibration in its bundle. Several folds are calibrated across: each by the other
    folds' predictions. ``calibration.json`` is fitted on all of them, for the bundle that is trained on every patient
    afterwards. Raises DatasetError where two runs tested the same patient.
    """
    patients = [study.patient for run in runs for study in run.test]
    if len(set(patients)) < len(patients):
        raise DatasetError("a patient is tested by two of the runs; give one run a fold")
    parts = [collect(run.test, run.bundle, on_study) for run in runs]
    targets = runs[0].bundle.targets
    calibrations = [runs[0].bundle.calibration] if len(parts) == 1 else cross_calibration(parts, targets)
    frames = [to_frame(part, run.bundle, one) for part, run, one in zip(parts, runs, calibrations, strict=True)]
    frame = pd.concat(frames)
    together = merge(parts)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "predictions.csv", frame.to_csv(index=False))
    write_text(out / "failures.json", json.dumps(together.failures, indent=1) + "\n")
    save_calibration(out / "calibration.json", fit_calibration(together, targets))
    levels = errors_of_levels(together, samples=settings.samples, seed=settings.seed) if together.truth else None
    return write_evaluation(frame, out, settings, replace(beside or Beside(), levels=levels))


def errors_of_levels(collected: LabelledPredictions, *, samples: int, seed: int) -> LevelErrors:
    """How well discs were found and named, series by series, of the discs that are graded and have a mask.

    Distances are in the sagittal plane: a level is marked on one slice, which of several slices is no part of it.
    """
    graded: dict[str, set[str]] = {}
    for (study, level), grades_T in zip(collected.disc_N, collected.grades_NT, strict=True):
        if (grades_T != UNKNOWN).any():
            graded.setdefault(study, set()).add(level)
    by_series = {key: graded.get(_study_of(key), set()) for key in collected.truth}
    found, truth = (_in_plane(centers) for centers in (collected.found, collected.truth))
    return level_errors(found, truth, graded=by_series, patient_of=_study_of, samples=samples, seed=seed)


def _study_of(series_key: str) -> str:
    """Two series of one patient are one draw."""
    return series_key.rsplit("/", 1)[0]


def _in_plane(centers: Centers) -> Centers:
    in_plane = np.array([0.0, 1.0, 1.0])
    return {key: {level: center_mm * in_plane for level, center_mm in one.items()} for key, one in centers.items()}


def save_calibration(path: Path, calibration: dict[str, TargetCalibration]) -> None:
    """Write calibrations as JSON, target by target."""
    write_text(path, json.dumps({name: one.to_dict() for name, one in calibration.items()}, indent=1) + "\n")


def load_calibration(path: Path) -> dict[str, TargetCalibration]:
    """Read what ``save_calibration`` wrote; raises DatasetError."""
    try:
        return {name: TargetCalibration.from_dict(values) for name, values in json.loads(path.read_text()).items()}
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: not a calibration.json of spinenet evaluate ({in_words(error)})") from error
