"""One evaluation as files: ``metrics.json`` for programs, ``tables/*.csv``, and ``report.md`` with figures for people.

What is said about the tables of ``markdown`` stands in ``templates/``.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from spinenet.evaluate import figures
from spinenet.evaluate.assessment import Assessment, Beside, Settings, assess
from spinenet.evaluate.comparison import Comparison
from spinenet.evaluate.curves import Curve
from spinenet.evaluate.estimates import MAIN
from spinenet.evaluate.intervals import FAMILY_ERROR, FEWEST_PATIENTS
from spinenet.evaluate.markdown import (
    ANSWERS,
    METRIC_WORDS,
    area_table,
    baseline_table,
    chance,
    comparison_table,
    gap_table,
    level_table,
    markdown,
    markdown_table,
    percent,
    rater_table,
    results,
    severe_table,
)
from spinenet.evaluate.raters import LEVELS_MISNAMED
from spinenet.evaluate.samples import PRESENCE, target_named
from spinenet.evaluate.subgroups import FEW_PATIENTS
from spinenet.labels import RESEARCH_ONLY, TARGET
from spinenet.model.calibration import MAX_ERROR
from spinenet.system.files import write_text

Draw = Callable[[], Figure]
Rows = Iterable[dict[str, Any]]


@cache
def template(name: str) -> Any:
    """A template of this folder, its filters those of the tables."""
    loader = PackageLoader("spinenet.evaluate")
    made = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
    made.filters |= {"percent": percent, "chance": chance}
    return made.get_template(name)


def report(assessment: Assessment, figure_names: Sequence[str]) -> str:
    """The whole ``report.md``; ``figure_names`` are the stems of the figures beside it."""
    targets, metrics = assessment.targets, assessment.metrics
    cut = [name for name, one in metrics.targets.items() if "macro_f1_gain" in one.estimates]
    presence = {name: PRESENCE[name].title for name in targets}
    calibration = ("calibration_slope", "calibration_intercept", "brier_skill", "brier", "log_loss")
    confident = ("coverage", "confident_error", "finding_coverage", "confident_finding_error")
    cuts = ("macro_f1", "macro_f1_neutral", "macro_f1_gain")
    text = template("report.md.jinja").render(
        research_only=RESEARCH_ONLY,
        a=assessment,
        figures=figure_names,
        fewest=FEWEST_PATIENTS,
        family_error=FAMILY_ERROR,
        few_patients=FEW_PATIENTS,
        max_error=MAX_ERROR,
        misnamed=LEVELS_MISNAMED,
        titles={name: target_named(name).title for name in (*targets, *TARGET)},
        baselines=baseline_table(assessment.discriminations),
        areas=area_table(assessment.discriminations),
        results=list(results(assessment)),
        presence=markdown_table(metrics, ANSWERS, targets=targets, asked=presence, heading="Question"),
        severe=severe_table(targets),
        by_level=level_table(targets),
        calibration=markdown_table(metrics, calibration, targets=targets),
        errors=markdown_table(metrics, ("ece_uncalibrated", "ece", "ece_adaptive"), targets=targets),
        confident=markdown_table(metrics, confident, targets=targets),
        cuts=markdown_table(metrics, cuts, targets=cut) if cut else "",
        gaps=gap_table(assessment),
        asked_gaps=sum(one.p_corrected == one.p_corrected for one in assessment.subgroups),
        raters=rater_table(assessment),
        previous=comparison_table(assessment.previous) if assessment.previous else "",
        words=METRIC_WORDS,
        table=markdown,
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


# ---- CSV


def metric_rows(assessment: Assessment) -> Rows:
    """One row a target, level (``all``: pooled), question and metric."""
    for name, pooled in assessment.targets.items():
        for level, target in {"all": pooled, **pooled.levels}.items():
            of_question = {
                "grades": (target.positives, target.estimates),
                "severe": (target.severe_positives, target.severe),
            }
            for question, (positives, found) in of_question.items():
                for metric, estimate in found.items():
                    key = {"target": name, "level": level, "question": question, "metric": metric}
                    size = {"discs": target.n, "patients": target.patients, "positives": positives}
                    yield {**key, **estimate.to_dict(), **size}


def confusion_rows(assessment: Assessment) -> Rows:
    """One row a target, true and decided grade, in published values."""
    for name, target in assessment.targets.items():
        for true, counts in zip(target.target.grades, target.confusion_KK.tolist(), strict=True):
            for decided, count in zip(target.target.grades, counts, strict=True):
                yield {"target": name, "truth": true, "decided": decided, "discs": count}


def curve_rows(curves: Mapping[str, Curve]) -> Rows:
    """One row a target and point."""
    for name, curve in curves.items():
        for x, y, low, high in zip(curve.x_G, curve.y_G, curve.low_G, curve.high_G, strict=True):
            yield {"target": name, "x": x, "y": y, "low": low, "high": high}


def flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values under joined names.

    >>> flat({"gap": {"value": 1, "low": None}, "n": 3})
    {'gap': 1, 'gap_low': None, 'n': 3}
    """
    cells: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            cells |= {name if key == "value" else f"{name}_{key}": one for key, one in flat(value).items()}
        else:
            cells[name] = value
    return cells


