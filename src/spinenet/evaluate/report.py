"""One evaluation as files: ``metrics.json`` for programs, ``tables/*.csv``, and ``report.md`` with figures for people.

What is said stands in ``templates/``: the report, and the tables that it and notebooks show.
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
from spinenet.evaluate.comparison import Comparison
from spinenet.evaluate.curves import Curve
from spinenet.evaluate.estimates import MAIN
from spinenet.evaluate.evaluation import Assessment, Beside, Metrics, Settings, assess
from spinenet.evaluate.intervals import FAMILY_ERROR, FEWEST_PATIENTS, Estimate, plain
from spinenet.evaluate.raters import AGREEMENT, LEVELS_MISNAMED
from spinenet.evaluate.samples import PRESENCE, SEVERE, target_named
from spinenet.evaluate.subgroups import FEW_PATIENTS
from spinenet.labels import LEVELS, RESEARCH_ONLY, Scale
from spinenet.model.calibration import MAX_ERROR
from spinenet.system.files import write_text

Draw = Callable[[], Figure]
Rows = Iterable[dict[str, Any]]

METRIC_WORDS = {
    "quadratic_kappa": ("Quadratic kappa", "agreement beyond chance, far misses counting more; 1 is perfect"),
    "linear_kappa": ("Linear kappa", "the same, misses counting by their distance"),
    "kappa": ("Kappa", "agreement beyond chance, without weights"),
    "gwet_ac1": ("Gwet's AC1", "agreement beyond chance that rare grades do not sink"),
    "matthews": ("MCC", "correlation of decided and true grades; 0 is chance"),
    "macro_f1": ("Macro F1", "F1 of each grade, averaged with equal weight"),
    "macro_f1_neutral": ("Macro F1, most probable", "the same where the most probable grade is decided, without cuts"),
    "macro_f1_gain": ("Gain by cuts", "macro F1 as decided minus that of the most probable grade"),
    "balanced_accuracy": ("Balanced accuracy", "share decided rightly of each true grade, averaged with equal weight"),
    "accuracy": ("Accuracy", "share decided rightly; high for rare findings whatever the model does"),
    "auc": ("AUC", "chance that a disc with the finding scores above one without it"),
    "average_precision": ("Average precision", "precision averaged over recall; its floor is the prevalence"),
    "sensitivity": ("Sensitivity", "share of discs with the finding that are decided so"),
    "specificity": ("Specificity", "share of discs without the finding that are decided so"),
    "ppv": ("PPV", "share of discs decided to have the finding that have it, at this prevalence"),
    "npv": ("NPV", "share of discs decided not to have the finding that do not, at this prevalence"),
    "prevalence": ("Prevalence", "share of discs with the finding"),
    "called_normal": ("Severe called normal", "share of severe discs that are decided to be normal"),
    "calibration_slope": ("Slope", "of the line from stated log-odds of the finding to true ones; below 1 is too sure"),
    "calibration_intercept": ("Intercept", "of that line; 0 is perfect, more is stated too rarely"),
    "brier": ("Brier", "mean squared error of the probabilities; 0 is perfect"),
    "brier_skill": ("Brier skill", "share of the Brier error of stating the prevalence that is saved; 1 is perfect"),
    "log_loss": ("Log loss", "mean of minus the log of the true grade's probability; 0 is perfect"),
    "ece": ("ECE", "expected calibration error over ten equal bins; a perfect model of this size has about 0.03"),
    "ece_adaptive": ("Adaptive ECE", "the same over ten bins of equally many discs"),
    "ece_uncalibrated": ("ECE before", "ECE before calibration"),
    "coverage": ("Confident", "share of discs on which the model stands by its grade"),
    "confident_error": ("Error among confident", "share decided wrongly where the model stands by its grade"),
    "finding_coverage": ("Findings confident", "share stood by of the discs decided to have the finding"),
    "confident_finding_error": (
        "Error among confident findings",
        "share decided wrongly of the discs decided to have the finding, where the model stands by that",
    ),
}
"""Name in tables and meaning of every metric."""
_SMALL = ("ece", "ece_adaptive", "ece_uncalibrated", "brier", "log_loss")
"""Figures near 0 that need a third decimal."""
_OF_SCALE = {
    Scale.ORDINAL: (
        "quadratic_kappa",
        "linear_kappa",
        "kappa",
        "gwet_ac1",
        "macro_f1",
        "balanced_accuracy",
        "matthews",
    ),
    Scale.NOMINAL: ("auc", "average_precision", "kappa", "macro_f1", "balanced_accuracy"),
    Scale.BINARY: ("auc", "average_precision", "kappa", "gwet_ac1", "matthews", "macro_f1", "balanced_accuracy"),
}
ANSWERS = ("prevalence", "auc", "average_precision", "sensitivity", "specificity", "ppv", "npv")
_HEADINGS = {Scale.ORDINAL: "Ordinal grades", Scale.NOMINAL: "Types", Scale.BINARY: "Findings"}

SECTIONS = {
    "calibration": ("calibration_slope", "calibration_intercept", "brier_skill", "brier", "log_loss"),
    "confident": ("coverage", "confident_error", "finding_coverage", "confident_finding_error"),
    "cuts": ("macro_f1", "macro_f1_neutral", "macro_f1_gain"),
    "errors": ("ece_uncalibrated", "ece", "ece_adaptive"),
}
"""Figures of the report's tables beside those of the grades."""


