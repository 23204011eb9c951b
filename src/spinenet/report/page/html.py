"""One page a study, in the order it is read in: the worst finding, a table, the slices, the report text, each level.

The page is one file with its own script and nothing from outside; it prints to two pages of A4, with nine or ten
levels, or seven in a language of longer words, three at most. It shows the study key, and the patient's name and id
only where that is asked for.
"""

import base64
import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from spinenet import __version__
from spinenet.checking.gates import NOT_LOOKED_FOR_CODE
from spinenet.labels import NEVER_LOOKED_FOR, TARGET, TARGETS, VIEWS, Target
from spinenet.locating.discs import NUMBERING
from spinenet.locating.measuring.plausibility import withheld_slips
from spinenet.readers.sources import LOST
from spinenet.report.certainty import EXPLAINED, LOCATOR_ERRORS, PLAINLY, PLAINLY_OF_A_READER, reading_of
from spinenet.report.corrections import approved
from spinenet.report.deciding_slices import misses_beside_midline
from spinenet.report.dicom.objects import why_no_objects
from spinenet.report.identification import identification_of
from spinenet.report.narrow_canal import narrow_canals_of
from spinenet.report.options import DEFAULT, ReportOptions
from spinenet.report.page.grade_table import cell_of, grade_table, midline_columns
from spinenet.report.page.level_measurements import MeasuredLevel, measured_levels
from spinenet.report.page.page_words import PageWords, page_words
from spinenet.report.page.pictures import Overview, overview, sagittal_first
from spinenet.report.page.strips import Strip, crop_windows, strips_of
from spinenet.report.page.viewer import viewer_data
from spinenet.report.ranking import ranking_of
from spinenet.report.reviewed import as_predicted, naming_of, review_of
from spinenet.report.text.narrative import Narrative, lacking_views, level_names, narrative, not_graded
from spinenet.study import LocatedSeries, Note, Prediction, Scope, Severity, StudyResult
from spinenet.system.files import write_text

LED_BY = 3
"""So many findings stand in a page's first line, and so many that cannot be excluded."""
_STRIPS_MM, _STRIPS_BELOW_LONG_TEXT_MM, _STRIP_TEXT_MM, _CROP_ASPECT = 176.0, 140.0, 10.0, 1.25
"""Height for all strips on a page of A4, that below a text which is longer than in English, that of a strip's words,
and width over height of a slice."""
TWO_ABREAST = 3
"""With so many slices a level two levels stand side by side on paper."""
_STRIP_WIDTH_MM, _GAP_MM, _WIDEST_MM, _LEAST_MM = 170.0, 2.0, 24.0, 15.0
"""Width for the slices of a level, what is left between two, and the width of a slice at most and at least: less would
cut what stands below it."""

APPROVED = (
    "Corrected and approved by {reader}, {at} UTC. What is said plainly is what the reader gave or approved; what is "
    "likely, possible or cannot be excluded was left so."
)
BY_OUTLINES = f"Sizes by outlines, ± with their 95 % errors; ≈: by the locator alone, {LOCATOR_ERRORS}."
BY_LOCATOR = (
    f"Sizes by the locator in the mid-sagittal slices, on its training data {LOCATOR_ERRORS}; elsewhere less exactly."
)


@dataclass(frozen=True)
class LevelSection:
    """One level: what is said of it, what calls for caution, its measurements, and what it was read from."""

    level: str
    sentences: tuple[str, ...]
    flags: tuple[Note, ...]
    measured: MeasuredLevel | None
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
    failed = result.status == "failed"
    targets = graded_targets(result, model)
    origin, words = result.origin if options.identify else None, page_words(options.language)
    return _template().render(
        result=result,
        failed=failed,
        t=words,
        patient=identification_of(origin).parts if origin else (),
        flags=[one for one in result.flags if failed or _is_at_the_top(one)] + ([] if failed else _lost(result)),
        model_lines=model_lines(model),
        excluded=in_words(model.get("excluded_use")),
        not_graded=[words.running(target) for target in TARGETS if target not in targets],
        never_looked_for=[words.phrases.of("never", thing) for thing in NEVER_LOOKED_FOR],
        no_objects=why_no_objects(result),
        reviewed=_reviewed(result, words),
        **words.frame,
        version=__version__,
        **({"script": ""} if failed else _shown(result, model, options, words)),
    )


def _reviewed(result: StudyResult, words: PageWords) -> str:
    """Who looked the result through, and what that means; "" where nobody has."""
    review = review_of(result)
    if review is None:
        return ""
    said = APPROVED if review.approved else "Corrected, not approved, by {reader}, {at} UTC."
    return words(said, reader=review.reader, at=review.at[:16].replace("T", " "))


