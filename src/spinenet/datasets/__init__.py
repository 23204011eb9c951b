"""Public data sets as labelled studies: what training, evaluation and the data check consume."""

from collections.abc import Callable
from pathlib import Path

from spinenet.datasets.cache import load_prepared
from spinenet.datasets.labelled import Dataset, LabelledStudy
from spinenet.datasets.rsna2024 import load_rsna2024
from spinenet.datasets.spider import load_spider
from spinenet.datasets.synthetic import load_phantom
from spinenet.errors import DatasetError

DATASETS: dict[str, Callable[[Path], Dataset]] = {
    "spider": load_spider,
    "phantom": load_phantom,
    "rsna2024": load_rsna2024,
}

SYNTHETIC = ("phantom",)
"""Data sets without patients: what is learnt from them alone is said to be."""

__all__ = ["DATASETS", "SYNTHETIC", "Dataset", "LabelledStudy", "load_dataset"]


def load_dataset(name: str, root: Path) -> Dataset:
    """Read the labels and file lists of a data set (no pixels); raises DatasetError with what to do.

    A folder of prepared studies (``datasets.cache``) is one as well, whatever data set they are from.
    """
    if name not in DATASETS:
        raise DatasetError(f"data set {name!r} is not known; choose one of {', '.join(DATASETS)}")
    return load_prepared(name, Path(root)) if any(Path(root).glob("*.npz")) else DATASETS[name](Path(root))
