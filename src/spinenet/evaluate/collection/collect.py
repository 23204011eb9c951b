"""Predictions with truth: what the exported bundle says of labelled studies, by the steps of ``spinenet predict``.

What prediction refuses has no grade here either, and the reason. Shapes: N discs, T target, K grade.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinenet.checking.measured_findings import measured_sides
from spinenet.checking.visible import visible_targets
from spinenet.crops import build_bag
from spinenet.datasets import LabelledStudy
from spinenet.datasets.cache import load_study
from spinenet.datasets.masks import locate_all
from spinenet.errors import DatasetError, SpinenetError
from spinenet.labels import LEVELS, MAX_GRADES, MIRROR, TARGET, TARGET_INDEX, TARGETS, UNKNOWN
from spinenet.model.bundle import Bundle
from spinenet.model.calibration import NEUTRAL, TargetCalibration, decision, fit
from spinenet.predict import UncalibratedGrades, check, grade, locate, placed
from spinenet.readers import read_study
from spinenet.report.certainty import label
from spinenet.study import LocatedSeries, Note, Prediction, Scope, Severity, Study, StudyCheck

Centers = dict[str, dict[str, NDArray[np.float64]]]
"""``study/series`` -> level -> centre (3,) in mm."""

NOT_GRADED = np.full((len(TARGETS), MAX_GRADES), np.nan, np.float32)
HALF_LEVEL_MM = 15.0
"""Half the distance between discs."""
UNREADABLE = "unreadable"
"""Reason of a study whose files cannot be read; other reasons are codes of notes."""


@dataclass(frozen=True)
class LabelledPredictions:
    """Uncalibrated predictions beside the truth, of every disc with a known grade.

    ``disc_N`` is (study, level). ``logp_NTK`` is nan where a disc was not found, was refused, and for targets that its
    slices cannot show, whose ``grades_NT`` are UNKNOWN; ``refused_NT`` says why what could have been graded was not,
    "" elsewhere. Grades of ``cautioned_NT`` are not stood by, nor what ``measured_NT`` contradicts.
    ``failures`` says in words why a study has none.
    """

    disc_N: tuple[tuple[str, str], ...]
    logp_NTK: NDArray[np.float32]
    grades_NT: NDArray[np.int64]
    cautioned_NT: NDArray[np.bool_]
    measured_NT: NDArray[np.int64]
    refused_NT: NDArray[np.str_]
    found: Centers
    truth: Centers
    failures: dict[str, str]


def collect(
    studies: Sequence[LabelledStudy], bundle: Bundle, on_study: Callable[[LabelledStudy], None] = lambda study: None
) -> LabelledPredictions:
    """Run the bundle over labelled studies, from their files, as ``spinenet predict`` does."""
    parts = []
    for study in studies:
        if (study.grades_LT != UNKNOWN).any():
            parts.append(_collect_one(study, bundle))
        on_study(study)
    if not parts:
        raise DatasetError("none of the studies to evaluate has a known grade")
    return merge(parts)


def merge(parts: Iterable[LabelledPredictions]) -> LabelledPredictions:
    """Several collections as one; studies must be different ones."""
    parts = list(parts)
    return LabelledPredictions(
        disc_N=tuple(disc for part in parts for disc in part.disc_N),
        logp_NTK=np.concatenate([part.logp_NTK for part in parts]),
        grades_NT=np.concatenate([part.grades_NT for part in parts]),
        cautioned_NT=np.concatenate([part.cautioned_NT for part in parts]),
        measured_NT=np.concatenate([part.measured_NT for part in parts]),
        refused_NT=np.concatenate([part.refused_NT for part in parts]),
        found={key: value for part in parts for key, value in part.found.items()},
        truth={key: value for part in parts for key, value in part.truth.items()},
        failures={key: value for part in parts for key, value in part.failures.items()},
    )


def _collect_one(labelled: LabelledStudy, bundle: Bundle) -> LabelledPredictions:
    levels = [level for index, level in enumerate(LEVELS) if (labelled.grades_LT[index] != UNKNOWN).any()]
    try:
        graded = grade(_checked(labelled, bundle), bundle)
    except SpinenetError as error:
        return _unread(labelled, levels, str(error))
    checked = graded.checked
    logp_LTK = np.where(graded.visible_LT[:, :, None], graded.logp_LTK, np.nan)
    predicted = {LEVELS[level]: logp_LTK[row] for row, level in enumerate(graded.bag.level_L)}
    refused = refusals(graded, bundle)
    truth = _true_centers(labelled, checked.located.study)
    measured = [measured_sides(name, graded.measurements) for name in TARGET]
    refused_NT = np.array([[refused.get((level, target.name), "") for target in TARGETS] for level in levels])
    return LabelledPredictions(
        disc_N=tuple((labelled.key, level) for level in levels),
        logp_NTK=np.stack([predicted.get(level, NOT_GRADED) for level in levels]),
        grades_NT=_shown_grades(labelled, levels, graded, refused_NT != ""),
        cautioned_NT=np.array(
            [[checked.doubts(level, target, bundle.read_from(target.name)) for target in TARGETS] for level in levels]
        ),
        measured_NT=np.array([[sides.get(level, 0) for sides in measured] for level in levels]),
        refused_NT=refused_NT,
        found=where_drawn(_found_centers(labelled, checked.located.series), truth, labelled),
        truth=truth,
        failures={} if predicted else {labelled.key: checked.refusal},
    )


def _unread(labelled: LabelledStudy, levels: Sequence[str], reason: str) -> LabelledPredictions:
    return LabelledPredictions(
        disc_N=tuple((labelled.key, level) for level in levels),
        logp_NTK=np.stack([NOT_GRADED] * len(levels)),
        grades_NT=_grades(labelled, levels),
        cautioned_NT=np.zeros((len(levels), len(TARGETS)), np.bool_),
        measured_NT=np.zeros((len(levels), len(TARGETS)), np.int64),
        refused_NT=np.full((len(levels), len(TARGETS)), UNREADABLE),
        found={},
        truth={},
        failures={labelled.key: reason},
    )


def _grades(labelled: LabelledStudy, levels: Sequence[str]) -> NDArray[np.int64]:
    return np.stack([labelled.grades_LT[LEVELS.index(level)] for level in levels])


def _shown_grades(
    labelled: LabelledStudy, levels: Sequence[str], graded: UncalibratedGrades, refused_NT: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """The grades of these levels, UNKNOWN where no series of the study shows the target, as in training.

    A disc that was not found keeps those that are shown at other discs of the study.
    """
    shown = dict(zip(graded.bag.level_L, graded.visible_LT, strict=True))
    anywhere_T = graded.visible_LT.any(axis=0)
    shown_NT = np.stack([shown.get(LEVELS.index(level), anywhere_T) for level in levels])
    return np.where(shown_NT | refused_NT, _grades(labelled, levels), UNKNOWN)


def _checked(labelled: LabelledStudy, bundle: Bundle) -> StudyCheck:
    """A study from its files, located and checked by the bundle. A prepared one has its levels and its files are not
    read: what is cut to the crops cannot be checked, and the grader alone is judged."""
    if labelled.prepared is not None:
        located = load_study(labelled.prepared, bundle.spec).located
        return placed(labelled.key, [one for one in located if one.series.view in bundle.views])
    return check(locate(read_study(labelled.source), bundle), bundle)


def refusals(graded: UncalibratedGrades, bundle: Bundle) -> dict[tuple[str, str], str]:
    """(level, target) -> codes of the notes that kept a grade from being given which the images could have shown."""
    checked = graded.checked
    refused: dict[tuple[str, str], str] = {}
    if not checked.located.series:
        codes = _codes(checked.flags, "")
        return {(level, target.name): codes for level in LEVELS for target in TARGETS}
    if _shown(checked.series) == _shown(checked.located.series):
        return refused
    whole = build_bag(checked.located.series, bundle.spec)
    possible = visible_targets(whole, checked.located.series, bundle.read_from)
    given = dict(zip(graded.bag.level_L, graded.visible_LT, strict=True))
    for level_index, possible_T in zip(whole.level_L, possible, strict=True):
        lost_T = possible_T & ~given.get(level_index, np.zeros(len(TARGETS), np.bool_))
        codes = _codes(checked.flags, LEVELS[level_index])
        refused |= {(LEVELS[level_index], TARGETS[index].name): codes for index in np.flatnonzero(lost_T)}
    return refused


def _shown(series: Iterable[LocatedSeries]) -> set[tuple[str, str]]:
    return {(one.series.name, frame.level) for one in series for frame in one.frames}


def _codes(flags: Iterable[Note], level: str) -> str:
    """What was refused of the study, its series and this level."""
    return " ".join(dict.fromkeys(flag.code for flag in flags if _is_refusal(flag, level)))


def _is_refusal(flag: Note, level: str) -> bool:
    """Where another series shows a level, that one does not is no more than a note."""
    if flag.scope is Scope.LEVEL:
        return flag.subject == level and flag.severity is not Severity.FLAG
    return flag.severity is Severity.REFUSE


def _true_centers(labelled: LabelledStudy, study: Study) -> Centers:
    """Of the series that are read: where one is set aside because another shows the same, its discs are not missed."""
    return {
        f"{labelled.key}/{one.series.name}": {frame.level: frame.center_mm for frame in one.frames}
        for one in locate_all(study.series, labelled.masks)
        if one.series.plane == "sagittal" and one.series.view is not None
    }


def _found_centers(labelled: LabelledStudy, located: Iterable[LocatedSeries]) -> Centers:
    return {
        f"{labelled.key}/{one.series.name}": {frame.level: frame.center_mm for frame in one.frames}
        for one in located
        if one.series.plane == "sagittal"
    }


def where_drawn(found: Centers, truth: Centers, labelled: LabelledStudy) -> Centers:
    """Found centres without those above or below a label image that shows a part of the discs alone: there they are
    neither right nor wrong."""
    partly = {f"{labelled.key}/{name}" for name, image in labelled.masks.items() if not image.whole}
    return {key: _within(discs, truth[key]) if key in partly & set(truth) else discs for key, discs in found.items()}


def _within(
    discs: Mapping[str, NDArray[np.float64]], drawn: Mapping[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    heights_mm = [center_mm[2] for center_mm in drawn.values()]
    low, high = min(heights_mm, default=0.0) - HALF_LEVEL_MM, max(heights_mm, default=0.0) + HALF_LEVEL_MM
    return {level: center_mm for level, center_mm in discs.items() if low <= center_mm[2] <= high}


def fit_calibration(collected: LabelledPredictions, targets: Sequence[str]) -> dict[str, TargetCalibration]:
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


def cross_calibration(
    parts: Sequence[LabelledPredictions], targets: Sequence[str]
) -> list[dict[str, TargetCalibration]]:
    """For each part the calibration fitted on all the others, so that no disc chooses its own cuts."""
    if len(parts) == 1:
        return [{name: NEUTRAL for name in targets}]
    others = [merge(other for other in parts if other is not part) for part in parts]
    return [fit_calibration(other, targets) for other in others]


def to_frame(
    collected: LabelledPredictions, bundle: Bundle, calibration: Mapping[str, TargetCalibration] | None = None
) -> pd.DataFrame:
    """The predictions table of the contract with ``truth``, the ``grade_set``, why a grade was ``refused`` and the
    uncalibrated ``u_i``, one row a disc and target; by another calibration than the bundle's own where one is given."""
    rows = []
    calibration = bundle.calibration if calibration is None else calibration
    for name, one in calibration.items():
        target, index = TARGET[name], TARGET_INDEX[name]
        logp_NK = collected.logp_NTK[:, index, : len(target.grades)].astype(float)
        seen_N = ~np.isnan(logp_NK[:, 0])
        decided = decision(
            target,
            np.where(seen_N[:, None], logp_NK, 0),
            one,
            evidence=bundle.evidence(name),
            doubted_N=collected.cautioned_NT[:, index],
            measured_N=collected.measured_NT[:, index],
        )
        u_NK = np.exp(logp_NK)
        for row, (study, level) in enumerate(collected.disc_N):
            truth = collected.grades_NT[row, index]
            cells: dict[str, object] = {"study": study, "level": level, "target": name, "confident": False}
            cells["evidence"] = bundle.evidence(name)
            if seen_N[row]:
                grade_index = int(decided.grade_N[row])
                sure = bool(decided.confident_N[row])
                p_K, listed = tuple(map(float, decided.p_NK[row])), decided.sets_N[row]
                said = Prediction(level, name, target.grades[grade_index], p_K, sure, bundle.evidence(name), listed)
                cells |= {"grade": said.grade, "label": label(said), "confident": sure}
                cells["grade_set"] = " ".join(map(str, listed))
                cells |= {f"p_{k}": round(p, 6) for k, p in enumerate(p_K)}
                cells |= {f"u_{k}": round(float(u), 6) for k, u in enumerate(u_NK[row] / u_NK[row].sum())}
            cells["refused"] = "" if seen_N[row] else str(collected.refused_NT[row, index])
            cells["truth"] = target.grades[int(truth)] if truth != UNKNOWN else None
            rows.append(cells)
    calibrated, uncalibrated = ([f"{letter}_{k}" for k in range(MAX_GRADES)] for letter in "pu")
    said_columns = ["grade", "label", "grade_set", *calibrated, "confident", "evidence"]
    columns = ["study", "level", "target", *said_columns, "refused", "truth"]
    frame = pd.DataFrame(rows).reindex(columns=[*columns, *uncalibrated])
    return frame.astype({"grade": "Int64", "truth": "Int64"})
