"""Discs of labelled studies as prediction would measure them, by networks that have not learnt from the patient.

What was measured of a study is kept in one small file, so that a run that was stopped measures nothing twice.
Shapes: L level, F feature, R reported measurement.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf

from spinenet.datasets.labelled import LabelledStudy
from spinenet.datasets.splits import load_split
from spinenet.errors import ConfigError, DatasetError
from spinenet.labels import LEVELS
from spinenet.locating.measuring.accuracy import ERRORS_95
from spinenet.locating.measuring.measured_study import features_of, measure_study
from spinenet.locating.measuring.series import Outline
from spinenet.model.bundle import LOCATOR, SEGMENTER, Bundle, load_bundle
from spinenet.predict import locate
from spinenet.readers import opened, read_study
from spinenet.study import MeasuredSeries
from spinenet.system.files import replacing
from spinenet.train.exported_weights import PACKAGED
from spinenet.train.segmenter.exported import open_segmenter

REPORTED = tuple(ERRORS_95)
"""Measurements that are shown to readers, in this order."""


@dataclass(frozen=True)
class DiscFeatures:
    """What was measured of a study: ``values_LF`` of the levels ``level_L`` (index into LEVELS), columns named by
    ``names``; ``reported_LR`` its REPORTED measurements; ``view`` that was measured. No level where nothing could be.
    NaN is not known."""

    names: tuple[str, ...]
    level_L: NDArray[np.int64]
    values_LF: NDArray[np.float64]
    reported_LR: NDArray[np.float64]
    view: str


@dataclass(frozen=True)
class SegmenterRun:
    """A finished run of train segmenter and the patients ``seen``, which it may have learnt from."""

    outline: Outline
    seen: frozenset[str]


def open_segmenter_run(run: Path) -> SegmenterRun:
    """A segmenter with what its run folder says of patients, or that of a bundle (``default``: the one in the package),
    which has learnt from none of them; ConfigError, DatasetError or BundleError where there is none."""
    if str(run) == PACKAGED or run.suffix == ".zip" or (run / "model.json").is_file():
        bundle = load_bundle(None if str(run) == PACKAGED else run)
        if SEGMENTER not in bundle.parts:
            raise ConfigError(f"{bundle.name} {bundle.version} has no {SEGMENTER}; name a run of train segmenter")
        return SegmenterRun(bundle.outline, frozenset())
    outline, folds = open_segmenter(run), load_split(run / "split.json")
    try:
        fold = int(OmegaConf.load(run / "config.yaml").data.fold)
    except (OSError, AttributeError, TypeError) as error:
        raise ConfigError(f"{run}: not a run folder of spinenet train segmenter (config.yaml: {error})") from error
    return SegmenterRun(outline, frozenset(patient for patient, one in folds.items() if one != fold))


def outline_for(patient: str, runs: Sequence[SegmenterRun]) -> Outline:
    """The first network that has not learnt from a patient, else the first."""
    return next((run.outline for run in runs if patient not in run.seen), runs[0].outline)


def open_locator(path: Path | None) -> Bundle:
    """A bundle that locates: the one in the package, another, or that with the locator of a run folder in its place."""
    if path is None or not (path / LOCATOR).is_file() or (path / "model.json").is_file():
        return load_bundle(path)
    package = load_bundle()
    return replace(package, parts={**package.parts, LOCATOR: (path / LOCATOR).read_bytes()})


def features_of_study(study: LabelledStudy, locator: Bundle, outline: Outline, kept: Path) -> DiscFeatures:
    """The discs of a study from the file ``kept``, or measured and written there."""
    if not kept.is_file():
        if study.prepared is not None:
            raise DatasetError(f"{study.prepared}: prepared studies are not measured; give data.root= of the data set")
        located = locate(read_study(opened(study.source)), locator).series
        _save(kept, _measured(measure_study(located, outline)))
    with np.load(kept) as arrays:
        return DiscFeatures(
            tuple(arrays["names"].tolist()),
            arrays["level_L"],
            arrays["values_LF"],
            arrays["reported_LR"],
            str(arrays["view"]),
        )


def _measured(measured: Sequence[MeasuredSeries]) -> DiscFeatures:
    rows = features_of(measured)
    if rows is None:
        none_LF = np.zeros((0, 0))
        return DiscFeatures((), np.zeros(0, np.int64), none_LF, none_LF, "")
    reported = [_reported(measured, LEVELS[index]) for index in rows.level_L]
    level_L = np.array(rows.level_L, np.int64)
    return DiscFeatures(rows.names, level_L, rows.values_LF, np.array(reported), measured[0].view.value)


def _reported(measured: Sequence[MeasuredSeries], level: str) -> list[float]:
    """REPORTED measurements of a level, from the first series that shows it."""
    numbers = next(one.levels[level] for one in measured if level in one.levels)
    return [numbers.get(name, np.nan) for name in REPORTED]  # discs measured before have no cross-section


def _save(path: Path, discs: DiscFeatures) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file,
            names=np.array(discs.names, str),
            level_L=discs.level_L,
            values_LF=discs.values_LF,
            reported_LR=discs.reported_LR,
            view=np.array(discs.view),
        )
