"""The command ``spinenet``: predict, apply, listen, fetch, compare, inspect, verify; and those of ``train``.

Each command imports what it needs, so that help is instant.

Results and tables go to stdout, progress and complaints to stderr. Exit code 0: all well, 1: some study failed, 2: the
call was wrong or nothing could be done.
"""

import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spinenet import __version__
from spinenet.errors import BundleError, SpinenetError, StudyError
from spinenet.labels import RESEARCH_ONLY
from spinenet.report.options import Language, ReportOptions
from spinenet.serve.command_options import (
    RESULTS,
    LevelTable,
    LowestLevel,
    Model,
    Paths,
    PathsAreCommands,
    SeriesViews,
    configured,
    given_options,
    reporting,
)
from spinenet.serve.one_line_errors import one_line_errors
from spinenet.system import tracebacks
from spinenet.system.namesake import namesakes
from spinenet.train.command_line import add_commands

if TYPE_CHECKING:
    from spinenet.model.bundle import Bundle
    from spinenet.study import Series, Study

LOG = logging.getLogger(__name__)

app = typer.Typer(
    cls=PathsAreCommands,
    help=f"Finds every disc level in lumbar spine MRI and grades it.\n\n{RESEARCH_ONLY}",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Entry point of the command."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal cannot show every name
    for line in namesakes(Path(__file__).parents[1]):
        _say(f"spinenet: {line}")
    app(prog_name="spinenet")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"spinenet {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Print the traceback of whatever is otherwise said in one line.")
    ] = False,
) -> None:
    """What every command shares."""
    if debug:
        tracebacks.show()


@app.command()
@reporting
def predict(
    paths: Paths,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the tables and reports.")] = RESULTS,
    model: Model = None,
    workers: Annotated[int, typer.Option(min=1, help="Studies predicted at the same time.")] = 1,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Spread the studies over this Ray cluster.", show_default=False),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Predict studies again that have results.")] = False,
    series: SeriesViews = None,
    levels: LevelTable = None,
    lowest_level: LowestLevel = None,
    show: Annotated[bool, typer.Option("--open", help="Open the worklist, or the page of a single study.")] = False,
    *,
    options: ReportOptions,
) -> None:
    """Grade studies into tables, pages and DICOM objects.

    Writes tables of grades, studies and measurements, predictions.json, a worklist, and for each study a page, the
    report as text, a structured report and an overview. `spinenet FOLDER` is short for `spinenet predict FOLDER`.
    """
    with one_line_errors():
        from spinenet.model.bundle import load_bundle
        from spinenet.readers import parse_wanted
        from spinenet.readers.level_names import given_names
        from spinenet.report.tables import MEASUREMENTS_FILE
        from spinenet.serve.batch import REPORTS_FOLDER, page_to_open, predict_paths
        from spinenet.serve.run_progress import run_progress

        wanted = [parse_wanted(text) for text in series or ()]
        names = given_names(levels, lowest_level or ())
        bundle = load_bundle(model)
        _say_apart(paths)
        with run_progress() as progress:
            summary = predict_paths(
                paths,
                out,
                bundle,
                overwrite=overwrite,
                options=options,
                workers=workers,
                cluster=ray,
                wanted=wanted,
                names=names,
                on_progress=progress,
            )
        typer.echo(summary)
        if summary.counts["failed"]:
            typer.echo("`spinenet inspect` with the same paths and --out says which files a study is, and as what")
        measured = "measurements.csv, " if (out / MEASUREMENTS_FILE).is_file() else ""
        typer.echo(f"tables in {out}: predictions.csv, {measured}studies.csv, predictions.json")
        typer.echo(f"worklist: {out / 'worklist.html'}\nreports: {out / REPORTS_FOLDER}")
        first = page_to_open(out, summary.keys)
        typer.echo(f"open {first} in a browser (--open does it)\n{RESEARCH_ONLY}")
        if show:
            typer.launch(first.resolve().as_uri())
    raise typer.Exit(summary.exit_code)


