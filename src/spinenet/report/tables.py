"""``predictions.csv`` and ``studies.csv``: what everything downstream reads; ``measurements.csv`` beside them.

A study's rows are appended in one piece, its line in ``studies.csv`` last: that line says that the study is complete.
Whatever a killed run left behind without it is removed by ``recover``. Rewriting a table goes through a new file that
replaces the old one, so a reader never meets half of one.
"""

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spinenet.errors import OutputError
from spinenet.labels import MAX_GRADES, TARGET
from spinenet.report.certainty import label
from spinenet.study import Prediction, StudyResult
from spinenet.system.files import write_safely

PREDICTIONS_FILE = "predictions.csv"
STUDIES_FILE = "studies.csv"
MEASUREMENTS_FILE = "measurements.csv"
PREDICTION_COLUMNS = (
    *("study", "level", "target", "grade", "label"),
    *(f"p_{index}" for index in range(MAX_GRADES)),
    "confident",
    "evidence",
)
MEASUREMENT_COLUMNS = (
    "study",
    "level",
    "measurement",
    "value",
    "unit",
    "error_95",
    "percentile",
    "series",
    "slice_index",
)
STUDY_COLUMNS = ("study", "status", "levels_found", "grades", "images", "message", "seconds")
MAX_FIELD = 1 << 24
"""Longest cell that is read: earlier versions wrote messages of any length."""
MAX_MESSAGE = 4000
"""Characters of a message in the table; all notes are in the study's own document."""
COLUMN_WORDS = {
    "study": "Key of the study, made from its identifier or its file name; the same in every output.",
    "level": "Disc level, counted from the lowest disc; a transitional vertebra would shift it.",
    "target": "What was graded.",
    "grade": "The decided grade, a value of the target's published scale; not the most probable one where a cut of the "
    "calibration decides, as for rare findings.",
    "label": "The grade as page, text and structured report say it: plainly where the model stands by it, else as "
    "likely or as what cannot be excluded; with a question mark where it is experimental.",
    "p_0": "Probability of the first grade of the scale, with six decimals; p_1 and so on are the others', "
    "empty past the end of the scale. Calibrated on what the target was learnt from (evidence).",
    "confident": "False where the model does not stand by its grade.",
    "evidence": "What the target was learnt from: real patients, or synthetic studies alone, which makes a grade "
    "experimental: not verified on patients; reader: given by one; approved: the model's that one approved.",
    "status": "ok; partial: some series or level could not be used; failed: nothing was graded.",
    "levels_found": "Levels that were found, graded or not.",
    "grades": "Rows that the study has in predictions.csv.",
    "images": "Digest of headers and pixels of the images it was made from; other images are read again.",
    "message": "What a reader must know of the study, in one line.",
    "seconds": "Time it took.",
    "measurement": "What was measured; the table below has the names.",
    "value": "The number, in its unit.",
    "unit": "Unit in UCUM; 1 has none.",
    "error_95": "How far 95 of 100 such measurements are off at most; empty where that is not known.",
    "percentile": "Place among the patients the bundle learnt from at that level: 5 to 95, 0 below the 5th, 100 above "
    "the 95th; empty where that is not known.",
    "series": "Series whose outlines it was read from; empty: by the locator, the mean over sagittal series.",
    "slice_index": "The axial slice it was read from, counted from 0 at the lowest; empty: the mid-sagittal one.",
}
"""What the columns of the tables hold, for the documentation."""

_FORMULA = tuple("=+-@")
"""What begins with one of these is calculated when a spreadsheet opens the table."""

Row = Mapping[str, str]


@dataclass(frozen=True)
class StudyRow:
    """One line of ``studies.csv``: how reading and grading a study went."""

    study: str
    status: str
    levels_found: int
    message: str
    seconds: float
    grades: int = 0
    images: str = ""

    def cells(self) -> dict[str, str]:
        """The line as text, the message in one line whatever it came as, no formula for a spreadsheet, and bounded."""
        message = " ".join(self.message.split())
        if len(message) > MAX_MESSAGE:
            message = message[:MAX_MESSAGE].rsplit(";", 1)[0] + "; and more, see the study's own document"
        return {
            "study": self.study,
            "status": self.status,
            "levels_found": str(self.levels_found),
            "grades": str(self.grades),
            "images": self.images,
            "message": f"'{message}" if message[:1] in _FORMULA else message,
            "seconds": f"{self.seconds:.3f}",
        }


def study_row(result: StudyResult) -> StudyRow:
    """The line of a study; levels count once however many series show them."""
    found = {frame.level for located in result.located for frame in located.frames}
    grades = len(prediction_rows(result))
    return StudyRow(result.key, result.status, len(found), result.message, result.seconds, grades)


def prediction_rows(result: StudyResult) -> list[dict[str, str]]:
    """The lines of a study: one a level and target, none for a failed study.

    An evaluation adds its own columns to these (``truth``, ``u_0`` ..) and writes them with ``write_table``.
    """
    if result.status == "failed":
        return []
    return [prediction_cells(result.key, prediction) for prediction in result.predictions]


