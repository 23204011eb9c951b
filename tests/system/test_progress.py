"""A bar is for who looks on: what is piped or logged gets the lines alone."""

import sys

import pytest

from spinenet.system.progress import progress_bar, track


@pytest.mark.parametrize("watched", [True, False])
def test_a_bar_is_drawn_on_a_terminal_alone(
    watched: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: watched)
    assert list(track(range(3), "counting")) == [0, 1, 2]
    with progress_bar() as progress:
        progress.console.print("a line")
    out, said = capsys.readouterr()
    assert out == "" and ("counting" in said) == watched and "a line" in said
    assert watched or said == "a line\n"
