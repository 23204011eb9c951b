"""How a command ends that cannot go on: one line on stderr, and an exit code."""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer

from spinenet.errors import SpinenetError, in_words

LOG = logging.getLogger(__name__)

USAGE_ERROR: Any = typer.BadParameter.__mro__[1]
"""What typer raises for every wrong word of a call; it has no public name."""
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


@contextmanager
def one_line_usage() -> Iterator[None]:
    """What is wrong with the words of a call ends in one line too, instead of a block on usage."""
    try:
        yield
    except USAGE_ERROR as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # nothing is wrong: help is what was asked for
            raise
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "spinenet"
        _stop(f"{error.format_message().rstrip('.')}; see `{command} --help`", 2)


def _file_fault(error: OSError) -> str:
    """What the system could not do, with which file, and what to do about a full disk."""
    if error.errno == errno.ENOSPC:
        return "the disk is full; free some space and give the same command again: what is finished is kept"
    return f"{error.filename}: {in_words(error)}" if error.filename else in_words(error)


def _stop(message: str, code: int) -> NoReturn:
    typer.echo(f"spinenet: {' '.join(message.split())}", err=True)
    raise typer.Exit(code)
