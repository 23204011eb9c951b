"""A phantom as RSNA's 2024 challenge would have published it: its files, its tables and their mistakes.

    ROOT/train_images/<study>/<series>/<instance>.dcm
    ROOT/train.csv, train_series_descriptions.csv, train_label_coordinates.csv

Habits kept (counts of the public training part): RLE Lossless; Enhanced MR named in the file meta of single frames; few
tags, numbers for UIDs; a Frame of Reference UID a series, though all lie in the same coordinates; differently tilted
axial stacks in one series, several axial series in 17 % of studies; instance numbers in any order; frames of several
sizes; spacing tags, series and labels missing now and then. Labels are one
simulated rater's. Some points are swapped, far off or one level wrong; the truth file lists these under ``mistakes``.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, EnhancedMRImageStorage, ExplicitVRLittleEndian, RLELossless

from spinenet.labels import LEVELS, MIRROR, STENOSIS_LEVELS, TARGET_INDEX, TARGETS, UNKNOWN, Target, View
from spinenet.study import Series
from spinenet.system.files import write_text
from spinephantom.data import Interval, record
from spinephantom.phantom import PhantomStudy
from spinephantom.write.dicom_files import IMPLEMENTATION_UID, describe_plane, set_pixels, uid
from spinephantom.write.truth_files import read_truth

NAME = "rsna2024"
GRADED = tuple(target for target in TARGETS if NAME in target.labelled_by)
"""What the challenge grades, in its order."""
GRADED_LEVELS = STENOSIS_LEVELS[::-1]
"""In its order, from L1/L2 down."""
GRADE_WORDS = ("Normal/Mild", "Moderate", "Severe")
DESCRIPTIONS = {
    View.SAGITTAL_T1: "Sagittal T1",
    View.SAGITTAL_T2: "Sagittal T2/STIR",
    View.SAGITTAL_STIR: "Sagittal T2/STIR",
    View.AXIAL_T2: "Axial T2",
}


@dataclass(frozen=True)
class FileHabits:
    """How often files depart from the plain (data/rsna2024.toml)."""

    axial_series: tuple[float, ...]
    missing_series: float
    double_series: float
    other_size: float
    no_gap_tag: float
    no_spacing_tag: float


@dataclass(frozen=True)
class PointHabits:
    """How exact points are, and the share of studies with each kind of wrong ones."""

    error_px: float
    mistakes: dict[str, float]
    far_px: Interval


FILES = record(FileHabits, "rsna2024", "files")
POINTS = record(PointHabits, "rsna2024", "points")
POINT_ERROR_PX, MISTAKES = POINTS.error_px, POINTS.mistakes


@dataclass(frozen=True)
class RsnaSlice:
    """One file: ``place`` is (series, stack, slice) of the phantom, ``shape`` what of the slice is kept."""

    series: Series
    place: tuple[str, int, int]
    shape: tuple[int, int]


@dataclass(frozen=True)
class RsnaSeries:
    """One folder: slices in the order of their instance numbers, from 1."""

    number: str
    description: str
    slices: tuple[RsnaSlice, ...]


def write_rsna(study: PhantomStudy, root: Path) -> dict[str, Any]:
    """Write the images of one study and return what its truth file adds: rows of the three tables, and mistakes."""
    rng = np.random.default_rng([study.seed, 2024])
    study_id = _number("study", study.seed)
    series = list(published_series(study, rng))
    for order, one in enumerate(series, start=1):
        _write_series(root / "train_images" / study_id / one.number, study_id, order, one, rng)
    labels = _labels(study, rng)
    points, mistakes = _points(study, series, labels, rng)
    rows = [[study_id, one.number, one.description] for one in series]
    record = {"study_id": study_id, "labels": labels, "series": rows, "points": points, "mistakes": mistakes}
    return {"rsna": record}


def write_rsna_tables(root: Path) -> None:
    """Write the three tables over all studies below ``root``."""
    records = sorted((record["rsna"] for record in read_truth(root)), key=lambda record: int(record["study_id"]))
    columns = [column_of(target, level) for target in GRADED for level in GRADED_LEVELS]
    graded = [[one["study_id"], *(one["labels"].get(column, "") for column in columns)] for one in records]
    _write_table(root / "train.csv", ["study_id", *columns], graded)
    described = (row for one in records for row in one["series"])
    _write_table(root / "train_series_descriptions.csv", ["study_id", "series_id", "series_description"], described)
    header = ["study_id", "series_id", "instance_number", "condition", "level", "x", "y"]
    _write_table(root / "train_label_coordinates.csv", header, (row for one in records for row in one["points"]))


def column_of(target: Target, level: str) -> str:
    """Column of train.csv."""
    return f"{target.labelled_by[NAME]}_{level.lower().replace('/', '_')}"


def words_of(target: Target) -> str:
    """What the coordinates table calls a target."""
    return target.labelled_by[NAME].replace("_", " ").title()


def published_series(study: PhantomStudy, rng: np.random.Generator) -> Iterable[RsnaSeries]:
    """The study's series as folders: axial stacks distributed over one to four, some series missing or there twice."""
    folders: list[tuple[str, list[RsnaSlice]]] = []
    axial: list[list[RsnaSlice]] = []
    for item in study.series:
        stacks = [
            [RsnaSlice(stack.series, (item.name, number, index), _size(stack.series)) for index in range(_count(stack))]
            for number, stack in enumerate(item.stacks)
        ]
        if item.view is View.AXIAL_T2:
            axial.extend(stacks)
        else:
            folders.append((DESCRIPTIONS[item.view], stacks[0]))
    parts = min(len(axial), 1 + int(rng.choice(len(FILES.axial_series), p=FILES.axial_series)))
    for group in np.array_split(np.arange(len(axial)), parts) if parts else ():
        upwards = rng.random() < 0.5
        stacks = [axial[index] for index in (group if upwards else group[::-1])]
        folders.append((DESCRIPTIONS[View.AXIAL_T2], [one for stack in stacks for one in stack]))
    if len(folders) > 1 and rng.random() < FILES.missing_series:
        folders.pop(int(rng.integers(len(folders))))
    if rng.random() < FILES.double_series:
        folders.append(folders[int(rng.integers(len(folders)))])
    for order, (description, slices) in enumerate(folders):
        turned = slices if rng.random() < 0.5 else slices[::-1]
        sized = _with_another_size(turned, rng) if rng.random() < FILES.other_size else turned
        yield RsnaSeries(_number("series", study.seed, order), description, tuple(sized))


