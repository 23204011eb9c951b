"""The same work on many items, in several processes of which any may die.

Each process has its item to itself, so a death costs no other item, and another process takes its place. They are
spawned: a fork would copy locks and threads of whatever is loaded (onnxruntime's do not survive it).
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from queue import SimpleQueue
from typing import TypeVar

from spinenet.system.lone_process import LoneProcess, ProcessLateError, ProcessLostError

TRIES = 3
"""How often an item is tried whose process dies: it may have been killed from outside, too."""
Item = TypeVar("Item")
Result = TypeVar("Result")


def in_processes(
    items: Iterable[Item], work: Callable[[Item], Result], workers: int, timeout_s: float | None = None
) -> Iterator[tuple[Item, Result | None]]:
    """(item, work(item)) in the order they finish; None where the process died on that item, TRIES times, or took
    longer than ``timeout_s``.

    What ``work`` raises is raised here. ``items`` are drawn as they are needed, and one worker is this process itself.
    """
    if workers < 2:
        yield from ((item, work(item)) for item in items)
        return
    free: SimpleQueue[LoneProcess[Item, Result]] = SimpleQueue()
    processes = [LoneProcess(work, timeout_s) for _ in range(workers)]
    for process in processes:
        free.put(process)
    threads = ThreadPoolExecutor(workers)
    try:
        yield from _finished(iter(items), lambda item: threads.submit(_tried, free, item), 2 * workers)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.close()
        threads.shutdown()


def _finished(
    waiting: Iterator[Item], submit: Callable[[Item], Future[Result | None]], most: int
) -> Iterator[tuple[Item, Result | None]]:
    """Results as they become ready; ``most`` items are drawn ahead, to spare memory."""
    flying: dict[Future[Result | None], Item] = {}
    while True:
        flying |= {submit(item): item for item in islice(waiting, most - len(flying))}
        if not flying:
            return
        for future in wait(flying, return_when=FIRST_COMPLETED).done:
            yield flying.pop(future), future.result()


def _tried(free: "SimpleQueue[LoneProcess[Item, Result]]", item: Item) -> Result | None:
    process = free.get()
    try:
        for _ in range(TRIES):
            try:
                return process(item)
            except ProcessLateError:
                return None
            except ProcessLostError:
                continue
        return None
    finally:
        free.put(process)
