"""The whole journey on phantoms: train both networks, export, evaluate, predict from files. The one slow test file."""

import csv
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from spinenet.crops import CropSpec
from spinenet.datasets import load_dataset
from spinenet.datasets.splits import DataConfig, load_split, split_studies
from spinenet.errors import ConfigError, DatasetError
from spinenet.labels import LEVELS, TARGET, TARGET_INDEX, UNKNOWN, columns_of
from spinenet.model.bundle import Bundle, load_bundle
from spinenet.readers import read_study
from spinenet.serve.batch import predict_paths
from spinephantom import GENERATOR_VERSION

COLUMNS = ["study", "level", "target", "grade", "label", "p_0", "p_1", "p_2", "p_3", "p_4", "confident"]
EPOCHS = 2


def configs(root: Path, locator: Path | None) -> tuple[Any, Any]:
    """The smallest runs that go through every step."""
    from spinenet.train.training_config import (
        CallbacksConfig,
        FitConfig,
        GraderModelConfig,
        LocatorModelConfig,
        RandomiseConfig,
        TrainerConfig,
        TrainGraderConfig,
        TrainLocatorConfig,
    )

    data = DataConfig(name="phantom", root=str(root), folds=3, fold=0, validation=0.25)
    fit = FitConfig(epochs=EPOCHS, batch_size=2, max_batches=2)
    common: dict[str, Any] = {"callbacks": CallbacksConfig(average=0.5), "trainer": TrainerConfig(accelerator="cpu")}
    return (
        TrainLocatorConfig(
            data=data,
            model=LocatorModelConfig(width=2),
            fit=fit,
            randomise=RandomiseConfig(rows=64, columns=64),
            slices_per_volume=1,
            **common,
        ),
        TrainGraderConfig(
            data=data,
            model=GraderModelConfig(width=2, features=16),
            fit=fit,
            crop=CropSpec(rows=40, columns=48, pixel_mm=1.3),
            locator=None if locator is None else str(locator),
            **common,
        ),
    )


@pytest.fixture(scope="module")
def perfect_locator(phantom_root: Path, perfect_segmenter: Any) -> Any:
    """What a well trained locator would say of the phantoms: a hardly trained one would find no level to grade."""
    known = []
    for study in load_dataset("phantom", phantom_root).studies:
        known += [(one, study.masks[one.name].values(one)) for one in read_study(study.source).series]
    segment = perfect_segmenter(*known)
    return lambda self, images_N1HW: segment(images_N1HW)