def write_tables(assessment: Assessment, folder: Path) -> list[str]:
    """Write every table that has rows; returns the file names."""
    raters, previous = assessment.raters, assessment.previous
    tables: dict[str, Rows] = {
        "metrics": metric_rows(assessment),
        "confusion": confusion_rows(assessment),
        "discrimination": (flat(one.to_dict()) for one in assessment.discriminations),
        "subgroups": (flat(one.to_dict()) for one in assessment.subgroups),
        "rsna_score": ({"part": name, **one.to_dict()} for name, one in assessment.rsna.items()),
        "raters": (flat(pair.to_dict()) for pair in (raters.pairs if raters else ())),
        "previous": (flat(row.to_dict()) for row in (previous.differences if previous else ())),
    }
    tables |= {f"curve_{kind}": curve_rows(curves) for kind, curves in assessment.curves.items()}
    return [name for name, rows in tables.items() if write_table(rows, folder / f"{name}.csv")]


def write_table(rows: Rows, path: Path) -> bool:
    """Write rows as CSV with six digits; nothing, and false, where there are none."""
    table = pd.DataFrame(list(rows))
    if table.empty:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, table.to_csv(index=False, float_format="%.6g"))
    return True


# ---- folders


def write_evaluation(frame: pd.DataFrame, folder: Path, settings: Settings, beside: Beside | None = None) -> Assessment:
    """Evaluate a table of predictions and write ``metrics.json``, ``tables``, ``report.md`` and ``figures``.

    Raises PredictionsError for a table that can't be evaluated.
    """
    assessment = assess(frame, settings, beside or Beside())
    folder.mkdir(parents=True, exist_ok=True)
    write_json(assessment.to_dict(), folder / "metrics.json")
    write_tables(assessment, folder / "tables")
    names = _write_figures(dict(figures_of(assessment)), folder / "figures")
    write_text(folder / "report.md", report(assessment, names))
    return assessment


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Write ``comparison.json``, ``tables/comparison.csv``, ``report.md`` and a figure of two runs compared."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(comparison.to_dict(), folder / "comparison.json")
    write_table((flat(row.to_dict()) for row in comparison.differences), folder / "tables" / "comparison.csv")
    _write_figures({"comparison": lambda: figures.comparison_figure(comparison)}, folder / "figures")
    words = {"c": comparison, "table": comparison_table(comparison), "family_error": FAMILY_ERROR}
    write_text(
        folder / "report.md", template("comparison.md.jinja").render(**words, research_only=RESEARCH_ONLY) + "\n"
    )


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Strict JSON: an undefined number is null, never NaN."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def figures_of(assessment: Assessment) -> Iterator[tuple[str, Draw]]:
    """Every figure that there is something to draw in, by the stem of its files."""
    shown, curves = assessment.shown, assessment.curves
    if not shown:
        return
    yield "levels", lambda: figures.levels_figure(shown)
    yield "confusion", lambda: figures.confusion_figure(shown)
    yield "roc", lambda: figures.roc_figure(shown, curves["roc"])
    yield "precision_recall", lambda: figures.precision_recall_figure(shown, curves["precision_recall"])
    yield "decision", lambda: figures.decision_figure(shown, curves["decision"])
    yield "risk_coverage", lambda: figures.risk_coverage_figure(shown, curves["risk_coverage"])
    before = assessment.curves_before
    yield "reliability", lambda: figures.reliability_figure(shown, curves["reliability"], before)
    if assessment.raters is not None and assessment.raters.means:
        raters = assessment.raters
        yield "raters", lambda: figures.raters_figure(raters)
    yield from _subgroup_figures(assessment)


def _subgroup_figures(assessment: Assessment) -> Iterator[tuple[str, Draw]]:
    names = {target.target.name for target in assessment.shown}
    pooled = {target.target.name: target.estimates[MAIN[target.target.scale]] for target in assessment.shown}
    for variable in dict.fromkeys(group.variable for group in assessment.subgroups if group.variable != "level"):
        groups = [group for group in assessment.subgroups if group.variable == variable and group.target in names]
        stem = "subgroup_" + re.sub(r"\W+", "_", variable)
        yield stem, lambda variable=variable, groups=groups: figures.subgroup_figure(variable, groups, pooled)  # type: ignore[misc]


def _write_figures(drawn: Mapping[str, Draw], folder: Path) -> list[str]:
    folder.mkdir(exist_ok=True)
    for name, draw in drawn.items():
        figures.save(draw(), folder / name)
    return list(drawn)
