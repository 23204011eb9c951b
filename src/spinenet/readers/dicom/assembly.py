"""DICOM MR images: headers to study sources, pixels to series."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinenet.errors import ReadError
from spinenet.readers.dicom.acquisitions import series_of
from spinenet.readers.dicom.completeness import missing_images
from spinenet.readers.dicom.elements import quiet
from spinenet.readers.dicom.headers import PERSON_DETAILS, read_headers
from spinenet.readers.dicom.identity import groups_of, share_uids
from spinenet.readers.dicom.pixels import read_pixels
from spinenet.readers.dicom.stacks import affine_of, arrange, depths_mm, is_uneven, split_series
from spinenet.readers.names import unique
from spinenet.readers.sources import Format, Frame, StudySource
from spinenet.readers.volume import check_shape, series_from_volume
from spinenet.study import Basis, Note, Origin, Scope, Series, SourceImages

LOCALISER_SLICES = 10
"""A series with slices in several planes and no more than this in any of them is a localiser."""
MAX_SHOWN = 8
MANY_OF_ONE = 5
"""So many studies of a single image in one folder are no studies: the UIDs were made image by image."""


def dicom_studies(paths: Iterable[Path]) -> list[StudySource]:
    """Studies among DICOM files wherever they lie, by StudyInstanceUID and patient; unreadable files are noted, or a
    problem."""
    headers = read_headers(dict.fromkeys(paths))
    by_uid: dict[str, list[Frame]] = {}
    for frame in headers.frames:
        by_uid.setdefault(frame.study_uid, []).append(frame)
    broken = _below_studies(Counter(path.parent for path in headers.broken), by_uid)
    denied = Counter(path.parent for path in headers.broken if path.exists() and not os.access(path, os.R_OK))
    scattered, by_uid = _scattered(by_uid)
    sources = [_uid_an_image(frames) for frames in scattered]
    for uid, frames in by_uid.items():
        groups = groups_of(frames)
        skipped = headers.skipped.pop(uid, [])
        sources += [
            _shared_uids(group) if share_uids(group) else _source(group, skipped, broken, is_alone=len(groups) == 1)
            for group in groups
        ]
    for uid, skipped in headers.skipped.items():
        problem = f"no MR image in this DICOM study, only {_counted(skipped)}"
        sources.append(_problem(uid, _common({path.parent for path, _ in skipped}), problem))
    for folder, count in broken.items():
        problem = f"{_files(count)} cannot be read as DICOM; damaged or cut short? Copy the study again"
        if denied[folder]:
            problem = f"{_files(denied[folder])} may not be read (permission denied)"
        sources.append(_problem(str(folder), folder, problem))
    return sources


def _below_studies(broken: Counter[Path], by_uid: Mapping[str, Sequence[Frame]]) -> Counter[Path]:
    """Unreadable files by folder, those of a folder without images in the folder of the one study it lies in."""
    folders = {uid: {frame.path.parent for frame in frames} for uid, frames in by_uid.items()}
    images = set().union(*folders.values())
    placed: Counter[Path] = Counter()
    for folder, count in broken.items():
        around = [uid for uid, inside in folders.items() if len(inside) > 1 and folder.is_relative_to(_common(inside))]
        to_study = folder not in images and len(around) == 1
        placed[min(folders[around[0]]) if to_study else folder] += count
    return placed


def _scattered(by_uid: dict[str, list[Frame]]) -> tuple[list[list[Frame]], dict[str, list[Frame]]]:
    """Images of one patient in one folder that have a study UID each, where there are many; and the other studies."""
    single: dict[tuple[Path, str], list[Frame]] = {}
    for frame in (frames[0] for frames in by_uid.values() if len(frames) == 1):
        mark = "\n".join([frame.person.id, frame.person.name]).strip() or frame.frame_of_reference
        if mark:
            single.setdefault((frame.path.parent, mark), []).append(frame)
    scattered = [frames for frames in single.values() if len(frames) >= MANY_OF_ONE]
    taken = {frame.study_uid for frames in scattered for frame in frames}
    return scattered, {uid: frames for uid, frames in by_uid.items() if uid not in taken}


def _uid_an_image(frames: Sequence[Frame]) -> StudySource:
    problem = (
        f"{len(frames)} images of one patient in one folder have a Study Instance UID each, so what belongs together "
        "cannot be told; were they anonymised one by one? Give those of one study one UID"
    )
    folder = frames[0].path.parent
    return _problem("\n".join([str(folder), frames[0].person.id, frames[0].person.name]), folder, problem)


def _shared_uids(frames: Sequence[Frame]) -> StudySource:
    problem = (
        "different images bear the same UIDs: several patients who were anonymised alike, or versions of one study; "
        "give each in a folder of its own"
    )
    folder = _common({frame.path.parent for frame in frames})
    return _problem("\n".join([frames[0].study_uid, str(folder)]), folder, problem)


def _problem(identity: str, location: Path, problem: str) -> StudySource:
    return StudySource(study_key(identity), location, (Format.DICOM,), problem=problem, identity=identity)


SALT_FILE = ".salt"
"""What keys in an output folder are made with, the file that holds it."""


def study_key(identity: str, salt: bytes = b"") -> str:
    """A key that does not identify the patient and is the same on every run, and with another salt another one.

    >>> study_key("1.2.3")
    'study-bd0c79b3cc59abc8e596'
    """
    return "study-" + hashlib.blake2b(identity.encode("utf-8", "surrogateescape"), key=salt).hexdigest()[:20]


def read_dicom(frames: Sequence[Frame]) -> tuple[list[Series], list[Note]]:
    """Series of one study, one a stack, and notes; a series that cannot be read becomes a note."""
    series: list[Series] = []
    notes: list[Note] = []
    groups = series_of(frames)
    names = unique(f"series-{group[0].series_number}" for group in groups)
    for name, group in zip(names, groups, strict=True):
        uids = len({frame.series_uid for frame in group})
        if uids > 1:
            text = f"its images bear {uids} Series Instance UIDs; they make one stack and were read as one"
            notes.append(Note("joined", Scope.SERIES, name, text))
        notes += missing_images(name, group)
        with quiet():
            read, remarks = _read_series(name, group)
        series += read
        notes += remarks
    return series, notes


def _source(
    frames: list[Frame], skipped: list[tuple[Path, str]], broken: Counter[Path], *, is_alone: bool
) -> StudySource:
    """One study; takes the unreadable files that lie beside its images out of ``broken`` and notes them."""
    unique_frames = list({(frame.uid, frame.index, frame.position_mm): frame for frame in reversed(frames)}.values())[
        ::-1
    ]
    texts = {"skipped": f"{_counted(skipped)} skipped"} if skipped else {}
    repeated = len(frames) - len(unique_frames)
    if repeated:
        texts["repeated"] = f"{repeated} image{'s were' if repeated > 1 else ' was'} there more than once"
        if _differ(frames):
            texts["repeated"] += ", and not the same each time: the first of them by file name was read"
    folders = {frame.path.parent for frame in frames}
    beside = sum(broken.pop(folder, 0) for folder in folders)
    if beside:
        texts["not_dicom"] = f"{_files(beside)} beside its images cannot be read as DICOM and were left out"
    if not is_alone:
        texts["several_patients"] = (
            "its Study Instance UID is borne by images of another patient or examination too; they were kept apart"
        )
    notes = tuple(Note(code, Scope.STUDY, "", text) for code, text in texts.items())
    uid, person = frames[0].study_uid, frames[0].person
    identity = uid if is_alone else "\n".join([uid, *astuple(person)[:5], str(_common(folders))])
    return StudySource(
        study_key(identity),
        _common(folders),
        (Format.DICOM,),
        frames=tuple(unique_frames),
        notes=notes,
        identity=identity,
    )


def _differ(frames: Sequence[Frame]) -> bool:
    """Whether files of one image differ in more than their headers."""
    files: dict[tuple[str, int, tuple[float, ...]], list[Frame]] = {}
    for frame in frames:
        files.setdefault((frame.uid, frame.index, frame.position_mm), []).append(frame)
    for several in (group for group in files.values() if len(group) > 1):
        seen = {decoded.tobytes() for _, decoded in read_pixels(several) if not isinstance(decoded, ReadError)}
        if len(seen) > 1:
            return True
    return False


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
    problems: dict[str, list[Frame]] = {}
    for index, decoded in read_pixels(frames):
        if isinstance(decoded, ReadError):
            problems.setdefault(str(decoded), []).append(frames[index])
        else:
            voxels[index] = decoded
            good.append(index)
    texts = [
        f"{len(bad)} of {len(frames)} slices left out{_which(bad)}: {problem}" for problem, bad in problems.items()
    ]
    if not good:
        raise ReadError("; ".join(texts))
    notes = [Note("slices_left_out", Scope.SERIES, name, text) for text in texts]
    good.sort()
    series: list[Series] = []
    kept = [frames[index] for index in good]
    parts = [[None if place is None else good[place] for place in places] for places in arrange(depths_mm(kept))]
    for part in parts:
        try:
            one, remarks = _series(frames, voxels, part)
        except ReadError as error:
            notes.append(Note("unreadable", Scope.SERIES, name, str(error)))
            continue
        series.append(one)
        notes += [Note(code, Scope.SERIES, name, text) for code, text in remarks.items()]
    if len(parts) > 1 and len(series) == len(parts):
        series = _with_middle(series)
    return series, notes


def _with_middle(parts: Sequence[Series]) -> list[Series]:
    """Parts of one stack with a wide gap between them. Of a sagittal one only that is used which holds the middle: the
    others do not show the midline, whatever they look like."""
    if parts[0].plane != "sagittal":
        return list(parts)
    across = parts[0].affine_vox2mm[:3, 0] / parts[0].spacing_mm[0]
    ends_mm = np.array([[part.to_mm(np.array([end, 0.0, 0.0])) @ across for end in _ends(part)] for part in parts])
    middle_mm = (ends_mm.min() + ends_mm.max()) / 2
    holds = [low - 1e-3 <= middle_mm <= high + 1e-3 for low, high in ends_mm]
    where = "the middle of the spine is missing" if not any(holds) else "it lies beside the middle"
    why = f"a part of a stack with many slices missing within it, and {where}: not used"
    return [
        part
        if is_middle
        else replace(part, view=None, basis=Basis.EXCLUDED, reason=f"{part.reason.rstrip('.')}; {why}.")
        for part, is_middle in zip(parts, holds, strict=True)
    ]


def _ends(part: Series) -> tuple[int, int]:
    return 0, len(part.voxels_SRC) - 1


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
    if images and series.affine_vox2mm[:3, 0] @ affine_vox2mm[:3, 0] < 0:
        images = replace(images, instances=images.instances[::-1], positions_mm=images.positions_mm[::-1])
    return replace(series, frame_of_reference=kept[0].frame_of_reference, images=images), notes


def unreferred(frames: Sequence[Frame]) -> list[Note]:
    """What is to be said where no DICOM object can refer to a study's images."""
    lacking = [
        words
        for words, told in (
            ("Study Instance UID", all(is_uid(frame.study_uid) for frame in frames)),
            ("Series Instance UID", all(is_uid(frame.series_uid) for frame in frames)),
            ("SOP Instance UID", all(is_uid(frame.uid) for frame in frames)),
            ("SOP Class UID", all(is_uid(frame.sop_class_uid) for frame in frames)),
        )
        if not told
    ]
    if not lacking:
        return []
    text = f"no {' or '.join(lacking)} in its images, so no structured report and no overview can refer to them"
    return [Note("not_referred", Scope.STUDY, "", text)]