def _shown(result: StudyResult, model: Mapping[str, Any], options: ReportOptions, words: PageWords) -> dict[str, Any]:
    """What the page of a graded study holds beside its head."""
    levels = level_names(result)
    tried = [one for one in result.predictions if one.experimental]
    stood = [one for one in result.predictions if not one.experimental]
    ranking = ranking_of(replace(result, experimental=False))
    text, left_out = narrative(result, model, options.language), _left_out(result, model, words)
    slices = viewer_data(result, model, words) if options.slices else {}
    sections = level_sections(result, levels, text, words)
    widest = max((sum(len(strip.slices) for strip in one.strips) for one in sections), default=0)
    outlined = ", ".join(dict.fromkeys(one.series for one in result.measurements if one.series))
    script, script_hash = inline_script("page.js", "correct.js", *(["viewer.js"] if slices else []))
    return {
        "found": [words.ranked(one) for one in ranking.leading[:LED_BY]],
        "still_open": [words.not_excluded(one) for one in ranking.still_open[:LED_BY]],
        "text": text,
        "technique": [line for line in text.technique if line not in left_out],
        "left_out": left_out,
        "table": grade_table(
            stood, levels, result.measurements, words, tried, _narrow(result), withheld_slips(result.flags)
        ),
        "midline_columns": midline_columns(result, stood),
        "beside_midline": words.phrases("beside_midline") if misses_beside_midline(result) else "",
        "experimental": grade_table(tried, levels, words=words, others=stood),
        "sizes_from": words(BY_OUTLINES if outlined else BY_LOCATOR),
        "explained": f"{words(PLAINLY_OF_A_READER if review_of(result) else PLAINLY)} {words(EXPLAINED)}",
        "notes": notes_of(result),
        "figures": figures(result.located, words),
        "sections": sections,
        "outlined": outlined,
        "ranked": any(one.percentile is not None for one in result.measurements),
        "few_slices": widest <= TWO_ABREAST,
        "crop_mm": print_width_mm(len(levels), widest, _STRIPS_MM if words.is_english else _STRIPS_BELOW_LONG_TEXT_MM),
        "grades": in_script(_gradable(result, model, words)),
        "script_words": in_script(words.in_scripts(script)) or "{}",
        "slices": in_script(slices),
        "opens": frozenset(slices.get("measured", ())),
        "script": script,
        "script_hash": script_hash,
    }


def _left_out(result: StudyResult, model: Mapping[str, Any], words: PageWords) -> str:
    """What the model grades and this study was not graded for, and the series that it lacks; "" where nothing is."""
    names = [words.phrases.of("target", one) for one in not_graded(result.predictions, model.get("targets", ()))]
    usual = [view for view in VIEWS if view.value in model.get("views", ())]
    lacking = [
        words.phrases.of("view", one.value) for one in lacking_views({one.series.view for one in result.located}, usual)
    ]
    comma = words.phrases("comma")
    if not names:
        return ""
    told = words.phrases("not_graded", targets=comma.join(names))
    told = f"{words.phrases('absent_views', series=comma.join(lacking))} {told}" if lacking else told
    return words.phrases.isolated(told)


def _narrow(result: StudyResult) -> dict[tuple[str, str], int]:
    """Level and name of the sizes by which the canal is narrow, as the page's first lines have it: 1, or 2 for very."""
    return {(one.level, size.name): 1 + size.is_very for one in narrow_canals_of(result) for size in one.leading}


def _gradable(result: StudyResult, model: Mapping[str, Any], words: PageWords) -> dict[str, Any]:
    """What the form for corrections needs: the scales, the grades as predicted, and what a reader changed before."""
    given: dict[str, dict[str, str]] = {}
    unsure: dict[str, dict[str, str]] = {}
    predicted, review = as_predicted(result), review_of(result)
    for one in predicted.predictions:
        given.setdefault(one.level, {})[one.target] = cell_of(one, words).words
        if approved(one).confident and not one.confident:
            unsure.setdefault(one.level, {})[one.target] = _taken_over(one, words)
    return {
        "study": result.key,
        "model": str(model.get("digest", model.get("version", ""))),
        "levels": level_names(predicted),
        "earlier": review.changes if review else None,
        "targets": [
            {
                "name": one.name,
                "title": words.title(one),
                "grades": one.grades,
                "words": [words.grade(one, grade) for grade in one.grades],
            }
            for one in graded_targets(result, model)
        ],
        "given": given,
        "unsure": unsure,
    }


