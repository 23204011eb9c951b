"""Prepared studies follow their data set: what was edited is made again, what is of another data set is refused."""

import csv
import os
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hydra.core.global_hydra import GlobalHydra

from spinenet.crops import CropSpec
from spinenet.datasets import load_dataset
from spinenet.datasets.cache import load_labels, load_study, save_study
from spinenet.datasets.changes import digest_of_inputs, is_changed
from spinenet.datasets.masks import MaskFile
from spinenet.datasets.prepare import Job, prepare_one, waiting
from spinenet.errors import DatasetError
from spinenet.labels import LEVELS, TARGET_INDEX
from spinenet.model.bundle import load_bundle
from spinenet.readers.sources import StudySource, VolumeFile
from spinenet.train.preparation import prepare_data
from spinephantom import PhantomStudy
from spinephantom.write.spider_files import write_mha

SPEC = CropSpec()
L4_L5 = LEVELS.index("L4/L5")


def write_csv(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def grade(root: Path, **pfirrmann: int) -> None:
    rows = [{"study": name, "level": "L4/L5", "pfirrmann": value} for name, value in pfirrmann.items()]
    write_csv(root / "grades.csv", list(rows))


def place(phantom: PhantomStudy, root: Path, **up_mm: float) -> None:
    """Points of the studies a and b, those of a study so much higher than its discs."""
    rows = []
    for name in ("a", "b"):
        for disc in phantom.spine.discs:
            if disc.level in LEVELS:
                x, y, z = disc.frame.center_mm
                rows.append({"study": name, "level": disc.level, "x": x, "y": y, "z": z + up_mm.get(name, 0.0)})
    write_csv(root / "points.csv", rows)


@pytest.fixture
def root(phantom: PhantomStudy, tmp_path: Path) -> Path:
    """Two studies, a and b, with points and Pfirrmann grades."""
    folder = tmp_path / "own"
    folder.mkdir()
    item = phantom.series[0]
    for name in ("a", "b"):
        voxels_SRC = item.series.voxels_SRC.astype(np.uint16)
        write_mha(folder / f"{name}_{item.name}.mha", voxels_SRC, item.series.affine_vox2mm, "PIR")
    place(phantom, folder)
    grade(folder, a=2, b=3)
    return folder


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., str]]:
    """``prepared(root, out)``: what ``spinenet prepare`` says of a table, on either stream."""

    def run(root: Path, out: Path) -> str:
        GlobalHydra.instance().clear()
        monkeypatch.setattr(sys, "argv", ["spinenet prepare", "data=table", f"data.root={root}", f"out={out}"])
        try:
            prepare_data()
        except SystemExit as stop:
            assert stop.code == 2
        return "".join(capsys.readouterr())

    yield run
    GlobalHydra.instance().clear()


def test_a_grade_edited_in_the_table_is_taken_and_the_other_study_is_left_alone(
    root: Path, tmp_path: Path, prepared: Callable[..., str]
) -> None:
    out = tmp_path / "out"
    assert "0 of 2 studies are prepared" in prepared(root, out)
    assert "2 of 2 studies are prepared" in prepared(root, out)
    other = (out / "b.npz").stat().st_mtime_ns
    grade(root, a=5, b=3)
    assert "1 prepared study has other grades, points, masks, images, crops" in prepared(root, out)
    stored = load_labels(out / "a.npz").grades_LT[L4_L5, TARGET_INDEX["pfirrmann"]]
    assert stored == 4  # the fifth grade of the scale
    assert (out / "b.npz").stat().st_mtime_ns == other
    assert "2 of 2 studies are prepared" in prepared(root, out)


def test_moved_points_move_the_prepared_levels(
    phantom: PhantomStudy, root: Path, tmp_path: Path, prepared: Callable[..., str]
) -> None:
    out = tmp_path / "out"
    prepared(root, out)
    before = load_study(out / "b.npz", SPEC).located[0].frames[0].center_mm
    place(phantom, root, b=4.0)
    assert "1 of 2 studies are prepared" in prepared(root, out)
    after = load_study(out / "b.npz", SPEC).located[0].frames[0].center_mm
    assert np.allclose(after - before, [0, 0, 4.0])


