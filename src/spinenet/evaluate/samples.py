"""``predictions.csv`` with a ``truth`` column -> checked rows, and one aligned sample a target.

Rows are known by their key (study, level, target), never by their place in the file. Columns read: ``study, level,
target, grade, p_0 .. p_4, confident, truth`` and, where an evaluation run kept them, ``u_0 .. u_4``: the probabilities
before calibration, and ``grade_set``, published values with blanks between. ``grade`` and ``truth`` are published
values; an empty ``truth`` is unknown, an empty ``grade`` (with empty probabilities) a labelled disc that the model did
not grade. A study is a patient unless a column ``patient`` says whose studies belong together.
Shape letters: N discs, K grades.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinenet.errors import PredictionsError, in_words, other_separator
from spinenet.evaluate.intervals import Resamples, draw_patients
from spinenet.labels import LEVELS, MAX_GRADES, MIRROR, TARGET, TARGETS, UNKNOWN, Scale, Side, Target

# ---- questions asked of a target


@dataclass(frozen=True)
class Question:
    """``first`` is the index of the lowest grade that means yes; all above it mean yes too."""

    name: str
    title: str
    first: int


def _presence(target: Target) -> Question:
    first = target.finding_from
    if target.scale is Scale.ORDINAL:
        return Question("presence", f"{target.words[first]} or worse", first)
    return Question("presence", "present" if target.scale is Scale.BINARY else "any type", first)


def _severe(target: Target) -> Question | None:
    if target.severe_from is None:
        return None
    lowest, *worse = target.steps[target.severe_from :]
    return Question("severe", " or ".join([lowest.words, *(step.short for step in worse)]), target.severe_from)


SIDES = {
    left.condition: (left.name, TARGETS[MIRROR[index]].name)
    for index, left in enumerate(TARGETS)
    if left.side is Side.LEFT
}
"""Condition -> the targets of its left and right side."""


def both_sides(name: str) -> Target:
    """The target that a name of SIDES stands for: the scale of its sides under its own name.

    >>> both_sides("foraminal_stenosis").title
    'Foraminal stenosis, both sides'
    """
    left = TARGET[SIDES[name][0]]
    return replace(left, side=None, term=f"{left.term}, both sides")


_ALL = {target.name: target for target in (*TARGETS, *map(both_sides, SIDES))}


def target_named(name: str) -> Target:
    """A target of the label space, or both sides of one under the name of SIDES."""
    return _ALL[name]


PRESENCE = {name: _presence(target) for name, target in _ALL.items()}
SEVERE = {name: _severe(target) for name, target in _ALL.items()}
NORMAL_BELOW = {name: target.finding_from for name, target in _ALL.items()}
"""Grade indices below this are normal: a severe disc that is decided so was overlooked."""


# ---- tables

KEY = ["study", "level", "target"]
PROBABILITIES = [f"p_{index}" for index in range(MAX_GRADES)]
UNCALIBRATED = [f"u_{index}" for index in range(MAX_GRADES)]
REQUIRED = [*KEY, "grade", *PROBABILITIES, "confident", "truth"]

_SUM_TOLERANCE = 1e-4  # five probabilities of six decimals each
_TRUE_FALSE = {"true": True, "false": False, "": False}


@dataclass(frozen=True)
class Sample:
    """The labelled discs of one target, rows aligned: grade indices, probabilities and whose disc it is.

    ``truth_N`` is never UNKNOWN; ``grade_N`` is where the model gave no grade. ``patient_N`` counts the sorted patients
    of the whole table, ``level_N`` indexes LEVELS, ``row_N`` is the place in the checked table.
    """

    target: Target
    truth_N: NDArray[np.int64]
    grade_N: NDArray[np.int64]
    probabilities_NK: NDArray[np.float64]
    uncalibrated_NK: NDArray[np.float64] | None
    confident_N: NDArray[np.bool_]
    patient_N: NDArray[np.int64]
    level_N: NDArray[np.int64]
    row_N: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.truth_N)

    def where(self, mask_N: NDArray[np.bool_]) -> "Sample":
        """The same target on some of the discs."""
        of_discs: dict[str, Any] = {name: rows for name, rows in vars(self).items() if isinstance(rows, np.ndarray)}
        return replace(self, **{name: rows[mask_N] for name, rows in of_discs.items()})

    @property
    def predicted(self) -> "Sample":
        """The discs that the model graded."""
        return self.where(self.grade_N != UNKNOWN)


def load_predictions(path: Path, truth: pd.DataFrame | None = None) -> pd.DataFrame:
    """Read and check one table, with a truth from elsewhere if given (``load_truth``).

    A disc that the truth holds but the model did not grade is kept as such; patients are those of either table.
    ``path`` may be a folder that holds a predictions.csv or predictions.csv.gz. Raises PredictionsError with the file,
    the row and what is wrong, and where not one disc of the truth is in the table.
    """
    if path.is_dir():
        packed = path / "predictions.csv.gz"
        path = packed if packed.exists() else path / "predictions.csv"
    frame = read_table(path)
    if truth is not None:
        _need(frame, [*KEY, "grade"], str(path))
        known = truth.loc[truth["target"].isin(frame["target"].unique()), [*KEY, "truth"]]
        if not len(known.merge(frame[KEY], on=KEY)):
            theirs, ours = (_first(table) for table in (truth, frame))
            raise PredictionsError(
                f"{path}: none of its discs ({ours}, ...) has a truth ({theirs}, ...); see their keys"
            )
        patients = _patients_of(frame, truth)
        frame = frame.drop(columns=["truth", "patient"], errors="ignore").merge(known, on=KEY, how="outer")
        frame["patient"] = [patients.get(study, study) for study in frame["study"]]
        frame = frame.astype(object).where(frame.notna(), "")
    return check_predictions(frame, str(path))


def _patients_of(*tables: pd.DataFrame) -> dict[str, str]:
    """Study -> patient, where a table says it."""
    named = [table.loc[table["patient"].notna(), ["study", "patient"]] for table in tables if "patient" in table]
    return {study: patient for one in named for study, patient in one.astype(str).to_numpy() if patient.strip()}


def _first(table: pd.DataFrame) -> str:
    return " ".join(str(cell) for cell in table[KEY].iloc[0]) if len(table) else "no row"


def load_truth(path: Path) -> pd.DataFrame:
    """Read a table of true grades: ``study, level, target, truth``, and ``patient`` where studies of one patient are to
    count as one; PredictionsError names this file and the row."""
    truth = load_grades(path, KEY, "truth", beside=["patient"])
    if "patient" in truth:
        two = truth[["study", "patient"]].drop_duplicates().duplicated("study")
        _refuse(truth["study"].isin(truth["study"][two[two].index]), truth, str(path), "a study of two patients")
    return truth


def load_grades(path: Path, key: Sequence[str], column: str, beside: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table of published grades under a key, empty ones as nan, and columns ``beside`` where it has them;
    PredictionsError names the file and the row."""
    table = read_table(path)
    _need(table, [*key, column], str(path))
    for name in key:
        _refuse(table[name].str.strip() == "", table, str(path), f"no {name}")
    _refuse(~table["level"].isin(LEVELS), table, str(path), f"unknown level; they are {', '.join(LEVELS)}")
    _refuse(~table["target"].isin(list(TARGET)), table, str(path), f"unknown target; they are {', '.join(TARGET)}")
    _refuse(table.duplicated(key), table, str(path), "a second row with the same key")
    grades = _numbers(table, column, str(path))
    scales = {name: {*map(float, target.grades)} for name, target in TARGET.items()}
    on_scale = [grade in scales[name] for name, grade in zip(table["target"], grades, strict=True)]
    off_scale = grades.notna() & ~np.array(on_scale)
    for name in table.loc[off_scale, "target"].unique()[:1]:
        scale = ", ".join(map(str, TARGET[name].grades))
        _refuse(off_scale, table, str(path), f"{column} is not on the target's scale, which is {scale} for {name}")
    kept = [*key, *(name for name in beside if name in table)]
    return table[kept].assign(**{column: grades})


