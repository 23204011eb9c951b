"""The recipe of the stenosis grader, from phantoms to its bundle: every step of it, on a handful of studies."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from recipe_environment import marked_environment

from spinenet.model.bundle import GRADER, LOCATOR, load_bundle

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_phantoms_and_patients_become_a_bundle_that_grades_stenosis(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "MPLBACKEND": "Agg", "SPINENET_DRY": "1"}
    environment["SPINENET_VENV"] = str(marked_environment(tmp_path / "environment"))
    spider, out = tmp_path / "spider", tmp_path / "out"
    make = ["scripts/make_phantom.py", f"out={spider}", "studies=6", "seed=5", "layout=spider", "study.size=192"]
    few = ["study.axial=false", "study.slices=3"]
    subprocess.run([sys.executable, *make, *few], cwd=ROOT, env=environment, check=True, capture_output=True)
    recipe = ["bash", "scripts/make_stenosis_grader.sh", str(spider), str(out)]
    done = subprocess.run(recipe, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    bundle = load_bundle(out / "stenosis" / "bundle")
    assert {LOCATOR, GRADER} <= set(bundle.parts) and bundle.evidence("canal_stenosis") == "synthetic"
    assert (out / "contest" / "judged" / "models.md").is_file() and (out / "phantoms" / "report.md").is_file()
    times = (out / "times.txt").read_text()
    assert "locator.onnx" in times and "bundle/model.json" in times
    again = subprocess.run(recipe, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0 and (out / "times.txt").read_text() == times
