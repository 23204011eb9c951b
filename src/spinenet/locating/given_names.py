"""Names that a reader gave the discs beforehand, in the place of the count from the sacrum.

The discs are found and counted as ever; then every series' levels get the names that were given. Where no series shows
the sacrum, the lowest disc that is seen is the first one. What the image has against the names is said by
``checking.gates``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from spinenet.labels import LEVELS
from spinenet.locating.discs import LEVEL_MISSED, MIN_LOWEST, NUMBERING, Detection
from spinenet.regions import REMNANT
from spinenet.study import LocatedSeries, Note, Scope, Study

NAMED = "named_by_reader"
"""Code of the note that stands in the place of ``NUMBERING`` where a reader named the levels."""
RENAMED = "renamed_by_reader"
"""Code of the note in its place where a reader moved the names afterwards."""
NOT_GRADED_BELOW = "lowest_not_graded"
"""Code of the note that the lowest disc is there and not graded."""


def with_lowest_seen(detection: Detection) -> Detection:
    """A series that does not show the sacrum counted from the lowest disc it shows; others as they are."""
    if detection.anchor is not None or not detection.discs:
        return detection
    lowest, *others = detection.discs
    discs = (replace(lowest, lowest=MIN_LOWEST), *(replace(one, lowest=0.0) for one in others))
    return replace(detection, discs=discs, sacrum_below=(True,) * len(discs))


def renamed(located: Sequence[LocatedSeries], names: Sequence[str]) -> tuple[LocatedSeries, ...]:
    """Series with the names that were given; discs without one are left out."""
    counted = sorted({frame.level for one in located for frame in one.frames}, key=LEVELS.index)
    by_count = _by_count(counted, names)
    named = (_with_names(one, by_count, names) for one in located)
    return tuple(one for one in named if one.frames)


def _with_names(one: LocatedSeries, by_count: Mapping[str, str], names: Sequence[str]) -> LocatedSeries:
    frames = tuple(replace(frame, level=by_count[frame.level]) for frame in one.frames if frame.level in by_count)
    notes = (_note_of(note, names) if note.code == LEVEL_MISSED else note for note in one.notes)
    return replace(one, frames=frames, notes=tuple(note for note in notes if note is not None))


def _note_of(note: Note, names: Sequence[str]) -> Note | None:
    """That a level was missed, under the name it has now; None where a list of names leaves none to it."""
    count, *words = note.text.split()
    name = _by_count((count,), names).get(count) if len(names) == 1 else None
    return None if name is None else replace(note, text=" ".join((name, *words)))


def _by_count(counted: Sequence[str], names: Sequence[str]) -> Mapping[str, str]:
    """Name by count -> name given; REMNANT is no level.

    >>> _by_count(("L5/S1", "L4/L5", "L2/L3"), ("L4/L5",))
    {'L5/S1': 'L4/L5', 'L4/L5': 'L3/L4', 'L2/L3': 'L1/L2'}
    >>> _by_count(("L5/S1", "L4/L5"), ("S1/S2", "L5/S1"))
    {'L4/L5': 'L5/S1'}
    """
    if len(names) > 1:
        pairs = zip(counted, names, strict=False)
        return {count: name for count, name in pairs if name != REMNANT}
    known = (REMNANT, *LEVELS)
    shift = known.index(names[0]) - 1
    places = {count: LEVELS.index(count) + shift for count in counted}
    return {count: LEVELS[place] for count, place in places.items() if 0 <= place < len(LEVELS)}


def numbering_of(study: Study) -> tuple[Note, ...]:
    """How the levels of a study came by their names, and that the lowest disc is left out where it is REMNANT."""
    names = study.level_names
    if not names:
        return (NUMBERING,)
    told = (
        f"discs from the lowest one up are {', '.join(names)}" if len(names) > 1 else f"the lowest disc is {names[0]}"
    )
    named = Note(NAMED, Scope.STUDY, "", f"levels are named by the reader: {told}")
    return (named, not_graded_below(REMNANT)) if names[0] == REMNANT else (named,)


def not_graded_below(name: str) -> Note:
    """That the lowest disc, of this name, is there and not graded."""
    return Note(NOT_GRADED_BELOW, Scope.STUDY, "", f"the lowest disc, {name}, is there and not graded")


def moved(shift: int) -> Note:
    """That a reader moved every name, a positive ``shift`` towards the head."""
    where = "head" if shift > 0 else "feet"
    return Note(RENAMED, Scope.STUDY, "", f"levels are named by the reader: all moved by one towards the {where}")
