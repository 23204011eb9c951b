"""What is stated before anyone looks: a TOML file with ``name``, optionally the ``bundle`` digest it is meant for, and
one ``[[bar]]`` a figure that must hold. All bars must hold, so none is corrected for the others."""

import hashlib
import math
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spinenet.errors import ConfigError, in_words
from spinenet.evaluate.estimates import NEITHER_IS_BETTER
from spinenet.evaluate.intervals import FEWEST_SAMPLES
from spinenet.evaluate.quality_assurance.bars import (
    CALLED,
    LOWER_IS_BETTER,
    OF_DISCS,
    OF_PATIENTS,
    WITHOUT_LIMIT,
    Bar,
    known_figures,
)
from spinenet.evaluate.samples import SEVERE
from spinenet.labels import TARGET


@dataclass(frozen=True)
class Protocol:
    """What was stated before anyone looked: ``bundle`` is the digest it is meant for, "" for any."""

    name: str
    bars: tuple[Bar, ...]
    bundle: str = ""
    samples: int = 2000
    seed: int = 0
    digest: str = ""


def _is_whole(least: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


_OF_PROTOCOL: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (_is_text, "a text"),
    "bundle": (
        lambda value: isinstance(value, str) and bool(re.fullmatch("([0-9a-f]{64})?", value)),
        'the 64 letters of digest in spinenet verify, or "" for any',
    ),
    "samples": (_is_whole(FEWEST_SAMPLES), f"a whole number from {FEWEST_SAMPLES}"),
    "seed": (_is_whole(0), "a whole number from 0"),
}
_OF_BAR: dict[str, tuple[Callable[[Any], bool], str]] = {
    "target": (lambda value: value in list(TARGET), f"one of {', '.join(TARGET)}"),
    "figure": (_is_text, "the name of a figure"),
    "least": (_is_number, "a number"),
    "most": (_is_number, "a number"),
    "patients": (_is_whole(1), "a whole number from 1"),
    "question": (lambda value: value in ("presence", "severe"), "presence or severe"),
    "unit": (lambda value: value in (OF_DISCS, OF_PATIENTS), "disc or patient"),
    "threshold": (lambda value: _is_number(value) and 0 < value < 1, "a probability between 0 and 1"),
}


def load_protocol(path: Path) -> Protocol:
    """Read a protocol; ConfigError says what in it cannot be judged."""
    try:
        text = path.read_bytes()
        content = tomllib.loads(text.decode())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not a protocol in TOML ({in_words(error)})") from error
    bars = content.pop("bar", [])
    if not bars or not isinstance(bars, list) or not all(isinstance(one, dict) for one in bars):
        raise ConfigError(f"{path}: no [[bar]]; a protocol has {', '.join(_OF_PROTOCOL)} and [[bar]] tables")
    _check(content, _OF_PROTOCOL, str(path))
    made = tuple(_bar(one, f"{path}: bar {number}") for number, one in enumerate(bars, 1))
    return Protocol(**{"name": path.stem, **content}, bars=made, digest=hashlib.sha256(text).hexdigest())


def _check(values: dict[str, Any], checks: dict[str, tuple[Callable[[Any], bool], str]], where: str) -> None:
    for key, value in values.items():
        if key not in checks:
            raise ConfigError(f"{where}: no such key {key}; there are {', '.join(checks)}")
        is_fine, words = checks[key]
        if not is_fine(value):
            raise ConfigError(f"{where}: {key} is {value!r}; it is {words}")


def _bar(values: dict[str, Any], where: str) -> Bar:
    _check(values, _OF_BAR, where)
    if not {"target", "figure"} <= set(values) or ("least" in values) == ("most" in values):
        raise ConfigError(f"{where}: it needs target and figure, and either least or most")
    bar = Bar(**values)
    if bar.question == "severe" and SEVERE[bar.target] is None:
        raise ConfigError(f"{where}: {bar.target} has no severe grades")
    if bar.figure not in (known := known_figures(bar)):
        raise ConfigError(
            f"{where}: no figure {bar.figure} of {bar.target} by {bar.unit}; there are {', '.join(known)}"
        )
    if bar.threshold is not None and bar.figure not in CALLED:
        raise ConfigError(f"{where}: a threshold belongs to {', '.join(CALLED)}")
    _check_limit(bar, where)
    return bar


def _check_limit(bar: Bar, where: str) -> None:
    """A bar on the wrong side would pass what is bad, one out of the figure's range nothing or anything."""
    wanted = "most" if bar.figure in LOWER_IS_BETTER else "least"
    if getattr(bar, wanted) is None and bar.figure not in NEITHER_IS_BETTER:
        better = "lower" if wanted == "most" else "higher"
        raise ConfigError(f"{where}: {bar.figure} is better the {better} it is; give {wanted}")
    if bar.figure not in WITHOUT_LIMIT and abs(bar.limit) > 1:
        raise ConfigError(f"{where}: {bar.figure} cannot pass {bar.limit:g}; it is never above 1 (0.9, not 90)")
