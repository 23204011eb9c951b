"""A DICOM node (extra ``network``): takes images by C-STORE, grades each complete study and sends the results on.

Below the node's folder, ``incoming/STUDY/`` holds every image that was acknowledged, and ``done/STUDY.json`` says how
many of them had been graded and sent on. What lies in the first and not in the second is work to do, so a node that was
killed goes on where it was. STUDY is a digest of the Study Instance UID. Images are kept for a while after the study is
done: should more of it arrive late, all of it is graded again.
"""

import hashlib
import json
import logging
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread

from spinenet.errors import NodeError, SpinenetError
from spinenet.system.files import remove_partials, sync_names, write_safely

try:
    from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
except ImportError as error:
    raise NodeError("a DICOM node needs pynetdicom: pip install 'spinenet-mri[network]'") from error

LOG = logging.getLogger(__name__)

SUCCESS, OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xC000
"""C-STORE status codes (PS3.4, B.2.3)."""
VERIFICATION = "1.2.840.10008.1.1"

Grade = Callable[[Path], Sequence[Path]]
"""Grade the images in a folder and return the DICOM files that are to be sent on."""


@dataclass(frozen=True)
class Peer:
    """Another DICOM node."""

    aet: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Peer":
        """From ``AET@HOST:PORT``; NodeError if it is not of that form.

        >>> Peer.parse("PACS@10.0.0.7:104")
        Peer(aet='PACS', host='10.0.0.7', port=104)
        """
        aet, _, place = text.partition("@")
        host, _, port = place.rpartition(":")
        if not (aet and len(aet) <= 16 and host and port.isdecimal() and 0 < int(port) < 65536):
            raise NodeError(f"{text!r} names no DICOM node; write AET@HOST:PORT, the title with at most 16 letters")
        return cls(aet, host, int(port))


@dataclass(frozen=True)
class NodeConfig:
    """``callers`` are the AE titles that are answered. A study is complete after ``quiet_s`` without a new image; its
    images are deleted ``keep_s`` after it is done."""

    aet: str
    port: int
    folder: Path
    callers: tuple[str, ...]
    destination: Peer | None = None
    host: str = ""
    quiet_s: float = 30.0
    retry_s: float = 60.0
    keep_s: float = 24 * 3600.0


