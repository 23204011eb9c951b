"""Results on their way to one destination, in a thread of its own: one that is away holds up nothing but itself.

A destination that does not answer is tried again later, each time after twice as long; an object that it does not take
waits likewise, and the others go on. What was taken is never sent again.
"""

import datetime
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from spinenet.errors import SpinenetError
from spinenet.serve.node.events import Event, Tally, Tell
from spinenet.serve.node.peers import UnreachableError
from spinenet.serve.node.state import NodeState, OutboxEntry

LOG = logging.getLogger(__name__)
MAX_WAIT_S, OWN_WAIT_S = 3600.0, 60.0
"""Whatever fails is tried again after an hour at most; what fails on this computer itself (disk, database, memory),
after a minute: nobody tells when there is room again."""
OWN_FAULTS = (OSError, MemoryError, sqlite3.Error)
LONG_AWAY_S = 60.0
"""A destination that could not be sent to for so long is a problem of the node."""


class Destination(Protocol):
    """Another system that takes objects."""

    @property
    def called(self) -> str:
        """As it is written on a command line."""

    def send(self, files: Sequence[Path], aet: str, taken: Callable[[Path], object]) -> None:
        """Send files, and say of each when it was taken; NodeError where one is not, UnreachableError where none
        can be."""


class Backoff:
    """When something may be tried again: after a while, each time after twice as long."""

    def __init__(self, first_s: float) -> None:
        self.first_s, self.fails, self.until = first_s, 0, 0.0
        self.began: float | None = None
        """When the first failure was, by the clock that nobody sets."""

    def fail(self, most_s: float = MAX_WAIT_S) -> float:
        """Note a failure; returns the seconds until the next try, ``most_s`` at most or the first wait."""
        wait_s = min(self.first_s * 2 ** min(self.fails, 30), max(most_s, self.first_s))
        now = time.monotonic()
        self.fails, self.until = self.fails + 1, now + wait_s
        self.began = now if self.began is None else self.began
        return wait_s

    @property
    def is_over(self) -> bool:
        """Whether it may be tried now."""
        return time.monotonic() >= self.until


class Delivery:
    """What waits for a destination, and sending it."""

    def __init__(self, to: Destination, aet: str, state: NodeState, retry_s: float, tell: Tell, tally: Tally) -> None:
        self.to, self.aet, self.state, self.tell, self.tally = to, aet, state, tell, tally
        self.away = Backoff(retry_s)
        self.retry_s = retry_s
        self.refused: dict[str, Backoff] = {}
        """Studies of which an object was not taken."""

    def run(self, stop: threading.Event, pause_s: float) -> None:
        """Send what waits, until ``stop`` is set."""
        while not stop.wait(pause_s):
            try:
                while self.away.is_over and not stop.is_set() and self.step():
                    pass
            except Exception as error:  # whatever it is, results must go on being sent
                LOG.debug("%s: not sent", self.to.called, exc_info=True)
                most_s = OWN_WAIT_S if isinstance(error, OWN_FAULTS) else MAX_WAIT_S
                self._wait(self.away, "", f"cannot be sent to ({type(error).__name__})", most_s)

    def step(self) -> bool:
        """Send the oldest things that wait; False where there is nothing that may be sent now."""
        later = [study for study, wait in self.refused.items() if not wait.is_over]
        entries = self.state.waiting(self.to.called, later)
        if not entries:
            return False
        sent: list[OutboxEntry] = []
        try:
            for study in dict.fromkeys(entry.study for entry in entries):
                self._send(study, [entry for entry in entries if entry.study == study], sent)
        except UnreachableError as error:
            self._wait(self.away, study, str(error))
        else:
            self.away = Backoff(self.retry_s)
        return bool(sent)

    def problem(self) -> str:
        """That results wait for a destination that has been away for long, and since when; "" else."""
        began = self.away.began
        if began is None or time.monotonic() - began < LONG_AWAY_S:
            return ""
        waiting = self.state.unsent().get(self.to.called, 0)
        since = datetime.datetime.now().astimezone() - datetime.timedelta(seconds=time.monotonic() - began)
        told = f"{self.to.called} cannot be sent to since {since.isoformat(timespec='seconds')}"
        return f"{told}, {waiting} objects wait" if waiting else ""

    def _send(self, study: str, entries: Sequence[OutboxEntry], sent: list[OutboxEntry]) -> None:
        by_path = {entry.path: entry for entry in entries}
        for path in [path for path in by_path if not path.exists()]:
            self.state.sent(by_path.pop(path))
            self.tell(Event("result_gone", "a result was deleted before it was sent", study))

        def taken(path: Path) -> None:
            self.state.sent(by_path[path])
            sent.append(by_path[path])
            self.tally.add("sent", self.to.called)

        before = len(sent)
        try:
            self.to.send(list(by_path), self.aet, taken)
        except UnreachableError:
            raise
        except (SpinenetError, OSError, ValueError) as error:
            LOG.debug("study %s: not sent", study, exc_info=True)
            why = (
                str(error) if isinstance(error, SpinenetError) else f"a result cannot be read ({type(error).__name__})"
            )
            self._wait(self.refused.setdefault(study, Backoff(self.retry_s)), study, why)
        else:
            self.refused.pop(study, None)
        if len(sent) > before:
            self.tell(Event("sent", f"{len(sent) - before} objects sent", study))

    def _wait(self, wait: Backoff, study: str, why: str, most_s: float = MAX_WAIT_S) -> None:
        wait_s = wait.fail(most_s)
        self.tally.add("send_failures", self.to.called)
        self.tell(Event("send_failed", f"{why}; tried again in {wait_s:.0f} s", study))
