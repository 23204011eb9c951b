"""``corrected.json``: what a reader changed on a study's page, and the study with these changes.

The page writes the file, ``spinenet apply`` reads it. A grade by a reader is sure, has no probability but 1, and was
learnt from nothing: its evidence is ``reader``. Who approves a report makes what it says plainly the reader's own: it
stands, with the model's probability and the evidence ``approved``. What is likely or possible does so at the levels
where the reader took it over, as the form lists it; elsewhere, and what cannot be excluded, it stays so.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from spinenet.checking.gates import DOUBTFUL_NAMES
from spinenet.checking.measured_findings import SLIP_FLAGS, slip_flags
from spinenet.checking.named_levels import NAMES_QUESTIONED
from spinenet.errors import OutputError, in_words
from spinenet.labels import LEVELS, TARGET
from spinenet.locating.discs import NUMBERING
from spinenet.locating.given_names import NAMED, NOT_GRADED_BELOW, moved, not_graded_below
from spinenet.locating.measuring.quantities import QUANTITY
from spinenet.locating.measuring.usual import UsualMeasurements
from spinenet.regions import REMNANT
from spinenet.report.certainty import Certainty, reading_of
from spinenet.report.reviewed import Review, ReviewedResult, reviewed
from spinenet.study import LevelFrame, LocatedSeries, Measurement, Note, Prediction, Scope, StudyResult

FORMAT = 2
TAKEN_OVER_AS_A_WHOLE = 1
"""The format whose approval, as the page said, took over what was likely at every level."""
Value = TypeVar("Value")
CORRECTED, APPROVED = "corrected", "approved"
"""Codes of the note that a reader changed the result, and that one approved it, changed or not."""
STUDY_COMMENT = ""
"""The key of the comment on the whole study, among those on levels."""
UNVERIFIED = frozenset({NUMBERING.code, DOUBTFUL_NAMES, NAMED, NAMES_QUESTIONED})
"""Codes of what is no longer so of names that a reader has approved or moved."""
MAX_SHIFT = 1
"""Names move by one level: a transitional vertebra shifts them no further."""


@dataclass(frozen=True)
class Corrections:
    """A reader's changes. ``grades`` are (level, target) -> grade, None where the grade is struck; ``shift`` moves the
    names of all levels, 1 towards the head; ``struck`` levels are no discs; at ``adopted`` ones the reader took over
    what is likely or possible. Levels are those the page showed."""

    study: str
    model: str
    review: Review
    grades: Mapping[tuple[str, str], int | None] = field(default_factory=dict)
    shift: int = 0
    struck: frozenset[str] = frozenset()
    adopted: frozenset[str] = frozenset()


def read_corrections(path: Path) -> Corrections:
    """A file that a page saved; OutputError where it is none, or holds what does not exist."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["corrections"] not in (TAKEN_OVER_AS_A_WHOLE, FORMAT):
            raise ValueError(f"format {content['corrections']}")
        return _corrections(content)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise OutputError(
            f"{path}: no corrections that a page of spinenet saved ({in_words(error)}); save them again"
        ) from error


def _corrections(content: Mapping[str, Any]) -> Corrections:
    grades = {
        (_level(level), target): None if grade is None else TARGET[target].step(grade).value
        for level, by_target in content["grades"].items()
        for target, grade in by_target.items()
    }
    if any(target not in TARGET for _, target in grades) or abs(content["shift"]) > MAX_SHIFT:
        raise ValueError("a target or shift that there is not")
    comments = {level if level == STUDY_COMMENT else _level(level): str(content["comments"][level]).strip()
                for level in content["comments"]}  # fmt: skip
    reader = str(content["reader"]).strip()
    if not reader:
        raise ValueError("no reader is named")
    return Corrections(
        study=str(content["study"]),
        model=str(content["model"]),
        review=Review(reader, str(content["at"]), bool(content["approved"]), comments, dict(content)),
        grades=grades,
        shift=int(content["shift"]),
        struck=frozenset(map(_level, content["struck"])),
        adopted=frozenset(LEVELS if content["corrections"] != FORMAT else map(_level, content["adopted"])),
    )


