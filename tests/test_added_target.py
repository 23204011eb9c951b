"""A target is one entry: the lines that the guide adds are enough for all that grades and reports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKS = Path(__file__).parent / "report" / "added_target_checks.py"


@pytest.mark.timeout(600)
def test_a_target_added_in_one_entry_is_found_from_heads_to_reports() -> None:
    tests = Path(__file__).parent
    paths = [str(tests), str(tests.parent / "src"), os.environ.get("PYTHONPATH", "")]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "added_target",
        "-o",
        "addopts=--import-mode=importlib",
        str(CHECKS),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tests.parent)
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    assert f"{CHECKS.read_text().count(chr(10) + 'def test_')} passed" in ran.stdout
