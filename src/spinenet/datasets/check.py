"""What a data set holds and what of it is usable: what ``scripts/prepare_data.py --check`` prints."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from spinenet.datasets.labelled import Dataset, LabelledStudy
from spinenet.datasets.masks import locate_from_mask
from spinenet.errors import SpinenetError
from spinenet.labels import LEVELS, TARGETS, UNKNOWN
from spinenet.readers import read_study


def label_lines(dataset: Dataset) -> Iterator[str]:
    """Counts of studies, discs and grades, one line each."""
    grades_NT = np.concatenate([study.grades_LT for study in dataset.studies])
    graded = int((grades_NT != UNKNOWN).any(1).sum())
    patients = len({study.patient for study in dataset.studies})
    yield f"{dataset.name}: {patients} patients, {len(dataset.studies)} studies, {graded} graded discs"
    for index, target in enumerate(TARGETS):
        known = grades_NT[grades_NT[:, index] != UNKNOWN, index]
        if known.size:
            counts = np.bincount(known, minlength=len(target.grades))
            yield f"  {target.title}: " + ", ".join(
                f"{grade}: {count}" for grade, count in zip(target.grades, counts, strict=True)
            )


def image_findings(study: LabelledStudy) -> list[str]:
    """What is odd about a study's images against its gradings; empty where all fits. Reads every pixel."""
    try:
        series = read_study(study.source).series
    except SpinenetError as error:
        return [f"{study.key}: unusable: {error}"]
    graded = {level for index, level in enumerate(LEVELS) if (study.grades_LT[index] != UNKNOWN).any()}
    findings = []
    for one in series:
        if one.view is None:
            findings.append(f"{study.key}_{one.name}: {one.plane}; not used: {one.reason}")
        elif one.plane == "sagittal" and one.name in study.masks:
            try:
                seen = {frame.level for frame in locate_from_mask(one, study.masks[one.name].values(one)).frames}
            except SpinenetError as error:
                findings.append(f"{study.key}_{one.name}: mask unusable: {error}")
                continue
            findings.extend(_mismatch(f"{study.key}_{one.name}", graded, seen))
    return findings


def _mismatch(name: str, graded: set[str], seen: set[str]) -> list[str]:
    lines = []
    if graded - seen:
        lines.append(f"{name}: graded but not in its mask: {', '.join(sorted(graded - seen, key=LEVELS.index))}")
    if seen - graded:
        lines.append(f"{name}: in its mask but not graded: {', '.join(sorted(seen - graded, key=LEVELS.index))}")
    return lines


def summary(findings: list[str]) -> str:
    """One line over all findings.

    >>> summary(["35_t2: coronal, not sagittal; not used"])
    '1 finding: 1 not used'
    """
    kinds = Counter(
        "unusable" if "unusable" in line else "not used" if "not used" in line else "to know" for line in findings
    )
    parts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    return f"{len(findings)} finding{'s' if len(findings) != 1 else ''}: {parts}" if findings else "nothing odd found"