class Node:
    """Receives in threads of its own; ``work`` grades and sends what is complete, one study after the other."""

    def __init__(self, config: NodeConfig, grade: Grade, say: Callable[[str], None]) -> None:
        self.config, self.grade, self.say = config, grade, say
        self.incoming, self.done = config.folder / "incoming", config.folder / "done"
        self.not_before: dict[str, float] = {}
        self.lock = threading.Lock()
        self.open: dict[Any, set[str]] = {}
        """Associations that are open, with the studies they have sent images of."""

    def start(self) -> Any:
        """Open the port and receive; returns the server, whose ``shutdown`` ends it. NodeError if it cannot."""
        for folder in (self.incoming, self.done):
            folder.mkdir(parents=True, exist_ok=True)
        remove_partials(self.incoming)  # never acknowledged
        node = AE(self.config.aet)
        node.require_called_aet = True
        node.require_calling_aet = list(self.config.callers)
        node.network_timeout = node.dimse_timeout = node.acse_timeout = 60
        node.add_supported_context(VERIFICATION)
        for context in AllStoragePresentationContexts:
            node.add_supported_context(str(context.abstract_syntax), ALL_TRANSFER_SYNTAXES)
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_CONN_OPEN, self._opened),
            (evt.EVT_CONN_CLOSE, self._closed),
        ]
        try:
            return node.start_server((self.config.host, self.config.port), block=False, evt_handlers=handlers)
        except OSError as error:
            place = f"{self.config.host or '*'}:{self.config.port}"
            raise NodeError(f"port {place} cannot be opened: {error.strerror}; choose another --port") from error

    def work(self, stop: threading.Event, pause_s: float = 1.0) -> None:
        """Grade and send studies as they become complete, until ``stop`` is set."""
        while not stop.wait(pause_s):
            for study in self.complete():
                if stop.is_set():
                    return
                self._finish(study)
            self._clear()

    def complete(self) -> list[str]:
        """Studies with images to grade, none of which is arriving any more."""
        with self.lock:
            arriving = set().union(*self.open.values()) if self.open else set()
        now = time.time()
        return [
            folder.name
            for folder in sorted(self.incoming.iterdir())
            if folder.name not in arriving
            and self.not_before.get(folder.name, 0.0) <= now
            and (images := _images(folder))
            and len(images) != self._graded(folder.name)
            and max(image.stat().st_mtime for image in images) + self.config.quiet_s <= now
        ]

    def _finish(self, study: str) -> None:
        count = len(_images(self.incoming / study))
        try:
            results = self._grade(study)
            if self.config.destination:
                send(results, self.config.aet, self.config.destination)
        except (NodeError, OSError) as error:
            LOG.debug("study %s: tried again", study, exc_info=True)
            self.not_before[study] = time.time() + self.config.retry_s
            self.say(f"study {study}: {error}; tried again in {self.config.retry_s:.0f} s")
            return
        write_safely(self.done / f"{study}.json", json.dumps({"images": count}).encode())
        sent = f", {len(results)} objects sent" if self.config.destination else ""
        self.say(f"study {study}: {count} images graded{sent}")

    def _grade(self, study: str) -> Sequence[Path]:
        """The results of a study; none where it cannot be graded, which another try would not change."""
        try:
            return self.grade(self.incoming / study)
        except NodeError:
            raise
        except SpinenetError as error:
            LOG.debug("study %s: not graded", study, exc_info=True)
            self.say(f"study {study}: {error}")
            return []

    def _graded(self, study: str) -> int:
        """How many images of a study had arrived when it was graded last; 0 if it never was."""
        record = self.done / f"{study}.json"
        return int(json.loads(record.read_text())["images"]) if record.exists() else 0

    def _clear(self) -> None:
        """Delete the images of studies that were done long ago."""
        for record in self.done.glob("*.json"):
            folder = self.incoming / record.stem
            late = len(_images(folder)) != self._graded(record.stem)
            if late or record.stat().st_mtime + self.config.keep_s > time.time():
                continue
            shutil.rmtree(folder, ignore_errors=True)
            record.unlink()

    def _opened(self, event: Any) -> None:
        with self.lock:
            self.open[event.assoc] = set()

    def _closed(self, event: Any) -> None:
        with self.lock:
            self.open.pop(event.assoc, None)

    def _store(self, event: Any) -> int:
        """Keep one image; success is answered only after it is safely on disk."""
        try:
            study_uid, instance_uid = str(event.dataset.StudyInstanceUID), str(event.dataset.SOPInstanceUID)
        except (AttributeError, ValueError, TypeError, KeyError, EOFError):
            LOG.debug("an image was refused", exc_info=True)
            return CANNOT_UNDERSTAND
        study, instance = _digest(study_uid), _digest(instance_uid)
        with self.lock:
            self.open.setdefault(event.assoc, set()).add(study)
        try:
            if not (self.incoming / study).exists():
                (self.incoming / study).mkdir(parents=True, exist_ok=True)
                sync_names(self.incoming)
            write_safely(self.incoming / study / f"{instance}.dcm", event.encoded_dataset())
        except OSError as error:
            self.say(f"an image could not be kept: {error.strerror}; the sender was told so")
            return OUT_OF_RESOURCES
        return SUCCESS


def send(files: Sequence[Path], aet: str, peer: Peer) -> None:
    """C-STORE files to another node; NodeError where it does not take every one of them."""
    if not files:
        return
    datasets = [dcmread(path) for path in files]
    node = AE(aet)
    node.acse_timeout = node.dimse_timeout = node.network_timeout = 60
    for uid, syntax in {(data.SOPClassUID, data.file_meta.TransferSyntaxUID) for data in datasets}:
        node.add_requested_context(uid, syntax)
    association = node.associate(peer.host, peer.port, ae_title=peer.aet)
    if not association.is_established:
        raise NodeError(f"{peer.aet} at {peer.host}:{peer.port} does not answer or refuses {aet}")
    try:
        for data in datasets:
            status = _sent(association, data, peer)
            # 0xBxxx are warnings: stored, though not exactly as sent
            if "Status" not in status or (status.Status != SUCCESS and status.Status >> 12 != 0xB):
                answer = f"0x{status.Status:04X}" if "Status" in status else "nothing"
                raise NodeError(f"{peer.aet} did not take a {data.Modality} object (answered {answer})")
    finally:
        association.release()


def _sent(association: Any, data: Any, peer: Peer) -> Any:
    """The answer to one C-STORE, empty where there was none."""
    try:
        return association.send_c_store(data)
    except ValueError as error:
        raise NodeError(f"{peer.aet} does not accept the kind of object that is sent: {error}") from error


def _images(folder: Path) -> list[Path]:
    return list(folder.glob("*.dcm"))


def _digest(uid: str) -> str:
    return hashlib.sha256(uid.encode()).hexdigest()[:24]
