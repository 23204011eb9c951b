"""Before a grade is given: is this a study, a series, a level that the model was made for, and is it seen well enough?

Each doubt becomes a flag with its reason. REFUSE takes the study, series or level out of grading, FLAG leaves a caution
with the grades, NOTE tells what a reader must know anyway. What is not looked for is said in every result.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from spinenet.checking.artefacts import artefacts_of
from spinenet.checking.collapse import collapse_flags
from spinenet.checking.consistency import NARROWER, of_two_sizes, of_two_widths, out_of_order
from spinenet.checking.curvature import curvature_flags
from spinenet.checking.marrow import marrow_flags
from spinenet.checking.metal import metal_flags
from spinenet.checking.named_levels import against_names
from spinenet.checking.quality import REFUSE_FACTOR, UsualSeries, figures_of, share_in_view
from spinenet.crops import CropSpec
from spinenet.labels import LEVELS, NEVER_LOOKED_FOR, View
from spinenet.locating.discs import DISC_BELOW
from spinenet.regions import LUMBAR
from spinenet.study import Basis, LevelFrame, LocatedSeries, Note, Scope, Severity, Study, StudyCheck, StudyLevels

ADULT_YEARS = 18.0
NOT_LOOKED_FOR_CODE = "not_looked_for"
NOT_LOOKED_FOR = (
    f"Not looked for, so never absent by this result: {', '.join(NEVER_LOOKED_FOR)}, and anything but the graded "
    "targets. Not made for patients under 18."
)
LIKE_NEIGHBOURS = 1.8
"""The deepest disc of a spine is no more than this many times the median one; at most 1.5 times in SPIDER."""
OFF_MIDLINE = "off_midline"
INCOMPLETE = frozenset({OFF_MIDLINE, NARROWER})
"""Codes of flags that slices of a series are missing: a study with one is graded in part."""
COARSE_MM = 2.0
"""Larger pixels show no disc; lumbar sagittal series have 0.3 to 1.2 mm."""
DOUBTFUL_NAMES = "doubtful_names"
"""Code of the flag that the names of all levels may be wrong: then no grade of the study is stood by."""
SURE_OF_SACRUM, UNSURE_OF_SACRUM, SHORT_LOWEST = 0.65, 0.35, 0.85
"""Below the first certainty, of the series that shows it best, the lowest disc may be another one if it is also shorter
than this share of the four above: a worn one is as deep as they are. So are 2 of 4 in SPIDER and 6 of 11 in Sudirman's
patients, all of whom look transitional, and of the others at most one. Below the second it is doubtful at any depth."""
WIDE_GAP = 1.5
"""No two discs of a lumbar spine are farther apart than so many times the median distance: a disc was passed over."""
RUDIMENTARY_DEPTH, RUDIMENTARY_HEIGHT = 0.75, 0.55
"""A lowest disc so much shorter and flatter than the one above may belong to a vertebra that has joined the sacrum."""
SACRAL_TURN_DEG, SACRAL_SLOPE_DEG = 20.0, 45.0
"""Where the disc above the lowest is turned so far against the next, and the lowest rises so steeply to the back, the
two may be L5/S1 and S1/S2. Set on SPIDER: of 178 patients 64 and 241, both named one off, and of 382 of Sudirman's
three, of whom it is not known."""
SURE_OF_DISC = 0.75
MIN_IN_VIEW, ENOUGH_IN_VIEW = 0.3, 0.5
"""Shares of a level's field that must lie in the image: below the first it is not graded, below the second flagged; an
axial level is left to the sagittal series below the second already."""
FEWEST_SLICES = 5
"""A stack of fewer slices may have its midline in the first or last one."""
MIN_SIGNAL = 4.0
"""Spread of the spine's grey values in units of noise: fewer show little but noise."""


