"""What a user reads when something is not there: words, no numbers of the system."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from spinenet.cli import app


@pytest.mark.parametrize(
    "words",
    [
        ("verify", "absent"),
        ("compare", "absent", "absent"),
        ("apply", "absent", "--images", ".", "--out", "out"),
        ("accept", ".", "absent", "--protocol", "absent", "--out", "out"),
        ("monitor", "absent", "--days", "absent", "--out", "out"),
        ("evaluate", "predictions=absent"),
        ("prepare", "data=table", "data.root=absent"),
    ],
    ids=lambda words: words[0],
)
def test_a_file_that_is_not_there_is_told_in_plain_words(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["spinenet"])
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2 and done.stderr.count("\n") == 1
    assert "absent" in done.stderr and "no such file" in done.stderr
    assert "Errno" not in done.stderr and "Error" not in done.stderr
