"""The same work on many items, in several processes of which any may die.

Processes are spawned: a fork would copy locks and threads of whatever is loaded (onnxruntime's do not survive it). They
leave Ctrl-C to the process that started them and end with it, however it ends.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

from spinenet.system import tracebacks

TRIES = 2
"""How often an item is tried by itself: a process may be killed from outside, too."""
Item = TypeVar("Item")
Result = TypeVar("Result")


def in_processes(
    items: Iterable[Item], work: Callable[[Item], Result], workers: int
) -> Iterator[tuple[Item, Result | None]]:
    """(item, work(item)) in the order they finish; None where the process died on that item, TRIES times.

    Nobody can say which of the items in flight killed a pool, so each of them is tried again on its own. What
    ``work`` raises is raised here. ``items`` are drawn as they are needed, and one worker is this process itself.
    """
    if workers < 2:
        yield from ((item, work(item)) for item in items)
        return
    waiting, held = enumerate(items), dict[int, Item]()
    while True:
        try:
            yield from _pooled(waiting, held, work, workers)
            return
        except BrokenProcessPool:
            for item in held.values():
                yield item, _alone(item, work)
            held.clear()


def _pooled(
    waiting: Iterator[tuple[int, Item]], held: dict[int, Item], work: Callable[[Item], Result], workers: int
) -> Iterator[tuple[Item, Result]]:
    """Results as they become ready; ``held`` are the items drawn, few at a time to spare memory, and not done yet."""
    flying: dict[Future[Result], int] = {}
    with _pool(workers) as pool:
        while True:
            for number, item in islice(waiting, 2 * workers - len(flying)):
                held[number] = item
                flying[pool.submit(work, item)] = number
            if not flying:
                return
            for future in wait(flying, return_when=FIRST_COMPLETED).done:
                result = future.result()
                yield held.pop(flying.pop(future)), result


def _alone(item: Item, work: Callable[[Item], Result]) -> Result | None:
    for _ in range(TRIES):
        try:
            with _pool(1) as pool:
                return pool.submit(work, item).result()
        except BrokenProcessPool:
            continue
    return None


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), begin_child, (tracebacks.are_shown(),))


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
