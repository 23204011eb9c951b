"""A folder of results belongs to one run at a time, and a killed run leaves no half-written file to the next."""

from pathlib import Path

import pytest

from spinenet.errors import OutputError
from spinenet.readers import StudySource
from spinenet.report.options import Language, ReportOptions
from spinenet.report.tables import study_row
from spinenet.serve.output_folder import claim, locked, options_of
from spinenet.study import StudyResult


def test_a_second_run_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(OutputError, match="another run"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_what_a_killed_run_was_writing_is_removed_and_nothing_else(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    reports.mkdir()
    for path in (reports / ".1.html.26340.partial", reports / "1.html", tmp_path / ".studies.csv.7.partial"):
        path.write_text("half", encoding="utf-8")
    with locked(tmp_path):
        assert [path.name for path in reports.iterdir()] == ["1.html"]
        assert not (tmp_path / ".studies.csv.7.partial").exists()


def test_each_study_keeps_how_the_run_that_made_its_results_was_asked(tmp_path: Path) -> None:
    first, second = (StudySource(name, tmp_path / name) for name in "ab")
    model, out = {"name": "a model"}, tmp_path / "out"
    german, french = ReportOptions(language=Language.DE), ReportOptions(identify=True, language=Language.FR)
    with locked(out):
        claim(out, model, [first], {}, again=False, options=german)
        there = {"a": study_row(StudyResult("a", "ok", 0.0))}
        claim(out, model, [second], there, again=False, options=french)
        assert [options_of(out, key) for key in ("a", "b", "")] == [german, french, french]
        claim(out, model, [first, second], there, again=False)
        assert [options_of(out, key) for key in ("a", "b")] == [german, french]
        claim(out, model, [first], there, again=True, options=french)
        assert options_of(out, "a") == french
