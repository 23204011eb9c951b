"""What a run folder begins with, and what it ends with: without torch."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spinenet.datasets.splits import split_studies
from spinenet.errors import ConfigError
from spinenet.model.bundle import DISCS, GRADER, LOCATOR
from spinenet.system.files import write_text
from spinenet.train.counts import refuse_unlabelled
from spinenet.train.discs.disc_config import TrainDiscsConfig
from spinenet.train.exported_weights import PACKAGED, bundle_weights, names_bundle
from spinenet.train.training_config import (
    OUTLINES,
    LearningConfig,
    RunConfig,
    TrainGraderConfig,
    TrainLocatorConfig,
    TrainMeasuredConfig,
    TrainSegmenterConfig,
)

CHECKPOINTS, LAST, BEST = "checkpoints", "last.ckpt", "best.ckpt"
GPU_FILES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg")
"""Where Linux has a driver of NVIDIA's or AMD's cards, also below Windows."""
BEGINNING = {"config.yaml", "split.json", "run.json", "tensorboard"}
"""A run that was stopped while it had nothing else can be begun again."""
PARTS: dict[type[RunConfig], str] = {
    TrainLocatorConfig: LOCATOR,
    TrainGraderConfig: GRADER,
    TrainDiscsConfig: DISCS,
}
"""What each training makes of a bundle, and begins with; a segmenter's is one of OUTLINES."""
GRADING = (TrainGraderConfig, TrainDiscsConfig, TrainMeasuredConfig)
"""Trainings that learn grades."""
RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")
"""Where launchers say which of several processes this is, in Lightning's order."""


def refuse_early(config: LearningConfig, out: Path) -> None:
    """ConfigError or DatasetError where a run cannot begin, before torch is imported and hours are spent.

    Its folder is in use or has nothing to resume, what it starts from or the GPU is not there, or its data cannot be
    read, divided or learnt from.
    """
    if not config.resume:
        _refuse_used(out)
    elif isinstance(config, RunConfig) and not (out / CHECKPOINTS / LAST).is_file():
        raise ConfigError(f"{out / CHECKPOINTS / LAST}: nothing to resume; start the run without resume=true")
    else:
        _refuse_changed(config, out)
    if isinstance(config, RunConfig) and config.init:
        _refuse_beginning(config.init, _part_of(config))
    if isinstance(config, RunConfig) and config.trainer.accelerator in ("gpu", "cuda") and not _may_have_gpu():
        raise ConfigError(f"trainer.accelerator={config.trainer.accelerator}: this machine has no GPU; use trainer=cpu")
    if isinstance(config, TrainGraderConfig) and config.locator and not (Path(config.locator) / LOCATOR).is_file():
        raise ConfigError(f"{config.locator}: not a finished run of spinenet train locator (no {LOCATOR})")
    split = split_studies(config.data)
    if isinstance(config, GRADING):
        refuse_unlabelled(split, config.data.root)


def _part_of(config: RunConfig) -> str:
    return OUTLINES[config.outlines] if isinstance(config, TrainSegmenterConfig) else PARTS[type(config)]


def _refuse_beginning(init: str, part: str) -> None:
    if names_bundle(init):
        bundle_weights(init, part)
    elif not Path(init).is_file():
        raise ConfigError(
            f"{init}: no such file; init= names a checkpoint, such as RUN/{CHECKPOINTS}/{BEST}, a bundle, "
            f"or {PACKAGED} for the one in the package"
        )


def _may_have_gpu() -> bool:
    """Whether the system knows of one; only Linux tells without torch, which takes many seconds to import."""
    return sys.platform != "linux" or any(Path(one).exists() for one in GPU_FILES)


def exported_checkpoint(run: Path) -> Path:
    """The checkpoint of a run that its bundle is made of: the best epoch's, or the last of a run without validation."""
    best = run / CHECKPOINTS / BEST
    return best if best.is_file() else run / CHECKPOINTS / LAST


def _rank() -> str:
    """Which of several processes this is."""
    return next((os.environ[name] for name in RANKS if name in os.environ), "0")


def _refuse_used(out: Path) -> None:
    if _rank() != "0" or not (out / "config.yaml").is_file():  # other ranks find what the first has just written
        return
    if any(one.name not in BEGINNING and (one.is_file() or any(one.iterdir())) for one in out.iterdir()):
        raise ConfigError(f"{out}: holds a run already; choose another out=, or go on with it by resume=true")


def _refuse_changed(config: LearningConfig, out: Path) -> None:
    """ConfigError where a run that is resumed would go on with other settings."""
    from omegaconf import OmegaConf

    path = out / "config.yaml"
    if not path.is_file():
        return
    # a key that has come since then is at its default
    was = OmegaConf.merge(OmegaConf.to_container(OmegaConf.structured(type(config))), OmegaConf.load(path))
    before, now = (dict(_leaves(OmegaConf.to_container(one))) for one in (was, OmegaConf.structured(config)))
    changed = [
        f"{key} from {before.get(key)} to {now.get(key)}"
        for key in {**before, **now}
        if key not in ("resume", "out") and before.get(key) != now.get(key)
    ]
    if changed:
        raise ConfigError(
            f"{path}: changed since the run was started: {', '.join(changed)}; resume it with the same settings, "
            "or start a new run from its weights with init="
        )


def _leaves(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key as it is typed, with its value.

    >>> list(_leaves({"seed": 0, "fit": {"steps": 10}}))
    [('seed', 0), ('fit.steps', 10)]
    """
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def save_config(config: LearningConfig, out: Path) -> None:
    """Write the composed configuration, from which the run can be repeated, to ``out/config.yaml``.

    A run that is resumed keeps its settings, on which its learning-rate schedule rests. ConfigError where they differ,
    and where a new run would write over an old one.
    """
    from omegaconf import OmegaConf

    now = OmegaConf.structured(config)
    if now.resume:
        _refuse_changed(config, out)
    else:
        _refuse_used(out)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "config.yaml", OmegaConf.to_yaml(now))
    if _rank() == "0":
        sys.stderr.write("".join(f"{line}\n" for line in tree_of(OmegaConf.to_container(now))))


def tree_of(config: Any) -> Iterator[str]:
    """A configuration as a tree of lines, a group a line.

    >>> list(tree_of({"seed": 0, "fit": {"steps": 10, "rate": 0.1}}))
    ['├── seed: 0', '└── fit: steps=10 rate=0.1']
    """
    single = {key: value for key, value in config.items() if not isinstance(value, dict)}
    groups = {key: value for key, value in config.items() if isinstance(value, dict)}
    for number, (key, value) in enumerate({**single, **groups}.items(), 1):
        text = " ".join(f"{name}={one}" for name, one in value.items()) if isinstance(value, dict) else value
        yield f"{'└' if number == len(config) else '├'}── {key}: {text}"
