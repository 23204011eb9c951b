"""What is done to the files of one patient; a change says which series it moved, and by how much."""

import copy
from collections.abc import Callable

import numpy as np
from habit_files import Patient, Rng, Slices, by_place, every, moved, new_uids, stated
from pydicom.uid import ImplicitVRLittleEndian, RLELossless

# Who, and what belongs together


def as_it_is(rng: Rng, files: Slices) -> None:
    syntax = (None, None, RLELossless, ImplicitVRLittleEndian)[int(rng.integers(4))]
    for data in every(files) if syntax else []:
        if syntax == RLELossless:
            data.compress(RLELossless, generate_instance_uid=False)
        else:
            data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian


def own_series_uids(rng: Rng, files: Slices) -> None:
    for one in every(files):
        new_uids([one], "SeriesInstanceUID")


def own_frames(rng: Rng, files: Slices) -> None:
    for several in files.values():
        new_uids(several, "FrameOfReferenceUID")


def anonymous(rng: Rng, files: Slices) -> None:
    gone = (
        "PatientName",
        "PatientID",
        "PatientAge",
        "PatientBirthDate",
        "PatientSex",
        "AccessionNumber",
        "StudyDate",
        "StudyTime",
    )
    stated(every(files), **{keyword: "" for keyword in gone})


def odd_text(rng: Rng, files: Slices) -> None:
    name = ["M\xfcller^J\xf6rg", "山田^太郎", "O'Brien^Se\xe1n=x", "a" * 60][int(rng.integers(4))]
    stated(every(files), SpecificCharacterSet="ISO_IR 192", PatientName=name, StudyDescription="=cmd|' /C calc'!A0")


