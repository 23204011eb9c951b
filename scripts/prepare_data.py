"""Look at a data set before training: what is usable, what is not, and why.

python scripts/prepare_data.py data=spider data.root=PATH --check        read labels, images and masks
python scripts/prepare_data.py data=spider list_fold=RUN/split.json      patients of one fold (data.fold)
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from rich.progress import track

from spinenet.config import script
from spinenet.datasets.splits import DataConfig


@dataclass
class PrepareConfig:
    """``check`` reads every image and mask; without it only labels and file lists are looked at."""

    check: bool = False
    list_fold: str | None = None
    data: DataConfig = field(default_factory=DataConfig)


@script("prepare_data", PrepareConfig)
def main(config: PrepareConfig) -> None:
    """Print what the data set holds and everything odd about it."""
    from spinenet.datasets import load_dataset
    from spinenet.datasets.check import image_findings, label_lines, summary
    from spinenet.datasets.splits import load_split

    if config.list_fold:
        folds = load_split(Path(config.list_fold))
        print("\n".join(patient for patient, fold in folds.items() if fold == config.data.fold))
        return
    dataset = load_dataset(config.data.name, Path(config.data.root))
    print("\n".join(label_lines(dataset)))
    findings = list(dataset.findings)
    if config.check:
        for study in track(dataset.studies, "reading images and masks"):
            findings.extend(image_findings(study))
    for line in findings:
        print(f"- {line}")
    print(summary(findings))


if __name__ == "__main__":
    # The flag reads better than Hydra's check=true; both work.
    sys.argv = ["check=true" if argument == "--check" else argument for argument in sys.argv]
    main()
