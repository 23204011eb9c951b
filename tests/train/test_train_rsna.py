"""The recipe for RSNA 2024: from the challenge's files to a bundle and a score, on a few phantoms in its layout."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from recipe_environment import marked_environment

from spinenet.model.bundle import load_bundle

ROOT = Path(__file__).parents[2]
STUDIES = 6
SMALL = ["init=null", "model=grader_small", "fit.epochs=1", "fit.batch_size=1", "augment.levels=2", "trainer=cpu"]


@pytest.fixture(name="environment")
def fixture_environment(tmp_path: Path) -> dict[str, str]:
    """What the recipe runs in."""
    folder = marked_environment(tmp_path / "environment")
    return {**os.environ, "SPINENET_VENV": str(folder), "PYTHONPATH": str(ROOT / "src"), "MPLBACKEND": "Agg"}


@pytest.mark.timeout(1800)  # three minutes of a core, of which a busy machine gives a quarter
def test_a_download_becomes_a_bundle_with_patients_evidence_a_score_and_a_submission(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    rsna, out = tmp_path / "rsna", tmp_path / "out"
    small = ["study.size=192", "study.axial_size=128", "study.sub_slices=1"]
    make = ["scripts/make_phantom.py", f"out={rsna}", f"studies={STUDIES}", "seed=3", "layout=rsna2024", *small]
    subprocess.run([sys.executable, *make], cwd=ROOT, env=environment, check=True, capture_output=True)
    study = sorted((rsna / "train_images").iterdir())[0]
    shutil.copytree(study, rsna / "test_images" / study.name)
    recipe = ["bash", "scripts/train_rsna.sh", str(rsna), str(out), *SMALL]
    done = subprocess.run(recipe, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    bundle = load_bundle(out / "all" / "bundle")
    assert bundle.evidence("subarticular_stenosis_left") == "real" and bundle.measures
    score = json.loads((out / "patients" / "metrics.json").read_text())["rsna_score"]
    assert 0.2 < score["canal"]["value"] < 5
    rows = pd.read_csv(out / "submission.csv")
    assert len(rows) == 25
    np.testing.assert_allclose(rows[["normal_mild", "moderate", "severe"]].sum(axis=1), 1, atol=1e-5)
    shutil.rmtree(rsna / "test_images")
    again = subprocess.run(recipe, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0 and "epoch" not in again.stderr
