"""An environment that the recipes in ``scripts/`` take for their own."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXTRAS = ("train", "train,imagenet")


def marked_environment(folder: Path) -> Path:
    """This interpreter's environment, marked as installed for the recipes."""
    folder.mkdir()
    for part in ("bin", "lib", "pyvenv.cfg"):
        if (Path(sys.prefix) / part).exists():
            (folder / part).symlink_to(Path(sys.prefix) / part)
    wanted = ["bash", "-c", "cat pyproject.toml constraints.txt | cksum; pwd"]
    stamp = subprocess.run(wanted, cwd=ROOT, capture_output=True, text=True, check=True).stdout.rstrip("\n")
    for extra in EXTRAS:
        (folder / f".spinenet-{extra}").write_text(stamp)
    return folder
