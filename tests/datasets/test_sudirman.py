"""Sudirman's patients in each layout that they are published in, and every known trap told or handled."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sudirman_patients import (
    COLUMN,
    DEPTH,
    GAP,
    HEIGHT,
    NAMES,
    PIXEL_MM,
    TILT_DEG,
    body,
    picture,
    read_like,
    write_patients,
)

from spinenet.datasets import Dataset, load_dataset
from spinenet.datasets.labelled import Kind, LabelledStudy
from spinenet.datasets.masks import locate_all, locate_from_mask
from spinenet.datasets.outlines import Outlines, disc_corners, named_bodies
from spinenet.errors import DatasetError
from spinenet.labels import LEVELS, TARGET_INDEX, UNKNOWN, View
from spinenet.readers import read_study
from spinenet.study import LocatedSeries
from spinenet.train.data import ReadSlicesd
from spinephantom import PhantomStudy
from spinephantom.write.dicom_files import write_dicom

Reduced = Callable[..., Dataset]


@pytest.fixture
def reduced(tmp_path: Path) -> Reduced:
    """``reduced({patient: outlines}, names=...)``: mid-sagittal slices, outlines and grades of these patients."""

    def make(outlines: dict[str, dict], series: tuple[str, ...] = ("t1", "t2")) -> Dataset:
        write_patients(tmp_path, outlines, series)
        return load_dataset("sudirman", tmp_path)

    return make


def located(study: LabelledStudy) -> LocatedSeries:
    return locate_all(read_study(study.source).series, study.masks)[0]


def pfirrmann(study: LabelledStudy) -> list[int]:
    """Known grades by level from the sacrum up."""
    grades_L = study.grades_LT[:, TARGET_INDEX["pfirrmann"]]
    return [int(grade) + 1 for grade in grades_L if grade != UNKNOWN]


def said(dataset: Dataset) -> str:
    return "\n".join(map(str, dataset.findings))


def test_grades_are_those_of_the_lowest_three_discs_and_nothing_else_is_known(reduced: Reduced) -> None:
    dataset = reduced({"7": COLUMN})
    (study,) = dataset.studies
    assert pfirrmann(study) == [4, 3, 2] and (study.grades_LT != UNKNOWN).sum() == 3 and dataset.findings == ()
    assert [series.view for series in read_study(study.source).series] == [View.SAGITTAL_T1, View.SAGITTAL_T2]


def test_patients_are_not_mistaken_for_those_of_another_data_set(reduced: Reduced) -> None:
    (study,) = reduced({"7": COLUMN}).studies
    assert study.key == study.patient == study.source.key == "sudirman-7"


def test_discs_lie_between_the_outlines_and_lean_as_their_end_plates(reduced: Reduced) -> None:
    found = located(reduced({"7": COLUMN}).studies[0])
    assert [frame.level for frame in found.frames] == list(LEVELS[:5])
    for frame, (upper, lower) in zip(found.frames, zip(NAMES[-2::-1], NAMES[:0:-1], strict=True), strict=True):
        x, y = (np.mean(COLUMN[upper][0][:4], axis=0) + np.mean(COLUMN[lower][0][:4], axis=0)) / 2
        assert np.linalg.norm(found.series.to_vox(frame.center_mm)[1:] - (y, x)) * PIXEL_MM < 1.0
        lean_deg = np.degrees(np.arctan2(-frame.posterior[2], frame.posterior[1]))
        assert abs(lean_deg - TILT_DEG) < 3.0
        assert abs(frame.depth_mm - DEPTH * PIXEL_MM) < 3.0 and abs(frame.height_mm - GAP * PIXEL_MM) < 2.0


def test_a_collapsed_disc_is_still_found(reduced: Reduced) -> None:
    lower = (np.array(body(3)) - np.array(body(2))) * (GAP - 2) / (HEIGHT + GAP)
    down = {name: (np.array(body(number)) - lower).tolist() for number, name in enumerate(NAMES) if number > 2}
    found = located(reduced({"7": {**COLUMN, **{name: [one] for name, one in down.items()}}}).studies[0])
    (disc,) = (frame for frame in found.frames if frame.level == "L3/L4")
    assert disc.height_mm < 4.0 and disc.depth_mm > 25.0


def test_grey_values_are_measured_where_bodies_discs_and_canal_must_be(reduced: Reduced) -> None:
    dark, bright, vertebra, canal, disc = located(reduced({"7": COLUMN}).studies[0]).reference
    assert abs(vertebra - 124) < 6 and abs(disc - 64) < 10 and canal < 60 and dark < disc < bright


def test_partial_label_images_teach_no_background(reduced: Reduced) -> None:
    assert ReadSlicesd(1)(reduced({"7": COLUMN}).studies[0]) == []


def test_a_body_outlined_twice_under_one_name_stands_for_its_neighbour(reduced: Reduced) -> None:
    without = {name: one for name, one in COLUMN.items() if name not in ("L2", "L3")}
    dataset = reduced({"7": {**without, "L2": [body(2), body(1)]}})
    assert [frame.level for frame in located(dataset.studies[0]).frames] == list(LEVELS[:5])
    assert "patient 7: L2 is outlined twice; named by their order" in said(dataset)


def test_what_is_outlined_twice_and_cannot_be_told_is_left_out() -> None:
    without = {name: one for name, one in COLUMN.items() if name not in ("L1", "L2", "L3")}
    bodies, why = named_bodies({**without, "L3": [body(2), body(1)]})
    assert sorted(bodies) == ["L4", "L5", "S1"] and "cannot be told" in why


def test_where_a_body_is_missing_between_neighbours_levels_are_left_to_the_locator(reduced: Reduced) -> None:
    higher = {name: [body(number)] for number, name in enumerate(NAMES[:5])}
    dataset = reduced({"7": {**higher, "L5": [body(3)], "L4": [body(2)], "S1": [body(5)]}})
    assert dataset.studies[0].masks == {} and pfirrmann(dataset.studies[0]) == [4, 3, 2]
    assert "patient 7: a body between L5 and S1 is not outlined" in said(dataset)


@pytest.mark.parametrize(
    ("patient", "outlines", "why"),
    [
        ("268", COLUMN, "outlines lie beside the bodies"),
        ("7", {"L1": [body(0)]}, "fewer than two bodies are outlined"),
        ("7", {}, "fewer than two bodies are outlined"),
    ],
)
def test_outlines_that_cannot_be_trusted_are_not_used(reduced: Reduced, patient, outlines, why) -> None:
    dataset = reduced({patient: outlines})
    assert dataset.studies[0].masks == {} and f"patient {patient}: {why}" in said(dataset)
    assert {one.kind for one in dataset.findings} == {Kind.NAMES}


def test_grades_of_a_disc_that_nobody_can_name_are_unknown(reduced: Reduced) -> None:
    dataset = reduced({"451": COLUMN})
    study = dataset.studies[0]
    assert pfirrmann(study) == [] and study.masks and study.published_RT is not None
    assert (study.published_RT != UNKNOWN).sum() == 3  # folds are drawn by what was published
    assert "patient 451: outlines and points set by hand name its discs one apart" in said(dataset)


def test_a_grade_that_no_picture_here_shows_is_unknown(reduced: Reduced) -> None:
    dataset = reduced({"245": COLUMN}, series=("t1",))
    assert pfirrmann(dataset.studies[0]) == [] and "patient 245: no T2 series" in said(dataset)


def test_outlines_of_a_picture_of_another_size_are_refused() -> None:
    image = Outlines({name: np.array(one[0]) for name, one in COLUMN.items()}, (384, 384))
    with pytest.raises(DatasetError, match="its outlines were drawn on one slice of"):
        image.values(read_like(np.zeros((1, 320, 320))))


def test_corners_of_a_disc_are_those_of_the_end_plates_that_face_each_other() -> None:
    upper, lower = np.array(body(1)), np.array(body(2))
    corners = disc_corners(upper, lower)
    expected = np.stack([upper[3], upper[2], lower[1], lower[0]])
    assert np.allclose(corners, expected)


def test_whole_series_of_the_first_publication_are_read_as_dicom(phantom: PhantomStudy, tmp_path: Path) -> None:
    study = tmp_path / "01_MRI_Data" / "0007" / "L-SPINE_LSS_20160309_091629_240000"
    write_dicom(phantom, tmp_path / "written")
    for name, folder in (("t1", "T1_TSE_SAG_320_0003"), ("t2", "T2_TSE_SAG_384_0002"), ("t1", "LOCALIZER_0001")):
        (study / folder).mkdir(parents=True)
        for path in (tmp_path / "written" / name).iterdir():
            (study / folder / f"{folder[:13]}_{path.stem}.ima").write_bytes(path.read_bytes())
    second = tmp_path / "01_MRI_Data" / "0007" / "L-SPINE_LSS_20150101_091629_240000" / "T2_TSE_SAG_384_0002"
    second.mkdir(parents=True)
    (tmp_path / "PfirrmannGrades.csv").write_text("PatientID,D3,D4,D5\n0007,2,3,4\n0008,1,1,1\n")
    dataset = load_dataset("sudirman", tmp_path)
    (one,) = dataset.studies
    assert one.key == "sudirman-7" and pfirrmann(one) == [4, 3, 2] and one.masks == {}
    assert {series.view for series in read_study(one.source).series} == {View.SAGITTAL_T1, View.SAGITTAL_T2}
    assert "patient 7: 2 studies; the first of the fullest is used" in said(dataset)
    assert "patient 8: graded, but without pictures; left out" in said(dataset)


def write_pictures(root: Path, names: tuple[str, ...], mask_RC: np.ndarray) -> None:
    for folder in ("images_png", "masks_indexed"):
        (root / folder).mkdir()
    for name in names:
        Image.fromarray(picture()).save(root / "images_png" / name)
        Image.fromarray(mask_RC.astype(np.uint8)).save(root / "masks_indexed" / name)
    (root / "PfirrmannGrade.csv").write_text("Patient_ID,D5,D4,D3\n7,4,3,2\n")


def indexed() -> np.ndarray:
    """LSMA-PQR's classes of the column: bodies, discs, sacrum, canal."""
    whole = Outlines({name: np.array(one[0]) for name, one in COLUMN.items()}, (384, 384))
    values = whole.values(read_like(np.zeros((1, 384, 384))))[0]
    classes = np.where(values > 200, 2, (values > 0) * 1)
    sacrum = Outlines({"L5": np.array(COLUMN["S1"][0])}, (384, 384)).values(read_like(np.zeros((1, 384, 384))))[0]
    classes[sacrum > 0] = 3
    classes[:, 262:268] = 4
    return classes


