"""The command line: exit codes, one line for what a user can get wrong, and no traceback for any of it."""

import errno
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner, Result

import spinenet
from spinenet.cli import app
from spinenet.crops import CropSpec
from spinenet.errors import BundleError
from spinenet.labels import RESEARCH_ONLY, View
from spinenet.model import bundle
from spinenet.model.calibration import NEUTRAL
from spinenet.report.options import Output
from spinenet.report.tables import StudyRow
from spinenet.serve import batch, command_options
from spinenet.serve.batch import BatchSummary, StudyRows
from spinenet.system.namesake import namesakes


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def write_nifti(path: Path) -> Path:
    voxels = np.random.default_rng(0).random((8, 60, 50)).astype(np.float32)
    affine_ras = np.array([[4.0, 0, 0, 0], [0, 0, -1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    nibabel.save(nibabel.Nifti1Image(voxels, affine_ras), path)
    return path


@pytest.fixture
def summary(monkeypatch: pytest.MonkeyPatch) -> BatchSummary:
    """A run of three studies that the command is given instead of predicting."""
    summary = BatchSummary(Counter(ok=1, failed=1), 1)

    def predicted(paths: list[Path], out: Path, opened: object, **options: Any) -> BatchSummary:
        options["on_progress"](0, 2, None)
        fine, bad = StudyRow("a", "ok", 7, "", 0.1), StudyRow("b", "failed", 0, "no sagittal series [sic]", 0.1)
        options["on_progress"](1, 2, StudyRows(fine, (), frozenset()))
        options["on_progress"](2, 2, StudyRows(bad, (), frozenset({"no_sagittal"})))
        return summary

    monkeypatch.setattr(bundle, "load_bundle", lambda path: object())
    monkeypatch.setattr(batch, "predict_paths", predicted)
    return summary


def test_version_and_help() -> None:
    assert call("--version").stdout == f"spinenet {spinenet.__version__}\n"
    assert " ".join(RESEARCH_ONLY.split()) in " ".join(call("--help").stdout.split())


@pytest.mark.parametrize("words", [[], ["train"]])
def test_each_command_is_said_in_a_whole_sentence(words: list[str]) -> None:
    listed = call(*words, "--help").stdout.split("Commands:\n")[1].splitlines()
    assert all(re.fullmatch(r"  [a-z]+ +[A-Z].*[^.]\.", line) for line in listed), listed


def test_the_other_distribution_of_this_import_name_is_named_where_both_are_installed(tmp_path: Path) -> None:
    (tmp_path / "spinenet_mri-0.1.0.dist-info").mkdir()
    assert list(namesakes(tmp_path)) == []
    (tmp_path / "spinenet-2.1.4.dist-info").mkdir()
    (said,) = namesakes(tmp_path)
    assert "the unrelated distribution spinenet 2.1.4" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict"],
        ["inspect"],
        ["predict", "x", "--out", "y", "--workers", "0"],
        ["predict", ".", "--outputs", "sr,hl7"],
        ["grade"],
        *(
            [command, *rest, "--language", "it"]
            for command, *rest in (["predict", "x"], ["app"], ["compare", "a", "b"])
        ),
    ],
)
def test_a_wrong_call_is_exit_code_2(arguments: list[str]) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1 and result.stderr.startswith("spinenet: ") and "--help" in result.stderr


def test_a_missing_bundle_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    for result in (
        call("predict", tmp_path, "--out", tmp_path / "out", "--model", tmp_path / "none"),
        call("verify", tmp_path / "none"),
    ):
        assert result.exit_code == 2
        assert result.stderr.startswith("spinenet: ")
        assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [["inspect"], ["predict", "--out", "out"]])
def test_a_missing_or_empty_folder_is_one_line_and_exit_code_2(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bundle, "load_bundle", lambda path: object())
    (tmp_path / "empty").mkdir()
    for path in ("nowhere", "empty"):
        result = call(*command, path)
        assert result.exit_code == 2
        assert path in result.stderr.splitlines()[-1]
        assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "load_bundle", lambda path: object())
    (tmp_path / "out").write_text("a file where the folder should be")
    result = call("predict", write_nifti(tmp_path / "t2.nii"), "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert str(tmp_path / "out") in result.stderr.splitlines()[-1]


def test_a_full_disk_is_named_and_how_to_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*args: object, **options: object) -> BatchSummary:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(batch, "predict_paths", full)
    result = call("predict", tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "the disk is full" in result.stderr
    assert "same command again" in result.stderr


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path | None) -> None:
        raise AssertionError("a bug")

    monkeypatch.setattr(bundle, "load_bundle", broken)
    assert isinstance(call("verify").exception, AssertionError)


