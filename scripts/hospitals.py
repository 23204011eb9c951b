"""Sites under each other: hospitals and folds, with their heterogeneity (a forest plot a target).

python scripts/hospitals.py SPIDER=notebooks/cross_validation Sudirman=notebooks/hospitals/sudirman.csv.gz \
    --folds notebooks/hospitals/folds.csv --out notebooks/hospitals \
    --beside "Sudirman to SPIDER=notebooks/hospitals/spider_by_sudirman.csv.gz"
"""

from pathlib import Path

import pandas as pd
import typer

from spinenet.evaluate import load_predictions
from spinenet.evaluate.experiments.hospitals import write_hospitals
from spinenet.evaluate.samples import read_table


def main(
    hospitals: list[str],
    folds: Path | None = None,
    beside: list[str] | None = None,
    out: Path = Path("data/hospitals"),
    samples: int = 1000,
    seed: int = 0,
) -> None:
    """HOSPITALS are NAME=PREDICTIONS with truth; FOLDS is a CSV ``study,fold`` that splits hospitals into sites. BESIDE
    are such tables of patients who are among the sites already: shown, and in no mean."""
    fold_of = dict(read_table(folds)[["study", "fold"]].to_numpy()) if folds else {}
    tables: dict[tuple[str, str], pd.DataFrame] = {}
    for pair in hospitals:
        name, path = pair.split("=", 1)
        frame = load_predictions(Path(path))
        parts = frame.groupby(frame["study"].map(fold_of).fillna(""))
        tables |= {(name, f"{name}, fold {fold}" if fold else name): rows for fold, rows in parts}
    others = {(name, name): load_predictions(Path(path)) for name, path in (one.split("=", 1) for one in beside or ())}
    write_hospitals(tables, out, beside=others, samples=samples, seed=seed)
    print(f"report: {out / 'report.md'}")


if __name__ == "__main__":
    typer.run(main)
