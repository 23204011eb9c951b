"""Which files below a path are images, and how NIfTI and MHA files make studies."""

import logging
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from spinenet.errors import ReadError, in_words
from spinenet.readers import names
from spinenet.readers.archives import ImageFiles, is_archive, members
from spinenet.readers.sources import Format, StudySource, VolumeFile

LOG = logging.getLogger(__name__)

MAX_DEPTH = 60
_IGNORED_FOLDERS = frozenset({"__MACOSX", "__pycache__"})
_DICOM_SUFFIXES = frozenset({"", ".dcm", ".ima", ".dicom"})
_UNREAD_ARCHIVES = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".7z", ".rar")
UNREAD_ARCHIVE = "an archive that is not a zip; unpack it and name the folder"
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00")


@dataclass(frozen=True)
class FileListing:
    """Image files below one path, sorted, and archives with the reason why they or parts of them are left out.

    ``root`` is what keys are relative to.
    """

    root: Path
    volumes: tuple[Path, ...]
    dicom: tuple[Path, ...]
    problems: tuple[tuple[Path, str], ...] = ()


def find_files(path: Path) -> FileListing:
    """Look through a file or folder tree; ReadError where it does not exist or holds no image file."""
    if not path.exists() and path.is_symlink():
        raise ReadError(f"{names.shown(path)}: points to a file or folder that is not there")
    if not path.exists():
        raise ReadError(f"{names.shown(path)}: no such file or folder")
    if path.name.upper() == "DICOMDIR" and path.is_file():
        path = path.parent  # an index of the folder it lies in; the files themselves tell more
    if path.is_file():
        return _in_archives(path, [path]) if is_archive(path) else _single(path)
    return _below(path)


def _below(path: Path) -> FileListing:
    volumes, others, archives, segmentations = [], [], [], 0
    unread: list[tuple[Path, str]] = []
    for file in _walk(path, unread):
        if is_archive(file):
            archives.append(file)
        elif file.name.lower().endswith(_UNREAD_ARCHIVES):
            unread.append((file, UNREAD_ARCHIVE))
        elif not names.is_volume(file):
            others.append(file)
        elif names.is_segmentation(file):
            segmentations += 1
        else:
            volumes.append(file)
    dicom = _dicom_among(others)
    if not volumes and not dicom and not archives and not unread:
        masks = f", only {segmentations} named as segmentations" if segmentations else ""
        raise ReadError(f"{names.shown(path)}: no DICOM, NIfTI or MHA image in this folder or below it{masks}")
    inside = _in_archives(path, archives)
    return FileListing(path, tuple(volumes), (*dicom, *inside.dicom), (*inside.problems, *unread))


def _is_dicom(path: Path, images: ImageFiles) -> bool:
    """Whether a file is DICOM, or called so: by its preamble, its first tag where that is missing, or its ending."""
    if path.name.upper() == "DICOMDIR":
        return False
    if path.suffix.lower() in _DICOM_SUFFIXES - {""}:
        return True
    try:
        with images.open(path) as file:
            start = file.read(132)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile):
        return path.suffix == "" or path.suffix[1:].isdigit()  # what cannot be opened is said, not passed over
    numbered = path.suffix == "" or path.suffix[1:].isdigit()
    bare = numbered and start[:2] in _FIRST_GROUPS and start[3:4] == b"\x00"
    return start[128:132] == b"DICM" or bare


def _dicom_among(paths: Iterable[Path]) -> list[Path]:
    with ImageFiles() as images:
        return [path for path in paths if _is_dicom(path, images)]


def without_repeats(found: list[FileListing]) -> list[FileListing]:
    """The same, each NIfTI and MHA file only where it was met first."""
    met: set[Path] = set()
    result = []
    for each in found:
        result.append(replace(each, volumes=tuple(file for file in each.volumes if file not in met)))
        met.update(each.volumes)
    return result


def volume_studies(found: FileListing) -> list[StudySource]:
    """Group the NIfTI and MHA files of each folder into studies by their names."""
    groups: dict[tuple[Path, str], list[Path]] = {}
    for file in found.volumes:
        groups.setdefault((file.parent, names.split_name(names.stem_of(file))[0]), []).append(file)
    return [_study(found.root, folder, stem, files) for (folder, stem), files in groups.items()]


