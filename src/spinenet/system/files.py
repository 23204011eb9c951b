"""Files that are there whole or not at all, at whatever moment the run that writes them ends.

A file is written beside its place under a name of its own, ``.NAME.THREAD.partial``, and takes its place when it is
complete. What a run that was killed leaves behind is known by that name.
"""

import errno
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PARTIAL = re.compile(r"\..+\.\d+\.partial")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file beside ``path`` to write into: it takes that place when all went well and is removed when not."""
    partial = path.with_name(f".{path.name}.{threading.get_native_id()}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8, line ends as given) whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def write_safely(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, and return when a power cut can no longer undo it.

    For what others rely on once they were told that it is kept; slower by what the disk needs.
    """
    with replacing(path) as partial, partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync_names(path.parent)


def write_private(path: Path, content: bytes) -> None:
    """Write a file whole or not at all that its owner alone may read."""
    with replacing(path) as partial:
        opened = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(opened, "wb") as file:
            file.write(content)


def sync_names(folder: Path) -> None:
    """Wait until the names in a folder are on disk too, where the system keeps them apart from the files."""
    if os.name != "posix":
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network shares sync files alone
            raise
    finally:
        os.close(opened)


def is_partial(path: Path) -> bool:
    """Whether a file is one that was being written, by its name.

    >>> is_partial(Path("reports/.1.html.2634.partial")), is_partial(Path("reports/1.html"))
    (True, False)
    """
    return _PARTIAL.fullmatch(path.name) is not None


def remove_partials(folder: Path) -> None:
    """Remove what a run that was killed left half written in a folder and the folders in it; none may run there now."""
    for path in (*folder.glob(".*.partial"), *folder.glob("*/.*.partial")):
        if is_partial(path):
            path.unlink(missing_ok=True)
