"""One habit tried on phantoms: written, found, read and graded as ``spinenet predict`` does, and judged."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from habit_files import Patient, patient_of
from habit_judge import Person, judge
from habits import HABITS

from spinenet.errors import ReadError
from spinenet.model.bundle import Bundle
from spinenet.predict import predict_study
from spinenet.readers import find_studies, read_study
from spinenet.serve.batch import predict_source
from spinenet.study import Study, StudyResult


def graded(folder: Path, bundle: Bundle) -> list[tuple[Study | None, StudyResult]]:
    """Every study of a folder as it was read, None where it was not, and its result."""
    try:
        sources = find_studies([folder])
    except ReadError:
        return []
    found: list[tuple[Study | None, StudyResult]] = []
    for source in sources:
        try:
            study = read_study(source)
        except ReadError:
            found.append((None, predict_source(source, bundle)))
        else:
            found.append((study, predict_study(study, bundle)))
    return found


def patients(folders: Sequence[Path], bundle: Bundle) -> list[Patient]:
    """Phantoms written as DICOM, each graded as it is."""
    result = []
    for number, folder in enumerate(folders):
        ((_, one),) = graded(folder, bundle)
        centers_mm = {level.name: np.asarray(level.center_mm) for level in one.levels}
        grades = {(one.level, one.target): one.probabilities for one in one.predictions}
        result.append(patient_of(folder, Person(f"P{number}", centers_mm, grades)))
    return result


def tried(kind: str, seed: int, those: Sequence[Patient], bundle: Bundle, folder: Path) -> list[str]:
    """What is wrong with what a habit of a kind comes to; its files are removed."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        expected = HABITS[kind](np.random.default_rng(seed), those, folder)
        return judge(graded(folder, bundle), expected, {one.person.name: one.person for one in those})
    finally:
        shutil.rmtree(folder, ignore_errors=True)
