"""Processes that die cost the item they worked on, no other."""

import multiprocessing
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from spinenet.system import tracebacks
from spinenet.system.processes import in_processes

WORKER_MODULE = """
import os, signal, time
from spinenet.system import tracebacks
def told(number):
    return tracebacks.are_shown()
def work(number):
    if number < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 1000:
        time.sleep(600)
    return 10 * number
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Work that spawned processes can import."""
    (tmp_path / "spinenet_test_worker.py").write_text(WORKER_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield __import__("spinenet_test_worker")
    sys.modules.pop("spinenet_test_worker", None)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_dying_process_costs_its_own_item_only(module: Any) -> None:
    results = dict(in_processes(iter([1, 2, -3, 4, 5, 6, 7, 8, -9]), module.work, 2))
    assert results == {-3: None, -9: None} | {number: 10 * number for number in (1, 2, 4, 5, 6, 7, 8)}


def test_an_item_that_takes_too_long_costs_itself_only(module: Any) -> None:
    began = time.monotonic()
    results = dict(in_processes(iter([1000, 1, 2, 3]), module.work, 2, timeout_s=12.0))
    assert results == {1000: None, 1: 10, 2: 20, 3: 30} and time.monotonic() - began < 60


def test_processes_end_with_whoever_asked_for_them(module: Any) -> None:
    results = in_processes(iter([1, 1000, 1000]), module.work, 2)
    assert next(results) == (1, 10) and multiprocessing.active_children()
    results.close()  # type: ignore[attr-defined]
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("shown", [False, True])
def test_tracebacks_are_shown_in_every_process_or_in_none(
    module: Any, monkeypatch: pytest.MonkeyPatch, shown: bool
) -> None:
    monkeypatch.setattr(tracebacks, "are_shown", lambda: shown)
    assert dict(in_processes([1, 2], module.told, 2)) == {1: shown, 2: shown}


def test_items_are_drawn_as_they_are_needed() -> None:
    drawn: list[int] = []

    def items() -> Iterator[int]:
        for number in range(5):
            drawn.append(number)
            yield number

    results = in_processes(items(), abs, 1)
    assert next(results) == (0, 0) and drawn == [0]


def test_what_the_work_raises_is_raised_by_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_processes([1, 0], partial(divmod, 10), 2))
