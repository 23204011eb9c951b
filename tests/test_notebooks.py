"""Notebooks run from a fresh clone, hold nothing that running them makes, and show no patient."""

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="the extra dev is not installed")

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LONGEST_CELL = 15
LARGEST = 8_000_000 // 3
"""Bytes of a notebook that was run: eight megabytes for all three."""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs_and_keeps_its_code_short(path: Path) -> None:
    cells = nbformat.read(path, 4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert not any(cell.metadata or cell.get("attachments") for cell in cells)
    assert max(len(cell.source.splitlines()) for cell in code) <= LONGEST_CELL


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_without_the_raw_data(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbclient import NotebookClient

    monkeypatch.delenv("SPINENET_SPIDER", raising=False)
    notebook = nbformat.read(path, 4)
    NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}
    ).execute()
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in shown)
    assert len(nbformat.writes(notebook)) < LARGEST
    if path.stem == "02_evaluation":
        printed = "\n".join(output.get("data", {}).get("text/markdown", "") for output in shown)
        committed = (FOLDER / "cross_validation" / "report.md").read_text(encoding="utf-8").splitlines()
        table = [line for line in committed if line.startswith("|")][:10]
        assert table[0].startswith("| Target | Figure | Value | Level alone") and "\n".join(table) in printed


def test_every_notebook_says_what_it_is_for() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["01_data", "02_evaluation", "03_errors_and_calibration"]
    for path in NOTEBOOKS:
        text = " ".join(cell.source for cell in nbformat.read(path, 4).cells)
        assert "Research use only." in text
