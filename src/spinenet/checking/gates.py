"""Before a grade is given: is this a study, a series, a level that the model was made for, and is it seen well enough?

Each doubt becomes a flag with its reason. REFUSE takes the study, series or level out of grading, FLAG leaves a caution
with the grades, NOTE tells what a reader must know anyway. What is not looked for is said in every result.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from spinenet.checking.artefacts import artefacts_of
from spinenet.checking.quality import REFUSE_FACTOR, Reference, figures_of, share_in_view, signal_to_noise, void_share
from spinenet.crops import CropSpec
from spinenet.errors import StudyError
from spinenet.labels import LEVELS, NEVER_LOOKED_FOR, View
from spinenet.study import Basis, Flag, LevelFrame, LocatedSeries, Scope, Severity, Study

ADULT_YEARS = 18.0
NOT_LOOKED_FOR = (
    f"Not looked for, so never absent by this result: {', '.join(NEVER_LOOKED_FOR)}, and anything but the graded "
    "targets. Not made for patients under 18."
)
USUAL_LEVELS = 5
DEPTH_MM, STEP_MM = (22.0, 54.0), (19.0, 54.0)
"""Depth of a disc and distance between neighbouring ones, medians of a spine, that an adult can have. In 349 series of
SPIDER they were 28 to 44 and 23 to 48 mm."""
LIKE_NEIGHBOURS = 1.8
"""The deepest disc of a spine is no more than this many times the median one; at most 1.5 times in SPIDER."""
COARSE_MM = 2.0
"""Larger pixels show no disc; lumbar sagittal series have 0.3 to 1.2 mm."""
SURE_OF_SACRUM = 0.45
"""Below this certainty the lowest disc may be another one."""
RUDIMENTARY_DEPTH, RUDIMENTARY_HEIGHT = 0.75, 0.55
"""A lowest disc so much shorter and flatter than the one above may belong to a vertebra that has joined the sacrum."""
SURE_OF_DISC = 0.75
MIN_IN_VIEW, ENOUGH_IN_VIEW = 0.3, 0.5
"""Shares of a level's field that must lie in the image: below the first it is not graded, below the second flagged; an
axial level is left to the sagittal series below the second already."""
MIN_SIGNAL = 4.0
"""Spread of the spine's grey values in units of noise: fewer show little but noise."""


@dataclass(frozen=True)
class Passed:
    """What may be graded, and every flag, the gravest first."""

    located: tuple[LocatedSeries, ...]
    flags: tuple[Flag, ...]


class RefusedError(StudyError):
    """A study that is not graded at all; ``flags`` hold every reason."""

    def __init__(self, flags: Sequence[Flag]) -> None:
        super().__init__("; ".join(dict.fromkeys(_said(flag) for flag in flags if flag.severity is Severity.REFUSE)))
        self.flags = tuple(flags)


def check(
    study: Study, located: Sequence[LocatedSeries], spec: CropSpec, references: Mapping[View, Reference]
) -> Passed:
    """Judge a located study; ``references`` are the bundle's, by view. RefusedError where nothing may be graded."""
    flags = [*_study_flags(study, located)]
    kept: list[LocatedSeries] = []
    doubts: dict[str, list[Flag]] = {}
    for one in located:
        reference = references.get(one.series.view) if one.series.view else None
        own = list(_series_flags(one, reference))
        flags += own
        if any(flag.severity is Severity.REFUSE for flag in own):
            continue
        of_levels = {frame.level: list(_level_flags(one, frame, spec, reference)) for frame in one.frames}
        kept.append(replace(one, frames=tuple(frame for frame in one.frames if not _refuses(of_levels[frame.level]))))
        for level, found in of_levels.items():
            doubts.setdefault(level, []).extend(found)
    seen = {frame.level for one in kept if one.series.plane == "sagittal" for frame in one.frames}
    flags += [flag for level in sorted(doubts, key=LEVELS.index) for flag in _of_level(doubts[level], level in seen)]
    flags += _notes(study)
    flags.sort(key=lambda flag: list(Severity)[::-1].index(flag.severity))
    if not seen or any(flag.scope is Scope.STUDY and flag.severity is Severity.REFUSE for flag in flags):
        raise RefusedError(flags)
    kept = [replace(one, frames=tuple(frame for frame in one.frames if frame.level in seen)) for one in kept]
    return Passed(tuple(one for one in kept if one.frames), tuple(flags))


