"""Fit what phantoms are accepted by, and how findings rank among patients, into src/spinephantom/data/calibration.json.

To be run after every change of shapes, measurements, rules or habits of disease:
python scripts/calibrate_phantom.py persons=150 proposals=6 rounds=1 spines=600 workers=2
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

from spinenet.system.files import write_text
from spinenet.system.processes import in_processes
from spinenet.system.progress import track
from spinenet.train.script import script
from spinephantom.data import calibration
from spinephantom.patient.pathology import Mode, modes_named
from spinephantom.population import fitting


@dataclass
class CalibrateConfig:
    """How many persons, how many proposals for each, and where the numbers go. Modes that are not named keep theirs."""

    modes: tuple[str, ...] = tuple(Mode)
    """Modes to fit."""
    persons: int = 150
    """Persons a mode."""
    proposals: int = 6
    """Spines proposed for each person."""
    rounds: int = 1
    """How often spines are sampled with the weights, and these corrected by what is found."""
    spines: int = 600
    """Spines to sample in each round."""
    workers: int = 1
    """Processes."""
    out: str = "src/spinephantom/data/calibration.json"
    """File that gets the numbers."""


@script("calibrate_phantom", CalibrateConfig)
def main(config: CalibrateConfig) -> None:
    modes = modes_named(config.modes)
    tables: dict[str, object] = {**calibration()}

    def run(job: Callable[[int], Any], count: int, title: str) -> list[Any]:
        done = track(in_processes(range(count), job, config.workers), title, total=count)
        return [result for _, result in sorted(done, key=itemgetter(0))]

    for mode in modes:
        proposals = run(partial(fitting.propose, mode, count=config.proposals), config.persons, mode.value)
        weights = fitting.fit_weights(mode, proposals)
        for _ in range(config.rounds):
            sample = partial(fitting.sample_grades, mode, weights)
            found = run(sample, config.spines, f"{mode.value}: spines")
            weights = fitting.correct_weights(mode, weights, proposals, found)
        tables[mode.value] = fitting.as_table(weights)
        if mode is Mode.RSNA:
            tables["raters"] = fitting.fit_ranks(weights, proposals)
    write_text(Path(config.out), json.dumps(tables, separators=(",", ":")) + "\n")
    print(f"{config.out}: weights of {', '.join(config.modes)}")


if __name__ == "__main__":
    main()
