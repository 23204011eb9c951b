"""A DICOM node (extra ``network``): takes MR images, grades each complete study and sends the results on.

Below the node's folder, ``incoming/STUDY/`` holds every image that was acknowledged and ``node.sqlite`` says which of
them were graded and what waits to be sent where. What lies in the first and not in the second is work to do, so a node
that was killed goes on where it was. STUDY is a digest of the Study Instance UID. Images are kept for a while after the
study is done: should more of it arrive late, or one be corrected, all of it is graded again, and what is sent then says
that it takes the place of what was sent before.
"""

import logging
import shutil
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout
from pydicom.uid import BasicTextSRStorage

from spinenet.errors import NodeError, OutputError, SpinenetError
from spinenet.serve.node.commitment import MODEL, Commitment
from spinenet.serve.node.delivery import MAX_WAIT_S, OWN_FAULTS, OWN_WAIT_S, Backoff, Delivery, Destination
from spinenet.serve.node.dicom_server import DicomServer
from spinenet.serve.node.events import Event, Tally, Tell
from spinenet.serve.node.incoming import (
    OUT_OF_RESOURCES,
    SUCCESS,
    Incoming,
    Receipt,
    patient_in,
    signature,
    study_uid_of,
)
from spinenet.serve.node.peers import Caller, Peer, checked_title
from spinenet.serve.node.state import NodeState, SentObject
from spinenet.serve.node.tls import TlsFiles, client_context, server_context
from spinenet.system.lone_process import ProcessLostError

LOG = logging.getLogger(__name__)

MAX_TRIES = 10
"""A study whose grading did not end so often is set aside. That the node was ended counts once, that the process died
twice."""
MAX_REFUSED_S = 3600.0
"""So long a study waits for images that could not be kept to be sent again."""
BROKEN_OFF_WAIT = 10.0
"""So many times the quiet time a study waits for the rest whose sender broke off."""
AT_ONCE = 20
"""So many studies are looked at before it is looked whether newer ones are complete."""
END_S = 5.0
"""What a thread that is sending has to end before it is left alone."""
PASSING = (NodeError, OutputError, OSError, MemoryError, sqlite3.Error)
"""What is not a study's own fault."""


@dataclass(frozen=True)
class NodeConfig:
    """``callers`` are those that are answered; ``aborting`` ones break off when all is sent. A study is complete after
    ``quiet_s`` without a new image; its images are deleted ``keep_s`` after it is done, or after a start since. Images
    are refused while less than ``reserve_bytes`` are free."""

    aet: str
    port: int
    folder: Path
    callers: tuple[Caller, ...]
    destinations: tuple[Destination, ...] = ()
    host: str = "127.0.0.1"
    quiet_s: float = 30.0
    retry_s: float = 60.0
    keep_s: float = 24 * 3600.0
    reserve_bytes: int = 256 << 20
    commits: bool = False
    compares: bool = False
    tls: TlsFiles = field(default_factory=TlsFiles)
    aborting: tuple[str, ...] = ()


class Grader(Protocol):
    """What makes results of the images in a folder."""

    def grade(self, images: Path, earlier: Sequence[SentObject]) -> Sequence[SentObject]:
        """Grade a study; returns the objects to be sent, which say that they take the place of ``earlier`` ones."""

    def tell(self, images: Path, title: str, words: str) -> Sequence[SentObject]:
        """An object that says something about a study in place of a grade; none where it cannot be filed."""


