"""What a run was made with: command, versions, commit, the data that it read, and what made its synthetic studies."""

import hashlib
import json
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from spinenet import __version__
from spinenet.datasets import LabelledStudy
from spinenet.datasets.changes import digest_of_inputs
from spinenet.system.files import write_text

RUN_FILE = "run.json"
PACKAGES = ("torch", "pytorch-lightning", "monai", "numpy", "scikit-learn", "onnx", "onnxruntime")


def write_provenance(
    out: Path,
    tags: Sequence[str],
    overrides: Sequence[str],
    data: Mapping[str, Sequence[LabelledStudy]],
    started_from: str = "",
) -> None:
    """Write ``run.json``; a run that is resumed keeps what it began with and adds the command that went on.

    ``overrides`` are the keys that were typed or swept for this run, ``data`` its studies by data set, ``started_from``
    the bundle whose weights it began with, if any.
    """
    path = out / RUN_FILE
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    commands = [*known.get("commands", []), " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])]
    studies = [study for several in data.values() for study in several]
    facts: dict[str, Any] = {
        "tags": list(tags),
        "overrides": list(overrides),
        "commit": commit(),
        "versions": versions(),
    }
    facts |= {"labels": digest_of_labels(studies), "data": {name: facts_of(one) for name, one in data.items()}}
    generators = sorted({study.generator for study in studies} - {""})
    facts |= {"generators": generators} if generators else {}
    facts |= {"started_from": started_from} if started_from else {}
    text = json.dumps({**facts, **known, "commands": commands}, indent=1, ensure_ascii=False)
    write_text(path, text + "\n")


def read_provenance(run: Path) -> dict[str, Any]:
    """What a run was made with, without what was typed, which names folders; empty where the run does not say."""
    try:
        known = json.loads((run / RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in known.items() if key not in ("commands", "overrides")}


def facts_of(studies: Sequence[LabelledStudy]) -> dict[str, Any]:
    """Of one data set: how many, and digests of grades and of files (by name, size and time), in any order."""
    files = hashlib.sha256("".join(sorted(map(digest_of_inputs, studies))).encode()).hexdigest()[:20]
    patients = len({study.patient for study in studies})
    return {"studies": len(studies), "patients": patients, "labels": digest_of_labels(studies), "files": files}


def versions() -> dict[str, str]:
    """Package -> version, of Python and of all that decides what is learnt."""
    found = {"python": platform.python_version(), "spinenet": __version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """Commit of the checkout that the package lies in, with "+" where files were changed; empty outside of one."""
    here = Path(__file__).parent
    asked = (["git", "rev-parse", "--short=12", "HEAD"], ["git", "status", "--porcelain", "--untracked-files=no"])
    try:
        head, changed = (
            subprocess.run(one, cwd=here, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
            for one in asked
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return head + "+" * bool(changed)


def digest_of_labels(studies: Iterable[LabelledStudy]) -> str:
    """Twenty hex digits that stand for who was graded how: keys and grades of all studies, in any order."""
    digest = hashlib.sha256()
    for study in sorted(studies, key=lambda one: one.key):
        digest.update(study.key.encode() + study.grades_LT.tobytes())
    return digest.hexdigest()[:20]
