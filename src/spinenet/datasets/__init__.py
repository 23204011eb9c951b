"""Public data sets as labelled studies: what training, evaluation and the data check consume."""

from collections.abc import Callable
from pathlib import Path

from spinenet.datasets.phantom import load_phantom
from spinenet.datasets.records import Dataset, LabelledStudy
from spinenet.datasets.rsna2024 import load_rsna2024
from spinenet.datasets.spider import load_spider
from spinenet.errors import DatasetError

DATASETS: dict[str, Callable[[Path], Dataset]] = {
    "spider": load_spider,
    "phantom": load_phantom,
    "rsna2024": load_rsna2024,
}

__all__ = ["DATASETS", "Dataset", "LabelledStudy", "load_dataset"]


def load_dataset(name: str, root: Path) -> Dataset:
    """Read the labels and file lists of a data set (no pixels); raises DatasetError with what to do."""
    if name not in DATASETS:
        raise DatasetError(f"data set {name!r} is not known; choose one of {', '.join(DATASETS)}")
    return DATASETS[name](Path(root))
