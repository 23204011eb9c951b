"""What happens in a node: told as lines for people or as JSON, and counted for who watches it. No patient in either."""

import datetime
import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from spinenet.serve.node_settings import LogFormat

Tell = Callable[["Event"], None]


@dataclass(frozen=True)
class Event:
    """One thing that happened: a name for programs, words for people, and the digest of the study it is about."""

    name: str
    text: str
    study: str = ""

    def __str__(self) -> str:
        return f"study {self.study}: {self.text}" if self.study else self.text


def line_of(event: Event, style: LogFormat) -> str:
    """A line of the log, with the time."""
    time = datetime.datetime.now().astimezone().isoformat(timespec="milliseconds")
    text = " ".join(event.text.split())[:2000]
    if style is LogFormat.TEXT:
        return f"{time} {Event(event.name, text, event.study)}"
    about = {"study": event.study} if event.study else {}
    return json.dumps({"time": time, "event": event.name, **about, "text": text}, ensure_ascii=False)


class Tally:
    """How often something happened since the start, by name and label; may be used by many threads."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def add(self, name: str, label: str = "", by: float = 1) -> None:
        """Count one more."""
        with self._lock:
            self._counts[name, label] += by  # type: ignore[assignment]  # seconds are counted too

    def items(self) -> dict[tuple[str, str], float]:
        """All counts until now."""
        with self._lock:
            return dict(self._counts)
