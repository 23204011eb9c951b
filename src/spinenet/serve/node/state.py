"""What a node remembers, in one SQLite file: which images were graded, what waits to be sent where, what was promised.

A row is written before a study is graded and after each step, so that a node that was killed, however often, knows
which study it worked on. The cost of a step does not grow with the number of studies.
"""

import json
import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

LOG = logging.getLogger(__name__)

VERSION = 2
MAX_OBJECTS = 200
"""Of one study, that later ones say they take the place of."""
_TABLES = f"""
CREATE TABLE studies (
    study TEXT PRIMARY KEY, images TEXT NOT NULL DEFAULT '', number INTEGER NOT NULL DEFAULT 0,
    objects TEXT NOT NULL DEFAULT '[]', tries INTEGER NOT NULL DEFAULT 0, is_deleted INTEGER NOT NULL DEFAULT 0,
    told TEXT NOT NULL DEFAULT '', is_committed INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, peer TEXT NOT NULL, study TEXT NOT NULL, path TEXT NOT NULL);
CREATE INDEX unfinished_studies ON studies (tries) WHERE tries > 0;
CREATE INDEX outbox_of_peer ON outbox (peer, id);
CREATE INDEX outbox_of_study ON outbox (study);
CREATE TABLE answers (id INTEGER PRIMARY KEY AUTOINCREMENT, caller TEXT NOT NULL, content TEXT NOT NULL);
CREATE TABLE comparisons (id INTEGER PRIMARY KEY AUTOINCREMENT, study TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0);
PRAGMA user_version = {VERSION};
"""
_BEGIN = "INSERT INTO studies (study, tries) VALUES (?, 1) ON CONFLICT (study) DO UPDATE SET tries = tries + 1"
_GRADED = """
INSERT INTO studies (study, images, number, objects) VALUES (?, ?, ?, ?) ON CONFLICT (study) DO UPDATE SET
images = excluded.images, number = excluded.number, objects = excluded.objects, tries = 0, is_deleted = 0
"""
_TOLD = """
INSERT INTO studies (study, told, objects) VALUES (?, ?, ?) ON CONFLICT (study) DO UPDATE SET
told = excluded.told, objects = excluded.objects
"""
_COMMITTED = (
    "INSERT INTO studies (study, is_committed) VALUES (?, 1) ON CONFLICT (study) DO UPDATE SET is_committed = 1"
)
_WAITING = """
SELECT id, study, path FROM outbox WHERE peer = ? AND study NOT IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?
"""
_OUT = "INSERT INTO outbox (peer, study, path) VALUES (?, ?, ?)"


@dataclass(frozen=True)
class SentObject:
    """A DICOM object by its file and UIDs; ``patient`` is a digest of whom it names."""

    path: str
    study_uid: str
    series_uid: str
    class_uid: str
    instance_uid: str
    patient: str = ""


@dataclass(frozen=True)
class StudyState:
    """``images`` is a digest of the ``number`` images that were graded, "" where none were; ``objects`` were made of
    them and of earlier ones; ``tries`` counts gradings that began and did not end. ``is_deleted`` once the images are,
    ``told`` is the digest of images that something was said of in place of a grade. ``is_committed`` where images were
    promised to be kept."""

    images: str = ""
    number: int = 0
    objects: tuple[SentObject, ...] = ()
    tries: int = 0
    is_deleted: bool = False
    told: str = ""
    is_committed: bool = False


@dataclass(frozen=True)
class OutboxEntry:
    """An object that waits to be sent."""

    id: int
    study: str
    path: Path


