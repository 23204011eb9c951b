"""Which model and which files the results of a folder come from, so that a second run cannot mix them unseen."""

import hashlib
import json
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from spinenet.errors import OutputError, in_words
from spinenet.readers import StudySource
from spinenet.readers.dicom.assembly import SALT_FILE, study_key
from spinenet.readers.fingerprints import glance, images_digest
from spinenet.readers.level_names import UNNAMED, GivenNames
from spinenet.report.options import Language, Output, ReportOptions
from spinenet.report.study_files import DOCUMENT_SUFFIX, PAGE_SUFFIX, REPORTS_FOLDER, path_of
from spinenet.report.tables import StudyRow
from spinenet.study import Note, Scope
from spinenet.system.files import remove_partials, write_private, write_text

RUN_FILE = "run.json"
LOCK_FILE = ".lock"
CHANGED = Note(
    "images_changed",
    Scope.STUDY,
    "",
    "its images are not those that the earlier result in this folder was made from; this result takes its place",
)


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep ``out`` (made if need be) to this run; OutputError where another one is writing there.

    The lock is the operating system's: it goes with the process that holds it, however that ends. Half-written files of
    a run that was killed are removed.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = "is a file" if out.is_file() else f"cannot be made ({in_words(error)})"
        raise OutputError(f"{out}: {what}; choose another output folder") from error
    lock = FileLock(out / LOCK_FILE)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise OutputError(f"{out}: another run is writing here; wait for it or choose another folder") from error
    try:
        remove_partials(out)
        yield
    finally:
        lock.release()


def key_in(source: StudySource, out: Path | None) -> str:
    """The key of a study among the results in a folder; without one, or where it has none, that of no folder."""
    salted = out is not None and (out / SALT_FILE).exists() and source.identity
    return study_key(source.identity, salt_of(out)) if out is not None and salted else source.key


def is_output(folder: Path) -> bool:
    """Whether an earlier run has written results there."""
    return (folder / RUN_FILE).exists()


@dataclass(frozen=True)
class FolderClaim:
    """The studies of a run under their keys in its folder, and the keys of those whose results stay."""

    sources: tuple[StudySource, ...]
    kept: frozenset[str]


def claim(
    out: Path,
    model: Mapping[str, Any],
    sources: Sequence[StudySource],
    results: Mapping[str, StudyRow],
    *,
    again: bool,
    names: GivenNames = UNNAMED,
    options: ReportOptions | None = None,
) -> FolderClaim:
    """Give every study its key in ``out``, and note there the model, which files the studies are and what of them is
    shown; without new ``options`` those of before stay noted.

    A result stays where its images are those it was made from, byte for byte, and its report is there; none stays that
    is asked for ``again`` or whose levels get other ``names`` than before; without new ones those of before hold. A
    study is never taken for another of its name: one that lies elsewhere and has other images gets a key of its own.
    Raises OutputError where results would stay that are another model's, ReadError where names are of no study here.
    """
    known = _read(out / RUN_FILE)
    digest = digest_of(json.dumps(model, sort_keys=True, default=str))
    salt = salt_of(out)
    files: dict[str, dict[str, Any]] = dict(known.get("sources", {}))
    claimed: dict[str, StudySource] = {}
    taken: set[str] = set()
    kept: set[str] = set()
    for source in sources:
        record = {"place": digest_of(str(source.location.resolve()), salt), "files": glance(source)}
        named = replace(source, key=study_key(source.identity, salt)) if source.identity else source
        key, is_same = _key_of(named, record, files, results, taken)
        before, given = files.get(key, {}).get("levels", ""), " ".join(names.of(key, source.location))
        if key in results and results[key].status != "failed":
            if not is_same:
                named = replace(named, notes=(*named.notes, CHANGED))
            elif not again and given in ("", before) and _is_complete(out, key):
                kept.add(key)
        levels = given or (before if is_same and not again else "")
        files[key] = {**record, **({"levels": levels} if levels else {})}
        claimed[key] = replace(named, key=key, level_names=tuple(levels.split()))
        taken.add(key.lower())
    names.check([(key, source.location) for key, source in claimed.items()])
    staying = kept | (set(results) - set(claimed))
    if known.get("model", digest) != digest and any(results[key].status != "failed" for key in staying):
        raise OutputError(
            f"{out}: holds results of another model; choose another output folder, or overwrite all of them"
        )
    shown = asdict(options) if options else known.get("options")
    anew = set(claimed) - kept if options else set()
    run = {
        "model": digest,
        "sources": _with_options(files, known, shown, anew),
        **({"options": shown} if shown else {}),
    }
    write_text(out / RUN_FILE, json.dumps(run, indent=1, sort_keys=True))
    return FolderClaim(tuple(claimed.values()), frozenset(kept))


