"""spinenet: reads lumbar spine MRI, finds every disc level and grades it. Research use only, not a medical device."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spinenet.api import Model, Result, load, read
    from spinenet.errors import SpinenetError
    from spinenet.labels import TARGETS
    from spinenet.study import Study, StudyResult

__version__ = "0.1.0"

__all__ = ["TARGETS", "Model", "Result", "SpinenetError", "Study", "StudyResult", "__version__", "load", "read"]

_HOMES = {
    "load": "spinenet.api",
    "read": "spinenet.api",
    "Model": "spinenet.api",
    "Result": "spinenet.api",
    "SpinenetError": "spinenet.errors",
    "TARGETS": "spinenet.labels",
    "Study": "spinenet.study",
    "StudyResult": "spinenet.study",
}
"""Public name -> the module it is taken from when it is first asked for: importing spinenet takes no time."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
