"""How good are the grades? From ``predictions.csv`` with truth to figures with intervals, tables and pictures.

Needs the extra ``evaluate``, never torch. A table is evaluated without images; for a run, its bundle predicts first
(``collection``).
"""

from spinenet.errors import PredictionsError
from spinenet.evaluate.comparison import Comparison, compare
from spinenet.evaluate.evaluation import Assessment, Beside, Metrics, Settings, TargetMetrics, assess, evaluate
from spinenet.evaluate.intervals import Estimate
from spinenet.evaluate.levels import LevelErrors, level_errors
from spinenet.evaluate.raters import load_raters
from spinenet.evaluate.report import markdown_table, table, write_comparison, write_evaluation
from spinenet.evaluate.samples import check_predictions, load_predictions
from spinenet.evaluate.subgroups import load_cases

__all__ = [
    "Assessment",
    "Beside",
    "Comparison",
    "Estimate",
    "LevelErrors",
    "Metrics",
    "PredictionsError",
    "Settings",
    "TargetMetrics",
    "assess",
    "check_predictions",
    "compare",
    "evaluate",
    "level_errors",
    "load_cases",
    "load_predictions",
    "load_raters",
    "markdown_table",
    "table",
    "write_comparison",
    "write_evaluation",
]
