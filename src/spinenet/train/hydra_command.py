"""From YAML to dataclasses: the one place that knows Hydra. Scripts receive plain, typed, validated dataclasses."""

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import hydra
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from spinenet.errors import SpinenetError

INSTALLED = Path(__file__).parents[1] / "configs"
"""Where a wheel has the YAML files; a checkout has them at its top."""
CONFIG_DIR = INSTALLED if INSTALLED.is_dir() else Path(__file__).parents[3] / "configs"

Config = TypeVar("Config")


def to_dataclass(schema: type[Config], composed: Any) -> Config:
    """Check a composed configuration against the dataclass and build it; ``__post_init__`` of the parts may refuse."""
    # A plain container forgets its schema, so that keys added with + are checked too.
    plain = OmegaConf.to_container(composed, resolve=True)
    merged = OmegaConf.merge(OmegaConf.structured(schema), plain)
    return OmegaConf.to_object(merged)  # type: ignore[return-value]


def one_line(error: BaseException) -> str:
    """What is wrong with a configuration, without Hydra's stack and help text.

    >>> one_line(ValueError("must be positive\\nfull_key: lr"))
    'must be positive (key: lr)'
    """
    cause = error
    while cause.__cause__ is not None and isinstance(cause, HydraException):
        cause = cause.__cause__
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    text = lines[0] if lines else type(cause).__name__
    key = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("full_key:")), "")
    return f"{text} (key: {key})" if key and key not in text else text


def _refuse(error: BaseException) -> NoReturn:
    sys.stderr.write(f"{Path(sys.argv[0]).name}: {one_line(error)}\n")
    raise SystemExit(2) from error


def script(config_name: str, schema: type[Config]) -> Callable[[Callable[[Config], None]], Callable[[], None]]:
    """Turn ``main(config: schema)`` into a Hydra command that reads ``<config_name>.yaml`` of CONFIG_DIR.

    A wrong key, type or value, and every error meant for users, ends in one line on stderr and exit code 2.
    """
    ConfigStore.instance().store(name=f"{config_name}_schema", node=schema)

    def decorate(main: Callable[[Config], None]) -> Callable[[], None]:
        @functools.wraps(main)
        def typed_main(composed: Any) -> None:
            try:
                config = to_dataclass(schema, composed)
            except (SpinenetError, OmegaConfBaseException, ValueError) as error:
                _refuse(error)
            try:
                main(config)
            except SpinenetError as error:
                _refuse(error)

        command = hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name=config_name)(typed_main)

        def guarded() -> None:
            # Hydra prints a stack of its own and exits unless it is told to let errors through.
            os.environ["HYDRA_FULL_ERROR"] = "1"
            try:
                command()
            except (HydraException, OmegaConfBaseException) as error:
                _refuse(error)

        return guarded

    return decorate