@app.command()
@reporting
@configured
def listen(
    config: Annotated[
        Path | None, typer.Option(help="TOML file with these settings; options go before it.", show_default=False)
    ] = None,
    model: Model = None,
    *,
    given: dict[str, Any],
    options: ReportOptions,
) -> None:
    """Be a DICOM node that grades what it is sent.

    A study is graded when it is complete, and the results are sent on. Ctrl-C ends it.
    """
    with one_line_errors("stopped; what was received is kept, the same command goes on with it"):
        from spinenet.model.bundle import load_bundle
        from spinenet.serve.node.listening import listen as run
        from spinenet.serve.node_settings import NodeSettings, read_settings, with_options

        settings = with_options(read_settings(config) if config else NodeSettings(), given)
        run(settings, load_bundle(model or settings.model), settings.report_options(options), _say)


@app.command()
def fetch(
    study: Annotated[str, typer.Argument(metavar="URL", help="A study of a DICOMweb archive, .../studies/UID.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for its images.", show_default=False)],
    token_file: Annotated[
        Path | None, typer.Option(help="File with the token that the archive asks for.", show_default=False)
    ] = None,
) -> None:
    """Take a study from an archive by its address."""
    with one_line_errors("stopped; the images that came are kept"):
        from spinenet.serve.node.listening import token_in
        from spinenet.serve.node.web_archive import fetch as take

        typer.echo(f"{take(study, out, token_in(token_file))} images in {out}; spinenet predict {out}")


@app.command("app")
@reporting
def local_app(
    folder: Annotated[Path, typer.Option(help="Where images and results are kept.")] = Path("spinenet-app"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is any free one.")] = 0,
    model: Model = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address, open nothing.")] = False,
    *,
    options: ReportOptions,
) -> None:
    """Open a page to drop studies into, on this computer alone."""
    with one_line_errors("stopped; images and results are kept"):
        from spinenet.model.bundle import load_bundle
        from spinenet.serve.app import serve
        from spinenet.serve.workspace import Workspace

        work = Workspace(folder, load_bundle(model), replace(options, identify=True))
        serve(work, port, _say if no_browser else _open)


def _open(address: str) -> None:
    _say(f"open {address} if no browser does")
    typer.launch(address)


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _say_apart(paths: list[Path]) -> None:
    """Files named one by one are a study each, which is not what is meant by those of one patient."""
    from spinenet.readers.names import is_volume

    files = sum(is_volume(path) and path.is_file() for path in paths)
    if files > 1:
        together = "to grade those of one patient together name their folder"
        _say(f"{files} files named one by one are {files} studies; {together}")


@app.command()
def inspect(
    paths: Paths,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Results whose keys are shown.", show_default=False)
    ] = None,
    model: Model = None,
) -> None:
    """Say which series would be graded as what.

    Nothing is predicted, and nothing written.
    """
    with one_line_errors():
        from spinenet.readers import find_studies, read_study
        from spinenet.readers.names import printable
        from spinenet.serve.output_folder import key_in

        unreadable, bundle = 0, _bundle_at_hand(model)
        _say_apart(paths)
        for source in find_studies(paths):
            typer.echo(f"{key_in(source, out)}  {', '.join(source.formats)}  {printable(str(source.location))}")
            try:
                study = read_study(source)
            except SpinenetError as error:
                LOG.debug("%s: cannot be read", source.key, exc_info=True)
                unreadable += 1
                typer.echo(f"  cannot be read: {error}")
                continue
            for series in _as_graded(study, bundle).series:
                typer.echo(f"  {_series_line(series)}")
            for note in study.notes:
                typer.echo(f"  note: {note}")
    raise typer.Exit(int(unreadable > 0))


