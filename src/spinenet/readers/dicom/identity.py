"""Who was examined, and when: which images of one study UID belong together.

One study UID may hold several patients: anonymisers blank ids or give every study one UID. Images are one study where
nothing that their headers say of patient and examination differs. Where hardly anything is said, folders and frames of
reference must tell, and where anonymisers gave the images of several patients the same UIDs, folders alone. Images that
cannot be told are kept apart: a wrong split costs a row, a wrong merge mixes two patients.
"""

import re
from collections.abc import Hashable, Iterable, Sequence
from itertools import permutations
from pathlib import Path
from typing import TypeVar

from spinenet.readers.sources import Frame, Person
from spinenet.readers.vocabulary import plain_text

Item = TypeVar("Item")

_DUMMY = re.compile(
    r"(anon\w*|unknown|none|na|n a|no name|not given|removed|de ?identified|patient|test|masked|hidden|x+|0+| )* *"
)
"""What anonymisers write where something was: it tells nothing, unless it differs in a number."""


SAME_PLACE_MM = 1.0
"""Copies of one image may say its place in fewer digits."""
_UMLAUT = re.compile("(?<=[aou])e")
"""Mueller is Müller where a console has no umlauts."""


def groups_of(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Frames of one study UID as examinations of one patient each, in the order their first frames have."""
    examined: dict[tuple[str, ...], list[Frame]] = {}
    for frame in frames:
        examined.setdefault(_card(frame.person), []).append(frame)
    groups = [[frame for card in cards for frame in examined[card]] for cards in _agreeing(list(examined))]
    order = {(frame.path, frame.index): number for number, frame in enumerate(frames)}
    parts = [part for group in groups for part in _apart(group)]

    def place(frame: Frame) -> int:
        return order[frame.path, frame.index]

    return sorted((sorted(part, key=place) for part in parts), key=lambda part: place(part[0]))


def share_uids(frames: Sequence[Frame]) -> bool:
    """Whether different images bear one UID and number throughout a series: they are of several patients, or versions
    of one study. A writer that gives a whole series one UID shares it among all."""
    series: dict[str, list[list[Frame]]] = {}
    for alike in _same_uids(frames):
        series.setdefault(alike[0].series_uid, []).append(alike)
    apart = {uid: sum(any(_lie_apart(one, alike[0]) for one in alike) for alike in series[uid]) for uid in series}
    return any(len(images) > 1 and apart[uid] > len(images) / 2 for uid, images in series.items())


def _same_uids(frames: Sequence[Frame]) -> Iterable[list[Frame]]:
    """Frames that should be one image, by their UIDs and numbers."""
    images: dict[Hashable, list[Frame]] = {}
    for frame in frames:
        images.setdefault((frame.series_uid, frame.uid, frame.index, frame.image_number), []).append(frame)
    return images.values()


def _lie_apart(one: Frame, other: Frame) -> bool:
    return any(abs(a - b) > SAME_PLACE_MM for a, b in zip(one.position_mm, other.position_mm, strict=True))


def _apart(frames: list[Frame]) -> list[list[Frame]]:
    """Frames whose headers agree in all they say, apart where folders tell that they are of several patients."""
    if not share_uids(frames):
        return _by_folder(frames) if _is_anonymous(frames) else [frames]
    branches = _branches(frames)
    folder = {frame.path: branch for branch, inside in branches.items() for frame in inside}
    against: dict[str, set[str]] = {branch: set() for branch in branches}
    for alike in _same_uids(frames):
        of_branch = {folder[one.path]: one for one in alike}
        for branch, other in permutations(of_branch, 2):
            against[branch] |= {other} if _lie_apart(of_branch[branch], of_branch[other]) else set()
    groups: dict[frozenset[str], list[Frame]] = {}
    for branch, others in against.items():  # what contradicts the same folders is of one patient
        groups.setdefault(frozenset(others or {branch}), []).extend(branches[branch])
    return [*groups.values()]


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


def _branches(frames: Sequence[Frame]) -> dict[str, list[Frame]]:
    """Frames by the folder they lie in or below, of those where the paths of all begin to differ."""
    depth = _common_depth([frame.path.parent for frame in frames])
    branches: dict[str, list[Frame]] = {}
    for frame in frames:
        branches.setdefault("".join(frame.path.parent.parts[depth : depth + 1]), []).append(frame)
    return branches


def _by_folder(frames: list[Frame]) -> list[list[Frame]]:
    """Frames apart by the folders they lie in, where these hold several series each and share no frame of reference."""
    branches = _branches(frames)
    nested = any(
        len({frame.series_uid for frame in inside}) > 1 or len({frame.path.parent for frame in inside}) > 1
        for inside in branches.values()
    )
    references = {branch: {frame.frame_of_reference for frame in inside} for branch, inside in branches.items()}
    if len(branches) < 2 or not nested or any("" in names for names in references.values()):
        return [frames]
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
