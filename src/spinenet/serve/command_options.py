"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from spinenet.report.options import Language

Model = Annotated[Path | None, typer.Option(help="Model bundle, folder or zip.", show_default="the one in the package")]
Identify = Annotated[
    bool, typer.Option("--identify", help="Keep the patient's name and id in page and structured report.")
]
NoSlices = Annotated[
    bool, typer.Option("--no-slices", help="Leave the slices, and with them the viewer, out of the pages.")
]
Experimental = Annotated[
    bool,
    typer.Option(
        "--experimental",
        help="Report grades that were learnt from synthetic studies alone, not verified on patients, among the "
        "findings: in structured report, overview and impression.",
    ),
]
Paths = Annotated[
    list[Path],
    typer.Argument(metavar="PATH", help="DICOM studies, folder trees, NIfTI or MHA files.", show_default=False),
]
TextLanguage = Annotated[Language, typer.Option("--language", help="Language of the report text.")]
SeriesViews = Annotated[
    list[str] | None,
    typer.Option(
        metavar="VIEW=NAME",
        help="Take series NAME (as `spinenet inspect` names it, or as its header does; * for anything) for VIEW, "
        "such as sagittal_t2=series-4; may be repeated.",
        show_default=False,
    ),
]
PatientPage = Annotated[
    bool, typer.Option("--patient-page", help="Write a page for the patient too, in plain words of that language.")
]
