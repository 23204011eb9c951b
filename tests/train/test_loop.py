"""The loop's bookkeeping: checkpoints are what they say they are, and a run that cannot go on says so."""

import io
import pickle
from dataclasses import replace

import pytest
import torch

from spinenet.errors import ConfigError
from spinenet.labels import TARGETS, UNKNOWN
from spinenet.train.grader import GraderModule
from spinenet.train.loop import fit, save_config, trained_weights
from spinenet.train.training_config import FitConfig, GraderModelConfig, TrainGraderConfig


def zipped(content):
    """What torch.save writes of it."""
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


@pytest.fixture
def module():
    grades_NT = torch.full((4, len(TARGETS)), UNKNOWN)
    return GraderModule(GraderModelConfig(width=2, features=16), FitConfig(accelerator="cpu"), grades_NT)


def test_there_is_nothing_to_resume_before_the_first_epoch(module, tmp_path):
    with pytest.raises(ConfigError, match="nothing to resume"):
        fit(module, None, None, FitConfig(accelerator="cpu"), tmp_path, resume=True)


def test_the_network_alone_is_taken_from_a_checkpoint(module, tmp_path):
    torch.save({"state_dict": module.state_dict()}, tmp_path / "last.ckpt")
    weights = trained_weights(tmp_path / "last.ckpt")
    assert set(weights) == set(module.network.state_dict())
    module.network.load_state_dict(weights)


@pytest.mark.parametrize("content", [None, b"", b"text", pickle.dumps([1]), zipped({"epoch": 1}), zipped([1])])
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(ConfigError, match="not a checkpoint"):
        trained_weights(tmp_path / "last.ckpt")


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"average": 1.0}, {"average": -0.1}]
)
def test_a_loop_that_cannot_run_is_refused(wrong):
    with pytest.raises(ValueError, match="fit."):
        FitConfig(**wrong)


def test_a_resumed_run_keeps_the_settings_its_schedule_rests_on(tmp_path):
    config = TrainGraderConfig(out=str(tmp_path), fit=FitConfig(epochs=5))
    save_config(config, tmp_path)
    save_config(replace(config, resume=True), tmp_path)
    with pytest.raises(ConfigError, match="fit changed since the run was started"):
        save_config(replace(config, resume=True, fit=FitConfig(epochs=6)), tmp_path)
    save_config(replace(config, seed=3), tmp_path)  # a new run in the same folder may differ
