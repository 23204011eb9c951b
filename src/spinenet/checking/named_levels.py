"""What the image has against the names of levels that a reader gave: said, and left to the reader."""

from collections.abc import Iterator, Sequence

from spinenet.labels import LEVELS
from spinenet.regions import REMNANT
from spinenet.study import LevelFrame, Note, Scope, Severity

NAMES_QUESTIONED = "names_questioned"


def against_names(names: Sequence[str], frames: Sequence[LevelFrame], signs: Sequence[str]) -> Iterator[Note]:
    """A flag where fewer discs are seen than were named, and one where there are ``signs`` that names which are those
    by count are off; ``frames`` are those of the series that shows most levels."""
    seen = {frame.level for frame in frames}
    missing = [name for name in names if name != REMNANT and name not in seen]
    if missing:
        yield _flag(f"{len(seen)} discs are seen, and the reader named more: {', '.join(missing)} not found")
    if signs and names[0] == LEVELS[0]:
        yield _flag(f"the reader named the lowest disc {names[0]}, and {' and '.join(signs)}; check the names")


def _flag(text: str) -> Note:
    return Note(NAMES_QUESTIONED, Scope.STUDY, "", text, Severity.FLAG)
