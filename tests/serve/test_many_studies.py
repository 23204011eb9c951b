"""Thousands of studies into one folder cost what the first ones cost, and workers that are killed lose nothing."""

import multiprocessing
import os
import random
import time
from operator import neg
from pathlib import Path

import numpy as np
import pytest

from spinenet.model.bundle import Bundle, load_bundle
from spinenet.serve import batch
from spinenet.study import Note, Scope, StudyResult
from spinenet.system.processes import in_processes

COUNT = int(os.environ.get("SPINENET_STUDIES", "300"))


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files that a grader which looks at none of them makes a study each of."""

    def quick(source: batch.StudySource, bundle: Bundle, *rest: object) -> StudyResult:
        return StudyResult(source.key, "partial", 0.1, notes=(Note("stub", Scope.STUDY, "", "not looked at"),))

    monkeypatch.setattr(batch, "predict_source", quick)
    for number in range(COUNT):
        folder = tmp_path / "in" / f"case-{number}"
        folder.mkdir(parents=True)
        (folder / "t2.nii").write_bytes(b"%d" % number)
    return tmp_path / "in"


def test_the_last_of_many_studies_costs_what_the_first_ones_cost(images: Path, tmp_path: Path) -> None:
    bundle, at = load_bundle(), list[float]()
    summary = batch.predict_paths(
        [images], tmp_path / "out", bundle, on_progress=lambda *_: at.append(time.process_time())
    )
    assert summary.counts.total() == COUNT
    costs, tenth = np.diff(at), COUNT // 10
    assert np.median(costs[-tenth:]) < 2 * np.median(costs[tenth : 2 * tenth])
    report = next((tmp_path / "out" / "reports").glob("*.html"))
    report.unlink()
    again = batch.predict_paths([images], tmp_path / "out", bundle)
    assert report.exists() and (again.counts.total(), again.skipped) == (1, COUNT - 1)


def test_what_killed_workers_were_at_is_done_by_others() -> None:
    results, killed = dict[int, int | None](), 0
    for number, result in in_processes(range(40), neg, 2):
        results[number] = result
        if len(results) in (3, 20):
            random.Random(len(results)).choice(multiprocessing.active_children()).kill()
            killed += 1
    assert results == {number: -number for number in range(40)} and killed == 2
