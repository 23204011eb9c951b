"""Views that a user has named for series: ``sagittal_t2=series-4``, ``axial_t2=T2 tra*``."""

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from spinenet.errors import ReadError
from spinenet.labels import View
from spinenet.readers.sources import Frame, StudySource
from spinenet.study import Note, Scope

Wanted = Sequence[tuple[View, str]]
"""Views and the series they are wanted for: a series' name as shown (``series-4``), its number, or what its header
calls it; ``*`` stands for anything, letter case does not matter."""
UNMET = "no_such_series"
"""Code of the note that a view was wanted for a series that a study does not have."""


def parse_wanted(text: str) -> tuple[View, str]:
    """``VIEW=NAME`` in two parts; ReadError where it has no such form or view.

    >>> parse_wanted("axial_t2=series-4")
    (<View.AXIAL_T2: 'axial_t2'>, 'series-4')
    """
    view, equals, name = text.partition("=")
    if not equals or not name.strip() or view.strip().lower() not in set(View):
        raise ReadError(f"--series {text}: expected VIEW=NAME, with VIEW one of {', '.join(View)}")
    return View(view.strip().lower()), name.strip()


def with_views(source: StudySource, wanted: Wanted) -> StudySource:
    """The study with ``wanted`` written to the series it names, of which the first that fits counts, and a note where
    it names none."""
    if not wanted or source.problem:
        return source
    frames = tuple(_wanted_frame(frame, wanted) for frame in source.frames)
    volumes = tuple(replace(volume, wanted=_first(wanted, [volume.name])) for volume in source.volumes)
    called = [*map(_called, frames), *([volume.name] for volume in volumes)]
    missing = [f"{view}={name}" for view, name in wanted if not any(_fits(name, names) for names in called)]
    notes = tuple(
        Note(UNMET, Scope.STUDY, "", f"--series {text} names no series of this study; spinenet inspect lists them")
        for text in missing
    )
    return replace(source, frames=frames, volumes=volumes, notes=(*source.notes, *notes))


def _wanted_frame(frame: Frame, wanted: Wanted) -> Frame:
    view = _first(wanted, _called(frame))
    return frame if view is None else replace(frame, acquisition=replace(frame.acquisition, wanted=view))


def _called(frame: Frame) -> list[str]:
    number = frame.series_number
    return [f"series-{number}", str(number), frame.acquisition.description]


def _first(wanted: Wanted, names: Sequence[str]) -> View | None:
    return next((view for view, name in wanted if _fits(name, names)), None)


def _fits(pattern: str, names: Sequence[str]) -> bool:
    return any(fnmatchcase(name.lower(), pattern.lower()) for name in names)
