"""DICOM MR images: headers to study sources, pixels to series."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinenet.errors import ReadError
from spinenet.readers.dicom.elements import quiet
from spinenet.readers.dicom.headers import read_headers
from spinenet.readers.dicom.pixels import read_pixels
from spinenet.readers.dicom.stacks import affine_of, arrange, depths_mm, is_uneven, split_series
from spinenet.readers.names import unique
from spinenet.readers.sources import Format, Frame, StudySource
from spinenet.readers.volume import check_shape, series_from_volume
from spinenet.study import Basis, Note, Origin, Scope, Series, SourceImages

LOCALISER_SLICES = 10
"""A series with slices in several planes and no more than this in any of them is a localiser."""


def dicom_studies(paths: Iterable[Path]) -> list[StudySource]:
    """Studies among DICOM files wherever they lie, by StudyInstanceUID; unreadable files are noted, or a problem."""
    headers = read_headers(dict.fromkeys(paths))
    by_study = _by_study(headers.frames)
    broken = Counter(path.parent for path in headers.broken)
    sources = [_source(uid, frames, headers.skipped.pop(uid, []), broken) for uid, frames in by_study.items()]
    for uid, skipped in headers.skipped.items():
        problem = f"no MR image in this DICOM study, only {_counted(skipped)}"
        location = _common({path.parent for path, _ in skipped})
        sources.append(StudySource(study_key(uid), location, (Format.DICOM,), problem=problem))
    for folder, count in broken.items():
        problem = f"{_files(count)} cannot be read as DICOM; damaged or cut short? Copy the study again"
        sources.append(StudySource(study_key(str(folder)), folder, (Format.DICOM,), problem=problem))
    return sources


def _by_study(frames: Iterable[Frame]) -> dict[str, list[Frame]]:
    """Frames of each study; where patients share a study UID (careless anonymisers), of each patient."""
    by_study: dict[str, dict[str, list[Frame]]] = {}
    for frame in frames:
        by_study.setdefault(frame.study_uid, {}).setdefault(frame.patient, []).append(frame)
    return {
        uid if len(patients) == 1 else f"{uid} of {patient}": group
        for uid, patients in by_study.items()
        for patient, group in patients.items()
    }


def study_key(study_uid: str) -> str:
    """A key that does not identify the patient and is the same on every run.

    >>> study_key("1.2.3")
    'study-c47f5b18b8'
    """
    return "study-" + hashlib.sha256(study_uid.encode()).hexdigest()[:10]


def read_dicom(frames: Sequence[Frame]) -> tuple[list[Series], list[Note]]:
    """Series of one study, one a stack, and notes; a series that cannot be read becomes a note."""
    series: list[Series] = []
    notes: list[Note] = []
    by_uid: dict[str, list[Frame]] = {}
    for frame in sorted(frames, key=lambda frame: (frame.series_number, frame.series_uid)):
        by_uid.setdefault(frame.series_uid, []).append(frame)
    names = unique(f"series-{group[0].series_number}" for group in by_uid.values())
    for name, group in zip(names, by_uid.values(), strict=True):
        with quiet():
            read, remarks = _read_series(name, group)
        series += read
        notes += remarks
    return series, notes


def _source(uid: str, frames: list[Frame], skipped: list[tuple[Path, str]], broken: Counter[Path]) -> StudySource:
    """One study; takes the unreadable files that lie beside its images out of ``broken`` and notes them."""
    unique_frames = list({(frame.uid, frame.index, frame.position_mm): frame for frame in reversed(frames)}.values())[
        ::-1
    ]
    texts = {"skipped": f"{_counted(skipped)} skipped"} if skipped else {}
    repeated = len(frames) - len(unique_frames)
    if repeated:
        texts["repeated"] = f"{repeated} image{'s were' if repeated > 1 else ' was'} there more than once"
    folders = {frame.path.parent for frame in frames}
    beside = sum(broken.pop(folder, 0) for folder in folders)
    if beside:
        texts["not_dicom"] = f"{_files(beside)} beside its images cannot be read as DICOM and were left out"
    notes = tuple(Note(code, Scope.STUDY, "", text) for code, text in texts.items())
    return StudySource(study_key(uid), _common(folders), (Format.DICOM,), frames=tuple(unique_frames), notes=notes)


def _read_series(name: str, frames: Sequence[Frame]) -> tuple[list[Series], list[Note]]:
    stacks, notes = split_series(name, frames)
    series: list[Series] = []
    for stack in stacks:
        try:
            read, remarks = _read_stack(name, stack)
        except ReadError as error:
            notes.append(Note("unreadable", Scope.SERIES, name, str(error)))
            continue
        series += read
        notes += remarks
    if _is_localiser(series):
        why = "Slices in several planes in one series: a localiser, not used."
        series = [replace(each, view=None, basis=Basis.EXCLUDED, reason=why) for each in series]
    if len(series) > 1:
        series = [replace(each, name=f"{name}-{count}") for count, each in enumerate(series, start=1)]
    elif series:
        series = [replace(series[0], name=name)]
    return series, notes


def _is_localiser(series: Sequence[Series]) -> bool:
    planes = {each.plane for each in series}
    few = all(each.voxels_SRC.shape[0] <= LOCALISER_SLICES for each in series)
    asked_for = any(each.basis is Basis.USER for each in series)
    return "sagittal" in planes and len(planes) > 1 and few and not asked_for


def _read_stack(name: str, frames: list[Frame]) -> tuple[list[Series], list[Note]]:
    """Decode one stack of sorted slices of a series; more than one series where slices are missing in its middle."""
    check_shape((len(frames), frames[0].rows, frames[0].columns), _called(frames))
    voxels = np.empty((len(frames), frames[0].rows, frames[0].columns), np.float32)
    good: list[int] = []
    problems: Counter[str] = Counter()
    for index, decoded in read_pixels(frames):
        if isinstance(decoded, ReadError):
            problems[str(decoded)] += 1
        else:
            voxels[index] = decoded
            good.append(index)
    texts = [f"{count} of {len(frames)} slices left out: {problem}" for problem, count in problems.items()]
    if not good:
        raise ReadError("; ".join(texts))
    notes = [Note("slices_left_out", Scope.SERIES, name, text) for text in texts]
    good.sort()
    series: list[Series] = []
    kept = [frames[index] for index in good]
    for places in arrange(depths_mm(kept)):
        part = [None if place is None else good[place] for place in places]
        try:
            one, remarks = _series(frames, voxels, part)
        except ReadError as error:
            notes.append(Note("unreadable", Scope.SERIES, name, str(error)))
            continue
        series.append(one)
        notes += [Note(code, Scope.SERIES, name, text) for code, text in remarks.items()]
    return series, notes


def _series(
    frames: Sequence[Frame], voxels: NDArray[np.float32], part: Sequence[int | None]
) -> tuple[Series, dict[str, str]]:
    """Series of the slices ``part`` (indices into frames, None where one is missing), and code and text of notes."""
    places = [place for place, index in enumerate(part) if index is not None]
    indices = [index for index in part if index is not None]
    kept = [frames[index] for index in indices]
    affine_vox2mm = affine_of(kept, places)
    stack = voxels[indices[0] : indices[-1] + 1] if len(indices) == indices[-1] - indices[0] + 1 else voxels[indices]
    notes = {}
    missing = len(part) - len(indices)
    if missing:
        stack = _bridged(stack, places, len(part))
        notes["interpolated"] = (
            f"{missing} of {len(part)} slices missing within the stack, interpolated from their neighbours"
        )
    if is_uneven(kept, places, affine_vox2mm):
        notes["uneven"] = "slices are unevenly spaced; positions are right to about half a slice distance"
    series = series_from_volume(
        stack,
        affine_vox2mm,
        name="",
        where=_called(kept),
        acquisition=kept[0].acquisition,
        slice_dim=0,
    )
    images = source_images([None if index is None else frames[index] for index in part])
    if series.affine_vox2mm[:3, 0] @ affine_vox2mm[:3, 0] < 0:
        images = replace(images, instances=images.instances[::-1])
    return replace(series, frame_of_reference=kept[0].frame_of_reference, images=images), notes


def origin_of(frames: Sequence[Frame]) -> Origin:
    """The DICOM study of these frames."""
    return Origin(frames[0].study_uid, frames[0].patient_name, frames[0].patient)


def source_images(slices: Sequence[Frame | None]) -> SourceImages:
    """Which image each slice came from, in the order given; None is a slice that was interpolated."""
    first = next(frame for frame in slices if frame is not None)
    instances = tuple(None if frame is None else (frame.uid, frame.index + 1) for frame in slices)
    return SourceImages(first.series_uid, first.sop_class_uid, instances)


def _bridged(stack: NDArray[np.float32], places: Sequence[int], count: int) -> NDArray[np.float32]:
    """The slices at their ``places`` among ``count``, missing ones interpolated linearly."""
    full = np.empty((count, *stack.shape[1:]), np.float32)
    full[list(places)] = stack
    for before, after in zip(places, places[1:], strict=False):
        for place in range(before + 1, after):
            weight = (place - before) / (after - before)
            full[place] = (1 - weight) * full[before] + weight * full[after]
    return full


def _counted(skipped: Sequence[tuple[Path, str]]) -> str:
    """What was skipped, without file names, which may identify.

    >>> _counted([(Path("a"), "secondary capture"), (Path("b"), "structured report"), (Path("c"), "structured report")])
    '2 x structured report, 1 x secondary capture'
    """
    return ", ".join(f"{count} x {what}" for what, count in Counter(what for _, what in skipped).most_common())


def _called(frames: Sequence[Frame]) -> str:
    return f"a stack of {len(frames)} slice{'s' * (len(frames) > 1)}"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _common(folders: set[Path]) -> Path:
    """The deepest folder above all of these."""
    first, *others = sorted(folders)
    while first != first.parent and not all(other.is_relative_to(first) for other in others):
        first = first.parent
    return first
