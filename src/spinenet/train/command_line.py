"""``spinenet prepare``, ``train``, ``evaluate`` and ``export``: what each needs is imported when it runs."""

import logging
import sys
from collections.abc import Callable

import typer

from spinenet.errors import SpinenetError

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


def _passing(words: tuple[str, ...]) -> Callable[[typer.Context], None]:
    def command(context: typer.Context) -> None:
        try:
            run(words, context.args)
        except SpinenetError as error:
            LOG.debug("stopped", exc_info=True)
            typer.echo(f"spinenet: {error}", err=True)
            raise typer.Exit(2) from error

    return command


def run(words: tuple[str, ...], arguments: list[str]) -> None:
    """Run one of COMMANDS; SpinenetError where its extra is not installed."""
    name, extra, _ = COMMANDS[words]
    sys.argv = [" ".join(["spinenet", *words]), *arguments]  # where Hydra looks
    try:
        from spinenet.train import commands

        getattr(commands, name)()
    except ModuleNotFoundError as error:
        if (error.name or "spinenet").split(".")[0] in ("spinenet", "spinephantom"):
            raise
        raise SpinenetError(
            f"{' '.join(words)} needs {error.name}, which is not installed: pip install 'spinenet-mri[{extra}]'"
        ) from error