class NodeState:
    """The file, opened anew for every step: threads and processes may come and go."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with self._opened() as file:
                version, known = _version(file)
            if known and version != VERSION:
                raise sqlite3.DatabaseError(f"of version {version}")
        except sqlite3.DatabaseError:
            LOG.debug("%s: not a state of this version", path, exc_info=True)
            path.replace(path.with_name(path.name + ".damaged"))  # all studies that are there are graded again
            known = False
        if not known:
            with self._opened() as file:
                file.executescript(_TABLES)

    def of(self, study: str) -> StudyState:
        """What is known of a study."""
        with self._opened() as file:
            query = "SELECT images, number, objects, tries, is_deleted, told, is_committed FROM studies WHERE study = ?"
            row = file.execute(query, (study,)).fetchone()
        if row is None:
            return StudyState()
        images, number, objects, tries, is_deleted, told, is_committed = row
        made = tuple(SentObject(**one) for one in json.loads(objects))
        return StudyState(images, number, made, tries, bool(is_deleted), told, bool(is_committed))

    def begin(self, study: str) -> None:
        """Count a try to grade a study before it begins."""
        with self._opened() as file:
            file.execute(_BEGIN, (study,))

    def unfinished(self) -> set[str]:
        """Studies whose grading began and did not end."""
        with self._opened() as file:
            return {study for (study,) in file.execute("SELECT study FROM studies WHERE tries > 0")}

    def graded(
        self,
        study: str,
        images: str,
        number: int,
        objects: Sequence[SentObject],
        earlier: Sequence[SentObject],
        peers: Sequence[str],
        *,
        compare: bool,
    ) -> None:
        """Note what a study was graded from and what was made of it, which from now on waits for these peers in the
        place of ``earlier`` objects, and whether its priors are to be looked for."""
        with self._opened() as file:
            file.execute(_GRADED, (study, images, number, _listed(objects, earlier)))
            file.execute("DELETE FROM outbox WHERE study = ?", (study,))
            file.executemany(_OUT, [(peer, study, one.path) for peer in peers for one in objects])
            file.execute("DELETE FROM comparisons WHERE study = ?", (study,))
            if compare:
                file.execute("INSERT INTO comparisons (study) VALUES (?)", (study,))

    def told(
        self,
        study: str,
        images: str,
        objects: Sequence[SentObject],
        earlier: Sequence[SentObject],
        peers: Sequence[str],
    ) -> None:
        """Note that something was said of these images in place of a grade, which waits for these peers beside what
        there was."""
        with self._opened() as file:
            file.execute(_TOLD, (study, images, _listed(objects, earlier)))
            file.executemany(_OUT, [(peer, study, one.path) for peer in peers for one in objects])

    def queue(self, study: str, objects: Sequence[SentObject], peers: Sequence[str]) -> None:
        """Let more objects of a study wait for these peers."""
        with self._opened() as file:
            file.executemany(_OUT, [(peer, study, one.path) for peer in peers for one in objects])

    def failed_in_passing(self, study: str) -> None:
        """Take back a try that ended for a reason that is not the study's."""
        with self._opened() as file:
            file.execute("UPDATE studies SET tries = MAX(tries - 1, 0) WHERE study = ?", (study,))

    def deleted(self, study: str) -> None:
        """Note that the images of a study are gone."""
        with self._opened() as file:
            file.execute("UPDATE studies SET is_deleted = 1 WHERE study = ?", (study,))

    def waiting(self, peer: str, but: Sequence[str] = (), most: int = 20) -> list[OutboxEntry]:
        """What waits for a peer, the oldest first, without these studies."""
        with self._opened() as file:
            rows = file.execute(_WAITING, (peer, json.dumps(list(but)), most)).fetchall()
        return [OutboxEntry(number, study, Path(path)) for number, study, path in rows]

    def sent(self, entry: OutboxEntry) -> None:
        """Note that an object was taken; another of its place that came meanwhile waits on."""
        with self._opened() as file:
            file.execute("DELETE FROM outbox WHERE id = ?", (entry.id,))

    def unsent(self) -> dict[str, int]:
        """How many objects wait for each peer."""
        with self._opened() as file:
            return dict(file.execute("SELECT peer, COUNT(*) FROM outbox GROUP BY peer").fetchall())

    def forget_peers(self, known: Sequence[str]) -> int:
        """Drop what waits for peers that are none any more; returns how much that was."""
        with self._opened() as file:
            query = "DELETE FROM outbox WHERE peer NOT IN (SELECT value FROM json_each(?))"
            return file.execute(query, (json.dumps(list(known)),)).rowcount

    def commit(self, studies: Sequence[str], caller: str, content: str) -> None:
        """Note that images of studies are promised to be kept, and the answer that its asker is to get."""
        with self._opened() as file:
            file.executemany(_COMMITTED, [(study,) for study in studies])
            file.execute("INSERT INTO answers (caller, content) VALUES (?, ?)", (caller, content))

    def answers(self) -> list[tuple[int, str, str]]:
        """(number, caller, content) of answers that were not given yet."""
        with self._opened() as file:
            return file.execute("SELECT id, caller, content FROM answers ORDER BY id LIMIT 100").fetchall()

    def answered(self, number: int) -> None:
        """Note that an answer was given."""
        with self._opened() as file:
            file.execute("DELETE FROM answers WHERE id = ?", (number,))

    def comparisons(self) -> list[tuple[int, str, int]]:
        """(number, study, tries) of studies whose priors are to be looked for."""
        with self._opened() as file:
            return file.execute("SELECT id, study, tries FROM comparisons ORDER BY tries, id LIMIT 1").fetchall()

    def compare_again(self, number: int) -> None:
        """Count a try to find priors that failed in passing."""
        with self._opened() as file:
            file.execute("UPDATE comparisons SET tries = tries + 1 WHERE id = ?", (number,))

    def compared(self, number: int) -> None:
        """Note that nothing more is to be done about priors."""
        with self._opened() as file:
            file.execute("DELETE FROM comparisons WHERE id = ?", (number,))

    def _opened(self) -> "_Connection":
        return _Connection(self.path)


def _listed(objects: Sequence[SentObject], earlier: Sequence[SentObject]) -> str:
    """All objects of a study that may have been sent, the newest first: one that nobody took cannot be known apart
    from one that somebody did."""
    by_uid = {one.instance_uid: asdict(one) for one in (*objects, *earlier)}
    return json.dumps(list(by_uid.values())[:MAX_OBJECTS])


def _version(file: sqlite3.Connection) -> tuple[int, bool]:
    """Version of the state, and whether there is any."""
    (version,) = file.execute("PRAGMA user_version").fetchone()
    (tables,) = file.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    return int(version), bool(tables)


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