def check(located: StudyLevels, spec: CropSpec, references: Mapping[View, UsualSeries]) -> StudyCheck:
    """Judge a located study; ``references`` are the bundle's, by view."""
    if not located.series:
        return StudyCheck(located, (), (*located.notes, *_notes(located.study)))
    flags = [*_study_flags(located)]
    kept: list[LocatedSeries] = []
    doubts: dict[str, list[Note]] = {}
    for one in located.series:
        reference = references.get(one.series.view) if one.series.view else None
        own = list(_series_flags(one, reference))
        flags += own
        if _refuses(own):
            continue
        of_levels = {frame.level: list(_level_flags(one, frame, spec)) for frame in one.frames}
        kept.append(replace(one, frames=tuple(frame for frame in one.frames if not _refuses(of_levels[frame.level]))))
        for level, found in of_levels.items():
            doubts.setdefault(level, []).extend(found)
    sagittal = [one for one in kept if one.series.plane == "sagittal"]
    seen = {frame.level for one in sagittal for frame in one.frames}
    for flag in (*metal_flags(sagittal), *collapse_flags(sagittal), *marrow_flags(sagittal)):
        doubts.setdefault(flag.subject, []).append(flag)
    flags += [flag for level in sorted(doubts, key=LEVELS.index) for flag in _of_level(doubts[level], level in seen)]
    flags += [*curvature_flags(sagittal), *_notes(located.study)]
    flags.sort(key=lambda flag: list(Severity)[::-1].index(flag.severity))
    if any(flag.scope is Scope.STUDY and flag.severity is Severity.REFUSE for flag in flags):
        seen = set()
    kept = [replace(one, frames=tuple(frame for frame in one.frames if frame.level in seen)) for one in kept]
    series = tuple(one for one in kept if one.frames)
    return StudyCheck(located, series, tuple(flags), _cautioned(series, flags), _cautioned_axial(series, flags))


def _cautioned(series: Sequence[LocatedSeries], flags: Sequence[Note]) -> frozenset[str]:
    """Levels whose grades are not to be stood by: flagged themselves, or seen in flagged sagittal series alone, or all
    where their names are doubtful."""
    flagged = {scope: {flag.subject for flag in flags if flag.severity is Severity.FLAG and flag.scope is scope}
               for scope in Scope}  # fmt: skip
    sagittal = [one for one in series if one.series.plane == "sagittal"]
    sound = {frame.level for one in sagittal if one.series.name not in flagged[Scope.SERIES] for frame in one.frames}
    every = {frame.level for one in sagittal for frame in one.frames}
    if any(flag.code == DOUBTFUL_NAMES for flag in flags):
        return frozenset(flagged[Scope.LEVEL] | every)
    return frozenset(flagged[Scope.LEVEL] | (every - sound))


def _cautioned_axial(series: Sequence[LocatedSeries], flags: Sequence[Note]) -> frozenset[str]:
    """Levels that a flagged axial series shows: whatever was read from axial slices was read from it as well."""
    flagged = {flag.subject for flag in flags if flag.severity is Severity.FLAG and flag.scope is Scope.SERIES}
    axial = [one for one in series if one.series.plane == "axial" and one.series.name in flagged]
    return frozenset(frame.level for one in axial for frame in one.frames)


def _study_flags(located: StudyLevels) -> Iterator[Note]:
    age_years = located.study.age_years
    if age_years is not None and age_years < ADULT_YEARS:
        yield _of_study("under_age", "the patient is under 18; the model was made for adults", Severity.REFUSE)
    sagittal = [one for one in located.series if one.series.plane == "sagittal"]
    frames = max((one.frames for one in sagittal), key=len, default=())
    steps_mm = [float(np.linalg.norm(upper.center_mm - lower.center_mm)) for lower, upper in pairwise(frames)]
    depths_mm = [frame.depth_mm for frame in frames] or [np.nan]
    depth_mm, step_mm = float(np.median(depths_mm)), float(np.median(steps_mm or [np.nan]))
    if not (_within(depth_mm, LUMBAR.adult_depths_mm) and _within(step_mm, LUMBAR.adult_steps_mm)):
        text = f"discs {depth_mm:.0f} mm deep and {step_mm:.0f} mm apart are no adult's; is the pixel spacing right?"
        yield _of_study("implausible_size", text, Severity.REFUSE)
    elif max(depths_mm) > LIKE_NEIGHBOURS * depth_mm:
        text = f"discs of {min(depths_mm):.0f} to {max(depths_mm):.0f} mm in depth make no spine; is it a lumbar one?"
        yield _of_study("implausible_shape", text, Severity.REFUSE)
    if len(frames) < LUMBAR.usual:
        text = f"only {len(frames)} levels are in view; the {LUMBAR.name} has {LUMBAR.usual}"
        yield _of_study("few_levels", text, Severity.FLAG)
    yield from of_two_sizes(sagittal)
    yield from of_two_widths(sagittal)
    signs = list(_signs_against_count(sagittal, frames))
    if located.study.level_names:
        yield from against_names(located.study.level_names, frames, signs)
    elif signs:
        yield _doubtful_names(signs)


