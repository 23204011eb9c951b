"""The loop's bookkeeping: checkpoints are what they say they are, and a run that cannot go on says so."""

import errno
import io
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import line_in_ranks
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from spinenet.datasets.splits import DataConfig
from spinenet.errors import ConfigError, SpinenetError
from spinenet.labels import TARGETS, UNKNOWN
from spinenet.train.data import Draws
from spinenet.train.grader import GraderModule
from spinenet.train.learning_curves import read_metrics
from spinenet.train.loop import SCORE, WholeCheckpoints, fit, trainer_of
from spinenet.train.optimise import one_cycle
from spinenet.train.run_folder import exported_checkpoint, refuse_early, save_config
from spinenet.train.training_config import (
    CallbacksConfig,
    FitConfig,
    GraderLossConfig,
    GraderModelConfig,
    LoggerConfig,
    TrainerConfig,
    TrainGraderConfig,
)
from spinenet.train.weights import trained_weights


def zipped(content):
    """What torch.save writes of it."""
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


@pytest.fixture
def module():
    grades_NT = torch.full((4, len(TARGETS)), UNKNOWN)
    return GraderModule(GraderModelConfig(width=2, features=16), FitConfig(), GraderLossConfig(), grades_NT)


def test_there_is_nothing_to_resume_before_the_first_epoch(module, tmp_path):
    with pytest.raises(ConfigError, match="nothing to resume"):
        fit(module, None, None, TrainGraderConfig(resume=True), tmp_path)


def test_the_network_alone_is_taken_from_a_checkpoint(module, tmp_path):
    torch.save({"state_dict": module.state_dict()}, tmp_path / "last.ckpt")
    weights = trained_weights(tmp_path / "last.ckpt")
    assert set(weights) == set(module.network.state_dict())
    module.network.load_state_dict(weights)


@pytest.mark.parametrize(
    "content",
    [b"", b"text", pickle.dumps([1]), zipped({"epoch": 1}), zipped([1]), zipped({"state_dict": {"a": print}})],
)
def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(ConfigError, match=r"last.ckpt: not a checkpoint of spinenet train, such as .*best.ckpt$"):
        trained_weights(tmp_path / "last.ckpt")


def test_a_checkpoint_that_is_not_there_is_refused_in_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"last.ckpt: cannot be read \(no such file or directory\)$"):
        trained_weights(tmp_path / "last.ckpt")


