"""How far grades move when the same study is shown in another way: test-retest, missing views, shifted levels.

Predictions come from the bundle as it is shipped, without torch. Levels of the two predictions are paired by name;
whether a name still means the same disc is judged by where it lies. Shape letters: N pairs of grades.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinenet.evaluate.estimates import mean_of
from spinenet.evaluate.intervals import (
    UNDEFINED,
    Estimate,
    Interval,
    Resamples,
    bca,
    draw_patients,
    patients_of,
    resting,
    share,
)
from spinenet.evaluate.metrics import ratio
from spinenet.evaluate.robustness.perturb import MISSING_VIEW, SAME_STUDY, cut_below
from spinenet.labels import LEVELS, MIRROR, TARGETS, Scale, Target
from spinenet.model.bundle import Bundle
from spinenet.predict import check, decide, grade, locate, predict_study
from spinenet.study import Prediction, Study, StudyResult

RENAMED = "names shifted by one"
CUT = "lowest disc out of view"
SAME_PLACE_MM = 15.0
"""Less than half of the way to the next disc: a name that moved further names another one."""
MIRRORED = {TARGETS[index].name: TARGETS[other].name for index, other in enumerate(MIRROR)}


@dataclass(frozen=True)
class Retest:
    """One study shown in one way: ``before`` and ``after`` are the predictions of a level and target that both have.

    ``levels`` counts named levels before, ``lost`` those without a name afterwards, ``misnamed`` those whose name now
    lies at another disc. ``refused`` is the reason where nothing was graded.
    """

    study: str
    kind: str
    pairs: tuple[tuple[Prediction, Prediction], ...]
    levels: int
    lost: int
    misnamed: int
    refused: str = ""


@dataclass(frozen=True)
class Movement:
    """How far one target's grades move under one perturbation, with intervals over studies.

    ``changed``: share of grades that differ; ``far``: that differ by two or more (ordinal targets, else nan);
    ``shifted``: mean of the largest change of a grade's probability; ``drift``: mean change of the expected grade,
    which is not 0 where a perturbation pushes grades one way (nan where grades have no order).
    """

    kind: str
    target: str
    n: int
    studies: int
    changed: Estimate
    far: Estimate
    shifted: Estimate
    drift: Estimate


@dataclass(frozen=True)
class LevelShift:
    """What became of the level names under one perturbation: shares of the levels found before."""

    kind: str
    studies: int
    levels: int
    refused: int
    lost: Estimate
    misnamed: Estimate


def retests(study: Study, bundle: Bundle, seed: int) -> Iterator[Retest]:
    """Every perturbation of one study; nothing for a study that can't be graded as it is."""
    before = predict_study(study, bundle)
    if not before.predictions:
        return
    for index, (kind, perturb) in enumerate((SAME_STUDY | MISSING_VIEW).items()):
        changed = perturb(study, np.random.default_rng([seed, index]))
        if changed is not study or kind == "read again":
            yield _retest(study.key, kind, before, predict_study(changed, bundle))
    heights = {frame.level: frame.center_mm[2] for one in before.located for frame in one.frames}
    if {"L5/S1", "L4/L5"} <= set(heights):
        above_mm = (heights["L5/S1"] + heights["L4/L5"]) / 2
        yield _retest(study.key, CUT, before, predict_study(cut_below(study, above_mm), bundle))
    yield _renamed(study, before, bundle)


def _retest(key: str, kind: str, before: StudyResult, after: StudyResult) -> Retest:
    mirrored = kind == "mirrored"
    found = {(one.level, MIRRORED[one.target] if mirrored else one.target): one for one in after.predictions}
    pairs = tuple((one, found[one.level, one.target]) for one in before.predictions if (one.level, one.target) in found)
    old, new = _centers(before), _centers(after)
    both = [level for level in old if level in new]
    return Retest(
        study=key,
        kind=kind,
        pairs=pairs,
        levels=len(old),
        lost=sum(level not in new for level in old),
        misnamed=sum(float(np.linalg.norm(old[level] - new[level])) > SAME_PLACE_MM for level in both),
        refused="" if after.predictions else after.message,
    )