def _within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]


def _signs_against_count(sagittal: Sequence[LocatedSeries], frames: Sequence[LevelFrame]) -> Iterator[str]:
    """Signs that the lowest disc counted is not L5/S1: a transitional vertebra, or a disc passed over."""
    if not sagittal:
        return
    surest = max(sagittal, key=lambda one: one.certainty)
    if any(note.code == DISC_BELOW for one in sagittal for note in one.notes):
        yield "a disc lies below the lowest one counted"
    if len(frames) > 1:
        lowest, above = frames[:2]
        short = lowest.depth_mm < RUDIMENTARY_DEPTH * above.depth_mm
        flat = lowest.height_mm < RUDIMENTARY_HEIGHT * above.height_mm
        if short and flat:
            yield "the lowest disc is rudimentary"
    if surest.certainty < (SURE_OF_SACRUM if _is_lowest_short(surest.frames) else UNSURE_OF_SACRUM):
        yield "the sacrum is not clearly recognised"
    gap = _lowest_gap(surest.frames)
    if gap > WIDE_GAP and not _is_seen(_passed_over(surest.frames), sagittal):
        yield f"the lowest disc lies {gap:.1f} times the usual distance below the next"
    if _turns_like_sacrum(sagittal):
        yield "the lowest two discs lie at the angles of L5/S1 and S1/S2"


def _doubtful_names(signs: Sequence[str]) -> Note:
    text = f"level names are doubtful: {' and '.join(signs)}; all may be one off (a transitional vertebra, or a disc "
    text += "passed over); check the numbering against a whole-spine or localizer image"
    return _of_study(DOUBTFUL_NAMES, text, Severity.FLAG)


def _turns_like_sacrum(sagittal: Sequence[LocatedSeries]) -> bool:
    """Whether the lowest three discs, in the mean over series, are turned as those from L4/L5 to S1/S2 are."""
    slopes_S3 = [
        [np.degrees(np.arctan2(frame.posterior[2], frame.posterior[1])) for frame in one.frames[:3]]
        for one in sagittal
        if [frame.level for frame in one.frames[:3]] == list(LEVELS[:3])
    ]
    if not slopes_S3:
        return False
    lowest, above, next_above = np.mean(slopes_S3, axis=0)
    return bool(above - next_above > SACRAL_TURN_DEG and lowest > SACRAL_SLOPE_DEG)


def _is_lowest_short(frames: Sequence[LevelFrame]) -> bool:
    """Whether the lowest disc is less deep than those above it; true where there is none above."""
    return frames[0].depth_mm < SHORT_LOWEST * float(np.median([frame.depth_mm for frame in frames[1:5]] or [np.inf]))


def _passed_over(frames: Sequence[LevelFrame]) -> Sequence[str]:
    """Names of discs between the lowest two of a series."""
    lowest, above = (LEVELS.index(frame.level) for frame in frames[:2])
    return LEVELS[lowest + 1 : above]


def _is_seen(levels: Sequence[str], sagittal: Sequence[LocatedSeries]) -> bool:
    """Whether there are such levels, each of them shown by a series."""
    return bool(levels) and set(levels) <= {frame.level for one in sagittal for frame in one.frames}


def _lowest_gap(frames: Sequence[LevelFrame]) -> float:
    """Distance of the lowest two discs in median distances of all; 1 where there are too few to say."""
    steps_mm = [float(np.linalg.norm(upper.center_mm - lower.center_mm)) for lower, upper in pairwise(frames)]
    return steps_mm[0] / float(np.median(steps_mm)) if len(steps_mm) > 2 else 1.0


