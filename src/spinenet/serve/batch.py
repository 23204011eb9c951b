"""Many studies -> tables and pages, one study after the other or several at once; what is done is not done again.

Only this process writes the tables; workers read, predict and write their study's page. A study that cannot be read or
graded becomes a ``failed`` row, and so does one whose worker process dies. The next run skips studies with a result
and tries the failed ones again. A finished folder holds its studies in the order they were found in, whatever order
they became ready in, so a run that was killed and started again ends as one that was not.
"""

import functools
import logging
import os
import re
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from spinenet import __version__
from spinenet.checking.visible import NOT_SHOWN
from spinenet.errors import OutputError, ReadError, SpinenetError
from spinenet.locating.discs import NUMBERING
from spinenet.model.bundle import Bundle, load_bundle
from spinenet.predict import predict_study
from spinenet.readers import StudySource, Wanted, find_studies, names, read_study, with_views
from spinenet.readers.dicom.assembly import origin_of
from spinenet.readers.fingerprints import images_digest
from spinenet.readers.level_names import UNNAMED, GivenNames
from spinenet.readers.mha import data_file
from spinenet.report.dicom.objects import why_no_objects
from spinenet.report.options import DEFAULT, Language, ReportOptions
from spinenet.report.page.worklist import WORKLIST_FILE
from spinenet.report.study_files import (
    OBJECT_SUFFIXES,
    PAGE_SUFFIX,
    REPORTS_FOLDER,
    delete_study_files,
    path_of,
    write_folder_files,
    write_study_files,
)
from spinenet.report.tables import Row, StudyRow, append, arrange, prediction_rows, recover, remove, study_row
from spinenet.serve.cluster import on_cluster
from spinenet.serve.output_folder import claim, forget_others, is_output, locked
from spinenet.study import Note, Scope, Severity, StudyResult, sentence
from spinenet.system.processes import in_processes

LOG = logging.getLogger(__name__)

MAX_WORKERS = max(2, os.cpu_count() or 1)
"""More at once than processors only takes memory, about 0.7 GB each."""
TIMEOUT_S = 1800.0
"""A study that takes longer is ended where others are graded beside it: the largest takes less than a minute."""
PASSING = frozenset({"system"})
"""Codes of failures that are not the study's."""
FAULTS_FILE = "faults.log"
"""Where in an output folder the places of faults of the program are kept, to be reported; nothing of a patient."""


@dataclass(frozen=True)
class BatchSummary:
    """How a run went: ``counts`` of ``ok``, ``partial`` and ``failed`` studies; ``skipped`` ones had a result."""

    counts: Counter[str]
    skipped: int
    keys: tuple[str, ...] = ()
    """Of all studies that were given, skipped or not, in their order."""

    @property
    def exit_code(self) -> int:
        """0 all well, 1 some study failed.

        >>> BatchSummary(Counter(ok=3, failed=1), 0).exit_code
        1
        """
        return int(self.counts["failed"] > 0)

    def __str__(self) -> str:
        parts = [f"{self.counts[status]} {status}" for status in ("ok", "partial", "failed") if self.counts[status]]
        if self.skipped:
            parts.append(f"{self.skipped} skipped, with results from before (--overwrite predicts them again)")
        return ", ".join(parts)


@dataclass(frozen=True)
class StudyRows:
    """A study's rows, its files being written already, the codes of what was said of it, and what of it is told on the
    terminal of a study that was graded: what the images lack or call into doubt."""

    study: StudyRow
    predictions: tuple[Row, ...]
    codes: frozenset[str]
    why: str = ""


OnProgress = Callable[[int, int, StudyRows | None], None]
"""Called with (studies done, studies to do, the rows of the study just done): once before the first and after each."""


@dataclass(frozen=True)
class Worker:
    """What is done to one study; lives in the process that does it."""

    bundle: Bundle
    reports: Path
    options: ReportOptions = DEFAULT

    def __call__(self, source: StudySource) -> StudyRows:
        """Read, predict and report one study; its own faults become its ``failed`` row."""
        start, images = time.perf_counter(), images_digest(source)
        result = predict_source(source, self.bundle, self.reports.parent / FAULTS_FILE)
        timed = replace(result, seconds=time.perf_counter() - start)
        return self.report(timed, images, str(source.location))

    def report(self, result: StudyResult, images: str = "", place: str = "") -> StudyRows:
        """Write the files of a result and keep its rows; ``images`` is the digest of what it was made from, ``place``
        where that lies."""
        result = replace(result, experimental=self.options.experimental, notes=(*result.notes, *_no_objects(result)))
        write_study_files(result, self.reports, model=model_facts(self.bundle), options=self.options, place=place)
        codes = frozenset(note.code for note in (*result.notes, *result.flags))
        rows = tuple(prediction_rows(result))
        return StudyRows(replace(study_row(result), images=images), rows, codes, doubts(result))