def _centers(result: StudyResult) -> dict[str, NDArray[np.float64]]:
    """Level -> centre in the sagittal plane (posterior, superior) in mm."""
    centers: dict[str, list[NDArray[np.float64]]] = {}
    for one in result.located:
        if one.series.plane == "sagittal":
            for frame in one.frames:
                centers.setdefault(frame.level, []).append(frame.center_mm[1:])
    return {level: np.mean(places, axis=0) for level, places in centers.items()}


def _renamed(study: Study, before: StudyResult, bundle: Bundle) -> Retest:
    """The same pixels under the name of the level above: what the grader makes of a name alone."""
    graded = grade(check(locate(study, bundle), bundle), bundle)
    shifted = replace(graded.bag, level_L=np.minimum(graded.bag.level_L + 1, len(LEVELS) - 1))
    logp_LTK, _ = bundle.grade(shifted)
    decided = decide(replace(graded, logp_LTK=logp_LTK), bundle)
    after = {(one.level, one.target): one for one in decided.predictions}
    pairs = tuple((one, after[one.level, one.target]) for one in before.predictions if (one.level, one.target) in after)
    return Retest(study.key, RENAMED, pairs, len(before.graded_levels), 0, 0)


def movements(found: Sequence[Retest], *, samples: int, seed: int) -> list[Movement]:
    """One row a perturbation and target, in their order."""
    place = _places(found)
    resamples = draw_patients(len(place), samples, seed)
    rows = []
    for kind in dict.fromkeys(one.kind for one in found):
        pairs = [(place[one.study], pair) for one in found if one.kind == kind for pair in one.pairs]
        for target in TARGETS:
            mine = [(index, *pair) for index, pair in pairs if pair[0].target == target.name]
            if mine:
                rows.append(_movement(kind, target, mine, resamples))
    return rows


def _places(found: Sequence[Retest]) -> dict[str, int]:
    return {study: index for index, study in enumerate(sorted({one.study for one in found}))}


def _movement(
    kind: str, target: Target, pairs: Sequence[tuple[int, Prediction, Prediction]], resamples: Resamples
) -> Movement:
    study_N = np.array([index for index, *_ in pairs])
    grade_N2 = np.array([[target.index_of(one.grade) for one in pair] for _, *pair in pairs])
    p_N2K = np.array([[one.probabilities for one in pair] for _, *pair in pairs])
    apart_N = np.abs(grade_N2[:, 1] - grade_N2[:, 0])
    change_NK = p_N2K[:, 1] - p_N2K[:, 0]
    drift_N = change_NK @ np.arange(change_NK.shape[1])

    def mean(values_N: NDArray[Any], interval: Interval | None = None) -> Estimate:
        return mean_of(values_N, study_N, resamples, interval).estimate(resamples)

    return Movement(
        kind=kind,
        target=target.name,
        n=len(pairs),
        studies=patients_of(study_N),
        changed=mean(apart_N > 0),
        far=mean(apart_N > 1) if target.scale is Scale.ORDINAL else UNDEFINED,
        shifted=mean(np.abs(change_NK).max(axis=1), bca),
        drift=UNDEFINED if target.scale is Scale.NOMINAL else mean(drift_N, bca),
    )


def level_shifts(found: Sequence[Retest], *, samples: int, seed: int) -> list[LevelShift]:
    """What became of the names of the levels, one row a perturbation."""
    place = _places(found)
    resamples = draw_patients(len(place), samples, seed)
    rows = []
    for kind in dict.fromkeys(one.kind for one in found if one.kind != RENAMED):
        mine = [one for one in found if one.kind == kind]
        study_N = np.array([place[one.study] for one in mine])
        counts = (np.array([getattr(one, name) for one in mine], float) for name in ("levels", "lost", "misnamed"))
        _, levels_C, lost_C, misnamed_C = resamples.totals(study_N, *counts).T
        rows.append(
            LevelShift(
                kind=kind,
                studies=len(mine),
                levels=sum(one.levels for one in mine),
                refused=sum(bool(one.refused) for one in mine),
                lost=share(resting(ratio(lost_C, levels_C), study_N), resamples, len(mine)),
                misnamed=share(resting(ratio(misnamed_C, levels_C), study_N), resamples, len(mine)),
            )
        )
    return rows
