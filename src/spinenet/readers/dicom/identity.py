"""Who was examined, and when: which images of one study UID belong together.

One study UID may hold several patients: anonymisers blank ids or give every study one UID. Images are one study where
nothing that their headers say of patient and examination differs. Where hardly anything is said, folders and frames of
reference must tell. Images that cannot be told are kept apart: a wrong split costs a row, a wrong merge mixes two
patients.
"""

import re
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from spinenet.readers.sources import Frame, Person
from spinenet.readers.vocabulary import plain_text

Item = TypeVar("Item")

_DUMMY = re.compile(
    r"(anon\w*|unknown|none|na|n a|no name|not given|removed|de ?identified|patient|test|masked|hidden|x+|0+| )* *"
)
"""What anonymisers write where something was: it tells nothing, unless it differs in a number."""


_UMLAUT = re.compile("(?<=[aou])e")
"""Mueller is Müller where a console has no umlauts."""


def groups_of(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Frames of one study UID as examinations of one patient each, in the order their first frames have."""
    examined: dict[tuple[str, ...], list[Frame]] = {}
    for frame in frames:
        examined.setdefault(_card(frame.person), []).append(frame)
    groups = [[frame for card in cards for frame in examined[card]] for cards in _agreeing(list(examined))]
    order = {(frame.path, frame.index): number for number, frame in enumerate(frames)}
    parts = [part for group in groups for part in (_by_folder(group) if _is_anonymous(group) else [group])]

    def place(frame: Frame) -> int:
        return order[frame.path, frame.index]

    return sorted((sorted(part, key=place) for part in parts), key=lambda part: place(part[0]))


def _card(person: Person) -> tuple[str, ...]:
    """What must not differ within one examination, each "" where it tells nothing."""
    name = " ".join(sorted(plain_text(person.name.split("=")[0]).split())) or person.name.strip()
    known = (
        _number(_told(person.id)),
        _UMLAUT.sub("", _told(name)),
        _told(person.birth_date),
        _told(person.sex),
        _told(person.study_date),
    )
    if known[0] and (known[1] or known[2]):
        return (*known, *("" for _ in person.details))
    return (*known, *map(_figure, person.details))


def _number(text: str) -> str:
    """An id that is a number without zeros before it: some consoles fill it up."""
    return text.lstrip("0") if text.isdecimal() else text


def _figure(text: str) -> str:
    """A number in one spelling, text as ``_told`` has it.

    >>> _figure("70.00"), _figure("120000.000"), _figure("A-1")
    ('70', '120000', 'a-1')
    """
    try:
        return f"{float(text):.10g}"
    except ValueError:
        return _told(text)


def _told(text: str) -> str:
    """The text in one spelling; nothing where it is what anonymisers write.

    >>> _told("Anonymous"), _told("ANON 3"), _told(" 47-11 ")
    ('', 'anon 3', '47-11')
    """
    one = " ".join(text.casefold().split())
    return "" if _DUMMY.fullmatch(plain_text(one)) and not re.search("[^\x00-\x7f]", one) else one


def _agreeing(cards: list[tuple[str, ...]]) -> list[list[tuple[str, ...]]]:
    """Cards in groups within which none contradicts another; one that fits into several stays by itself."""
    groups: list[list[tuple[str, ...]]] = []
    for card in sorted(cards, key=lambda card: -sum(map(bool, card))):
        fitting = [group for group in groups if not any(_differ(card, other) for other in group)]
        if len(fitting) == 1:
            fitting[0].append(card)
        else:
            groups.append([card])
    return groups


def _differ(one: Sequence[str], other: Sequence[str]) -> bool:
    return any(mine and theirs and mine != theirs for mine, theirs in zip(one, other, strict=True))


def _is_anonymous(frames: Sequence[Frame]) -> bool:
    return not any(_told(frame.person.id) and _told(frame.person.birth_date) for frame in frames)


def _by_folder(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Frames apart by the folders they lie in, where these hold several series each and share no frame of reference."""
    below: dict[Path, list[Frame]] = {}
    for frame in frames:
        below.setdefault(frame.path.parent, []).append(frame)
    depth = _common_depth(list(below))
    branches: dict[str, list[Frame]] = {}
    nested = set[str]()
    for folder, inside in below.items():
        parts = folder.parts[depth:]
        branch = parts[0] if parts else ""
        branches.setdefault(branch, []).extend(inside)
        nested |= {branch} if len(parts) > 1 else set()
    for branch, inside in branches.items():
        nested |= {branch} if len({frame.series_uid for frame in inside}) > 1 else set()
    references = {branch: {frame.frame_of_reference for frame in inside} for branch, inside in branches.items()}
    if len(branches) < 2 or not nested or any("" in names for names in references.values()):
        return [list(frames)]
    linked = _linked((branch, name) for branch, names in references.items() for name in names)
    return [[frame for branch in group for frame in branches[branch]] for group in linked]


def _linked(pairs: Iterable[tuple[Item, Hashable]]) -> list[list[Item]]:
    """Items in groups that share a mark, directly or through others."""
    groups: list[tuple[list[Item], set[Hashable]]] = []
    for item, mark in pairs:
        touching = [group for group in groups if item in group[0] or mark in group[1]]
        items = list(dict.fromkeys([*(one for group in touching for one in group[0]), item]))
        marks = set[Hashable]().union({mark}, *(group[1] for group in touching))
        groups = [group for group in groups if group not in touching] + [(items, marks)]
    return [items for items, _ in groups]


def _common_depth(folders: Sequence[Path]) -> int:
    """How many parts the paths of all these folders have in common."""
    parts = [folder.parts for folder in folders]
    shortest = min(map(len, parts))
    return next((depth for depth in range(shortest) if len({one[depth] for one in parts}) > 1), shortest)