class Node:
    """Receives and sends in threads of its own; ``work`` grades what is complete, one study after the other."""

    def __init__(self, config: NodeConfig, grader: Grader, tell: Tell) -> None:
        self.config, self.grader, self.told_to = config, grader, tell
        self.tally = Tally()
        self.incoming = Incoming(config.folder / "incoming", config.reserve_bytes)
        self.lock = self.incoming.lock
        self.changed = self.incoming.changed
        self.done: dict[str, float] = {}
        self.waits: dict[str, Backoff] = {}
        self.later: set[str] = set()
        """Studies from before the start, which have their turn after those that have come since."""
        self.recall: Callable[[str], None] | None = None
        """Has an archive send all of a study, by its UID, where there is one."""
        self.suspects: set[str] = set()
        """Studies whose grading did not end, which have theirs last."""
        self.deliveries: list[Delivery] = []
        self.peers = [peer.called for peer in config.destinations]
        self.stopping = threading.Event()
        self.threads: list[threading.Thread] = []
        self.grades = False

    def start(self, pause_s: float = 1.0) -> Any:
        """Open the port, receive and send; returns the server, whose ``shutdown`` ends the receiving. NodeError if it
        cannot."""
        checked_title(self.config.aet)
        self.config.folder.mkdir(parents=True, exist_ok=True)
        self.alone = FileLock(self.config.folder / ".node.lock", thread_local=False)
        try:
            self.alone.acquire(timeout=0)
        except Timeout as error:
            raise NodeError(f"{self.config.folder}: another node receives here; give each a folder") from error
        try:
            self.incoming.open()
            self.state = NodeState(self.config.folder / "node.sqlite")
            self.later, self.suspects = set(self.changed), self.state.unfinished()
            if dropped := self.state.forget_peers(self.peers):
                self.tell("forgotten", f"{dropped} objects waited for destinations that are none any more")
            server = self._listen()
        except BaseException:
            self.alone.release()
            raise
        self.begin(self.commitment.run, pause_s)
        for to in self.config.destinations:
            delivery = Delivery(to, self.config.aet, self.state, self.config.retry_s, self.told, self.tally)
            self.deliveries.append(delivery)
            self.begin(delivery.run, pause_s)
        return server

    def _listen(self) -> Any:
        config = self.config
        tls = client_context(config.tls)
        askers = {
            one.aet: Peer(one.aet, one.host, one.port, tls is not None, tls) for one in config.callers if one.port
        }
        self.commitment = Commitment(self.incoming, self.state, config.aet, askers, self.told)
        commit = (MODEL, self.commitment.action) if config.commits else None
        secret = server_context(config.tls)
        self.server = DicomServer(
            config.aet,
            config.host,
            config.port,
            config.callers,
            self.take,
            self.incoming.ended,
            commit,
            secret,
            config.aborting,
        )
        return self.server.start()

    def begin(self, run: Callable[[threading.Event, float], None], pause_s: float = 1.0) -> None:
        """Let something go on beside, until it is told to stop."""
        thread = threading.Thread(target=run, args=(self.stopping, pause_s), daemon=True)
        thread.start()
        self.threads.append(thread)

    def stop(self) -> None:
        """End grading and sending after the step that each is at."""
        self.stopping.set()

    def problems(self) -> list[str]:
        """What keeps the node from its work now, in words; nothing where all is well."""
        found = [] if self.grades and all(one.is_alive() for one in self.threads) else ["a part of it has ended"]
        if shutil.disk_usage(self.config.folder).free < self.config.reserve_bytes:
            found.append("the disk is full, images are refused")
        try:
            self.state.unsent()
            found += [problem for one in self.deliveries if (problem := one.problem())]
        except sqlite3.Error as error:
            found.append(f"its state cannot be read ({type(error).__name__})")
        return found

    def told(self, event: Event) -> None:
        """Count what happened and tell it."""
        self.tally.add("events", event.name)
        self.told_to(event)

    def tell(self, name: str, text: str, study: str = "") -> None:
        """Tell something."""
        self.told(Event(name, text, study))

    def take(self, read: Callable[[], Any], encode: Callable[[Any], bytes], *, is_asked: bool = False) -> Receipt:
        """Keep an image that came, by whatever way; only a success is kept for certain."""
        receipt = self.incoming.take(read, encode, is_asked=is_asked)
        if receipt.status == SUCCESS:
            self.tally.add("received")
            if wait := self.waits.get(receipt.study):
                wait.until = 0.0
            self.later.discard(receipt.study)
        else:
            self.tally.add("refused")
            told = "could not be kept" if receipt.status == OUT_OF_RESOURCES else "was refused"
            self.tell("refused", f"an image {told}: {receipt.problem}; the sender was told so", receipt.study)
        return receipt

    def work(self, pause_s: float = 1.0) -> None:
        """Grade studies as they become complete, until ``stop`` is called."""
        self.grades = True
        try:
            while not self.stopping.is_set():
                studies = self.complete()
                for study in studies[:AT_ONCE]:
                    if self.stopping.is_set():
                        return
                    self._finish(study)
                self._clear()
                if len(studies) <= AT_ONCE:
                    self.stopping.wait(pause_s)
        finally:
            self.grades = False
            self.stopping.set()
            for thread in self.threads:
                thread.join(END_S)
            self.alone.release()

    def complete(self) -> list[str]:
        """Studies with something to be done, none of which is arriving any more."""
        now, arriving = time.monotonic(), self.server.arriving()
        with self.lock:
            return [
                study
                for study, changed in sorted(self.changed.items(), key=self._turn)
                if study not in arriving
                and changed + self._patience_s(study) <= now
                and (study not in self.waits or self.waits[study].is_over)
            ]

    def _patience_s(self, study: str) -> float:
        """How long after its last image a study is complete."""
        if study in self.incoming.refused:
            return MAX_REFUSED_S
        return self.config.quiet_s * (BROKEN_OFF_WAIT if self.incoming.is_broken_off(study) else 1.0)

    def _turn(self, one: tuple[str, float]) -> tuple[int, float]:
        """When a study has its turn: what has just come first, then what ended nothing, then what did."""
        study, changed = one
        return (study in self.later) + (study in self.suspects), changed

    def _finish(self, study: str) -> None:
        """Grade a study if its images are not those that were graded; whatever happens to it, others go on."""
        with self.lock:
            began, images = self.changed.get(study, 0.0), self.incoming.images(study)
            if refused := self.incoming.refused.pop(study, None):
                self.tell("incomplete", f"{len(refused)} images were refused and never sent again", study)
        try:
            if images:
                self._decide(study, images)
        except (SpinenetError, ProcessLostError) as error:
            LOG.debug("study %s: tried again", study, exc_info=True)
            self._again(study, str(error))
            return
        except OWN_FAULTS as error:
            LOG.debug("study %s: tried again", study, exc_info=True)
            self._again(study, f"the disk, the database or memory failed ({type(error).__name__})", OWN_WAIT_S)
            return
        except Exception as error:  # one study's fault, whatever it is, must not end the node
            LOG.debug("study %s: tried again", study, exc_info=True)
            self._again(study, f"a fault of the program, {type(error).__name__}")
            return
        with self.lock:
            self.waits.pop(study, None)
            self.later.discard(study)
            self.suspects.discard(study)
            self.done[study] = time.monotonic()
            if self.changed.get(study) == began:
                del self.changed[study]

    def _decide(self, study: str, images: Sequence[Path]) -> None:
        """Grade a study, or say why not, unless that was done with these very images."""
        known, now = self.state.of(study), signature(images)
        if now in (known.images, known.told):
            return
        if known.is_deleted and len(images) < known.number and self.recall is not None:
            self.recall(study_uid_of(images))
            with self.lock:
                images = self.incoming.images(study)
                now = signature(images)
        if known.is_deleted and len(images) < known.number:
            words = (
                f"{len(images)} images came after the {known.number} that were graded had been deleted; "
                "that result stays, send the whole study again to have it graded anew"
            )
            self._say(study, now, "late", "spinenet: late images were not graded", words, known.objects)
        elif known.tries >= MAX_TRIES:
            words = f"set aside, its grading did not end {known.tries} times; its images are kept"
            self._say(study, now, "set_aside", "spinenet: not graded", words, known.objects)
        else:
            self._grade(study, now, len(images), known.objects)

    def _say(self, study: str, images: str, name: str, title: str, words: str, earlier: Sequence[SentObject]) -> None:
        """Send words in place of a grade."""
        made = self.grader.tell(self.incoming.folder / study, title, f"Not graded: {words}")
        self.state.told(study, images, made, earlier, self.peers)
        self.tell(name, words, study)

    def _grade(self, study: str, images: str, number: int, earlier: Sequence[SentObject]) -> None:
        self.state.begin(study)
        began = time.monotonic()
        try:
            made = self.grader.grade(self.incoming.folder / study, earlier)
        except ProcessLostError:
            self.state.begin(study)
            self.suspects.add(study)
            raise
        except PASSING:
            self.state.failed_in_passing(study)
            raise
        except SpinenetError as error:  # of the study itself: another try would not change it
            LOG.debug("study %s: not graded", study, exc_info=True)
            self.tell("unreadable", str(error), study)
            made = self.grader.tell(self.incoming.folder / study, "spinenet: not graded", f"Not graded: {error}")
        self.state.graded(study, images, number, made, earlier, self.peers, compare=self.config.compares)
        self.tally.add("grading_seconds", by=time.monotonic() - began)
        again = " of a sender that broke off" if self.incoming.is_broken_off(study) else ""
        again += ", in the place of an earlier result" if earlier else ""
        refused = {one.patient for one in made if one.class_uid == BasicTextSRStorage}
        graded = {one.patient for one in made if one.class_uid != BasicTextSRStorage}
        if not refused:
            self.tell("graded", f"{number} images graded{again}" + ("" if made else ", no object was made"), study)
        elif graded:
            told = self._told_apart(study, refused - graded, len(graded | refused))
            self.tell("partly_graded", f"{told}{again}; the report says why", study)
        else:
            self.tell("not_graded", f"{number} images not graded{again}; the report says why", study)

    def _told_apart(self, study: str, refused: Set[str], patients: int) -> str:
        """How many images of a study of several patients were graded; without numbers where objects name nobody."""
        counts = Counter(patient_in(path) for path in self.incoming.images(study))
        lacking = sum(counts[patient] for patient in refused)
        told = f"{counts.total() - lacking} images graded, {lacking} not" if lacking else "a part of it not graded"
        return f"{told}; {patients} patients under one study UID" if patients > 1 else told

    def _again(self, study: str, why: str, most_s: float = MAX_WAIT_S) -> None:
        """Try again later, each time after twice as long."""
        with self.lock:
            wait_s = self.waits.setdefault(study, Backoff(self.config.retry_s)).fail(most_s)
        self.tell("tried_again", f"{why}; tried again in {wait_s:.0f} s", study)

    def _clear(self) -> None:
        """Delete the images of studies that were done long ago and did not change since, unless they were promised."""
        now = time.monotonic()
        for study in [study for study, at in self.done.items() if at + self.config.keep_s <= now]:
            with self.lock:
                del self.done[study]
                known = self.state.of(study)
                if known.is_committed or study in self.changed:
                    continue
                if known.images != signature(self.incoming.images(study)):
                    continue
                self.state.deleted(study)
                self.incoming.remove(study)
