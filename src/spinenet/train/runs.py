"""Whole runs, from a configuration to a run folder: what the training scripts call."""

from pathlib import Path

import pytorch_lightning as pl

from spinenet.datasets.splits import save_split
from spinenet.train.config import TrainGraderConfig, TrainLocatorConfig
from spinenet.train.data import grader_loaders, locator_loaders, split_studies
from spinenet.train.export import export_locator
from spinenet.train.grader import GraderModule
from spinenet.train.locator import LocatorModule
from spinenet.train.loop import fit, save_config, trained_weights
from spinenet.train.networks import Grader, Locator

SPLIT_FILE = "split.json"


def train_locator(config: TrainLocatorConfig, out: Path) -> None:
    """Train a locator and write config, split, checkpoint, logs and ``locator.onnx`` to ``out``."""
    save_config(config, out)
    pl.seed_everything(config.seed, workers=True, verbose=False)
    split = split_studies(config.data)
    save_split(out / SPLIT_FILE, split.folds, seed=config.data.seed)
    train, validation = locator_loaders(
        split, config.randomise, config.slices_per_volume, config.fit.batch_size, config.seed
    )
    module = LocatorModule(config.model, config.fit)
    if config.init:
        module.network.load_state_dict(trained_weights(Path(config.init)))
    checkpoint = fit(module, train, validation, config.fit, out, resume=config.resume)
    network = Locator(config.model.width)
    network.load_state_dict(trained_weights(checkpoint))
    export_locator(network, out / "locator.onnx")


def train_grader(config: TrainGraderConfig, out: Path) -> None:
    """Train a grader and write config, split, checkpoint and logs to ``out``."""
    save_config(config, out)
    pl.seed_everything(config.seed, workers=True, verbose=False)
    split = split_studies(config.data)
    save_split(out / SPLIT_FILE, split.folds, seed=config.data.seed)
    train, validation = grader_loaders(split, config.augment, config.crop, config.fit.batch_size, config.seed)
    module = GraderModule(config.model, config.fit, train.dataset.grades_NT())
    if config.init:
        module.network.load_state_dict(trained_weights(Path(config.init)))
    checkpoint = fit(module, train, validation, config.fit, out, resume=config.resume)
    network = Grader(config.model.width, config.model.features, config.model.dropout)
    network.load_state_dict(trained_weights(checkpoint))