def test_a_full_disk_leaves_the_checkpoint_before_as_it_was(tmp_path, monkeypatch):
    checkpoint, kept = tmp_path / "last.ckpt", WholeCheckpoints()
    kept.save_checkpoint({"epoch": 1}, checkpoint)

    def full(path, content):
        with path.open("wb") as file:
            file.write(content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        kept.save_checkpoint({"epoch": 2}, checkpoint)
    assert torch.load(checkpoint) == {"epoch": 1} and list(tmp_path.iterdir()) == [checkpoint]


@pytest.mark.parametrize(
    ("group", "key", "value"),
    [
        (FitConfig, "epochs", 0),
        (FitConfig, "batch_size", 0),
        (FitConfig, "learning_rate", 0.0),
        (CallbacksConfig, "average", 1.0),
        (CallbacksConfig, "average", -0.1),
        (TrainerConfig, "precision", "fp8"),
        (TrainerConfig, "accelerator", "abacus"),
        (TrainerConfig, "strategy", "telepathy"),
        (TrainerConfig, "devices", 0),
    ],
)
def test_a_loop_that_cannot_run_is_refused(group, key, value):
    with pytest.raises(ValueError, match=key):
        group(**{key: value})


def test_a_resumed_run_keeps_the_settings_its_schedule_rests_on(tmp_path):
    config = TrainGraderConfig(out=str(tmp_path), fit=FitConfig(epochs=5))
    save_config(config, tmp_path)
    save_config(replace(config, resume=True), tmp_path)
    other = replace(config, resume=True, fit=FitConfig(epochs=6))
    with pytest.raises(ConfigError, match="changed since the run was started: fit.epochs from 5 to 6; resume it with"):
        save_config(other, tmp_path)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    with pytest.raises(ConfigError, match="fit.epochs from 5 to 6"):
        refuse_early(other, tmp_path)


def test_a_new_run_never_writes_over_an_old_one(tmp_path):
    save_config(TrainGraderConfig(out=str(tmp_path)), tmp_path)
    (tmp_path / "metrics.csv").touch()
    with pytest.raises(ConfigError, match="holds a run already; choose another out=, or go on with it by resume=true"):
        save_config(TrainGraderConfig(out=str(tmp_path), seed=3), tmp_path)
    assert "seed: 0" in (tmp_path / "config.yaml").read_text()


def test_a_run_that_ended_before_anything_was_learnt_is_begun_again(tmp_path):
    save_config(TrainGraderConfig(out=str(tmp_path)), tmp_path)
    (tmp_path / "checkpoints").mkdir()
    save_config(TrainGraderConfig(out=str(tmp_path), seed=3), tmp_path)
    assert "seed: 3" in (tmp_path / "config.yaml").read_text()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "/nowhere: not SPIDER's layout"),
        ({"init": "/nowhere/best.ckpt"}, "/nowhere/best.ckpt: no such file; init= names a checkpoint"),
        ({"locator": "/nowhere"}, "/nowhere: not a finished run of spinenet train locator"),
        ({"resume": True}, "last.ckpt: nothing to resume; start the run without resume=true"),
    ],
)
def test_what_a_run_lacks_is_told_before_it_begins(wrong, said, tmp_path):
    with pytest.raises(SpinenetError, match=said):
        refuse_early(TrainGraderConfig(data=DataConfig(root="/nowhere"), **wrong), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_machine_without_a_gpu_says_so_before_torch_is_imported(monkeypatch, tmp_path):
    monkeypatch.setattr("spinenet.train.run_folder.GPU_FILES", (str(tmp_path / "no-such-device"),))
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(ConfigError, match="this machine has no GPU; use trainer=cpu"):
        refuse_early(TrainGraderConfig(trainer=TrainerConfig("gpu")), tmp_path)


@pytest.mark.parametrize("wrong", [{"accelerator": "gpu"}, {"strategy": "ddp_by_pigeon"}])
def test_hardware_that_is_not_there_is_one_line_before_anything_is_read(wrong):
    if wrong.get("accelerator") == "gpu" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))}={next(iter(wrong.values()))}") as refused:
        trainer_of(TrainerConfig(**wrong), logger=False)
    assert "\n" not in str(refused.value)


class Line(pl.LightningModule):
    """A weight that is trained to be 3, from a batch norm, with dropout: everything that a resumed run must restore."""

    def __init__(self, stop_at=None):
        super().__init__()
        self.network = torch.nn.Sequential(torch.nn.BatchNorm1d(4), torch.nn.Dropout(0.3), torch.nn.Linear(4, 1))
        torch.nn.init.normal_(self.network[2].weight, std=10.0)
        self.stop_at = stop_at

    def training_step(self, batch, index):
        if self.global_step == self.stop_at:
            raise OSError("power cut")
        loss = (self.network(batch) - 3).square().mean()
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, index):
        self.log(SCORE, -(self.network(batch) - 3).square().mean())

    def configure_optimizers(self):
        return one_cycle(self, FitConfig(learning_rate=0.05))


class Numbers(torch.utils.data.Dataset):
    """Eleven items that chance changes each time they are shown."""

    def __len__(self):
        return 11

    def __getitem__(self, draw):
        place, seed = draw if isinstance(draw, tuple) else (draw, 0)
        return place + torch.randn(4, generator=torch.Generator().manual_seed(seed))


