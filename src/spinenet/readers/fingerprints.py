"""What a study's files are, to know them again: at a glance by the system's records, for certain by their bytes."""

import hashlib
from pathlib import Path

from spinenet.readers import names
from spinenet.readers.archives import ImageFiles
from spinenet.readers.mha import data_file
from spinenet.readers.sources import StudySource

_CHUNK = 1 << 20


def files_of(source: StudySource) -> list[Path]:
    """The files that a study is read from, each once, in the order of their paths."""
    files = {frame.path for frame in source.frames}
    for volume in source.volumes:
        sidecar = volume.path.with_name(names.stem_of(volume.path) + ".json")
        files |= {path for path in (volume.path, sidecar, data_file(volume.path)) if path is not None}
    return sorted(files)


def glance(source: StudySource) -> str:
    """Changes whenever one of the files was written, replaced or moved; reads none of them."""
    digest = hashlib.sha256()
    archives: dict[Path, bytes] = {}
    for path in files_of(source):
        on_disk = path if path.exists() else next((parent for parent in path.parents if parent.is_file()), path)
        if on_disk not in archives:
            archives[on_disk] = _record(on_disk)
        digest.update(str(path).encode("utf-8", "surrogateescape") + archives[on_disk])
    return digest.hexdigest()[:32]


def images_digest(source: StudySource) -> str:
    """Digest of the bytes of all files, headers and pixels, whatever they are called and wherever they lie, and of the
    views that were asked for; "" where there are no files or one cannot be read."""
    digests: list[str] = []
    with ImageFiles() as images:
        for path in files_of(source):
            digest = hashlib.sha256()
            try:
                with images.open(path) as file:
                    while block := file.read(_CHUNK):
                        digest.update(block)
            except FileNotFoundError:
                continue  # a sidecar that is not there
            except OSError:
                return ""
            digests.append(digest.hexdigest())
    wanted = {str(frame.acquisition.wanted) for frame in source.frames} | {str(one.wanted) for one in source.volumes}
    told = "\n".join([*sorted(digests), *sorted(wanted - {"None"})])
    return hashlib.sha256(told.encode()).hexdigest()[:32] if digests else ""


def _record(path: Path) -> bytes:
    try:
        found = path.stat()
    except OSError:
        return b"-"
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}".encode()
