"""A cluster whose worker is killed half-way loses nothing and repeats nothing that shows."""

import csv
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spinenet.crops import CropSpec
from spinenet.errors import ClusterError
from spinenet.model.bundle import load_bundle, write_bundle
from spinenet.serve.batch import predict_paths
from spinenet.serve.cluster import on_cluster

ray = pytest.importorskip("ray", reason="the extra scale is not installed")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    cluster.add_node(**node)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def slowly(number: int, folder: str) -> int:
    """Square a number; the first to reach 5 dies without a word."""
    mark = Path(folder) / "died"
    if number == 5 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.1)
    return number**2


def test_a_killed_worker_costs_nothing(cluster: Any, tmp_path: Path) -> None:
    results = list(on_cluster(range(12), slowly, (str(tmp_path),), cluster.address))
    assert (tmp_path / "died").exists()
    assert sorted(results) == [(number, number**2) for number in range(12)]


def test_every_study_appears_once_when_a_node_is_lost_half_way(cluster: Any, tmp_path: Path) -> None:
    networks = {"locator.onnx": b"never run", "grader.onnx": b"never run"}
    facts = {"name": "test", "version": "1", "data": "none", "licence": "none"}
    bundle = load_bundle(write_bundle(tmp_path / "bundle", networks, CropSpec(), {}, facts))
    images = tmp_path / "images"
    images.mkdir()
    for number in range(30):
        (images / f"{number}_t2.mha").write_text("no image")
    lost = cluster.add_node(num_cpus=2, object_store_memory=80 * 2**20)

    def lose_a_node(done: int, total: int, row: object) -> None:
        if done == total // 3:
            cluster.remove_node(lost, allow_graceful=False)

    out = tmp_path / "out"
    summary = predict_paths([images], out, bundle, cluster=cluster.address, on_progress=lose_a_node)
    assert summary.counts["failed"] == 30  # none of them is an image: each says so in its own row
    with (out / "studies.csv").open(encoding="utf-8") as file:
        studies = list(csv.DictReader(file))
    assert Counter(row["study"] for row in studies) == Counter(str(number) for number in range(30))
    assert not any("process died" in row["message"] for row in studies)


def test_a_cluster_that_does_not_answer_is_one_line() -> None:
    with pytest.raises(ClusterError, match=r"no Ray cluster answers at 127\.0\.0\.1:1"):
        list(on_cluster([1], slowly, ("",), "127.0.0.1:1"))