def run(out, *, stop_at=None, resume=False, callbacks=None, **fit_keys):
    torch.manual_seed(1)
    module = Line(stop_at)
    numbers = Numbers()
    sampler = Draws(["all"] * len(numbers), {}, "all", 5)
    train = DataLoader(numbers, batch_size=3, sampler=sampler, drop_last=True)
    validation = DataLoader(numbers, batch_size=11)
    config = TrainGraderConfig(
        seed=5,
        resume=resume,
        fit=FitConfig(**fit_keys),
        callbacks=callbacks or CallbacksConfig(),
        trainer=TrainerConfig(accelerator="cpu"),
        logger=LoggerConfig(tensorboard=False),
    )
    return module, fit(module, train, validation, config, out)


def test_a_run_killed_five_times_ends_as_one_that_was_not(tmp_path):
    budget = {"steps": 18, "callbacks": CallbacksConfig(average=0.9)}  # six epochs of three steps
    _, whole = run(tmp_path / "whole", **budget)
    for kill, step in enumerate((4, 6, 9, 13, 16)):  # each after at least one more epoch was finished
        with pytest.raises(OSError, match="power cut"):
            run(tmp_path / "killed", stop_at=step, resume=kill > 0, **budget)
    _, killed = run(tmp_path / "killed", resume=True, **budget)
    assert killed.score == whole.score
    curves = read_metrics([*(tmp_path / "killed").glob("metrics-*.csv"), tmp_path / "killed" / "metrics.csv"])
    assert {name: [epoch for epoch, _ in values] for name, values in curves.items()} == {
        "train_loss": [1, 2, 3, 4, 5, 6],
        SCORE: [1, 2, 3, 4, 5, 6],
    }
    assert (tmp_path / "killed" / "curves.png").read_bytes().startswith(b"\x89PNG")
    for name in ("last.ckpt", "best.ckpt"):
        first, again = (trained_weights(tmp_path / each / "checkpoints" / name) for each in ("whole", "killed"))
        assert all(torch.equal(first[key], again[key]) for key in first)


def test_a_short_run_exports_what_it_trained_and_not_where_it_began(tmp_path):
    run(tmp_path, steps=60)
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    averaged, trained = last["state_dict"], last["current_model_state"]
    torch.manual_seed(1)
    began = Line().state_dict()
    for key in ("network.2.weight", "network.0.running_mean"):
        assert (averaged[key] - trained[key]).norm() < 0.35 * (began[key] - trained[key]).norm()


def test_the_best_epoch_is_exported_and_not_the_last(tmp_path, monkeypatch):
    scores = iter([0.1, 0.9, 0.5, 0.2])
    monkeypatch.setattr(Line, "validation_step", lambda self, batch, index: self.log(SCORE, next(scores)))
    _, done = run(tmp_path, epochs=4, callbacks=CallbacksConfig(average=0.5))
    assert done.score == pytest.approx(0.9) and done.checkpoint == exported_checkpoint(tmp_path)
    assert torch.load(done.checkpoint, weights_only=True)["epoch"] == 1


def test_a_limit_of_time_ends_a_run_cleanly(tmp_path):
    _, done = run(tmp_path, epochs=100_000, callbacks=CallbacksConfig(minutes=0.03))
    assert done.score is not None and (tmp_path / "checkpoints" / "last.ckpt").is_file()


def test_two_processes_learn_what_one_learns_of_the_same_items(tmp_path):
    """As ``trainer=ddp_sim`` does; batch statistics, which each process takes of its own items, would differ."""
    line_in_ranks.trained(tmp_path / "one", 1)
    command = [sys.executable, line_in_ranks.__file__, str(tmp_path / "two"), "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = (trained_weights(tmp_path / name / "checkpoints" / "last.ckpt") for name in ("one", "two"))
    began = line_in_ranks.Line().network.state_dict()
    for name in began:
        assert torch.allclose(one[name], two[name], atol=1e-5) and not torch.allclose(one[name], began[name], atol=1e-3)
