"""Where the time of a training step goes, in ms of processor time on one core: loading, pictures, network.

python scripts/measure_step.py grader|discs data=NAME data.root=PATH [KEY=VALUE...]

Keys as in spinenet train; the first epoch, which reads the studies, is not counted.
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from spinenet.train.discs.disc_config import TrainDiscsConfig
from spinenet.train.script import script
from spinenet.train.training_config import RunConfig, TrainGraderConfig

BATCHES = 12
"""So many are timed."""


@script("train_grader", TrainGraderConfig)
def grader(config: TrainGraderConfig) -> None:
    """Time loading, pictures and network of the grader's training."""
    import numpy as np
    import torch

    from spinenet.datasets.splits import split_studies
    from spinenet.train.data import grader_loaders
    from spinenet.train.grader import GraderModule
    from spinenet.train.rendering import render

    split = split_studies(config.data)
    grades_NT = torch.as_tensor(np.concatenate([study.grades_LT for study in split.train]))
    report(
        config, grader_loaders(split, config)[0], GraderModule(config.model, config.fit, config.loss, grades_NT), render
    )


@script("train_discs", TrainDiscsConfig)
def discs(config: TrainDiscsConfig) -> None:
    """Time loading, pictures and network of the disc network's training."""
    from spinenet.datasets.splits import split_studies
    from spinenet.train.discs.batches import disc_loaders
    from spinenet.train.discs.disc_run import build_network
    from spinenet.train.discs.module import DiscModule
    from spinenet.train.discs.moves import render
    from spinenet.train.discs.packed import pack_all, raters_of

    split = split_studies(config.data)
    packed, sources = pack_all(split.train, split.sources, config.crop), (config.data.name, *config.data.extra)
    module = DiscModule(build_network(config.model, config.crop, raters_of(packed, sources)), config, sources)
    report(config, disc_loaders(packed, [], config, sources)[0], module, lambda batch: render(batch, config.crop))


def report(config: RunConfig, loader: Any, module: Any, render: Callable[[Any], Any]) -> None:
    """Print what loading and pictures take, and a whole step with its pictures."""
    import torch

    torch.set_num_threads(1)
    module.train().log = lambda *args, **options: None
    optimiser = torch.optim.AdamW(module.parameters(), 1e-4)
    half = torch.autocast("cpu", torch.bfloat16, enabled=config.trainer.precision == "bf16-mixed")
    for _ in loader:  # what was read is held
        pass
    spent: dict[str, list[float]] = {"loading": [], "pictures": [], "step": []}
    batches = iter(loader)
    for _ in range(BATCHES):
        began = time.process_time()
        if (batch := next(batches, None)) is None:
            batches = iter(loader)
            batch = next(batches)
        spent["loading"].append(time.process_time() - began)
        began = time.process_time()
        render(batch)
        spent["pictures"].append(time.process_time() - began)
        began = time.process_time()
        with half:
            loss = module.training_step(batch, 0)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        spent["step"].append(time.process_time() - began)
    load, pictures, step = (1e3 * statistics.median(spent[name]) for name in spent)
    print(f"loading {load:.0f} ms, {100 * load / (load + step):.0f} % of a step of {load + step:.0f} ms; ", end="")
    print(f"pictures {pictures:.0f} ms, network {step - pictures:.0f} ms")


def main() -> None:
    """The network that is named."""
    kinds = {"grader": grader, "discs": discs}
    if sys.argv[1:2] and sys.argv[1] in kinds:
        kinds[sys.argv.pop(1)]()
    else:
        sys.stdout.write(f"{__doc__}\n")
        raise SystemExit(0 if {"--help", "-h"} & set(sys.argv) else 2)


if __name__ == "__main__":
    main()
