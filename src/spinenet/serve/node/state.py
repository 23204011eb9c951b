"""What a node remembers of its studies, in one SQLite file: what was graded, what was sent where, and what failed.

A row is written before a study is graded and after each step, so that a node that was killed, however often, knows
which study it worked on. The cost of a step does not grow with the number of studies.
"""

import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LOG = logging.getLogger(__name__)

_TABLES = """
CREATE TABLE IF NOT EXISTS studies (
    study TEXT PRIMARY KEY, images TEXT NOT NULL DEFAULT '', number INTEGER NOT NULL DEFAULT 0,
    results TEXT NOT NULL DEFAULT '', tries INTEGER NOT NULL DEFAULT 0, is_deleted INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS sent (study TEXT, result TEXT, peer TEXT, PRIMARY KEY (study, result, peer));
"""
_BEGIN = """
INSERT INTO studies (study, tries) VALUES (?, 1) ON CONFLICT (study) DO UPDATE SET tries = tries + 1
"""
_GRADED = """
INSERT INTO studies (study, images, number, results) VALUES (?, ?, ?, ?) ON CONFLICT (study) DO UPDATE SET
images = excluded.images, number = excluded.number, results = excluded.results, tries = 0, is_deleted = 0
"""


@dataclass(frozen=True)
class StudyState:
    """``images`` is a digest of the ``number`` images that were graded, "" where none were; ``results`` are the objects
    that were made of them; ``tries`` counts gradings that began and did not end. ``is_deleted`` once its images are."""

    images: str = ""
    number: int = 0
    results: tuple[Path, ...] = ()
    tries: int = 0
    is_deleted: bool = False


class NodeState:
    """The file, opened anew for every step: threads and processes may come and go."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with self._opened() as file:
                file.executescript(_TABLES)
        except sqlite3.DatabaseError:
            LOG.debug("%s: not a database", path, exc_info=True)
            path.replace(path.with_name(path.name + ".damaged"))  # all studies that are there are graded again
            with self._opened() as file:
                file.executescript(_TABLES)

    def of(self, study: str) -> StudyState:
        """What is known of a study."""
        with self._opened() as file:
            query = "SELECT images, number, results, tries, is_deleted FROM studies WHERE study = ?"
            row = file.execute(query, (study,)).fetchone()
        if row is None:
            return StudyState()
        images, number, results, tries, is_deleted = row
        return StudyState(images, number, tuple(map(Path, filter(None, results.split("\n")))), tries, bool(is_deleted))

    def begin(self, study: str) -> None:
        """Count a try to grade a study before it begins."""
        with self._opened() as file:
            file.execute(_BEGIN, (study,))

    def graded(self, study: str, images: str, number: int, results: Sequence[Path]) -> None:
        """Note what a study was graded from and what was made of it; nothing of that was sent yet."""
        with self._opened() as file:
            file.execute(_GRADED, (study, images, number, "\n".join(map(str, results))))
            file.execute("DELETE FROM sent WHERE study = ?", (study,))

    def failed_in_passing(self, study: str) -> None:
        """Take back a try that ended for a reason that is not the study's."""
        with self._opened() as file:
            file.execute("UPDATE studies SET tries = MAX(tries - 1, 0) WHERE study = ?", (study,))

    def deleted(self, study: str) -> None:
        """Note that the images of a study are gone."""
        with self._opened() as file:
            file.execute("UPDATE studies SET is_deleted = 1 WHERE study = ?", (study,))

    def unsent(self, study: str, peers: Sequence[str]) -> dict[str, list[Path]]:
        """The results of a study that each of these peers has not taken yet; none of those that have all."""
        with self._opened() as file:
            taken = set(file.execute("SELECT result, peer FROM sent WHERE study = ?", (study,)).fetchall())
        results = self.of(study).results
        missing = {peer: [path for path in results if (str(path), peer) not in taken] for peer in peers}
        return {peer: paths for peer, paths in missing.items() if paths}

    def sent(self, study: str, result: Path, peer: str) -> None:
        """Note that a peer has taken a result."""
        with self._opened() as file:
            file.execute("INSERT OR IGNORE INTO sent VALUES (?, ?, ?)", (study, str(result), peer))

    def _opened(self) -> "_Connection":
        return _Connection(self.path)


class _Connection:
    """A connection that commits at the end of a ``with``, and closes."""

    def __init__(self, path: Path) -> None:
        self.file = sqlite3.connect(path, timeout=60)

    def __enter__(self) -> sqlite3.Connection:
        return self.file

    def __exit__(self, kind: object, *fault: object) -> None:
        try:
            if kind is None:
                self.file.commit()
        finally:
            self.file.close()
