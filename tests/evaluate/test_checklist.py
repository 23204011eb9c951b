"""The reviewer's checklist points to places that exist, and says so where nothing answers."""

import re
from pathlib import Path

import pytest

CHECKLIST = Path(__file__).parents[2] / "notebooks" / "CHECKLIST.md"
ROWS = [[cell.strip() for cell in line.split("|")[1:4]] for line in CHECKLIST.read_text().splitlines() if "|" in line]
ITEMS = {row[0]: row for row in ROWS if re.fullmatch(r"\d+|[a-z]|[TM]\d+", row[0])}
STATED = "not answered|retrospective|all that is public|none"


def test_every_item_of_claim_and_tripod_is_there():
    assert [name for name in ITEMS if name.isdigit()] == [str(number) for number in range(1, 45)]
    assert [name for name in ITEMS if name[0] == "T"] == [f"T{number}" for number in range(1, 28)]


@pytest.mark.parametrize("item", ITEMS)
def test_an_item_is_answered_by_a_file_or_says_that_it_is_not(item):
    _, asked, answer = ITEMS[item]
    links = re.findall(r"\]\(([^)#]+)\)", answer)
    assert asked and (links or re.search(STATED, answer))
    for link in links:
        assert (CHECKLIST.parent / link).resolve().exists(), link