def refusal(study: Study, reason: str) -> tuple[Flag, ...]:
    """The flags of a study in which no levels were found."""
    return (Flag(Scope.STUDY, "no_levels", Severity.REFUSE, reason), *_notes(study))


def cautioned(passed: Passed) -> frozenset[str]:
    """Levels whose grades are not to be stood by: flagged themselves, or seen in flagged sagittal series alone."""
    flagged = {scope: {flag.subject for flag in passed.flags if flag.severity is Severity.FLAG and flag.scope is scope}
               for scope in Scope}  # fmt: skip
    sagittal = [one for one in passed.located if one.series.plane == "sagittal"]
    sound = {frame.level for one in sagittal if one.series.name not in flagged[Scope.SERIES] for frame in one.frames}
    every = {frame.level for one in sagittal for frame in one.frames}
    return frozenset(flagged[Scope.LEVEL] | (every - sound))


def sentences(flags: Sequence[Flag]) -> list[str]:
    """What was refused or calls for caution, for a message."""
    return list(dict.fromkeys(_said(flag) for flag in flags if flag.severity is not Severity.NOTE))


def _study_flags(study: Study, located: Sequence[LocatedSeries]) -> Iterator[Flag]:
    if study.age_years is not None and study.age_years < ADULT_YEARS:
        yield Flag(Scope.STUDY, "under_age", Severity.REFUSE, "the patient is under 18; the model was made for adults")
    sagittal = [one for one in located if one.series.plane == "sagittal"]
    frames = max((one.frames for one in sagittal), key=len, default=())
    steps_mm = [float(np.linalg.norm(upper.center_mm - lower.center_mm)) for lower, upper in pairwise(frames)]
    depths_mm = [frame.depth_mm for frame in frames] or [np.nan]
    depth_mm, step_mm = float(np.median(depths_mm)), float(np.median(steps_mm or [np.nan]))
    if not (DEPTH_MM[0] <= depth_mm <= DEPTH_MM[1] and STEP_MM[0] <= step_mm <= STEP_MM[1]):
        message = f"discs {depth_mm:.0f} mm deep and {step_mm:.0f} mm apart are no adult's; is the pixel spacing right?"
        yield Flag(Scope.STUDY, "implausible_size", Severity.REFUSE, message)
    elif max(depths_mm) > LIKE_NEIGHBOURS * depth_mm:
        message = (
            f"discs of {min(depths_mm):.0f} to {max(depths_mm):.0f} mm in depth make no spine; is it a lumbar one?"
        )
        yield Flag(Scope.STUDY, "implausible_shape", Severity.REFUSE, message)
    if len(frames) < USUAL_LEVELS:
        message = f"only {len(frames)} levels are in view; the lumbar spine has {USUAL_LEVELS}"
        yield Flag(Scope.STUDY, "few_levels", Severity.FLAG, message)
    yield from _transitional(sagittal, frames)


def _transitional(sagittal: Sequence[LocatedSeries], frames: Sequence[LevelFrame]) -> Iterator[Flag]:
    """Signs that the lowest disc is not L5/S1."""
    signs = []
    if any("disc-like structure" in note for one in sagittal for note in one.notes):
        signs.append("a disc lies below the lowest one counted")
    if len(frames) > 1:
        lowest, above = frames[:2]
        short = lowest.depth_mm < RUDIMENTARY_DEPTH * above.depth_mm
        flat = lowest.height_mm < RUDIMENTARY_HEIGHT * above.height_mm
        signs += ["the lowest disc is rudimentary"] if short and flat else []
    if sagittal and max(one.certainty for one in sagittal) < SURE_OF_SACRUM:
        signs.append("the sacrum is not clearly recognised")
    if signs:
        message = f"suspected transitional vertebra: {' and '.join(signs)}; all level names may be one off"
        yield Flag(Scope.STUDY, "transitional", Severity.FLAG, message)


