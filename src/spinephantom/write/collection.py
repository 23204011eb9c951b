"""Many studies at once: in parallel, with progress, and resumed where a run was interrupted."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from spinenet.errors import ConfigError, DatasetError
from spinenet.system.processes import in_processes
from spinephantom.phantom import GENERATOR_VERSION, StudyOptions, options_record
from spinephantom.synthesis import make_study
from spinephantom.write.layouts import LAYOUTS
from spinephantom.write.truth_files import truth_record, write_truth


@dataclass
class PhantomConfig:
    """Settings of ``scripts/make_phantom.py``."""

    out: str = "data/phantom"
    """Folder that gets the studies."""
    studies: int = 60
    """How many there are to be, those made before included."""
    seed: int = 0
    """With a study's number it decides everything."""
    workers: int = 1
    """Studies made at the same time."""
    validation_share: float = 0.15
    """Share of the studies whose subset is called validation."""
    layout: str = "phantom"
    """Files to write: phantom (NIfTI), spider (MHA, sagittal series alone), dicom, dicom_jpeg2000 or rsna2024."""
    study: StudyOptions = field(default_factory=StudyOptions)

    def __post_init__(self) -> None:
        if self.studies < 1 or self.workers < 1:
            raise ConfigError(f"studies and workers must be at least 1, not {self.studies} and {self.workers}")
        if self.layout not in LAYOUTS:
            raise ConfigError(f"layout must be {', '.join(LAYOUTS)}, not {self.layout!r}")


def study_seed(seed: int, index: int) -> int:
    """Seed of the index-th study of a set: independent of how many there are."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1)[0])


def write_one(config: PhantomConfig, index: int) -> str:
    """Make and write one study; returns the patient's name."""
    patient = str(index + 1)
    seed = study_seed(config.seed, index)
    share = np.random.default_rng([seed, 1]).random()
    study = make_study(seed, config.study)
    added = LAYOUTS[config.layout].write(study, Path(config.out), patient)
    record = truth_record(study, patient, "validation" if share < config.validation_share else "training")
    write_truth(Path(config.out), {**record, "layout": config.layout, **added})
    return patient


def missing_studies(config: PhantomConfig) -> list[int]:
    """Indices not yet written; raises DatasetError if the folder holds studies made with other settings."""
    missing = []
    for index in range(config.studies):
        path = Path(config.out) / "truth" / f"{index + 1}.json"
        if not path.exists():
            missing.append(index)
            continue
        record = json.loads(path.read_text())
        made = (record["seed"], record["generator_version"], record["options"], record.get("layout"))
        asked = (study_seed(config.seed, index), GENERATOR_VERSION, options_record(config.study), config.layout)
        if made != asked:
            raise DatasetError(f"{path}: made with other settings; choose another out folder or remove this one")
    return missing


def generate(config: PhantomConfig) -> Iterator[str]:
    """Write the studies that are missing, yielding each patient as it is done, then the tables."""
    for index, patient in in_processes(missing_studies(config), partial(write_one, config), config.workers):
        if patient is None:
            raise DatasetError(f"study {index + 1}: its process died, perhaps for lack of memory; use fewer workers")
        yield patient
    LAYOUTS[config.layout].finish(Path(config.out))
