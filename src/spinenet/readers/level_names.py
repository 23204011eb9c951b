"""Names of levels that a reader gives beforehand: ``--lowest-level L4/L5``, or a table with a line a study.

Who knows of a transitional vertebra, or that a field of view ends above the sacrum, knows better than a count from
below which disc is which.
"""

import csv
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from spinenet.errors import ReadError, in_words
from spinenet.labels import LEVELS
from spinenet.regions import REMNANT

EVERY = ""
"""Stands for every study that is predicted."""
STUDY, NAMES = "study", "levels"
"""Columns of the table."""


@dataclass(frozen=True)
class GivenNames:
    """Names by study: ``entries`` are (study, names from the lowest disc up), the study being EVERY, its key or where
    it lies; one name is that of the lowest disc, from which the others are counted."""

    entries: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def of(self, key: str, location: Path) -> tuple[str, ...]:
        """The names given to a study, those for it alone before those for every one; none where there are none."""
        named = [names for study, names in self.entries if study != EVERY and _is(study, key, location)]
        return (named or [names for study, names in self.entries if study == EVERY] or [()])[-1]

    def check(self, studies: Collection[tuple[str, Path]]) -> None:
        """ReadError where names were given to a study that is none of these (key, location)."""
        unmet = [one for one, _ in self.entries if one != EVERY and not any(_is(one, *known) for known in studies)]
        if unmet:
            raise ReadError(
                f"{', '.join(unmet)}: names of levels were given to no study of this run; "
                "`spinenet inspect` with --out says the keys"
            )


UNNAMED = GivenNames()


def _is(study: str, key: str, location: Path) -> bool:
    return study == key or (location.exists() and Path(study).resolve() == location.resolve())


def given_names(table: Path | None, lowest: Sequence[str]) -> GivenNames:
    """What ``--levels`` and ``--lowest-level`` say; ReadError where that is not understood."""
    entries = [*(_rows(table) if table else ()), *map(_lowest, lowest)]
    return GivenNames(tuple(entries))


def _lowest(text: str) -> tuple[str, tuple[str, ...]]:
    """``L4/L5`` for every study or ``STUDY=L4/L5`` for one."""
    study, _, name = text.rpartition("=")
    names = names_in(f"--lowest-level {text}", name)
    if len(names) > 1:
        raise ReadError(f"--lowest-level {text}: expected one name, that of the lowest disc; --levels takes more")
    return study.strip(), names


def _rows(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReadError(f"{path}: cannot be read as a table ({in_words(error)}); expected CSV") from error
    if not rows or not {STUDY, NAMES} <= set(rows[0]):
        raise ReadError(
            f"{path}: expected the columns {STUDY} and {NAMES}, with a comma between them, and a line for each study"
        )
    for number, row in enumerate(rows, start=2):
        study = (row[STUDY] or "").strip()
        if not study:
            raise ReadError(f"{path}, line {number}: says no study; give its key or where it lies")
        yield study, names_in(f"{path}, line {number}", row[NAMES] or "")


def names_in(place: str, text: str) -> tuple[str, ...]:
    """Names of discs from below upwards, with blanks between them, in any case; ``-`` and ``_`` stand for ``/`` too.

    >>> names_in("a.csv, line 2", "l5-s1 L4/L5 l3_L4")
    ('L5/S1', 'L4/L5', 'L3/L4')
    """
    names = tuple(text.upper().translate(str.maketrans(";,-_", "  //")).split())
    known = (REMNANT, *LEVELS)
    if not names or not set(names) <= set(known):
        raise ReadError(f"{place}: {text.strip() or 'nothing'} names no level; expected {', '.join(known)}")
    if sorted(set(names), key=known.index) != list(names):
        raise ReadError(f"{place}: {text.strip()} is not in order; name the discs from the lowest one up, each once")
    return names
