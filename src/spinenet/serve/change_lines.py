"""What changed between two studies, on the terminal: sentences, what changed as lines, and the rest as counts."""

from collections import Counter

import typer

from spinenet.labels import TARGET
from spinenet.report.page.change import (
    BEYOND,
    TWO_PERSONS,
    VERDICTS,
    Change,
    ComparedPair,
    Comparison,
    cell_of,
    title_of,
)
from spinenet.report.page.page_words import PageWords, page_words

MOST_ROWS = 20
"""So many changed rows are printed of a pair, grades first."""


def print_changes(comparison: Comparison) -> None:
    """Every pair in the language of the comparison; all rows stand in the files that ``--out`` writes."""
    words = page_words(comparison.language)
    for pair in comparison.pairs:
        if pair.is_doubted:
            typer.secho(f"{words('Caution').upper()}: {words(TWO_PERSONS)}", fg="red", bold=True)
        typer.echo(f"{pair.prior} -> {pair.current}")
        if pair.caution:
            typer.echo(f"  ({pair.caution})")
        for sentence in pair.sentences:
            typer.echo(f"  {sentence}")
        keys = (pair.prior_study, pair.current_study)
        _print_rows([one for one in comparison.changes if (one.prior_study, one.current_study) == keys], pair, words)
    if comparison.unpaired:
        typer.echo(words("Without a partner: {studies}.", studies=words.phrases("comma").join(comparison.unpaired)))


def _print_rows(changes: list[Change], pair: ComparedPair, words: PageWords) -> None:
    beyond = [one for one in changes if one.verdict == BEYOND and not one.experimental]
    for one in sorted(beyond, key=lambda one: one.target not in TARGET)[:MOST_ROWS]:
        typer.echo(f"  {_line(one, pair, words)}")
    if len(beyond) > MOST_ROWS:
        typer.echo(f"  … {words('{count} more', count=len(beyond) - MOST_ROWS)}")
    counts = Counter("experimental" if one.experimental else one.verdict for one in changes)
    told = [f"{words(verdict)} {counts[verdict]}" for verdict in (*VERDICTS, "experimental") if counts[verdict]]
    heading = words("Grades and measurements: {counts}.", counts=words.phrases("comma").join(told))
    typer.echo(f"  {heading}")


def _line(one: Change, pair: ComparedPair, words: PageWords) -> str:
    """One row; numbers as they are written in the language."""
    was, now = (cell_of(one, values, words) for values in pair.values)
    known = [("Difference", one.difference), ("Noise", one.noise)]
    numbers = [f"{words(name)} {words.number(f'{value:.2f}')}" for name, value in known if value is not None]
    doubt = [] if one.confident else [words("not every grade is one the model stands by")]
    details = words.phrases("comma").join([*numbers, *doubt])
    return f"{one.level} {title_of(one.target, words)}: {was} -> {now} ({details})"