def _level(name: str) -> str:
    if name not in LEVELS:
        raise ValueError(f"{name} is no level")
    return name


def corrected(result: StudyResult, corrections: Corrections, usual: UsualMeasurements | None = None) -> ReviewedResult:
    """The study as its reader has it, the percentiles of renamed levels from what is ``usual`` there; OutputError where
    it is another study."""
    if result.key != corrections.study:
        raise OutputError(f"corrections of {corrections.study} are none of {result.key}")
    renamed = {level: name for level in LEVELS if (name := _renamed(level, corrections)) is not None}
    kept = replace(
        result,
        predictions=tuple(sorted(_predictions(result, corrections, renamed), key=_place)),
        located=tuple(_with_frames(one, renamed) for one in result.located),
        measured=tuple(
            replace(one, levels=_by_name(one.levels, renamed), outlines=_by_name(one.outlines, renamed))
            for one in result.measured
        ),
        measurements=tuple(
            _named(one, renamed[one.level], usual) for one in result.measurements if one.level in renamed
        ),
        crops=_by_name(result.crops, renamed),
        flags=tuple(flag for one in result.flags if (flag := _flag(one, renamed)) is not None),
    )
    comments = {renamed.get(level, level): text for level, text in corrections.review.comments.items() if text}
    if corrections.review.approved:
        adopted = {renamed[level] for level in corrections.adopted if level in renamed}
        stands = tuple(approved(one) if one.confident or one.level in adopted else one for one in kept.predictions)
        kept = replace(_without(kept, UNVERIFIED), predictions=stands)
    elif corrections.shift:
        kept = _without(kept, UNVERIFIED)
        kept = replace(kept, notes=(*kept.notes, moved(corrections.shift)))
    if corrections.shift:
        kept = _without(kept, {NOT_GRADED_BELOW})
    kept = replace(kept, notes=(*kept.notes, *_left_out_below(result, corrections), _note(corrections)))
    slips = slip_flags(kept.predictions, kept.measurements)
    kept = replace(kept, flags=(*slips, *(flag for flag in kept.flags if flag.code not in SLIP_FLAGS)))
    return reviewed(kept, replace(corrections.review, comments=comments), result)


def _without(result: StudyResult, codes: Collection[str]) -> StudyResult:
    """Without what is no longer so of its levels' names."""
    notes = tuple(note for note in result.notes if note.code not in codes)
    return replace(result, notes=notes, flags=tuple(flag for flag in result.flags if flag.code not in codes))


def _left_out_below(result: StudyResult, corrections: Corrections) -> tuple[Note, ...]:
    """That the lowest disc is not graded, where moved names make it so or give it another name."""
    was_left_out = any(note.code == NOT_GRADED_BELOW for note in result.notes)
    if corrections.shift > 0 and was_left_out:
        return (not_graded_below(LEVELS[0]),)
    lost = was_left_out or any(one.name == LEVELS[0] for one in result.levels)
    return (not_graded_below(REMNANT),) if corrections.shift < 0 and lost else ()


def _named(one: Measurement, level: str, usual: UsualMeasurements | None) -> Measurement:
    """A measurement under the name its level has now, with its place among those of that name."""
    if level == one.level:
        return one
    known = usual is not None and one.percentile is not None
    place = usual.percentile(level, QUANTITY[one.name].measured, one.value) if usual and known else None
    return replace(one, level=level, percentile=place)


def _renamed(level: str, corrections: Corrections) -> str | None:
    """The name a level has now, None where it is struck or has none."""
    place = LEVELS.index(level) + corrections.shift
    return LEVELS[place] if level not in corrections.struck and 0 <= place < len(LEVELS) else None


