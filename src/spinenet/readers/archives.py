"""Zip archives read in place: nothing is unpacked, so nothing lands on the disk and no name in one can point elsewhere.

A file inside an archive is called ``ARCHIVE.zip/name/inside`` and opened by that path like any other. An archive that
looks built to do harm, or is locked, is refused as a whole before one of its files is opened.
"""

import io
import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO

from spinenet.errors import ReadError

MAX_MEMBER_BYTES = 1 << 29
"""Largest file inside, unpacked: a multi-frame object of a thousand slices."""
_KNOWN_PACKING = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
MAX_MEMBERS = 500_000
BOMB_BYTES, BOMB_RATIO = 1 << 28, 200
"""An archive that unpacks to more than this, at more than this many times its size, is no archive of images."""
DAMAGE = (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, RuntimeError)
"""What zipfile raises on a damaged or locked archive."""


def is_archive(path: Path) -> bool:
    """Whether the file is named and begins like a zip archive."""
    if path.suffix.lower() != ".zip":
        return False
    try:
        with path.open("rb") as file:
            return file.read(2) == b"PK"
    except OSError:
        return True  # ``members`` says what is wrong with it


def members(archive: Path) -> list[Path]:
    """Paths of the files inside, in order of their names; ReadError where the archive is damaged, locked or unsafe."""
    try:
        with zipfile.ZipFile(archive) as opened:
            inside, size_bytes = _contents(opened), archive.stat().st_size
    except PermissionError as error:
        raise ReadError("the zip archive may not be read (permission denied)") from error
    except DAMAGE as error:
        raise ReadError("the zip archive is damaged or cut short; copy it again") from error
    problem = _unsafe(inside, size_bytes)
    if problem:
        raise ReadError(f"the zip archive {problem}")
    return [archive / name for name in sorted(inside)]


class ImageFiles:
    """Opens files on disk and inside archives, within a ``with``.

    The archive that was needed last stays open until another one is or the ``with`` ends: its table of contents may be
    long, and its files are read one after the other.
    """

    def __init__(self) -> None:
        self._path = Path()
        self._archive: zipfile.ZipFile | None = None
        self._inside: dict[str, zipfile.ZipInfo] = {}

    def __enter__(self) -> "ImageFiles":
        return self

    def __exit__(self, *fault: object) -> None:
        self._close()

    def open(self, path: Path) -> IO[bytes]:
        """Open a file on disk or inside an archive for reading; OSError where that cannot be done."""
        try:
            return path.open("rb")
        except (FileNotFoundError, NotADirectoryError):
            archive = next((parent for parent in path.parents if parent.is_file()), None)
            if archive is None:
                raise
        try:
            opened = self._opened(archive)
            return io.BufferedReader(opened.open(self._inside[path.relative_to(archive).as_posix()]), 1 << 16)  # type: ignore[type-var]
        except (*DAMAGE, KeyError) as error:
            raise OSError(f"{path.name}: cannot be taken out of its archive") from error

    def _opened(self, archive: Path) -> zipfile.ZipFile:
        if self._archive is None or self._path != archive:
            self._close()
            self._path, self._archive = archive, zipfile.ZipFile(archive)
            self._inside = _contents(self._archive)
        return self._archive

    def _close(self) -> None:
        if self._archive is not None:
            self._archive.close()
        self._archive = None


def _unsafe(inside: dict[str, zipfile.ZipInfo], size_bytes: int) -> str:
    """Why an archive is not to be opened, or an empty string."""
    if len(inside) > MAX_MEMBERS:
        return f"holds {len(inside)} files, more than {MAX_MEMBERS}; unpack it and name the folders to read"
    if any(name.startswith("/") or ".." in PurePosixPath(name).parts for name in inside):
        return "holds names that point out of it; it may be tampered with, ask for it again"
    if any(info.flag_bits & 1 for info in inside.values()):
        return "is locked with a password; unpack it first"
    unknown = {info.compress_type for info in inside.values()} - _KNOWN_PACKING
    if unknown:
        way = "Deflate64" if unknown == {9} else f"method {min(unknown)}"
        return f"is packed in a way ({way}) that cannot be read here; unpack it first"
    if any(stat.S_ISLNK(info.external_attr >> 16) for info in inside.values()):
        return "holds links instead of files; unpack it first"
    total = sum(info.file_size for info in inside.values())
    if total > BOMB_BYTES and total > BOMB_RATIO * size_bytes:
        return f"would unpack to {total / size_bytes:.0f} times its size; that is no archive of images"
    if any(info.file_size > MAX_MEMBER_BYTES for info in inside.values()):
        return "holds a file of more than 512 MB; unpack it first"
    return ""


def _contents(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    return {PurePosixPath(info.filename).as_posix(): info for info in archive.infolist() if not info.is_dir()}
