"""What is stated before anyone looks: a TOML file with ``name``, optionally the ``bundle`` digest it is meant for, and
one ``[[bar]]`` a figure that must hold. All bars must hold, so none is corrected for the others."""

import hashlib
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from spinenet.errors import ConfigError, in_words
from spinenet.evaluate.quality_assurance.bars import CALLED, OF_DISCS, OF_PATIENTS, Bar, known_figures
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


def load_protocol(path: Path) -> Protocol:
    """Read a protocol; ConfigError says what in it cannot be judged."""
    try:
        text = path.read_bytes()
        content = tomllib.loads(text.decode())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not a protocol in TOML ({in_words(error)})") from error
    bars = content.pop("bar", [])
    known = {one.name for one in fields(Protocol)} - {"bars", "digest"}
    if not bars or set(content) - known:
        wrong = ", ".join(sorted(set(content) - known)) or "no [[bar]]"
        raise ConfigError(f"{path}: {wrong}; a protocol has name, bundle, samples, seed and [[bar]] tables")
    made = tuple(_bar(one, f"{path}: bar {number}") for number, one in enumerate(bars, 1))
    return Protocol(**{"name": path.stem, **content}, bars=made, digest=hashlib.sha256(text).hexdigest())


def _bar(values: dict[str, Any], where: str) -> Bar:
    names = {one.name for one in fields(Bar)}
    if set(values) - names or not {"target", "figure"} <= set(values):
        raise ConfigError(f"{where}: its keys are {', '.join(sorted(names))}; target and figure are needed")
    bar = Bar(**values)
    numbers = [number for number in (bar.least, bar.most, bar.patients, bar.threshold) if number is not None]
    for wrong, what in (
        (bar.target not in TARGET, f"unknown target {bar.target}"),
        ((bar.least is None) == (bar.most is None), "give either least or most"),
        (not all(isinstance(one, int | float) for one in numbers), "least, most, patients and threshold are numbers"),
        (bar.question not in ("presence", "severe"), f"question is {bar.question}, neither presence nor severe"),
        (bar.unit not in (OF_DISCS, OF_PATIENTS), f"unit is {bar.unit}, neither disc nor patient"),
        (bar.threshold is not None and bar.figure not in CALLED, f"a threshold belongs to {', '.join(CALLED)}"),
    ):
        if wrong:
            raise ConfigError(f"{where}: {what}")
    if bar.question == "severe" and SEVERE[bar.target] is None:
        raise ConfigError(f"{where}: {bar.target} has no severe grades")
    if bar.figure not in (known := known_figures(bar)):
        raise ConfigError(
            f"{where}: no figure {bar.figure} of {bar.target} by {bar.unit}; there are {', '.join(known)}"
        )
    return bar