def _series_flags(located: LocatedSeries, reference: Reference | None) -> Iterator[Flag]:
    name = located.series.name
    pixel_mm = float(located.series.spacing_mm[1:].max())
    if pixel_mm > COARSE_MM:
        message = f"pixels of {pixel_mm:.1f} mm are too coarse to grade; is the pixel spacing right?"
        yield Flag(Scope.SERIES, "coarse", Severity.REFUSE, message, name)
    signal = signal_to_noise(located)
    if signal < MIN_SIGNAL:
        message = f"grey values spread over {signal:.1f} times the noise only: too little signal to grade"
        yield Flag(Scope.SERIES, "low_signal", Severity.REFUSE, message, name)
    if reference is None:
        message = f"no real {located.series.view} series was at hand to judge how usual this one looks"
        yield Flag(Scope.SERIES, "not_compared", Severity.NOTE, message, name)
        return
    for artefact in artefacts_of(located, reference.artefact_flags):
        yield Flag(Scope.SERIES, "artefact", Severity.FLAG, artefact, name)
    figures_F = figures_of(located)
    distance = reference.distance(figures_F) / reference.flag
    if distance > 1:
        usual = (
            "synthetic series the model learnt from" if reference.synthetic else "real series the model was judged on"
        )
        message = f"unlike the {usual}, {reference.oddest(figures_F)} above all"
        severity = Severity.REFUSE if distance > REFUSE_FACTOR and not reference.synthetic else Severity.FLAG
        yield Flag(Scope.SERIES, "unlike_training", severity, f"{message} ({distance:.1f} times the limit)", name)


def _level_flags(
    located: LocatedSeries, frame: LevelFrame, spec: CropSpec, reference: Reference | None
) -> Iterator[Flag]:
    """Flags of one level in one series; the message begins with the series' name."""
    name = located.series.name
    is_sagittal = located.series.plane == "sagittal"
    in_view = share_in_view(located, frame, spec)
    if in_view < ENOUGH_IN_VIEW:
        severity = Severity.REFUSE if in_view < MIN_IN_VIEW or not is_sagittal else Severity.FLAG
        message = f"{name} shows {in_view:.0%} of the level's field: cut off by the edge of the image"
        yield Flag(Scope.LEVEL, "cut_off", severity, message, frame.level)
        return
    if is_sagittal and frame.confidence < SURE_OF_DISC:
        yield Flag(Scope.LEVEL, "unsure_disc", Severity.FLAG, f"the disc is hard to make out in {name}", frame.level)
    void = void_share(located, frame, spec)
    if reference is not None and void > reference.void_flag:
        message = f"{void:.0%} of the level has no signal in {name}: metal, gas or an artefact?"
        yield Flag(Scope.LEVEL, "signal_void", Severity.FLAG, message, frame.level)


def _refuses(flags: Sequence[Flag]) -> bool:
    return any(flag.severity is Severity.REFUSE for flag in flags)


def _of_level(flags: Sequence[Flag], is_seen: bool) -> list[Flag]:
    """A level's flags from all series; where another series shows it, one that does not is worth a note."""
    if not is_seen:
        return list(flags)
    return [replace(flag, severity=Severity.NOTE) if flag.severity is Severity.REFUSE else flag for flag in flags]


def _notes(study: Study) -> Iterator[Flag]:
    for series in study.series:
        if series.view is None:
            yield Flag(Scope.SERIES, "not_used", Severity.NOTE, series.reason, series.name)
        elif series.basis in (Basis.IMAGE, Basis.USER):
            yield Flag(Scope.SERIES, f"view_by_{series.basis}", Severity.NOTE, series.reason, series.name)
    yield Flag(Scope.STUDY, "not_looked_for", Severity.NOTE, NOT_LOOKED_FOR)


def _said(flag: Flag) -> str:
    return f"{flag.subject}: {flag.message}" if flag.subject else flag.message
