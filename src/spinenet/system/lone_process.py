"""One process that does the same work again and again, and that may die or hang without those who wait for it.

For what runs for months: a decoder that crashes, memory that runs out or work that never ends costs one piece of work.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

from spinenet.system import tracebacks

Item = TypeVar("Item")
Result = TypeVar("Result")


class ProcessLostError(RuntimeError):
    """The process died or was ended during a piece of work."""


class ProcessLateError(ProcessLostError):
    """A piece of work took longer than it may, and its process was ended."""


class LoneProcess(Generic[Item, Result]):
    """``work`` in a process that is started when it is needed and replaced when it is lost; one piece at a time."""

    def __init__(self, work: Callable[[Item], Result], timeout_s: float | None) -> None:
        self.work, self.timeout_s = work, timeout_s
        self._lock = threading.Lock()
        self._process: Any = None
        self._connection: Any = None
        self._is_closed = False

    def __call__(self, item: Item) -> Result:
        """The result of one piece of work; raises what it raised, ProcessLostError where it had no end of its own."""
        with self._lock:
            if self._process is None or not self._process.is_alive():
                self._start()
            try:
                self._connection.send(item)
                if not self._connection.poll(self.timeout_s):
                    raise ProcessLateError(f"it took longer than {self.timeout_s:.0f} s and was ended")
                is_fine, answer = self._connection.recv()
            except (EOFError, OSError) as error:
                self.end()
                raise ProcessLostError("its process died, perhaps for lack of memory") from error
            except ProcessLostError:
                self.end()
                raise
        if not is_fine:
            raise answer
        return answer

    def end(self) -> None:
        """End the process, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._process = None

    def close(self) -> None:
        """End the process for good, from whatever thread; who waits for its work gets a ProcessLostError."""
        self._is_closed = True
        while not self._lock.acquire(timeout=0.05):
            if self._process is not None:
                self._process.kill()
        self.end()
        self._lock.release()

    def _start(self) -> None:
        if self._is_closed:
            raise ProcessLostError("nothing is started any more")
        self.end()
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        shown = tracebacks.are_shown()
        self._process = context.Process(target=_serve, args=(self.work, other, shown), daemon=True)
        self._process.start()
        other.close()


def _serve(work: Callable[[Any], Any], connection: Connection, show_tracebacks: bool) -> None:
    """Do what is asked for until nobody asks any more."""
    begin_child(show_tracebacks)
    while True:
        try:
            item = connection.recv()
        except EOFError:
            return
        try:
            answer: tuple[bool, Any] = (True, work(item))
        except Exception as error:  # noqa: BLE001  # raised again where it was asked for
            answer = (False, error)
        try:
            connection.send(answer)
        except (TypeError, AttributeError, ValueError):  # an error that cannot be sent as it is
            connection.send((False, RuntimeError(type(answer[1]).__name__)))


def begin_child(show_tracebacks: bool) -> None:
    """Leave Ctrl-C to the parent, and end when the parent is gone."""
    if show_tracebacks:
        tracebacks.show()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
