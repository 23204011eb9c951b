"""What a study must come to, and whether a result is that: the right patient, side and level, and nothing lost unsaid.

Every image of a case is known by its SOP Instance UID: whose it is, how far its header moved it, whether it is the
mirror image of what the header says. Files without UIDs (NIfTI) are all of one person and not moved.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import TARGET
from spinenet.readers.sources import LOST
from spinenet.study import LocatedSeries, Severity, Study, StudyResult


class Outcome(StrEnum):
    """What is right for a study: the grades of the person as she is, with a word of what is missing, no grade of a
    side, none at all, grades with a caution, or any of these."""

    SAME = "same"
    LESS = "less"
    NO_SIDE = "no side"
    REFUSED = "refused"
    FLAGGED = "flagged"
    FLAGGED_OR_REFUSED = "flagged or refused"
    ANY = "any"


@dataclass(frozen=True)
class Person:
    """A phantom as it is graded without any habit: centres of the discs (3,) LPS mm, and (level, target) ->
    probabilities."""

    name: str
    centers_mm: Mapping[str, NDArray[np.float64]]
    grades: Mapping[tuple[str, str], Sequence[float]]


@dataclass(frozen=True)
class Image:
    """Whose an image is, and how far its header moved it."""

    person: str
    moved_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Expected:
    """The persons that must come out, each once, and how; ``images`` is SOP Instance UID -> whose it is. ``may_split``
    allows several results of a person where files contradict each other. Without ``is_placed`` files do not say where
    they lie: discs need to lie among each other as those of the person do."""

    outcome: Outcome
    persons: tuple[str, ...]
    images: Mapping[str, Image] = field(default_factory=dict)
    may_split: bool = False
    is_placed: bool = True


SAME_DISC_MM, SAME_GRADE, SAME_GRADE_ROUNDED = 9.0, 0.02, 0.2
"""Places in NIfTI are rounded to 32 bits: of two slices equally far from a disc the other one may be taken."""
SIDED_GAP = 0.4
"""Where the two sides of a person differ by so much, a result that is nearer to the other side has mixed them up."""


def judge(
    read: Sequence[tuple[Study | None, StudyResult]], expected: Expected, persons: Mapping[str, Person]
) -> list[str]:
    """What is wrong with the results of a case, each beginning with how grave it is; nothing where all is right."""
    wrong = [text for study, result in read for text in _of_one(study, result, expected, persons)]
    graded = [_persons(result, expected) for _, result in read if result.predictions]
    whole = [name for names in graded for name in names]
    refused = any(flag.severity is Severity.REFUSE for _, result in read for flag in result.flags)
    if expected.outcome in (Outcome.SAME, Outcome.FLAGGED) or (expected.outcome is not Outcome.ANY and not refused):
        wrong += [f"lost result: {name} has no grades" for name in expected.persons if name not in whole]
    if not expected.may_split and len(whole) > len(set(whole)):
        wrong.append("misleading: a person has several results")
    if not read:
        wrong.append("silent loss: nothing came out")
    return wrong


def _of_one(
    study: Study | None, result: StudyResult, expected: Expected, persons: Mapping[str, Person]
) -> Iterator[str]:
    if any(flag.code == "fault" for flag in result.flags):
        yield f"traceback: {result.message}"
    if result.status == "failed" and not result.message:
        yield "silent loss: failed without a reason"
    names = _persons(result, expected)
    if len(names) > 1:
        yield f"wrong patient: a result of {' and '.join(sorted(names))}"
    if study is not None:
        yield from _unsaid(study, result, expected)
    if not result.predictions or len(names) != 1:
        return
    person = persons[next(iter(names))]
    yield from (text for one in result.located for text in _levels(one, expected, person))
    yield from _grades(result, expected, person)


def _persons(result: StudyResult, expected: Expected) -> set[str]:
    uids = [uid for one in result.located for uid in _uids(one)]
    return {expected.images[uid].person for uid in uids if uid in expected.images} or set(expected.persons[:1])


def _uids(located: LocatedSeries) -> list[str]:
    images = located.series.images
    return [] if images is None else [one[0] for one in images.instances if one is not None]


def _unsaid(study: Study, result: StudyResult, expected: Expected) -> Iterator[str]:
    """Images that are in no series that was graded, though nothing says that anything was left out."""
    views = {one.view for one in study.series if one.view}
    located = {one.series.view for one in result.located if one.frames}
    said = {note.code for note in (*result.notes, *result.flags)}
    if result.status == "ok" and (views - located) and not said & {"no_disc_crossed", "not_placed", "left_out"}:
        yield f"silent loss: status ok, and {sorted(str(one) for one in views - located)} are not graded"
    if LOST & said and result.status == "ok":
        yield "silent loss: status ok though files could not be used"


def _levels(located: LocatedSeries, expected: Expected, person: Person) -> Iterator[str]:
    moves = {expected.images[uid].moved_mm for uid in _uids(located) if uid in expected.images}
    if len(moves) > 1:
        yield f"wrong place: {located.series.name} holds slices of two places"
        return
    moved_mm = np.array(next(iter(moves), (0.0, 0.0, 0.0)))
    if not expected.is_placed:
        centers_mm = person.centers_mm
        away_mm = [one.center_mm - centers_mm[one.level] for one in located.frames if one.level in centers_mm]
        moved_mm = np.median(away_mm, axis=0)
    for frame in located.frames:
        far = {
            level: np.linalg.norm((center + moved_mm - frame.center_mm)[1:])
            for level, center in person.centers_mm.items()
        }
        nearest = min(far, key=far.__getitem__)
        if far[nearest] > SAME_DISC_MM:
            if frame.level in far:
                yield f"wrong level: {located.series.name} has {frame.level} {far[frame.level]:.0f} mm away from it"
        elif nearest != frame.level:
            yield f"wrong level: {located.series.name} calls {nearest} {frame.level}"


def _grades(result: StudyResult, expected: Expected, person: Person) -> Iterator[str]:
    found = {(one.level, one.target): one.probabilities for one in result.predictions}
    sided = [key for key in found if TARGET[key[1]].side]
    outcome, codes = expected.outcome, {flag.severity for flag in (*result.flags, *result.notes)}
    cautioned = Severity.FLAG in codes or Severity.REFUSE in codes
    if outcome is Outcome.NO_SIDE and sided:
        yield f"wrong side: {len(sided)} grades of a side where none is known"
    if outcome is Outcome.REFUSED or (outcome is Outcome.FLAGGED_OR_REFUSED and not cautioned):
        yield f"not refused: {len(found)} grades ({result.message[:80]})"
    if outcome is Outcome.FLAGGED and not cautioned:
        yield "not flagged"
    if outcome in (Outcome.SAME, Outcome.LESS):
        yield from _other_side(found, person)
        lost = set(person.grades) - set(found)
        if outcome is Outcome.SAME and lost:
            yield f"lost grades: {len(lost)}, status {result.status}"
        if outcome is Outcome.SAME:
            same, both = SAME_GRADE if expected.images else SAME_GRADE_ROUNDED, set(found) & set(person.grades)
            off = [key for key in both if _change(found[key], person.grades[key]) > same]
            yield from [f"wrong grade: {len(off)} of {len(found)} are others"] if off else []
        if outcome is Outcome.LESS and lost and not _says_less(result):
            yield f"silent loss: {len(lost)} grades are missing without a word"


def _says_less(result: StudyResult) -> bool:
    return result.status != "ok" or any(
        note.code in {"not_shown", "not_used"} for note in (*result.notes, *result.flags)
    )


def _other_side(found: Mapping[tuple[str, str], Sequence[float]], person: Person) -> Iterator[str]:
    for (level, target), p in found.items():
        side = TARGET[target].side
        if not side:
            continue
        other = target.replace("left", "RIGHT").replace("right", "left").replace("RIGHT", "right")
        mine, theirs = person.grades.get((level, target)), person.grades.get((level, other))
        if mine is None or theirs is None or _change(mine, theirs) < SIDED_GAP:
            continue
        if _change(p, theirs) + 0.2 < _change(p, mine):
            yield f"wrong side: {target} at {level} has the grade of the other side"


def _change(one: Sequence[float], other: Sequence[float]) -> float:
    return float(np.abs(np.array(one) - np.array(other)).max())
