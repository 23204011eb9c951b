"""Splits by patient, stratified for rare findings, drawn once and saved with the run."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from spinenet.datasets import adapter, load_dataset
from spinenet.datasets.labelled import LabelledStudy
from spinenet.errors import DatasetError, in_words
from spinenet.labels import TARGETS
from spinenet.system.files import write_text


@dataclass
class DataConfig:
    """Which studies a run learns from. ``fold`` is the test fold, or -1 to train on every patient and test on none."""

    name: str = "spider"
    """Name of the data set."""
    root: str = "data/spider"
    """Folder it lies in."""
    folds: int = 3
    """Parts that patients are divided into."""
    fold: int = 0
    """The part that is tested on."""
    validation: float = 0.15
    """Share of the remaining patients kept for early stopping and calibration; 0 trains on all of them."""
    seed: int = 0
    """Decides who is in which part."""
    extra: dict[str, str] = field(default_factory=dict)
    """Further data sets, name -> root, to train on. Those of patients are divided as the first one is, and their part
    ``fold`` is kept out, so that a run can be tested on it; all of a synthetic one is trained on."""
    shares: dict[str, float] = field(default_factory=dict)
    """Data set -> its share of the studies of an epoch, which is long enough to see the first data set once; none: an
    epoch is every study once."""

    def __post_init__(self) -> None:
        if self.folds < 1:
            raise ValueError(f"data.folds is {self.folds}; it must be 1 or more")
        if not -1 <= self.fold < self.folds:
            raise ValueError(f"data.fold is {self.fold}; it must be -1 (train on all) or 0 to {self.folds - 1}")
        unknown = set(self.shares) - {self.name, *self.extra}
        if unknown or any(share < 0 for share in self.shares.values()):
            raise ValueError(f"data.shares {dict(self.shares)} must be 0 or more and name data.name or data.extra")
        if self.shares and not self.shares.get(self.name):
            raise ValueError(f"data.shares must give {self.name} a share: an epoch is as long as it is seen once")
        if not 0 <= self.validation <= 0.5:
            raise ValueError(f"data.validation is {self.validation}; it is a share, 0 to 0.5")


@dataclass(frozen=True)
class Split:
    """The studies of a run, by patient: ``train`` (extra data included), ``validation`` and ``test`` of the first set.

    ``folds`` holds the patients of every real data set; ``sources`` names that of each training study.
    """

    train: tuple[LabelledStudy, ...]
    validation: tuple[LabelledStudy, ...]
    test: tuple[LabelledStudy, ...]
    folds: dict[str, int]
    sources: tuple[str, ...]


def split_studies(config: DataConfig) -> Split:
    """Read the data set and divide its patients; the same config and seed give the same split."""
    studies = load_dataset(config.name, Path(config.root)).studies
    folds = patient_folds(studies, config.folds, config.seed)
    test = tuple(study for study in studies if folds[study.patient] == config.fold)
    rest = [study for study in studies if folds[study.patient] != config.fold]
    validation: tuple[LabelledStudy, ...] = ()
    if config.validation > 0 and rest:
        parts = max(2, round(1 / config.validation))
        inner = patient_folds(rest, parts, config.seed + 1)
        validation = tuple(study for study in rest if inner[study.patient] == 0)
        rest = [study for study in rest if inner[study.patient] != 0]
    sources = [config.name] * len(rest)
    for name, root in config.extra.items():
        further, own = _further(name, Path(root), config)
        if set(own) & set(folds):
            raise DatasetError(
                f"{root}: patients are named as in another data set, so that folds cannot tell them apart"
            )
        folds |= own
        rest.extend(further)
        sources.extend([name] * len(further))
    if not rest:
        raise DatasetError(f"{config.root}: no patient is left to train on; use fewer folds or less validation")
    if config.fold >= 0 and not test:
        patients = len({study.patient for study in studies})
        raise DatasetError(
            f"{config.root}: {patients} patients in {config.folds} folds leave none to test on in fold {config.fold}; "
            "use fewer folds, or data.fold=-1 to train on everyone"
        )
    return Split(tuple(rest), validation, test, folds, tuple(sources))


def _further(name: str, root: Path, config: DataConfig) -> tuple[tuple[LabelledStudy, ...], dict[str, int]]:
    """The studies of another data set to train on, and its patients' folds: none where it is synthetic."""
    studies = load_dataset(name, root).studies
    if adapter(name).synthetic:
        return studies, {}
    folds = patient_folds(studies, config.folds, config.seed)
    return tuple(study for study in studies if folds[study.patient] != config.fold), folds


def patient_folds(studies: Sequence[LabelledStudy], folds: int, seed: int) -> dict[str, int]:
    """Assign every patient to one of ``folds``, patients with the rarest findings first.

    Greedy iterative stratification (Sechidis et al. 2011): a patient goes to the fold that still lacks most of its
    rarest finding; ties go to the smallest fold. All studies of a patient share its fold. Deterministic for a seed.
    Findings are counted as the data set published them (``published_RT``), so that folds stay the same, and results
    comparable, when labels are found to be none.
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
    """How often each grade but the common first one occurs in a study, one entry for each grade of each target."""
    published_RT = study.grades_LT if study.published_RT is None else study.published_RT
    counts: list[int] = []
    for index, target in enumerate(TARGETS):
        # Where even the second grade is no finding, the first is not the one that nearly all discs have.
        first = 1 if target.finding_from == 1 else 0
        counts.extend((published_RT[:, index] == grade).sum() for grade in range(first, len(target.grades)))
    return np.array(counts, float)


def save_split(path: Path, folds: dict[str, int], *, seed: int) -> None:
    """Write a split as JSON: {"seed": ..., "folds": {patient: fold}}."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps({"seed": seed, "folds": dict(sorted(folds.items()))}, indent=1) + "\n")


def load_split(path: Path) -> dict[str, int]:
    """Read a split written by ``save_split``; raises DatasetError."""
    try:
        folds = json.loads(path.read_text())["folds"]
        return {str(patient): int(fold) for patient, fold in folds.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"{path}: not a split file ({in_words(error)}); training writes one as split.json"
        ) from error
