"""What cannot be read is said where it was looked for: no study, series or file is passed over in silence."""

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinenet.errors import ReadError
from spinenet.labels import View
from spinenet.readers import bounded, find_studies, parse_wanted, read_study, with_views
from spinenet.readers.discovery import MAX_DEPTH
from spinenet.readers.names import is_segmentation, safe_key
from spinenet.readers.volume import is_label_map
from spinenet.study import Note, Scope


def write(patient: Any, folder: Path, number: int, study: str = "1.2.3") -> list[Path]:
    tags = {"SeriesNumber": number, "SeriesInstanceUID": f"{study}.{number}", "StudyInstanceUID": study}
    return patient.write(folder, patient.stack().having(**tags))


def test_studies_behind_links_to_folders_are_found_once(patient: Any, tmp_path: Path) -> None:
    write(patient, tmp_path / "elsewhere" / "p4", 1)
    (tmp_path / "here").mkdir()
    for name in ("p4", "again"):
        (tmp_path / "here" / name).symlink_to(tmp_path / "elsewhere" / "p4")
    (source,) = find_studies([tmp_path / "here"])
    assert len(source.frames) == 7


def test_a_volume_that_points_nowhere_is_a_series_that_cannot_be_read(patient: Any, tmp_path: Path) -> None:
    patient.nifti(tmp_path / "sub-4_acq-sag_T1w.nii.gz", patient.stack())
    (tmp_path / "sub-4_acq-sag_T2w.nii.gz").symlink_to("../.git/annex/objects/x.nii.gz")
    (source,) = find_studies([tmp_path])
    assert any("points to a file that is not there" in note.text for note in read_study(source).notes)
    with pytest.raises(ReadError, match="points to a file or folder that is not there"):
        find_studies([tmp_path / "sub-4_acq-sag_T2w.nii.gz"])


def test_empty_files_in_a_folder_of_their_own_belong_to_the_study_around_it(patient: Any, tmp_path: Path) -> None:
    write(patient, tmp_path / "t1", 1)
    write(patient, tmp_path / "axial", 3)
    for path in write(patient, tmp_path / "t2", 2):
        path.write_bytes(b"")
    (source,) = find_studies([tmp_path])
    assert [note.text for note in source.notes if note.code == "not_dicom"][0].startswith("7 files")


