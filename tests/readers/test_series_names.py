"""Names and headers of series as scanners and their users write them, and what each is (``series_names.tsv``)."""

from pathlib import Path

import pytest

from spinenet.labels import View
from spinenet.readers.name_words import names_no_agent
from spinenet.readers.sources import Acquisition
from spinenet.readers.views import decide_view

TABLE = Path(__file__).with_name("series_names.tsv")
VIEWS = {"t1": View.SAGITTAL_T1, "t2": View.SAGITTAL_T2, "stir": View.SAGITTAL_STIR, "-": None}
TIMES = {"T1": {"tr_ms": 600.0, "te_ms": 12.0}, "T2": {"tr_ms": 3500.0, "te_ms": 100.0}}
FIELDS = {"TR": "tr_ms", "TE": "te_ms", "TI": "ti_ms", "type": "image_type", "seq": "sequence"}
LINES = [line.split("\t") for line in TABLE.read_text(encoding="utf-8").splitlines() if line[0] != "#"]


def acquired(name: str, header: str) -> Acquisition:
    values: dict[str, object] = {}
    for part in filter(None, header.split(";")):
        if part in TIMES:
            values |= TIMES[part]
        else:
            key, _, value = part.partition(" ")
            values[FIELDS[key]] = float(value) if key.startswith("T") else value
    return Acquisition(description=name, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "header", "view", "why"), LINES)
def test_a_series_is_what_its_header_and_name_say(name: str, header: str, view: str, why: str) -> None:
    decided = decide_view("sagittal", acquired(name, header))
    assert decided.view is VIEWS[view], f"{why}: {decided.reason}"


@pytest.mark.parametrize(
    ("value", "is_none"),
    [(text, True) for text in ("", "-", "NO CONTRAST", "N/A", "NA", "WITHOUT", "UNKNOWN", "none", "No", "0", "0.0")]
    + [(text, True) for text in ("OHNE KM", "SANS", "Keine", "ANONYMIZED", "REMOVED", "sin contraste", "without", "无")]
    + [(text, False) for text in ("DOTAREM", "Gadovist", "YES", "IV", "15 ml", "KM", "GADOLINIUM", "гадолиний", "钆")],
)
def test_a_contrast_agent_is_none_where_its_tag_says_so(value: str, is_none: bool) -> None:
    assert names_no_agent(value) is is_none
