"""From a study to calibrated grades: the one torch-free code path, used by prediction and by evaluation alike."""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spinenet.bundle import Bundle
from spinenet.calibration import decide, probabilities
from spinenet.crops import Bag, build_bag
from spinenet.errors import StudyError
from spinenet.labels import LEVELS, TARGET, TARGET_INDEX, View
from spinenet.locate import NUMBERING_NOTE, locate
from spinenet.study import LevelFrame, LocatedSeries, Prediction, Study, StudyResult

SAME_PLACE_MM = 3.0
SAGITTAL_VIEWS = (View.SAGITTAL_T1, View.SAGITTAL_T2, View.SAGITTAL_STIR)


def predict_study(study: Study, bundle: Bundle) -> StudyResult:
    """Locate, crop and grade one study; a study that cannot be graded comes back as ``failed`` with the reason."""
    start = time.perf_counter()
    try:
        located, problems = locate_study(study, bundle)
        bag = build_bag(located, bundle.spec)
        predictions = decide_grades(bag, bundle.grade(bag).astype(float), bundle)
    except StudyError as error:
        return StudyResult(study.key, "failed", str(error), time.perf_counter() - start)
    notes = [f"{one.series.name}: {note}" for one in located for note in one.notes if note != NUMBERING_NOTE]
    return StudyResult(
        key=study.key,
        status="partial" if problems else "ok",
        message="; ".join([*problems, NUMBERING_NOTE, *study.notes, *notes]),
        seconds=time.perf_counter() - start,
        located=located,
        predictions=predictions,
        crops={LEVELS[level]: shown for level, shown in zip(bag.level_L, bag.shown, strict=True)},
    )


def locate_study(study: Study, bundle: Bundle) -> tuple[tuple[LocatedSeries, ...], list[str]]:
    """Named levels in every sagittal series, and what could not be used; StudyError where no series can be."""
    usable = [series for series in study.series if series.plane == "sagittal" and series.view in SAGITTAL_VIEWS]
    if not usable:
        found = "; ".join(f"{series.name}: {series.plane}, {series.reason}" for series in study.series)
        raise StudyError(f"no sagittal T1, T2 or STIR series to grade ({found or 'no image series'})")
    located: list[LocatedSeries] = []
    problems: list[str] = []
    for series in usable:
        try:
            located.append(locate(series, bundle.segment))
        except StudyError as error:
            problems.append(f"{series.name}: {error}")
    if not located:
        raise StudyError("; ".join(problems))
    kept, disagreeing = agreeing(located)
    return completed(kept), problems + disagreeing


def agreeing(located: Sequence[LocatedSeries]) -> tuple[tuple[LocatedSeries, ...], list[str]]:
    """Series whose level names agree in space with the surest one; a series counted differently is left out and said.

    Names are compared where series share a coordinate system: discs of one name lie at one height in the patient.
    """
    surest = max(located, key=lambda one: (len(one.frames), np.mean([frame.confidence for frame in one.frames])))
    kept, problems = [], []
    for one in located:
        shift = _shift_in_levels(surest, one)
        if shift:
            problems.append(
                f"{one.series.name}: its levels seem to be counted {abs(shift)} "
                f"{'higher' if shift > 0 else 'lower'} than in {surest.series.name}; the series is left out"
            )
        else:
            kept.append(one)
    return tuple(kept), problems


def completed(located: Sequence[LocatedSeries]) -> tuple[LocatedSeries, ...]:
    """Give every series the levels that only another one shows clearly, where both lie in the same place.

    T1 and T2 of one examination show the same discs; a level found in one is looked at in both. Series that do not
    agree to SAME_PLACE_MM on the levels they share are left as they are.
    """
    return tuple(replace(one, frames=_with_frames_of(one, located)) for one in located)


def _with_frames_of(one: LocatedSeries, others: Sequence[LocatedSeries]) -> tuple[LevelFrame, ...]:
    frames = {frame.level: frame for frame in one.frames}
    for other in others:
        offsets_mm = [
            np.linalg.norm((frames[frame.level].center_mm - frame.center_mm)[1:])
            for frame in other.frames
            if frame.level in frames
        ]
        if len(offsets_mm) >= 3 and np.median(offsets_mm) < SAME_PLACE_MM:
            frames |= {frame.level: frame for frame in other.frames if frame.level not in frames}
    return tuple(sorted(frames.values(), key=lambda frame: LEVELS.index(frame.level)))


def _shift_in_levels(first: LocatedSeries, second: LocatedSeries) -> int:
    """By how many levels the names in ``second`` are off; 0 unless another shift clearly fits better."""
    heights = {LEVELS.index(frame.level): frame.center_mm[2] for frame in first.frames}

    def misfit(shift: int) -> float:
        pairs = [
            abs(heights[index] - frame.center_mm[2])
            for frame in second.frames
            if (index := LEVELS.index(frame.level) + shift) in heights
        ]
        return float(np.median(pairs)) if len(pairs) >= 3 else np.inf

    best = min((0, -1, 1), key=misfit)
    return best if misfit(best) < 6.0 and misfit(0) > 18.0 else 0


def decide_grades(bag: Bag, log_probabilities_LTK: NDArray[np.float64], bundle: Bundle) -> tuple[Prediction, ...]:
    """Calibrate and decide every target of the bundle at every level of the bag."""
    predictions = []
    for name, calibration in bundle.calibration.items():
        target = TARGET[name]
        logp_LK = log_probabilities_LTK[:, TARGET_INDEX[name], : len(target.grades)]
        p_LK = probabilities(logp_LK, calibration)
        grade_L, confident_L = decide(target, p_LK, calibration)
        for row, level_index in enumerate(bag.level_L):
            predictions.append(
                Prediction(
                    level=LEVELS[level_index],
                    target=name,
                    grade=target.grades[int(grade_L[row])],
                    probabilities=tuple(float(p) for p in p_LK[row]),
                    confident=bool(confident_L[row]),
                )
            )
    order = {name: index for index, name in enumerate(bundle.calibration)}
    return tuple(sorted(predictions, key=lambda one: (LEVELS.index(one.level), order[one.target])))
