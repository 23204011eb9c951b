"""What a configuration names, read: truth, cases, raters and a previous run."""

from pathlib import Path

import pandas as pd

from spinenet.evaluate.assessment import Beside
from spinenet.evaluate.evaluation_config import EvaluateConfig
from spinenet.evaluate.raters import consensus, load_raters
from spinenet.evaluate.samples import load_predictions, load_truth
from spinenet.evaluate.subgroups import load_cases

CONSENSUS = "consensus"


def read_truth(truth: str | None, raters: str | None) -> pd.DataFrame | None:
    """The truth of a table of predictions that has none of its own: from a CSV, or the raters' consensus."""
    if truth is None:
        return None
    return consensus(load_raters(Path(raters or ""))) if truth == CONSENSUS else load_truth(Path(truth))


def read_beside(config: EvaluateConfig, truth: pd.DataFrame | None) -> Beside:
    """Whatever else the evaluation was given."""
    return Beside(
        cases=load_cases(Path(config.cases)) if config.cases else None,
        raters=load_raters(Path(config.raters)) if config.raters else None,
        previous=load_predictions(Path(config.previous), truth) if config.previous else None,
        consensus=config.truth == CONSENSUS,
    )
