"""How a command ends that cannot go on: one line on stderr, and an exit code."""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from spinenet.errors import SpinenetError, in_words

LOG = logging.getLogger(__name__)

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


@contextmanager
def one_line_errors(
    stopped: str = "stopped; finished studies are kept, the same command goes on with the others",
) -> Iterator[None]:
    """What a user can meet ends in one line on stderr; a fault of ours keeps its traceback."""
    try:
        yield
    except SpinenetError as error:
        LOG.debug("stopped", exc_info=True)
        _stop(str(error), 2)
    except BrokenPipeError:
        raise  # the reader of our output has gone (`| head`): typer ends quietly
    except OSError as error:
        LOG.debug("stopped", exc_info=True)
        _stop(_file_fault(error), 2)
    except KeyboardInterrupt:
        _stop(stopped, INTERRUPTED)


def _file_fault(error: OSError) -> str:
    """What the system could not do, with which file, and what to do about a full disk."""
    if error.errno == errno.ENOSPC:
        return "the disk is full; free some space and give the same command again: what is finished is kept"
    return f"{error.filename}: {in_words(error)}" if error.filename else in_words(error)


def _stop(message: str, code: int) -> NoReturn:
    typer.echo(f"spinenet: {' '.join(message.split())}", err=True)
    raise typer.Exit(code)
