"""Views that a user has named for series: ``sagittal_t2=series-4``, ``axial_t2=T2 tra*``."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from spinenet.errors import ReadError
from spinenet.labels import View
from spinenet.readers.sources import Acquisition, Frame, StudySource
from spinenet.readers.views import decide_view
from spinenet.study import Note, Scope, Series

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
    """The study with ``wanted`` written to the series it names, of which the first that fits counts; what names none
    waits for the names that series get while they are read (``as_asked``)."""
    if not wanted or source.problem:
        return source
    shared = _shared_numbers(source.frames)
    frames = tuple(_wanted_frame(frame, wanted, shared) for frame in source.frames)
    volumes = tuple(replace(volume, wanted=_first(wanted, [volume.name])) for volume in source.volumes)
    called = [*(_called(frame, shared) for frame in frames), *([volume.name] for volume in volumes)]
    unmet = tuple((view, name) for view, name in wanted if not any(_fits(name, names) for names in called))
    return replace(source, frames=frames, volumes=volumes, wanted=unmet)


def as_asked(series: Sequence[Series], wanted: Wanted) -> tuple[list[Series], list[Note]]:
    """Series with the views that were asked for under the names they got while they were read, such as those of a
    stack, and a note for each name that none has."""
    asked = []
    for one in series:
        view = _first(wanted, [one.name])
        if view is not None:
            decision = decide_view(one.plane, Acquisition(wanted=view))
            one = replace(one, view=decision.view, reason=decision.reason, basis=decision.basis)
        asked.append(one)
    names = [one.name for one in series]
    no_such = "names no series of this study; spinenet inspect lists them"
    notes = [
        Note(UNMET, Scope.STUDY, "", f"--series {view}={name} {no_such}")
        for view, name in wanted
        if not _fits(name, names)
    ]
    return asked, notes


def _shared_numbers(frames: Sequence[Frame]) -> frozenset[int]:
    """Numbers that several series bear: ``series-N`` is the first of them alone, as it is shown."""
    uids: dict[int, set[str]] = {}
    for frame in frames:
        uids.setdefault(frame.series_number, set()).add(frame.series_uid)
    return frozenset(number for number, several in uids.items() if len(several) > 1)


def _wanted_frame(frame: Frame, wanted: Wanted, shared: Collection[int]) -> Frame:
    view = _first(wanted, _called(frame, shared))
    return frame if view is None else replace(frame, acquisition=replace(frame.acquisition, wanted=view))


def _called(frame: Frame, shared: Collection[int]) -> list[str]:
    number = frame.series_number
    shown = [] if number in shared else [f"series-{number}"]
    return [*shown, str(number), frame.acquisition.description]


def _first(wanted: Wanted, names: Sequence[str]) -> View | None:
    return next((view for view, name in wanted if _fits(name, names)), None)


def _fits(pattern: str, names: Sequence[str]) -> bool:
    return any(fnmatchcase(name.lower(), pattern.lower()) for name in names)