def prediction_cells(study: str, prediction: Prediction) -> dict[str, str]:
    """One line of ``predictions.csv``; probabilities past the end of the scale are empty.

    >>> prediction_cells("a", Prediction("L4/L5", "bulging", 1, (0.25, 0.75), True))["p_1"]
    '0.750000'
    """
    target = TARGET[prediction.target]
    if len(prediction.probabilities) != len(target.grades):
        raise ValueError(f"{target.name}: {len(prediction.probabilities)} probabilities, {len(target.grades)} grades")
    probabilities = [f"{probability:.6f}" for probability in prediction.probabilities]
    probabilities += [""] * (MAX_GRADES - len(probabilities))
    return {
        "study": study,
        "level": prediction.level,
        "target": target.name,
        "grade": str(prediction.grade),
        "label": label(prediction),
        **{f"p_{index}": text for index, text in enumerate(probabilities)},
        "confident": "true" if prediction.confident else "false",
        "evidence": prediction.evidence,
    }


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Write a whole table, replacing what was there only when the new one is complete."""
    header = dict(zip(columns, columns, strict=True))
    write_safely(path, _csv_bytes(columns, [header, *rows]))


def recover(folder: Path) -> dict[str, StudyRow]:
    """Make a folder ready for ``append`` and return its complete studies by key.

    Creates the tables where there are none. A cut line, rows of a study that was not completed, and those of one that
    was completed again since are removed. Raises OutputError where a table of that name has other columns.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = [_study_row(row, folder) for row in _read_whole_lines(folder / STUDIES_FILE, STUDY_COLUMNS)]
    written: dict[str, list[dict[str, str]]] = {}
    for row in _read_whole_lines(folder / PREDICTIONS_FILE, PREDICTION_COLUMNS):
        written.setdefault(row["study"], []).append(row)
    studies: dict[str, StudyRow] = {}
    begins: dict[str, int] = {}
    for line in lines:
        before = studies.pop(line.study, None)
        begins[line.study] = begins.get(line.study, 0) + (before.grades if before else 0)
        studies[line.study] = line
    kept = [row for key, line in studies.items() for row in written.get(key, [])[begins[key] :][: line.grades]]
    _write_if_different(folder / STUDIES_FILE, STUDY_COLUMNS, [row.cells() for row in studies.values()])
    _write_if_different(folder / PREDICTIONS_FILE, PREDICTION_COLUMNS, kept)
    return studies


def arrange(folder: Path, keys: Sequence[str]) -> None:
    """Put the rows of these studies into this order, those of others before them; a study's own rows stay in theirs."""
    place = {key: index for index, key in enumerate(keys)}
    for name, columns in ((STUDIES_FILE, STUDY_COLUMNS), (PREDICTIONS_FILE, PREDICTION_COLUMNS)):
        rows = _read_whole_lines(folder / name, columns)
        _write_if_different(folder / name, columns, sorted(rows, key=lambda row: place.get(row["study"], -1)))


def remove(folder: Path, study: str) -> None:
    """Take the rows of a study out of tables that ``recover`` made ready, its line in STUDIES_FILE first."""
    for name, columns in ((STUDIES_FILE, STUDY_COLUMNS), (PREDICTIONS_FILE, PREDICTION_COLUMNS)):
        rows = [row for row in _read_whole_lines(folder / name, columns) if row["study"] != study]
        _write_if_different(folder / name, columns, rows)


def append(folder: Path, row: StudyRow, predictions: Sequence[Row]) -> None:
    """Add one study to tables that ``recover`` made ready; raises OSError, with nothing half written."""
    _append_block(folder / PREDICTIONS_FILE, _csv_bytes(PREDICTION_COLUMNS, predictions))
    _append_block(folder / STUDIES_FILE, _csv_bytes(STUDY_COLUMNS, [row.cells()]))


def _csv_bytes(columns: Sequence[str], rows: Iterable[Row]) -> bytes:
    text = io.StringIO()
    csv.DictWriter(text, columns, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _append_block(path: Path, block: bytes) -> None:
    with path.open("ab", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        try:
            if file.write(block) != len(block):
                raise OSError(f"{path}: could not be written to the end; is the disk full?")
            os.fsync(file.fileno())
        except OSError:
            file.truncate(end)
            raise


def _read_whole_lines(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a table up to the last line that is complete; none where there is no file."""
    if not path.exists():
        return []
    content = path.read_bytes()
    text = content[: content.rfind(b"\n") + 1].decode("utf-8", errors="replace")
    csv.field_size_limit(MAX_FIELD)
    reader = csv.DictReader(io.StringIO(text))
    if text and tuple(reader.fieldnames or ()) != tuple(columns):
        raise OutputError(f"{path}: not a table of an earlier run (other columns); choose another output folder")
    return [row for row in reader if None not in row.values() and None not in row]


def _study_row(row: Row, folder: Path) -> StudyRow:
    try:
        return StudyRow(
            study=row["study"],
            status=row["status"],
            levels_found=int(row["levels_found"]),
            message=row["message"].removeprefix("'"),
            seconds=float(row["seconds"]),
            grades=int(row["grades"]),
            images=row["images"],
        )
    except ValueError as error:
        raise OutputError(f"{folder / STUDIES_FILE}: study {row['study']} has a broken line; remove it") from error


def _write_if_different(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    header = dict(zip(columns, columns, strict=True))
    if not path.exists() or path.read_bytes() != _csv_bytes(columns, [header, *rows]):
        write_table(path, columns, rows)