def doubts(result: StudyResult) -> str:
    """What is said of a graded study as a whole and of its series, but what is said of every study."""
    if result.status == "failed":
        return ""
    of_all = (NUMBERING.code, NOT_SHOWN, "experimental")
    told = [note for note in (*result.flags, *result.notes) if note.scope is not Scope.LEVEL]
    return sentence(note for note in told if note.code not in of_all)


def _no_objects(result: StudyResult) -> tuple[Note, ...]:
    """What is said of a study that came as DICOM and yields no DICOM object."""
    why = why_no_objects(result) if result.origin is not None and result.status != "failed" else ""
    return (Note("no_dicom_objects", Scope.STUDY, "", f"no structured report and no overview: {why}"),) if why else ()


def predict_paths(
    paths: Sequence[Path],
    out: Path,
    bundle: Bundle,
    *,
    overwrite: bool = False,
    options: ReportOptions = DEFAULT,
    workers: int = 1,
    cluster: str | None = None,
    wanted: Wanted = (),
    names: GivenNames = UNNAMED,
    remarks: Sequence[Note] = (),
    on_progress: OnProgress = lambda done, total, rows: None,
) -> BatchSummary:
    """Predict every study below ``paths`` that ``out`` has no result of; may be killed at any moment and run again.

    With ``overwrite`` the results of these studies are removed first; ``cluster`` is the address of a Ray cluster that
    does the work instead of ``workers`` processes; ``wanted`` names views of series, whatever their headers say,
    ``names`` levels; ``remarks`` are noted of each study. Raises ReadError where there is no study at all, OutputError
    where ``out`` holds results that these must not be mixed with or another run is writing there, ClusterError where
    the cluster cannot be used, OSError where nothing can be written.
    """
    found = [with_views(source, wanted) for source in find_studies(paths)]
    found = [replace(source, notes=(*source.notes, *remarks)) for source in found]
    if out.resolve() in {path.resolve() for path in paths} and not is_output(out):
        raise OutputError(f"{out}: holds the images; name another folder for the results")
    with locked(out):
        claimed = claim(out, bundle.metadata, found, recover(out), again=overwrite, names=names, options=options)
        todo = [source for source in claimed.sources if source.key not in claimed.kept]
        counts: Counter[str] = Counter()
        on_progress(0, len(todo), None)
        for rows in predict_sources(todo, Worker(bundle, out / REPORTS_FOLDER, options), workers, cluster):
            append(out, rows.study, rows.predictions)
            counts[rows.study.status] += 1
            on_progress(counts.total(), len(todo), rows)
        recover(out)
        arrange(out, [source.key for source in claimed.sources])
        write_folder_files(out, list(recover(out)), options.language)
    return BatchSummary(counts, len(claimed.kept), tuple(source.key for source in claimed.sources))


def page_to_open(out: Path, keys: Sequence[str]) -> Path:
    """What to look at first: the page of the only study that was given, else the worklist."""
    pages = [path_of(out / REPORTS_FOLDER, key, PAGE_SUFFIX) for key in keys]
    return pages[0] if len(pages) == 1 and pages[0].exists() else out / WORKLIST_FILE


def grade_folder(
    images: Path, out: Path, bundle: Bundle, options: ReportOptions, remarks: Sequence[Note] = ()
) -> list[Path]:
    """Predict the studies in a folder, again if need be, and let ``out`` hold them alone; returns the DICOM objects
    that were made of them.

    ReadError where there is no study, and no result is left then; OSError where that failed for a reason that is not
    theirs, so that it is worth another try.
    """
    codes: set[str] = set()

    def note(done: int, total: int, rows: StudyRows | None) -> None:
        codes.update(rows.codes if rows and rows.study.status == "failed" else ())

    try:
        summary = predict_paths(
            [images], out, bundle, overwrite=True, options=options, remarks=remarks, on_progress=note
        )
    except ReadError:
        if is_output(out):
            _keep_only((), out, options.language)
        raise
    if codes & PASSING:
        raise OSError("a disk, the network or memory failed while it was graded")
    _keep_only(summary.keys, out, options.language)
    made = [path_of(out / REPORTS_FOLDER, key, suffix) for key in summary.keys for suffix in OBJECT_SUFFIXES.values()]
    return [path for path in made if path.exists()]


def _keep_only(keys: Sequence[str], out: Path, language: Language) -> None:
    """Remove the results of all other studies from a folder: of images that are not there any more."""
    with locked(out):
        for key in set(recover(out)) - set(keys):
            delete_study_files(out / REPORTS_FOLDER, key)
            remove(out, key)
        forget_others(out, keys)
        write_folder_files(out, list(recover(out)), language)


