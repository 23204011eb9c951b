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
from spinenet.checking.measured_findings import measured_sides, slip_flags
from spinenet.checking.visible import not_shown, visible_targets
from spinenet.crops import Bag, build_bag, disc_views
from spinenet.errors import StudyError
from spinenet.labels import EXPERIMENTAL, LEVELS, SAGITTAL_VIEWS, TARGET, TARGET_INDEX, View
from spinenet.locating.axial import locate_axial
from spinenet.locating.given_names import numbering_of
from spinenet.locating.measuring.cross_section import CROSS_SECTION
from spinenet.locating.measuring.disc_below import with_discs_below
from spinenet.locating.measuring.dural_sac import Sacs, measure_sacs
from spinenet.locating.measuring.features import FeatureRows
from spinenet.locating.measuring.measured_study import features_of, measure_study
from spinenet.locating.measuring.missing_depth import missing_depths
from spinenet.locating.measuring.plausibility import believed
from spinenet.locating.measuring.quantities import level_measurements
from spinenet.locating.numbering import number_study
from spinenet.locating.routing import detections, route
from spinenet.locating.sides import with_agreed_sides
from spinenet.model import canal_by_area
from spinenet.model.bundle import DISCS, GRADER, MEASURED, Bundle
from spinenet.model.calibration import decision
from spinenet.model.canal_by_area import CanalAreas
from spinenet.model.fusion import answer, joined
from spinenet.model.reasons import reasons
from spinenet.readers.sources import LOST
from spinenet.regions import REMNANT
from spinenet.study import (
    LevelCrop,
    LocatedSeries,
    MeasuredSeries,
    Measurement,
    Note,
    Prediction,
    Reason,
    Scope,
    Severity,
    Study,
    StudyCheck,
    StudyLevels,
    StudyResult,
)


