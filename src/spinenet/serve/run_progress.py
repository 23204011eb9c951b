"""How a run goes, on the terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from spinenet.readers.overrides import UNMET
from spinenet.serve.batch import StudyRows
from spinenet.system.progress import progress_bar


@contextmanager
def run_progress() -> Iterator[Any]:
    """A bar where stderr is a terminal, and a line for every study that is not ``ok`` or lacks a series asked for."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with progress_bar(*columns) as progress:
        task = progress.add_task("reading headers", total=None)

        def show(done: int, total: int, rows: StudyRows | None) -> None:
            progress.update(task, completed=done, total=total, description="predicting")
            if rows and (rows.study.status != "ok" or UNMET in rows.codes):
                line = f"{rows.study.study}: {rows.study.status}: {rows.why or rows.study.message}"
                progress.console.print(escape(line), highlight=False)

        yield show
