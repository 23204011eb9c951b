"""One evaluation as files: ``metrics.json`` for programs, ``tables/*.csv``, ``report.md`` and figures for people."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from spinenet.evaluate import figures, forests
from spinenet.evaluate.assessment import Assessment, Beside, Settings, assess
from spinenet.evaluate.comparison import Comparison
from spinenet.evaluate.csv_tables import comparison_rows, write_table, write_tables
from spinenet.evaluate.drawing import save
from spinenet.evaluate.markdown import comparison_table, report
from spinenet.evaluate.metrics import MAIN
from spinenet.labels import RESEARCH_ONLY
from spinenet.system.files import write_text

Draw = Callable[[], Figure]


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
    write_table(comparison_rows(comparison), folder / "tables" / "comparison.csv")
    _write_figures({"comparison": lambda: forests.comparison_figure(comparison)}, folder / "figures")
    first, second = comparison.names
    sections = (
        f"# {first} against {second}",
        f"> {RESEARCH_ONLY}",
        f"{comparison.patients} patients and {comparison.discs} discs that both graded; {comparison.left_out} labelled "
        "grades were given by one run alone and are left out. Both are weighed by the same "
        f"{comparison.samples} bootstrap samples of patients (seed {comparison.seed}); p is the paired bootstrap's, "
        f"corrected over the targets ({comparison.correction}), and DeLong's with patients as clusters.",
        comparison_table(comparison),
        "![Differences of the main figures](figures/comparison.png)",
        "Every figure of both runs: tables/comparison.csv.",
    )
    write_text(folder / "report.md", "\n\n".join(sections) + "\n")


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Strict JSON: an undefined number is null, never NaN."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def figures_of(assessment: Assessment) -> Iterator[tuple[str, Draw]]:
    """Every figure that there is something to draw in, by the stem of its files."""
    shown, curves = assessment.shown, assessment.curves
    if not shown:
        return
    yield "levels", lambda: forests.levels_figure(shown)
    yield "confusion", lambda: figures.confusion_figure(shown)
    yield "roc", lambda: figures.roc_figure(shown, curves["roc"])
    yield "precision_recall", lambda: figures.precision_recall_figure(shown, curves["precision_recall"])
    yield "decision", lambda: figures.decision_figure(shown, curves["decision"])
    yield "risk_coverage", lambda: figures.risk_coverage_figure(shown, curves["risk_coverage"])
    before = assessment.curves_before
    yield "reliability", lambda: figures.reliability_figure(shown, curves["reliability"], before)
    if assessment.raters is not None and assessment.raters.means:
        raters = assessment.raters
        yield "raters", lambda: forests.raters_figure(raters)
    yield from _subgroup_figures(assessment)


def _subgroup_figures(assessment: Assessment) -> Iterator[tuple[str, Draw]]:
    names = {target.target.name for target in assessment.shown}
    pooled = {target.target.name: target.estimates[MAIN[target.target.scale]] for target in assessment.shown}
    for variable in dict.fromkeys(group.variable for group in assessment.subgroups if group.variable != "level"):
        groups = [group for group in assessment.subgroups if group.variable == variable and group.target in names]
        stem = "subgroup_" + re.sub(r"\W+", "_", variable)
        yield stem, lambda variable=variable, groups=groups: forests.subgroup_figure(variable, groups, pooled)  # type: ignore[misc]


def _write_figures(drawn: Mapping[str, Draw], folder: Path) -> list[str]:
    folder.mkdir(exist_ok=True)
    for name, draw in drawn.items():
        save(draw(), folder / name)
    return list(drawn)
