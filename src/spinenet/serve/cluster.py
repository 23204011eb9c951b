"""Studies spread over a Ray cluster (extra ``scale``), whose nodes see the same files and the same output folder.

The caller alone writes the tables, so every study appears once however often a node had to try it.
"""

import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from spinenet.errors import ClusterError, in_words

Item = TypeVar("Item")
Result = TypeVar("Result")

PATIENCE_S = 5.0
TRIES = 6
"""How often an item is tried whose worker or node dies."""


def on_cluster(
    items: Sequence[Item], work: Callable[..., Result], arguments: tuple[Any, ...], address: str
) -> Iterator[tuple[Item, Result | None]]:
    """(item, work(item, *arguments)) in the order they finish; None where every try ended with the worker's death.

    ``address`` is Ray's: ``auto`` on a machine of the cluster, ``HOST:PORT``, or ``ray://HOST:PORT``. ``work`` must be
    importable on the nodes. Raises ClusterError where Ray is not installed or the cluster does not answer.
    """
    ray = _connected(address)
    try:
        task = ray.remote(max_retries=TRIES - 1, num_cpus=1)(work)
        queue = deque(items)
        flying: dict[Any, Item] = {}
        while queue or flying:
            # a few for each core, so that a node never waits for the caller and memory does not grow with the list
            while queue and len(flying) < max(2, 2 * int(ray.cluster_resources().get("CPU", 1))):
                item = queue.popleft()
                flying[task.remote(item, *arguments)] = item
            ready, _ = ray.wait(list(flying), num_returns=1)
            yield flying[ready[0]], _result(ray, ready[0])
            del flying[ready[0]]
    finally:
        ray.shutdown()


def _connected(address: str) -> Any:
    try:
        import ray
    except ImportError as error:
        raise ClusterError("--ray needs Ray; install it with: pip install 'spinenet-mri[scale]'") from error
    try:
        if ":" in address:
            # Ray itself would wait for minutes
            host, port = address.removeprefix("ray://").rsplit(":", 1)
            socket.create_connection((host, int(port)), PATIENCE_S).close()
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise ClusterError(f"no Ray cluster answers at {address} ({in_words(error)}); is it running there?") from error
    return ray


def _result(ray: Any, reference: Any) -> Any:
    """The result of a finished task; None where its process died, the task's own error where it raised one."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.as_instanceof_cause() from error
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.OutOfMemoryError):
        return None
