"""Options that several commands share."""

import functools
import inspect
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from spinenet.report.options import EVERY, USUAL, Language, Output, ReportOptions, outputs_of

Model = Annotated[Path | None, typer.Option(help="Model bundle, folder or zip.", show_default="the one in the package")]
Paths = Annotated[
    list[Path],
    typer.Argument(metavar="PATH", help="DICOM studies, folder trees, NIfTI or MHA files.", show_default=False),
]
SeriesViews = Annotated[
    list[str] | None,
    typer.Option(
        metavar="VIEW=NAME",
        help="Take series NAME (as `spinenet inspect` names it, or as its header does; * for anything) for VIEW, "
        "such as sagittal_t2=series-4; may be repeated.",
        show_default=False,
    ),
]
LevelTable = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Names of levels that are known beforehand: a CSV with the columns study (key, or where it lies) and "
        "levels, which is the name of the lowest disc or those of all discs from the lowest up.",
        show_default=False,
    ),
]
LowestLevel = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[STUDY=]NAME",
        help="Name of the lowest disc, the one on the sacrum or the lowest in view, such as L4/L5, or S1/S2, which is "
        "not graded; of STUDY alone or of every one; may be repeated.",
        show_default=False,
    ),
]


RESULTS = Path("spinenet-results")
"""Where results go that no folder was named for."""


class PathsAreCommands(TyperGroup):
    """Commands; a path in the place of one is predicted: ``spinenet FOLDER``."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first word names, or ``predict`` where that is the path of something."""
        if args and args[0] not in self.commands and Path(args[0]).exists():
            args = ["predict", *args]
        return super().resolve_command(ctx, args)


def _report_options(
    identify: Annotated[
        bool, typer.Option("--identify", help="Keep the patient's name and id in page and structured report.")
    ] = False,
    no_slices: Annotated[
        bool, typer.Option("--no-slices", help="Leave the slices, and with them the viewer, out of the pages.")
    ] = False,
    experimental: Annotated[
        bool,
        typer.Option(
            "--experimental",
            help="Report grades that were learnt from synthetic studies alone, not verified on patients, among the "
            "findings: in structured report, overview and impression.",
        ),
    ] = False,
    language: Annotated[
        Language, typer.Option("--language", help="Of the report text and the page for patients; the rest is English.")
    ] = Language.EN,
    patient_page: Annotated[
        bool, typer.Option("--patient-page", help="Write a page for the patient too, in plain words of that language.")
    ] = False,
    outputs: Annotated[
        str,
        typer.Option(
            "--outputs",
            metavar="LIST",
            help=f"What to make for other systems, parted by commas: {', '.join(Output)}, or {EVERY}.",
        ),
    ] = ",".join(USUAL),
) -> ReportOptions:
    try:
        wanted = outputs_of(outputs)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--outputs") from error
    if Output.PDF in wanted and find_spec("reportlab") is None:
        needed = f"{Output.PDF} needs reportlab: pip install 'spinenet-mri[pdf]'"
        raise typer.BadParameter(needed, param_hint="--outputs")
    return ReportOptions(identify, not no_slices, experimental, language, patient_page, wanted)


def reporting(command: Callable[..., None]) -> Callable[..., None]:
    """A command that writes reports: its ``options`` are given by the options of ``_report_options``."""
    shared = inspect.signature(_report_options).parameters
    own = inspect.signature(command).parameters

    @functools.wraps(command)
    def called(**values: Any) -> None:
        options = _report_options(**{name: values.pop(name) for name in shared})
        command(**values, options=options)

    parameters = [*(one for name, one in own.items() if name != "options"), *shared.values()]
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
    return called