def test_failed_studies_are_named_and_give_exit_code_1(summary: BatchSummary, tmp_path: Path) -> None:
    result = call("predict", tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr == "b: failed: no sagittal series [sic]\n"  # no bar where nobody looks on
    assert "1 ok, 1 failed, 1 skipped" in result.stdout
    assert RESEARCH_ONLY in result.stdout


@pytest.mark.parametrize("command", [["inspect"], ["predict", "--out", "out"]])
def test_files_of_one_patient_named_one_by_one_are_said_to_be_studies_of_their_own(
    summary: BatchSummary, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = [write_nifti(tmp_path / f"1_t{weighting}.nii") for weighting in (1, 2)]
    said = "2 files named one by one are 2 studies; to grade those of one patient together name their folder\n"
    assert said in call(*command, *files).stderr
    assert said not in call(*command, tmp_path).stderr and said not in call(*command, files[0]).stderr


def test_all_well_is_exit_code_0(summary: BatchSummary, tmp_path: Path) -> None:
    summary.counts["failed"] = 0
    assert call("predict", tmp_path, "--out", tmp_path / "out").exit_code == 0


def test_series_are_named_by_view_and_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    taken: dict[str, Any] = {}

    def predicted(paths: list[Path], out: Path, opened: object, **options: Any) -> BatchSummary:
        taken.update(options)
        return BatchSummary(Counter(ok=1), 0)

    monkeypatch.setattr(bundle, "load_bundle", lambda path: object())
    monkeypatch.setattr(batch, "predict_paths", predicted)
    named = ("--series", "sagittal_t2=series-4", "--series", "AXIAL_T2=T2 tra*")
    assert call("predict", tmp_path, "--out", tmp_path / "out", *named).exit_code == 0
    assert taken["wanted"] == [(View.SAGITTAL_T2, "series-4"), (View.AXIAL_T2, "T2 tra*")]


@pytest.mark.parametrize(
    ("text", "wanted"), [("sr, seg", (Output.REPORT, Output.OUTLINES)), ("all", tuple(Output)), ("", ())]
)
def test_outputs_for_other_systems_are_named_in_one_list(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, wanted: tuple[Output, ...]
) -> None:
    taken: dict[str, Any] = {}

    def predicted(paths: list[Path], out: Path, opened: object, **options: Any) -> BatchSummary:
        taken.update(options)
        return BatchSummary(Counter(ok=1), 0)

    monkeypatch.setattr(bundle, "load_bundle", lambda path: object())
    monkeypatch.setattr(batch, "predict_paths", predicted)
    assert call("predict", tmp_path, "--out", tmp_path / "out", "--outputs", text).exit_code == 0
    assert taken["options"].outputs == wanted


def test_a_pdf_without_its_library_is_one_line_before_anything_is_read(
    summary: BatchSummary, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(command_options, "find_spec", lambda name: None)
    refused = call("predict", tmp_path, "--out", tmp_path / "out", "--outputs", "sr,pdf")
    assert refused.exit_code == 2 and "pip install 'spinenet-mri[pdf]'" in " ".join(refused.stderr.split())
    assert call("predict", tmp_path, "--out", tmp_path / "out", "--outputs", "sr").exit_code == 1


@pytest.mark.parametrize("text", ["t2=series-4", "sagittal_t2", "sagittal_t2= "])
def test_a_series_that_is_not_named_by_view_is_one_line(summary: BatchSummary, tmp_path: Path, text: str) -> None:
    result = call("predict", tmp_path, "--out", tmp_path / "out", "--series", text)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert f"--series {text}" in line and "VIEW=NAME" in line and "sagittal_t1" in line


def test_stopping_by_hand_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def stopped(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bundle, "load_bundle", lambda path: object())
    monkeypatch.setattr(batch, "predict_paths", stopped)
    result = call("predict", tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 130
    assert "the same command goes on" in result.stderr


def test_inspect_says_how_a_series_is_understood_and_what_cannot_be_read(tmp_path: Path) -> None:
    write_nifti(tmp_path / "17_t2.nii.gz")
    (tmp_path / "18_t2.mha").write_text("not an image")
    result = call("inspect", tmp_path)
    assert result.exit_code == 1
    assert "sagittal_t2" in result.stdout
    assert "4.00 x 1.00 x 1.00 mm" in result.stdout
    assert "cannot be read: " in result.stdout
    assert call("inspect", tmp_path / "17_t2.nii.gz").exit_code == 0


def test_inspect_shows_views_as_they_would_be_graded_or_says_that_it_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("17_t2.nii.gz", "17_t2_SPACE.nii.gz"):
        write_nifti(tmp_path / name)  # of two that show the same, one is graded

    def missing(path: Path | None) -> None:
        raise BundleError("no such file or folder")

    routed = call("inspect", tmp_path)
    assert routed.stdout.count("sagittal_t2 (") == 1 and routed.stdout.count("not used (") == 1
    monkeypatch.setattr(bundle, "load_bundle", missing)
    told = call("inspect", tmp_path)
    assert told.stdout.count("sagittal_t2 (") == 2 and "before the image is asked" in told.stderr
    assert call("inspect", tmp_path, "--model", tmp_path / "nowhere").exit_code == 2


@pytest.fixture
def small_bundle(tmp_path: Path) -> Path:
    networks = {"locator.onnx": b"never run", "grader.onnx": b"never run"}
    figures = {
        "auc": {"value": 0.912, "low": 0.871, "high": 0.94},
        "macro_f1": {"value": None, "low": None, "high": None},
    }
    metrics = {"targets": {"bulging": {"title": "Disc bulging", "n": 40, "metrics": figures}}}
    facts = {
        "name": "test model",
        "version": "7",
        "data": "made-up patients",
        "licence": "CC BY 4.0",
        "metrics": metrics,
    }
    calibration = {"bulging": NEUTRAL}
    return bundle.write_bundle(tmp_path / "bundle", networks, CropSpec(), calibration, facts)


def test_verify_says_what_a_bundle_is(small_bundle: Path) -> None:
    result = call("verify", small_bundle)
    assert result.exit_code == 0
    for words in ("test model 7", "made-up patients", "CC BY 4.0", "bulging", "auc 0.91 (0.87 to 0.94)", RESEARCH_ONLY):
        assert words in result.stdout


@pytest.mark.parametrize("name", ["locator.onnx", "grader.onnx", "model.json"])
def test_verify_refuses_a_bundle_with_a_changed_byte(small_bundle: Path, name: str) -> None:
    content = bytearray((small_bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (small_bundle / name).write_bytes(content)
    result = call("verify", small_bundle)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "altered" in result.stderr


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("{}")
    assert call("verify", tmp_path).exit_code == 2


def test_a_node_without_the_network_extra_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pynetdicom", None)
    for name in [name for name in sys.modules if name.startswith("spinenet.serve.node")]:
        monkeypatch.delitem(sys.modules, name)
    result = call("listen", "--allow", "PACS", "--out", tmp_path / "node")
    assert result.exit_code == 2
    assert result.stderr == "spinenet: a DICOM node needs pynetdicom: pip install 'spinenet-mri[network]'\n"
    assert not (tmp_path / "node").exists()


def test_a_path_alone_is_predicted_and_what_to_open_is_said(
    summary: BatchSummary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("typer.launch", opened.append)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans").mkdir()
    told = call("scans")
    assert told.exit_code == 1 and "open spinenet-results/worklist.html in a browser (--open does it)" in told.stdout
    assert opened == [] and call("scans", "--open", "--out", "elsewhere").exit_code == 1
    assert opened == [(tmp_path / "elsewhere" / "worklist.html").as_uri()]
    assert "No such command" in call("scams").stderr


def test_a_path_that_is_not_there_is_named_in_one_line() -> None:
    assert call("data/scams").stderr.strip() == "spinenet: scams: no such file or folder"
