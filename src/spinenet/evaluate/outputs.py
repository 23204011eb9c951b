"""One evaluation as files: ``metrics.json`` for programs, ``report.md`` and figures for people.

``metrics.json`` is strict JSON (an undefined number is null) with these keys:

- ``title``, ``research_use_only``, ``patients``, ``discs``;
- ``bootstrap``: ``unit``, ``samples``, ``seed``, ``interval``;
- ``targets``: per labelled target ``title``, ``scale``, ``n``, ``patients``, ``positives``, ``not_graded``, ``counts``
  (true discs per published grade), ``confusion`` (rows true, columns decided), ``metrics`` (name -> ``value``, ``low``,
  ``high``; explained in ``markdown.METRIC_WORDS``), and ``levels`` (level -> the same keys);
- ``levels``: null, or ``graded``, ``studies``, ``tolerance_mm``, ``counts`` and ``fractions`` of discs ``right``,
  ``misnamed``, ``missed`` and ``extra``, ``distance_mm`` with ``median`` and ``percentile_95``.
"""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from spinenet.evaluate import figures
from spinenet.evaluate.evaluation import Metrics, evaluate
from spinenet.evaluate.intervals import COVERAGE, draw_patients
from spinenet.evaluate.levels import LevelErrors
from spinenet.evaluate.markdown import report
from spinenet.evaluate.metrics import METRICS_OF
from spinenet.evaluate.table import check_predictions, sample_of
from spinenet.labels import RESEARCH_ONLY, Scale


def write_evaluation(
    frame: pd.DataFrame,
    folder: Path,
    *,
    title: str,
    samples: int = 1000,
    seed: int = 0,
    levels: LevelErrors | None = None,
) -> dict[str, Any]:
    """Evaluate a table of predictions and write ``metrics.json``, ``report.md`` and ``figures/*.png, *.svg``.

    Returns the content of ``metrics.json``. Raises PredictionsError for a table that can't be evaluated.
    """
    frame = check_predictions(frame)
    metrics = evaluate(frame, samples=samples, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    content = to_dict(metrics, title, levels)
    (folder / "metrics.json").write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    names = _write_figures(frame, metrics, folder / "figures")
    (folder / "report.md").write_text(report(metrics, title, levels, names), encoding="utf-8")
    return content


def to_dict(metrics: Metrics, title: str, levels: LevelErrors | None = None) -> dict[str, Any]:
    """The content of ``metrics.json``."""
    bootstrap = {"unit": "patient", "samples": metrics.samples, "seed": metrics.seed, "interval": COVERAGE}
    return {
        "title": title,
        "research_use_only": RESEARCH_ONLY,
        "patients": metrics.patients,
        "discs": metrics.discs,
        "bootstrap": bootstrap,
        "targets": {name: target.to_dict() for name, target in metrics.targets.items()},
        "levels": None if levels is None else levels.to_dict(),
    }


def _write_figures(frame: pd.DataFrame, metrics: Metrics, folder: Path) -> list[str]:
    """Draw what there is to draw; returns the stems written."""
    patients = sorted(frame.loc[frame["truth"].notna(), "study"].unique())
    draws_SP = draw_patients(len(patients), metrics.samples, metrics.seed)
    graded = {name: target for name, target in metrics.targets.items() if target.n}
    samples = {name: sample_of(frame, target.target, patients) for name, target in graded.items()}
    presence = [name for name, target in graded.items() if "auc" in METRICS_OF[target.target.scale]]
    several = [target for target in graded.values() if target.target.scale is not Scale.BINARY]
    drawn = {}
    if several:
        drawn["confusion"] = figures.confusion_figure(several)
    if presence:
        chosen = [graded[name] for name in presence]
        drawn["roc"] = figures.roc_figure([samples[name] for name in presence], chosen, draws_SP)
    if graded:
        drawn["reliability"] = figures.reliability_figure(list(samples.values()), list(graded.values()), draws_SP)
    folder.mkdir(exist_ok=True)
    for name, figure in drawn.items():
        figures.save(figure, folder / name)
    return list(drawn)
