"""The whole node, as it is installed, under everything that goes wrong at once."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "strain_node.py"


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on this system")
@pytest.mark.parametrize(
    "grader", [["--stub-grader"], pytest.param([], marks=pytest.mark.slow)], ids=["stub", "bundle"]
)
def test_every_acknowledged_image_is_in_exactly_one_right_final_result(tmp_path: Path, grader: list[str]) -> None:
    command = [sys.executable, str(SCRIPT), "6", "--folder", str(tmp_path / "strain"), "--kill-every", "2", *grader]
    done = subprocess.run([*command, "--patience", "300"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert re.search(r"6 studies, 36 images acknowledged", done.stdout)
    assert re.search(r"[1-9]\d* kills", done.stdout)
