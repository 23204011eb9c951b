"""How often prediction sets hold the true grade, cross-validated on a table of out-of-fold predictions.

python scripts/measure_coverage.py notebooks/cross_validation
"""

from pathlib import Path

import typer

from spinenet.evaluate import load_predictions, table
from spinenet.evaluate.experiments.coverage import measure_coverage


def main(predictions: Path) -> None:
    """Print the figures of every target."""
    print(table("sets", measure_coverage(load_predictions(predictions))))


if __name__ == "__main__":
    typer.run(main)
