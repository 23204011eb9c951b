"""How often prediction sets hold the true grade, cross-validated on a table of out-of-fold predictions.

python scripts/measure_coverage.py notebooks/cross_validation
"""

import json
from pathlib import Path

import typer

from spinenet.evaluate import load_predictions
from spinenet.evaluate.experiments.coverage import measure_coverage
from spinenet.system.files import write_text


def main(predictions: Path, out: Path | None = None) -> None:
    """Print the figures of every target; with OUT also write them as JSON."""
    figures = measure_coverage(load_predictions(predictions))
    print("| Target | Discs | Coverage | Grades in a set | One grade | Coverage of each grade |")
    print("|---|---|---|---|---|---|")
    for one in figures.values():
        by_grade = ", ".join(f"{grade}: {value.text()}" for grade, value in one.coverage_of_grade.items())
        shares = " | ".join(str(value) for value in (one.coverage, one.size, one.single))
        print(f"| {one.target.title} | {one.n} | {shares} | {by_grade} |")
    if out is not None:
        content = {name: one.to_dict() for name, one in figures.items()}
        write_text(out, json.dumps(content, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    typer.run(main)
