"""The recipe of the bundle in the package, from data to bundle: every step of it, on a handful of studies."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sudirman_patients import COLUMN, write_patients

from spinenet.model.bundle import DISCS, GRADER, LOCATOR, MEASURED, SEGMENTER, load_bundle

ROOT = Path(__file__).parents[2]


def marked_environment(folder: Path) -> Path:
    """This interpreter's environment, marked as installed for the recipe."""
    folder.mkdir()
    for part in ("bin", "lib", "pyvenv.cfg"):
        if (Path(sys.prefix) / part).exists():
            (folder / part).symlink_to(Path(sys.prefix) / part)
    wanted = ["bash", "-c", "cat pyproject.toml constraints.txt | cksum; pwd"]
    stamp = subprocess.run(wanted, cwd=ROOT, capture_output=True, text=True, check=True).stdout.rstrip("\n")
    for extra in ("train", "train,imagenet"):
        (folder / f".spinenet-{extra}").write_text(stamp)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_data_of_two_hospitals_becomes_a_bundle_with_every_part(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "MPLBACKEND": "Agg", "SPINENET_DRY": "1"}
    environment["SPINENET_VENV"] = str(marked_environment(tmp_path / "environment"))
    spider, sudirman, out = tmp_path / "spider", tmp_path / "sudirman", tmp_path / "out"
    make = ["scripts/make_phantom.py", f"out={spider}", "studies=6", "seed=5", "layout=spider", "study.size=192"]
    few = ["study.axial=false", "study.slices=3"]
    subprocess.run([sys.executable, *make, *few], cwd=ROOT, env=environment, check=True, capture_output=True)
    write_patients(sudirman, {str(number): COLUMN for number in range(1, 7)})
    recipe = ["bash", "scripts/train_all.sh", str(spider), str(sudirman), str(out)]
    done = subprocess.run(recipe, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    bundle = load_bundle(out / "all" / "bundle")
    assert {LOCATOR, GRADER, SEGMENTER, MEASURED, DISCS} <= set(bundle.parts)
    assert bundle.evidence("narrowing") == "real" and bundle.evidence("canal_stenosis") == "synthetic"
    assert (out / "contest" / "judged" / "models.md").is_file() and (out / "patients" / "report.md").is_file()
    times = (out / "times.txt").read_text()
    assert "locator.onnx" in times and "bundle/model.json" in times
    again = subprocess.run(recipe, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0 and (out / "times.txt").read_text() == times
