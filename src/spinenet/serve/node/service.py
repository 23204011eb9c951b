"""A DICOM node (extra ``network``): takes MR images by C-STORE, grades each complete study and sends the results on.

Below the node's folder, ``incoming/STUDY/`` holds every image that was acknowledged and ``node.sqlite`` says which of
them were graded and what was sent where. What lies in the first and not in the second is work to do, so a node that was
killed goes on where it was. STUDY is a digest of the Study Instance UID. Images are kept for a while after the study is
done: should more of it arrive late, or one be corrected, all of it is graded again.

Times are measured by a clock that nobody sets; after a start they begin anew.
"""

import functools
import hashlib
import logging
import re
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydicom import dcmread

from spinenet.errors import NodeError, OutputError, SpinenetError, in_words
from spinenet.serve.node.peers import SUCCESS, Peer, checked_title, send
from spinenet.serve.node.state import NodeState
from spinenet.system.files import remove_partials, sync_names, write_safely

try:
    from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, evt
except ImportError as error:
    raise NodeError("a DICOM node needs pynetdicom: pip install 'spinenet-mri[network]'") from error

LOG = logging.getLogger(__name__)

OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0xA700, 0xC000
"""C-STORE status codes (PS3.4, B.2.3)."""
VERIFICATION = "1.2.840.10008.1.1"
TAKEN = ("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.4.4")
"""MR, enhanced MR and legacy converted MR images; what is no MR image is not offered a place to go."""
MAX_PDU_BYTES = 1 << 20
"""No protocol data unit is longer: 16 KB are asked for, an association request has less than this."""
MAX_ASSOCIATIONS = 100
PATIENCE_S = 60.0
"""An association that sends nothing for so long keeps its study open no more."""
MAX_TRIES = 3
"""A study whose grading ended the node, or itself, so often is set aside."""
MAX_WAIT_S = 3600.0

Grade = Callable[[Path], Sequence[Path]]
"""Grade the images in a folder and return the DICOM files that are to be sent on."""


@dataclass(frozen=True)
class NodeConfig:
    """``callers`` are the AE titles that are answered. A study is complete after ``quiet_s`` without a new image; its
    images are deleted ``keep_s`` after it is done, or after a start since."""

    aet: str
    port: int
    folder: Path
    callers: tuple[str, ...]
    destinations: tuple[Peer, ...] = ()
    host: str = "127.0.0.1"
    quiet_s: float = 30.0
    retry_s: float = 60.0
    keep_s: float = 24 * 3600.0


@dataclass
class _Sender:
    """An open association: the study it sent an image of last, and when."""

    study: str = ""
    at: float = field(default_factory=time.monotonic)


