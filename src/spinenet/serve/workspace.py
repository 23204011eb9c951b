"""The folder that the local page works in: what was dropped into it, graded piece after piece by one thread.

    FOLDER/images/DROP/...   what was dropped, as it came
    FOLDER/results/          tables, worklist and reports of all of it
    FOLDER/corrections/      what readers saved

Names of dropped files come from a browser: none may point out of its folder. Archives are kept as they are and read in
place, within the bounds of ``readers.archives``.
"""

import json
import logging
import queue
import secrets
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from spinenet.errors import OutputError, SpinenetError, in_words
from spinenet.model.bundle import Bundle
from spinenet.report.corrections import read_corrections
from spinenet.report.options import ReportOptions
from spinenet.report.page.page_words import ENGLISH, PageWords, page_words
from spinenet.serve.applying import apply_corrections
from spinenet.serve.batch import BatchSummary, StudyRows, predict_paths
from spinenet.serve.deleting import delete_study
from spinenet.system.files import write_private

LOG = logging.getLogger(__name__)
MAX_FILES, MAX_BYTES, MAX_DEPTH, MAX_NAME = 100_000, 20 << 30, 20, 200
"""Of one drop, and of one name in it."""
LEAST_FREE = 1 << 30
"""Bytes that are left free on the disk."""
NAMED = 3
"""So many files or studies of a drop are named."""
FORBIDDEN = frozenset('\\:*?"<>|')


@dataclass(frozen=True)
class Drop:
    """What was dropped at once, and how far it is: ``state`` is receiving, waiting, grading, done or failed; ``told``
    is what went wrong or is to be known."""

    key: str
    state: str = "receiving"
    files: int = 0
    size: int = 0
    done: int = 0
    total: int = 0
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class Deletion:
    """A study that is to be deleted."""

    study: str


