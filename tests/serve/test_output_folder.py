"""A folder of results belongs to one run at a time, and a killed run leaves no half-written file to the next."""

from pathlib import Path

import pytest

from spinenet.errors import OutputError
from spinenet.serve.output_folder import locked


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