def _with_options(
    files: Mapping[str, Mapping[str, Any]], known: Mapping[str, Any], shown: Any, anew: Collection[str]
) -> dict[str, dict[str, Any]]:
    """The records of studies, with how each was asked for where that differs from what the folder ``shown`` now."""
    records = {}
    for key, record in files.items():
        before = known.get("sources", {}).get(key, {}).get("options", known.get("options"))
        rest = {name: value for name, value in record.items() if name != "options"}
        is_other = key not in anew and before not in (None, shown)
        records[key] = {**rest, "options": before} if is_other else rest
    return records


def _key_of(
    source: StudySource,
    record: Mapping[str, str],
    files: Mapping[str, Mapping[str, str]],
    results: Mapping[str, StudyRow],
    taken: Collection[str],
) -> tuple[str, bool]:
    """The key of a study, and whether the result under it, if any, was made from these very images."""
    count, images = 1, None
    while True:
        key = source.key if count == 1 else f"{source.key}-{count}"
        count += 1
        if key.lower() in taken:
            continue
        earlier = files.get(key)
        if earlier is None or key not in results:
            return key, False
        if record.items() <= earlier.items():
            return key, True
        images = images_digest(source) if images is None else images
        if images == results[key].images:
            return key, True
        if earlier.get("place") == record["place"]:
            return key, False


def _is_complete(out: Path, key: str) -> bool:
    return all(path_of(out / REPORTS_FOLDER, key, suffix).exists() for suffix in (DOCUMENT_SUFFIX, PAGE_SUFFIX))


def salt_of(out: Path) -> bytes:
    """What keys in this folder are made with, made the first time; whoever has it can try out ids and UIDs."""
    path = out / SALT_FILE
    if not path.exists():
        write_private(path, secrets.token_hex(16).encode())
    return path.read_bytes()[:64]


def forget_others(out: Path, keys: Collection[str]) -> None:
    """Keep what is noted of these studies' files, and no more."""
    known = _read(out / RUN_FILE)
    sources = {name: record for name, record in known.get("sources", {}).items() if name in keys}
    write_text(out / RUN_FILE, json.dumps({**known, "sources": sources}, indent=1, sort_keys=True))


def options_of(out: Path, key: str = "") -> ReportOptions | None:
    """How the results of a study in a folder were asked for in the run that made them, or without a ``key`` those of
    the last run there; None where an earlier version of spinenet did not note it."""
    run = _read(out / RUN_FILE)
    noted = run.get("sources", {}).get(key, {}).get("options", run.get("options"))
    if noted is None:
        return None
    try:
        outputs = tuple(map(Output, noted["outputs"]))
        return ReportOptions(**{**noted, "language": Language(noted["language"]), "outputs": outputs})
    except (KeyError, TypeError, ValueError) as error:
        raise OutputError(f"{out / RUN_FILE}: not the file of an earlier run; choose another output folder") from error


def digest_of(text: str, salt: bytes = b"") -> str:
    """Twenty hex digits that stand for a text."""
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), key=salt).hexdigest()[:20]


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise OutputError(f"{path}: not the file of an earlier run; choose another output folder") from error
    if not isinstance(content, dict):
        raise OutputError(f"{path}: not the file of an earlier run; choose another output folder")
    return content
