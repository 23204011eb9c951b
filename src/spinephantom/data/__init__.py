"""The phantom's numbers as files: what was fitted, read once."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

CALIBRATION = "calibration.json"


@cache
def calibration() -> dict[str, dict[str, list[Any]]]:
    """The fitted numbers that ship with the package: acceptance weights by mode, and ranks for the simulated raters."""
    found: dict[str, dict[str, list[Any]]] = json.loads(files("spinephantom").joinpath("data", CALIBRATION).read_text())
    return found
