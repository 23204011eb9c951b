"""A training on several devices by the command: Lightning starts the further processes with the keys of this one."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

MAIN = "from spinenet.cli import main; main()"
TINY = ["model=grader_small", "fit.epochs=1", "fit.batch_size=1", "augment.levels=2", "data.fold=0", "logger=csv"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_command_trains_in_two_processes(phantom_root: Path, tmp_path: Path) -> None:
    data = ["data=phantom", f"data.root={phantom_root}", "trainer=ddp_sim", "trainer.threads=1", "out=run"]
    command = [sys.executable, "-c", MAIN, "train", "grader", *data, *TINY]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "GLOBAL_RANK: 0, MEMBER: 1/2" in done.stderr and done.stdout.count("run: ") == 1
    assert pd.read_csv(tmp_path / "run" / "metrics.csv")["epoch"].max() == 0
