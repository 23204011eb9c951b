"""What README and documentation print is what the committed predictions give."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from spinenet.evaluate import evaluate, load_predictions
from spinenet.evaluate.experiments.hospitals import sites_of

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "docs/explanation/results.md")


@pytest.fixture(scope="module")
def values():
    """Target's title -> discs, positives, and the point values of its figures."""
    found = evaluate(load_predictions(ROOT / "notebooks" / "cross_validation"), samples=2).targets.values()
    return {one.target.title: (one.n, one.positives, {k: e.value for k, e in one.estimates.items()}) for one in found}


def rows(path: str) -> dict[str, list[str]]:
    """First cell -> the other cells of every table row of a document."""
    lines = [line for line in (ROOT / path).read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {row[0].split(" (AUC")[0]: row[1:] for row in reversed(cells) if len(row) > 5}


def test_documents_print_the_figures_of_the_committed_report_and_none_that_was_typed():
    check = [sys.executable, "scripts/publish_figures.py", "--check"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}; python scripts/publish_figures.py writes them"
    compared = [len(set(rows(path)) & set(rows("notebooks/cross_validation/report.md"))) for path in DOCUMENTS]
    assert min(compared) >= 8


def test_the_report_beside_the_predictions_holds_their_figures(values):
    table = rows("notebooks/cross_validation/report.md")
    text = (ROOT / "notebooks/cross_validation/report.md").read_text(encoding="utf-8")
    presence = text[text.index("## Presence") :]
    assert set(values) <= set(table)
    for title, (n, _, figures) in values.items():
        row = next(line for line in presence.splitlines() if line.startswith(f"| {title} | {n}"))
        names = ("prevalence", "auc", "average_precision", "sensitivity", "specificity", "ppv", "npv")
        assert re.findall(r"(\d\.\d\d) \[", row) == [f"{figures[name]:.2f}" for name in names], title


def test_the_sites_are_those_of_the_committed_predictions():
    frame = load_predictions(ROOT / "notebooks" / "hospitals" / "sudirman.csv.gz")
    (site,) = sites_of({("Sudirman", "Sudirman"): frame}, samples=200)
    row = rows("notebooks/hospitals/report.md")
    text = (ROOT / "notebooks/hospitals/report.md").read_text(encoding="utf-8")
    assert row and f"| Sudirman | {site.patients} | {site.n} ({site.positives}) | Quadratic kappa" in text
    line = next(line for line in text.splitlines() if "| Sudirman | Sudirman |" in line)
    assert f"| {site.estimate.value:.2f} [" in line