def test_files_of_another_format_are_refused_in_one_line_and_made_again_by_prepare(
    root: Path, tmp_path: Path, prepared: Callable[..., str]
) -> None:
    out = tmp_path / "out"
    prepared(root, out)
    with np.load(out / "a.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    arrays["about"] = np.array(str(arrays["about"]).replace('"format": 3', '"format": 2'))
    np.savez(out / "a.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match=f"another version; spinenet prepare with out={out} makes it again"):
        load_study(out / "a.npz", SPEC)
    assert "1 prepared study has other" in prepared(root, out)
    assert load_study(out / "a.npz", SPEC).located and "2 of 2 studies are prepared" in prepared(root, out)


def test_a_changed_study_that_can_no_longer_be_read_leaves_no_file_with_old_grades(
    root: Path, tmp_path: Path, prepared: Callable[..., str]
) -> None:
    out = tmp_path / "out"
    prepared(root, out)
    (image,) = root.glob("a_*.mha")
    image.write_bytes(image.read_bytes()[:5000])
    assert "1 could not be" in prepared(root, out)
    assert [path.name for path in out.glob("*.npz")] == ["b.npz"]


def test_a_folder_with_studies_of_another_table_or_struck_from_this_one_is_refused(
    root: Path, tmp_path: Path, prepared: Callable[..., str]
) -> None:
    out = tmp_path / "out"
    prepared(root, out)
    grade(root, b=3)
    said = prepared(root, out).splitlines()[-1]
    assert f"{out}: holds 1 prepared file of no study of this data set (a.npz)" in said and "out=" in said
    grade(root, a=2, b=3)
    save_study(out / "b.npz", replace(load_study(out / "b.npz", SPEC), dataset="spider"), SPEC)
    assert "of no study of this data set (b.npz)" in prepared(root, out)


def test_files_of_older_versions_are_held_against_the_grades_alone(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    study = load_dataset("table", root).studies[0]
    (job,) = waiting([Job("table", study, tmp_path, SPEC)])[0]
    prepare_one(job)
    assert load_labels(path).made_from == digest_of_inputs(study)
    save_study(path, replace(load_study(path, SPEC), made_from=""), SPEC)
    assert not is_changed(study, path) and not is_changed(replace(study, points=None), path)
    other_LT = study.grades_LT.copy()
    other_LT[L4_L5, TARGET_INDEX["pfirrmann"]] = 0
    assert is_changed(replace(study, grades_LT=other_LT), path)
    assert is_changed(replace(study, patient="another"), path)


def test_wider_crops_and_another_locator_are_noticed(root: Path, tmp_path: Path) -> None:
    study = load_dataset("table", root).studies[0]
    job = Job("table", study, tmp_path, SPEC)
    prepare_one(job)
    assert waiting([job]) == ([], [])
    smaller, wider = (replace(job, spec=replace(SPEC, columns=SPEC.columns * size // 4)) for size in (3, 8))
    assert waiting([smaller]) == ([], []) and waiting([wider]) == ([], [wider])
    stored = load_study(job.path, SPEC)
    assert stored.located_by == ""  # points placed its levels
    save_study(job.path, replace(stored, located_by="of another locator"), SPEC)
    assert waiting([job]) == ([], [job])
    save_study(job.path, replace(stored, located_by=load_bundle().metadata["sha256"]["locator.onnx"]), SPEC)
    assert waiting([job]) == ([], [])


def test_a_folder_of_prepared_studies_is_not_held_against_files_it_does_not_have(
    root: Path, tmp_path: Path, prepared: Callable[..., str]
) -> None:
    out = tmp_path / "out"
    prepared(root, out)
    assert "2 of 2 studies are prepared" in prepared(out, out)


def test_a_nifti_file_counts_with_the_sidecar_that_tells_its_sequence(root: Path) -> None:
    source = StudySource("d", root, volumes=(VolumeFile(root / "d.nii.gz", "d"),))
    study = replace(load_dataset("table", root).studies[0], source=source)
    without = digest_of_inputs(study)
    (root / "d.json").write_text("{}")
    assert digest_of_inputs(study) != without


def test_images_masks_and_archives_are_known_by_size_and_time_and_not_by_their_folder(root: Path) -> None:
    study = load_dataset("table", root).studies[0]
    (image,) = root.glob("a_*.mha")
    masked = replace(study, masks={"t2": MaskFile(root / "b_t2.mha")})
    packed = root / "c.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(image, "c.mha")
    zipped = replace(study, source=StudySource("c", packed, volumes=(VolumeFile(packed / "c.mha", "c"),)))
    digests = [digest_of_inputs(one) for one in (study, masked, zipped)]
    assert len(set(digests)) == 3
    for path in (image, packed):
        os.utime(path, (1, 1))
    assert digest_of_inputs(study) != digests[0] and digest_of_inputs(zipped) != digests[2]
    before = digest_of_inputs(study)
    moved = root.rename(root.with_name("elsewhere"))
    assert digest_of_inputs(load_dataset("table", moved).studies[0]) == before
