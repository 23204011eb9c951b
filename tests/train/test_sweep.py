"""A search over learning rates: the sweeper is told the best validation score of each run, and says which had most."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from spinenet.train.loop import SCORE

MAIN = "from spinenet.cli import main; main()"
TINY = ["model=grader_small", "fit.epochs=2", "fit.batch_size=2", "augment.levels=2", "data.fold=0", "logger=csv"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_search_takes_the_run_with_the_best_validation_score(phantom_root: Path, tmp_path: Path) -> None:
    search = ["--multirun", "hparams_search=optuna", "hydra.sweeper.n_trials=2", f"out={tmp_path}/search"]
    data = ["data=phantom", f"data.root={phantom_root}", "data.validation=0.4", "trainer=cpu", "trainer.threads=1"]
    command = [sys.executable, "-c", MAIN, "train", "grader", *data, *TINY, *search]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (results,) = tmp_path.rglob("optimization_results.yaml")
    found = yaml.safe_load(results.read_text())
    runs = [tmp_path / "search" / str(number) for number in range(2)]
    scores = [pd.read_csv(run / "metrics.csv")[SCORE].max() for run in runs]
    assert found["best_value"] == pytest.approx(max(scores), abs=1e-5)
    best = json.loads((runs[scores.index(max(scores))] / "run.json").read_text())["overrides"]
    assert f"fit.learning_rate={found['best_params']['fit.learning_rate']}" in best
