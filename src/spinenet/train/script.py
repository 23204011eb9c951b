"""A script: a function of one dataclass, whose keys are typed as KEY=VALUE. Help needs no library, the rest Hydra."""

import functools
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from spinenet.train.config_keys import SCHEMAS, help_of

Config = TypeVar("Config")


def script(config_name: str, schema: type[Config]) -> Callable[[Callable[[Config], Any]], Callable[[], None]]:
    """Turn ``main(config: schema)`` into a command that reads ``<config_name>.yaml`` of ``configs``.

    A wrong key, type or value, and every error meant for users, ends in one line on stderr and exit code 2. ``--help``
    explains every key. What ``main`` returns is what a sweeper makes the most of.
    """
    SCHEMAS[config_name] = schema

    def decorate(main: Callable[[Config], Any]) -> Callable[[], None]:
        @functools.wraps(main)
        def command() -> None:
            if {"--help", "-h"} & set(sys.argv[1:]):
                sys.stdout.write(help_of(config_name, schema, main.__doc__ or ""))
                return
            from spinenet.train.hydra_command import run

            run(config_name, main)

        return command

    return decorate
