"""What a data set holds and what of it is usable: what ``spinenet prepare --check`` prints."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

import numpy as np

from spinenet.datasets.audit import Points, contradictions, disc_findings, point_names, unseen_labels
from spinenet.datasets.labelled import Adapter, Dataset, Finding, Kind, LabelledStudy
from spinenet.datasets.masks import locate_all, locate_from_mask
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


def kept_lines(studies: Sequence[LabelledStudy], kept: Mapping[str, int]) -> Iterator[str]:
    """What each target has in the end: how many of its grades the prepared slices show, one line each."""
    grades_NT = np.concatenate([study.grades_LT for study in studies])
    for target, graded in zip(TARGETS, (grades_NT != UNKNOWN).sum(axis=0), strict=True):
        if graded:
            yield f"  {target.title}: {kept.get(target.name, 0)} of {graded} grades can be learnt from"


def check_study(adapter: Adapter, study: LabelledStudy, points: Points) -> list[Finding]:
    """All that is odd about one study: its labels, its images, and its level names against points set by hand.

    Empty where all fits. A prepared study has no images left to be looked at, and the labels of a synthetic one are
    what it was made with.
    """
    findings = [] if study.generator else list(contradictions(study))
    if study.prepared is None:
        findings += adapter.check(study)
        if study.patient in points and study.masks:
            with suppress(SpinenetError):  # said by the adapter's own check
                located = locate_all(read_study(study.source).series, study.masks)
                findings += point_names(study, located, points[study.patient])
    return findings


def image_findings(study: LabelledStudy) -> list[Finding]:
    """What is odd about a study's images against its gradings; empty where all fits. Reads every pixel."""
    try:
        series = read_study(study.source).series
    except SpinenetError as error:
        return [Finding(study.key, f"unusable: {error}", Kind.UNUSABLE)]
    graded = {level for index, level in enumerate(LEVELS) if (study.grades_LT[index] != UNKNOWN).any()}
    findings = list(unseen_labels(study, series)) if not study.generator else []
    for one in series:
        name = f"{study.key}_{one.name}"
        if one.view is None:
            findings.append(Finding(name, f"{one.plane}; not used: {one.reason}", Kind.UNUSED))
        elif one.plane == "sagittal" and one.name in study.masks:
            image = study.masks[one.name]
            try:
                seen = {frame.level for frame in locate_from_mask(one, image.values(one)).frames}
            except SpinenetError as error:
                findings.append(Finding(name, f"mask unusable: {error}", Kind.UNUSABLE))
                continue
            findings += disc_findings(name, graded, seen if image.whole else seen & graded)
    return findings


def listed(findings: Sequence[Finding]) -> Iterator[str]:
    """Lines by kind, each kind under its name with its count."""
    by_kind = {kind: [one for one in findings if one.kind is kind] for kind in Kind}
    for kind, several in by_kind.items():
        if several:
            yield f"{kind} ({len(several)}):"
            yield from (f"- {one}" for one in several)


def summary(findings: Sequence[Finding]) -> str:
    """One line over all findings.

    >>> summary([Finding("35_t2", "coronal, not sagittal", Kind.UNUSED)])
    '1 finding: 1 not used'
    """
    counts = Counter(one.kind for one in findings)
    parts = ", ".join(f"{counts[kind]} {kind}" for kind in Kind if counts[kind])
    return f"{len(findings)} finding{'s' if len(findings) != 1 else ''}: {parts}" if findings else "nothing odd found"
