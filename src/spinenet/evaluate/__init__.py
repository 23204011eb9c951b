"""How good are the grades? From ``predictions.csv`` with truth to figures with intervals, tables and pictures.

Needs the extra ``evaluate``, never torch. A table is evaluated without images; for a run, its bundle predicts first.
"""

from spinenet.errors import PredictionsError
from spinenet.evaluate.assess.assessment import Assessment, Beside, Settings, assess
from spinenet.evaluate.assess.comparison import Comparison, compare
from spinenet.evaluate.assess.evaluation import Metrics, TargetMetrics, evaluate
from spinenet.evaluate.assess.levels import LevelErrors, level_errors
from spinenet.evaluate.assess.raters import load_raters
from spinenet.evaluate.assess.subgroups import load_cases
from spinenet.evaluate.show.markdown import markdown_table, verdict_table
from spinenet.evaluate.show.outputs import write_comparison, write_evaluation
from spinenet.evaluate.stats.intervals import Estimate
from spinenet.evaluate.stats.samples import check_predictions, load_predictions

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
    "verdict_table",
    "write_comparison",
    "write_evaluation",
]
