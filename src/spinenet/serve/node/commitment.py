"""Storage commitment (PS3.4, annex J): a sender asks which images are kept here, and is told in a report of its own.

An image is confirmed where it lies here whole, under the class that was asked for; the images of such a study are never
deleted by the node. The report goes to the address that is listed for the asker, on a new association, again and again
until it was taken; where none is listed, on the association that asked.
"""

import json
import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import build_role
from pynetdicom.presentation import build_context

from spinenet.errors import SpinenetError
from spinenet.serve.node.delivery import Backoff
from spinenet.serve.node.events import Event, Tell
from spinenet.serve.node.incoming import Incoming
from spinenet.serve.node.peers import Peer, UnreachableError, associated
from spinenet.serve.node.state import NodeState

LOG = logging.getLogger(__name__)
MODEL, INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
ALL_KEPT, SOME_LACK = 1, 2
"""Event types of the report."""
PROCESSING_FAILURE, NO_SUCH_OBJECT, CLASS_CONFLICT = 0x0110, 0x0112, 0x0119
NO_SUCH_ACTION, INVALID_ARGUMENT = 0x0123, 0x0115
MAX_OBJECTS = 100_000
"""In one request."""
ON_ITS_ASSOCIATION_S = 20.0


class Commitment:
    """Answers requests; ``askers`` are the nodes whose address is known, by title."""

    def __init__(self, incoming: Incoming, state: NodeState, aet: str, askers: dict[str, Peer], tell: Tell) -> None:
        self.incoming, self.state, self.aet, self.askers, self.tell = incoming, state, aet, askers, tell
        self.waits: dict[str, Backoff] = {}
        self.open: dict[int, tuple[Any, float]] = {}
        """Associations on which something was asked and is to be answered, and since when."""

    def action(self, event: Any) -> tuple[int, Dataset | None]:
        """Answer N-ACTION: the request is noted, its report comes later (PS3.4, J.3.2)."""
        try:
            if event.action_type != 1:
                return NO_SUCH_ACTION, None
            asked = event.action_information
            transaction = str(asked.TransactionUID)
            wanted = [(str(one.ReferencedSOPClassUID), str(one.ReferencedSOPInstanceUID)) for one in _references(asked)]
        except (AttributeError, ValueError, TypeError, KeyError, EOFError):
            return INVALID_ARGUMENT, None
        if not wanted or len(wanted) > MAX_OBJECTS:
            return INVALID_ARGUMENT, None
        caller = str(event.assoc.requestor.ae_title).strip()
        try:
            lacking, studies = self._lacking(wanted)
            content = json.dumps({"transaction": transaction, "wanted": wanted, "lacking": lacking})
            self.state.commit(studies, caller, content)
        except Exception:  # a full disk, a damaged file: nothing is promised
            LOG.debug("a commitment was not given", exc_info=True)
            return PROCESSING_FAILURE, None
        self.open = {key: one for key, one in self.open.items() if one[0].is_established}
        self.open[id(event.assoc)] = (event.assoc, time.monotonic())
        self.tell(Event("commitment", f"{len(wanted) - len(lacking)} of {len(wanted)} images are kept for {caller}"))
        return 0x0000, None

    def _lacking(self, wanted: Sequence[tuple[str, str]]) -> tuple[dict[str, int], list[str]]:
        """Image -> why it cannot be confirmed, and the studies of those that can."""
        found = self.incoming.holders([instance for _, instance in wanted])
        lacking: dict[str, int] = {}
        for kind, instance in wanted:
            if instance not in found:
                lacking[instance] = NO_SUCH_OBJECT
            elif _class_of(found[instance]) != kind:
                lacking[instance] = CLASS_CONFLICT
        kept = {path.parent.name for uid, path in found.items() if uid not in lacking}
        return lacking, sorted(kept)

    def run(self, stop: threading.Event, pause_s: float) -> None:
        """Report what was asked for, until ``stop`` is set."""
        while not stop.wait(pause_s):
            try:
                for number, caller, content in self.state.answers():
                    self._answer(number, caller, json.loads(content))
            except Exception:  # whatever it is, others are to be answered
                LOG.debug("a commitment was not reported", exc_info=True)

    def _answer(self, number: int, caller: str, content: dict[str, Any]) -> None:
        report = report_of(content)
        peer, wait = self.askers.get(caller), self.waits.setdefault(caller, Backoff(5.0))
        if peer is None:
            if self._on_its_association(caller, report):
                self.state.answered(number)
            elif not any(since + ON_ITS_ASSOCIATION_S > time.monotonic() for _, since in self.open.values()):
                self.state.answered(number)
                text = f"{caller} was gone before it was told what is kept; list it as {caller}@HOST:PORT"
                self.tell(Event("commitment_failed", text))
            return
        if not wait.is_over:
            return
        try:
            with associated(peer, self.aet, [build_context(MODEL)], [build_role(MODEL, scp_role=True)]) as association:
                _send(association, report)
        except (SpinenetError, ValueError, RuntimeError) as error:
            LOG.debug("a commitment was not reported", exc_info=True)
            self.tell(Event("commitment_failed", f"{error}; told again in {wait.fail():.0f} s"))
            return
        self.waits.pop(caller)
        self.state.answered(number)

    def _on_its_association(self, caller: str, report: Dataset) -> bool:
        """Tell it on an association that asked and is still there."""
        for key, (association, _) in list(self.open.items()):
            if not association.is_established:
                del self.open[key]
            elif str(association.requestor.ae_title).strip() == caller:
                _send(association, report)
                return True
        return False


def report_of(content: dict[str, Any]) -> Dataset:
    """What N-EVENT-REPORT says of a request (PS3.4, J.3.3)."""
    lacking, wanted = content["lacking"], content["wanted"]
    report = Dataset()
    report.TransactionUID = content["transaction"]
    kept = [_reference(*one) for one in wanted if one[1] not in lacking]
    if kept:
        report.ReferencedSOPSequence = kept
    if lacking:
        failed = [_reference(*one) for one in wanted if one[1] in lacking]
        for one in failed:
            one.FailureReason = lacking[one.ReferencedSOPInstanceUID]
        report.FailedSOPSequence = failed
    return report


def _reference(kind: str, instance: str) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = kind, instance
    return reference


def _send(association: Any, report: Dataset) -> None:
    kind = SOME_LACK if "FailedSOPSequence" in report else ALL_KEPT
    status, _ = association.send_n_event_report(report, kind, MODEL, INSTANCE)
    if "Status" not in status or status.Status != 0x0000:
        raise UnreachableError("a report of what is kept was not taken")


def _references(asked: Dataset) -> Sequence[Any]:
    return asked.ReferencedSOPSequence


def _class_of(path: Path) -> str:
    try:
        return str(dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"]).get("SOPClassUID"))
    except (OSError, ValueError, TypeError, AttributeError, KeyError, EOFError):
        return ""
