"""One page a study: what was found, how sure the model is, what it looked at, and what nobody looked for.

The page is one file without scripts or outside resources. It shows the study key and nothing else about the patient.
"""

import functools
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spinenet import __version__
from spinenet.labels import DISC_TARGETS, LEVELS, RESEARCH_ONLY, TARGET, TARGET_INDEX, TARGETS, Target, View
from spinenet.locate import NUMBERING_NOTE
from spinenet.report.document import NEVER_LOOKED_FOR
from spinenet.report.findings import findings_of, weight_of
from spinenet.report.pictures import Overview, Window, crop_window, data_uri, overview
from spinenet.study import LevelCrop, LocatedSeries, Prediction, StudyResult

VIEW_WORDS = {
    View.SAGITTAL_T1: "sagittal T1",
    View.SAGITTAL_T2: "sagittal T2",
    View.SAGITTAL_STIR: "sagittal STIR",
    View.AXIAL_T2: "axial T2",
}
TABLES = (
    ("Disc, endplates and alignment", set(DISC_TARGETS)),
    ("Canal, foramina and subarticular zones", set(range(len(TARGETS))) - set(DISC_TARGETS)),
)


@dataclass(frozen=True)
class Cell:
    """One grade as a page shows it. ``weight`` 0 unremarkable, 1 a finding, 2 the end of its scale."""

    words: str
    percent: int
    confident: bool
    weight: int
    bar: tuple[tuple[str, float, bool], ...]
    """(words, percent, decided) of every grade on the scale."""


@dataclass(frozen=True)
class GradeTable:
    """Levels from the head down by targets. ``columns`` are (target's title, what it was learnt from)."""

    title: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]


@dataclass(frozen=True)
class Strip:
    """The crops of one level from one series, from the patient's right to the left."""

    title: str
    pictures: tuple[tuple[str, str], ...]
    """(PNG data URI, caption)."""


@dataclass(frozen=True)
class LevelSection:
    """What the grades of one level were read from."""

    level: str
    findings: str
    strips: tuple[Strip, ...]


@dataclass(frozen=True)
class Figure:
    """The mid-sagittal slice of one series and what to know about it."""

    title: str
    overview: Overview
    notes: tuple[str, ...]


def write_study_report(result: StudyResult, folder: Path, *, model: Mapping[str, Any]) -> Path:
    """Write the page of a study into ``folder`` and return its path; a page is there whole or not at all.

    ``model`` describes the bundle: ``name, version, data, licence``, ``targets`` (the names it grades) and, where it is
    known, ``learnt_from`` (target name -> words, shown above its grades).
    """
    path = folder / report_name(result.key)
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_text(render(result, model=model), encoding="utf-8")
    partial.replace(path)
    return path


def report_name(key: str) -> str:
    """File name of a study's page; a key that isn't a plain file name keeps apart from others by a digest.

    >>> report_name("study-0a1b"), report_name("ward 3/scan")
    ('study-0a1b.html', 'ward_3_scan-f9d139.html')
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", key).lstrip(".")[:100]
    if plain != key:
        plain += "-" + hashlib.sha256(key.encode()).hexdigest()[:6]
    return f"{plain}.html"


def render(result: StudyResult, *, model: Mapping[str, Any]) -> str:
    """The page of a study as text. Of a failed study only its reason is shown, whatever else is known."""
    failed = result.status == "failed"
    targets = graded_targets(result, model)
    levels = levels_of(result)
    return _template().render(
        result=result,
        failed=failed,
        research_only=RESEARCH_ONLY,
        notes=() if failed else notes_of(result),
        model_lines=model_lines(model),
        tables=() if failed else grade_tables(result, levels, targets, model.get("learnt_from", {})),
        figures=() if failed else figures(result.located),
        sections=() if failed else level_sections(result, levels),
        not_graded=[target.title.lower() for target in TARGETS if target not in targets],
        never_looked_for=NEVER_LOOKED_FOR,
        version=__version__,
    )


def notes_of(result: StudyResult) -> list[str]:
    """What is to be known about the whole study: its message in parts, without what stands below a picture."""
    below = {note for located in result.located for note in located.notes} - {NUMBERING_NOTE}
    parts = [part for part in result.message.split("; ") if part and part not in below]
    return list(dict.fromkeys([*parts, NUMBERING_NOTE]))


def graded_targets(result: StudyResult, model: Mapping[str, Any]) -> list[Target]:
    """What the model grades, in the order of the label space."""
    names = set(model.get("targets", ())) | {prediction.target for prediction in result.predictions}
    return [target for target in TARGETS if target.name in names]


def model_lines(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(heading, text) of what a reader has to know about the model."""
    name = " ".join(str(model[part]) for part in ("name", "version") if model.get(part))
    lines = [("Model", name), ("Learnt from", in_words(model.get("data"))), ("Licence", in_words(model.get("licence")))]
    return [(heading, text) for heading, text in lines if text]


