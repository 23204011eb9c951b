"""How often the right series is taken for the right view when headers are shuffled, renamed and stripped.

python scripts/check_routing.py DICOM --cases 300: takes the studies below DICOM (such as make_phantom writes with
layout=dicom) whose own headers say what each series is, spoils copies of them in six ways, and counts the answers.
"""

import random
import tempfile
from collections import Counter
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from pydicom import dcmread
from pydicom.uid import generate_uid

from spinenet.geometry import plane_of
from spinenet.labels import View
from spinenet.locating.discs import Segmenter
from spinenet.locating.routing import route
from spinenet.model.bundle import load_bundle
from spinenet.readers import StudySource, find_studies, read_study
from spinenet.readers.sources import Frame
from spinenet.readers.views import decide_view
from spinenet.study import Basis
from spinenet.system.progress import track

PHYSICS = ("RepetitionTime", "EchoTime", "InversionTime", "ScanningSequence", "SequenceVariant", "ScanOptions",
           "SequenceName", "EchoTrainLength", "MRAcquisitionType", "InversionRecovery")  # fmt: skip
NAMING = ("SeriesDescription", "ProtocolName", "StudyDescription", "BodyPartExamined", "ImageType")
NAMES = {
    View.SAGITTAL_T1: ("t1_tse_sag_320", "SAG T1", "T1 矢状位 腰椎", "Т1 саг", "sagittale T1 lombaire", "T1w sag LWS"),
    View.SAGITTAL_T2: (
        "T2_TSE_SAG_384",
        "sag T2 FSE",
        "腰椎 T2WI 矢状",
        "Т2 саг",
        "Sagital ponderado em T2",
        "FRFSE T2",
    ),
    View.SAGITTAL_STIR: (
        "t2_tirm_sag",
        "SAG STIR",
        "T2 矢状断 脂肪抑制",
        "Т2 с подавлением жира",
        "T2 sag Fettsättigung",
    ),
    View.AXIAL_T2: ("t2_tse_tra_384", "AX T2", "T2 横断面", "Т2 акс", "T2 axiale L3-S1", "Ax T2 FRFSE"),
}
WRONG = ("T1", "T2", "sag", "Series", "17", "LS spine", "MR LUMBAR WO")
MOST_SAGITTAL, MOST_AXIAL = 5, 10
"""Slices kept of a series: routing needs no more, and 300 studies take minutes instead of hours."""

Spoiled = dict[str, list[Any]]
"""Series UID -> its data sets."""


def shuffled(series: Spoiled, views: dict[str, View], chance: random.Random) -> None:
    """Series and instance numbers mean nothing."""
    for datasets in series.values():
        number = chance.randrange(1000)
        for dataset in datasets:
            dataset.SeriesNumber, dataset.InstanceNumber = number, chance.randrange(1000)


def renamed(series: Spoiled, views: dict[str, View], chance: random.Random) -> None:
    """Names that say nothing or something wrong."""
    for datasets in series.values():
        name = chance.choice(WRONG)
        for dataset in datasets:
            dataset.SeriesDescription = dataset.ProtocolName = name


def nameless(series: Spoiled, views: dict[str, View], chance: random.Random) -> None:
    """No names at all."""
    _strip(series, NAMING)


def without_physics(series: Spoiled, views: dict[str, View], chance: random.Random) -> None:
    """Nothing but names, in languages of the world."""
    _strip(series, (*PHYSICS, *NAMING))
    for uid, datasets in series.items():
        name = chance.choice(NAMES[views[uid]])
        for dataset in datasets:
            dataset.SpecificCharacterSet, dataset.SeriesDescription = "ISO_IR 192", name


def bare(series: Spoiled, views: dict[str, View], chance: random.Random) -> None:
    """Neither physics nor names: only the image is left."""
    _strip(series, (*PHYSICS, *NAMING))


def crowded(series: Spoiled, views: dict[str, View], chance: random.Random) -> None:
    """Beside the study's own series a localiser, one after contrast agent, proton density, and an aborted repeat."""
    for uid, datasets in list(series.items()):
        others = {"PD sag": {"RepetitionTime": 2500, "EchoTime": 25, "InversionTime": None}}
        if views[uid] is View.SAGITTAL_T1:
            others = {"localizer": {}, "T1 sag post Gd": {}}
        elif views[uid] is View.AXIAL_T2:
            others = {"T1 tra": {"RepetitionTime": 600, "EchoTime": 12, "EchoTrainLength": 3}}
        for name, tags in others.items():
            _add(series, datasets, {"SeriesDescription": name, "ProtocolName": name, **tags})
        if views[uid] is not View.AXIAL_T2:
            _add(series, datasets[:2], {})


