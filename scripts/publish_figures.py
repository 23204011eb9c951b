"""Figures that README and documentation print, taken from the committed evaluation, so that nobody types them.

python scripts/publish_figures.py                 after notebooks/cross_validation was made anew
python scripts/publish_figures.py --check         say which documents differ, and end with 1
"""

import re
from pathlib import Path

import typer

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "notebooks" / "cross_validation" / "report.md"
DOCUMENTS = ("README.md", "docs/explanation/results.md")
COLUMNS = {
    "Discs (positive)": "Discs (positive)",
    "Quadratic kappa or AUC": "Value",
    "Average precision": "Average precision",
    "Macro F1": "Macro F1",
    "Level alone": "Level alone",
    "Level and companion": "Level and readers' companion",
    "Better than both": "Better than both?",
    "AUC within a level": "Within a level",
    "within a patient": "Within a patient",
    "anywhere": "Has this patient one anywhere",
    "Slope": "Slope",
    "Intercept": "Intercept",
    "Confident": "Confident",
    "Error among confident": "Error among confident",
    "Findings confident": "Findings confident",
    "Error among them": "Error among confident findings",
    "Said plainly": "Said plainly",
    "Likely": "Likely",
    "Possible": "Possible",
    "Cannot exclude": "Cannot exclude",
    "Not mentioned": "Not mentioned",
    "Sensitivity by grade": "Sensitivity by grade",
    "Sensitivity, likely or surer": "Sensitivity, likely or surer",
    "Specificity, likely or surer": "Specificity, likely or surer",
    "Sensitivity, possible or surer": "Sensitivity, possible or surer",
    "Specificity, possible or surer": "Specificity, possible or surer",
    "Sensitivity, cannot exclude or surer": "Sensitivity, cannot exclude or surer",
    "Specificity, cannot exclude or surer": "Specificity, cannot exclude or surer",
}
"""Column of a document -> column of the report."""
SENTENCES = (
    r"\d+\.\d % \[[\d., ]+\] of [\d,]+ graded discs",
    r"\d+\.\d % were misnamed",
    r"unweighted kappa of Pfirrmann grades is \S+ \[[^\]]+\]",
    r"Upper and lower end-plate are nearly one finding.*?half would be chance\.",
)


def main(check: bool = False) -> None:
    """Write the figures of ``notebooks/cross_validation/report.md`` into the documents."""
    report, differing = REPORT.read_text(encoding="utf-8"), []
    for path in (ROOT / name for name in DOCUMENTS):
        text = path.read_text(encoding="utf-8")
        wanted = published(text, report)
        if wanted != text:
            differing.append(path.name)
            if not check:
                path.write_text(wanted, encoding="utf-8")
    print(f"{'differ' if check else 'written'}: {', '.join(differing) or 'none'}")
    raise typer.Exit(1 if check and differing else 0)


def published(text: str, report: str) -> str:
    """A document with the report's figures in its tables of targets and in SENTENCES; empty cells stay empty."""
    cells, lines, head = cells_of(report), [], [""]
    for line in text.splitlines():
        row = _cells(line)
        if row[:1] == ["Target"]:
            head = row
        title = row[0].split(" (AUC")[0] if row else ""
        if len(row) == len(head) and (title, "Value") in cells:
            kept = zip(head[1:], row[1:], strict=True)
            row[1:] = [cells.get((title, COLUMNS.get(name, "")), old) if old else old for name, old in kept]
            line = f"| {' | '.join(row)} |"
        lines.append(line)
    text = "\n".join(lines) + "\n"
    for pattern, sentence in zip(SENTENCES, sentences_of(report, cells), strict=True):
        text = re.sub(pattern, lambda _, wanted=sentence: wanted, text, flags=re.DOTALL)  # type: ignore[misc]
    return text


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []


def cells_of(report: str) -> dict[tuple[str, str], str]:
    """(target's title, column) -> cell of the first table of the report that has such a one."""
    cells: dict[tuple[str, str], str] = {}
    head: list[str] = []
    for row in map(_cells, report.splitlines()):
        head = row if row[:1] == ["Target"] else head
        if row and len(row) == len(head) and row is not head and not row[0].startswith("---"):
            for name, cell in zip(head[1:], row[1:], strict=True):
                cells.setdefault((row[0], name), re.sub(r" \([a-z_]+\)$", "", cell))
    return cells


def sentences_of(report: str, cells: dict[tuple[str, str], str]) -> list[str]:
    """What stands for each of SENTENCES."""
    found = {row[0]: row[-1] for row in map(_cells, report.splitlines()) if len(row) == 3}
    graded = int(re.search(r"Of (\d+) graded discs", report)[1])  # type: ignore[index]
    twins = re.search(SENTENCES[-1], report)
    return [
        f"{found['right']} of {graded:,} graded discs",
        f"{found['misnamed'].split(' [')[0]} were misnamed",
        f"unweighted kappa of Pfirrmann grades is {cells['Pfirrmann degeneration', 'Kappa']}",
        twins[0] if twins else "",
    ]


if __name__ == "__main__":
    typer.run(main)
