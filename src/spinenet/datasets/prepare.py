"""From a data set's files to a folder of located, trimmed studies (``datasets.cache``): one parallel, resumable pass.

A study is read, located (``datasets.level_sources``) and written by one process, so that memory holds no more than one
study a worker.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from spinenet.checking.visible import visible_targets
from spinenet.crops import CropSpec, build_bag
from spinenet.datasets import LabelledStudy
from spinenet.datasets.cache import is_of_this_version, is_wide_enough, load_labels, located_study, save_study
from spinenet.datasets.changes import digest_of_inputs, is_changed
from spinenet.datasets.level_sources import Levels, locate_labelled
from spinenet.errors import DatasetError, SpinenetError
from spinenet.labels import TARGETS, UNKNOWN
from spinenet.model.bundle import LOCATOR, load_bundle
from spinenet.predict import locate
from spinenet.study import LocatedSeries, Study, sentence
from spinenet.system.files import replacing
from spinenet.system.processes import in_processes

PROBLEMS = "problems.csv"


@dataclass(frozen=True)
class Job:
    """One study to prepare. ``locator`` is true where levels are to be found by the bundle at ``bundle`` (None: the one
    in the package) and points give their names alone."""

    dataset: str
    study: LabelledStudy
    out: Path
    spec: CropSpec
    locator: bool = False
    bundle: Path | None = None

    @property
    def path(self) -> Path:
        """The file it becomes."""
        return self.out / f"{self.study.key}.npz"


@dataclass(frozen=True)
class Outcome:
    """What became of a study: ``series`` written (0: none, and no file), everything odd on the way, and target -> the
    number of its grades that the written slices show."""

    key: str
    series: int
    problem: str
    shown: Mapping[str, int] = field(default_factory=dict)


def prepare(jobs: Sequence[Job], *, workers: int = 1) -> Iterator[Outcome]:
    """Prepare studies whose file is missing or of something else than they are now, yielding each as it is done;
    problems end in ``out/problems.csv``.

    What was interrupted is resumed by calling again; studies without a file are tried again.
    """
    missing, changed = waiting(jobs)
    for job, outcome in in_processes([*missing, *changed], prepare_one, workers):
        died = Outcome(job.study.key, 0, "its process died, perhaps for lack of memory; prepare it with fewer workers")
        yield _recorded(job.out, outcome or died)


def waiting(jobs: Sequence[Job]) -> tuple[list[Job], list[Job]]:
    """Jobs without a file, and those where grades, points, masks, images, crops, locator or the files' format changed
    since then."""
    missing = [job for job in jobs if not job.path.exists()]
    changed = [job for job in jobs if job.path.exists() and (_is_outdated(job) or is_changed(job.study, job.path))]
    return missing, changed


def _is_outdated(job: Job) -> bool:
    """Whether another version wrote the file, it was trimmed for smaller crops than are asked for, or another locator
    placed its levels."""
    if job.study.prepared is not None:
        return False
    if not is_of_this_version(job.path):
        return True
    located_by = load_labels(job.path).located_by
    return not is_wide_enough(job.path, job.spec) or located_by not in ("", _locator(job.bundle))


def prepare_one(job: Job) -> Outcome:
    """Read, locate, trim and write one study; a study that cannot be read or located is an outcome without series.

    A file that is there goes first, so that none with old grades stays where the study cannot be made anew.
    """
    study = job.study
    job.path.unlink(missing_ok=True)
    made_from, located_by = digest_of_inputs(study), ""

    def find(read: Study) -> Levels:
        nonlocal located_by
        located_by = _locator(job.bundle)
        found = locate(read, _bundle(job.bundle))
        if not found.series:
            raise DatasetError(sentence(found.notes))
        return found.series, [str(note) for note in found.notes]

    try:
        located, problems = locate_labelled(study, find, only_names=job.locator)
    except SpinenetError as error:
        return Outcome(study.key, 0, str(error))
    whole = replace(located_study(job.dataset, study, located), made_from=made_from, located_by=located_by)
    saved = save_study(job.path, whole, job.spec)
    return Outcome(study.key, len(saved.located), "; ".join(problems), shown_grades(study, saved.located, job.spec))


def shown_grades(study: LabelledStudy, located: Sequence[LocatedSeries], spec: CropSpec) -> dict[str, int]:
    """Target -> how many of a study's grades the slices of its levels can show, for those that have any."""
    bag = build_bag(located, spec)
    known_LT = (study.grades_LT[bag.level_L] != UNKNOWN) & visible_targets(bag, located)
    return {target.name: int(count) for target, count in zip(TARGETS, known_LT.sum(axis=0), strict=True) if count}


_bundle = lru_cache(maxsize=1)(load_bundle)
"""One bundle a process."""


def _locator(bundle: Path | None) -> str:
    """SHA-256 of the locator of a bundle."""
    return str(_bundle(bundle).metadata["sha256"][LOCATOR])


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
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["study", "problem"])
        writer.writerows(sorted(item for item in known.items() if item[1]))
    return outcome
