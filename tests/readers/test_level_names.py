"""Names of levels that a reader gives beforehand: by study, understood or refused in one line."""

from pathlib import Path

import pytest

from spinenet.errors import ReadError
from spinenet.readers.level_names import GivenNames, given_names

SPINE = ("L5/S1", "L4/L5", "L3/L4")


def test_a_study_is_named_by_its_key_or_by_where_it_lies(tmp_path: Path) -> None:
    scan = tmp_path / "scan"
    scan.mkdir()
    table = tmp_path / "levels.csv"
    table.write_text(f"study,levels\nstudy-1,L4/L5\n{scan},S1/S2 l5/s1; L4/L5\n", encoding="utf-8-sig")
    names = given_names(table, ["T12/L1", "study-3=L3/L4"])
    elsewhere = tmp_path / "elsewhere"
    assert names.of("study-1", elsewhere) == ("L4/L5",)
    assert names.of("study-2", scan) == ("S1/S2", "L5/S1", "L4/L5")
    assert names.of("study-3", elsewhere) == ("L3/L4",) and names.of("study-4", elsewhere) == ("T12/L1",)
    assert GivenNames().of("study-1", elsewhere) == ()
    names.check([("study-1", elsewhere), ("study-2", scan), ("study-3", elsewhere)])
    with pytest.raises(ReadError, match="study-3: names of levels were given to no study"):
        names.check([("study-1", elsewhere), ("study-2", scan)])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("study,levels\na,L6/S1\n", "line 2: L6/S1 names no level"),
        ("study,levels\na,\n", "line 2: nothing names no level"),
        ("study,levels\na,L4/L5 L5/S1\n", "not in order"),
        ("study,levels\na,L4/L5 L4/L5\n", "not in order"),
        ("study,levels\n,L4/L5\n", "line 2: says no study"),
        ("key,lowest\na,L4/L5\n", "columns study and levels"),
        ("", "columns study and levels"),
    ],
)
def test_a_table_that_is_not_understood_is_refused_with_its_line(tmp_path: Path, content: str, why: str) -> None:
    table = tmp_path / "levels.csv"
    table.write_text(content, encoding="utf-8")
    with pytest.raises(ReadError, match=why):
        given_names(table, ())


@pytest.mark.parametrize("text", ["L9", "a=", "L5/S1 L4/L5", ""])
def test_the_lowest_level_is_one_name(text: str) -> None:
    with pytest.raises(ReadError, match="--lowest-level"):
        given_names(None, [text])


@pytest.mark.parametrize("text", ["l5-s1", "L5_S1", "L5/s1", " l5/S1 "])
def test_a_level_is_named_in_any_case_with_slash_hyphen_or_underscore(text: str, tmp_path: Path) -> None:
    assert given_names(None, [text]).of("study-1", tmp_path) == ("L5/S1",)
    assert given_names(None, [f"study-1={text}"]).of("study-1", tmp_path) == ("L5/S1",)


def test_a_table_that_is_not_there_or_is_an_image_is_refused(tmp_path: Path) -> None:
    picture = tmp_path / "scan.png"
    picture.write_bytes(b"\x89PNG\xff\xfe\0")
    for path in (picture, tmp_path / "none.csv"):
        with pytest.raises(ReadError, match="cannot be read as a table"):
            given_names(path, ())
