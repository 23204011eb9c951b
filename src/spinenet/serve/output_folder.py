"""Which model and which files the results of a folder come from, so that a second run cannot mix them unseen."""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from spinenet.errors import OutputError
from spinenet.readers import StudySource
from spinenet.system.files import remove_partials, write_text

RUN_FILE = "run.json"
LOCK_FILE = ".lock"


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep ``out`` (made if need be) to this run; OutputError where another one is writing there.

    The lock is the operating system's: it goes with the process that holds it, however that ends. Half-written files of
    a run that was killed are removed.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = "is a file" if out.is_file() else f"cannot be made ({error.strerror})"
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


def claim(out: Path, model: Mapping[str, Any], sources: Sequence[StudySource], kept: Collection[str]) -> None:
    """Note in ``out`` the model and where each study comes from; ``kept`` are the keys whose results stay.

    Raises OutputError where kept results are another model's, or where a study has the key of a kept one but lies
    elsewhere: two patients' ``t2.mha`` must not pass for one.
    """
    path = out / RUN_FILE
    earlier = _read(path)
    digest = digest_of(json.dumps(model, sort_keys=True, default=str))
    advice = "choose another output folder, or overwrite"
    if kept and earlier.get("model", digest) != digest:
        raise OutputError(f"{out}: holds results of another model; {advice} all of them")
    known = earlier.get("sources", {})
    origins = {key: known[key] for key in kept if key in known}
    for source in sources:
        origin = origin_of(source)
        if origins.get(source.key, origin) != origin:
            raise OutputError(f"{out}: the results of {source.key} come from other files of that name; {advice} them")
        origins[source.key] = origin
    write_text(path, json.dumps({"model": digest, "sources": origins}, indent=1, sort_keys=True))


def origin_of(source: StudySource) -> str:
    """Digest of where a study lies; constant for DICOM, whose key is made from its own identifier already."""
    if source.frames:
        return "dicom"
    places = sorted(str(volume.path.resolve()) for volume in source.volumes) or [str(source.location.resolve())]
    return digest_of("\n".join(places))


def digest_of(text: str) -> str:
    """Twenty hex digits that stand for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:20]


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