def test_a_folder_that_may_not_be_looked_into_is_a_row(
    patient: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(patient, tmp_path / "p3", 1)
    (tmp_path / "p4").mkdir()
    listed = Path.iterdir

    def denied(folder: Path) -> Any:
        if folder.name == "p4":
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", denied)
    sound, closed = find_studies([tmp_path])
    assert sound.frames and "permission denied" in closed.problem


def test_folders_of_any_depth_end_in_words(patient: Any, tmp_path: Path) -> None:
    write(patient, tmp_path / "p", 1)
    deep = tmp_path / "/".join("d" * (MAX_DEPTH + 5))
    deep.mkdir(parents=True)
    sound, problem = find_studies([tmp_path])
    assert sound.frames and f"more than {MAX_DEPTH} folders deep" in problem.problem


def test_slices_that_all_lie_at_one_place_are_said_to(patient: Any, tmp_path: Path) -> None:
    patient.write(tmp_path, patient.stack(), lambda data, index: setattr(data, "ImagePositionPatient", [0, 0, 0]))
    with pytest.raises(ReadError, match="all 7 slices lie at one place"):
        read_study(find_studies([tmp_path])[0])


@pytest.mark.skipif(os.name != "posix", reason="no SIGKILL on this system")
def test_names_that_are_not_utf8_are_read_like_others(patient: Any, tmp_path: Path) -> None:
    bad = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(bad)
    Path(os.fsdecode(bad), "x.dcm").write_bytes(b"damaged")
    patient.nifti(Path(os.fsdecode(bad + b"_t2.nii.gz")), patient.stack())
    sources = find_studies([tmp_path])
    assert len(sources) == 2
    for source in sources:
        source.key.encode()
        if not source.problem:
            (series,) = read_study(source).series
            series.name.encode()


@pytest.mark.parametrize(
    "name",
    ["sub-4_mod-T2w_seg-vert_msk", "sub-4_T2w_seg_labeled", "sub-4_T2w_label-discs_dlabel", "x_t2_totalspineseg_all"]
    + ["sub-4_T2w_seg-manual", "sub-4_T2w_segmentation", "sub-4_T2w_label-SC_probseg", "17_t2_pred", "17_t2_softseg"],
)
def test_label_maps_are_known_by_words_behind_the_view(name: str) -> None:
    assert is_segmentation(Path(f"{name}.nii.gz"))


def test_label_maps_are_known_by_their_values_whatever_their_name(patient: Any, tmp_path: Path) -> None:
    labels = np.zeros((9, 40, 40), np.float32)
    labels[2:7, 10:30, 10:30] = np.arange(20)
    shares = np.where(labels > 0, labels / 20, 0).astype(np.float32)
    grey = np.random.default_rng(0).integers(0, 300, labels.shape).astype(np.float32)
    masked = np.where(labels > 0, grey + 1, 0).astype(np.float32)  # an image whose background was set to 0
    assert is_label_map(labels) and is_label_map(shares)
    assert not is_label_map(grey) and not is_label_map(masked)
    assert is_label_map(np.digitize(grey, np.quantile(grey, [0.2, 0.4, 0.6, 0.8])).astype(np.float32))  # five shades


def test_a_user_names_a_stack_as_it_is_shown(patient: Any, tmp_path: Path) -> None:
    for number in (1, 2):  # of one series number: shown as series-0 and series-0-2
        stack = patient.stack().having(SeriesNumber=None, SeriesInstanceUID=f"1.2.{number}", EchoTime=20.0 * number)
        patient.write(tmp_path / str(number), stack)
    (source,) = find_studies([tmp_path])
    names = [series.name for series in read_study(source).series]
    for name in names:
        asked = read_study(with_views(source, [parse_wanted(f"sagittal_t2={name}")]))
        assert [one.name for one in asked.series if one.view is View.SAGITTAL_T2 and "asked" in one.reason] == [name]
        assert not [note for note in asked.notes if note.code == "no_such_series"]
    unmet = read_study(with_views(source, [parse_wanted("sagittal_t2=series-9")]))
    assert [note.code for note in unmet.notes if note.code == "no_such_series"] == ["no_such_series"]


def test_spacing_that_was_not_split_or_has_commas_is_read(patient: Any, tmp_path: Path) -> None:
    def unsplit(data: Any, index: int) -> None:
        del data.PixelSpacing
        data.add_new(0x00280030, "UT", "0,8\\0,7")

    patient.write(tmp_path, patient.stack(), unsplit)
    (series,) = read_study(find_studies([tmp_path])[0]).series
    assert patient.shows_patient(series)


def test_a_zip_of_a_mac_holds_no_shadow_files_and_deflate64_is_said(patient: Any, tmp_path: Path) -> None:
    paths = write(patient, tmp_path / "p", 1)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in paths:
            archive.write(path, path.name)
            archive.writestr(f"._{path.name}", b"\0\5\26\7" + bytes(80))
    (source,) = find_studies([tmp_path / "a.zip"])
    assert not source.notes and len(source.frames) == 7
    packed = bytearray((tmp_path / "a.zip").read_bytes())
    at = packed.index(b"PK\x01\x02")
    packed[at + 10 : at + 12] = b"\x09\x00"
    (tmp_path / "b.zip").write_bytes(packed)
    (refused,) = find_studies([tmp_path / "b.zip"])
    assert "Deflate64" in refused.problem


@pytest.mark.parametrize(("name", "key"), [("CON", "study-CON"), ("nul.t2", "study-nul.t2"), ("-rf", "rf"), ("a", "a")])
def test_a_key_is_no_device_and_no_option(name: str, key: str) -> None:
    assert safe_key([name]) == key


def test_remarks_are_bounded_in_number_and_length() -> None:
    notes = [Note("a", Scope.STUDY, "", "x" * 9000) for _ in range(500)]
    kept = bounded(notes)
    assert sum(len(note.text) for note in kept) < 60_000 and "more remarks" in kept[-1].text
