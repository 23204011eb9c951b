"""From a study to calibrated grades: the one torch-free code path, used by prediction and by evaluation alike."""

import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spinenet.checking.gates import RefusedError, cautioned, check, refusal, sentences
from spinenet.checking.visible import visible_targets
from spinenet.crops import Bag, build_bag
from spinenet.errors import StudyError
from spinenet.labels import LEVELS, SAGITTAL_VIEWS, TARGET, TARGET_INDEX, View
from spinenet.locating.axial import locate_axial
from spinenet.locating.discs import NUMBERING_NOTE, detect
from spinenet.locating.numbering import number_study
from spinenet.locating.routing import route
from spinenet.model.bundle import Bundle
from spinenet.model.calibration import decide, grade_sets, probabilities
from spinenet.study import LevelCrop, LocatedSeries, Prediction, Severity, Study, StudyResult


def predict_study(study: Study, bundle: Bundle) -> StudyResult:
    """Locate, crop and grade one study; a study that cannot be graded comes back as ``failed`` with the reason."""
    start = time.perf_counter()
    try:
        study = route(study, bundle.segment)
        located, problems = locate_study(study, bundle)
        passed = check(study, located, bundle.spec, bundle.references)
        bag = build_bag(passed.located, bundle.spec)
        logp_LTK, attention_LST = bundle.grade(bag)
        predictions = decide_grades(bag, visible_targets(bag, passed.located), logp_LTK.astype(float), bundle)
    except StudyError as error:
        flags = error.flags if isinstance(error, RefusedError) else refusal(study, str(error))
        seconds = time.perf_counter() - start
        return StudyResult(study.key, "failed", str(error), seconds, origin=study.origin, flags=flags)
    located, doubtful = passed.located, cautioned(passed)
    refused = any(flag.severity is Severity.REFUSE for flag in passed.flags)
    notes = [f"{one.series.name}: {note}" for one in located for note in one.notes if note != NUMBERING_NOTE]
    return StudyResult(
        key=study.key,
        status="partial" if problems or refused else "ok",
        message="; ".join([*problems, *sentences(passed.flags), NUMBERING_NOTE, *study.notes, *notes]),
        seconds=time.perf_counter() - start,
        located=located,
        predictions=tuple(replace(one, confident=one.confident and one.level not in doubtful) for one in predictions),
        crops=crops_shown(bag, attention_LST),
        origin=study.origin,
        flags=passed.flags,
    )


def locate_study(study: Study, bundle: Bundle) -> tuple[tuple[LocatedSeries, ...], list[str]]:
    """Named levels in every sagittal series and in the axial stacks that cross them, and what could not be used.

    Raises StudyError where no sagittal series can be used: axial slices alone do not say which level they show.
    """
    usable = [series for series in study.series if series.plane == "sagittal" and series.view in SAGITTAL_VIEWS]
    if not usable:
        raise StudyError(
            f"no sagittal T1, T2 or STIR series to find levels in ({_reasons(study) or 'no image series'})"
        )
    located, problems = number_study([detect(series, bundle.segment) for series in usable])
    if View.AXIAL_T2 not in bundle.views:
        return located, problems
    axial, axial_problems = locate_axial(study.series, located)
    return (*located, *axial), [*problems, *axial_problems]


def _reasons(study: Study) -> str:
    """Why each series has its view or none, those of one reason together."""
    named: dict[str, list[str]] = {}
    for series in study.series:
        reason = series.reason.rstrip(".") or series.plane
        named.setdefault(reason[:1].lower() + reason[1:], []).append(series.name)
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in named.items())


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


def decide_grades(
    bag: Bag, visible_LT: NDArray[np.bool_], log_probabilities_LTK: NDArray[np.float64], bundle: Bundle
) -> tuple[Prediction, ...]:
    """Calibrate and decide every target of the bundle at every level of the bag where it can be seen."""
    predictions = []
    for name, calibration in bundle.calibration.items():
        target = TARGET[name]
        logp_LK = log_probabilities_LTK[:, TARGET_INDEX[name], : len(target.grades)]
        p_LK = probabilities(logp_LK, calibration)
        grade_L, confident_L = decide(target, p_LK, calibration)
        sets_L = grade_sets(target, p_LK, calibration)
        for row, level_index in enumerate(bag.level_L):
            if not visible_LT[row, TARGET_INDEX[name]]:
                continue
            predictions.append(
                Prediction(
                    level=LEVELS[level_index],
                    target=name,
                    grade=target.grades[int(grade_L[row])],
                    probabilities=tuple(float(p) for p in p_LK[row]),
                    confident=bool(confident_L[row]),
                    grade_set=sets_L[row],
                    evidence=bundle.evidence(name),
                )
            )
    order = {name: index for index, name in enumerate(bundle.calibration)}
    return tuple(sorted(predictions, key=lambda one: (LEVELS.index(one.level), order[one.target])))
