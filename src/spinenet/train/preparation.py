"""``spinenet prepare``: look at a data set, then turn it into a folder of located, trimmed studies."""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from spinenet.crops import CropSpec
from spinenet.datasets import LabelledStudy
from spinenet.datasets.splits import DataConfig
from spinenet.system.progress import progress_bar, track
from spinenet.train.script import script


@dataclass
class PrepareConfig:
    """``check`` reads every image, mask and point, audits the labels and writes nothing."""

    check: bool = False
    """Look, write nothing."""
    points: str | None = None
    """With ``check``: a CSV of points set by hand (source, patient, level, y_share) to hold level names against."""
    list_fold: str | None = None
    """A split.json: print the patients of ``data.fold`` in it, and do nothing else."""
    out: str = "data/cache"
    """Folder that gets one small file a study."""
    workers: int = 1
    """Studies prepared at the same time."""
    locator: bool | None = None
    """Where a data set gives points: find levels with the bundle and take their names alone from the points; none:
    where its points are rough, as RSNA 2024's."""
    model: str | None = None
    """Bundle that finds levels; none: the one in the package."""
    crop: CropSpec = field(default_factory=CropSpec)
    data: DataConfig = field(default_factory=DataConfig)

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"workers is {self.workers}; it must be 1 or more")


@script("prepare_data", PrepareConfig)
def _prepare_data(config: PrepareConfig) -> None:
    """Print what the data set holds and everything odd about it; prepare it unless it is only to be checked."""
    from spinenet.datasets import adapter, load_dataset
    from spinenet.datasets.audit import read_points
    from spinenet.datasets.check import check_study, label_lines, listed, summary
    from spinenet.datasets.splits import load_split

    if config.list_fold:
        folds = load_split(Path(config.list_fold))
        print("\n".join(patient for patient, fold in folds.items() if fold == config.data.fold))
        return
    described = adapter(config.data.name)
    dataset = load_dataset(config.data.name, Path(config.data.root))
    print("\n".join(label_lines(dataset)))
    print(f"licence: {described.licence}; credit: {described.credit}")
    findings = list(dataset.findings)
    if config.check:
        points = read_points(Path(config.points), config.data.name) if config.points else {}
        for study in track(dataset.studies, "checking"):
            findings.extend(check_study(described, study, points))
    print("\n".join([*listed(findings), summary(findings)]))
    if not config.check:
        _prepare(config, dataset.studies)


def _prepare(config: PrepareConfig, studies: Sequence[LabelledStudy]) -> None:
    """Write the studies that are missing in ``out`` or changed since, with progress and studies a second."""
    from spinenet.datasets import adapter
    from spinenet.datasets.changes import refuse_others
    from spinenet.datasets.check import kept_lines
    from spinenet.datasets.prepare import PROBLEMS, Job, prepare, waiting

    out, model = Path(config.out), Path(config.model) if config.model else None
    refuse_others(out, config.data.name, studies)
    locator = adapter(config.data.name).rough_points if config.locator is None else config.locator
    jobs = [Job(config.data.name, study, out, config.crop, locator, model) for study in studies]
    missing, changed = waiting(jobs)
    todo = [*missing, *changed]
    print(f"{len(jobs) - len(todo)} of {len(jobs)} studies are prepared in {out}, {len(todo)} to do")
    if changed:
        what = "study has" if len(changed) == 1 else "studies have"
        since = "other grades, points, masks, images, crops, locator or format since"
        print(f"{len(changed)} prepared {what} {since}; made again")
    if not todo:
        return
    written = failed = 0
    kept: Counter[str] = Counter()
    start = time.perf_counter()
    columns = (
        TextColumn("preparing"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.2f} studies/s"),
    )
    with progress_bar(*columns, TimeRemainingColumn()) as progress:
        task = progress.add_task("", total=len(todo), rate=0.0)
        for outcome in prepare(todo, workers=config.workers):
            kept.update(outcome.shown)
            written, failed = written + bool(outcome.series), failed + (not outcome.series)
            rate = (written + failed) / (time.perf_counter() - start)
            progress.update(task, advance=1, rate=rate)
    seconds = time.perf_counter() - start
    print(f"{out}: {written} written in {seconds:.0f} s, {failed} could not be ({PROBLEMS} in it says why)")
    print("\n".join(kept_lines([job.study for job in todo], kept)))


def prepare_data() -> None:
    """The command; ``--check`` reads better than Hydra's ``check=true``, and both work."""
    sys.argv = ["check=true" if argument == "--check" else argument for argument in sys.argv]
    _prepare_data()
