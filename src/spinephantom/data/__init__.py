"""The phantom's numbers: tables with unit and source, read once into typed records, and what was fitted.

A table is a TOML file here. A quantity has a ``value``, its ``unit`` and its ``source``. A row, such as a tissue, has
one ``source`` for all its columns, whose names carry the units. A source begins with a mark: V and a number is a text
of sources.toml that was read, L a well-known value of the literature that was not read again, D a count of published
data, P a measurement with a probe of this model, E a choice of engineering.
"""

import json
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, TypeVar, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

Record = TypeVar("Record")
Array = NDArray[np.float64]
CALIBRATION = "calibration.json"


class Interval(NamedTuple):
    """Values that are all as likely between two ends."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        """One of them."""
        return float(rng.uniform(self.low, self.high))


class Bell(NamedTuple):
    """Normally distributed values; what lies beyond the ends is moved to them."""

    mean: float
    sd: float
    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        """One of them."""
        return float(np.clip(rng.normal(self.mean, self.sd), self.low, self.high))


def record(kind: type[Record], table: str, section: str) -> Record:
    """One section of a table as a record: its fields are the section's quantities, all of them and no others."""
    quantities, hints = raw(table)[section], get_type_hints(kind)
    if set(quantities) != set(hints):
        raise ValueError(f"{table}.toml, [{section}]: {sorted(set(quantities) ^ set(hints))} in one place only")
    return kind(**{name: _typed(hint, quantities[name]["value"]) for name, hint in hints.items()})


def rows(kind: type[Record], table: str, section: str) -> dict[str, Record]:
    """The rows of one section of a table by name, each a record of its columns."""
    hints = get_type_hints(kind)
    return {
        name: kind(**{column: _typed(hints[column], value) for column, value in row.items() if column != "source"})
        for name, row in raw(table)[section].items()
    }


@cache
def raw(table: str) -> dict[str, dict[str, dict[str, Any]]]:
    """A table as it is written: section -> name -> value, unit and source, or columns and source."""
    return tomllib.loads(files(__name__).joinpath(f"{table}.toml").read_text(encoding="utf-8"))


def _typed(hint: Any, value: Any) -> Any:
    """A value of a table as the type of its field: a named tuple, an array, else numbers in tuples."""
    if get_origin(hint) is np.ndarray:
        return np.array(value, float)
    if hasattr(hint, "_fields"):
        return hint(*value)
    if isinstance(value, dict):
        return {key: _typed(None, item) for key, item in value.items()}
    return tuple(_typed(None, item) for item in value) if isinstance(value, list) else value


@cache
def calibration() -> dict[str, dict[str, list[Any]]]:
    """The fitted numbers that ship with the package: acceptance weights by mode, and ranks for the simulated raters."""
    found: dict[str, dict[str, list[Any]]] = json.loads(files(__name__).joinpath(CALIBRATION).read_text())
    return found
