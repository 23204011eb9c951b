"""Where the levels of a labelled study come from: its label images, its points, or else the locator."""

from collections.abc import Callable, Sequence

from spinenet.crops import CropSpec
from spinenet.datasets.cache import load_study
from spinenet.datasets.labelled import LabelledStudy
from spinenet.datasets.masks import locate_masked
from spinenet.datasets.points import located_by_points, named_by_points
from spinenet.errors import DatasetError, SpinenetError
from spinenet.readers import opened, read_study
from spinenet.study import LevelFrame, LocatedSeries, Study

Levels = tuple[tuple[LocatedSeries, ...], list[str]]
"""Series with their levels, and what is odd about them."""
Find = Callable[[Study], Levels]
"""The locator: named levels of a study; SpinenetError where none can be named."""


def locate_labelled(study: LabelledStudy, find: Find, *, only_names: bool = False) -> Levels:
    """The located series of one study, read from its files; raises SpinenetError where no level can be placed.

    ``only_names``: where there are points, ``find`` says where the levels are, and the points what they are called;
    where it finds none that fit them, levels lie where the points say, and that is said.
    """
    source = opened(study.source)
    read = read_study(source)
    problems = [str(note) for note in read.notes]
    if study.masks:
        located, said = locate_masked(read.series, study.masks)
        if not located:
            raise DatasetError("no label image shows a disc of its series")
        return located, problems + said
    frames: Sequence[LevelFrame] = ()
    if study.points is not None:
        frames, said = study.points.frames(source, read)
        problems += said
    if not frames:
        found, said = find(read)
        return found, problems + said
    if only_names:
        named, said = _found_and_named(read, find, frames)
        problems += said
        if named:
            return named, problems
    located, said = located_by_points(read.series, frames)
    if not located:
        raise DatasetError("no sagittal series to put the points' levels into")
    return located, problems + said


def _found_and_named(read: Study, find: Find, frames: Sequence[LevelFrame]) -> Levels:
    """The levels that the locator finds under the names that points give them; none, and why, where that fails."""
    try:
        found, said = find(read)
    except SpinenetError as error:
        return (), [f"{error}; levels lie where the points say"]
    named, odd = named_by_points(found, frames)
    if not named:
        odd += "; levels lie where the points say"
    return named, [*said, *([odd] if odd else [])]


def placed_series(study: LabelledStudy, spec: CropSpec) -> tuple[LocatedSeries, ...]:
    """The series of a study for crops of ``spec``, with the levels that its data set or who prepared it has placed.

    Empty where nothing but the locator can place them: such a study is to be prepared first.
    """
    if study.prepared is not None:
        return load_study(study.prepared, spec).located
    if not study.masks and study.points is None:
        return ()
    return locate_labelled(study, lambda read: ((), []))[0]