def _count(stack: Any) -> int:
    return int(stack.series.voxels_SRC.shape[0])


def _size(series: Series) -> tuple[int, int]:
    return series.voxels_SRC.shape[1], series.voxels_SRC.shape[2]


def _with_another_size(slices: list[RsnaSlice], rng: np.random.Generator) -> list[RsnaSlice]:
    """The last stack, or the last slice of a single one, without its lower or left edge."""
    last = slices[-1]
    stacks = {one.place[:2] for one in slices}
    shape = (last.shape[0] - 16, last.shape[1]) if rng.random() < 0.5 else (last.shape[0], last.shape[1] - 16)
    return [
        replace(one, shape=shape) if one is last or (len(stacks) > 1 and one.place[:2] == last.place[:2]) else one
        for one in slices
    ]


def _number(*parts: object) -> str:
    """A number as the challenge gives studies and series, below 2^32 and always the same for the same parts."""
    return str(int(uid("rsna2024", *parts).rpartition(".")[2]) % 2**32)


def _write_series(folder: Path, study_id: str, order: int, one: RsnaSeries, rng: np.random.Generator) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    gap_tag = rng.random() >= FILES.no_gap_tag
    unspaced = int(rng.integers(1, len(one.slices) + 1)) if rng.random() < FILES.no_spacing_tag else 0
    for instance, piece in enumerate(one.slices, start=1):
        dataset = _dataset(study_id, order, one, instance, piece)
        if not gap_tag:
            del dataset.SpacingBetweenSlices
        if instance == unspaced:
            del dataset.PixelSpacing
        dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.save_as(folder / f"{instance}.dcm", enforce_file_format=True)


