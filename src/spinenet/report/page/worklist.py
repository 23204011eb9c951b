"""``worklist.html``: every study of a folder in the order it should be read in, each with a link to its page.

One file with its own small script and nothing from outside. A study that was not graded is listed with its reason, and
series that a study lacks are named. Patient, date and place stand in it where the studies' files hold them.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from spinenet import __version__
from spinenet.labels import TARGET, View
from spinenet.report.certainty import Certainty, reading_of
from spinenet.report.corrections import APPROVED, CORRECTED
from spinenet.report.document import measurements_of, notes_of, predictions_of, read_document
from spinenet.report.findings import URGENCIES
from spinenet.report.identification import Identification, read_identification
from spinenet.report.options import Language
from spinenet.report.page.html import environment, in_script, inline_script, model_lines
from spinenet.report.page.page_words import ENGLISH, PageWords, page_words
from spinenet.report.ranking import Rank, ranking
from spinenet.report.text.narrative import lacking_views, not_graded
from spinenet.study import Note, Prediction, Severity
from spinenet.system.files import write_text

WORKLIST_FILE = "worklist.html"
NAMED = 3
"""So many findings of a study are named in its row, and so many that cannot be excluded."""
REVIEWS = {APPROVED: "approved by a reader", CORRECTED: "corrected, not approved"}
"""By the code of a note."""
Order = tuple[int, Rank, int]
ExportedGrade = tuple[str, str, str, int, str, bool]
"""Level, title, words, per cent, how surely, and whether it is a finding that stands or is likely."""


@dataclass(frozen=True)
class Entry:
    """One row. ``urgency`` is an index into URGENCIES, -1 where nothing was graded; ``found`` says what it comes from,
    the gravest first, ``still_open`` what cannot be excluded. ``reasons`` are notes with their headings, ``lacking``
    views of the model that the study has no series of, ``not_graded`` targets that it could have graded, ``grades``
    all of them for an export; ``order`` sorts."""

    study: str
    link: str
    status: str
    urgency: int
    found: tuple[str, ...]
    still_open: tuple[str, ...]
    levels: int
    lacking: tuple[str, ...]
    not_graded: tuple[str, ...]
    reasons: tuple[tuple[str, str], ...]
    order: Order
    grades: tuple["ExportedGrade", ...] = ()
    person: Identification = field(default_factory=Identification)
    review: str = ""
    """What a reader did with it, "" where none has looked it through."""

    @property
    def word(self) -> str:
        """The urgency in a word."""
        return URGENCIES[self.urgency] if self.urgency >= 0 else "not graded"


def write_worklist(documents: Mapping[Path, Path], path: Path, language: Language = Language.EN) -> None:
    """Write the page of the studies in ``documents`` (files beside the studies' pages), read one at a time; each with
    the file that says who was examined, which need not be there."""
    model: Mapping[str, Any] = {}
    entries: list[Entry] = []
    words = page_words(language)
    for file, identity in documents.items():
        content, person = read_document(file), read_identification(identity)
        model = content["model"]
        link = quote(file.with_suffix(".html").relative_to(path.parent).as_posix())
        given = (link, model.get("views", ()), person, words, model.get("targets", ()))
        entries += [entry_of(study, *given) for study in content["studies"]]
    write_text(path, render(entries, model, words))


def entry_of(
    study: Mapping[str, Any],
    link: str,
    views: Sequence[str] = (),
    person: Identification | None = None,
    words: PageWords = ENGLISH,
    targets: Sequence[str] = (),
) -> Entry:
    """The row of one study of a document; ``views`` are those that the model can read, ``targets`` those it grades."""
    everything = predictions_of(study)
    predictions = [one for one in everything if not one.experimental]
    failed = study["status"] == "failed"
    notes = [*notes_of(study.get("notes", ())), *notes_of(study["flags"])]
    view_of = {one["name"]: View(one["view"]) for one in study["series"] if one["view"]}
    ranked = ranking(predictions, measurements_of(study), view_of, everything)
    urgency = -1 if failed else ranked.urgency
    there = set(view_of.values())
    return Entry(
        study=study["study"],
        link=link,
        status=study["status"],
        urgency=urgency,
        found=_cut([words.ranked(one) for one in ranked.leading], words),
        still_open=_cut([words.not_excluded(one) for one in ranked.still_open], words),
        levels=len(study["levels"]),
        lacking=() if failed else tuple(words.view(one) for one in lacking_views(there, list(map(View, views)))),
        not_graded=() if failed else tuple(words.phrases.of("target", one) for one in not_graded(everything, targets)),
        reasons=tuple(dict.fromkeys((words.warning(note.code), str(note)) for note in notes if _is_caution(note))),
        order=(urgency, ranked.rank, len(ranked.leading)),
        grades=tuple(_exported(one, words) for one in predictions),
        person=person or Identification(),
        review=next((REVIEWS[note.code] for note in notes if note.code in REVIEWS), ""),
    )


def _is_caution(note: Note) -> bool:
    return note.severity is not Severity.NOTE


def _cut(told: Sequence[str], words: PageWords) -> tuple[str, ...]:
    more = len(told) - NAMED
    return (*told[:NAMED], *([words("{count} more", count=more)] if more > 0 else []))


def _exported(prediction: Prediction, words: PageWords) -> ExportedGrade:
    reading = reading_of(prediction)
    surely = words(reading.word or "stands")
    told = reading.is_finding and reading.certainty is not Certainty.OPEN
    title = words.title(TARGET[prediction.target])
    return prediction.level, title, words.label(prediction), reading.percent, surely, told


def render(entries: Sequence[Entry], model: Mapping[str, Any], words: PageWords = ENGLISH) -> str:
    """The page as text, the most urgent study first, those that were not graded last."""
    ordered = sorted(sorted(entries, key=lambda entry: entry.study), key=lambda entry: entry.order, reverse=True)
    script, script_hash = inline_script("page.js", "worklist.js")
    identified = any(entry.person != Identification() for entry in entries)
    return str(
        _template().render(
            entries=ordered,
            not_graded=[entry for entry in ordered if entry.urgency < 0],
            lacking=sorted({view for entry in entries for view in entry.lacking}),
            identified=identified,
            urgencies=URGENCIES[::-1],
            titles=list(dict.fromkeys(title for entry in entries for _, title, *_ in entry.grades)),
            grades=in_script({entry.study: entry.grades for entry in ordered}) or "{}",
            model_lines=model_lines(model),
            t=words,
            **words.frame,
            script_words=in_script(words.in_scripts(script)) or "{}",
            script=script,
            script_hash=script_hash,
            version=__version__,
        )
    )


@functools.cache
def _template() -> Any:
    return environment().get_template("worklist.html")
