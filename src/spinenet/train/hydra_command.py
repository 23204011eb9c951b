"""From YAML to dataclasses: the one place that knows Hydra. Scripts receive plain, typed, validated dataclasses."""

import errno
import functools
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from spinenet.errors import ConfigError, SpinenetError, in_words
from spinenet.train.config_keys import CONFIG_DIR, SCHEMAS

LOG = logging.getLogger(__name__)

Config = TypeVar("Config")


def to_dataclass(schema: type[Config], composed: Any) -> Config:
    """Check a composed configuration against the dataclass and build it; ``__post_init__`` of the parts may refuse."""
    # A plain container forgets its schema, so that keys added with + are checked too.
    plain = _at_home(OmegaConf.to_container(composed, resolve=True))
    merged = OmegaConf.merge(OmegaConf.structured(schema), plain)
    return OmegaConf.to_object(merged)  # type: ignore[return-value]


def _at_home(value: Any) -> Any:
    """Paths below ~ as the shell would have written them, had it looked behind the =."""
    if isinstance(value, dict):
        return {key: _at_home(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_at_home(one) for one in value]
    return os.path.expanduser(value) if isinstance(value, str) and value.startswith("~/") else value


def _own_folder(composed: Any) -> None:
    """Jobs of a multirun that all name one ``out`` get a folder each in it, by their number; "" is none."""
    if composed.get("out") == "":
        raise ConfigError("out= is empty; name a folder")
    job = HydraConfig.get()
    if job.mode is not RunMode.MULTIRUN or "out" not in composed:
        return
    written: Any = OmegaConf.to_container(composed, resolve=False)
    if "${" not in str(written["out"]).replace("${paths.", ""):
        composed.out = f"{composed.out}/{job.job.num}"


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
    if override := _misread_override(error, text):
        return _not_understood(override)
    if isinstance(cause, MissingConfigException) and cause.missing_cfg_file:
        return _no_choice(cause.missing_cfg_file)
    key = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("full_key:")), "")
    if isinstance(cause, MissingMandatoryValue):
        return f"{text.rpartition(': ')[2]}=... is missing; --help says what it is"
    if "is not a ListConfig" in text:
        return f"{key} takes a list: '{key}=[A,B]'"
    text = f"{text} (key: {key})" if key and key not in text else text
    return text + _meant(cause)


def _misread_override(error: BaseException, text: str) -> str:
    """What was typed where Hydra takes a value for grammar of its own (a function, a choice of several), else ""."""
    if isinstance(error, OverrideParseException):
        return str(error.override)
    ambiguous = re.match(r"Ambiguous value for argument '(.*)'", text)
    return ambiguous[1] if ambiguous else ""


def _not_understood(override: str) -> str:
    key, sign, value = override.partition("=")
    if not sign:
        return f"{override}: not understood; a key takes a value: {override}=VALUE"
    return f"{override}: not understood; a value with = ~ , or ( in it needs quotes: '{key}=\"{value}\"'"


def _no_choice(path: str) -> str:
    """What is said of a file of a group that is not there."""
    group, _, choice = path.removesuffix(".yaml").rpartition("/")
    choices = sorted(one.stem for one in (CONFIG_DIR / group).glob("*.yaml"))
    like = get_close_matches(choice, choices, n=1)
    meant = f"; is {like[0]} meant?" if like else ""
    return f"{group} has no choice {choice}, but {', '.join(choices)}{meant}"


def _meant(error: BaseException) -> str:
    """Of a key that a configuration does not have: which of its keys is most like it, or where all are told."""
    schema = getattr(error, "object_type", None)
    if not isinstance(error, ConfigAttributeError | ConfigKeyError) or not is_dataclass(schema):
        return ""
    like = get_close_matches(str(error.key), [field.name for field in fields(schema)], n=1)
    return f"; is {like[0]} meant?" if like else "; --help lists the keys"


def _refuse(error: BaseException) -> NoReturn:
    LOG.debug("refused", exc_info=error)
    sys.stderr.write(f"{Path(sys.argv[0]).name}: {one_line(error)}\n")
    raise SystemExit(2) from error


def _file_fault(error: OSError) -> str:
    """What the system could not do with which file, and what to do about a full disk."""
    if error.errno == errno.ENOSPC:
        return "the disk is full; free some space, then a training goes on by resume=true from its last finished epoch"
    return f"{error.filename}: {in_words(error)}" if error.filename else in_words(error)


def register() -> None:
    """Tell Hydra the dataclasses of all scripts that were imported."""
    for name, schema in SCHEMAS.items():
        ConfigStore.instance().store(name=f"{name}_schema", node=schema)


def job_overrides() -> list[str]:
    """What was typed, or swept, for this job; nothing outside of a command."""
    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


@contextmanager
def started_again(out: str) -> Iterator[None]:
    """While this lasts, Lightning starts ``train.ranks`` with the keys of this job, whose folder is ``out``; outside of
    a command nothing changes.

    It would call ``sys.argv[0]`` again, where commands have their words and no file.
    """
    if not HydraConfig.initialized():
        yield
        return
    import __main__

    job = HydraConfig.get()
    own = [f'out="{out}"'] if job.mode is RunMode.MULTIRUN else []
    before = sys.argv, __main__.__spec__
    sys.argv = [sys.argv[0], str(job.job.config_name), *job_overrides(), *own]
    __main__.__spec__ = find_spec("spinenet.train.ranks")
    try:
        yield
    finally:
        sys.argv, __main__.__spec__ = before


def flags_last(arguments: list[str]) -> list[str]:
    """What was typed with ``--multirun`` at its end; Hydra takes no key=value after it where there were some before.

    >>> flags_last(["fold=0", "--multirun", "seed=1,2"])
    ['fold=0', 'seed=1,2', '--multirun']
    """
    return sorted(arguments, key=lambda one: one in ("--multirun", "-m"))


def run(config_name: str, main: Callable[[Any], Any]) -> None:
    """Compose ``<config_name>.yaml`` with what was typed, check it against its dataclass and call ``main`` with it."""
    register()

    @functools.wraps(main)
    def typed_main(composed: Any) -> Any:
        try:
            _own_folder(composed)
            config: Any = to_dataclass(SCHEMAS[config_name], composed)
        except (SpinenetError, OmegaConfBaseException, ValueError) as error:
            _refuse(error)
        try:
            return main(config)
        except SpinenetError as error:
            _refuse(error)
        except BrokenPipeError:
            raise  # the reader of our output has gone
        except OSError as error:
            _refuse(ConfigError(_file_fault(error)))

    sys.argv[1:] = flags_last(sys.argv[1:])
    # Hydra prints a stack of its own and exits unless it is told to let errors through.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name=config_name)(typed_main)()
    except (HydraException, OmegaConfBaseException) as error:
        _refuse(error)
