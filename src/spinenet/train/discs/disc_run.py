"""A whole run of the disc network, from a configuration to a run folder."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from spinenet.crops import CropSpec
from spinenet.datasets import adapter
from spinenet.errors import ConfigError, DatasetError
from spinenet.labels import VIEWS
from spinenet.model.bundle import DISCS
from spinenet.system.files import replacing, write_text
from spinenet.train.counts import counted
from spinenet.train.discs.batches import disc_loaders
from spinenet.train.discs.disc_config import DiscModelConfig, TrainDiscsConfig
from spinenet.train.discs.disc_export import TOLERANCE, export_discs
from spinenet.train.discs.imagenet import give_imagenet
from spinenet.train.discs.module import DiscModule
from spinenet.train.discs.network import DiscNetwork
from spinenet.train.discs.packed import PackedStudy, pack_all, raters_of
from spinenet.train.loop import fit
from spinenet.train.runs import start_run
from spinenet.train.weights import load_trained, start_from

WEIGHTS = "discs.ckpt"
_log = logging.getLogger(__name__)


def train_discs(config: TrainDiscsConfig, out: Path) -> float | None:
    """Train a disc network and write config, split, checkpoints and logs to ``out``; returns the best validation score.

    ``learnt.json`` says which targets it grades, ``discs.onnx`` predicts, ``discs.ckpt`` holds the same weights in half
    precision for ``init``.
    """
    split = start_run(config, out)
    sources = (config.data.name, *config.data.extra)
    train = pack_all(split.train, split.sources, config.crop)
    validation = pack_all(split.validation, [config.data.name] * len(split.validation), config.crop)
    loaders = disc_loaders(train, validation, config, sources)
    raters = raters_of(train, sources)
    if not raters:
        raise DatasetError(f"{config.data.root}: no label of what sagittal slices in the midline can show")
    network = build_network(config.model, config.crop, raters)
    _begin(network, config)
    if not config.fit.encoder_rate:
        network.encoder.freeze(len(network.encoder.stages))
    grades_NT = torch.as_tensor(np.concatenate([study.grades_LT for study in train]))
    module = DiscModule(network, config, sources, grades_NT)
    done = fit(module, *loaders, config, out)
    if module.trainer.is_global_zero:
        _save_learnt(out, raters, train, counted(split, raters))
        best = build_network(config.model, config.crop, raters)
        load_trained(best, done.checkpoint)
        save_weights(best, out / WEIGHTS)
        _export(best.eval(), config.crop, out / DISCS)
    return done.score


def build_network(model: DiscModelConfig, spec: CropSpec, raters: Mapping[str, Sequence[str]]) -> DiscNetwork:
    """An untrained network for these targets; ``raters`` as in ``learnt.json``."""
    return DiscNetwork(model.encoder, spec, raters, model.width, model.dropout, model.ordinal)


def _begin(network: DiscNetwork, config: TrainDiscsConfig) -> None:
    """What learning starts from: another run, a bundle, ImageNet, or chance."""
    if config.init:
        start_from(network, config.init, DISCS)
    elif config.model.weights == "imagenet":
        give_imagenet(network.encoder, config.model.encoder)
    else:
        _log.warning("model.weights=random: the encoder begins with random weights, which takes far more steps")


def save_weights(network: DiscNetwork, path: Path) -> None:
    """Write the weights in half precision, as a checkpoint that ``init`` takes."""
    halved = {
        f"network.{name}": value.half() if value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }
    with replacing(path) as partial:
        torch.save({"state_dict": halved}, partial)


def _save_learnt(
    out: Path,
    raters: Mapping[str, Sequence[str]],
    train: Sequence[PackedStudy],
    counts: Mapping[str, Mapping[str, int]],
) -> None:
    """Write ``learnt.json``: evidence by target, of how many patients, the data sets whose raters graded it, and the
    views it was shown."""
    evidence = {
        name: "synthetic" if all(adapter(one).synthetic for one in several) else "real"
        for name, several in raters.items()
        if name in counts
    }
    seen = {view for study in train for view in study.views}
    learnt = {
        "evidence": evidence,
        "counts": counts,
        "raters": raters,
        "views": [view for view in VIEWS if view in seen],
    }
    write_text(out / "learnt.json", json.dumps(learnt, indent=1) + "\n")


def _export(network: DiscNetwork, spec: CropSpec, path: Path) -> None:
    difference = export_discs(network, spec, path)
    if difference > TOLERANCE:
        raise ConfigError(f"{path}: differs from torch by {difference:.1e} in probability; not to be used")
    _log.info("%s: differs from torch by %.1e in probability", path, difference)
