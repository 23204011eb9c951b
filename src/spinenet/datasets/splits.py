"""Splits by patient, stratified for rare findings, drawn once and saved with the run."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spinenet.datasets.records import LabelledStudy
from spinenet.errors import DatasetError
from spinenet.labels import TARGETS, Scale


def patient_folds(studies: Sequence[LabelledStudy], folds: int, seed: int) -> dict[str, int]:
    """Assign every patient to one of ``folds``, patients with the rarest findings first.

    Greedy iterative stratification (Sechidis et al. 2011): a patient goes to the fold that still lacks most of its
    rarest finding; ties go to the smallest fold. All studies of a patient share its fold. Deterministic for a seed.
    """
    findings: dict[str, np.ndarray] = {}
    for study in studies:
        counts = _finding_counts(study)
        findings[study.patient] = findings.get(study.patient, np.zeros_like(counts)) + counts
    patients = sorted(findings)
    np.random.default_rng(seed).shuffle(patients)
    total = sum(findings.values(), np.zeros_like(next(iter(findings.values()))))
    rarity = np.argsort(np.where(total > 0, total, np.inf), kind="stable")
    remaining = np.tile(total / folds, (folds, 1))
    room = np.full(folds, len(patients) / folds)
    assigned: dict[str, int] = {}
    for finding in [*rarity[total[rarity] > 0], None]:
        for patient in patients:
            if patient in assigned or (finding is not None and not findings[patient][finding]):
                continue
            wanted = remaining[:, finding] if finding is not None else room
            fold = max(range(folds), key=lambda f: (wanted[f], room[f], -f))
            assigned[patient] = fold
            remaining[fold] -= findings[patient]
            room[fold] -= 1
    return assigned


def _finding_counts(study: LabelledStudy) -> np.ndarray:
    """How often each non-normal grade occurs in a study, one entry for each grade of each target."""
    counts = []
    for index, target in enumerate(TARGETS):
        first = 0 if target.scale is Scale.ORDINAL and len(target.grades) == 5 else 1
        counts.extend((study.grades_LT[:, index] == grade).sum() for grade in range(first, len(target.grades)))
    return np.array(counts, float)


def save_split(path: Path, folds: dict[str, int], *, seed: int) -> None:
    """Write a split as JSON: {"seed": ..., "folds": {patient: fold}}."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"seed": seed, "folds": dict(sorted(folds.items()))}, indent=1) + "\n")


def load_split(path: Path) -> dict[str, int]:
    """Read a split written by ``save_split``; raises DatasetError."""
    try:
        folds = json.loads(path.read_text())["folds"]
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(f"{path}: not a split file ({error}); train_grader.py writes one as split.json") from error
    return {str(patient): int(fold) for patient, fold in folds.items()}
