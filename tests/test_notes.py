"""Notes are records: whatever their words, the same is flagged, refused, listed and shown."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinenet.labels import View
from spinenet.model.bundle import Bundle
from spinenet.predict import predict_study
from spinenet.readers import StudySource
from spinenet.readers.overrides import as_asked, with_views
from spinenet.report.document import study_entry
from spinenet.report.page.html import render
from spinenet.report.page.worklist import entry_of
from spinenet.report.page.worklist import render as render_worklist
from spinenet.serve.batch import model_facts
from spinenet.study import Note, Scope, Severity, Study, StudyResult
from spinephantom import PhantomStudy

FIRST_DISC = 201


@pytest.fixture(scope="module")
def studies(phantom: PhantomStudy, perfect_segmenter: Any) -> Any:
    """Studies of one patient of which much is said: discs too many and too few, series that differ, files left out."""
    masked = {item.name: (item.series, item.mask_SRC) for item in phantom.series}
    t1, t2 = masked["t1"], masked["t2"]
    discs = {
        "plain": [t1[1], t2[1]],
        "below": [t1[1], _with_disc_below(t2[1])],
        "unlike": [np.where(t1[1] == FIRST_DISC, 0, t1[1]), t2[1]],
        "gap": [t1[1], np.where(t2[1] == FIRST_DISC + 2, 0, t2[1])],
        "refused": [np.where(mask == FIRST_DISC, 0, mask) for _, mask in (t1, t2)],
    }
    return {
        key: [(series, mask) for (series, _), mask in zip((t1, t2), masks, strict=True)] for key, masks in discs.items()
    }


def _with_disc_below(mask_SRC: np.ndarray) -> np.ndarray:
    """The lowest disc once more, 30 rows further down."""
    copy = mask_SRC.copy()
    copy[:, 30:][mask_SRC[:, :-30] == FIRST_DISC] = 250
    return copy


@pytest.fixture
def results(
    studies: Any, tiny_bundle: Bundle, perfect_segmenter: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], dict[str, StudyResult]]:
    """``results()``: what is made of each study."""

    def run() -> dict[str, StudyResult]:
        made = {}
        for key, masked in studies.items():
            segment = perfect_segmenter(*masked)
            monkeypatch.setattr(Bundle, "segment", lambda self, images, segment=segment: segment(images))
            source = with_views(StudySource(key, Path(key)), [(View.AXIAL_T2, "none")])
            asked, unmet = as_asked([series for series, _ in masked], source.wanted)
            made[key] = predict_study(Study(key, tuple(asked), tuple(unmet)), tiny_bundle)
        return made

    return run


def reword(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on every note is born with other words."""
    born = Note.__init__

    def in_other_words(self: Note, code: str, scope: Scope, subject: str, text: str, *severity: Severity) -> None:
        born(self, code, scope, subject, f"anders gesagt ({len(text)})", *severity)

    monkeypatch.setattr(Note, "__init__", in_other_words)


def facts_of(notes: tuple[Note, ...]) -> list[tuple[object, ...]]:
    return [(note.code, note.scope, note.subject, note.severity) for note in notes]


def structure_of(page: str) -> list[str]:
    """The tags of a page with their classes, without what they hold."""
    return re.findall(r'<(\w+(?: class="[^"]*")?)', re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL))


def test_other_words_change_no_flag_no_order_and_no_page(
    results: Callable[[], Mapping[str, StudyResult]], tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = results()
    reword(monkeypatch)
    after = results()
    model = model_facts(tiny_bundle)
    for key, one in before.items():
        other = after[key]
        assert one.message != other.message and "anders gesagt" in other.message
        assert (one.status, one.predictions) == (other.status, other.predictions)
        assert facts_of(one.flags) == facts_of(other.flags) and facts_of(one.notes) == facts_of(other.notes)
        assert structure_of(render(one, model=model)) == structure_of(render(other, model=model))
    rows = [[entry_of(study_entry(one), f"{key}.html") for key, one in made.items()] for made in (before, after)]
    worklists = [render_worklist(entries, model) for entries in rows]
    orders = [re.findall(r'data-study="(\w+)"', worklist) for worklist in worklists]
    assert orders[0] == orders[1] and sorted(orders[0]) == sorted(before)
    assert structure_of(worklists[0]) == structure_of(worklists[1])


def test_what_is_said_of_the_studies_is_worth_rewording(results: Callable[[], Mapping[str, StudyResult]]) -> None:
    said = {key: {note.code for note in (*one.notes, *one.flags)} for key, one in results().items()}
    assert "doubtful_names" in said["below"] and "named_as_other" in said["unlike"] and "no_sacrum" in said["refused"]
    assert all("no_such_series" in codes for codes in said.values())


def test_a_note_in_a_message_names_what_it_speaks_of() -> None:
    result = StudyResult("a", "partial", 0.0, flags=(Note("coarse", Scope.SERIES, "t2", "too coarse", Severity.FLAG),))
    assert result.message == "t2: too coarse"
    assert replace(result, status="failed").message == ""
