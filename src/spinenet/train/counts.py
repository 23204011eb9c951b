"""How much a run has learnt from: the weight of what a bundle calls evidence."""

from collections.abc import Collection

from spinenet.datasets import adapter
from spinenet.datasets.splits import Split
from spinenet.labels import TARGET_INDEX, UNKNOWN


def counted(split: Split, targets: Collection[str]) -> dict[str, dict[str, int]]:
    """Target that training studies are labelled with -> ``patients``, their ``discs`` and of these the ``positives``
    (graded above the lowest grade), and ``synthetic`` studies, which are none of the others."""
    counts = {}
    for name in targets:
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
        if patients or synthetic:
            counts[name] = {
                "patients": len(patients), "discs": discs, "positives": positives, "synthetic": synthetic
            }  # fmt: skip
    return counts
