"""SPIDER as it is published: its layout, its spelling and its traps. Nothing odd is read in silence."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from spinenet.datasets import load_dataset
from spinenet.datasets.masks import locate_from_mask
from spinenet.datasets.spider import load_layout
from spinenet.datasets.splits import patient_folds
from spinenet.errors import DatasetError
from spinenet.labels import LEVELS, TARGET, TARGET_INDEX, UNKNOWN, columns_of
from spinenet.readers import read_study

REAL = os.environ.get("SPINENET_SPIDER")
on_real_scans = pytest.mark.skipif(not REAL, reason="SPINENET_SPIDER names no SPIDER folder")

GRADED = [TARGET_INDEX[name] for name in columns_of("spider").values()]
ROW = "1,1,2,0,1,0,1,0,1,4"


def grade_of(grades_LT, level, target):
    """The published grade at a level, or None where it is unknown."""
    index = grades_LT[LEVELS.index(level), TARGET_INDEX[target]]
    return None if index == UNKNOWN else TARGET[target].grades[index]


def lines(dataset):
    return tuple(map(str, dataset.findings))


def only(dataset):
    assert len(dataset.studies) == 1
    return dataset.studies[0].grades_LT


def test_every_column_is_read_as_its_target(spider):
    dataset = load_dataset("spider", spider(ROW))
    grades = {name: grade_of(only(dataset), "L5/S1", name) for name in TARGET}
    known = {name: grade for name, grade in grades.items() if grade is not None}
    assert known == {
        "modic": 2,
        "endplate_upper": 0,
        "endplate_lower": 1,
        "spondylolisthesis": 0,
        "herniation": 1,
        "narrowing": 0,
        "bulging": 1,
        "pfirrmann": 4,
    }
    assert lines(dataset) == ()


def test_a_disc_without_a_row_is_unknown_not_normal(spider):
    grades_LT = only(load_dataset("spider", spider(ROW)))
    assert (grades_LT[1:] == UNKNOWN).all()


def test_labels_count_from_the_sacrum(spider):
    grades_LT = only(load_dataset("spider", spider("1,1,0,0,0,0,0,0,0,1", "1,5,0,0,0,0,0,0,0,5")))
    assert grade_of(grades_LT, "L5/S1", "pfirrmann") == 1
    assert grade_of(grades_LT, "L1/L2", "pfirrmann") == 5


def test_label_0_is_a_disc_below_the_lowest_level_and_moves_no_other(spider):
    rows = ["107,0,0,0,0,0,0,0,0,5", "107,1,0,0,0,0,0,0,0,4", "8,1,0,0,0,0,0,0,0,2"]
    dataset = load_dataset("spider", spider(*rows, images=("107_t1", "107_t2", "8_t1", "8_t2")))
    slipped, other = (next(one for one in dataset.studies if one.patient == name).grades_LT for name in ("107", "8"))
    assert grade_of(slipped, "L5/S1", "pfirrmann") == 4 and (slipped[1:] == UNKNOWN).all()
    assert grade_of(other, "L5/S1", "pfirrmann") == 2
    assert lines(dataset) == ("patient 107: IVD label 0 is a disc below L5/S1, which has no name; not used",)


def test_a_label_beyond_the_thoracic_discs_takes_no_level_even_where_there_are_more(spider, monkeypatch):
    monkeypatch.setattr("spinenet.datasets.spider.LEVELS", (*LEVELS, "C7/T1"))
    dataset = load_dataset("spider", spider("1,1,0,0,0,0,0,0,0,1", "1,11,0,0,0,0,0,0,0,3"))
    assert (only(dataset)[1:] == UNKNOWN).all() and "unusable" in lines(dataset)[0]


NORMAL = "1,1,0,0,0,0,0,0,0,1"


@pytest.mark.parametrize(
    ("images", "unknown"),
    [
        (("1_t1", "1_t2"), set()),
        (("1_t1", "1_t2_SPACE"), set()),
        (("1_t2",), {"modic"}),
        (("1_t1",), {"pfirrmann", "modic", "herniation", "spondylolisthesis"}),
    ],
)
def test_grades_that_no_series_of_the_patient_shows_are_unknown(spider, images, unknown):
    dataset = load_dataset("spider", spider(NORMAL, images=images))
    graded = set(columns_of("spider").values())
    assert {name for name in graded if grade_of(only(dataset), "L5/S1", name) is None} == unknown
    assert len(dataset.findings) == bool(unknown)


def test_a_narrowed_disc_is_not_pfirrmann_1(spider):
    dataset = load_dataset("spider", spider("1,1,0,0,0,0,0,1,0,1", "1,2,0,0,0,0,0,1,0,2", "1,3,0,0,0,0,0,0,0,1"))
    assert [grade_of(only(dataset), level, "pfirrmann") for level in LEVELS[:3]] == [None, 2, 1]
    assert [grade_of(only(dataset), level, "narrowing") for level in LEVELS[:3]] == [1, 1, 0]
    assert lines(dataset) == ("patient 1: L5/S1 is narrowed, so not Pfirrmann I as written: pfirrmann unknown",)


def test_where_a_remnant_is_counted_gradings_and_masks_take_the_names_one_lower(spider):
    rows = [f"241,{label},0,0,0,0,0,0,0,{label}" for label in (1, 2, 3)]
    study = load_dataset("spider", spider(*rows, images=("241_t1", "241_t2"))).studies[0]
    assert [grade_of(study.grades_LT, level, "pfirrmann") for level in LEVELS[:3]] == [2, 3, None]
    assert {image.lowest for image in study.masks.values()} == {2}
    assert load_layout(study.source.location.parent).studies[0].grades_LT[2].any()  # phantoms have such names too


def test_a_repaired_label_moves_no_patient_to_another_fold(spider):
    rows = [f"{patient},1,{patient % 3},0,0,0,{patient % 2},{patient % 2},0,1" for patient in range(1, 13)]
    images = tuple(f"{patient}_{name}" for patient in range(1, 13) for name in ("t1", "t2")[patient % 4 == 0 :])
    root = spider(*rows, images=images)
    published, repaired = load_layout(root).studies, load_dataset("spider", root).studies
    assert not np.array_equal(published[3].grades_LT, repaired[3].grades_LT)
    assert patient_folds(published, 3, 0) == patient_folds(repaired, 3, 0)


def test_stray_blanks_in_names_and_values_do_no_harm(spider):
    header = "\ufeff Patient, IVD label,Modic ,UP endplate, LOW endplate,Spondylolisthesis ,"
    header += " Disc herniation,Disc narrowing,Disc bulging,Pfirrman grade "
    assert np.array_equal(
        only(load_dataset("spider", spider(" 1 , 1,2 ,0,1, 0,1,0,1, 4 ", header=header)))[0, GRADED],
        [3, 2, 1, 1, 0, 0, 0, 1],
    )


def test_of_two_rows_for_one_disc_the_first_counts_and_the_second_is_reported(spider):
    dataset = load_dataset("spider", spider(ROW, "1,1,0,0,0,0,0,0,0,1"))
    assert grade_of(only(dataset), "L5/S1", "pfirrmann") == 4
    assert len(dataset.findings) == 1 and "double" in lines(dataset)[0]


@pytest.mark.parametrize("label", ["", "11", "x", "-1", "1.5", "²"])
def test_a_row_of_no_level_is_reported_and_left_out(spider, label):
    dataset = load_dataset("spider", spider(ROW, f"1,{label},0,0,0,0,0,0,0,1"))
    assert (only(dataset)[1:] == UNKNOWN).all()
    assert len(dataset.findings) == 1 and "unusable" in lines(dataset)[0]


@pytest.mark.parametrize("value", ["", "0", "6", "-1", "nan", "inf", "IV", "2.5", "?"])
def test_what_is_no_grade_is_unknown_and_reported(spider, value):
    dataset = load_dataset("spider", spider(f"1,1,2,0,1,0,1,0,1,{value}"))
    assert grade_of(only(dataset), "L5/S1", "pfirrmann") is None
    assert grade_of(only(dataset), "L5/S1", "modic") == 2
    assert len(dataset.findings) == 1
    assert "disc 1" in lines(dataset)[0] and f"Pfirrman grade {value!r}" in lines(dataset)[0]


def test_a_grade_written_as_a_decimal_number_is_read(spider):
    assert grade_of(only(load_dataset("spider", spider("1,1,2.0,0,1,0,1,0,1,4.0"))), "L5/S1", "pfirrmann") == 4


def test_patients_without_images_or_without_gradings_are_left_out_and_reported(spider):
    dataset = load_dataset("spider", spider(ROW, "2,1,0,0,0,0,0,0,0,1", images=("1_t2", "3_t2")))
    assert [study.patient for study in dataset.studies] == ["1"]
    assert any("patient 2: graded" in finding for finding in lines(dataset))
    assert any("patient 3: images without gradings" in finding for finding in lines(dataset))


def test_series_without_a_mask_and_patients_without_t2_are_reported(spider):
    dataset = load_dataset("spider", spider(ROW, images=("1_t1",), masks=()))
    assert dataset.studies[0].masks == {}
    assert any("1_t1: image without mask" in finding for finding in lines(dataset))
    assert any(finding.startswith("patient 1: no T2 series") for finding in lines(dataset))


def test_all_series_of_a_patient_are_one_study(spider):
    dataset = load_dataset("spider", spider(ROW, images=("1_t1", "1_t2", "1_t2_SPACE")))
    study = dataset.studies[0]
    assert {series.name for series in read_study(study.source).series} == set(study.masks) == {"t1", "t2", "t2_SPACE"}


def test_patients_are_ordered_as_numbers(spider):
    rows = [f"{patient},1,0,0,0,0,0,0,0,1" for patient in (10, 9, 2)]
    dataset = load_dataset("spider", spider(*rows, images=("10_t2", "9_t2", "2_t2")))
    assert [study.patient for study in dataset.studies] == ["2", "9", "10"]


def test_missing_columns_are_named(spider):
    header = "Patient,IVD label,Modic,UP endplate,LOW endplate,Spondylolisthesis,Disc herniation,Disc narrowing"
    with pytest.raises(DatasetError, match="columns missing: Disc bulging, Pfirrman grade"):
        load_dataset("spider", spider("1,1,0,0,0,0,0,0", header=header))


def test_an_empty_table_is_refused(spider):
    with pytest.raises(DatasetError, match="columns missing"):
        load_dataset("spider", spider())


def test_gradings_of_other_patients_than_the_images_are_refused(spider):
    with pytest.raises(DatasetError, match="no patient has both"):
        load_dataset("spider", spider(ROW, images=("2_t2",)))


def test_a_folder_of_another_layout_is_refused_with_what_is_expected(tmp_path):
    with pytest.raises(DatasetError, match="expected images/, masks/ and radiological_gradings.csv"):
        load_dataset("spider", tmp_path)


def test_an_unknown_data_set_is_refused_with_what_there_is(tmp_path):
    with pytest.raises(DatasetError, match="choose one of spider, phantom"):
        load_dataset("spidr", tmp_path)


def test_phantoms_come_back_with_the_grades_they_were_made_with(phantoms, phantom_root):
    dataset = load_dataset("phantom", phantom_root)
    assert lines(dataset) == ()
    for made, read in zip(phantoms, dataset.studies, strict=True):
        assert np.array_equal(read.grades_LT[:, GRADED], made.grades_LT[:, GRADED])


def test_either_storage_order_gives_the_images_and_levels_that_were_written(phantoms, phantom_root):
    for made, read in list(zip(phantoms, load_dataset("phantom", phantom_root).studies, strict=True))[:2]:
        series = {one.name: one for one in read_study(read.source).series}
        for item in made.series:
            again = series[item.name]
            mask_SRC = read.masks[item.name].values(again)
            assert np.array_equal(again.voxels_SRC, item.series.voxels_SRC)
            assert np.array_equal(mask_SRC, item.mask_SRC) and again.view is item.series.view
            located, truth = locate_from_mask(again, mask_SRC), locate_from_mask(item.series, item.mask_SRC)
            for ours, theirs in zip(located.frames, truth.frames, strict=True):
                assert ours.level == theirs.level
                assert np.allclose(ours.center_mm, theirs.center_mm, atol=0.01)
                assert np.allclose(ours.posterior, theirs.posterior, atol=1e-3)


def counts(studies, name):
    """How often each grade of a target occurs."""
    grades_N = np.concatenate([study.grades_LT[:, TARGET_INDEX[name]] for study in studies])
    return np.bincount(grades_N[grades_N != UNKNOWN], minlength=len(TARGET[name].grades)).tolist()


@on_real_scans
def test_the_reduced_data_set_is_read_as_its_table_has_it():
    dataset = load_layout(Path(REAL))
    grades_NT = np.concatenate([study.grades_LT for study in dataset.studies])
    assert len(dataset.studies) == 179 and (grades_NT != UNKNOWN).any(1).sum() == 1240 and lines(dataset) == ()
    positives = {name: counts(dataset.studies, name)[1] for name in TARGET if TARGET[name].grades == (0, 1)}
    assert positives == {
        "herniation": 62,
        "bulging": 592,
        "narrowing": 440,
        "spondylolisthesis": 33,
        "endplate_upper": 472,
        "endplate_lower": 477,
    }
    assert counts(dataset.studies, "pfirrmann") == [235, 305, 343, 214, 143]
    assert counts(dataset.studies, "modic") == [854, 4, 376, 6]


@on_real_scans
def test_what_is_no_label_in_the_reduced_data_set_is_unknown_and_nothing_else():
    published, repaired = load_layout(Path(REAL)).studies, load_dataset("spider", Path(REAL)).studies
    assert counts(repaired, "pfirrmann") == [192, 304, 343, 214, 143]
    assert counts(repaired, "modic") == [677, 4, 374, 6]
    assert counts(repaired, "herniation") == [1140, 62] and counts(repaired, "spondylolisthesis") == [1169, 33]
    for name in ("bulging", "narrowing", "endplate_upper", "endplate_lower"):
        normal, present = counts(published, name)
        assert counts(repaired, name) == [normal - 1, present]  # the remnant below L5/S1 of patient 241


@on_real_scans
def test_every_real_patient_has_images_masks_and_grades():
    dataset = load_dataset("spider", Path(REAL))
    assert len(dataset.studies) == 179
    assert Counter(name for study in dataset.studies for name in study.masks) == {"t1": 158, "t2": 172, "t2_SPACE": 30}


@on_real_scans
def test_graded_discs_of_real_scans_lie_where_their_masks_are():
    for study in load_dataset("spider", Path(REAL)).studies[::45]:
        graded = {LEVELS[index] for index in np.flatnonzero((study.grades_LT != UNKNOWN).any(1))}
        for series in read_study(study.source).series:
            located = locate_from_mask(series, study.masks[series.name].values(series))
            heights = [frame.center_mm[2] for frame in located.frames]
            assert heights == sorted(heights)
            assert len(graded & {frame.level for frame in located.frames}) >= len(graded) - 1
