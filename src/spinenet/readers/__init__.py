"""From files to studies: DICOM, NIfTI and MHA read alike, in canonical order and LPS mm.

``find_studies`` looks at names and headers only, ``read_study`` at the pixels of one study. Damaged files never stop
the others: they become notes of their study, or a source whose ``read_study`` raises the reason.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from spinenet.errors import ReadError
from spinenet.readers import files, names
from spinenet.readers.mha import read_mha
from spinenet.readers.nifti import read_nifti
from spinenet.readers.records import StudySource, VolumeFile
from spinenet.study import Series, Study

__all__ = ["StudySource", "find_studies", "read_mha", "read_nifti", "read_study"]


def find_studies(paths: Sequence[Path]) -> list[StudySource]:
    """All studies below the paths (files or folder trees), each with a key of its own.

    A path that is missing or holds no image becomes a source with a ``problem`` where other paths hold some; where
    none does, ReadError.
    """
    found, failed = [], []
    for path in dict.fromkeys(paths):
        try:
            found.append(files.find_files(path))
        except ReadError as error:
            failed.append(StudySource(names.safe_key([names.stem_of(path)]), path, "", problem=str(error)))
    if not found:
        raise ReadError(failed[0].problem if failed else "no path given; name a file or folder of images")
    sources = [*(study for each in found for study in files.volume_studies(each)), *failed]
    keys = names.unique(source.key for source in sources)
    return [replace(source, key=key) for source, key in zip(sources, keys, strict=True)]


def read_study(source: StudySource) -> Study:
    """Read the pixels of one study; ReadError with the reason where not one series of it can be read."""
    if source.problem:
        raise ReadError(source.problem)
    series: list[Series] = []
    problems: list[str] = []
    for volume in source.volumes:
        try:
            series.append(_read_volume(volume))
        except ReadError as error:
            problems.append(str(error))
    if not series:
        raise ReadError("; ".join(problems))
    return Study(source.key, tuple(series), (*source.notes, *problems))


def _read_volume(volume: VolumeFile) -> Series:
    if files.volume_format(volume.path) == "NIfTI":
        return read_nifti(volume.path, volume.name)
    return read_mha(volume.path, volume.name)
