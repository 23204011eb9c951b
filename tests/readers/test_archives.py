"""Zip archives: read in place, and refused as a whole where they are locked, damaged or built to do harm."""

import io
import zipfile

import pytest

from spinenet.errors import ReadError
from spinenet.readers import archives, find_studies, read_study


def problem_of(path):
    (source,) = find_studies([path])
    with pytest.raises(ReadError) as caught:
        read_study(source)
    return str(caught.value)


def zip_of(path, contents, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content, **options)
    return path


@pytest.fixture
def contents(tmp_path, patient):
    paths = patient.write(tmp_path / "plain", patient.stack())
    return {f"DICOM/IM{index}": path.read_bytes() for index, path in enumerate(paths)}


@pytest.mark.parametrize("as_folder", [False, True])
def test_a_study_inside_a_zip_is_read_like_one_in_a_folder(tmp_path, patient, contents, as_folder):
    (tmp_path / "given").mkdir()
    path = zip_of(tmp_path / "given" / "export.zip", {**contents, "DICOMDIR": b"x", "viewer/run.exe": b"MZ"})
    (source,) = find_studies([path.parent if as_folder else path])
    study = read_study(source)
    assert patient.shows_patient(study.series[0]) and study.notes == ()
    assert sorted(tmp_path.rglob("IM*")) == []  # nothing was unpacked


def test_a_damaged_file_inside_costs_its_slice_only(tmp_path, patient, contents):
    path = zip_of(tmp_path / "export.zip", {**contents, "DICOM/IM6": contents["DICOM/IM6"][:400]})
    (source,) = find_studies([path])
    study = read_study(source)
    assert study.series[0].voxels_SRC.shape[0] == 6 and "1 file beside its images" in study.notes[0].text


def test_flipped_bytes_inside_are_noticed_by_their_checksum(tmp_path, patient):
    paths = patient.write(tmp_path / "plain", patient.stack())
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for path in paths:
            archive.write(path, path.name)
    damaged = bytearray((tmp_path / "export.zip").read_bytes())
    with zipfile.ZipFile(io.BytesIO(bytes(damaged))) as archive:
        end_of_first = archive.infolist()[1].header_offset
    damaged[end_of_first - 5] ^= 0xFF  # a grey value of the first slice
    (tmp_path / "export.zip").write_bytes(bytes(damaged))
    (source,) = find_studies([tmp_path / "export.zip"])
    study = read_study(source)
    assert study.series[0].voxels_SRC.shape[0] == 6 and len(study.notes) == 1


def test_names_that_point_out_of_the_archive_are_refused(tmp_path, contents):
    path = zip_of(tmp_path / "export.zip", {**contents, "../../evil.dcm": contents["DICOM/IM0"]})
    assert "names that point out of it" in problem_of(path)


def test_a_bomb_is_refused_before_it_is_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "BOMB_BYTES", 1 << 20)
    path = zip_of(tmp_path / "bomb.zip", {"a.dcm": b"\0" * 128 + b"DICM" + b"\0" * (1 << 22)})
    assert "times its size" in problem_of(path)


def test_a_locked_archive_says_so(tmp_path, contents):
    path = zip_of(tmp_path / "export.zip", contents)
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        at = content.index(b"PK\x01\x02")
        locked = content[: at + 8] + bytes([content[at + 8] | 1]) + content[at + 9 :]
        assert len(archive.infolist()) == 7
    path.write_bytes(locked)
    assert "locked with a password" in problem_of(path)


def test_a_cut_archive_says_so(tmp_path, contents):
    path = zip_of(tmp_path / "export.zip", contents)
    path.write_bytes(path.read_bytes()[:-200])
    assert "damaged or cut short" in problem_of(path)


def test_what_is_left_inside_is_said(tmp_path, contents):
    path = zip_of(tmp_path / "export.zip", {**contents, "t2.nii.gz": b"x", "inner.zip": b"PK"})
    _, left_out = find_studies([path])
    assert "2 NIfTI, MHA or zip files inside a zip archive" in left_out.problem
    empty = zip_of(tmp_path / "letters.zip", {"letter.txt": b"dear"})
    assert "no DICOM in the zip archive" in problem_of(empty)


@pytest.mark.parametrize("name", ["Study.TAR.GZ", "study.7z"])
def test_an_archive_that_is_no_zip_is_named_and_left_to_be_unpacked(tmp_path, patient, name):
    (tmp_path / "disc").mkdir()
    (tmp_path / "disc" / name).write_bytes(b"packed")
    with pytest.raises(ReadError, match="not a zip; unpack it"):
        find_studies([tmp_path / "disc" / name])
    assert "not a zip; unpack it" in problem_of(tmp_path / "disc")
    patient.write(tmp_path / "disc", patient.stack())
    study, archive = sorted(find_studies([tmp_path / "disc"]), key=lambda source: bool(source.problem))
    assert read_study(study).series and "not a zip" in archive.problem
