"""The right patient, side and level, and nothing lost unsaid, whatever habits files come with.

``SPINENET_HABITS=2000`` tries so many; else each kind whose turn it is in a short run.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from habit_files import Patient
from habit_trial import patients, tried
from habits import HABITS

from spinenet.model.bundle import Bundle, load_bundle
from spinephantom import make_study
from spinephantom.patient.pathology import Mode
from spinephantom.write.dicom_files import write_dicom

COUNT = int(os.environ.get("SPINENET_HABITS", "12"))
SEEDS = [7 * number for number in range(COUNT)]
"""Kinds are taken in turn; seven and their number have no common divisor."""


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle()


@pytest.fixture(scope="module")
def those(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Sequence[Patient]:
    root = tmp_path_factory.mktemp("patients")
    for seed in (2, 4):
        study = make_study(seed, mode=Mode.SCREENING, size=256, slices=12, sub_slices=1, axial_size=192, stir_share=0.0)
        write_dicom(study, root / str(seed))
    return patients(sorted(root.iterdir()), bundle)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_habit_costs_no_patient_side_or_level_and_nothing_is_lost_unsaid(
    seed: int, those: Sequence[Patient], bundle: Bundle, tmp_path: Path
) -> None:
    kind = list(HABITS)[seed % len(HABITS)]
    assert tried(kind, seed, those, bundle, tmp_path / "in") == [], kind
