"""One line for a user, the whole story for whoever asks for it."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("asked", [False, True])
def test_what_a_library_said_is_told_with_debug_alone(tmp_path: Path, asked: bool) -> None:
    (tmp_path / "a.nii").write_bytes(b"no image")
    start = "from spinenet.cli import main; main()"
    command = [sys.executable, "-c", start, *(["--debug"] if asked else []), "inspect", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "not a readable NIfTI file" in done.stdout
    assert ("Traceback" in done.stderr and "ImageFileError" in done.stderr) is asked
    assert asked or done.stderr == ""
