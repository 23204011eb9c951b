"""Public data sets as labelled studies: what training, evaluation and the data check consume."""

from pathlib import Path

from spinenet.datasets.cache import is_cache, load_prepared
from spinenet.datasets.labelled import Adapter, Dataset, LabelledStudy
from spinenet.datasets.rsna2024 import RSNA2024
from spinenet.datasets.spider import SPIDER
from spinenet.datasets.sudirman import SUDIRMAN
from spinenet.datasets.synthetic import PHANTOM
from spinenet.datasets.table import TABLE
from spinenet.errors import DatasetError

DATASETS: dict[str, Adapter] = {
    "spider": SPIDER,
    "phantom": PHANTOM,
    "rsna2024": RSNA2024,
    "sudirman": SUDIRMAN,
    "table": TABLE,
}
"""Every data set by the name that a configuration gives it. To add one: a module with its Adapter, and a line here."""

__all__ = ["DATASETS", "Adapter", "Dataset", "LabelledStudy", "adapter", "load_dataset"]


def adapter(name: str) -> Adapter:
    """The data set of a name; DatasetError where there is none."""
    if name not in DATASETS:
        raise DatasetError(f"data set {name!r} is not known; choose one of {', '.join(DATASETS)}")
    return DATASETS[name]


def load_dataset(name: str, root: Path) -> Dataset:
    """Read the labels and file lists of a data set (no pixels); raises DatasetError with what to do.

    A folder of prepared studies (``datasets.cache``) is one as well, whatever data set they are from.
    """
    load = adapter(name).load
    return load_prepared(name, Path(root)) if is_cache(Path(root)) else load(Path(root))