def _series_flags(located: LocatedSeries, reference: UsualSeries | None) -> Iterator[Note]:
    name = located.series.name
    pixel_mm = float(located.series.spacing_mm[1:].max())
    if pixel_mm > COARSE_MM:
        text = f"pixels of {pixel_mm:.1f} mm are too coarse to grade; is the pixel spacing right?"
        yield Note("coarse", Scope.SERIES, name, text, Severity.REFUSE)
    if located.series.plane == "sagittal" and _is_beside(located):
        text = "the midline is its outermost slice: it lies beside the spine, or slices of one side are missing"
        yield Note(OFF_MIDLINE, Scope.SERIES, name, text, Severity.FLAG)
    yield from out_of_order(located)
    figures = figures_of(located)
    if figures.signal_to_noise < MIN_SIGNAL:
        text = f"grey values spread over {figures.signal_to_noise:.1f} times the noise only: too little signal to grade"
        yield Note("low_signal", Scope.SERIES, name, text, Severity.REFUSE)
    if reference is None:
        text = f"no real {located.series.view} series was at hand to judge how usual this one looks"
        yield Note("not_compared", Scope.SERIES, name, text)
        return
    for artefact in artefacts_of(located, reference.artefact_flags):
        yield Note("artefact", Scope.SERIES, name, artefact, Severity.FLAG)
    distance = reference.distance(figures.figures_F) / reference.flag
    if distance > 1:
        usual = (
            "synthetic series the model learnt from" if reference.synthetic else "real series the model was judged on"
        )
        figure = reference.oddest(figures.figures_F)
        text = f"unlike the {usual}, most of all by {figure} ({distance:.1f} times as far off as is still usual)"
        severity = Severity.REFUSE if distance > REFUSE_FACTOR else Severity.FLAG
        yield Note("unlike_training", Scope.SERIES, name, text, severity)


def _is_beside(located: LocatedSeries) -> bool:
    """Whether the slice that shows most of the spine is the first or last of a stack wide enough to have a middle."""
    count = len(located.series.voxels_SRC)
    return count >= FEWEST_SLICES and located.midline_slice in (0, count - 1)


def _level_flags(located: LocatedSeries, frame: LevelFrame, spec: CropSpec) -> Iterator[Note]:
    """Flags of one level in one series; the message begins with the series' name."""
    name = located.series.name
    is_sagittal = located.series.plane == "sagittal"
    in_view = share_in_view(located, frame, spec)
    if in_view < ENOUGH_IN_VIEW:
        severity = Severity.REFUSE if in_view < MIN_IN_VIEW or not is_sagittal else Severity.FLAG
        text = f"{name} shows {in_view:.0%} of the level's field: cut off by the edge of the image"
        yield Note("cut_off", Scope.LEVEL, frame.level, text, severity)
        return
    if is_sagittal and frame.confidence < SURE_OF_DISC:
        text = f"the disc is hard to make out in {name}"
        yield Note("unsure_disc", Scope.LEVEL, frame.level, text, Severity.FLAG)


def _refuses(flags: Sequence[Note]) -> bool:
    return any(flag.severity is Severity.REFUSE for flag in flags)


def _of_level(flags: Sequence[Note], is_seen: bool) -> list[Note]:
    """A level's flags from all series; where another series shows it, one that does not is worth a note."""
    if not is_seen:
        return list(flags)
    return [replace(flag, severity=Severity.NOTE) if flag.severity is Severity.REFUSE else flag for flag in flags]


def _notes(study: Study) -> Iterator[Note]:
    for series in study.series:
        if series.view is None:
            yield Note("not_used", Scope.SERIES, series.name, series.reason)
        elif series.basis in (Basis.IMAGE, Basis.USER):
            yield Note(f"view_by_{series.basis}", Scope.SERIES, series.name, series.reason)
    yield _of_study(NOT_LOOKED_FOR_CODE, NOT_LOOKED_FOR, Severity.NOTE)


def _of_study(code: str, text: str, severity: Severity) -> Note:
    return Note(code, Scope.STUDY, "", text, severity)