def read_table(path: Path) -> pd.DataFrame:
    """Any CSV, packed as ``.csv.gz`` or not, with all cells as text; raises PredictionsError."""
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except OSError as error:
        raise PredictionsError(f"{path}: no such file, or it can't be read; expected a CSV table") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise PredictionsError(f"{path}: not a CSV table: {in_words(error)}") from error


def _need(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise PredictionsError(
            f"{name}: no column {', '.join(missing)}; needed are {', '.join(columns)}{other_separator(frame.columns)}"
        )
    if frame.empty:
        raise PredictionsError(f"{name}: no rows")


def check_predictions(frame: pd.DataFrame, name: str = "predictions") -> pd.DataFrame:
    """The table with numbers as numbers and rows sorted by key; raises PredictionsError naming the first bad row.

    A checked table comes back unchanged.
    """
    _need(frame, REQUIRED, name)
    frame = frame.copy()
    frame[KEY] = frame[KEY].astype(str)
    frame["patient"] = frame["patient"].astype(str) if "patient" in frame else frame["study"]
    _refuse(~frame["level"].isin(LEVELS), frame, name, f"unknown level; they are {', '.join(LEVELS)}")
    _refuse(~frame["target"].isin(list(TARGET)), frame, name, f"unknown target; they are {', '.join(TARGET)}")
    _refuse(frame["study"].str.strip() == "", frame, name, "no study")
    _refuse(frame.duplicated(KEY), frame, name, "a second row with the same key")
    uncalibrated = [column for column in UNCALIBRATED if column in frame.columns]
    for column in ["grade", "truth", *PROBABILITIES, *uncalibrated]:
        frame[column] = _numbers(frame, column, name)
    confident = frame["confident"].astype(str).str.lower().map(_TRUE_FALSE)
    _refuse(confident.isna(), frame, name, "confident is neither true nor false")
    frame["confident"] = confident.astype(bool)
    if "grade_set" in frame:
        frame["grade_set"] = frame["grade_set"].astype(object).fillna("").astype(str)
    for target in TARGETS:
        _check_target(frame[frame["target"] == target.name], target, bool(uncalibrated), name)
    return frame.sort_values(KEY, ignore_index=True)


def sample_of(frame: pd.DataFrame, target: Target, patients: Sequence[str]) -> Sample:
    """The discs of a checked table whose true grade is known, for one target or for both sides of one."""
    rows = frame[frame["target"].isin(SIDES.get(target.name, (target.name,))) & frame["truth"].notna()]
    grades = len(target.grades)
    index = {float(grade): position for position, grade in enumerate(target.grades)}
    uncalibrated = rows[UNCALIBRATED[:grades]].to_numpy(float) if UNCALIBRATED[0] in rows else None
    whole = uncalibrated is not None and bool(np.isfinite(uncalibrated[rows["grade"].notna()]).all())
    return Sample(
        target,
        truth_N=rows["truth"].map(index).to_numpy(int),
        grade_N=rows["grade"].map(index).fillna(UNKNOWN).to_numpy(int),
        probabilities_NK=rows[PROBABILITIES[:grades]].to_numpy(float),
        uncalibrated_NK=uncalibrated if whole else None,
        confident_N=rows["confident"].to_numpy(bool),
        patient_N=pd.Index(patients).get_indexer(rows["patient"]).astype(int),
        level_N=rows["level"].map({level: position for position, level in enumerate(LEVELS)}).to_numpy(int),
        row_N=rows.index.to_numpy(int),
    )


@dataclass(frozen=True)
class Cohort:
    """A checked table with its resamples and one sample a labelled target, both sides together at the end."""

    frame: pd.DataFrame
    patients: tuple[str, ...]
    resamples: Resamples
    samples: dict[str, Sample]

    @property
    def graded(self) -> dict[str, Sample]:
        """The discs that the model graded, of targets with any."""
        graded = {name: sample.predicted for name, sample in self.samples.items()}
        return {name: sample for name, sample in graded.items() if len(sample)}


def make_cohort(frame: pd.DataFrame, *, samples: int, seed: int) -> Cohort:
    """Check a table and draw its patients; PredictionsError for a bad one and where not a single label is known."""
    frame = check_predictions(frame)
    labelled = frame[frame["truth"].notna()]
    if labelled.empty:
        raise PredictionsError("predictions: no row has a truth, so there is nothing to evaluate")
    patients = tuple(sorted(labelled["patient"].unique()))
    tables = {target.name: sample_of(labelled, target, patients) for target in _targets(set(labelled["target"]))}
    return Cohort(frame, patients, draw_patients(len(patients), samples, seed), tables)


def _targets(labelled: set[str]) -> Iterable[Target]:
    yield from (target for target in TARGETS if target.name in labelled)
    yield from (both_sides(name) for name, sides in SIDES.items() if set(sides) <= labelled)


def _check_target(rows: pd.DataFrame, target: Target, uncalibrated: bool, name: str) -> None:
    """Grades on the target's scale, and probabilities that are there exactly where a grade is."""
    for column in ("grade", "truth"):
        wrong = rows[column].notna() & ~rows[column].isin(target.grades)
        _refuse(wrong, rows, name, f"{column} is not one of {target.grades}")
    if "grade_set" in rows:
        within = [set(text.split()) <= set(map(str, target.grades)) for text in rows["grade_set"]]
        _refuse(pd.Series(~np.array(within, bool)), rows, name, f"grade_set holds more than grades of {target.grades}")
    graded = rows["grade"].notna()
    _refuse(~graded & rows[PROBABILITIES].notna().any(axis=1), rows, name, "no grade, but probabilities")
    for columns in (PROBABILITIES, UNCALIBRATED)[: 1 + uncalibrated]:
        on_scale, past_end = rows[columns[: len(target.grades)]], rows[columns[len(target.grades) :]]
        absent = on_scale.isna().all(axis=1) & (~graded if columns is PROBABILITIES else True)
        fine = ((on_scale >= 0) & (on_scale <= 1)).all(axis=1) & ((on_scale.sum(axis=1) - 1).abs() < _SUM_TOLERANCE)
        what = f"{columns[0]} to {columns[len(target.grades) - 1]} are not probabilities that sum to 1"
        _refuse(~absent & ~fine, rows, name, what)
        _refuse(past_end.fillna(0).ne(0).any(axis=1), rows, name, f"a probability past the {len(target.grades)} grades")


def _numbers(frame: pd.DataFrame, column: str, name: str) -> pd.Series:
    """A column as floats, empty cells as nan."""
    numbers = pd.to_numeric(frame[column], errors="coerce").astype(float)
    text = not pd.api.types.is_numeric_dtype(frame[column])
    empty = frame[column].isna() | (frame[column].astype(str).str.strip() == "") if text else frame[column].isna()
    _refuse((numbers.isna() & ~empty) | np.isinf(numbers), frame, name, f"{column} is not a number")
    return numbers


def _refuse(wrong: pd.Series, rows: pd.DataFrame, name: str, what: str) -> None:
    if wrong.any():
        first = rows.loc[wrong.to_numpy()].iloc[0]
        where = ", ".join(f"{column} {first[column]}" for column in ("rater", *KEY) if column in rows)
        raise PredictionsError(f"{name}: {what} ({where}; {int(wrong.sum())} such rows)")
