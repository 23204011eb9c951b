"""How good are the grades? From ``predictions.csv`` with truth to metrics with intervals, tables and figures.

Needs the ``train`` extra (pandas, matplotlib) but neither torch nor images.
"""

from spinenet.evaluate.evaluation import Metrics, TargetMetrics, evaluate
from spinenet.evaluate.intervals import Estimate
from spinenet.evaluate.levels import LevelErrors, level_errors
from spinenet.evaluate.markdown import markdown_table
from spinenet.evaluate.outputs import write_evaluation
from spinenet.evaluate.table import PredictionsError, check_predictions, load_predictions

__all__ = [
    "Estimate",
    "LevelErrors",
    "Metrics",
    "PredictionsError",
    "TargetMetrics",
    "check_predictions",
    "evaluate",
    "level_errors",
    "load_predictions",
    "markdown_table",
    "write_evaluation",
]
