"""The yes-or-no questions asked of a target: is the finding there, and is it severe?

A question is a set of grades that mean yes. Its score is their summed probability; its answer, unless another
threshold is stated, whether the decided grade is among them.
"""

from dataclasses import dataclass, replace

from spinenet.labels import TARGET, TARGETS, Scale, Target


@dataclass(frozen=True)
class Question:
    """``first`` is the index of the lowest grade that means yes; all above it mean yes too."""

    name: str
    title: str
    first: int


def _presence(target: Target) -> Question:
    if target.name == "pfirrmann":
        return Question("presence", "grade III or worse", 2)
    if target.scale is Scale.ORDINAL:
        return Question("presence", f"{target.words[1]} or worse", 1)
    return Question("presence", "present" if target.scale is Scale.BINARY else "any type", 1)


def _severe(target: Target) -> Question | None:
    if target.scale is not Scale.ORDINAL:
        return None
    last = len(target.grades) - 1
    if target.name == "pfirrmann":
        return Question("severe", "grade IV or V", 3)
    return Question("severe", target.words[last], last)


SIDES = {
    "foraminal_stenosis": ("foraminal_stenosis_left", "foraminal_stenosis_right"),
    "subarticular_stenosis": ("subarticular_stenosis_left", "subarticular_stenosis_right"),
}
"""Both sides of a target taken together, and which targets they are."""


def both_sides(name: str) -> Target:
    """The target that a name of SIDES stands for: the scale of its sides under its own name.

    >>> both_sides("foraminal_stenosis").title
    'Foraminal stenosis, both sides'
    """
    left = TARGET[SIDES[name][0]]
    return replace(left, name=name, title=f"{left.title.removeprefix('Left ').capitalize()}, both sides")


_ALL = {target.name: target for target in (*TARGETS, *map(both_sides, SIDES))}


def target_named(name: str) -> Target:
    """A target of the label space, or both sides of one under the name of SIDES."""
    return _ALL[name]


PRESENCE = {name: _presence(target) for name, target in _ALL.items()}
SEVERE = {name: _severe(target) for name, target in _ALL.items()}
NORMAL_BELOW = {name: 2 if name == "pfirrmann" else 1 for name in _ALL}
"""Grade indices below this are normal: a severe disc that is decided so was overlooked."""
