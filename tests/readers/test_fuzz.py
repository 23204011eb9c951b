"""A seeded share of what scripts/fuzz_reading.py does at length: damage ends in a reason, never in a fault."""

import importlib.util
import random
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from spinenet.model.bundle import Bundle
from spinenet.readers import find_studies
from spinephantom import PhantomStudy, write_dicom

SCRIPT = Path(__file__).parents[2] / "scripts" / "fuzz_reading.py"
CASES = 6


@pytest.fixture(scope="module")
def fuzzer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_reading", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def frames(phantom: PhantomStudy, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("phantom")
    write_dicom(phantom, folder)
    (source,) = find_studies([folder])
    return source.frames


@pytest.mark.parametrize("way", range(7))
def test_damaged_studies_are_refused_or_graded_but_never_a_fault(
    fuzzer: ModuleType, frames: Any, tiny_bundle: Bundle, tmp_path: Path, way: int
) -> None:
    answers = []
    for case in range(CASES):
        folder = tmp_path / str(case)
        folder.mkdir()
        paths = fuzzer._copied(frames, folder, 1 + case % fuzzer.MOST_SLICES)
        try:
            is_garbage = fuzzer.WAYS[way](paths, random.Random(case))
        except (ValueError, TypeError, AttributeError, OSError):
            continue  # damage that no writer can write
        answers.append(fuzzer._answer(folder, tiny_bundle, is_garbage))
    assert answers and not [answer for answer in answers if answer.startswith("WRONG")]