@dataclass(frozen=True)
class UncalibratedGrades:
    """What the grader said of the levels that may be graded, not yet calibrated; no level where none may.

    ``logp_LTK`` are log-probabilities of all targets of the label space, ``visible_LT`` is true where a level's slices
    can show the target, ``attention_LST`` is the share that each target gave each place of the bag, None where the
    grader does not say. ``measured`` is what was measured, ``measurements`` the same level by level, ``features``
    what of it was graded, ``notes`` say what could not be measured, and ``sacs`` are those outlined.
    """

    checked: StudyCheck
    bag: Bag
    logp_LTK: NDArray[np.float32]
    visible_LT: NDArray[np.bool_]
    attention_LST: NDArray[np.float32] | None
    measured: tuple[MeasuredSeries, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    features: FeatureRows | None = None
    notes: tuple[Note, ...] = ()
    sacs: Sacs = Sacs()


def predict_study(study: Study, bundle: Bundle) -> StudyResult:
    """Grade one study; one that cannot be graded comes back as ``failed`` with the reasons."""
    start = time.perf_counter()
    result = decide(grade(check(locate(study, bundle), bundle), bundle), bundle)
    return replace(result, seconds=time.perf_counter() - start)


def placed(key: str, series: Sequence[LocatedSeries]) -> StudyCheck:
    """Series whose levels are known beforehand, as if they had been located and checked: to judge the grader alone."""
    return StudyCheck(StudyLevels(Study(key, ()), tuple(series)), tuple(series))


def locate(study: Study, bundle: Bundle) -> StudyLevels:
    """Settle which series are graded and name the levels in them: in sagittal series, and in axial stacks that cross
    one. Axial slices alone do not say which level they show."""
    try:
        routed = route(study, bundle.segment)
        study = routed.study
        found = [one for one in detections(study.series, routed.seen, bundle.segment) if one]
        usable = [one for one in found if one.series.view in SAGITTAL_VIEWS]
        series, notes = number_study(usable, study.level_names) if usable else ((), [])
        if bundle.measures and REMNANT not in study.level_names:  # which is the disc below that would be found
            series = with_discs_below(series, bundle.outline)
    except StudyError as error:
        return StudyLevels(study, (), (_not_run(error),))
    if not usable:
        text = f"no sagittal T1, T2 or STIR series to find levels in ({_reasons(study) or 'no image series'})"
        return StudyLevels(study, (), (Note("no_sagittal", Scope.STUDY, "", text, Severity.REFUSE),))
    if series and View.AXIAL_T2 in bundle.views:
        axial, left_out = locate_axial(study.series, series)
        series, notes = (*series, *axial), [*notes, *left_out]
    series, mirrored = with_agreed_sides(series)
    return StudyLevels(study, series, (*notes, *mirrored))


def check(located: StudyLevels, bundle: Bundle) -> StudyCheck:
    """What may be graded, with everything that was refused or calls for caution."""
    return gates.check(located, bundle.spec, bundle.usual_series)


def grade(checked: StudyCheck, bundle: Bundle) -> UncalibratedGrades:
    """Crop and measure the levels, and join what the parts of the bundle say of them."""
    bag = build_bag(checked.series, bundle.spec)
    try:
        logp_LTK, attention_LST = bundle.grade(bag)
        measured = measure_study(checked.series, bundle.outline) if bundle.measures else ()
        sacs = measure_sacs(checked.series, bundle.outline_sacs) if bundle.outlines_sacs else Sacs()
        features = features_of(measured)
        answers = [logp_LTK, *_by_pictures(bag, checked.series, bundle), *_by_measurements(bag, features, bundle)]
    except StudyError as error:
        refused = replace(checked, series=(), flags=(_not_run(error), *checked.flags))
        return grade(refused, bundle)
    visible_LT = visible_targets(bag, checked.series, bundle.read_from)
    attention_LST = _with_read_slices(attention_LST, bag, checked.series, bundle)
    all_sizes = level_measurements(checked.series, measured, bundle.usual_measurements, sacs.given)
    measurements, doubtful = believed(all_sizes, measured, bundle.usual_measurements, checked.series)
    not_measured = *sacs.notes, *missing_depths(checked.series, measured, all_sizes)
    logp_LTK = _with_canal_area(joined(answers), bag, canal_areas(measured, sacs, bag.level_L), bundle)
    notes = *not_measured, *doubtful
    return UncalibratedGrades(
        checked, bag, logp_LTK, visible_LT, attention_LST, measured, measurements, features, notes, sacs
    )


def _read_series(series: Sequence[LocatedSeries], targets: Sequence[str], bundle: Bundle) -> list[LocatedSeries]:
    """Sagittal series that the grades of any of these targets are read from."""
    views = {view for name in targets for view in bundle.read_from(name)}
    return [one for one in series if one.series.plane == "sagittal" and one.series.view in views]


def _by_pictures(bag: Bag, series: Sequence[LocatedSeries], bundle: Bundle) -> list[NDArray[np.float32]]:
    """The answer of the disc network: the mean over its T2 series, each beside the T1."""
    targets = bundle.targets_of(DISCS)
    if not targets:
        return []
    shown = disc_views(_read_series(series, targets, bundle), bundle.disc_spec)
    said = [{name: np.exp(logp) for name, logp in bundle.grade_discs(views).items()} for views in shown]
    answers = [answer(bag.level_L, one, views.level_L) for one, views in zip(said, shown, strict=True)]
    return [joined(answers)] if answers else []


def _by_measurements(bag: Bag, features: FeatureRows | None, bundle: Bundle) -> list[NDArray[np.float32]]:
    """The answer of the model on measurements; none where nothing was measured."""
    grader = bundle.measured_grader
    if grader is None or features is None:
        return []
    said = grader.probabilities(grader.columns_of(features.names, features.values_LF))
    return [answer(bag.level_L, {name: said[name] for name in bundle.targets_of(MEASURED)}, features.level_L)]


def _with_canal_area(logp_LTK: NDArray[np.float32], bag: Bag, areas: CanalAreas, bundle: Bundle) -> NDArray[np.float32]:
    """The answers with the canal's by its area, where the bundle knows how."""
    lines = bundle.canal_by_area
    if lines is not None and len(bag.level_L):
        index, grades = TARGET_INDEX[canal_by_area.NAME], len(TARGET[canal_by_area.NAME].grades)
        logp_LTK[:, index, :grades] = lines.log_probabilities(logp_LTK[:, index, :grades].astype(np.float64), areas)
    return logp_LTK


def canal_areas(measured: Sequence[MeasuredSeries], sacs: Sacs, level_L: NDArray[np.int64]) -> CanalAreas:
    """Areas at levels (index into LEVELS): of the sac as it is outlined, of the canal in the first series with one."""
    sac_mm2 = {level: one.value for level, one in sacs.outlined.items()}
    canals = {}
    for series in reversed(measured):
        areas = {name: sizes.get(CROSS_SECTION, np.nan) for name, sizes in series.levels.items()}
        canals.update({name: area_mm2 for name, area_mm2 in areas.items() if not np.isnan(area_mm2)})
    names = [LEVELS[index] for index in level_L]
    return CanalAreas(*(np.array([found.get(name, np.nan) for name in names]) for found in (sac_mm2, canals)))


def _with_read_slices(
    attention_LST: NDArray[np.float32] | None, bag: Bag, series: Sequence[LocatedSeries], bundle: Bundle
) -> NDArray[np.float32] | None:
    """Attention with equal shares for the slices that targets of other parts than ``grader.onnx`` were read from."""
    if attention_LST is None:
        return None
    for name in bundle.targets:
        if GRADER in bundle.graded_by(name):
            continue
        slices = {(one.series.name, one.midline_slice) for one in _read_series(series, (name,), bundle)}
        for row, crops in enumerate(bag.shown):
            read_N = np.array([(crop.series_name, crop.slice_index) in slices for crop in crops], float)
            shown_S = bag.shown_LS[row][bag.mask_LS[row]]
            attention_LST[row, bag.mask_LS[row], TARGET_INDEX[name]] = read_N[shown_S] / max(read_N.sum(), 1)
    return attention_LST


def decide(graded: UncalibratedGrades, bundle: Bundle) -> StudyResult:
    """Calibrate the grades and put together what is known of the study."""
    checked, located = graded.checked, graded.checked.located
    is_graded = len(graded.bag.level_L) > 0
    notes = [note for note in located.notes if note.severity is not Severity.REFUSE]
    plain = [note for note in graded.notes if note.severity is Severity.NOTE]
    doubtful = [note for note in graded.notes if note.severity is not Severity.NOTE]
    unseen = not_shown(graded.bag, checked.series, bundle.targets, bundle.read_from)
    predictions = predictions_of(graded, bundle)
    is_read = not any(note.code in LOST for note in located.study.notes)
    is_lost = any(flag.severity is Severity.REFUSE or flag.code in gates.INCOMPLETE for flag in checked.flags)
    is_whole = is_read and not notes and not is_lost
    return StudyResult(
        key=located.study.key,
        status="failed" if not is_graded else "ok" if is_whole else "partial",
        seconds=0.0,
        notes=(
            *notes,
            *unseen,
            *plain,
            *(numbering_of(located.study) if is_graded else ()),
            *located.study.notes,
        ),
        flags=(
            *slip_flags(predictions, graded.measurements),
            *doubtful,
            *checked.flags,
            *_experimental(predictions),
        ),
        located=checked.series,
        predictions=predictions,
        crops=crops_shown(graded.bag, graded.attention_LST),
        measured=graded.measured,
        measurements=graded.measurements,
        origin=located.study.origin,
    )


def _experimental(predictions: Sequence[Prediction]) -> tuple[Note, ...]:
    """Which targets of a result are experimental, where any is."""
    names = dict.fromkeys(TARGET[one.target].running for one in predictions if one.experimental)
    text = f"{', '.join(names)}: {EXPERIMENTAL}; no finding, and never one that is absent"
    return (Note("experimental", Scope.STUDY, "", text),) if names else ()


def predictions_of(graded: UncalibratedGrades, bundle: Bundle) -> tuple[Prediction, ...]:
    """Every target of the bundle at every level where it can be seen, by its calibration."""
    predictions = []
    why = _reasons_of(graded, bundle)
    for name, calibration in bundle.calibration.items():
        target, index = TARGET[name], TARGET_INDEX[name]
        said_L = ~np.isnan(graded.logp_LTK[:, index, 0]) & graded.visible_LT[:, index]
        levels = [LEVELS[level_index] for level_index in graded.bag.level_L[said_L]]
        views, sides = bundle.read_from(name), measured_sides(name, graded.measurements)
        decided = decision(
            target,
            graded.logp_LTK[said_L, index],
            calibration,
            evidence=bundle.evidence(name),
            doubted_N=np.array([graded.checked.doubts(level, target, views) for level in levels], np.bool_),
            measured_N=np.array([sides.get(level, 0) for level in levels], np.int64),
        )
        for row, level in enumerate(levels):
            predictions.append(
                Prediction(
                    level=level,
                    target=name,
                    grade=target.grades[int(decided.grade_N[row])],
                    probabilities=tuple(float(p) for p in decided.p_NK[row]),
                    confident=bool(decided.confident_N[row]),
                    grade_set=decided.sets_N[row],
                    evidence=bundle.evidence(name),
                    reasons=why.get((LEVELS.index(level), name), ()),
                )
            )
    order = {name: index for index, name in enumerate(bundle.calibration)}
    return tuple(sorted(predictions, key=lambda one: (LEVELS.index(one.level), order[one.target])))


def _reasons_of(graded: UncalibratedGrades, bundle: Bundle) -> dict[tuple[int, str], tuple[Reason, ...]]:
    """(index into LEVELS, target) -> the measurements that moved its grade, for what is graded by measurements."""
    grader, features = bundle.measured_grader, graded.features
    if grader is None or features is None:
        return {}
    cuts = {name: max(TARGET[name].finding_from, 1) - 1 for name in bundle.targets_of(MEASURED)}
    values_LF = grader.columns_of(features.names, features.values_LF)
    found = reasons(grader, values_LF, features.level_L, cuts)
    return {
        (level, name): one
        for level, by_target in zip(features.level_L, found, strict=True)
        for name, one in by_target.items()
    }


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