@dataclass
class Workspace:
    """The folder, the drops of this run, and the thread that grades them."""

    folder: Path
    bundle: Bundle
    options: ReportOptions
    drops: dict[str, Drop] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _waiting: "queue.SimpleQueue[tuple[str, Path | Deletion]]" = field(default_factory=queue.SimpleQueue)

    @property
    def images(self) -> Path:
        """Where drops lie."""
        return self.folder / "images"

    @property
    def results(self) -> Path:
        """Where tables and pages lie."""
        return self.folder / "results"

    def start(self) -> None:
        """Let a thread grade what is dropped, until the process ends."""
        self.images.mkdir(parents=True, exist_ok=True, mode=0o700)
        threading.Thread(target=self._work, daemon=True).start()

    def begin(self) -> str:
        """A new drop's key."""
        key = secrets.token_hex(4)
        self.drops[key] = Drop(key)
        return key

    @contextmanager
    def receive(self, key: str, name: str) -> Iterator[IO[bytes]]:
        """A file of a drop to be written; OutputError where it may not be taken."""
        drop, inner = self.drops.get(key), inner_path(name)
        if drop is None or drop.state != "receiving":
            raise OutputError("this drop is closed; drop the files again")
        if drop.files >= MAX_FILES or drop.size >= MAX_BYTES:
            raise OutputError(f"more than {MAX_FILES} files or {MAX_BYTES >> 30} GB at once; drop fewer")
        if shutil.disk_usage(self.images).free < LEAST_FREE:
            raise OutputError("the disk is full; free some space and drop the files again")
        path = self.images / key / inner
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            file = path.open("xb")
        except OSError as error:
            raise OutputError(f"{inner.name}: cannot be kept ({in_words(error)})") from error
        try:
            with file:
                yield file
                size = file.tell()
        except BaseException:
            path.unlink(missing_ok=True)  # what broke off is no image
            raise
        self._change(key, files=self.drops[key].files + 1, size=self.drops[key].size + size)

    def close(self, key: str) -> None:
        """Let a drop be graded; OutputError where there is nothing in it."""
        drop = self.drops.get(key)
        if drop is None or drop.state != "receiving" or not drop.files:
            raise OutputError("nothing was dropped")
        self._change(key, state="waiting")
        self._waiting.put((key, self.images / key))

    def correct(self, content: bytes) -> None:
        """Take what a reader saved on a page; OutputError where it is no such thing."""
        key = self.begin()
        path = self.folder / "corrections" / f"{key}.json"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(path, content)
        try:
            read_corrections(path)
        except OutputError:
            path.unlink()
            self.drops.pop(key)
            raise
        self._change(key, state="waiting", total=1)
        self._waiting.put((key, path))

    def delete(self, study: str) -> None:
        """Let a study be deleted, after what was dropped before."""
        key = self.begin()
        self._change(key, state="waiting", total=1)
        self._waiting.put((key, Deletion(study)))

    def progress(self) -> list[dict[str, Any]]:
        """Every drop of this run, the last one first."""
        return [vars(drop) for drop in reversed(self.drops.values())]

    def _change(self, key: str, **changes: Any) -> None:
        with self._lock:
            self.drops[key] = replace(self.drops[key], **changes)

    def _work(self) -> None:
        while True:
            key, work = self._waiting.get()
            self._change(key, state="grading")
            try:
                told = self._deleted(work.study) if isinstance(work, Deletion) else self._grade(key, work)
            except (SpinenetError, OSError) as error:
                LOG.debug("%s: failed", key, exc_info=True)
                self._change(key, state="failed", told=(self._told(key, in_words(error)),))
            except Exception as error:  # a fault of ours ends this drop, not those behind it
                LOG.exception("%s: failed", key)
                self._change(key, state="failed", told=(f"a fault of the program ({type(error).__name__})",))
            else:
                self._change(key, state="done", told=told)

    def _told(self, key: str, message: str) -> str:
        """A message on a drop with the name of what was dropped in the place of the drop's key, which nobody knows."""
        dropped = sorted((self.images / key).glob("*"))
        name = _few([path.name for path in dropped], self.words)
        if not name:
            return message
        if not any(path.is_dir() for path in dropped):
            message = message.replace(" in this folder or below it", "")
        return message.replace(key, name)

    def _deleted(self, study: str) -> tuple[str, ...]:
        """Delete a study; returns what is to be known."""
        corrections, language = self.folder / "corrections", self.options.language
        left = delete_study(study, self.images, corrections, self.results, self.bundle, language)
        return (self.words("deleted: {study}", study=study), *left)

    def _grade(self, key: str, path: Path) -> tuple[str, ...]:
        """Grade a drop or put corrections into the results; returns what is to be known."""
        if path.is_file():
            keys = apply_corrections([path], [self.images], self.results, self.bundle, self.options)
            self._change(key, done=1)
            return (self.words("corrected: {studies}", studies=self.words.phrases("comma").join(keys)),)
        told: list[str] = []
        graded: list[str] = []

        def note(done: int, total: int, rows: StudyRows | None) -> None:
            self._change(key, done=done, total=total)
            if rows is not None and rows.study.status == "failed":
                told.append(self.words("{study}: not graded: {why}", study=rows.study.study, why=rows.study.message))
            elif rows is not None:
                graded.append(rows.study.study)

        summary = predict_paths([path], self.results, self.bundle, options=self.options, on_progress=note)
        how = _in_words(summary, self.words)
        return (f"{how}: {_few(graded, self.words)}" if graded else how, *told)

    @property
    def words(self) -> PageWords:
        """The words of the language that pages are written in."""
        return page_words(self.options.language)


def _in_words(summary: BatchSummary, words: PageWords) -> str:
    """How a run went."""
    told = [f"{summary.counts[one]} {words(one)}" for one in ("ok", "partial", "failed") if summary.counts[one]]
    told += [words("with results from before: {count}", count=summary.skipped)] if summary.skipped else []
    return words.phrases("comma").join(told)


def _few(names: Sequence[str], words: PageWords = ENGLISH) -> str:
    """The first of some names, and how many more there are.

    >>> _few("abcde"), _few([])
    ('a, b, c, 2 more', '')
    """
    more = len(names) - NAMED
    listed = [*names[:NAMED], *([words("{count} more", count=more)] if more > 0 else [])]
    return words.phrases("comma").join(listed)


def inner_path(name: str) -> Path:
    """The name of a dropped file as a path below its drop; OutputError for one that could lie elsewhere.

    >>> inner_path("study/series 1/0001.dcm").as_posix()
    'study/series 1/0001.dcm'
    """
    parts = name.split("/")
    fine = 0 < len(parts) <= MAX_DEPTH and all(
        part.strip(" .") and len(part.encode()) <= MAX_NAME and part.isprintable() and not FORBIDDEN & set(part)
        for part in parts
    )
    if not fine:
        raise OutputError(f"{json.dumps(name[:80])}: not a name that a file here may have")
    return Path(*parts)
