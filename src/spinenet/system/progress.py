"""Progress on stderr where somebody looks on; nothing where it goes into a pipe or a log."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress, ProgressColumn

Item = TypeVar("Item")


def is_watched() -> bool:
    """Whether stderr is a terminal."""
    return sys.stderr.isatty()


def progress_bar(*columns: str | ProgressColumn) -> Progress:
    """A bar of these columns, or rich's usual ones; its ``console`` prints lines in either case."""
    console = Console(stderr=True, soft_wrap=True)
    return Progress(*columns, console=console, disable=not is_watched())


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """The items one after the other, with a bar of how many have been."""
    with progress_bar() as progress:
        yield from progress.track(items, total, description=description)