WAYS = (shuffled, renamed, nameless, without_physics, bare, crowded)


def main(folder: Path, cases: Annotated[int, typer.Option(help="Spoiled studies.")] = 300) -> None:
    """Spoil, read, route, count."""
    segment = load_bundle(None).segment
    sources = [source for source in find_studies([folder]) if source.frames]
    counts: dict[str, Counter[str]] = {way.__name__: Counter() for way in WAYS}
    for case in track(range(cases), "routing"):
        way = WAYS[case % len(WAYS)]
        source = sources[(case // len(WAYS)) % len(sources)]
        chance = random.Random(case)
        with tempfile.TemporaryDirectory() as temporary:
            views = _write_spoiled(source, Path(temporary), way, chance)
            answer = _answer(Path(temporary), views, segment)
        counts[way.__name__][answer] += 1
        if answer.startswith("wrong"):
            print(f"case {case}, {way.__name__}: {answer}")
    for name, counted in counts.items():
        print(f"{name}: {dict(counted)}")
    right = sum(counted["right"] + counted["left open and said"] for counted in counts.values())
    print(f"right: {right} of {cases} studies ({right / cases:.1%})")


def _write_spoiled(source: StudySource, folder: Path, way: Any, chance: random.Random) -> dict[str, View]:
    """Write a spoiled copy of some slices of each series; returns the view of each series by its UID."""
    frames: dict[str, list[Frame]] = {}
    for frame in sorted(source.frames, key=lambda frame: frame.position_mm[0]):
        frames.setdefault(frame.series_uid, []).append(frame)
    views = {uid: view for uid, several in frames.items() if (view := _view_of(several[0])) is not None}
    series: Spoiled = {}
    for uid, view in views.items():
        most = MOST_AXIAL if view is View.AXIAL_T2 else MOST_SAGITTAL
        start = 0 if view is View.AXIAL_T2 else max(0, (len(frames[uid]) - most) // 2)
        series[uid] = [dcmread(frame.path) for frame in frames[uid][start : start + most]]
    way(series, views, chance)
    datasets = [dataset for several in series.values() for dataset in several]
    chance.shuffle(datasets)
    for number, dataset in enumerate(datasets):
        dataset.save_as(folder / f"IM{number:05d}")
    return views


def _view_of(frame: Frame) -> View | None:
    """What an unspoiled header says."""
    normal = np.cross(frame.orientation[:3], frame.orientation[3:])
    return decide_view(plane_of(normal), frame.acquisition).view


def _answer(folder: Path, views: dict[str, View], segment: Segmenter) -> str:
    """``right``, ``left open and said`` or what is wrong with the views that a spoiled study's series get."""
    (source,) = find_studies([folder])
    routed = route(read_study(source), segment).study.series
    taken: dict[str, set[View | None]] = {}
    for one in routed:
        taken.setdefault(one.images.series_uid if one.images else "", set()).add(one.view)
    expected = dict(views)
    if View.SAGITTAL_T2 in views.values():
        expected = {uid: view for uid, view in views.items() if view is not View.SAGITTAL_STIR}
    for one in routed:
        view = expected.get(one.images.series_uid if one.images else "")
        if one.view is not None and one.view is not view:
            return f"wrong: {view} taken for {one.view} ({one.reason})"
    missing = [view for uid, view in expected.items() if view not in taken[uid]]
    if not missing:
        return "right"
    said = all(one.reason for one in routed if one.view is None)
    is_bare = all(one.basis is Basis.IMAGE or one.view is None for one in routed)
    return "left open and said" if said and is_bare else f"wrong: {', '.join(missing)} not taken"


def _strip(series: Spoiled, keywords: tuple[str, ...]) -> None:
    for datasets in series.values():
        for dataset in datasets:
            for keyword in keywords:
                if keyword in dataset:
                    delattr(dataset, keyword)


def _add(series: Spoiled, datasets: list[Any], tags: dict[str, Any]) -> None:
    """A further series of the same slices with other tags."""
    uid = generate_uid()
    series[uid] = []
    for original in datasets:
        copy = deepcopy(original)
        copy.SeriesInstanceUID, copy.SOPInstanceUID = uid, generate_uid()
        copy.file_meta.MediaStorageSOPInstanceUID = copy.SOPInstanceUID
        for keyword, value in tags.items():
            setattr(copy, keyword, value)
        series[uid].append(copy)


if __name__ == "__main__":
    typer.run(main)
