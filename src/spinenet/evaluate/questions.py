"""The yes-or-no questions asked of a target: is the finding there, and is it severe?

A question is a set of grades that mean yes. Its score is their summed probability; its answer, unless another
threshold is stated, whether the decided grade is among them.
"""

from dataclasses import dataclass, replace

from spinenet.labels import MIRROR, TARGET, TARGETS, Scale, Side, Target


@dataclass(frozen=True)
class Question:
    """``first`` is the index of the lowest grade that means yes; all above it mean yes too."""

    name: str
    title: str
    first: int


def _presence(target: Target) -> Question:
    first = target.finding_from
    if target.scale is Scale.ORDINAL:
        return Question("presence", f"{target.words[first]} or worse", first)
    return Question("presence", "present" if target.scale is Scale.BINARY else "any type", first)


def _severe(target: Target) -> Question | None:
    if target.severe_from is None:
        return None
    lowest, *worse = target.steps[target.severe_from :]
    return Question("severe", " or ".join([lowest.words, *(step.short for step in worse)]), target.severe_from)


SIDES = {
    left.condition: (left.name, TARGETS[MIRROR[index]].name)
    for index, left in enumerate(TARGETS)
    if left.side is Side.LEFT
}
"""Condition -> the targets of its left and right side."""


def both_sides(name: str) -> Target:
    """The target that a name of SIDES stands for: the scale of its sides under its own name.

    >>> both_sides("foraminal_stenosis").title
    'Foraminal stenosis, both sides'
    """
    left = TARGET[SIDES[name][0]]
    return replace(left, side=None, term=f"{left.term}, both sides")


_ALL = {target.name: target for target in (*TARGETS, *map(both_sides, SIDES))}


def target_named(name: str) -> Target:
    """A target of the label space, or both sides of one under the name of SIDES."""
    return _ALL[name]


PRESENCE = {name: _presence(target) for name, target in _ALL.items()}
SEVERE = {name: _severe(target) for name, target in _ALL.items()}
NORMAL_BELOW = {name: target.finding_from for name, target in _ALL.items()}
"""Grade indices below this are normal: a severe disc that is decided so was overlooked."""
