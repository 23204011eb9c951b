"""What changed between two studies, on the terminal."""

import typer
from rich.console import Console
from rich.table import Table

from spinenet.report.page.change import SAME, TITLES, Comparison


def print_changes(comparison: Comparison) -> None:
    """Every pair with its sentences, what changed as a table, and the rest as a count."""
    for pair in comparison.pairs:
        typer.echo(f"{pair.prior} -> {pair.current}{f' ({pair.caution})' if pair.caution else ''}")
        for sentence in pair.sentences:
            typer.echo(f"  {sentence}")
    shown = [change for change in comparison.changes if change.verdict != SAME]
    table = Table("Level", "What", "Earlier", "Later", "Difference", "Noise", "Verdict")
    for one in shown:
        numbers = ["" if value is None else f"{value:.2f}" for value in (one.difference, one.noise)]
        doubt = " (experimental)" if one.experimental else "" if one.confident else " (not stood by)"
        table.add_row(one.level, TITLES[one.target], one.prior, one.current, *numbers, one.verdict + doubt)
    if shown:
        Console(soft_wrap=True).print(table)
    typer.echo(f"{len(comparison.changes) - len(shown)} of {len(comparison.changes)} are the same")
    if comparison.unpaired:
        typer.echo(f"without a partner: {', '.join(comparison.unpaired)}")