def predict_sources(
    sources: Sequence[StudySource], worker: Worker, workers: int, cluster: str | None = None
) -> Iterator[StudyRows]:
    """The studies' rows as they become ready: from this process, from several of its own, or from a cluster."""
    arguments = (worker.bundle.path.absolute(), worker.reports.absolute(), worker.options)
    if cluster is not None:
        results = on_cluster(sources, work, arguments, cluster)
    elif (workers := min(workers, len(sources), MAX_WORKERS)) < 2:
        results = ((source, worker(source)) for source in sources)
    else:
        results = in_processes(sources, functools.partial(_work, arguments), workers, TIMEOUT_S)
    for source, rows in results:
        text = (
            f"its process died several times, perhaps for lack of memory, or took longer than {TIMEOUT_S / 60:.0f} "
            "minutes and was ended; run it again with fewer workers"
        )
        yield worker.report(failed(source, "process_died", text)) if rows is None else rows


@functools.cache
def _worker(bundle_path: Path, reports: Path, options: ReportOptions) -> Worker:
    """The worker of this process, where it is one of several: the bundle is loaded once."""
    return Worker(load_bundle(bundle_path), reports, options)


def work(source: StudySource, bundle_path: Path, reports: Path, options: ReportOptions) -> StudyRows:
    """Predict one study in any process that sees the files, the bundle and the folder of reports."""
    return _worker(bundle_path, reports, options)(source)


def _work(arguments: tuple[Path, Path, ReportOptions], source: StudySource) -> StudyRows:
    return work(source, *arguments)


def predict_source(source: StudySource, bundle: Bundle, faults: Path | None = None) -> StudyResult:
    """Read and grade one study; whatever is wrong with it becomes a failed result with a reason.

    A fault of ours costs its study alone: it is said to be one, and its traceback is added to ``faults``.
    """
    try:
        result = predict_study(read_study(source), bundle)
    except SpinenetError as error:
        LOG.debug("%s: failed", source.key, exc_info=True)
        return failed(source, "unreadable", str(error))
    except (OSError, MemoryError) as error:
        LOG.debug("%s: failed", source.key, exc_info=True)
        why = f"{type(error).__name__}{place_of(error)}; is a disk or the network gone, or memory short? Try it again"
        return failed(source, "system", why)
    except Exception as error:  # one study's fault, whatever it is, must not end a run of thousands
        LOG.debug("%s: failed", source.key, exc_info=True)
        if faults is not None:
            note_fault(source.key, error, faults)
        why = f"a fault of the program, {type(error).__name__}{place_of(error)}; please report it with {FAULTS_FILE}"
        return failed(source, "fault", why)
    notes = tuple(replace(note, text=without_location(note.text, source)) for note in result.notes)
    return replace(result, notes=notes)


def failed(source: StudySource, code: str, reason: str) -> StudyResult:
    """The result of a study that has none."""
    flag = Note(code, Scope.STUDY, "", without_location(reason, source), Severity.REFUSE)
    origin = origin_of(source.frames) if source.frames else None
    return StudyResult(source.key, "failed", 0.0, flags=(flag,), origin=origin)


def place_of(error: BaseException) -> str:
    """Where in the code something was raised. What an error says stays out: it might name the patient."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""


def note_fault(key: str, error: BaseException, path: Path) -> None:
    """Add the kind and the calls of an error to a file, without what it says and without folders."""
    lines = [f"{key}: spinenet {__version__}, {type(error).__name__}"]
    for frame in traceback.extract_tb(error.__traceback__):
        lines.append(f"  {Path(frame.filename).name}, line {frame.lineno}, in {frame.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def without_location(message: str, source: StudySource) -> str:
    """A message for the results: folders may bear names, so the study's place is replaced by its key.

    >>> without_location("/a/Doe/t2.mha: cut off", StudySource("t2", Path("/a/Doe")))
    't2/t2.mha: cut off'
    """
    for place in {str(source.location), str(source.location.resolve()), *_own_name(source)}:
        message = re.sub(rf"(?<!\S){re.escape(place)}(?=[/\\:])", lambda _: source.key, message)
    for volume in source.volumes:
        data = data_file(volume.path)
        for stem in (names.stem_of(volume.path), data.stem if data else ""):
            message = message if names.is_plain(stem) else message.replace(names.printable(stem), volume.name)
    return message


def _own_name(source: StudySource) -> list[str]:
    """What messages call a place whose key is not made of its name."""
    return [names.shown(source.location)] if source.identity and source.location.name else []


def model_facts(bundle: Bundle) -> dict[str, Any]:
    """What a page says about the model."""
    return {**bundle.metadata, "name": bundle.name, "version": bundle.version, "targets": bundle.targets}