def figure_text(name: str, found: Mapping[str, Estimate]) -> str:
    """A figure as "value [low, high]"; a dash for one that is not there."""
    return found[name].text(3 if name in _SMALL else 2) if name in found else "–"


def chance(p: float) -> str:
    """A p-value for a table."""
    return "–" if p != p else f"{p:.3f}" if p >= 0.001 else "< 0.001"


@cache
def template(name: str) -> Any:
    """A template of this folder, with the words and limits of the figures."""
    loader = PackageLoader("spinenet.evaluate")
    made = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
    made.filters["chance"] = chance
    made.globals |= {
        "research_only": RESEARCH_ONLY,
        "family_error": FAMILY_ERROR,
        "fewest": FEWEST_PATIENTS,
        "few_patients": FEW_PATIENTS,
        "max_error": MAX_ERROR,
        "misnamed": LEVELS_MISNAMED,
        "words": METRIC_WORDS,
        "answers": ANSWERS,
        "severe_answers": ("called_normal", *ANSWERS),
        "sections": SECTIONS,
        "presence": {name: question.title for name, question in PRESENCE.items()},
        "severe_titles": {name: question.title for name, question in SEVERE.items() if question},
        "scales": [(heading, scale, _OF_SCALE[scale]) for scale, heading in _HEADINGS.items()],
        "word": lambda name: METRIC_WORDS[name][0],
        "title": lambda name: target_named(name).title,
        "main": lambda name: MAIN[target_named(name).scale],
        "figure": figure_text,
    }
    return made.get_template(name)


def render(name: str, **words: Any) -> str:
    """A whole report in Markdown, of a template ``name.md.jinja``."""
    return re.sub(r"\n{3,}", "\n\n", template(f"{name}.md.jinja").render(**words)).strip() + "\n"


def table(name: str, *found: Any) -> str:
    """One table of ``tables.md.jinja`` in Markdown; "" where nothing belongs in it."""
    return str(getattr(template("tables.md.jinja").module, name)(*found)).strip()


def markdown_table(
    metrics: Metrics,
    names: Sequence[str] = ("quadratic_kappa", "auc", "average_precision", "macro_f1"),
    *,
    targets: Iterable[str] | None = None,
    asked: Mapping[str, str] | None = None,
) -> str:
    """A Markdown table, one row a target, one column a metric as "value [low, high]".

    ``names`` are keys of METRIC_WORDS, ``targets`` names (default: all that were evaluated), ``asked`` a last column of
    other figures by target. A metric that a target does not have is left as a dash.
    """
    every = metrics.targets | metrics.sides
    return table("metrics", [every[name] for name in (metrics.targets if targets is None else targets)], names, asked)


def report(assessment: Assessment, figure_names: Sequence[str]) -> str:
    """The whole ``report.md``; ``figure_names`` are the stems of the figures beside it."""
    targets = assessment.targets.values()
    return render(
        "report",
        a=assessment,
        figures=figure_names,
        level_names=[level for level in LEVELS if any(level in one.levels for one in targets)],
        known={name: AGREEMENT[at] for name in assessment.targets if (at := target_named(name).condition) in AGREEMENT},
        cut=[one for one in assessment.metrics.targets.values() if "macro_f1_gain" in one.estimates],
        asked_gaps=sum(one.p_corrected == one.p_corrected for one in assessment.subgroups),
    )


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
                    yield {**key, **plain(estimate), **size}


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
        "wording": ({"target": one.target, **flat(plain(said))} for one in assessment.wordings for said in one.said),
        "subgroups": (flat(one.to_dict()) for one in assessment.subgroups),
        "rsna_score": ({"part": name, **plain(one)} for name, one in assessment.rsna.items()),
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
    write_text(folder / "report.md", render("comparison", c=comparison))


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
    before = curves["reliability_before"]
    yield "reliability", lambda: figures.reliability_figure(shown, curves["reliability"], before)
    if assessment.raters is not None and assessment.raters.means:
        raters = assessment.raters
        yield "raters", lambda: figures.raters_figure(raters)
    yield from _subgroup_figures(assessment)


def _subgroup_figures(assessment: Assessment) -> Iterator[tuple[str, Draw]]:
    names = {target.target.name for target in assessment.shown}
    pooled = {target.target.name: target.main for target in assessment.shown}
    for variable in dict.fromkeys(group.variable for group in assessment.subgroups if group.variable != "level"):
        groups = [group for group in assessment.subgroups if group.variable == variable and group.target in names]
        stem = "subgroup_" + re.sub(r"\W+", "_", variable)
        yield stem, lambda variable=variable, groups=groups: figures.subgroup_figure(variable, groups, pooled)  # type: ignore[misc]


def _write_figures(drawn: Mapping[str, Draw], folder: Path) -> list[str]:
    folder.mkdir(exist_ok=True)
    for name, draw in drawn.items():
        figures.save(draw(), folder / name)
    return list(drawn)