@pytest.fixture(scope="module")
def runs(phantom_root: Path, perfect_locator: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Run folders of a locator and of a grader that was calibrated and evaluated on located levels."""
    import torch

    from spinenet.train.runs import train_grader, train_locator

    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("runs")
    with warnings.catch_warnings(record=True) as warned, pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("default")
        locator, _ = configs(phantom_root, None)
        train_locator(locator, out / "locator")
        _, grader = configs(phantom_root, out / "locator")
        patch.setattr(Bundle, "segment", perfect_locator)
        train_grader(grader, out / "grader")
    (out / "warnings.txt").write_text("".join(f"{one.filename}: {one.message}\n" for one in warned))
    return out / "locator", out / "grader"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def logged(run: Path) -> pd.DataFrame:
    return pd.read_csv(run / "metrics.csv")


def test_a_run_leaves_what_is_needed_to_repeat_resume_and_judge_it(runs: tuple[Path, Path]) -> None:
    for run in runs:
        for name in ("config.yaml", "split.json", "metrics.csv", "checkpoints/last.ckpt", "tensorboard"):
            assert (run / name).exists(), name
        assert logged(run)["epoch"].max() == EPOCHS - 1
        assert logged(run)["train_loss"].dropna().size == logged(run)["validation_loss"].dropna().size == EPOCHS
        assert np.isfinite(logged(run)["train_loss"].dropna()).all()
    assert (runs[0] / "locator.onnx").is_file()
    assert load_split(runs[0] / "split.json") == load_split(runs[1] / "split.json")


def test_nothing_that_libraries_say_of_themselves_reaches_who_trains(runs: tuple[Path, Path]) -> None:
    assert (runs[0].parent / "warnings.txt").read_text() == ""


@pytest.fixture(scope="module")
def learnt(phantom_root: Path) -> tuple[str, ...]:
    """Targets of which the patients to train on have more than one grade: no others can be learnt."""
    train = split_studies(configs(phantom_root, None)[1].data).train
    grades_NT = np.concatenate([study.grades_LT for study in train])
    found = {name: grades_NT[:, TARGET_INDEX[name]] for name in columns_of("spider").values()}
    return tuple(name for name, grades_N in found.items() if len(np.unique(grades_N[grades_N != UNKNOWN])) > 1)


def test_the_bundle_says_what_it_is_made_of(runs: tuple[Path, Path], learnt: tuple[str, ...]) -> None:
    bundle = load_bundle(runs[1] / "bundle")
    assert bundle.targets == learnt and len(learnt) >= 3
    assert "phantom: synthetic studies" in bundle.metadata["data"] and bundle.metadata["onnx_difference"] < 1e-4
    made = bundle.metadata["made_with"]
    assert made["versions"]["torch"] and len(made["labels"]) == 20 and made["recipe"]["fit"]["epochs"] == EPOCHS
    assert made["generators"] == [f"spinephantom {GENERATOR_VERSION}"]
    assert "commands" not in made and str(runs[1].parent) not in json.dumps(made)
    assert bundle.parts["locator.onnx"] == (runs[0] / "locator.onnx").read_bytes()
    assert sorted(path.name for path in (runs[1] / "bundle").iterdir()) == ["grader.onnx", "locator.onnx", "model.json"]


def test_a_run_is_judged_on_patients_it_never_saw_and_on_every_graded_disc_of_them(
    runs: tuple[Path, Path], phantom_root: Path, learnt: tuple[str, ...]
) -> None:
    folds = load_split(runs[1] / "split.json")
    table = pd.read_csv(runs[1] / "predictions.csv", dtype={"study": str})
    unseen = {patient for patient, fold in folds.items() if fold == 0}
    assert set(table["study"]) == unseen and unseen
    for study in load_dataset("phantom", phantom_root).studies:
        if study.key in unseen:
            discs = int((study.grades_LT != UNKNOWN).any(1).sum())
            assert (table["study"] == study.key).sum() == discs * len(learnt)
            mine = table[table["study"] == study.key].set_index(["level", "target"])["truth"]
            for (level, target), truth in mine.items():
                index = study.grades_LT[LEVELS.index(level), TARGET_INDEX[target]]
                assert truth == TARGET[target].grades[index]
    assert json.loads((runs[1] / "metrics.json").read_text()) and (runs[1] / "report.md").is_file()


def test_files_in_tables_out(
    runs: tuple[Path, Path],
    phantom_root: Path,
    learnt: tuple[str, ...],
    perfect_locator: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Bundle, "segment", perfect_locator)
    summary = predict_paths([phantom_root / "images"], tmp_path, load_bundle(runs[1] / "bundle"))
    studies = {row["study"]: row for row in rows(tmp_path / "studies.csv")}
    assert summary.exit_code == 0 and {row["status"] for row in studies.values()} == {"ok"}
    predictions = rows(tmp_path / "predictions.csv")
    assert list(predictions[0])[: len(COLUMNS)] == COLUMNS
    for study in load_dataset("phantom", phantom_root).studies:
        mine = [row for row in predictions if row["study"] == study.key]
        levels = {LEVELS[index] for index in np.flatnonzero((study.grades_LT != UNKNOWN).any(1))}
        assert levels <= {row["level"] for row in mine}
        assert len(mine) == int(studies[study.key]["levels_found"]) * len(learnt)
        for row in mine:
            target = TARGET[row["target"]]
            if row["confident"] == "true":
                assert row["label"] == target.step(int(row["grade"])).words
            given = [row[f"p_{index}"] for index in range(5)]
            assert given[len(target.grades) :] == [""] * (5 - len(target.grades))
            assert sum(map(float, given[: len(target.grades)])) == pytest.approx(1, abs=1e-5)


def test_a_hardly_trained_locator_fails_with_a_reason_and_invents_nothing(
    runs: tuple[Path, Path], phantom_root: Path, tmp_path: Path
) -> None:
    one = sorted((phantom_root / "images").glob("1_t*.mha"))
    predict_paths(one, tmp_path, load_bundle(runs[1] / "bundle"))
    for row in rows(tmp_path / "studies.csv"):
        assert row["status"] == "failed" and row["message"] and row["levels_found"] == "0"
    assert rows(tmp_path / "predictions.csv") == []


def test_an_interrupted_run_goes_on_to_its_last_epoch(
    phantom_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spinenet.train.grader import GraderModule
    from spinenet.train.runs import train_grader

    _, config = configs(phantom_root, None)
    config.fit.epochs = 3
    seen = []
    step = GraderModule.training_step

    def power_cut(self: Any, batch: Any, index: int) -> Any:
        if self.current_epoch == 1 and not config.resume:
            raise OSError("power cut")
        seen.append(self.current_epoch)
        return step(self, batch, index)

    monkeypatch.setattr(GraderModule, "training_step", power_cut)
    with pytest.raises(OSError, match="power cut"):
        train_grader(config, tmp_path)
    config.resume = True
    train_grader(config, tmp_path)
    assert seen == sorted(seen) and [seen.count(epoch) for epoch in range(3)] == 3 * [seen.count(0)]  # none twice
    tables = sorted(tmp_path.glob("metrics*.csv"))
    epochs = pd.concat(pd.read_csv(table) for table in tables)["epoch"].dropna()
    assert sorted(epochs.unique()) == [0, 1, 2]


def test_a_run_can_start_from_another_runs_weights(runs: tuple[Path, Path], phantom_root: Path, tmp_path: Path) -> None:
    import torch

    from spinenet.train.run_folder import exported_checkpoint
    from spinenet.train.runs import train_grader
    from spinenet.train.weights import trained_weights

    _, config = configs(phantom_root, None)
    config.init, config.fit.epochs, config.fit.learning_rate = str(exported_checkpoint(runs[1])), 1, 1e-12
    config.fit.weight_decay = 0.0
    train_grader(config, tmp_path)
    before, after = (trained_weights(exported_checkpoint(run)) for run in (runs[1], tmp_path))
    learnt = [name for name in before if "running" not in name and "num_batches" not in name]
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in learnt)


def test_an_exported_bundle_can_be_judged_like_its_run_and_carries_its_card(
    runs: tuple[Path, Path], phantom_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spinenet.evaluate.collection.run_folders import open_run
    from spinenet.train import bundling
    from spinenet.train import runs as train_runs
    from spinenet.train.export_config import ExportConfig

    config = ExportConfig(
        graders=[str(runs[1])],
        locator=str(runs[0]),
        calibration=[str(runs[1] / "calibration.json")],
        metrics=str(runs[1] / "metrics.json"),
        name="phantoms-only",
    )
    exported = load_bundle(runs[1] / "bundle").parts["grader.onnx"]
    monkeypatch.setattr(train_runs, "export_grader", lambda members, spec, path: path.write_bytes(exported) * 0.0)
    bundling.export_run(config, tmp_path)
    ours, theirs = (open_run(run, "phantom", phantom_root) for run in (tmp_path, runs[1]))
    assert [one.key for one in ours.test] == [one.key for one in theirs.test]
    assert ours.bundle.name == "phantoms-only" and ours.bundle.spec == theirs.bundle.spec
    assert "phantoms-only" in (tmp_path / "bundle" / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_exporting_needs_finished_runs_of_one_split(runs: tuple[Path, Path], tmp_path: Path) -> None:
    from spinenet.train.bundling import export_run
    from spinenet.train.export_config import ExportConfig

    locator, grader = map(str, runs)
    for graders, where, reason in (
        ([], locator, "no run is named"),
        ([grader], None, "start="),
        ([str(tmp_path)], locator, "config.yaml"),
        ([grader], str(tmp_path), "no locator.onnx"),
    ):
        with pytest.raises((ConfigError, DatasetError), match=reason):
            export_run(ExportConfig(out=str(tmp_path / "out"), graders=graders, locator=where), tmp_path / "out")
