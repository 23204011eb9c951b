"""The DICOM port of a node: who may come, how much at once, and what is answered."""

import functools
import logging
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, evt
from pynetdicom.pdu import A_RELEASE_RQ

from spinenet.serve.node.incoming import TAKEN, Take
from spinenet.serve.node.peers import Caller, cannot_open, checked_title

VERIFICATION = "1.2.840.10008.1.1"
MAX_PDU_BYTES = 1 << 20
"""No protocol data unit is longer: 16 KB are asked for, an association request has less than this."""
MAX_MESSAGE_BYTES = 1 << 29
"""No image is larger."""
MAX_ASSOCIATIONS = 100
PATIENCE_S = 60.0
"""An association that sends nothing for so long keeps its study open no more."""
LONGEST_FAREWELL = 1024
"""Bytes: what a sender says beside messages, as that it releases its association, is shorter, an image longer."""
REJECTED_PERMANENT, BY_USER, UNKNOWN_CALLER = 1, 1, 3


class StudyEnd(Protocol):
    """Be told whether a study is whole."""

    def __call__(self, study: str, *, is_whole: bool) -> None: ...


Action = Callable[[Any], tuple[int, Any]]


@dataclass
class _Sender:
    """An open association: the study it sent an image of last, and when; whether it was asked to be released."""

    study: str = ""
    at: float = field(default_factory=time.monotonic)
    is_released: bool = False


@dataclass
class DicomServer:
    """Answers callers in threads; ``take`` keeps an image, ``ended`` is told whether a study is whole: not from its
    first image on, and again when its sender goes on to another study or ends in good order; ``commit`` answers a
    request for commitment, None where none is given. Callers of ``aborting`` titles break off when all is sent."""

    aet: str
    host: str
    port: int
    callers: Sequence[Caller]
    take: Take
    ended: StudyEnd
    commit: tuple[str, Action] | None = None
    tls: ssl.SSLContext | None = None
    aborting: Sequence[str] = ()
    _open: dict[Any, _Sender] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> Any:
        """Open the port; returns the server, whose ``shutdown`` ends it. NodeError if it cannot."""
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
        node = AE(checked_title(self.aet))
        node.require_called_aet = True
        node.require_calling_aet = [caller.aet for caller in self.callers]
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
            (evt.EVT_PDU_RECV, self._heard),
            (evt.EVT_DIMSE_RECV, _received),
            (evt.EVT_REQUESTED, self._requested),
        ]
        if self.commit is not None:
            model, action = self.commit
            node.add_supported_context(model)
            handlers.append((evt.EVT_N_ACTION, action))
        try:
            address = (self.host, self.port)
            return node.start_server(address, block=False, evt_handlers=handlers, ssl_context=self.tls)
        except OSError as error:
            raise cannot_open(error, self.host, self.port, "--port") from error

    def arriving(self) -> set[str]:
        """Studies that an association is sending."""
        now = time.monotonic()
        with self._lock:
            return {one.study for one in self._open.values() if one.at + PATIENCE_S > now}

    def _requested(self, event: Any) -> None:
        """Reject a title that comes from another address than it is listed with."""
        association = event.assoc
        title = str(association.requestor.primitive.calling_ae_title).strip()
        address = association.requestor.address
        named = [caller for caller in self.callers if caller.aet == title]
        if named and not any(caller.is_at(address) for caller in named):
            association.acse.send_reject(REJECTED_PERMANENT, BY_USER, UNKNOWN_CALLER)
            association.kill()

    def _opened(self, event: Any) -> None:
        _bound(event.assoc)
        with self._lock:
            self._open[event.assoc] = _Sender()

    def _closed(self, event: Any) -> None:
        with self._lock:
            sender = self._open.pop(event.assoc, None)
        if sender is not None and sender.study:
            is_idle = sender.at + PATIENCE_S / 2 < time.monotonic()  # it had no more to send
            is_usual = str(event.assoc.requestor.ae_title).strip() in self.aborting
            is_amid = MAX_MESSAGE_BYTES - event.assoc.budget.left > LONGEST_FAREWELL
            self.ended(sender.study, is_whole=sender.is_released or ((is_idle or is_usual) and not is_amid))

    def _heard(self, event: Any) -> None:
        if isinstance(event.pdu, A_RELEASE_RQ):
            with self._lock:
                if event.assoc in self._open:
                    self._open[event.assoc].is_released = True

    def _store(self, event: Any) -> int:
        """Keep one image; success is answered only after it is safely on disk."""
        # a C-MOVE of ours (PS3.7, 9.1.1): what a scanner sends of that study meanwhile is no part of it
        is_asked = str(event.request.MoveOriginatorApplicationEntityTitle or "").strip() == self.aet.strip()
        read = functools.partial(getattr, event, "dataset")
        receipt = self.take(read, lambda data: event.encoded_dataset(), is_asked=is_asked)
        with self._lock:
            before = self._open[event.assoc].study if event.assoc in self._open else receipt.study
            if receipt.study and event.assoc in self._open:  # none that was closed meanwhile is opened again
                self._open[event.assoc] = _Sender(receipt.study)
        if receipt.study and receipt.study != before:
            self.ended(receipt.study, is_whole=False)
            if before:
                self.ended(before, is_whole=True)
        return receipt.status


def _received(event: Any) -> None:
    """A message of an association has come as a whole."""
    event.assoc.budget.left = MAX_MESSAGE_BYTES


class _Budget:
    """Bytes that an association may still send before its next message is whole."""

    left = MAX_MESSAGE_BYTES


def _bound(association: Any) -> None:
    """Let an association read no more at once than a protocol data unit may have, no longer than our patience, and no
    more for one image than it may have, whatever its headers promise."""
    socket, budget = association.dul.socket, _Budget()
    receive = socket.recv
    socket.socket.settimeout(PATIENCE_S)
    association.budget = budget

    def bounded(count: int) -> Any:
        budget.left -= count
        if count > MAX_PDU_BYTES or budget.left < 0:
            raise OSError("a protocol data unit or an image without bounds")
        return receive(count)

    socket.recv = bounded