def _taken_over(prediction: Prediction, words: PageWords) -> str:
    """An unsure grade in the list of what a reader takes over: as the table says it, and as it stands then."""
    cell, stands = cell_of(prediction, words), approved(prediction)
    target = TARGET[prediction.target]
    told = f"{words.title(target)}: {cell.words} ({words.percent(cell.percent)})"
    several = len(reading_of(prediction).grades) > 1
    return words("{told}, taken as {grade}", told=told, grade=words.grade(target, stands.grade)) if several else told


def _lost(result: StudyResult) -> list[Note]:
    """Why a study is partial: images that are missing or could not be used."""
    return [note for note in result.notes if note.code in LOST]


def _is_at_the_top(flag: Note) -> bool:
    return flag.scope is not Scope.LEVEL and flag.severity is not Severity.NOTE


def print_width_mm(levels: int, slices: int = 7, strips_mm: float = _STRIPS_MM) -> float:
    """Width of a slice in print at which the strips of all levels, of so many slices at most, fit on the second page.

    >>> [print_width_mm(levels) for levels in (5, 7, 8, 10)], print_width_mm(5, 9)
    ([22.3, 18.9, 15.0, 15.0], 16.9)
    """
    by_height = (strips_mm / max(levels, 1) - _STRIP_TEXT_MM) * _CROP_ASPECT
    by_width = _STRIP_WIDTH_MM / max(slices, 1) - _GAP_MM
    return round(max(min(by_height, by_width, _WIDEST_MM), _LEAST_MM), 1)


def notes_of(result: StudyResult) -> list[str]:
    """What is said of the study and stands nowhere else on the page; that levels are only counted is said of all but
    those whose names a reader has approved."""
    naming = naming_of(result)
    others = [note for note in result.notes if note.code not in {NUMBERING.code, *LOST} and note != naming]
    counted = [naming] if naming else []
    told = [
        flag
        for flag in result.flags
        if flag.severity is Severity.NOTE and flag.scope is not Scope.LEVEL and flag.code != NOT_LOOKED_FOR_CODE
    ]
    return list(dict.fromkeys(map(str, [*others, *counted, *told])))


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


def figures(located: Sequence[LocatedSeries], words: PageWords) -> list[Figure]:
    """The slices that levels were found in, the one that shows them best first."""
    return [
        Figure(series_title(one, words), overview(one), tuple(note.text for note in one.notes))
        for one in sagittal_first(located)
    ]


def series_title(located: LocatedSeries, words: PageWords) -> str:
    """Name and view of a series, and the slice shown (counted from 1, from the patient's right)."""
    view = words.view(located.series.view) if located.series.view else words("view unknown")
    count = located.series.voxels_SRC.shape[0]
    place = words("slice {number} of {count}", number=located.midline_slice + 1, count=count)
    return f"{view} ({located.series.name}), {place}"


def level_sections(result: StudyResult, levels: Sequence[str], text: Narrative, words: PageWords) -> list[LevelSection]:
    """Every level from the head down."""
    windows = crop_windows(result.crops)
    two_sided = {located.series.name for located in result.located if located.series.laterality_known}
    graded = [one for one in result.predictions if not one.experimental] or result.predictions
    measured = {one.level: one for one in measured_levels(result, levels, words)}
    told = dict(text.findings)
    targets_at = {level: [one.target for one in graded if one.level == level] for level in levels}
    return [
        LevelSection(
            level=level,
            sentences=told[level],
            flags=tuple(one for one in result.flags if one.scope is Scope.LEVEL and one.subject == level),
            measured=measured.get(level),
            strips=strips_of(result.crops.get(level, ()), windows, two_sided, targets_at[level], words),
        )
        for level in levels
    ]


@functools.cache
def _template() -> Any:
    return environment().get_template("study.html")


def in_script(data: Mapping[str, Any]) -> str:
    """Data as JSON that may stand in a script element, whatever names it holds; "" where there are none.

    >>> "<" in in_script({"name": "</script>"})
    False
    """
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c") if data else ""


@functools.cache
def inline_script(*names: str) -> tuple[str, str]:
    """Scripts of this package as one, and its hash for the page's Content-Security-Policy."""
    folder = files(__package__) / "templates"  # they are no templates: nothing is filled in
    script = "\n".join((folder / name).read_text(encoding="utf-8").rstrip("\n") for name in names)
    return script, base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@functools.cache
def environment() -> Any:
    """Templates of this package: every value is escaped, a name that is not given is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("spinenet.report.page"),
        autoescape=True,
        undefined=StrictUndefined,
        optimized=False,  # a page is filled once or twice: looking for constants takes longer than they save
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
