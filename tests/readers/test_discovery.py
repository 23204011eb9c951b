"""Which files make a study, and what it is called."""

import numpy as np
import pytest

from spinenet.errors import ReadError
from spinenet.labels import View
from spinenet.readers import find_studies, read_study


def keys_and_series(paths):
    return {source.key: [volume.name for volume in source.volumes] for source in find_studies(paths)}


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


@pytest.mark.parametrize("given", [".", "images"])
def test_spider_files_are_grouped_by_patient_and_masks_left_alone(tmp_path, given):
    touch(tmp_path, "images/7_t1.mha", "images/7_t2.mha", "images/7_t2_SPACE.mha", "images/12_t2.mha", "masks/7_t2.mha")
    assert keys_and_series([tmp_path / given]) == {"7": ["t1", "t2", "t2_SPACE"], "12": ["t2"]}


def test_spider_series_have_their_views_and_no_verified_side(tmp_path, patient):
    (tmp_path / "images").mkdir()
    for name in ("t1", "t2", "t2_SPACE"):
        patient.mha(tmp_path / "images" / f"7_{name}.mha", patient.stack())
    (source,) = find_studies([tmp_path])
    study = read_study(source)
    assert {series.name: series.view for series in study.series} == {
        "t1": View.SAGITTAL_T1,
        "t2": View.SAGITTAL_T2,
        "t2_SPACE": View.SAGITTAL_T2,
    }
    assert not any(series.laterality_known for series in study.series)


def test_bids_files_are_grouped_by_subject_and_session(tmp_path):
    anat = "sub-01/ses-a/anat/sub-01_ses-a"
    touch(tmp_path, f"{anat}_T1w.nii.gz", f"{anat}_acq-sag_T2w.nii.gz", f"{anat}_T2w_dseg.nii.gz", "sub-02_T2w.nii")
    assert keys_and_series([tmp_path]) == {"sub-01_ses-a": ["T1w", "acq-sag_T2w"], "sub-02": ["T2w"]}


def test_a_folder_of_masks_alone_is_no_study(tmp_path):
    touch(tmp_path, "a_seg.nii.gz", "b_mask.mha")
    with pytest.raises(ReadError, match="only 2 named as segmentations"):
        find_studies([tmp_path])


def test_files_that_share_no_view_names_are_studies_of_their_own(tmp_path):
    touch(tmp_path, "anna.nii.gz", "berta.nii.gz", "clinic/1/T1.nii", "clinic/1/T2_sag.nii", "clinic/2/T1.nii")
    assert keys_and_series([tmp_path]) == {
        "anna": ["series"],  # a name that may be a patient's is no name of a series
        "berta": ["series"],
        "clinic-1": ["T1", "T2_sag"],
        "clinic-2": ["T1"],
    }


def test_a_file_given_by_itself_is_a_study(tmp_path):
    touch(tmp_path, "7_t1.mha", "7_t2.mha")
    assert keys_and_series([tmp_path / "7_t1.mha"]) == {"7_t1": ["t1"]}


def test_no_two_studies_share_a_key(tmp_path):
    touch(tmp_path, "a/7_t1.mha", "b/7_t1.mha", "b/7 t1.mha")
    first = [source.key for source in find_studies([tmp_path / "a", tmp_path / "b"])]
    again = [source.key for source in find_studies([tmp_path / "a", tmp_path / "b"])]
    assert first == again and len(set(first)) == len(first) == 2


def test_overlapping_paths_give_each_file_once(tmp_path):
    touch(tmp_path, "images/7_t1.mha", "images/7_t2.mha")
    sources = find_studies([tmp_path, tmp_path / "images", tmp_path / "images" / "7_t1.mha"])
    assert [source.key for source in sources] == ["7"]


def test_a_bad_file_costs_its_series_only(tmp_path, patient):
    patient.mha(tmp_path / "7_t1.mha", patient.stack())
    (tmp_path / "7_t2.mha").write_text("not an image")
    study = read_study(find_studies([tmp_path])[0])
    assert [series.name for series in study.series] == ["t1"]
    assert len(study.notes) == 1 and "7_t2.mha: not a MetaImage file" in study.notes[0].text


def test_a_missing_path_among_others_is_a_failed_study(tmp_path, patient):
    patient.nifti(tmp_path / "a_t2.nii", patient.stack())
    good, bad = find_studies([tmp_path, tmp_path / "nowhere"])
    assert read_study(good).series
    with pytest.raises(ReadError, match="no such file or folder"):
        read_study(bad)


def test_every_spider_series_is_read(spider_root):
    sources = find_studies([spider_root])
    assert len(sources) > 100 and all(source.key.isdecimal() for source in sources)
    studies = [read_study(source) for source in sources[::12]]
    for study in studies:
        assert study.notes == ()
        for series in study.series:
            assert series.plane == "sagittal" and series.view is not None
            assert np.isfinite(series.voxels_SRC).all()


def test_a_folder_called_dicomdir_is_that_folder_and_no_index_of_those_beside_it(tmp_path, patient):
    patient.write(tmp_path / "DICOMDIR", patient.stack())
    patient.write(tmp_path / "another", patient.stack().having(StudyInstanceUID="1.2.99"))
    (source,) = find_studies([tmp_path / "DICOMDIR"])
    assert {frame.path.parent.name for frame in source.frames} == {"DICOMDIR"}
