"""From a data set's files to a folder of located, trimmed studies (``datasets.cache``): one parallel, resumable pass.

Levels come from what the data set has: label images (SPIDER, phantoms), points (RSNA 2024), or else the locator. A
study is read, located and written by one process, so that memory holds no more than one study a worker.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from spinenet.crops import CropSpec
from spinenet.datasets import LabelledStudy
from spinenet.datasets.cache import located_study, save_study
from spinenet.datasets.masks import locate_all
from spinenet.datasets.points import located_by_points, named_by_points
from spinenet.datasets.rsna_points import Point, canal_points, marks_of, point_frames
from spinenet.errors import DatasetError, SpinenetError
from spinenet.model.bundle import load_bundle
from spinenet.predict import locate_study
from spinenet.readers import opened, read_study
from spinenet.study import LevelFrame, LocatedSeries
from spinenet.system.processes import in_processes

PROBLEMS = "problems.csv"


@dataclass(frozen=True)
class Job:
    """One study to prepare. ``points`` are its RSNA points; ``locator`` is true where levels are to be found by the
    bundle at ``bundle`` (None: the one in the package) and the points give their names alone."""

    dataset: str
    study: LabelledStudy
    out: Path
    spec: CropSpec
    points: tuple[Point, ...] = ()
    locator: bool = False
    bundle: Path | None = None

    @property
    def path(self) -> Path:
        """The file it becomes."""
        return self.out / f"{self.study.key}.npz"


@dataclass(frozen=True)
class Outcome:
    """What became of a study: ``series`` written (0: none, and no file), and everything odd on the way."""

    key: str
    series: int
    problem: str


def prepare(jobs: Sequence[Job], *, workers: int = 1) -> Iterator[Outcome]:
    """Prepare studies whose file is not there yet, yielding each as it is done; problems end in ``out/problems.csv``.

    What was interrupted is resumed by calling again; studies without a file are tried again.
    """
    waiting = [job for job in jobs if not job.path.exists()]
    for job, outcome in in_processes(waiting, prepare_one, workers):
        died = Outcome(job.study.key, 0, "its process died, perhaps for lack of memory; prepare it with fewer workers")
        yield _recorded(job.out, outcome or died)


def prepare_one(job: Job) -> Outcome:
    """Read, locate, trim and write one study; a study that cannot be read or located is an outcome without series."""
    try:
        located, problems = locate_labelled(job)
    except SpinenetError as error:
        return Outcome(job.study.key, 0, str(error))
    saved = save_study(job.path, located_study(job.dataset, job.study, located), job.spec)
    return Outcome(job.study.key, len(saved.located), "; ".join(problems))


def locate_labelled(job: Job) -> tuple[tuple[LocatedSeries, ...], list[str]]:
    """The located series of one labelled study, and what is odd; raises SpinenetError where no level can be placed."""
    source = opened(job.study.source)
    study = read_study(source)
    problems = list(study.notes)
    if job.study.masks:
        located = locate_all(study.series, job.study.masks)
        if not located:
            raise DatasetError("no label image shows a disc of its series")
        return located, problems
    marks, lost = marks_of(job.points, source.frames)
    frames = point_frames(canal_points(marks))
    problems += lost
    if frames and not job.locator:
        located = located_by_points(study.series, frames)
        if not located:
            raise DatasetError("no sagittal series to put the points' levels into")
        return located, problems
    if not frames and not job.locator:
        problems.append("too few canal points, so that levels are those of the locator")
    found, said = locate_study(study, _bundle(job.bundle))
    return _named(found, frames, [*problems, *said])


def _named(
    found: tuple[LocatedSeries, ...], frames: Sequence[LevelFrame], problems: list[str]
) -> tuple[tuple[LocatedSeries, ...], list[str]]:
    """Located series under the names of the points, where there are any."""
    if not frames:
        return found, problems
    named, said = named_by_points(found, frames)
    if not named:
        raise DatasetError(said)
    return named, [*problems, *([said] if said else [])]


_bundle = lru_cache(maxsize=1)(load_bundle)
"""One bundle a process."""


def _recorded(out: Path, outcome: Outcome) -> Outcome:
    """Keep the latest problem of each study in a table beside the files."""
    path = out / PROBLEMS
    known = {}
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            known = {row["study"]: row["problem"] for row in csv.DictReader(file)}
    if outcome.problem == known.get(outcome.key, ""):
        return outcome
    known[outcome.key] = outcome.problem
    out.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["study", "problem"])
        writer.writerows(sorted(item for item in known.items() if item[1]))
    return outcome
