"""An assessment as tables: what the figures and the report show, one CSV a subject."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from spinenet.evaluate.assessment import Assessment
from spinenet.evaluate.comparison import Comparison
from spinenet.evaluate.curves import Curve
from spinenet.evaluate.evaluation import TargetMetrics
from spinenet.system.files import write_text

Rows = Iterator[dict[str, Any]]


def metric_rows(assessment: Assessment) -> Rows:
    """One row a target, level (``all``: pooled), question and metric."""
    for name, target in assessment.targets.items():
        yield from _rows_of(name, "all", target)
        for level, metrics in target.levels.items():
            yield from _rows_of(name, level, metrics)


def _rows_of(name: str, level: str, target: TargetMetrics) -> Rows:
    size = {"discs": target.n, "patients": target.patients}
    for question, positives, figures in (
        ("grades", target.positives, target.estimates),
        ("severe", target.severe_positives, target.severe),
    ):
        for metric, estimate in figures.items():
            key = {"target": name, "level": level, "question": question, "metric": metric}
            yield {**key, **estimate.to_dict(), **size, "positives": positives}


def confusion_rows(assessment: Assessment) -> Rows:
    """One row a target, true and decided grade, in published values."""
    for name, target in assessment.targets.items():
        for true, counts in zip(target.target.grades, target.confusion_KK.tolist(), strict=True):
            for decided, count in zip(target.target.grades, counts, strict=True):
                yield {"target": name, "truth": true, "decided": decided, "discs": count}


def curve_rows(curves: dict[str, Curve]) -> Rows:
    """One row a target and point."""
    for name, curve in curves.items():
        for x, y, low, high in zip(curve.x_G, curve.y_G, curve.low_G, curve.high_G, strict=True):
            yield {"target": name, "x": x, "y": y, "low": low, "high": high}


def comparison_rows(comparison: Comparison) -> Rows:
    """One row a target, question and metric of two runs."""
    yield from (flat(row.to_dict()) for row in comparison.differences)


def flat(record: dict[str, Any]) -> dict[str, Any]:
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
    tables: dict[str, Callable[[], Rows]] = {
        "metrics": lambda: metric_rows(assessment),
        "confusion": lambda: confusion_rows(assessment),
        "verdicts": lambda: (flat(verdict.to_dict()) for verdict in assessment.verdicts),
        "subgroups": lambda: (flat(subgroup.to_dict()) for subgroup in assessment.subgroups),
        "rsna_score": lambda: ({"part": name, **one.to_dict()} for name, one in assessment.rsna.items()),
    }
    raters, previous = assessment.raters, assessment.previous
    if raters is not None:
        tables["raters"] = lambda: (flat(pair.to_dict()) for pair in raters.pairs)
    if previous is not None:
        tables["previous"] = lambda: comparison_rows(previous)
    for kind, curves in assessment.curves.items():
        tables[f"curve_{kind}"] = lambda curves=curves: curve_rows(curves)  # type: ignore[misc]
    return [name for name, rows in tables.items() if write_table(rows(), folder / f"{name}.csv")]


def write_table(rows: Rows, path: Path) -> bool:
    """Write rows as CSV with six digits; nothing, and false, where there are none."""
    table = pd.DataFrame(list(rows))
    if table.empty:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, table.to_csv(index=False, float_format="%.6g"))
    return True
