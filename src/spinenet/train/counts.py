"""How much a run has learnt from: the weight of what a bundle calls evidence."""

import logging
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from spinenet.datasets import adapter
from spinenet.datasets.splits import Split
from spinenet.errors import DatasetError
from spinenet.labels import TARGET, TARGET_INDEX, TARGETS, UNKNOWN

_log = logging.getLogger(__name__)


def counted(split: Split, targets: Collection[str]) -> dict[str, dict[str, int]]:
    """Target of which training studies have grades that differ -> ``patients``, their ``discs`` and of these the
    ``positives`` (graded above the lowest grade), and ``synthetic`` studies, which are none of the others."""
    counts = {}
    for name in targets:
        if len(_grades(split, name)) < 2:
            continue
        patients, discs, positives, synthetic = set(), 0, 0, 0
        for study, source in zip(split.train, split.sources, strict=True):
            grades_L = study.grades_LT[:, TARGET_INDEX[name]]
            known_L = grades_L != UNKNOWN
            if not known_L.any():
                continue
            if adapter(source).synthetic:
                synthetic += 1
                continue
            patients.add((source, study.patient))
            discs += int(known_L.sum())
            positives += int((grades_L > 0).sum())
        counts[name] = {
            "patients": len(patients), "discs": discs, "positives": positives, "synthetic": synthetic
        }  # fmt: skip
    return counts


def refuse_unlabelled(split: Split, root: str) -> None:
    """DatasetError where no target has training grades that differ, and a warning of those whose grades are all alike:
    no run learns them, and no bundle grades them by it."""
    found = {target.name: _grades(split, target.name) for target in TARGETS}
    if all(len(grades) < 2 for grades in found.values()):
        alike = "all grades of a target are alike" if any(map(len, found.values())) else "no disc has a grade"
        raise DatasetError(f"{root}: {alike} in the patients to train on, so that nothing can be learnt")
    for name, grades in found.items():
        if len(grades) == 1:
            words = TARGET[name].steps[int(grades[0])].words
            _log.warning("%s: every disc to train on is graded %s; it is not learnt", TARGET[name].title, words)


def _grades(split: Split, name: str) -> NDArray[np.int64]:
    """The grades that occur in the studies to train on."""
    index = TARGET_INDEX[name]
    grades = np.unique(np.concatenate([study.grades_LT[:, index] for study in split.train]))
    return grades[grades != UNKNOWN]
