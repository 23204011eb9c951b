"""spinenet for notebooks and other programs: open a model, give it studies, look at what it says.

>>> import spinenet
>>> model = spinenet.load()
>>> result = model.predict("data/sample")
>>> result
<Result study-e186ee0c7082bbb2b0aa: ok, 7 levels>
>>> (row,) = result.grades.at("L4/L5").of("narrowing")
>>> row.title, row.evidence, len(row.probabilities)
('Disc narrowing', 'real', 2)

Research use only, as is said wherever a grade is shown.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from html import escape
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from spinenet.errors import ReadError, SpinenetError
from spinenet.labels import EXPERIMENTAL, LEVELS, MAX_GRADES, RESEARCH_ONLY, TARGET, is_experimental
from spinenet.locating.measuring.quantities import QUANTITY
from spinenet.model.bundle import Bundle, load_bundle
from spinenet.predict import predict_study
from spinenet.readers import find_studies, read_study
from spinenet.readers.level_names import names_in
from spinenet.report.certainty import label
from spinenet.serve.batch import predict_source
from spinenet.study import Measurement, Note, Reason, Severity, Study, StudyResult

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image

Source = str | PathLike[str] | Study
"""A DICOM folder, zip archive, NIfTI or MHA file of a study, or the study itself."""
Levels = str | Sequence[str]
"""Names of discs, from the lowest one up."""


def load(bundle: str | PathLike[str] | None = None) -> "Model":
    """Open a model bundle (folder or zip), by default the one in the package; BundleError where it is none of ours."""
    return Model(load_bundle(None if bundle is None else Path(bundle)))


def read(path: str | PathLike[str]) -> list[Study]:
    """The studies below a path with all their series; ReadError where there is none or one cannot be read.

    >>> (study,) = read("data/sample")
    >>> [series.view.value for series in study.series[:3]], study.series[0].spacing_mm.round(2).tolist()
    (['sagittal_t1', 'sagittal_t2', 'axial_t2'], [4.3, 0.98, 0.98])
    """
    return [read_study(source) for source in find_studies([Path(path)])]


@dataclass(frozen=True)
class GradeRow:
    """One grade: ``label`` is it in words, ``probabilities`` are calibrated, over the grades of the target's scale.

    ``confident`` is false where the model does not stand by it; ``evidence`` is what the target was learnt from,
    ``real`` patients or ``synthetic`` studies alone, which makes a grade ``experimental``; ``grade_set`` holds the true
    grade as often as the bundle states.
    ``reasons`` are the measurements that moved it most, for grades that a model on measurements has a say in.
    """

    level: str
    target: str
    title: str
    grade: int
    label: str
    probabilities: tuple[float, ...]
    confident: bool
    evidence: str
    grade_set: tuple[int, ...]
    reasons: tuple[Reason, ...] = ()

    @property
    def experimental(self) -> bool:
        """Whether it was learnt from synthetic studies and not verified on patients."""
        return is_experimental(self.evidence)


class Grades(tuple[GradeRow, ...]):
    """The grades of a study as a table: from the sacrum up, at each level in the order of the label space."""

    __slots__ = ()

    def at(self, level: str) -> "Grades":
        """The rows of a level; SpinenetError where there is no level of that name."""
        _check_name(level, LEVELS)
        return Grades(row for row in self if row.level == level)

    def of(self, target: str) -> "Grades":
        """The rows of a target; SpinenetError where there is no target of that name."""
        _check_name(target, TARGET)
        return Grades(row for row in self if row.target == target)

    def to_frame(self) -> "pd.DataFrame":
        """A data frame with a column a field and ``p_0``, ``p_1`` ... for the probabilities; needs pandas."""
        return _frame([_cells(row) for row in self], FRAME_COLUMNS)

    def __repr__(self) -> str:
        return f"<Grades: {len(self)} of {len({row.level for row in self})} levels>"

    def __str__(self) -> str:
        rows = self._experimental_last()
        width = max((len(row.title) for row in rows), default=0)
        lines = (f"{row.level:8} {row.title:{width}} {_told(row)}" for row in rows)
        return "\n".join([*lines, RESEARCH_ONLY])

    def _experimental_last(self) -> list[GradeRow]:
        return sorted(self, key=lambda row: row.experimental)

    def _repr_html_(self) -> str:
        cells = ((row.level, row.title, _told(row)) for row in self._experimental_last())
        rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in cells)
        return f"<table><tbody>{rows}</tbody></table><p><em>{escape(RESEARCH_ONLY)}</em></p>"


class Measurements(tuple[Measurement, ...]):
    """What was measured in a study as a table: by level, from the sacrum up."""

    __slots__ = ()

    def at(self, level: str) -> "Measurements":
        """The rows of a level; SpinenetError where there is no level of that name."""
        _check_name(level, LEVELS)
        return Measurements(row for row in self if row.level == level)

    def of(self, name: str) -> "Measurements":
        """The rows of a measurement; SpinenetError where there is none of that name."""
        _check_name(name, QUANTITY)
        return Measurements(row for row in self if row.name == name)

    def to_frame(self) -> "pd.DataFrame":
        """A data frame with a column a field of ``Measurement`` but its outline; needs pandas."""
        names = [field.name for field in fields(Measurement) if field.name != "outline_mm"]
        return _frame([{name: getattr(row, name) for name in names} for row in self], names)

    def __repr__(self) -> str:
        return f"<Measurements: {len(self)} of {len({row.level for row in self})} levels>"


FRAME_COLUMNS = (
    *("level", "target", "title", "grade", "label"),
    *(f"p_{index}" for index in range(MAX_GRADES)),
    *("confident", "evidence", "grade_set"),
)


def _frame(rows: list[dict[str, Any]], columns: Sequence[str]) -> "pd.DataFrame":
    try:
        import pandas as pd
    except ImportError as error:
        raise SpinenetError("a data frame needs pandas; install it with: pip install pandas") from error
    frame = pd.DataFrame(rows, columns=list(columns))
    frame.attrs["notice"] = RESEARCH_ONLY
    return frame


def _check_name(name: str, names: Collection[str]) -> None:
    if name not in names:
        raise SpinenetError(f"{name!r} is not one of {', '.join(names)}")


def _cells(row: GradeRow) -> dict[str, Any]:
    return {**vars(row), **{f"p_{index}": share for index, share in enumerate(row.probabilities)}}


def _told(row: GradeRow) -> str:
    return f"{row.label} ({EXPERIMENTAL})" if row.experimental else row.label


@dataclass(frozen=True, repr=False)
class Result(StudyResult):
    """Everything known about one study after prediction.

    ``status`` is ``ok``, ``partial`` or ``failed``. ``flags`` are what was refused or calls for caution: none where
    nothing does. ``notes`` are what reading and locating have to say, ``remarks`` what holds of every result, such as
    what is never looked for. ``levels`` say where each lies in mm and what was measured, ``crops`` are the slices that
    the grader saw at each. ``measurements`` are a table. ``reported``
    are the predictions that go into findings and reports: without experimental ones unless these were asked for.
    """

    measurements: Measurements = Measurements()
    remarks: tuple[Note, ...] = ()

    @classmethod
    def of(cls, result: StudyResult) -> "Result":
        """The same result, its flags told from what is only to be known."""
        known = {field.name: getattr(result, field.name) for field in fields(StudyResult)}
        flags = tuple(flag for flag in result.flags if flag.severity is not Severity.NOTE)
        remarks = tuple(flag for flag in result.flags if flag.severity is Severity.NOTE)
        sizes = Measurements(result.measurements)
        return cls(**{**known, "flags": flags, "measurements": sizes}, remarks=remarks)

    @property
    def grades(self) -> Grades:
        """All grades as a table."""
        return Grades(
            GradeRow(
                level=one.level,
                target=one.target,
                title=TARGET[one.target].title,
                grade=one.grade,
                label=label(one),
                probabilities=one.probabilities,
                confident=one.confident,
                evidence=one.evidence,
                grade_set=one.grade_set,
                reasons=one.reasons,
            )
            for one in self.predictions
        )

    def show(self, level: str) -> "Image.Image":
        """The slices that the grades of a level were read from, as a picture that a notebook displays.

        StudyError where the level was not graded.
        """
        from spinenet.report.page.notebook import slices_seen

        return slices_seen(self, level)

    def __repr__(self) -> str:
        return f"<Result {self.key}: {self.status}, {len(self.levels)} levels>"

    def _repr_html_(self) -> str:
        from spinenet.report.page.notebook import summary

        return summary(self)


@dataclass(frozen=True, repr=False)
class Model:
    """An opened model bundle."""

    bundle: Bundle

    @property
    def name(self) -> str:
        """Name and version."""
        return f"{self.bundle.name} {self.bundle.version}"

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of what it grades; ``spinenet.TARGETS`` says what they mean."""
        return self.bundle.targets

    @overload
    def predict(self, study: Source, *, experimental: bool = False, levels: Levels = ()) -> Result: ...

    @overload
    def predict(
        self, study: list[str] | list[Path] | list[Study], *, experimental: bool = False, levels: Levels = ()
    ) -> list[Result]: ...

    def predict(
        self,
        study: Source | list[str] | list[Path] | list[Study],
        *,
        experimental: bool = False,
        levels: Levels = (),
    ) -> Result | list[Result]:
        """Grade one study, or each of a list of studies.

        With ``experimental`` grades learnt from synthetic studies alone are ``reported``, as ``--experimental`` does.
        ``levels`` names the discs beforehand, from the lowest one up, or the lowest alone, from which the others are
        counted, as ``--levels`` and ``--lowest-level`` do.
        A study that cannot be graded is a result too, ``failed`` and with the reasons. ReadError where a path holds no
        study that can be read, or several: ``predict_each`` takes those.
        """
        if isinstance(study, list):
            return [self.predict(one, experimental=experimental, levels=levels) for one in study]
        read = study if isinstance(study, Study) else _only_study(Path(study))
        if levels:
            given = levels if isinstance(levels, str) else " ".join(levels)
            read = replace(read, level_names=names_in("levels", given))
        return Result.of(replace(predict_study(read, self.bundle), experimental=experimental))

    def predict_each(
        self, paths: str | PathLike[str] | Iterable[str | PathLike[str]], *, experimental: bool = False
    ) -> Iterator[Result]:
        """Grade all studies below some paths one after the other, each when it is asked for.

        One that cannot be read is a ``failed`` result with the reason, and the others go on. ReadError where there is
        no study at all.
        """
        several = [paths] if isinstance(paths, str | PathLike) else paths
        for source in find_studies([Path(path) for path in several]):
            yield Result.of(replace(predict_source(source, self.bundle), experimental=experimental))

    def __repr__(self) -> str:
        return f"<Model {self.name}: {len(self.targets)} targets>"


def _only_study(path: Path) -> Study:
    sources = find_studies([path])
    if len(sources) > 1:
        raise ReadError(f"{path.name}: holds {len(sources)} studies; predict_each takes them one after the other")
    return read_study(sources[0])
