"""A batch that is killed without warning, again and again, ends as one that ran in peace."""

import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

KILLS = int(os.environ.get("SPINENET_KILLS", "3"))
"""How often the batch is killed; longer than in the suite: SPINENET_KILLS=20 pytest tests/serve/test_restart.py."""
STUDIES = max(6, 2 * KILLS)
"""So many that there is work left to be killed in, each time."""


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


def finished(out: Path) -> int:
    """Studies with a row in the table."""
    table = out / "studies.csv"
    return max(0, table.read_bytes().count(b"\n") - 1) if table.exists() else 0


def many(images: Path, folder: Path) -> Path:
    """The phantoms as STUDIES patients of other names."""
    folder.mkdir()
    originals = sorted(images.iterdir())
    patients = sorted({path.name.split("_")[0] for path in originals})
    for number in range(STUDIES):
        like = patients[number % len(patients)]
        for path in originals:
            name, _, rest = path.name.partition("_")
            if name == like:
                shutil.copy(path, folder / f"{number + 1}_{rest}")
    return folder


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_killing_a_batch_at_random_moments_changes_nothing(phantom_root: Path, tmp_path: Path) -> None:
    images = many(phantom_root / "images", tmp_path / "images")
    begin = time.monotonic()
    assert start(images, tmp_path / "in peace").wait(timeout=1800) in (0, 1)
    each_s = (time.monotonic() - begin) / STUDIES
    chance, hits = random.Random(KILLS), 0
    for kill in range(KILLS):
        process, before = start(images, tmp_path / "killed"), finished(tmp_path / "killed")
        while process.poll() is None and kill % 4 and finished(tmp_path / "killed") == before:
            time.sleep(0.01)  # one kill in four comes before a study is done, the others while the next is
        time.sleep(chance.uniform(0.0, 1.0) * each_s)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            hits += 1
        process.wait()
    assert hits > KILLS // 2
    assert start(images, tmp_path / "killed").wait(timeout=1800) in (0, 1)
    assert len(outcome(tmp_path / "in peace")["tables"]["studies.csv"]) == STUDIES
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "in peace")
