"""From a study to calibrated grades in four steps: ``locate``, ``check``, ``grade``, ``decide``.

The one torch-free code path, used by prediction and by evaluation alike. Each step takes the record of the one before;
what cannot be graded comes out as a result without grades and with the reasons.
Shape letters: L level, S slice, T target, K grade, N the crops of a level.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spinenet.checking import gates
from spinenet.checking.visible import not_shown, visible_targets
from spinenet.crops import Bag, build_bag
from spinenet.errors import StudyError
from spinenet.labels import LEVELS, SAGITTAL_VIEWS, TARGET, TARGET_INDEX, View
from spinenet.locating.axial import locate_axial
from spinenet.locating.discs import NUMBERING
from spinenet.locating.numbering import number_study
from spinenet.locating.routing import detections, route
from spinenet.model.bundle import Bundle
from spinenet.model.calibration import decision
from spinenet.study import (
    Checked,
    LevelCrop,
    Located,
    LocatedSeries,
    Note,
    Prediction,
    Scope,
    Severity,
    Study,
    StudyResult,
)


@dataclass(frozen=True)
class Graded:
    """What the grader said of the levels that may be graded, not yet calibrated; no level where none may.

    ``logp_LTK`` are log-probabilities of all targets of the label space, ``visible_LT`` is true where a level's slices
    can show the target, ``attention_LST`` is the share that each target gave each place of the bag, None where the
    grader does not say.
    """

    checked: Checked
    bag: Bag
    logp_LTK: NDArray[np.float32]
    visible_LT: NDArray[np.bool_]
    attention_LST: NDArray[np.float32] | None


def predict_study(study: Study, bundle: Bundle) -> StudyResult:
    """Grade one study; one that cannot be graded comes back as ``failed`` with the reasons."""
    start = time.perf_counter()
    result = decide(grade(check(locate(study, bundle), bundle), bundle), bundle)
    return replace(result, seconds=time.perf_counter() - start)


def placed(key: str, series: Sequence[LocatedSeries]) -> Checked:
    """Series whose levels are known beforehand, as if they had been located and checked: to judge the grader alone."""
    return Checked(Located(Study(key, ()), tuple(series)), tuple(series))


def locate(study: Study, bundle: Bundle) -> Located:
    """Settle which series are graded and name the levels in them: in sagittal series, and in axial stacks that cross
    one. Axial slices alone do not say which level they show."""
    try:
        routed = route(study, bundle.segment)
        study = routed.study
        found = [one for one in detections(study.series, routed.seen, bundle.segment) if one]
    except StudyError as error:
        return Located(study, (), (_not_run(error),))
    usable = [one for one in found if one.series.view in SAGITTAL_VIEWS]
    if not usable:
        text = f"no sagittal T1, T2 or STIR series to find levels in ({_reasons(study) or 'no image series'})"
        return Located(study, (), (Note("no_sagittal", Scope.STUDY, "", text, Severity.REFUSE),))
    series, notes = number_study(usable)
    if series and View.AXIAL_T2 in bundle.views:
        axial, left_out = locate_axial(study.series, series)
        series, notes = (*series, *axial), [*notes, *left_out]
    return Located(study, series, tuple(notes))


def check(located: Located, bundle: Bundle) -> Checked:
    """What may be graded, with everything that was refused or calls for caution."""
    return gates.check(located, bundle.spec, bundle.usual_series)


def grade(checked: Checked, bundle: Bundle) -> Graded:
    """Crop the levels and run the grader on them."""
    bag = build_bag(checked.series, bundle.spec)
    try:
        logp_LTK, attention_LST = bundle.grade(bag)
    except StudyError as error:
        refused = replace(checked, series=(), flags=(_not_run(error), *checked.flags))
        return grade(refused, bundle)
    return Graded(checked, bag, logp_LTK, visible_targets(bag, checked.series), attention_LST)


def decide(graded: Graded, bundle: Bundle) -> StudyResult:
    """Calibrate the grades and put together what is known of the study."""
    checked, located = graded.checked, graded.checked.located
    is_graded = len(graded.bag.level_L) > 0
    notes = [note for note in located.notes if note.severity is not Severity.REFUSE]
    unseen = not_shown(graded.bag, checked.series, bundle.targets)
    is_whole = not notes and all(flag.severity is not Severity.REFUSE for flag in checked.flags)
    return StudyResult(
        key=located.study.key,
        status="failed" if not is_graded else "ok" if is_whole else "partial",
        seconds=0.0,
        notes=(*notes, *unseen, *((NUMBERING,) if is_graded else ()), *located.study.notes),
        flags=checked.flags,
        located=checked.series,
        predictions=predictions_of(graded, bundle),
        crops=crops_shown(graded.bag, graded.attention_LST),
        origin=located.study.origin,
    )


def predictions_of(graded: Graded, bundle: Bundle) -> tuple[Prediction, ...]:
    """Every target of the bundle at every level where it can be seen, by its calibration."""
    predictions = []
    for name, calibration in bundle.calibration.items():
        target, index = TARGET[name], TARGET_INDEX[name]
        decided = decision(target, graded.logp_LTK[:, index].astype(float), calibration)
        evidence = bundle.evidence(name)
        for row, level_index in enumerate(graded.bag.level_L):
            level = LEVELS[level_index]
            if not graded.visible_LT[row, index]:
                continue
            predictions.append(
                Prediction(
                    level=level,
                    target=name,
                    grade=target.grades[int(decided.grade_N[row])],
                    probabilities=tuple(float(p) for p in decided.p_NK[row]),
                    confident=bool(decided.confident_N[row]) and level not in graded.checked.cautioned,
                    grade_set=decided.sets_N[row],
                    evidence=evidence,
                )
            )
    order = {name: index for index, name in enumerate(bundle.calibration)}
    return tuple(sorted(predictions, key=lambda one: (LEVELS.index(one.level), order[one.target])))


def crops_shown(bag: Bag, attention_LST: NDArray[np.float32] | None) -> dict[str, tuple[LevelCrop, ...]]:
    """level -> the crops of the bag, each with its share of every target's attention where that is known."""
    shown = {}
    for row, level in enumerate(bag.level_L):
        crops = bag.shown[row]
        if attention_LST is not None:
            shares_NT = np.zeros((len(crops), attention_LST.shape[2]))
            np.add.at(shares_NT, bag.shown_LS[row][bag.mask_LS[row]], attention_LST[row][bag.mask_LS[row]])
            crops = tuple(
                replace(crop, attention_T=tuple(float(share) for share in shares_T))
                for crop, shares_T in zip(crops, shares_NT, strict=True)
            )
        shown[LEVELS[level]] = crops
    return shown


def _not_run(error: StudyError) -> Note:
    return Note("not_run", Scope.STUDY, "", str(error), Severity.REFUSE)


def _reasons(study: Study) -> str:
    """Why each series has its view or none, those of one reason together."""
    named: dict[str, list[str]] = {}
    for series in study.series:
        reason = series.reason.rstrip(".") or series.plane
        named.setdefault(reason[:1].lower() + reason[1:], []).append(series.name)
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in named.items())
