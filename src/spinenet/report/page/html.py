"""One page a study: what was found, how sure the model is, what it looked at, and what nobody looked for.

The page is one file with its own script and nothing from outside; it prints to two pages of A4, with nine or ten
levels three at most; measurements by outlines take one or two more. It shows the study key, and the patient's name and
id only where that is asked for.
"""

import base64
import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spinenet import __version__
from spinenet.labels import LEVELS, NEVER_LOOKED_FOR, RESEARCH_ONLY, TARGET, TARGETS, Heading, Target
from spinenet.locating.discs import NUMBERING
from spinenet.locating.measuring.quantities import QUANTITIES, Quantity
from spinenet.model.conformal import COVERAGE
from spinenet.report.findings import findings_of, is_by_cut, likely_of, short_words, uncertain_of, weight_of
from spinenet.report.options import DEFAULT, ReportOptions
from spinenet.report.page.level_measurements import measured_levels
from spinenet.report.page.pictures import Overview, overview, sagittal_first
from spinenet.report.page.strips import Strip, crop_windows, strips_of
from spinenet.report.page.viewer import viewer_data
from spinenet.study import EXPERIMENTAL, LocatedSeries, Note, Prediction, Scope, StudyResult
from spinenet.system.files import write_text

_STRIPS_MM, _STRIP_TEXT_MM, _CROP_ASPECT = 206.0, 10.0, 1.25
"""Height for all strips on a page of A4, that of a strip's words, and width over height of a slice."""


@dataclass(frozen=True)
class Cell:
    """One grade as a page shows it. ``weight`` 0 unremarkable, 1 a finding, 2 the end of its scale."""

    target: str
    title: str
    words: str
    percent: int
    confident: bool
    weight: int
    bar: tuple[tuple[str, float, bool], ...]
    """(words, percent, decided) of every grade on the scale."""
    grade_set: str
    """The grades of the prediction set in words; empty where the model states no coverage."""
    by_cut: bool
    """Another grade is more probable."""


