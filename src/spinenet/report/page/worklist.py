"""``worklist.html``: every study of a folder in the order it should be read in, each with a link to its page.

One file with its own small script and nothing from outside. A study that was not graded is listed with its reason.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from spinenet import __version__
from spinenet.labels import EXPERIMENTAL, RESEARCH_ONLY
from spinenet.report.document import notes_of, predictions_of, read_document
from spinenet.report.findings import URGENCIES, in_words, is_open, urgency, urgency_of
from spinenet.report.page.html import environment, inline_script, model_lines
from spinenet.study import Prediction, Severity
from spinenet.system.files import write_text

WORKLIST_FILE = "worklist.html"
NAMED = 5
"""So many findings of a study are named in its row."""


@dataclass(frozen=True)
class Entry:
    """One row. ``urgency`` is an index into URGENCIES, -1 where nothing was graded."""

    study: str
    link: str
    status: str
    urgency: int
    findings: tuple[str, ...]
    open_grades: int
    levels: int
    reasons: tuple[str, ...]

    @property
    def word(self) -> str:
        """The urgency in a word."""
        return URGENCIES[self.urgency] if self.urgency >= 0 else "not graded"


def write_worklist(documents: Sequence[Path], path: Path) -> None:
    """Write the page of the studies in ``documents`` (files beside the studies' pages), read one at a time."""
    model: Mapping[str, Any] = {}
    entries: list[Entry] = []
    for file in documents:
        content = read_document(file)
        model = content["model"]
        link = quote(file.with_suffix(".html").relative_to(path.parent).as_posix())
        entries += [entry_of(study, link) for study in content["studies"]]
    write_text(path, render(entries, model))


def entry_of(study: Mapping[str, Any], link: str) -> Entry:
    """The row of one study of a document."""
    predictions = predictions_of(study)
    failed = study["status"] == "failed"
    notes = [*notes_of(study.get("notes", ())), *notes_of(study["flags"])]
    return Entry(
        study=study["study"],
        link=link,
        status=study["status"],
        urgency=-1 if failed else urgency_of(predictions),
        findings=findings_by_urgency(predictions),
        open_grades=sum(map(is_open, predictions)),
        levels=len(study["levels"]),
        reasons=tuple(dict.fromkeys(str(note) for note in notes if note.severity is not Severity.NOTE)),
    )


def findings_by_urgency(predictions: Iterable[Prediction]) -> tuple[str, ...]:
    """What makes a study urgent, the worst first; a question mark where the model does not stand by it."""
    urgent = sorted((one for one in predictions if urgency(one)), key=urgency, reverse=True)
    named = [f"{one.level} {in_words(one)}{'' if one.confident else '?'}" for one in urgent[:NAMED]]
    return (*named, *([f"{len(urgent) - NAMED} more"] if len(urgent) > NAMED else []))


def render(entries: Sequence[Entry], model: Mapping[str, Any]) -> str:
    """The page as text, the most urgent study first, those that were not graded last."""
    ordered = sorted(entries, key=lambda entry: (-entry.urgency, entry.study))
    script, script_hash = inline_script("worklist.js")
    return _template().render(
        entries=ordered,
        not_graded=sum(entry.urgency < 0 for entry in entries),
        urgencies=URGENCIES[::-1],
        model_lines=model_lines(model),
        research_only=RESEARCH_ONLY,
        experimental=EXPERIMENTAL,
        script=script,
        script_hash=script_hash,
        version=__version__,
    )


@functools.cache
def _template() -> Any:
    return environment().get_template("worklist.html")