def in_words(value: object) -> str:
    """A value of ``model.json`` as one line of text.

    >>> in_words([{"name": "A", "licence": "CC BY 4.0"}, "B"])
    'A, CC BY 4.0; B'
    """
    if isinstance(value, Mapping):
        return ", ".join(in_words(part) for part in value.values() if part)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "; ".join(in_words(part) for part in value)
    return "" if value is None else str(value)


def figures(located: Sequence[LocatedSeries]) -> list[Figure]:
    """The slices that levels were found in; what is true of all of them stands once at the top of the page."""
    return [
        Figure(series_title(one), overview(one), tuple(note for note in one.notes if note != NUMBERING_NOTE))
        for one in located
        if one.series.plane == "sagittal"
    ]


def series_title(located: LocatedSeries) -> str:
    """Name and view of a series, and the slice shown (counted from 1, from the patient's right)."""
    words = _named(located.series.name, located.series.view)
    return f"{words}, slice {located.midline_slice + 1} of {located.series.voxels_SRC.shape[0]}"


def levels_of(result: StudyResult) -> list[str]:
    """The levels from the head down, those found but not graded too."""
    found = {frame.level for located in result.located for frame in located.frames} | set(result.levels)
    return sorted(found, key=LEVELS.index, reverse=True)


def grade_tables(
    result: StudyResult, levels: Sequence[str], targets: Sequence[Target], learnt_from: Mapping[str, str]
) -> list[GradeTable]:
    """One table for the disc and its neighbours and one for what narrows; both fit on a page."""
    by_key = {(prediction.level, prediction.target): prediction for prediction in result.predictions}
    tables = []
    for title, indices in TABLES:
        shown = [target for target in targets if TARGET_INDEX[target.name] in indices]
        cells = [[by_key.get((level, target.name)) for target in shown] for level in levels]
        rows = [tuple(None if one is None else cell_of(one) for one in row) for row in cells]
        columns = [(target.title, str(learnt_from.get(target.name, ""))) for target in shown]
        tables.append(GradeTable(title, tuple(columns), tuple(zip(levels, rows, strict=True))))
    return [table for table in tables if table.columns]


def level_sections(result: StudyResult, levels: Sequence[str]) -> list[LevelSection]:
    """The crops of every level, below its findings."""
    windows = crop_windows(result.crops)
    two_sided = {located.series.name for located in result.located if located.series.laterality_known}
    return [
        LevelSection(
            level=level,
            findings=findings_of([one for one in result.predictions if one.level == level]),
            strips=strips_of(result.crops.get(level, ()), windows, two_sided),
        )
        for level in levels
    ]


def cell_of(prediction: Prediction) -> Cell:
    """A grade in words with its probability, and the probabilities of the whole scale."""
    target = TARGET[prediction.target]
    decided = target.index_of(prediction.grade)
    shares = zip(target.words, prediction.probabilities, strict=True)
    return Cell(
        words=target.words[decided],
        percent=round(100 * prediction.probabilities[decided]),
        confident=prediction.confident,
        weight=weight_of(target, decided),
        bar=tuple((words, round(100 * share, 2), index == decided) for index, (words, share) in enumerate(shares)),
    )


def crop_windows(crops: Mapping[str, Sequence[LevelCrop]]) -> dict[str, Window]:
    """One window a series over all levels."""
    by_series: dict[str, list[LevelCrop]] = {}
    for crop in (crop for level_crops in crops.values() for crop in level_crops):
        by_series.setdefault(crop.series_name, []).append(crop)
    return {name: crop_window(series_crops) for name, series_crops in by_series.items()}


def strips_of(crops: Sequence[LevelCrop], windows: Mapping[str, Window], two_sided: set[str]) -> tuple[Strip, ...]:
    """The crops of a level, one strip a series; ``two_sided`` names the series whose left is known."""
    strips = []
    for name in dict.fromkeys(crop.series_name for crop in crops):
        own = sorted((crop for crop in crops if crop.series_name == name), key=lambda crop: crop.offset_mm)
        pictures = [(data_uri(crop.pixels_HW, windows[name]), caption_of(crop, name in two_sided)) for crop in own]
        strips.append(Strip(_named(name, own[0].view), tuple(pictures)))
    return tuple(strips)


def caption_of(crop: LevelCrop, side_known: bool) -> str:
    """Where a slice lies beside the midline."""
    distance_mm = round(abs(crop.offset_mm))
    if distance_mm == 0:
        return "midline"
    if not side_known:
        return f"{distance_mm} mm, side unknown"
    return f"{distance_mm} mm {'left' if crop.offset_mm > 0 else 'right'}"


def _named(series_name: str, view: View | None) -> str:
    words = VIEW_WORDS[view] if view else "view unknown"
    return f"{words} ({series_name})"


@functools.cache
def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("spinenet.report")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True).get_template(
        "study.html"
    )
