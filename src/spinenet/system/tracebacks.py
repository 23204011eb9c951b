"""Tracebacks of what is otherwise told in one line, for whoever asks for them (``spinenet --debug``).

A module that turns what was raised into a sentence or a note logs it first, at level DEBUG below the logger
``spinenet``. Unless asked for, nothing is said: what a library raises may name files and patients.
"""

import logging

_LOGGER = logging.getLogger("spinenet")


def show() -> None:
    """Write them to stderr from now on, those of processes started by ``in_processes`` too."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    _LOGGER.addHandler(handler)
    _LOGGER.setLevel(logging.DEBUG)


def are_shown() -> bool:
    """Whether they are asked for."""
    return _LOGGER.isEnabledFor(logging.DEBUG)
