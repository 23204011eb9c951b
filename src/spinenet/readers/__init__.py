"""From files to studies: DICOM, NIfTI and MHA read alike, in canonical order and LPS mm.

``find_studies`` looks at names and headers only, ``read_study`` at the pixels of one study. Damaged files never stop
the others: they become notes of their study, or a source whose ``read_study`` raises the reason. Notes and keys never
hold what a DICOM header or file name says of a patient; keys of NIfTI and MHA studies come from their file names, in
outputs where these are plain words and short numbers alone (``names.is_plain``), else from a salted digest.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from spinenet.errors import ReadError
from spinenet.readers import discovery as files
from spinenet.readers import names
from spinenet.readers.dicom.assembly import dicom_studies, origin_of, read_dicom, study_key, unreferred
from spinenet.readers.mha import read_mha
from spinenet.readers.nifti import read_nifti
from spinenet.readers.overrides import Wanted, as_asked, parse_wanted, with_views
from spinenet.readers.plain_images import read_picture
from spinenet.readers.sources import Format, StudySource, VolumeFile
from spinenet.study import Note, Scope, Series, Study, sentence

__all__ = [
    "StudySource",
    "Wanted",
    "find_studies",
    "opened",
    "parse_wanted",
    "read_mha",
    "read_nifti",
    "read_study",
    "with_views",
]

MAX_NOTES, MAX_NOTE = 60, 600

LOG = logging.getLogger(__name__)

_READERS = {Format.NIFTI: read_nifti, Format.MHA: read_mha}


def find_studies(paths: Sequence[Path]) -> list[StudySource]:
    """All studies below the paths (files or folder trees), each with a key of its own.

    A path that is missing or holds no image becomes a source with a ``problem`` where other paths hold some; where
    none does, ReadError. A file that is met twice is read once.
    """
    found, failed = [], []
    for path in dict.fromkeys(Path(os.path.abspath(path)) for path in paths):
        try:
            found.append(files.find_files(path))
        except ReadError as error:
            LOG.debug("%s: left out", path, exc_info=True)
            failed.append(StudySource(study_key(str(path)), path, problem=str(error), identity=str(path)))
    if not found:
        raise ReadError(failed[0].problem if failed else "no path given; name a file or folder of images")
    sources = [
        *(study for each in files.without_repeats(found) for study in files.volume_studies(each)),
        *dicom_studies(file for each in found for file in each.dicom),
        *(
            StudySource(study_key(str(path)), path, (Format.ZIP,), problem=why, identity=str(path))
            for each in found
            for path, why in each.problems
        ),
        *failed,
    ]
    sources = _told_apart(sources)
    keys = names.unique(source.key for source in sources)
    return [replace(source, key=key) for source, key in zip(sources, keys, strict=True)]


def _told_apart(sources: Sequence[StudySource]) -> list[StudySource]:
    """Studies of one key under keys of their own, made of the folders in which they differ: ``sub-2-2`` might be the
    second study of one person."""
    alike: dict[str, list[StudySource]] = {}
    for source in sources:
        alike.setdefault(source.key.lower(), []).append(source)
    return [_by_place(source, [one.location for one in alike[source.key.lower()]]) for source in sources]


def _by_place(source: StudySource, places: Sequence[Path]) -> StudySource:
    if len(set(places)) < 2:
        return source
    first = len(Path(os.path.commonpath(places)).parts)
    endings = [place.parts[::-1] for place in places]
    same_end = next(count for count, parts in enumerate(zip(*endings, strict=False)) if len(set(parts)) > 1)
    parts = source.location.parts[first : len(source.location.parts) - same_end]
    key = names.safe_key([*parts, source.key])
    if names.is_plain(key):
        return replace(source, key=key)
    identity = "\n".join([str(source.location), source.identity or source.key])
    return replace(source, key=study_key(identity), identity=identity)


def opened(source: StudySource) -> StudySource:
    """A source whose folders have been looked into: their frames, headers only, join those it has.

    A folder that is missing or holds no MR image becomes a note.
    """
    frames, notes = list(source.frames), list(source.notes)
    for folder, words in source.folders:
        try:
            found = dicom_studies(files.find_files(folder).dicom)
        except ReadError as error:
            LOG.debug("%s: left out", folder, exc_info=True)
            notes.append(_unreadable(str(error)))
            continue
        for one in found:
            notes += [*one.notes, *([_unreadable(one.problem)] if one.problem else [])]
            frames += [
                replace(
                    frame,
                    acquisition=replace(frame.acquisition, description=f"{frame.acquisition.description} {words}"),
                )
                for frame in one.frames
            ]
    return replace(source, frames=tuple(frames), notes=tuple(notes), folders=())


def read_study(source: StudySource) -> Study:
    """Read the pixels of one study; ReadError with the reason where not one series of it can be read."""
    if source.problem:
        raise ReadError(source.problem)
    source = opened(source)
    series: list[Series] = []
    unread: list[ReadError] = []
    for volume in source.volumes:
        try:
            series.append(_read_volume(volume))
        except ReadError as error:
            LOG.debug("%s: left out", volume.path, exc_info=True)
            unread.append(error)
    problems = [_unreadable(str(error)) for error in unread]
    if source.frames:
        stacks, remarks = read_dicom(source.frames)
        series += stacks
        problems += remarks
        problems += unreferred(source.frames)
    # a stack of one series may come to bear the name of another series
    named = zip(series, names.unique(one.name for one in series), strict=True)
    series = [one if one.name == name else replace(one, name=name) for one, name in named]
    series, unmet = as_asked(series, source.wanted)
    problems += unmet
    problems += [Note("header", Scope.SERIES, one.name, text) for one in series for text in one.remarks]
    if not series:
        raise ReadError(sentence([*problems, *source.notes]) or "no image series in it") from next(iter(unread), None)
    origin = origin_of(source.frames) if source.frames else None
    ages = [frame.age_years for frame in source.frames if frame.age_years is not None]
    notes = bounded((*source.notes, *problems))
    return Study(source.key, tuple(series), notes, origin, min(ages, default=None), source.level_names)


def bounded(notes: Sequence[Note]) -> tuple[Note, ...]:
    """Notes of bounded number and length, whatever a damaged file makes of them; how many were left out is said."""
    kept = [replace(note, text=note.text[:MAX_NOTE]) for note in notes[:MAX_NOTES]]
    left = len(notes) - len(kept)
    return (*kept, *([Note("more", Scope.STUDY, "", f"{left} more remarks on reading it")] if left else []))


def _unreadable(reason: str) -> Note:
    return Note("unreadable", Scope.STUDY, "", reason)


def _read_volume(volume: VolumeFile) -> Series:
    if volume.pixel_mm is not None:
        return read_picture(volume.path, volume.name, volume.wanted, volume.pixel_mm)
    return _READERS[files.volume_format(volume.path)](volume.path, volume.name, volume.wanted)