def in_halves(rng: Rng, files: Slices) -> None:
    for name in ("t1", "t2"):
        new_uids(by_place(files[name])[: len(files[name]) // 2], "SeriesInstanceUID")


# Where


def mirrored(*names: str) -> Callable[[Rng, Slices], None]:
    """The pixels of these series mirrored from left to right, their headers as they were."""

    def change(rng: Rng, files: Slices) -> None:
        for name in names:
            if name == "axial":
                for data in files[name]:
                    data.PixelData = np.ascontiguousarray(data.pixel_array[:, ::-1]).tobytes()
            else:
                ordered = by_place(files[name])
                pixels = [data.PixelData for data in ordered]
                for data, other in zip(ordered, pixels[::-1], strict=True):
                    data.PixelData = other

    return change


def shuffled(rng: Rng, files: Slices) -> None:
    name = ("t1", "t2")[int(rng.integers(2))]
    pixels = [data.PixelData for data in by_place(files[name])]
    for data, index in zip(by_place(files[name]), rng.permutation(len(pixels)), strict=True):
        data.PixelData = pixels[index]


def other_spacing(rng: Rng, files: Slices) -> None:
    factor = (0.8, 0.85, 1.2, 1.3)[int(rng.integers(4))]
    for data in files["t2"]:
        data.PixelSpacing = [round(factor * float(one), 5) for one in data.PixelSpacing]


def lying_elsewhere(name: str, *, own_frame: bool) -> Callable[[Rng, Slices], dict[str, tuple[float, float, float]]]:
    """The patient lay elsewhere when this series was taken: its coordinates differ."""

    def change(rng: Rng, files: Slices) -> dict[str, tuple[float, float, float]]:
        up = float(rng.choice([-1, 1]) * rng.uniform(28, 36))
        offset = (0.0, 0.0, up)
        moved(files[name], offset)
        if own_frame:
            new_uids(files[name], "FrameOfReferenceUID")
        return {name: offset}

    return change


def cut_at_sacrum(patients: Patient, files: Slices, above_mm: float) -> None:
    """Rows below so much above L5/S1 taken away, as where the field was placed too high."""
    z = float(patients.person.centers_mm["L5/S1"][2]) + above_mm
    for name in ("t1", "t2"):
        for data in files[name]:
            rows = int((float(data.ImagePositionPatient[2]) - z) / float(data.PixelSpacing[0]))
            pixels = data.pixel_array[: max(rows, 16)]
            data.PixelData, data.Rows = np.ascontiguousarray(pixels).tobytes(), len(pixels)


def without_middle(rng: Rng, files: Slices) -> None:
    for name in ("t1", "t2"):
        ordered = by_place(files[name])
        middle, gap = len(ordered) // 2, max(2, len(ordered) // 5)
        files[name] = ordered[: middle - gap] + ordered[middle + gap :]


def without_some(rng: Rng, files: Slices) -> None:
    for name in list(files):
        keep = int(rng.integers(max(3, len(files[name]) // 2), len(files[name]) + 1))
        files[name] = files[name][:keep]


def one_side(rng: Rng, files: Slices) -> None:
    for name in ("t1", "t2"):
        ordered = by_place(files[name])
        files[name] = ordered[len(ordered) // 2 - 1 :] if rng.integers(2) else ordered[: len(ordered) // 2 + 2]


def repeated(rng: Rng, files: Slices) -> None:
    again = [copy.deepcopy(one) for one in files["t2"]]
    new_uids(again, "SeriesInstanceUID")
    stated(again, SeriesNumber=12)
    for data in again:
        new_uids([data], "SOPInstanceUID")
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    files["t2b"] = again


def repeated_elsewhere(rng: Rng, files: Slices) -> dict[str, tuple[float, float, float]]:
    """T2 taken again after the patient had moved on the table."""
    repeated(rng, files)
    return lying_elsewhere("t2b", own_frame=True)(rng, files)


def blank_places(rng: Rng, files: Slices) -> None:
    stated(every(files), ImagePositionPatient=[0, 0, 0])


# What


def named(rng: Rng, files: Slices) -> None:
    said = {
        "t1": ["SAG T1 NON FS", "T1 SAG POST-OP LUMBAR", "sag t1 tse", "T1 LUMBAR SPINE W/WO CONTRAST", "t2 sag"],
        "t2": ["SAG T2 NON FS", "T2 TSE SAG SANS FATSAT", "SAG T2 no phase wrap", "Sag T2 no fat sat", "t1 sag"],
        "axial": ["AX T2 LSPINE POST OP", "T2 tra", "AX T2 obl PHASE A>P", "ax", ""],
    }
    for name, words in said.items():
        stated(files[name], SeriesDescription=words[int(rng.integers(len(words)))], ProtocolName="LWS")


def unnamed(rng: Rng, files: Slices) -> None:
    gone = ("RepetitionTime", "EchoTime", "ScanningSequence", "SequenceVariant", "EchoTrainLength", "ProtocolName")
    stated(every(files), **{keyword: None for keyword in gone}, SeriesDescription="", SequenceName=None)


def in_seconds(rng: Rng, files: Slices) -> None:
    for data in every(files):
        data.RepetitionTime, data.EchoTime = (
            round(float(one) / 1000, 6) for one in (data.RepetitionTime, data.EchoTime)
        )


def after_agent(rng: Rng, files: Slices) -> None:
    tags: list[dict[str, object]] = [
        {"ContrastBolusAgent": "Dotarem"},
        {"ContrastBolusVolume": "12"},
        {"ContrastBolusRoute": "IV"},
        {"SeriesDescription": "T1 SAG C+"},
        {"SeriesDescription": "T1 sag KM"},
    ]
    stated(files["t1"], **tags[int(rng.integers(len(tags)))])


def no_agent(rng: Rng, files: Slices) -> None:
    stated(files["t1"], ContrastBolusAgent=("NO CONTRAST", "N/A", "None", "kein KM")[int(rng.integers(4))])


def of_fat(rng: Rng, files: Slices) -> None:
    kinds = (["DERIVED", "PRIMARY", "DIXON", "FAT"], ["ORIGINAL", "PRIMARY", "OPP_PHASE"])
    stated(files["t2"], ImageType=kinds[int(rng.integers(2))])


def with_junk(rng: Rng, files: Slices) -> None:
    """A localiser, diffusion, a report and a colour capture beside what is graded."""
    for number, (words, tags) in enumerate(
        (("localizer", {}), ("DWI b1000", {}), ("sag T2 report", {"Modality": "SR"}), ("capture", {"Modality": "OT"})),
        start=20,
    ):
        several = [copy.deepcopy(one) for one in files["t2"][:3]]
        new_uids(several, "SeriesInstanceUID")
        stated(several, SeriesDescription=words, ProtocolName="", SeriesNumber=number, **tags)
        for data in several:
            new_uids([data], "SOPInstanceUID")
        files[f"z{number}"] = several


def of_a_child(rng: Rng, files: Slices) -> None:
    ages = ("014Y", "14 y", "14", "150M", "Y014", "7Y")
    stated(every(files), PatientAge=ages[int(rng.integers(len(ages)))])


def born_late(rng: Rng, files: Slices) -> None:
    stated(every(files), PatientAge="", PatientBirthDate="20100505", StudyDate="20200101")


# Outside what was learnt


def with_metal(rng: Rng, files: Slices) -> None:
    """Voids with a bright rim on the slices about the midline, as of screws beside the discs."""
    for name in ("t1", "t2"):
        ordered = by_place(files[name])
        for data in ordered[len(ordered) // 2 - 3 : len(ordered) // 2 + 4]:
            pixels, size = data.pixel_array.copy(), data.Rows
            rows, columns = np.indices(pixels.shape)
            for at in (0.45, 0.6):
                far = np.hypot(rows - at * size, (columns - 0.5 * size) * 0.8)
                pixels[far < 0.1 * size] = 0
                pixels[(far >= 0.1 * size) & (far < 0.11 * size)] = pixels.max()
            data.PixelData = pixels.tobytes()