def _by_name(by_level: Mapping[str, Value], renamed: Mapping[str, str]) -> dict[str, Value]:
    return {renamed[level]: value for level, value in by_level.items() if level in renamed}


def _predictions(result: StudyResult, corrections: Corrections, renamed: Mapping[str, str]) -> Iterator[Prediction]:
    given = {(one.level, one.target): one for one in result.predictions}
    for key in dict.fromkeys((*given, *corrections.grades)):
        level, target = key
        if level not in renamed:
            continue
        if key not in corrections.grades:
            yield replace(given[key], level=renamed[level])
        elif (grade := corrections.grades[key]) is not None:
            yield by_reader(renamed[level], target, grade)


def by_reader(level: str, target: str, grade: int) -> Prediction:
    """A grade that a reader gave."""
    shares = tuple(float(one == grade) for one in TARGET[target].grades)
    return Prediction(level, target, grade, shares, True, "reader", (grade,))


def approved(prediction: Prediction) -> Prediction:
    """A grade as it stands once a reader has approved it: of several that are likely the most probable one; as it was
    where it is experimental, the reader's already, or left open.

    >>> one = approved(Prediction("L4/L5", "pfirrmann", 3, (0.0, 0.1, 0.4, 0.5, 0.0), False, grade_set=(3, 4)))
    >>> one.grade, one.confident, one.evidence, one.probabilities
    (4, True, 'approved', (0.0, 0.1, 0.4, 0.5, 0.0))
    """
    reading = reading_of(prediction)
    is_left = prediction.experimental or prediction.evidence == "reader" or reading.certainty is Certainty.OPEN
    if is_left:
        return prediction
    grade = max(reading.grades, key=lambda one: prediction.probabilities[TARGET[prediction.target].index_of(one)])
    return replace(prediction, grade=grade, confident=True, evidence="approved", grade_set=(grade,))


def _place(prediction: Prediction) -> tuple[int, int]:
    return LEVELS.index(prediction.level), list(TARGET).index(prediction.target)


def _with_frames(located: LocatedSeries, renamed: Mapping[str, str]) -> LocatedSeries:
    frames: tuple[LevelFrame, ...] = tuple(
        replace(one, level=renamed[one.level]) for one in located.frames if one.level in renamed
    )
    return replace(located, frames=frames)


def _flag(flag: Note, renamed: Mapping[str, str]) -> Note | None:
    if flag.scope is not Scope.LEVEL:
        return flag
    return replace(flag, subject=renamed[flag.subject]) if flag.subject in renamed else None


def _note(corrections: Corrections) -> Note:
    """What was changed, in numbers."""
    changes = [_counted(len(corrections.grades), "grade")] if corrections.grades else []
    changes += [f"{_counted(len(corrections.struck), 'level')} struck"] if corrections.struck else []
    changes += ["all levels renamed by one"] if corrections.shift else []
    what = f"changed by a reader: {', '.join(changes) or 'nothing'}"
    if corrections.review.approved:
        return Note(APPROVED, Scope.STUDY, "", f"approved by a reader; {what}")
    return Note(CORRECTED, Scope.STUDY, "", f"not approved; {what}")


def _counted(count: int, thing: str) -> str:
    """
    >>> _counted(1, "level"), _counted(2, "grade")
    ('1 level', '2 grades')
    """
    return f"{count} {thing}{'' if count == 1 else 's'}"


def correction_rows(result: StudyResult, corrections: Corrections) -> Iterator[dict[str, str]]:
    """The rows of a labelled set (``data=table``, long form): what the model said and what the reader put in its place,
    under the names that the levels have now."""
    given = {(one.level, one.target): one.grade for one in result.predictions}
    for (level, target), grade in corrections.grades.items():
        name = _renamed(level, corrections)
        if name is not None and grade is not None:
            said = given.get((level, target))
            yield {
                "study": result.key,
                "level": name,
                "target": target,
                "grade": "" if said is None else str(said),
                "corrected": str(grade),
            }