def volume_format(path: Path) -> Format:
    """MHA or NIfTI, by the ending of the file.

    >>> volume_format(Path("17_t2.MHA"))
    <Format.MHA: 'MHA'>
    """
    return Format.MHA if path.suffix.lower() in (".mha", ".mhd") else Format.NIFTI


def _single(path: Path) -> FileListing:
    if path.stat().st_size == 0:
        raise ReadError(f"{names.shown(path)}: the file is empty; copy it again")
    if names.is_volume(path):
        return FileListing(path, (path,), ())
    if _dicom_among([path]):
        return FileListing(path, (), (path,))
    if path.name.lower().endswith(_UNREAD_ARCHIVES):
        raise ReadError(f"{names.shown(path)}: {UNREAD_ARCHIVE}")
    raise ReadError(f"{names.shown(path)}: not a DICOM, NIfTI (.nii, .nii.gz) or MHA (.mha, .mhd) file")


def _in_archives(root: Path, archives: Iterable[Path]) -> FileListing:
    """DICOM files inside zip archives; NIfTI and MHA there, and archives in archives, are left out and said."""
    dicom: list[Path] = []
    problems: list[tuple[Path, str]] = []
    for archive in archives:
        try:
            inside = [file for file in members(archive) if not _is_hidden(file.relative_to(archive))]
        except ReadError as error:
            LOG.debug("%s: left out", archive, exc_info=True)
            problems.append((archive, str(error)))
            continue
        images = _dicom_among(file for file in inside if not names.is_volume(file))
        dicom += images
        packed = sum(names.is_volume(file) or file.suffix.lower() == ".zip" for file in inside)
        if packed or not images:
            what = f"{packed} NIfTI, MHA or zip files inside a zip archive" if packed else "no DICOM in the zip archive"
            problems.append((archive, f"{what}; unpack it and name the folder"))
    return FileListing(root, (), tuple(dicom), tuple(problems))


def _is_hidden(path: Path) -> bool:
    return bool(_IGNORED_FOLDERS & set(path.parts)) or path.name.startswith(".")


def _walk(path: Path, unread: list[tuple[Path, str]]) -> Iterator[Path]:
    """Files below ``path`` in a fixed order, without hidden ones and without the masks that lie beside ``images``.

    Links to folders are followed, each folder once. Folders that cannot be looked into join ``unread`` with the reason.
    """
    met: set[tuple[int, int]] = set()
    waiting = [path]
    while waiting:
        folder = waiting.pop()
        if len(folder.parts) - len(path.parts) > MAX_DEPTH:
            unread.append((folder, f"more than {MAX_DEPTH} folders deep; name a folder within to read it"))
            continue
        try:
            found = folder.stat()
            if (found.st_dev, found.st_ino) in met:
                continue
            met.add((found.st_dev, found.st_ino))
            inside = sorted(folder.iterdir(), key=lambda one: one.name)
        except OSError as error:
            unread.append((folder, f"a folder that cannot be looked into ({in_words(error)})"))
            continue
        shown = [one for one in inside if not _is_hidden(one)]
        folders = [one for one in shown if one.is_dir()]
        if any(one.name == "images" for one in folders):
            folders = [one for one in folders if one.name != "masks"]
        yield from (one for one in shown if one.is_file() or (one.is_symlink() and not one.exists()))
        waiting += reversed(folders)


def _study(root: Path, folder: Path, stem: str, files: list[Path]) -> StudySource:
    if root == files[0]:  # a file given by itself
        key = names.safe_key([names.stem_of(root)])
    elif stem.startswith("sub-"):
        key = names.safe_key([stem])
    else:
        inner = [part for part in folder.relative_to(root).parts if part != "images"]
        key = names.safe_key([*inner, stem]) if inner or stem else names.safe_key([folder.resolve().name])
    stems = [names.printable(names.stem_of(file)) for file in files]
    told = (names.split_name(one)[1] or one for one in stems)
    series = names.unique(one if names.is_plain(one) else "series" for one in told)
    volumes = tuple(VolumeFile(file, name) for file, name in zip(files, series, strict=True))
    formats = tuple(sorted({volume_format(file) for file in files}))
    identity = "" if names.is_plain(key) else key
    return StudySource(key, root if root == files[0] else folder, formats, volumes, identity=identity)
