"""``spinenet apply``: corrections that readers saved on pages -> the results of these studies, and a labelled set."""

import csv
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from spinenet.errors import OutputError
from spinenet.model.bundle import Bundle
from spinenet.readers import find_studies
from spinenet.readers.fingerprints import images_digest
from spinenet.report.corrections import Corrections, corrected, correction_rows, read_corrections
from spinenet.report.options import ReportOptions
from spinenet.report.study_files import REPORTS_FOLDER, write_folder_files
from spinenet.report.tables import append, arrange, recover, write_table
from spinenet.serve.batch import Worker, predict_source
from spinenet.serve.output_folder import claim, is_output, locked, options_of

CORRECTIONS_FILE = "corrections.csv"
COLUMNS = ("study", "level", "target", "grade", "corrected")


def apply_corrections(
    files: Sequence[Path],
    images: Sequence[Path],
    out: Path,
    bundle: Bundle,
    options: ReportOptions,
    given: Collection[str] = (),
) -> list[str]:
    """Make the results of the studies that ``files`` correct anew, as their readers have them; returns their keys.

    ``out`` is the folder that their pages were written to, ``images`` is where the studies lie. What the run that made
    a study's results showed is shown again, but for those of ``options`` that are ``given`` by name. Raises OutputError
    where a file is no correction, is of another model, or is of a study that is not there.
    """
    wanted = {one.study: one for one in map(read_corrections, files)}
    if not is_output(out):
        raise OutputError(f"{out}: no results here; name the folder that the pages were written to")
    with locked(out):
        changed = {name: getattr(options, name) for name in given}
        results = recover(out)
        claimed = claim(out, bundle.metadata, find_studies(images), results, again=False)
        sources = {source.key: source for source in claimed.sources if source.key in wanted}
        _check(wanted, set(sources) & set(results), bundle, out)
        labels = other_labels(out / CORRECTIONS_FILE, set(wanted))
        for key, source in sources.items():
            predicted = predict_source(source, bundle)
            labels += correction_rows(predicted, wanted[key])
            result = corrected(predicted, wanted[key], bundle.usual_measurements)
            asked = replace(options_of(out, key) or options, **changed)
            rows = Worker(bundle, out / REPORTS_FOLDER, asked).report(
                result, images_digest(source), str(source.location)
            )
            append(out, rows.study, rows.predictions)
        recover(out)
        arrange(out, list(results))
        write_folder_files(out, list(recover(out)), replace(options_of(out) or options, **changed).language)
        write_table(out / CORRECTIONS_FILE, COLUMNS, labels)
    return list(sources)


def _check(wanted: Mapping[str, Corrections], there: set[str], bundle: Bundle, out: Path) -> None:
    missing = sorted(set(wanted) - there)
    if missing:
        raise OutputError(f"{out}: no results and images of {', '.join(missing)}; name the folders of that prediction")
    digest = str(bundle.metadata.get("digest", bundle.version))
    other = sorted(key for key, one in wanted.items() if one.model != digest)
    if other:
        raise OutputError(
            f"corrections of {', '.join(other)} were made on pages of another model; name it with --model"
        )


def other_labels(path: Path, replaced: set[str]) -> list[dict[str, str]]:
    """The corrections of other studies that a table holds already."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["study"] not in replaced]
