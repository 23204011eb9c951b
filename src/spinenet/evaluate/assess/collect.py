"""Predictions with truth: what the exported bundle says of labelled studies whose levels it had to find itself.

Shapes: N discs, T target, K grade.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinenet.checking.visible import visible_targets
from spinenet.crops import build_bag
from spinenet.datasets import LabelledStudy
from spinenet.datasets.cache import load_study
from spinenet.datasets.masks import locate_all
from spinenet.errors import DatasetError, SpinenetError
from spinenet.labels import LEVELS, MAX_GRADES, MIRROR, TARGET, TARGET_INDEX, TARGETS, UNKNOWN
from spinenet.locating.routing import route
from spinenet.model.bundle import Bundle
from spinenet.model.calibration import TargetCalibration, decide, fit, neutral, probabilities
from spinenet.predict import locate_study
from spinenet.readers import read_study
from spinenet.study import LocatedSeries, Study

Centers = dict[str, dict[str, NDArray[np.float64]]]
"""``study/series`` -> level -> centre (3,) in mm."""

NOT_GRADED = np.full((len(TARGETS), MAX_GRADES), np.nan, np.float32)


@dataclass(frozen=True)
class Collected:
    """Uncalibrated predictions beside the truth. ``disc_N`` is (study, level); ``logp_NTK`` is nan where a labelled
    disc was not found, and for targets that its slices cannot show. ``failures`` says why a study has no grades."""

    disc_N: tuple[tuple[str, str], ...]
    logp_NTK: NDArray[np.float32]
    grades_NT: NDArray[np.int64]
    found: Centers
    truth: Centers
    failures: dict[str, str]


def collect(
    studies: Sequence[LabelledStudy], bundle: Bundle, on_study: Callable[[LabelledStudy], None] = lambda study: None
) -> Collected:
    """Run the bundle over labelled studies, from their files, as ``spinenet predict`` would."""
    parts = []
    for study in studies:
        if (study.grades_LT != UNKNOWN).any():
            parts.append(_collect_one(study, bundle))
        on_study(study)
    if not parts:
        raise DatasetError("none of the studies to evaluate has a known grade")
    return merge(parts)


def merge(parts: Iterable[Collected]) -> Collected:
    """Several collections as one; studies must be different ones."""
    parts = list(parts)
    return Collected(
        disc_N=tuple(disc for part in parts for disc in part.disc_N),
        logp_NTK=np.concatenate([part.logp_NTK for part in parts]),
        grades_NT=np.concatenate([part.grades_NT for part in parts]),
        found={key: value for part in parts for key, value in part.found.items()},
        truth={key: value for part in parts for key, value in part.truth.items()},
        failures={key: value for part in parts for key, value in part.failures.items()},
    )


def _collect_one(labelled: LabelledStudy, bundle: Bundle) -> Collected:
    study = Study(labelled.key, ())
    predicted: dict[str, NDArray[np.float32]] = {}
    found: Centers = {}
    failures = {}
    try:
        study, located = _read_and_locate(labelled, bundle)
    except SpinenetError as error:
        failures[labelled.key] = str(error)
    else:
        bag = build_bag(located, bundle.spec)
        logp_LTK, _ = bundle.grade(bag)
        logp_LTK = np.where(visible_targets(bag, located)[:, :, None], logp_LTK, np.nan)
        predicted = {LEVELS[level]: logp_LTK[row] for row, level in enumerate(bag.level_L)}
        found = {
            f"{labelled.key}/{one.series.name}": {frame.level: frame.center_mm for frame in one.frames}
            for one in located
            if one.series.plane == "sagittal"
        }
    graded = [level for index, level in enumerate(LEVELS) if (labelled.grades_LT[index] != UNKNOWN).any()]
    return Collected(
        disc_N=tuple((labelled.key, level) for level in graded),
        logp_NTK=np.stack([predicted.get(level, NOT_GRADED) for level in graded]),
        grades_NT=np.stack([labelled.grades_LT[LEVELS.index(level)] for level in graded]),
        found=found,
        truth=_true_centers(labelled, study),
        failures=failures,
    )


def _read_and_locate(labelled: LabelledStudy, bundle: Bundle) -> tuple[Study, tuple[LocatedSeries, ...]]:
    """A study from its files, levels found by the bundle; a prepared one has its levels, and its files are not read."""
    if labelled.prepared is not None:
        located = load_study(labelled.prepared, bundle.spec).located
        return Study(labelled.key, ()), tuple(one for one in located if one.series.view in bundle.views)
    study = route(read_study(labelled.source), bundle.segment)
    return study, locate_study(study, bundle)[0]


def _true_centers(labelled: LabelledStudy, study: Study) -> Centers:
    """Of the series that are read: where one is set aside because another shows the same, its discs are not missed."""
    return {
        f"{labelled.key}/{one.series.name}": {frame.level: frame.center_mm for frame in one.frames}
        for one in locate_all(study.series, labelled.masks)
        if one.series.plane == "sagittal" and one.series.view is not None
    }


def fit_calibration(collected: Collected, targets: Sequence[str]) -> dict[str, TargetCalibration]:
    """Calibration of every named target from discs that were found; neutral where too little is known.

    Left and right are calibrated as one, so that a mirrored study gets mirrored grades.
    """
    calibration = {}
    for name in targets:
        sides = sorted({TARGET_INDEX[name], MIRROR[TARGET_INDEX[name]]})
        logp_NK = np.concatenate([collected.logp_NTK[:, side, : len(TARGET[name].grades)] for side in sides])
        grades_N = np.concatenate([collected.grades_NT[:, side] for side in sides])
        seen_N = ~np.isnan(logp_NK[:, 0])
        calibration[name] = fit(TARGET[name], logp_NK[seen_N].astype(float), grades_N[seen_N])
    return calibration


def cross_calibration(parts: Sequence[Collected], targets: Sequence[str]) -> list[dict[str, TargetCalibration]]:
    """For each part the calibration fitted on all the others, so that no disc chooses its own cuts."""
    if len(parts) == 1:
        return [{name: neutral(TARGET[name]) for name in targets}]
    others = [merge(other for other in parts if other is not part) for part in parts]
    return [fit_calibration(other, targets) for other in others]


def to_frame(collected: Collected, calibration: dict[str, TargetCalibration]) -> pd.DataFrame:
    """The predictions table of the contract with ``truth`` and the uncalibrated ``u_i``, one row a disc and target."""
    rows = []
    for name, one in calibration.items():
        target, index = TARGET[name], TARGET_INDEX[name]
        logp_NK = collected.logp_NTK[:, index, : len(target.grades)].astype(float)
        seen_N = ~np.isnan(logp_NK[:, 0])
        p_NK = probabilities(np.where(seen_N[:, None], logp_NK, 0), one)
        u_NK = np.exp(logp_NK)
        grade_N, confident_N = decide(target, p_NK, one)
        for row, (study, level) in enumerate(collected.disc_N):
            truth = collected.grades_NT[row, index]
            cells: dict[str, object] = {"study": study, "level": level, "target": name, "confident": False}
            if seen_N[row]:
                cells["grade"] = target.grades[int(grade_N[row])]
                cells["label"] = target.words[int(grade_N[row])]
                cells |= {f"p_{k}": round(float(p), 6) for k, p in enumerate(p_NK[row])}
                cells["confident"] = bool(confident_N[row])
                cells |= {f"u_{k}": round(float(u), 6) for k, u in enumerate(u_NK[row] / u_NK[row].sum())}
            cells["truth"] = target.grades[int(truth)] if truth != UNKNOWN else None
            rows.append(cells)
    grades = [f"{letter}_{k}" for letter in "pu" for k in range(MAX_GRADES)]
    columns = [
        "study",
        "level",
        "target",
        "grade",
        "label",
        *grades[:MAX_GRADES],
        "confident",
        "truth",
        *grades[MAX_GRADES:],
    ]
    frame = pd.DataFrame(rows).reindex(columns=columns)
    return frame.astype({"grade": "Int64", "truth": "Int64"})
