"""``spinenet prepare``, ``train``, ``evaluate``, ``export``, ``accept`` and ``monitor``: what each needs is imported
late."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from spinenet.errors import SpinenetError
from spinenet.labels import RESEARCH_ONLY

LOG = logging.getLogger(__name__)

COMMANDS = {
    ("prepare",): ("prepare_data", "train", "Check a data set, or turn it into files that train fast."),
    ("train", "locator"): ("train_locator", "train", "Train the network that finds the levels."),
    ("train", "segmenter"): ("train_segmenter", "train", "Train the network that outlines discs to be measured."),
    ("train", "measured"): ("train_measured", "train", "Fit what grades discs by their measurements."),
    ("train", "grader"): ("train_grader", "train", "Train the network that grades levels; makes a bundle."),
    ("train", "discs"): ("train_discs", "train", "Train the network that grades discs in midline slices."),
    ("evaluate",): ("evaluate", "evaluate", "Hold predictions, or runs on test patients, against truth."),
    ("export",): ("export", "train", "Join runs into a bundle that predicts without torch."),
}
"""Words of the command: function of ``train.commands``, extra that it needs, help."""
KEYS = "KEY=VALUE ... as Hydra takes them; --help lists every key, --cfg job shows their values."


def add_commands(app: typer.Typer) -> None:
    """Give ``app`` the commands; everything behind their words goes to Hydra, ``--help`` included."""
    train = typer.Typer(help="Train networks (extra train).", no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(train, name="train")
    settings = {"allow_extra_args": True, "ignore_unknown_options": True}
    for words, (_, extra, text) in COMMANDS.items():
        add = (train if len(words) == 2 else app).command(
            words[-1],
            context_settings=settings,
            add_help_option=False,
            help=f"{text} Needs the extra {extra}.\n\n{KEYS}",
            short_help=text,
        )
        add(_passing(words))
    app.command(short_help="Hold a bundle against your own readers by bars stated before.")(accept)
    app.command(short_help="Draw control charts of results by month and scanner.")(monitor)


def accept(
    studies: Annotated[Path, typer.Argument(help="Folder of studies.", show_default=False)],
    truth: Annotated[
        Path,
        typer.Argument(metavar="TRUTH.csv", help="Your readers' grades: study,level,target,truth.", show_default=False),
    ],
    protocol: Annotated[Path, typer.Option(help="TOML file of bars, stated before.", show_default=False)],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the page and what it rests on.", show_default=False)
    ],
    model: Annotated[
        Path | None, typer.Option(help="Model bundle, folder or zip.", show_default="the one in the package")
    ] = None,
) -> None:
    """Acceptance test: grade studies, compare with your readers, judge bars that were stated before: one page."""
    with _told(("accept",), "evaluate"):
        from spinenet.evaluate.quality_assurance import local_test
        from spinenet.evaluate.quality_assurance.protocol import load_protocol
        from spinenet.model.bundle import load_bundle
        from spinenet.system.progress import progress_bar

        wanted, bundle = load_protocol(protocol), load_bundle(model)
        with progress_bar() as progress:
            task = progress.add_task("grading", total=None)
            verdict = local_test.accept(
                [studies],
                truth,
                wanted,
                bundle,
                out,
                lambda done, total: progress.update(task, completed=done, total=total),
            )
        typer.echo(f"{verdict}; page to sign: {out / 'acceptance.html'}\n{RESEARCH_ONLY}")
    raise typer.Exit(0 if verdict == "pass" else 1)


def monitor(
    results: Annotated[Path, typer.Argument(help="Folder that `spinenet predict` wrote.", show_default=False)],
    days: Annotated[Path, typer.Option(help="CSV: study,date and, where known, scanner.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for charts and report.", show_default=False)],
) -> None:
    """Control charts of grades, sets, refusals and measurements, by month and scanner; 1 where use should stop."""
    with _told(("monitor",), "evaluate"):
        from spinenet.evaluate.quality_assurance import monitoring

        found = monitoring.charts(monitoring.load_results(results), monitoring.load_days(days))
        monitoring.write_monitoring(found, out)
        for words in found.left_out:
            typer.echo(words, err=True)
        typer.echo(f"{'STOP: beyond the limits' if found.beyond else 'within the limits'}; report: {out / 'report.md'}")
    raise typer.Exit(1 if found.beyond else 0)


def _passing(words: tuple[str, ...]) -> Callable[[typer.Context], None]:
    def command(context: typer.Context) -> None:
        with _told(words, COMMANDS[words][1]):
            run(words, context.args)

    return command


@contextmanager
def _told(words: tuple[str, ...], extra: str) -> Iterator[None]:
    """What a user can meet ends in one line; a library that is not installed names its extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "spinenet").split(".")[0] in ("spinenet", "spinephantom"):
            raise
        lacking = f"{' '.join(words)} needs {error.name}, which is not installed: pip install 'spinenet-mri[{extra}]'"
        typer.echo(f"spinenet: {lacking}", err=True)
        raise typer.Exit(2) from error
    except SpinenetError as error:
        LOG.debug("stopped", exc_info=True)
        typer.echo(f"spinenet: {error}", err=True)
        raise typer.Exit(2) from error


def run(words: tuple[str, ...], arguments: list[str]) -> None:
    """Run one of COMMANDS."""
    sys.argv = [" ".join(["spinenet", *words]), *arguments]  # where Hydra looks
    from spinenet.train import commands

    getattr(commands, COMMANDS[words][0])()