def _dataset(study_id: str, order: int, one: RsnaSeries, instance: int, piece: RsnaSlice) -> Dataset:
    """A file as published: SOP class only in the meta information and there a wrong one, no modality, no times."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
    dataset.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    dataset.SOPInstanceUID = UID(f"{study_id}.{order}.{instance}")
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.SeriesDescription = "T1" if one.description.endswith("T1") else "T2"
    dataset.PatientID = study_id
    dataset.StudyInstanceUID = UID(study_id)
    dataset.SeriesInstanceUID = UID(f"{study_id}.{one.number}")
    dataset.InstanceNumber = instance
    dataset.PatientPosition = "HFS"
    dataset.FrameOfReferenceUID = uid("frame", study_id, one.number)
    describe_plane(dataset, piece.series, piece.place[2])
    rows, columns = piece.shape
    set_pixels(dataset, piece.series.voxels_SRC[piece.place[2], :rows, :columns])
    return dataset


def _labels(study: PhantomStudy, rng: np.random.Generator) -> dict[str, str]:
    """Column of train.csv -> word, as one rater has graded what slices show; what is missing is an empty cell."""
    raters_RLT = study.rater_grades_RLT
    grades_LT = raters_RLT[int(rng.integers(len(raters_RLT)))] if len(raters_RLT) else study.grades_LT
    labels = {}
    for target in GRADED:
        for level in GRADED_LEVELS:
            grade = grades_LT[LEVELS.index(level), TARGET_INDEX[target.name]]
            if grade != UNKNOWN:
                labels[column_of(target, level)] = GRADE_WORDS[grade]
    return labels


def _points(
    study: PhantomStudy, series: list[RsnaSeries], labels: dict[str, str], rng: np.random.Generator
) -> tuple[list[list[Any]], list[str]]:
    """Rows of train_label_coordinates.csv, and the mistakes in them."""
    shown = {piece.place: (one.number, i) for one in series[::-1] for i, piece in enumerate(one.slices, start=1)}
    marks = {(point.target, point.level): point for point in study.keypoints}
    found = [
        ((point, *shown[point.series, point.stack, point.slice_index]), target)
        for target in GRADED
        for level in GRADED_LEVELS
        if (point := marks.get((target.name, level))) is not None
        and (point.series, point.stack, point.slice_index) in shown
        and column_of(target, level) in labels
    ]
    mistakes = [kind for kind, share in MISTAKES.items() if rng.random() < share]
    moved = {kind: _any(found, condition, rng) for kind, condition in _FAR.items() if kind in mistakes}
    rows = []
    for (point, number, instance), target in found:
        place = np.array([point.column, point.row]) + rng.normal(0, POINT_ERROR_PX, 2)
        place += next((shift for away, shift in moved.values() if away is point), np.zeros(2))
        named, level = target, point.level
        if target.condition == "foraminal_stenosis" and "swapped foramina" in mistakes:
            named = TARGETS[MIRROR[TARGET_INDEX[target.name]]]
        if target.condition == "subarticular_stenosis" and "recess level" in mistakes:
            level = GRADED_LEVELS[GRADED_LEVELS.index(level) - 1]
        if level != GRADED_LEVELS[-1] or level == point.level:  # nothing lies below the lowest level
            x, y = (round(float(value), 6) for value in place)
            rows.append([_number("study", study.seed), number, instance, words_of(named), level, x, y])
    return rows, [kind for kind in mistakes if kind not in moved or moved[kind][0] is not None]


_FAR = {"far canal point": "canal_stenosis", "far foramen point": "foraminal_stenosis"}


def _any(found: list[Any], condition: str, rng: np.random.Generator) -> tuple[Any, NDArray[np.float64]]:
    """One point of a condition and how far it is put from its place, in pixels."""
    points = [mark[0] for mark, target in found if target.condition == condition]
    angle, length = rng.uniform(0, 2 * np.pi), POINTS.far_px.draw(rng)
    shift = length * np.array([np.cos(angle), np.sin(angle)])
    return (points[int(rng.integers(len(points)))] if points else None), shift


def _write_table(path: Path, header: list[str], rows: Iterable[list[Any]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())
