"""A batch that is killed without warning, again and again, ends as one that ran in peace."""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

KILLS = int(os.environ.get("SPINENET_KILLS", "3"))
"""How often the batch is killed; a longer test than the suite's: SPINENET_KILLS=20 pytest tests/test_restart.py."""


def start(images: Path, out: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", "from spinenet.cli import main; main()", "predict", str(images)]
    command += ["--out", str(out), "--workers", "2"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def outcome(out: Path) -> dict[str, Any]:
    """Everything a run leaves but the time it took: tables by their rows, other files by name."""
    tables = {}
    for path in sorted(out.glob("*.csv")):
        with path.open(encoding="utf-8") as file:
            tables[path.name] = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
    files = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    return {"tables": tables, "files": files}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_killing_a_batch_at_random_moments_changes_nothing(phantom_root: Path, tmp_path: Path) -> None:
    images = phantom_root / "images"
    begin = time.monotonic()
    assert start(images, tmp_path / "in peace").wait(timeout=120) in (0, 1)
    whole_s = time.monotonic() - begin
    moments = random.Random(KILLS)
    for _ in range(KILLS):
        process = start(images, tmp_path / "killed")
        time.sleep(moments.uniform(0.3, 0.9) * whole_s)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert start(images, tmp_path / "killed").wait(timeout=120) in (0, 1)
    assert outcome(tmp_path / "in peace")["tables"]["predictions.csv"]
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "in peace")
