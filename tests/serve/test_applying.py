"""``spinenet apply``: what a reader saved on a page becomes the results of that study and a labelled set."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from spinenet.errors import OutputError
from spinenet.locating.discs import NUMBERING
from spinenet.model.bundle import Bundle, load_bundle
from spinenet.readers.level_names import GivenNames
from spinenet.report.options import DEFAULT, Language, Output, ReportOptions
from spinenet.serve.applying import apply_corrections
from spinenet.serve.batch import predict_paths

SAMPLE = Path(__file__).parents[2] / "data" / "sample"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle()


@pytest.fixture(scope="module")
def out(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    assert predict_paths([SAMPLE], folder, bundle).counts["ok"] == 1
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def saved(folder: Path, bundle: Bundle, study: str, **changes: Any) -> Path:
    content = {
        "corrections": 2,
        "adopted": [],
        "study": study,
        "model": bundle.metadata["digest"],
        "reader": "Reader^Jo",
        "at": "2026-11-27T03:04:05Z",
        "approved": True,
        "shift": 0,
        "struck": [],
        "grades": {"L4/L5": {"herniation": 1}},
        "comments": {},
    }
    path = folder / "corrected.json"
    path.write_text(json.dumps({**content, **changes}), encoding="utf-8")
    return path


def test_corrections_reach_tables_text_and_report_and_nothing_else_changes(
    out: Path, bundle: Bundle, tmp_path: Path
) -> None:
    before = rows(out / "predictions.csv")
    key = before[0]["study"]
    assert apply_corrections([saved(tmp_path, bundle, key)], [SAMPLE], out, bundle, DEFAULT) == [key]
    after = rows(out / "predictions.csv")
    changed = [one for one in after if one not in before and one["evidence"] != "approved"]
    assert [(one["level"], one["target"], one["grade"], one["evidence"]) for one in changed] == [
        ("L4/L5", "herniation", "1", "reader")
    ]
    assert len(after) == len(before) and len(rows(out / "studies.csv")) == 1
    (label,) = rows(out / "corrections.csv")
    assert (label["study"], label["target"], label["grade"], label["corrected"]) == (key, "herniation", "0", "1")
    for name in (f"{key}.txt", f"{key}.html"):
        text = (out / "reports" / name).read_text(encoding="utf-8")
        assert "not verified; a transitional" not in text and NUMBERING.text not in text
    assert "Corrected and approved by Reader^Jo" in (out / "reports" / f"{key}.txt").read_text(encoding="utf-8")
    assert dcmread(out / "reports" / f"{key}.sr.dcm").VerificationFlag == "VERIFIED"


def test_corrected_results_show_what_the_earlier_run_showed_unless_told_otherwise(
    bundle: Bundle, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    asked = ReportOptions(True, False, False, Language.DE, True, (Output.REPORT, Output.FHIR))
    predict_paths([SAMPLE], out, bundle, options=asked)
    key = rows(out / "predictions.csv")[0]["study"]
    there = {path.name for path in (out / "reports").iterdir()}
    name = dcmread(out / "reports" / f"{key}.sr.dcm").PatientName
    given = [saved(tmp_path, bundle, key)]
    apply_corrections(given, [SAMPLE], out, bundle, DEFAULT)
    assert {path.name for path in (out / "reports").iterdir()} == there >= {f"{key}.identity.json", f"{key}.fhir.json"}
    assert dcmread(out / "reports" / f"{key}.sr.dcm").PatientName == name
    assert "Lendenwirbelsäule" in (out / "reports" / f"{key}.txt").read_text(encoding="utf-8")
    apply_corrections(given, [SAMPLE], out, bundle, DEFAULT, given={"outputs"})
    assert not (out / "reports" / f"{key}.fhir.json").exists()
    assert (out / "reports" / f"{key}.identity.json").exists()


def test_a_second_file_takes_the_place_of_the_first(out: Path, bundle: Bundle, tmp_path: Path) -> None:
    key = rows(out / "predictions.csv")[0]["study"]
    second = saved(tmp_path, bundle, key, grades={"L5/S1": {"bulging": 1}}, approved=False)
    apply_corrections([second], [SAMPLE], out, bundle, DEFAULT)
    by_reader = [(one["level"], one["target"]) for one in rows(out / "predictions.csv") if one["evidence"] == "reader"]
    assert by_reader == [("L5/S1", "bulging")]
    assert [one["target"] for one in rows(out / "corrections.csv")] == ["bulging"]
    assert dcmread(out / "reports" / f"{key}.sr.dcm").VerificationFlag == "UNVERIFIED"


def test_names_that_a_reader_moved_are_the_readers_before_approval(out: Path, bundle: Bundle, tmp_path: Path) -> None:
    key = rows(out / "predictions.csv")[0]["study"]
    moved = saved(tmp_path, bundle, key, shift=1, approved=False, grades={"L1/L2": {"narrowing": 1}})
    apply_corrections([moved], [SAMPLE], out, bundle, DEFAULT)
    text = (out / "reports" / f"{key}.txt").read_text(encoding="utf-8")
    assert "Levels are named as Reader^Jo corrected them." in text
    for end in (".txt", ".html", ".sr.dcm"):
        content = (out / "reports" / f"{key}{end}").read_bytes()
        assert b"not verified; a transitional" not in content and NUMBERING.text.encode() not in content
    heights = [one for one in rows(out / "measurements.csv") if one["measurement"] == "disc_height_mm"]
    places = {one["level"]: one["percentile"] for one in heights}
    assert places["T12/L1"] == "55"  # among T12/L1, not L1/L2, where it is 31
    assert "which does not bear it out: percentile 55" in text


def test_a_lowest_disc_that_is_not_graded_stays_said_however_names_move(bundle: Bundle, tmp_path: Path) -> None:
    predict_paths([SAMPLE], tmp_path / "out", bundle, names=GivenNames((("", ("S1/S2",)),)))
    key = rows(tmp_path / "out" / "studies.csv")[0]["study"]
    for shift, name in ((0, "S1/S2"), (1, "L5/S1"), (-1, "S1/S2")):
        given = saved(tmp_path, bundle, key, shift=shift, grades={})
        apply_corrections([given], [SAMPLE], tmp_path / "out", bundle, DEFAULT)
        (row,) = rows(tmp_path / "out" / "studies.csv")
        assert f"the lowest disc, {name}, is there and not graded" in row["message"]


def test_what_cannot_be_applied_is_refused_and_changes_nothing(out: Path, bundle: Bundle, tmp_path: Path) -> None:
    key, before = rows(out / "predictions.csv")[0]["study"], (out / "predictions.csv").read_bytes()
    with pytest.raises(OutputError, match="no results and images of somebody"):
        apply_corrections([saved(tmp_path, bundle, "somebody")], [SAMPLE], out, bundle, DEFAULT)
    with pytest.raises(OutputError, match="no results here"):
        apply_corrections([saved(tmp_path, bundle, key)], [SAMPLE], tmp_path / "elsewhere", bundle, DEFAULT)
    assert not (tmp_path / "elsewhere").exists()
    with pytest.raises(OutputError, match="another model"):
        apply_corrections([saved(tmp_path, bundle, key, model="1")], [SAMPLE], out, bundle, DEFAULT)
    assert (out / "predictions.csv").read_bytes() == before