def _bundle_at_hand(model: Path | None) -> "Bundle | None":
    """The bundle; None, which is said, where none was asked for and none lies in the package."""
    from spinenet.model.bundle import load_bundle

    try:
        return load_bundle(model)
    except BundleError:
        if model is not None:
            raise
        _say("no model bundle in the package: views are what the files say, before the image is asked (see --model)")
        return None


def _as_graded(study: "Study", bundle: "Bundle | None") -> "Study":
    """The study with its views settled as for prediction; as it was read, which is said, where that cannot be done."""
    from spinenet.locating.routing import route

    if bundle is None:
        return study
    try:
        return route(study, bundle.segment).study
    except StudyError as error:
        typer.echo(f"  views are what the files say, before the image is asked: {error}")
        return study


@app.command()
def compare(
    prior: Annotated[Path, typer.Argument(help="Earlier results: an output folder or reports/STUDY.json.")],
    current: Annotated[Path, typer.Argument(help="Later results of the same patient.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for changes.csv and changes.html.", show_default=False)
    ] = None,
    language: Annotated[Language, typer.Option("--language", help="Of the sentences and the page.")] = Language.EN,
) -> None:
    """Say what changed between two studies of a patient.

    And whether it is more than the model's own noise. Results that name patients are paired by person and date, and
    two persons are refused.
    """
    with one_line_errors():
        from spinenet.report.page import change as pairs
        from spinenet.report.page.page_words import page_words
        from spinenet.serve.change_lines import print_changes
        from spinenet.system.files import write_text

        comparison = pairs.compare(prior, current, language)
        print_changes(comparison)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            write_text(out / "changes.csv", pairs.table(comparison.changes))
            write_text(out / "changes.html", pairs.page(comparison))
        words = page_words(language)
        files = f"{out / 'changes.csv'}, {out / 'changes.html'}" if out else "--out"
        typer.echo(words("All rows, as table and page: {files}.", files=files))
        typer.echo(words.phrases("notice"))


@app.command()
@reporting
def apply(
    context: typer.Context,
    corrections: Annotated[list[Path], typer.Argument(metavar="corrected.json", help="Files that pages saved.")],
    images: Annotated[
        list[Path], typer.Option("--images", help="Where the studies lie; may be repeated.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder with their results.", show_default=False)],
    model: Model = None,
    *,
    options: ReportOptions,
) -> None:
    """Put a reader's corrections into the results.

    Writes page, text, tables and, where the reader approved, a verified structured report anew, with the patient's
    name, in the language and with the outputs of the run that made them unless other options are given;
    corrections.csv holds all corrections, as labels to train with (data=table).
    """
    with one_line_errors():
        from spinenet.model.bundle import load_bundle
        from spinenet.serve.applying import CORRECTIONS_FILE, apply_corrections

        keys = apply_corrections(corrections, images, out, load_bundle(model), options, given_options(context))
        typer.echo(f"corrected: {', '.join(keys)}\nlabels: {out / CORRECTIONS_FILE}\n{RESEARCH_ONLY}")


@app.command()
def verify(
    bundle: Annotated[Path | None, typer.Argument(help="Model bundle, folder or zip.", show_default=False)] = None,
) -> None:
    """Check a model bundle byte for byte, and say what it is.

    By default the one in the package.
    """
    with one_line_errors():
        from spinenet.model.bundle import load_bundle
        from spinenet.report.bundle_facts import lines_of

        for line in lines_of(load_bundle(bundle)):
            typer.echo(line)


add_commands(app)


def _series_line(series: "Series") -> str:
    slices, rows, columns = series.voxels_SRC.shape
    step_mm, row_mm, column_mm = series.spacing_mm
    size = f"{slices} x {rows} x {columns}, {step_mm:.2f} x {row_mm:.2f} x {column_mm:.2f} mm"
    side = "" if series.laterality_known else "; left and right unknown"
    return f"{series.name}: {series.view or 'not used'} ({series.reason.rstrip('.') or series.plane}); {size}{side}"
