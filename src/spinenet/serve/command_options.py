"""Options that several commands share."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import Field, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from spinenet.report.options import EVERY, USUAL, Language, Output, ReportOptions, outputs_of
from spinenet.serve.node_settings import MAX_PORT, NodeSettings
from spinenet.serve.one_line_errors import one_line_usage

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
        """The command that the first word names, or ``predict`` where that is the path of something or can be but a
        path: one that is not there is named as such."""
        if args and args[0] not in self.commands and (len(Path(args[0]).parts) > 1 or Path(args[0]).exists()):
            args = ["predict", *args]
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """The options before a command; what is wrong with them in one line."""
        with one_line_usage():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Read the words of a command and run it; what is wrong with them in one line."""
        with one_line_usage():
            return super().invoke(ctx)


def _report_options(
    identify: Annotated[
        bool,
        typer.Option(
            "--identify", help="Keep the patient's name and id in page, DICOM objects and FHIR, and UIDs in JSON."
        ),
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
        Language, typer.Option("--language", help="Of pages, worklist, report text and the page for patients.")
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


def given_options(context: typer.Context) -> frozenset[str]:
    """The fields of ReportOptions that the words of a command name, the others being defaults."""
    names = {one.name: one.name for one in fields(ReportOptions)} | {"slices": "no_slices"}
    sources = {field: context.get_parameter_source(name) for field, name in names.items()}
    return frozenset(field for field, source in sources.items() if source and source.name == "COMMANDLINE")


def configured(command: Callable[..., None]) -> Callable[..., None]:
    """A command that is told ``settings`` by the options of ``NodeSettings``; those that were given, by name."""
    own = inspect.signature(command).parameters
    options = [one for one in fields(NodeSettings) if one.metadata]

    @functools.wraps(command)
    def called(**values: Any) -> None:
        given = {one.name: values.pop(one.name) for one in options}
        command(**values, given=given)

    parameters = [*(one for name, one in own.items() if name != "given"), *map(_option_of, options)]
    parameters.sort(key=lambda one: one.kind)
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
    return called


def _option_of(key: Field[Any]) -> inspect.Parameter:
    """The option of a setting: without it, the setting is that of the file or its default."""
    told, kind = key.metadata, key.type
    names = [f"--{key.name.replace('_', '-')}"] + (["-o"] if key.name == "out" else [])
    is_empty = key.default in (None, "", (), 0, False)
    option = typer.Option(
        *names,
        help=told["help"],
        metavar=told["metavar"] or None,
        min=told["least"],
        max=MAX_PORT if "port" in key.name else None,
        show_default=False if is_empty else str(key.default),
    )
    wanted: Any = list[str] | None if kind == tuple[str, ...] else kind | None  # type: ignore[operator]
    return inspect.Parameter(
        key.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=Annotated[wanted, option]
    )
