"""Own studies with a table of grades: every format, every source of levels, and a clear line for all that is amiss."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spinenet.crops import CropSpec
from spinenet.datasets import Dataset, load_dataset
from spinenet.datasets.cache import load_study
from spinenet.datasets.labelled import LabelledStudy
from spinenet.datasets.level_sources import placed_series
from spinenet.datasets.masks import locate_from_mask
from spinenet.datasets.points import frames_of_centers
from spinenet.datasets.prepare import Job, prepare
from spinenet.errors import DatasetError
from spinenet.labels import LEVELS, TARGET_INDEX, TARGETS, UNKNOWN
from spinenet.readers import find_studies, read_study
from spinenet.readers.dicom.assembly import SALT_FILE, study_key
from spinenet.report.tables import PREDICTION_COLUMNS
from spinenet.study import Note, Scope, Severity, Study, StudyLevels
from spinephantom import PhantomStudy
from spinephantom.write.dicom_files import write_dicom
from spinephantom.write.nifti_files import write_nifti
from spinephantom.write.spider_files import write_mha

SPEC = CropSpec()
SAMPLE = Path(__file__).parents[2] / "data" / "sample"
DISC_TARGETS = [index for index, target in enumerate(TARGETS) if "spider" in target.labelled_by]
Cells = list[dict[str, object]]


def write_csv(path: Path, rows: Cells) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def wide(study: PhantomStudy, name: str) -> Cells:
    """A row a disc, a column a target, published grades."""
    rows = []
    for level, grades_T in zip(LEVELS, study.grades_LT, strict=True):
        known = {TARGETS[index].name: TARGETS[index].grades[grades_T[index]]
                 for index in DISC_TARGETS if grades_T[index] != UNKNOWN}  # fmt: skip
        if known:
            rows.append({"study": name, "level": level, **known})
    return rows


def centers_mm(study: PhantomStudy) -> dict[str, np.ndarray]:
    return {disc.level: disc.frame.center_mm for disc in study.spine.discs if disc.level in LEVELS}


Write = Callable[[PhantomStudy, Path], None]


def as_nifti(study: PhantomStudy, root: Path) -> None:
    write_nifti(study, root / "made", "17")
    (root / "made" / "images" / "sub-17").rename(root / "scans")


def as_dicom(study: PhantomStudy, root: Path) -> None:
    write_dicom(study, root / "scans")


def as_mha(study: PhantomStudy, root: Path) -> None:
    (root / "scans").mkdir(parents=True)
    for item in study.series:
        write_mha(root / "scans" / f"17_{item.name}.mha", item.series.voxels_SRC.astype(np.uint16),
                  item.series.affine_vox2mm, "LPS")  # fmt: skip


FORMATS = pytest.mark.parametrize("write", [as_nifti, as_dicom, as_mha])


def said(dataset: Dataset) -> str:
    return "\n".join(map(str, dataset.findings))


@FORMATS
def test_studies_of_every_format_are_read_with_their_grades(
    phantom: PhantomStudy, tmp_path: Path, write: Write
) -> None:
    write(phantom, tmp_path)
    write_csv(tmp_path / "grades.csv", wide(phantom, "scans"))
    dataset = load_dataset("table", tmp_path)
    (study,) = dataset.studies
    assert np.array_equal(study.grades_LT[:, DISC_TARGETS], phantom.grades_LT[:, DISC_TARGETS])
    assert dataset.findings == () and study.patient == "scans"
    assert {series.view for series in read_study(study.source).series} == {item.series.view for item in phantom.series}


@FORMATS
def test_points_in_mm_place_the_levels_in_every_format(phantom: PhantomStudy, tmp_path: Path, write: Write) -> None:
    write(phantom, tmp_path)
    write_csv(tmp_path / "grades.csv", wide(phantom, "scans"))
    centers = centers_mm(phantom)
    points = [{"study": "scans", "level": level, **dict(zip("xyz", center, strict=True))}
              for level, center in centers.items()]  # fmt: skip
    write_csv(tmp_path / "points.csv", points)
    located = placed_series(load_dataset("table", tmp_path).studies[0], SPEC)
    assert len(located) == 2
    for one in located:
        assert [frame.level for frame in one.frames] == [level for level in LEVELS if level in centers]
        assert all(np.allclose(frame.center_mm, centers[frame.level]) for frame in one.frames)


def test_points_as_voxels_of_a_series_are_the_same_points(phantom: PhantomStudy, tmp_path: Path) -> None:
    as_mha(phantom, tmp_path)
    write_csv(tmp_path / "grades.csv", wide(phantom, "scans"))
    names = ("slice", "row", "column")
    series = phantom.series[1].series
    rows = [{"study": "scans", "level": level, "series": "t2", **dict(zip(names, series.to_vox(center), strict=True))}
            for level, center in centers_mm(phantom).items()]  # fmt: skip
    write_csv(tmp_path / "points.csv", rows)
    one = placed_series(load_dataset("table", tmp_path).studies[0], SPEC)[0]
    for frame in one.frames:
        assert np.linalg.norm(frame.center_mm - centers_mm(phantom)[frame.level]) < 0.1
    write_csv(tmp_path / "points.csv", [{**row, "series": "t9"} for row in rows])
    (outcome,) = prepare([Job("table", load_dataset("table", tmp_path).studies[0], tmp_path / "out", SPEC)])
    assert "no series is called 't9'; there are t1, t2" in outcome.problem


def test_axes_from_centres_are_those_of_the_discs(phantoms: tuple[PhantomStudy, ...]) -> None:
    turned_deg = []
    for study in phantoms:
        lumbar = {level: center for level, center in centers_mm(study).items() if level in LEVELS[:6]}
        truth = {disc.level: disc.frame.axes[:, 2] for disc in study.spine.discs}
        frames = frames_of_centers({level: lumbar[level] for level in LEVELS if level in lumbar})
        turned_deg += [np.degrees(np.arccos(np.clip(one.superior @ truth[one.level], -1, 1))) for one in frames]
    assert len(turned_deg) >= 30 and np.median(turned_deg) < 6.0 and np.max(turned_deg) < 25.0
    assert frames_of_centers({"L5/S1": np.zeros(3), "L4/L5": np.array([0, 0, 35.0])}) == ()


@pytest.mark.parametrize("place", ["masks", "beside"])
def test_label_images_place_the_levels(phantom: PhantomStudy, tmp_path: Path, place: str) -> None:
    folder = tmp_path / "images" / "17"
    folder.mkdir(parents=True)
    masks = folder if place == "beside" else tmp_path / "masks" / "17"
    masks.mkdir(parents=True, exist_ok=True)
    for item in phantom.series:
        affine = item.series.affine_vox2mm
        write_mha(folder / f"17_{item.name}.mha", item.series.voxels_SRC.astype(np.uint16), affine, "PIR")
        ending = "_seg.mha" if place == "beside" else ".mha"
        write_mha(masks / f"17_{item.name}{ending}", item.mask_SRC.astype(np.uint8), affine, "PIR")
    write_csv(tmp_path / "grades.csv", wide(phantom, "images/17"))
    (study,) = load_dataset("table", tmp_path).studies
    assert sorted(study.masks) == ["t1", "t2"] and not any(image.whole for image in study.masks.values())
    for item, one in zip(phantom.series, placed_series(study, SPEC), strict=True):
        truth = locate_from_mask(item.series, item.mask_SRC).frames
        assert [frame.level for frame in one.frames] == [frame.level for frame in truth]
        assert all(np.allclose(a.center_mm, b.center_mm, atol=0.1) for a, b in zip(one.frames, truth, strict=True))


def test_without_masks_and_points_levels_are_the_locators_and_what_it_lacks_is_said(
    phantom: PhantomStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(study: Study, bundle: object) -> StudyLevels:
        note = Note("no_sacrum", Scope.SERIES, "t2", "the sacrum is not in view", Severity.REFUSE)
        return StudyLevels(study, (), (note,))

    as_nifti(phantom, tmp_path)
    write_csv(tmp_path / "grades.csv", wide(phantom, "scans"))
    (study,) = load_dataset("table", tmp_path).studies
    assert placed_series(study, SPEC) == ()
    monkeypatch.setattr("spinenet.datasets.prepare.locate", lost)
    monkeypatch.setattr("spinenet.datasets.prepare._bundle", lambda path: None)
    monkeypatch.setattr("spinenet.datasets.prepare._locator", lambda path: "of this test")
    (outcome,) = prepare([Job("table", study, tmp_path / "out", SPEC)])
    assert outcome.series == 0 and "the sacrum is not in view" in outcome.problem


def test_a_prepared_table_keeps_patients_and_grades(phantom: PhantomStudy, tmp_path: Path) -> None:
    as_mha(phantom, tmp_path)
    write_csv(tmp_path / "grades.csv", [{**row, "patient": "Q"} for row in wide(phantom, "scans")])
    points = [{"study": "scans", "level": level, **dict(zip("xyz", center, strict=True))}
              for level, center in centers_mm(phantom).items()]  # fmt: skip
    write_csv(tmp_path / "points.csv", points)
    (study,) = load_dataset("table", tmp_path).studies
    (outcome,) = prepare([Job("table", study, tmp_path / "out", SPEC)])
    read = load_study(tmp_path / "out" / f"{outcome.key}.npz", SPEC)
    assert read.patient == "Q" and np.array_equal(read.grades_LT, study.grades_LT) and len(read.located) == 2


@pytest.fixture
def folder(phantom: PhantomStudy, tmp_path: Path) -> Path:
    """Two studies as files that begin alike, without a table yet."""
    for name in ("a", "b"):
        for item in phantom.series:
            path = tmp_path / f"{name}_{item.name}.mha"
            write_mha(path, item.series.voxels_SRC.astype(np.uint16), item.series.affine_vox2mm, "PIR")
    return tmp_path


def grades_of(study: LabelledStudy) -> dict[tuple[str, str], int]:
    return {
        (LEVELS[level], TARGETS[target].name): TARGETS[target].grades[study.grades_LT[level, target]]
        for level, target in zip(*np.nonzero(study.grades_LT != UNKNOWN), strict=True)
    }


def long(**cells: object) -> dict[str, object]:
    return {"study": "a", "level": "L4/L5", "target": "pfirrmann", "grade": 4, **cells}


def test_a_long_table_names_studies_by_their_keys_and_grades_by_number_or_word(folder: Path) -> None:
    write_csv(folder / "grades.csv", [
        long(), long(level="L5-S1", target="modic", grade="Modic type 2"), long(study="b", level="l3_l4", grade="1.0"),
        long(target="bulging", grade="Present"), long(target="herniation", grade=""),
    ])  # fmt: skip
    first, second = load_dataset("table", folder).studies
    assert grades_of(first) == {("L4/L5", "pfirrmann"): 4, ("L5/S1", "modic"): 2, ("L4/L5", "bulging"): 1}
    assert grades_of(second) == {("L3/L4", "pfirrmann"): 1}


def test_a_key_of_results_names_its_study_where_their_salt_lies_beside_the_table(tmp_path: Path) -> None:
    """Keys differ from one output folder to the next; corrections bear those of theirs."""
    shutil.copytree(SAMPLE, tmp_path / "any")
    (source,) = find_studies([tmp_path / "any"])
    write_csv(tmp_path / "grades.csv", [long(study=study_key(source.identity, b"theirs"))])
    with pytest.raises(DatasetError, match="none of its 1 studies"):
        load_dataset("table", tmp_path)
    (tmp_path / SALT_FILE).write_bytes(b"theirs")
    (study,) = load_dataset("table", tmp_path).studies
    assert grades_of(study) == {("L4/L5", "pfirrmann"): 4}


def test_the_table_may_have_any_name(folder: Path) -> None:
    write_csv(folder / "readings of 2025.csv", [long()])
    assert len(load_dataset("table", folder / "readings of 2025.csv").studies) == 1


def predictions(**cells: object) -> dict[str, object]:
    model = {name: "" for name in PREDICTION_COLUMNS} | {
        "p_0": 0.1,
        "p_1": 0.9,
        "label": "present",
        "confident": "true",
    }
    return {**model, "study": "a", "level": "L4/L5", "target": "bulging", "grade": 1, **cells}


def test_of_corrected_predictions_what_a_rater_set_counts_and_nothing_else(folder: Path) -> None:
    write_csv(folder / "grades.csv", [predictions(corrected=0), predictions(level="L3/L4", corrected="")])
    dataset = load_dataset("table", folder)
    assert grades_of(dataset.studies[0]) == {("L4/L5", "bulging"): 0} and dataset.findings == ()


def test_a_models_own_grades_are_no_labels(folder: Path) -> None:
    write_csv(folder / "grades.csv", [predictions()])
    with pytest.raises(DatasetError, match="its grades are a model's; give the raters' in a column called corrected"):
        load_dataset("table", folder)


@pytest.mark.parametrize(
    ("cells", "line"),
    [
        ({"grade": 7}, "study a: L4/L5 pfirrmann: '7' is not a grade; its scale is 1, 2, 3, 4, 5"),
        ({"grade": "2.5"}, "'2.5' is not a grade"),
        ({"level": "L6/S1"}, "'L6/S1' is not a level; they are called L5/S1, L4/L5"),
        ({"target": "pfirman"}, "pfirman: not a target; they are called pfirrmann"),
        ({"grade": 3}, "study a: L4/L5 pfirrmann: graded twice and not alike; unknown"),
        ({"study": "c"}, "study c: no file, folder or study of this name below"),
        ({"comment": "wedge"}, "column 'comment' is not known and not read"),
        ({"patients": "7"}, "column 'patients' is not known and not read; did you mean 'patient'?"),
    ],
)
def test_every_cell_that_cannot_be_read_is_one_line_and_no_grade(folder: Path, cells: dict, line: str) -> None:
    write_csv(folder / "grades.csv", [long(level="L3/L4"), long(), long(**cells)])
    dataset = load_dataset("table", folder)
    assert line in said(dataset) and len(dataset.findings) == 1
    assert grades_of(dataset.studies[0])["L3/L4", "pfirrmann"] == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no table of grades can be read there"),
        ("", "it has no rows"),
        ("study,level\n", "it has no rows"),
        ("study,pfirrmann\na,3\n", "columns missing: level"),
        ("study;level;pfirrmann\na;L4/L5;3\n", "parted by ';'"),
        ("study,level,pfirman\na,L4/L5,3\n", "no column is a target; they are called pfirrmann"),
        ("study,level,target\na,L4/L5,modic\n", "it has no column of grades"),
        ("study,level,pfirrmann\nc,L4/L5,3\n", "none of its 1 studies can be read"),
    ],
)
def test_a_table_that_is_none_is_refused_in_one_line(folder: Path, text: str | None, message: str) -> None:
    if text is not None:
        (folder / "grades.csv").write_text(text)
    with pytest.raises(DatasetError, match=message) as raised:
        load_dataset("table", folder)
    assert "\n" not in str(raised.value)


def test_a_folder_of_two_studies_is_not_one(folder: Path) -> None:
    (folder / "both").mkdir()
    for path in sorted(folder.glob("*.mha")):
        path.rename(folder / "both" / path.name)
    write_csv(folder / "grades.csv", [long(study="both"), long(study="both/a_t2.mha")])
    dataset = load_dataset("table", folder)
    assert len(dataset.studies) == 1
    assert "study both: holds 2 studies; name one of them: a, b" in said(dataset)


def test_points_that_cannot_be_read_are_told(folder: Path) -> None:
    write_csv(folder / "grades.csv", [long()])
    write_csv(folder / "points.csv", [{"study": "a", "level": "L4/L5", "x": "?", "y": 1, "z": 2},
                                      {"study": "z", "level": "L4/L5", "x": 0, "y": 1, "z": 2}])  # fmt: skip
    dataset = load_dataset("table", folder)
    assert "study a: a point that cannot be read" in said(dataset) and "give level and x, y, z in LPS mm" in said(
        dataset
    )
    assert "study z: it has points and no grades; left out" in said(dataset)
    assert dataset.studies[0].grades_LT[1, TARGET_INDEX["pfirrmann"]] == 3


def test_several_raters_give_what_most_of_them_said_and_are_all_kept(phantom: PhantomStudy, tmp_path: Path) -> None:
    as_mha(phantom, tmp_path)
    said = {"a": (3, 1), "b": (4, 0), "c": (4, 1)}
    rows = [
        {"study": "scans", "level": "L4/L5", "rater": rater, "pfirrmann": grade, "bulging": bulging}
        for rater, (grade, bulging) in said.items()
    ]
    write_csv(tmp_path / "grades.csv", [*rows, {"study": "scans", "level": "L5/S1", "rater": "a", "pfirrmann": 5}])
    dataset = load_dataset("table", tmp_path)
    (study,) = dataset.studies
    assert dataset.findings == () and study.raters_RLT.shape == (3, len(LEVELS), len(TARGETS))
    l4, l5 = LEVELS.index("L4/L5"), LEVELS.index("L5/S1")
    pfirrmann, bulging = TARGET_INDEX["pfirrmann"], TARGET_INDEX["bulging"]
    assert (study.grades_LT[l4, pfirrmann], study.grades_LT[l4, bulging], study.grades_LT[l5, pfirrmann]) == (3, 1, 4)
    assert study.raters_RLT[:, l4, pfirrmann].tolist() == [2, 3, 3]
    assert study.raters_RLT[:, l5, pfirrmann].tolist() == [4, UNKNOWN, UNKNOWN]
