"""What notebooks/01_data shows of the images: python scripts/describe_data.py SPIDER PHANTOMS [OUT]

Writes OUT/series.csv (figures alone, no pixels) and OUT/spider_findings.txt; OUT is notebooks/data by default.
"""

import sys
from pathlib import Path

import pandas as pd

from spinenet.datasets import load_dataset
from spinenet.errors import SpinenetError
from spinenet.evaluate.experiments.description import series_table
from spinenet.system.files import write_text


def main(spider: Path, phantoms: Path, out: Path) -> None:
    """Describe both data sets."""
    real, synthetic = load_dataset("spider", spider), load_dataset("phantom", phantoms)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "spider_findings.txt", "\n".join(map(str, real.findings)) + "\n")
    tables = [series_table(real.studies, "SPIDER"), series_table(synthetic.studies, "phantom")]
    write_text(out / "series.csv", pd.concat(tables).to_csv(index=False))
    print(f"written: {out}")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3] if len(sys.argv) == 4 else "notebooks/data"))
    except SpinenetError as error:
        sys.exit(f"describe_data.py: {error}")