class Node:
    """Receives in threads of its own; ``work`` grades and sends what is complete, one study after the other."""

    def __init__(self, config: NodeConfig, grade: Grade, say: Callable[[str], None]) -> None:
        self.config, self.grade, self.say = config, grade, say
        self.incoming = config.folder / "incoming"
        self.lock = threading.RLock()
        """Held while an image is put in its place, and while images are counted or deleted."""
        self.changed: dict[str, float] = {}
        """Studies that may have something to be done, and when the last image of each arrived."""
        self.done: dict[str, float] = {}
        self.not_before: dict[str, float] = {}
        self.waits: dict[str, int] = {}
        self.refused: dict[str, set[str]] = {}
        """Images of a study that could not be kept and were not sent again yet."""
        self.open: dict[Any, _Sender] = {}

    def start(self) -> Any:
        """Open the port and receive; returns the server, whose ``shutdown`` ends it. NodeError if it cannot."""
        titles = [checked_title(title) for title in (self.config.aet, *self.config.callers)]
        self.incoming.mkdir(parents=True, exist_ok=True)
        self.alone = FileLock(self.config.folder / ".node.lock", thread_local=False)
        try:
            self.alone.acquire(timeout=0)
        except Timeout as error:
            raise NodeError(f"{self.config.folder}: another node receives here; give each a folder") from error
        remove_partials(self.incoming)  # never acknowledged
        self.state = NodeState(self.config.folder / "node.sqlite")
        now = time.monotonic()
        self.changed = {folder.name: now for folder in self.incoming.iterdir() if folder.is_dir()}
        return self._listening(titles)

    def _listening(self, titles: Sequence[str]) -> Any:
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
        node = AE(titles[0])
        node.require_called_aet = True
        node.require_calling_aet = list(titles[1:])
        node.maximum_associations = MAX_ASSOCIATIONS
        node.network_timeout = node.dimse_timeout = PATIENCE_S
        node.acse_timeout = PATIENCE_S / 4
        node.add_supported_context(VERIFICATION)
        for uid in TAKEN:
            node.add_supported_context(uid, ALL_TRANSFER_SYNTAXES)
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_CONN_OPEN, self._opened),
            (evt.EVT_CONN_CLOSE, self._closed),
        ]
        try:
            return node.start_server((self.config.host, self.config.port), block=False, evt_handlers=handlers)
        except OSError as error:
            self.alone.release()
            place = f"{self.config.host or '*'}:{self.config.port}"
            raise NodeError(f"port {place} cannot be opened: {in_words(error)}; choose another --port") from error

    def work(self, stop: threading.Event, pause_s: float = 1.0) -> None:
        """Grade and send studies as they become complete, until ``stop`` is set."""
        try:
            while not stop.wait(pause_s):
                for study in self.complete():
                    if stop.is_set():
                        return
                    self._finish(study)
                self._clear()
        finally:
            self.alone.release()

    def complete(self) -> list[str]:
        """Studies with something to be done, none of which is arriving any more."""
        now = time.monotonic()
        with self.lock:
            arriving = {one.study for one in self.open.values() if one.at + PATIENCE_S > now}
            return [
                study
                for study, changed in sorted(self.changed.items(), key=lambda one: one[1])
                if study not in arriving
                and not self.refused.get(study)
                and changed + self.config.quiet_s <= now
                and self.not_before.get(study, 0.0) <= now
            ]

    def _finish(self, study: str) -> None:
        """Grade a study if its images are not those that were graded, and send what was not sent."""
        with self.lock:
            began, images = self.changed.get(study, 0.0), self._images(study)
        try:
            if images and self._is_new(study, images):
                self._grade(study, images)
            sent = self._send(study)
        except (SpinenetError, OSError, MemoryError) as error:
            LOG.debug("study %s: tried again", study, exc_info=True)
            self._again(study, str(error) if isinstance(error, SpinenetError) else type(error).__name__)
            return
        except Exception as error:  # one study's fault, whatever it is, must not end the node
            LOG.debug("study %s: tried again", study, exc_info=True)
            self._again(study, f"a fault of the program, {type(error).__name__}")
            return
        if sent:
            self.say(f"study {study}: {sent} objects sent")
        with self.lock:
            self.waits.pop(study, None)
            self.done[study] = time.monotonic()
            if self.changed.get(study) == began:
                del self.changed[study]

    def _is_new(self, study: str, images: Sequence[Path]) -> bool:
        """Whether a study is to be graded: not what was graded before, nor what is left of more, nor set aside."""
        known = self.state.of(study)
        if known.images == _signature(images):
            return False
        if known.is_deleted and len(images) < known.number:
            self.say(
                f"study {study}: {len(images)} images came after the {known.number} that were graded had been deleted; "
                "that result stays, send the whole study again to have it graded anew"
            )
            return False
        if known.tries >= MAX_TRIES:
            self.say(f"study {study}: set aside, its grading did not end {known.tries} times; its images are kept")
            return False
        return True

    def _grade(self, study: str, images: Sequence[Path]) -> None:
        signature = _signature(images)
        self.state.begin(study)
        try:
            results = self.grade(self.incoming / study)
        except (NodeError, OutputError, OSError, MemoryError):
            self.state.failed_in_passing(study)
            raise
        except SpinenetError as error:  # of the study itself: another try would not change it
            LOG.debug("study %s: not graded", study, exc_info=True)
            self.say(f"study {study}: {error}")
            results = []
        self.state.graded(study, signature, len(images), results)
        self.say(f"study {study}: {len(images)} images graded" + ("" if results else ", no object was made"))

    def _send(self, study: str) -> int:
        """Send what its destinations have not taken yet; returns how many objects that were."""
        peers = {peer.called: peer for peer in self.config.destinations}
        count, faults = 0, []
        for called, files in self.state.unsent(study, list(peers)).items():
            there = [path for path in files if path.exists()]
            try:
                send(there, self.config.aet, peers[called], functools.partial(self._taken, study, called))
                count += len(there)
            except NodeError as error:
                LOG.debug("study %s: not sent", study, exc_info=True)
                faults.append(str(error))
        if faults:
            raise NodeError("; ".join(faults))
        return count

    def _taken(self, study: str, peer: str, result: Path) -> None:
        self.state.sent(study, result, peer)

    def _again(self, study: str, why: str) -> None:
        """Try again later, each time after twice as long."""
        wait_s = min(self.config.retry_s * 2 ** self.waits.get(study, 0), MAX_WAIT_S)
        with self.lock:
            self.waits[study] = self.waits.get(study, 0) + 1
            self.not_before[study] = time.monotonic() + wait_s
        self.say(f"study {study}: {why}; tried again in {wait_s:.0f} s")

    def _clear(self) -> None:
        """Delete the images of studies that were done long ago and did not change since."""
        now = time.monotonic()
        for study in [study for study, at in self.done.items() if at + self.config.keep_s <= now]:
            with self.lock:
                del self.done[study]
                known = self.state.of(study)
                if study in self.changed or known.images != _signature(self._images(study)):
                    continue
                self.state.deleted(study)
                shutil.rmtree(self.incoming / study, ignore_errors=True)

    def _images(self, study: str) -> list[Path]:
        return sorted((self.incoming / study).glob("*.dcm"))

    def _opened(self, event: Any) -> None:
        _bound(event.assoc)
        with self.lock:
            self.open[event.assoc] = _Sender()

    def _closed(self, event: Any) -> None:
        with self.lock:
            self.open.pop(event.assoc, None)

    def _store(self, event: Any) -> int:
        """Keep one image; success is answered only after it is safely on disk."""
        try:
            data = event.dataset
            uids = [str(data.StudyInstanceUID).strip(), str(data.SOPInstanceUID).strip()]
            place = str(data.get("ImagePositionPatient"))
        except (AttributeError, ValueError, TypeError, KeyError, EOFError, NotImplementedError):
            LOG.debug("an image was refused", exc_info=True)
            return CANNOT_UNDERSTAND
        if not all(re.fullmatch(r"[0-9.]{1,64}", uid) for uid in uids):
            return CANNOT_UNDERSTAND
        study, instance = map(_digest, uids)
        with self.lock:
            if event.assoc in self.open:  # none that was closed meanwhile is opened again
                self.open[event.assoc] = _Sender(study)
            try:
                self._keep(study, instance, place, event.encoded_dataset())
            except OSError as error:
                self.refused.setdefault(study, set()).add(instance)
                self.say(f"an image could not be kept: {in_words(error)}; the sender was told so")
                return OUT_OF_RESOURCES
            self.refused.get(study, set()).discard(instance)
        return SUCCESS

    def _keep(self, study: str, instance: str, place: str, content: bytes) -> None:
        """Write an image to its place: in that of an earlier one of its UID where it lies there too, and so corrects
        it, else beside it."""
        folder = self.incoming / study
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            sync_names(self.incoming)
        path = folder / f"{instance}.dcm"
        if path.exists() and path.read_bytes() != content and _place_of(path) != place:
            path = folder / f"{instance}-{hashlib.sha256(content).hexdigest()[:16]}.dcm"
        if not path.exists() or path.read_bytes() != content:
            write_safely(path, content)
        self.changed[study] = time.monotonic()
        self.not_before.pop(study, None)


def _place_of(path: Path) -> str:
    try:
        return str(
            dcmread(path, stop_before_pixels=True, specific_tags=["ImagePositionPatient"]).get("ImagePositionPatient")
        )
    except (OSError, ValueError, TypeError, AttributeError, KeyError, EOFError):
        return ""


def _bound(association: Any) -> None:
    """Let an association read no more at once than a protocol data unit may have, whatever its header promises."""
    socket = association.dul.socket
    receive = socket.recv

    def bounded(count: int) -> Any:
        if count > MAX_PDU_BYTES:
            raise OSError("a protocol data unit without bounds")
        return receive(count)

    socket.recv = bounded


def _signature(images: Sequence[Path]) -> str:
    """Changes with every image that comes, goes or is written again."""
    records = [(path.name, (found := path.stat()).st_size, found.st_mtime_ns) for path in images]
    return hashlib.sha256(repr(records).encode()).hexdigest()[:32] if records else ""


def _digest(uid: str) -> str:
    return hashlib.sha256(uid.encode()).hexdigest()[:24]
