"""What ``spinenet inspect`` shows of a study: its series in words and numbers."""

from dataclasses import dataclass
from pathlib import Path

from spinenet.labels import View
from spinenet.readers.sources import StudySource
from spinenet.study import Series, Study


@dataclass(frozen=True)
class SeriesSummary:
    """One series, or one study that could not be read (then ``series`` is empty and ``problems`` says why).

    ``spacing_mm`` is that of (slices, rows, columns). ``location`` is where the study lies: for the screen only.
    """

    study: str
    location: Path
    format: str
    series: str = ""
    plane: str = ""
    view: View | None = None
    reason: str = ""
    slices: int = 0
    rows: int = 0
    columns: int = 0
    spacing_mm: tuple[float, ...] = ()
    laterality_known: bool = True
    problems: tuple[str, ...] = ()


def summaries(source: StudySource, study: Study) -> list[SeriesSummary]:
    """One line a series; notes of the study that name no series stand at the first."""
    lines = []
    left = list(study.notes)
    for series in reversed(study.series):
        own = [note for note in left if _is_about(note, series.name)]
        left = [note for note in left if note not in own]
        lines.append(_summary(source, series, (*own, *(left if series is study.series[0] else ()))))
    return lines[::-1]


def failure(source: StudySource, reason: str) -> SeriesSummary:
    """The line of a study of which nothing could be read."""
    return SeriesSummary(source.key, source.location, source.format, problems=(reason,))


def _is_about(note: str, name: str) -> bool:
    return note.startswith(f"{name}:")


def _summary(source: StudySource, series: Series, problems: tuple[str, ...]) -> SeriesSummary:
    slices, rows, columns = series.voxels_SRC.shape
    return SeriesSummary(
        study=source.key,
        location=source.location,
        format=source.format,
        series=series.name,
        plane=series.plane,
        view=series.view,
        reason=series.reason,
        slices=slices,
        rows=rows,
        columns=columns,
        spacing_mm=tuple(float(mm) for mm in series.spacing_mm),
        laterality_known=series.laterality_known,
        problems=problems,
    )
