"""Batches: one bad study never stops the others, a second run repeats nothing, and nothing is mixed up."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from spinenet.crops import CropSpec
from spinenet.errors import OutputError, ReadError, StudyError
from spinenet.locating.discs import NUMBERING
from spinenet.model.bundle import load_bundle, write_bundle
from spinenet.readers import StudySource
from spinenet.readers.level_names import GivenNames
from spinenet.readers.sources import VolumeFile
from spinenet.report.document import read_document
from spinenet.report.tables import recover
from spinenet.serve import batch
from spinenet.serve.batch import StudyRows, doubts, predict_paths, without_location
from spinenet.serve.output_folder import claim, locked
from spinenet.study import Note, Prediction, Scope, Severity, Study, StudyResult


@dataclass(frozen=True)
class FakeBundle:
    """As much of a bundle as a batch looks at."""

    name: str = "fake"
    version: str = "1"
    targets: tuple[str, ...] = ("bulging",)
    path: Path = Path("fake")
    metadata: dict[str, Any] = field(default_factory=lambda: {"data": "none"})


@dataclass
class Clinic:
    """Studies that exist, and what happens to each when it is read or graded."""

    keys: list[str]
    faults: dict[str, BaseException] = field(default_factory=dict)
    predicted: list[str] = field(default_factory=list)
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    place: str = "/archive"
    identity: str = ""

    def find(self, paths: list[Path]) -> list[StudySource]:
        return [
            StudySource(
                key,
                Path(self.place) / key,
                volumes=(VolumeFile(Path(self.place) / f"{key}.nii", "t2"),),
                identity=self.identity and f"{self.identity}.{key}",
            )
            for key in self.keys
        ]

    def archive(self, folder: Path) -> None:
        """Put a file of its own for each study into a folder, where studies lie from now on."""
        folder.mkdir()
        for key in self.keys:
            (folder / f"{key}.nii").write_text(f"{key} of {folder.name}")
        self.place = str(folder)

    def read(self, source: StudySource) -> Study:
        if source.key in self.faults:
            raise self.faults[source.key]
        return Study(source.key, (), source.notes, level_names=source.level_names)

    def predict(self, study: Study, bundle: FakeBundle) -> StudyResult:
        self.predicted.append(study.key)
        self.names[study.key] = study.level_names
        prediction = Prediction("L4/L5", "bulging", 1, (0.1, 0.9), True)
        return StudyResult(study.key, "ok", 0.0, study.notes, predictions=(prediction,))


@pytest.fixture
def clinic(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clinic]:
    clinic = Clinic(["a", "b", "c"])
    monkeypatch.setattr(batch, "find_studies", clinic.find)
    monkeypatch.setattr(batch, "read_study", clinic.read)
    monkeypatch.setattr(batch, "predict_study", clinic.predict)
    yield clinic


def run(out: Path, **options: Any) -> batch.BatchSummary:
    bundle = options.pop("bundle", FakeBundle())
    return predict_paths([Path("any")], out, bundle, **options)


def rows(path: Path) -> dict[str, dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return {row["study"]: row for row in csv.DictReader(file)}


@pytest.mark.parametrize(
    "fault", [ReadError("b: cut off"), StudyError("b: cervical"), MemoryError(), OSError("gone"), KeyError("x")]
)
def test_one_bad_study_becomes_a_failed_row_and_the_others_go_on(
    clinic: Clinic, tmp_path: Path, fault: BaseException
) -> None:
    clinic.faults["b"] = fault
    summary = run(tmp_path)
    studies = rows(tmp_path / "studies.csv")
    assert {key: row["status"] for key, row in studies.items()} == {"a": "ok", "b": "failed", "c": "ok"}
    assert studies["b"]["message"]
    assert set(rows(tmp_path / "predictions.csv")) == {"a", "c"}
    assert summary.exit_code == 1
    names = [f"{key}.{kind}" for key in "abc" for kind in ("html", "json")]
    assert sorted(page.name for page in (tmp_path / "reports").iterdir()) == sorted([*names, "a.txt", "c.txt"])
    assert [one["study"] for one in read_document(tmp_path / "predictions.json")["studies"]] == ["a", "b", "c"]


def test_a_fault_of_ours_costs_its_study_alone_and_is_said_to_be_one(clinic: Clinic, tmp_path: Path) -> None:
    clinic.faults["b"] = AssertionError("Doe^Jane has no pixels")
    assert run(tmp_path).counts == {"ok": 2, "failed": 1}
    message = rows(tmp_path / "studies.csv")["b"]["message"]
    assert message.startswith("a fault of the program, AssertionError in test_batch.py, line")
    log = (tmp_path / "faults.log").read_text(encoding="utf-8")
    assert log.startswith("b: spinenet") and "test_batch.py, line" in log and "in predict_source" in log
    assert "Doe" not in log + message and str(tmp_path) not in log


def test_a_disk_that_is_gone_is_no_fault_of_ours(clinic: Clinic, tmp_path: Path) -> None:
    clinic.faults["b"] = OSError("share not mounted")
    run(tmp_path)
    assert "Try it again" in rows(tmp_path / "studies.csv")["b"]["message"]
    assert not (tmp_path / "faults.log").exists()


def test_a_second_run_predicts_nothing_again_and_changes_no_table(clinic: Clinic, tmp_path: Path) -> None:
    assert run(tmp_path).exit_code == 0
    before = [(tmp_path / name).read_bytes() for name in ("predictions.csv", "studies.csv")]
    summary = run(tmp_path)
    assert clinic.predicted == ["a", "b", "c"]
    assert (summary.skipped, summary.counts.total(), summary.exit_code) == (3, 0, 0)
    assert [(tmp_path / name).read_bytes() for name in ("predictions.csv", "studies.csv")] == before


def test_a_run_that_was_stopped_goes_on_where_it_was(clinic: Clinic, tmp_path: Path) -> None:
    clinic.faults["c"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    clinic.faults.clear()
    assert run(tmp_path).skipped == 2
    assert clinic.predicted == ["a", "b", "c"]


def test_a_failed_study_is_tried_again(clinic: Clinic, tmp_path: Path) -> None:
    clinic.faults["b"] = OSError("share not mounted")
    run(tmp_path)
    clinic.faults.clear()
    assert run(tmp_path).exit_code == 0
    assert rows(tmp_path / "studies.csv")["b"]["status"] == "ok"


def test_overwriting_replaces_the_studies_given_and_keeps_the_others(clinic: Clinic, tmp_path: Path) -> None:
    run(tmp_path)
    clinic.keys = ["b"]
    run(tmp_path, overwrite=True)
    assert clinic.predicted == ["a", "b", "c", "b"]
    assert sorted(rows(tmp_path / "studies.csv")) == ["a", "b", "c"]


def test_a_study_whose_levels_get_other_names_is_predicted_again_and_keeps_them(clinic: Clinic, tmp_path: Path) -> None:
    clinic.archive(tmp_path / "images")
    out = tmp_path / "out"
    run(out)
    named = GivenNames((("b", ("L4/L5",)),))
    assert run(out, names=named).skipped == 2 and clinic.names["b"] == ("L4/L5",)
    assert run(out, names=named).skipped == run(out).skipped == 3  # a run without names leaves those of before
    assert claim(out, {"data": "none"}, clinic.find([]), recover(out), again=False).sources[1].level_names == ("L4/L5",)
    run(out, overwrite=True)
    assert clinic.names["b"] == ()
    with pytest.raises(ReadError, match="x: names of levels were given to no study"):
        run(out, names=GivenNames((("x", ("L4/L5",)),)))


def test_results_are_not_written_among_the_images(
    clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="holds the images"):
        run(tmp_path / "any")
    assert not list(tmp_path.iterdir())


def test_results_of_two_models_are_not_mixed(clinic: Clinic, tmp_path: Path) -> None:
    run(tmp_path)
    other = FakeBundle(metadata={"data": "more"})
    with pytest.raises(OutputError, match="another model"):
        run(tmp_path, bundle=other)
    assert run(tmp_path, bundle=other, overwrite=True).counts["ok"] == 3


def test_a_study_elsewhere_is_not_taken_for_another_of_its_name(clinic: Clinic, tmp_path: Path) -> None:
    for place in ("site1", "site2"):
        clinic.archive(tmp_path / place)
        run(tmp_path / "out")
    found = rows(tmp_path / "out" / "studies.csv")
    assert sorted(found) == ["a", "a-2", "b", "b-2", "c", "c-2"]
    assert len({row["images"] for row in found.values()}) == 6
    assert run(tmp_path / "out").skipped == 3 and len(clinic.predicted) == 6


def test_images_that_were_changed_or_completed_are_read_again(clinic: Clinic, tmp_path: Path) -> None:
    clinic.archive(tmp_path / "site")
    run(tmp_path / "out")
    (tmp_path / "site" / "b.nii").write_bytes(b"another patient under the same name")
    run(tmp_path / "out")
    assert clinic.predicted == ["a", "b", "c", "b"]
    assert "images are not those" in rows(tmp_path / "out" / "studies.csv")["b"]["message"]
    assert run(tmp_path / "out").skipped == 3


def test_images_that_were_moved_or_touched_alone_are_not_read_again(clinic: Clinic, tmp_path: Path) -> None:
    clinic.archive(tmp_path / "site")
    run(tmp_path / "out")
    (tmp_path / "site" / "a.nii").touch()
    (tmp_path / "site").rename(tmp_path / "moved")
    clinic.place = str(tmp_path / "moved")
    assert run(tmp_path / "out").skipped == 3


def test_a_study_whose_report_was_deleted_is_predicted_again(clinic: Clinic, tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "reports" / "b.json").unlink()
    run(tmp_path)
    assert clinic.predicted == ["a", "b", "c", "b"]
    clinic.keys = ["a", "c"]
    (tmp_path / "reports" / "b.json").unlink()  # b is gone for good, and the folder's own files are made without it
    run(tmp_path)
    assert {study["study"] for study in read_document(tmp_path / "predictions.json")["studies"]} == {"a", "c"}


def test_a_killed_overwriting_run_leaves_every_study_a_result(clinic: Clinic, tmp_path: Path) -> None:
    run(tmp_path)
    clinic.faults["b"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, overwrite=True)
    assert sorted(rows(tmp_path / "studies.csv")) == ["a", "b", "c"]
    clinic.faults.clear()
    assert run(tmp_path).skipped == 3
    assert len((tmp_path / "predictions.csv").read_text(encoding="utf-8").splitlines()) == 4


def test_keys_made_of_identifiers_differ_from_folder_to_folder(clinic: Clinic, tmp_path: Path) -> None:
    clinic.identity = "1.2.3"
    found = []
    for out in ("one", "other"):
        run(tmp_path / out)
        found.append(set(rows(tmp_path / out / "studies.csv")))
    assert not found[0] & found[1] and all(len(key) == len("study-") + 20 for key in found[0])
    assert run(tmp_path / "one").skipped == 3


def test_two_runs_do_not_write_into_one_folder(clinic: Clinic, tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(OutputError, match="another run is writing here"):
        run(tmp_path)
    assert run(tmp_path).exit_code == 0


def test_a_finished_folder_is_in_the_order_of_the_studies_however_it_came_about(clinic: Clinic, tmp_path: Path) -> None:
    clinic.faults["a"] = OSError("share not mounted")
    run(tmp_path / "late")
    clinic.faults.clear()
    run(tmp_path / "late")
    run(tmp_path / "straight")
    for name in ("predictions.csv", "studies.csv"):
        assert list(rows(tmp_path / "late" / name)) == ["a", "b", "c"]
    tables = [(tmp_path / folder / "predictions.csv").read_bytes() for folder in ("late", "straight")]
    assert tables[0] == tables[1]


def test_progress_counts_every_study(clinic: Clinic, tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []

    def note(done: int, total: int, rows: StudyRows | None) -> None:
        seen.append((done, total, rows.study.study if rows else ""))

    run(tmp_path, on_progress=note)
    assert seen == [(0, 3, ""), (1, 3, "a"), (2, 3, "b"), (3, 3, "c")]


def test_results_do_not_name_the_folder_a_study_came_from(clinic: Clinic, tmp_path: Path) -> None:
    clinic.place = "/archive/DOE_JOHN"
    clinic.faults["a"] = ReadError("/archive/DOE_JOHN/a: the file is cut off; copy it again")
    clinic.faults["b"] = ValueError("DOE JOHN has no pixels")
    run(tmp_path)
    written = "".join(path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.*"))
    assert "DOE" not in written
    assert rows(tmp_path / "studies.csv")["a"]["message"] == "a: the file is cut off; copy it again"


def test_only_places_are_taken_out_of_a_message() -> None:
    source = StudySource("17", Path("images"))
    assert without_location("no images in images/17_t2.mha", source) == "no images in 17/17_t2.mha"


def test_workers_open_the_bundle_themselves_and_give_the_same_rows(tmp_path: Path) -> None:
    networks = {"locator.onnx": b"never run", "grader.onnx": b"never run"}
    facts = {"name": "test", "version": "1", "data": "none", "licence": "none"}
    bundle = load_bundle(write_bundle(tmp_path / "bundle", networks, CropSpec(), {}, facts))
    for name in ("17_t2.mha", "18_t2.mha", "19_t2.mha"):
        (tmp_path / "images" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "images" / name).write_text("no image")
    messages = []
    for workers in (1, 2):
        out = tmp_path / f"out{workers}"
        assert predict_paths([tmp_path / "images"], out, bundle, workers=workers).counts["failed"] == 3
        messages.append({key: row["message"] for key, row in rows(out / "studies.csv").items()})
    assert messages[0] == messages[1]
    assert all(str(tmp_path) not in message for message in messages[0].values())


def test_the_terminal_says_of_a_partial_study_what_its_images_lack_and_nothing_that_is_said_of_all() -> None:
    notes = (NUMBERING, Note("slices_left_out", Scope.SERIES, "t2", "1 of 13 slices left out: damaged"))
    flags = (Note("slip_measured", Scope.LEVEL, "L4/L5", "a forward slip was measured", Severity.FLAG),)
    result = StudyResult("a", "partial", 0.1, notes=notes, flags=flags)
    assert doubts(result) == "t2: 1 of 13 slices left out: damaged"
    assert doubts(replace(result, status="failed")) == ""
