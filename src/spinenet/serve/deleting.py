"""A study taken out of the local page: its images, its results, and what readers saved of it."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from spinenet.errors import OutputError
from spinenet.model.bundle import Bundle
from spinenet.readers import StudySource, find_studies
from spinenet.report.corrections import read_corrections
from spinenet.report.options import Language
from spinenet.report.study_files import REPORTS_FOLDER, delete_study_files, write_folder_files
from spinenet.report.tables import recover, remove, write_table
from spinenet.serve.applying import COLUMNS, CORRECTIONS_FILE, other_labels
from spinenet.serve.output_folder import claim, forget_others, locked


def delete_study(
    key: str, images: Path, corrections: Path, out: Path, bundle: Bundle, language: Language = Language.EN
) -> tuple[str, ...]:
    """Delete a study of ``out``; what is left of it, and why, in words.

    ``images`` holds a folder a drop: one that no other study lies in goes as a whole. An archive stays while other
    studies are in it. OutputError where there is no such study.
    """
    with locked(out):
        results = recover(out)
        if key not in results:
            raise OutputError(f"{key}: no such study here; it may be deleted already")
        sources = claim(out, bundle.metadata, find_studies([images]), results, again=False).sources
        kept = {path for one in sources if one.key != key and one.key in results for path in files_of(one)}
        left = [path for one in sources if one.key == key for path in _delete(files_of(one), kept, images)]
        delete_study_files(out / REPORTS_FOLDER, key)
        for path in corrections.glob("*.json"):
            if read_corrections(path).study == key:
                path.unlink()
        if (out / CORRECTIONS_FILE).exists():
            write_table(out / CORRECTIONS_FILE, COLUMNS, other_labels(out / CORRECTIONS_FILE, {key}))
        remove(out, key)
        left_over = list(recover(out))
        forget_others(out, left_over)
        write_folder_files(out, left_over, language)
    return tuple(f"{path.name} stays, for other studies are in it" for path in left)


def files_of(source: StudySource) -> set[Path]:
    """The files that a study was read from: of one in an archive, that."""
    inner = {frame.path for frame in source.frames} | {volume.path for volume in source.volumes}
    return {_on_disk(path) for path in inner or {source.location}}


def _on_disk(path: Path) -> Path:
    """The file, or the archive that it is said to lie in."""
    return next((one for one in (path, *path.parents) if one.is_file()), path)


def _delete(files: set[Path], kept: set[Path], images: Path) -> Sequence[Path]:
    """Delete files that nothing else needs, and drops that hold nothing else; those that stay."""
    for path in files - kept:
        path.unlink(missing_ok=True)
    drops = {images / path.relative_to(images).parts[0] for path in files if path.is_relative_to(images)}
    for drop in drops:
        if not any(path.is_relative_to(drop) for path in kept):
            shutil.rmtree(drop, ignore_errors=True)
    return sorted(files & kept)