def test_pictures_of_lsma_are_read_with_their_masks_counted_from_the_sacrum(tmp_path: Path) -> None:
    write_pictures(tmp_path, ("T1_0007_S8 .png", "sag_T2_0007_S8.png", "axial_T2_0007_D4.png"), indexed())
    (study,) = load_dataset("sudirman", tmp_path).studies
    assert pfirrmann(study) == [4, 3, 2]
    read = read_study(study.source).series
    assert [(series.name, series.view, series.laterality_known) for series in read] == [
        ("t1", View.SAGITTAL_T1, False), ("t2", View.SAGITTAL_T2, False),
    ]  # fmt: skip
    found = locate_from_mask(read[1], study.masks["t2"].values(read[1]))
    assert [frame.level for frame in found.frames] == list(LEVELS[:5])
    assert sorted(np.unique(study.masks["t2"].values(read[1]))) == [0, 1, 2, 3, 4, 5, 100, 201, 202, 203, 204, 205]


def test_masks_without_a_sacrum_are_not_counted(tmp_path: Path) -> None:
    classes = indexed()
    write_pictures(tmp_path, ("T2_0007_S8.png",), np.where(classes == 3, 0, classes))
    (study,) = load_dataset("sudirman", tmp_path).studies
    with pytest.raises(DatasetError, match="no sacrum"):
        locate_all(read_study(study.source).series, study.masks)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, "no table of grades; expected one of pfirrmann.csv"),
        ("patient,grade\n7,2\n", "expected patient, level and pfirrmann, or PatientID, D3, D4 and D5"),
        ("patient,level,pfirrmann\nseven,L5/S1,2\n", "expected patient, level and pfirrmann"),
    ],
)
def test_a_table_that_is_none_is_refused_in_one_line(tmp_path: Path, table: str | None, message: str) -> None:
    write_pictures(tmp_path, ("T2_0007_S8.png",), indexed())
    (tmp_path / "PfirrmannGrade.csv").unlink()
    if table:
        (tmp_path / "pfirrmann.csv").write_text(table)
    with pytest.raises(DatasetError, match=message):
        load_dataset("sudirman", tmp_path)


def test_what_is_no_grade_is_unknown_and_told(tmp_path: Path) -> None:
    write_pictures(tmp_path, ("T2_0007_S8.png",), indexed())
    (tmp_path / "PfirrmannGrade.csv").write_text("Patient_ID,D5,D4,D3\n7,4,0,\n")
    dataset = load_dataset("sudirman", tmp_path)
    assert pfirrmann(dataset.studies[0]) == [4]
    assert "patient 7: L4/L5: '0' is not a grade; unknown" in said(dataset)


def test_a_folder_of_another_layout_is_refused_with_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="expected 01_MRI_Data/, images/ or images_png/"):
        load_dataset("sudirman", tmp_path)
