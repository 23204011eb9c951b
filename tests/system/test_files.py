"""A file is there whole or not at all, and what a killed run left is known by its name."""

import os
from pathlib import Path

import pytest

from spinenet.system import files


def test_a_file_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    files.write_text(path, "one\n")
    with pytest.raises(OSError, match="disk full"), files.replacing(path) as partial:
        partial.write_text("tw")
        raise OSError("disk full")
    assert path.read_text() == "one\n" and list(tmp_path.iterdir()) == [path]


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "1.html"
    path.write_text("old")
    with files.replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old" and files.is_partial(partial)
    assert path.read_text() == "new"


def test_line_ends_are_the_same_on_every_system(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a.csv", "Grüße\n")
    assert (tmp_path / "a.csv").read_bytes() == b"Gr\xc3\xbc\xc3\x9fe\n"


def test_what_was_told_to_be_kept_is_synced_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(files.os, "fsync", lambda opened: synced.append(os.fstat(opened).st_ino))
    files.write_safely(tmp_path / "image.dcm", b"DICM")
    assert synced == [(tmp_path / "image.dcm").stat().st_ino, tmp_path.stat().st_ino]


def test_only_half_written_files_of_ours_are_removed(tmp_path: Path) -> None:
    below = tmp_path / "reports" / "deep"
    below.mkdir(parents=True)
    ours = [tmp_path / ".run.json.26340.partial", tmp_path / "reports" / ".1.html.7.partial"]
    others = [tmp_path / "1.html", tmp_path / ".notes.partial", tmp_path / "a.1.partial", below / ".x.1.partial"]
    for path in (*ours, *others):
        path.write_text("half")
    files.remove_partials(tmp_path)
    assert not any(path.exists() for path in ours) and all(path.exists() for path in others)