@dataclass(frozen=True)
class GradeTable:
    """Levels from the head down by targets; ``columns`` are their titles."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]


@dataclass(frozen=True)
class Glance:
    """One level in a line: findings, what is likely, what is open, flags, and mm by measurement."""

    level: str
    findings: str
    likely: str
    uncertain: str
    flags: tuple[str, ...]
    measurements: tuple[float | None, ...]
    graded: bool


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


def write_study_report(
    result: StudyResult, folder: Path, *, model: Mapping[str, Any], options: ReportOptions = DEFAULT
) -> Path:
    """Write the page of a study into ``folder`` and return its path; a page is there whole or not at all.

    ``model`` describes the bundle as ``serve.batch.model_facts`` gives it.
    """
    path = folder / report_name(result.key)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(path, render(result, model=model, options=options))
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


def render(result: StudyResult, *, model: Mapping[str, Any], options: ReportOptions = DEFAULT) -> str:
    """The page of a study as text. Of a failed study only its reasons are shown, whatever else is known."""
    targets = graded_targets(result, model)
    shown = {} if result.status == "failed" else _shown(result, targets)
    origin = result.origin if options.identify else None
    slices = viewer_data(result, model) if shown and options.slices else {}
    script, script_hash = inline_script("viewer.js") if slices else ("", "")
    return _template().render(
        result=result,
        failed=result.status == "failed",
        research_only=RESEARCH_ONLY,
        patient=(origin.patient_name, origin.patient_id) if origin else None,
        flags=[flag for flag in result.flags if flag.scope is not Scope.LEVEL or result.status == "failed"],
        model_lines=model_lines(model),
        excluded=in_words(model.get("excluded_use")),
        not_graded=[target.running for target in TARGETS if target not in targets],
        never_looked_for=NEVER_LOOKED_FOR,
        from_dicom=result.origin is not None,
        coverage=round(100 * COVERAGE),
        version=__version__,
        slices=in_script(slices),
        script=script,
        script_hash=script_hash,
        **shown,
    )


def _shown(result: StudyResult, targets: Sequence[Target]) -> dict[str, Any]:
    """What the page of a graded study holds beside its head."""
    levels = levels_of(result)
    tried = [TARGET[name] for name in dict.fromkeys(one.target for one in result.predictions if one.experimental)]
    measured = {level.name: level.measurements for level in result.levels}
    coarse = [one for one in QUANTITIES if one.frame and any(one.name in values for values in measured.values())]
    return {
        "notes": notes_of(result),
        "figures": figures(result.located),
        "glances": [glance_of(level, result, measured.get(level, {}), coarse) for level in levels],
        "measurements": [one.title for one in coarse],
        "measured_in": ", ".join(dict.fromkeys(one.series for one in result.measurements if one.series)),
        "ranked": any(one.percentile is not None for one in result.measurements),
        "sizes": measured_levels(result, levels),
        "tables": grade_tables(result, levels, [one for one in targets if one not in tried]),
        "experimental": grade_tables(result, levels, tried),
        "experimental_words": EXPERIMENTAL,
        "sections": level_sections(result, levels),
        "crop_mm": print_width_mm(len(levels)),
    }


def print_width_mm(levels: int) -> float:
    """Width of a slice in print at which the strips of all levels fit on the second page.

    >>> [print_width_mm(levels) for levels in (5, 7, 8, 10)]
    [24.0, 24.0, 19.7, 13.3]
    """
    return max(min(round((_STRIPS_MM / max(levels, 1) - _STRIP_TEXT_MM) * _CROP_ASPECT, 1), 24.0), 10.0)


def notes_of(result: StudyResult) -> list[str]:
    """What is said of the study and stands nowhere else on the page; that levels are only counted is always said."""
    others = [note for note in result.notes if note.code != NUMBERING.code]
    return list(dict.fromkeys(map(str, [*others, NUMBERING])))


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
    """The slices that levels were found in, the one that shows them best first."""
    return [
        Figure(series_title(one), overview(one), tuple(note.text for note in one.notes))
        for one in sagittal_first(located)
    ]


def series_title(located: LocatedSeries) -> str:
    """Name and view of a series, and the slice shown (counted from 1, from the patient's right)."""
    words = located.series.view.words if located.series.view else "view unknown"
    place = f"slice {located.midline_slice + 1} of {located.series.voxels_SRC.shape[0]}"
    return f"{words} ({located.series.name}), {place}"


def levels_of(result: StudyResult) -> list[str]:
    """The levels from the head down, those found but not graded too."""
    found = {level.name for level in result.levels} | set(result.graded_levels)
    return sorted(found, key=LEVELS.index, reverse=True)


def glance_of(
    level: str, result: StudyResult, measured: Mapping[str, float], measurements: Sequence[Quantity]
) -> Glance:
    """The line of one level."""
    predictions = [one for one in result.predictions if one.level == level]
    return Glance(
        level=level,
        findings=findings_of(predictions),
        likely=likely_of(predictions),
        uncertain=uncertain_of(predictions),
        flags=tuple(flag.text for flag in result.flags if _is_about(flag, level)),
        measurements=tuple(measured.get(one.name) for one in measurements),
        graded=bool(predictions),
    )


def grade_tables(result: StudyResult, levels: Sequence[str], targets: Sequence[Target]) -> list[GradeTable]:
    """One table for the disc and its neighbours and one for what narrows; both fit on a page."""
    by_key = {(prediction.level, prediction.target): prediction for prediction in result.predictions}
    tables = []
    for heading in Heading:
        shown = [target for target in targets if target.heading is heading]
        cells = [[by_key.get((level, target.name)) for target in shown] for level in levels]
        rows = [tuple(None if one is None else cell_of(one) for one in row) for row in cells]
        columns = tuple(target.title for target in shown)
        tables.append(GradeTable(heading.value, columns, tuple(zip(levels, rows, strict=True))))
    return [table for table in tables if table.columns]


def level_sections(result: StudyResult, levels: Sequence[str]) -> list[LevelSection]:
    """The crops of every level, below its findings."""
    windows = crop_windows(result.crops)
    two_sided = {located.series.name for located in result.located if located.series.laterality_known}
    targets = list(dict.fromkeys(prediction.target for prediction in result.predictions))
    return [
        LevelSection(
            level=level,
            findings=findings_of([one for one in result.predictions if one.level == level]),
            strips=strips_of(result.crops.get(level, ()), windows, two_sided, targets),
        )
        for level in levels
    ]


def cell_of(prediction: Prediction) -> Cell:
    """A grade in words with its probability, its set, and the probabilities of the whole scale."""
    target = TARGET[prediction.target]
    decided = target.index_of(prediction.grade)
    shares = zip(target.words, prediction.probabilities, strict=True)
    return Cell(
        target=target.name,
        title=target.running,
        words=target.words[decided],
        percent=round(100 * prediction.probabilities[decided]),
        confident=prediction.confident,
        weight=weight_of(target, decided),
        bar=tuple((words, round(100 * share, 2), index == decided) for index, (words, share) in enumerate(shares)),
        grade_set=", ".join(short_words(target, grade) for grade in prediction.grade_set),
        by_cut=is_by_cut(prediction),
    )


def _is_about(flag: Note, level: str) -> bool:
    return flag.scope is Scope.LEVEL and flag.subject == level


@functools.cache
def _template() -> Any:
    return environment().get_template("study.html")


def in_script(data: Mapping[str, Any]) -> str:
    """Data as JSON that may stand in a script element, whatever names it holds; "" where there are none.

    >>> in_script({"name": "</script>"})
    '{"name":"\\u003c/script>"}'
    """
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c") if data else ""


@functools.cache
def inline_script(name: str) -> tuple[str, str]:
    """A script of this package, and its hash for the page's Content-Security-Policy."""
    script = environment().get_template(name).render()
    return script, base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def environment() -> Any:
    """Templates of this package: every value is escaped, a name that is not given is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("spinenet.report.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