def is_uid(text: str) -> bool:
    """Whether a text is a DICOM UID; readers put a path where a header lacks one."""
    return len(text) <= 64 and re.fullmatch(r"[0-9]+(\.[0-9]+)*", text) is not None


def origin_of(frames: Sequence[Frame]) -> Origin:
    """The DICOM study of these frames."""
    person = frames[0].person
    elements = {
        "PatientBirthDate": person.birth_date,
        "PatientSex": person.sex,
        "StudyDate": person.study_date,
        **dict(zip(PERSON_DETAILS, person.details, strict=False)),
    }
    return Origin(frames[0].study_uid, person.name, person.id, tuple(elements.items()))


def source_images(slices: Sequence[Frame | None]) -> SourceImages | None:
    """Which image each slice came from, in the order given; None is a slice that was interpolated.

    None where the images bear several series UIDs: no object can refer to them as one series.
    """
    if len({frame.series_uid for frame in slices if frame is not None}) > 1:
        return None
    first = next(frame for frame in slices if frame is not None)
    instances = tuple(None if frame is None else (frame.uid, frame.index + 1) for frame in slices)
    positions_mm = tuple(None if frame is None else frame.position_mm for frame in slices)
    return SourceImages(first.series_uid, first.sop_class_uid, instances, positions_mm, first.orientation)


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


def _which(frames: Sequence[Frame]) -> str:
    """A few slices by what tells nobody's name: the number of their image, or of the frame in its file."""
    numbers = sorted(frame.index + 1 if frame.image_number is None else frame.image_number for frame in frames)
    what = "frame" if frames[0].image_number is None else "image"
    shown = ", ".join(map(str, numbers[:MAX_SHOWN]))
    return f" ({what}{'s' * (len(numbers) > 1)} {shown}{', ...' * (len(numbers) > MAX_SHOWN)})"


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
