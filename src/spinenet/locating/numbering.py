"""One numbering for all series of a study.

T1 and T2 of one examination show the same discs. The series in which the lowest disc is recognised most surely decides
how levels are counted; another that lies in the same coordinates takes its names, and that is said. Coordinates are the
same where the frame of reference is, or where the image bears them out (``agreement``); a patient may have moved
within one frame. Of two series with the same lowest disc the one that counted more below a place has passed none over.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import LEVELS
from spinenet.locating.agreement import APART_MM, displacement, sagittal_points, share_frame
from spinenet.locating.discs import LEVEL_MISSED, Detection, located_series, name_levels
from spinenet.locating.given_names import renamed, with_lowest_seen
from spinenet.study import LevelFrame, LocatedSeries, Note, Scope, Series, Severity

SAME_DISC_MM = 10.0
"""Centres nearer than this, in one coordinate system, are of the same disc: about half of the 19 mm that neighbours
are apart at least (``regions.LUMBAR``)."""
SAME_PLACE_MM = 3.0
"""Two series lie in the same place when the discs they share agree to this (median); chosen by hand, on SPIDER."""


def number_study(
    detections: Sequence[Detection], names: Sequence[str] = ()
) -> tuple[tuple[LocatedSeries, ...], list[Note]]:
    """Named levels of every series that can be named, and what a user must know about the others.

    ``names`` are those that a reader gave (``Study.level_names``). No series, and every one's reason, where none can
    be.
    """
    if not names:
        return _counted(detections)
    located, notes = _counted([with_lowest_seen(one) for one in detections])
    return renamed(located, names), notes


def _counted(detections: Sequence[Detection]) -> tuple[tuple[LocatedSeries, ...], list[Note]]:
    """Levels counted from the lowest disc."""
    named = [name_levels(detection) for detection in detections]
    sure = [one for one in named if isinstance(one, LocatedSeries)]
    if not sure:
        return (), [one for one in named if isinstance(one, Note)]
    first = max(sure, key=lambda one: one.certainty)
    located, elsewhere, moved, notes = [], [], [], []
    for detection, own in zip(detections, named, strict=True):
        if not _shares_coordinates(first, detection.series):
            elsewhere.extend([own] if isinstance(own, LocatedSeries) else [])
            notes.extend([] if isinstance(own, LocatedSeries) else [_left_out(own.subject, own.text)])
            continue
        away_mm, is_clear = seen_away_mm(first, own) if isinstance(own, LocatedSeries) else (0.0, False)
        away = f"{away_mm:.0f} mm from where its coordinates put it in {first.series.name}"
        if isinstance(own, LocatedSeries) and is_clear:
            moved.append(_in_frame_of_its_own(own, own.series.name))
            text = f"lies {away}: the patient moved"
            notes.append(Note("moved", Scope.SERIES, own.series.name, text, Severity.FLAG))
            continue
        if isinstance(own, LocatedSeries) and away_mm and contradicts(first, own):
            # a level farther on looks much the same: no proof that the patient moved, but a reason to doubt the names
            notes.append(_left_out(own.series.name, f"may lie {away}"))
            continue
        one, note = _numbered_like(first, detection, own)
        located.extend([one] if one else [])
        notes.extend([note] if note else [])
    if moved:
        located = [_in_frame_of_its_own(one, first.series.name) for one in located]
    return (*completed(counted_alike(located)), *elsewhere, *moved), notes


def seen_away_mm(first: LocatedSeries, second: LocatedSeries) -> tuple[float, bool]:
    """How far a series lies from where its coordinates put it in ``first``, by the image and by its own names alike, 0
    where these do not agree, and whether the image says so clearly."""
    offset_mm = _offset_mm(first, second)
    if offset_mm is None or np.linalg.norm(offset_mm) < APART_MM:
        return 0.0, False
    found = displacement(sagittal_points(first.series, first.midline_slice, first.frames), second.series)
    is_there = np.linalg.norm(found.offset_mm[1:] + offset_mm) < APART_MM
    return (float(np.linalg.norm(offset_mm)), found.is_clear) if is_there else (0.0, False)


def _in_frame_of_its_own(one: LocatedSeries, name: str) -> LocatedSeries:
    """The series with coordinates that no other shares by its header: the image must tell what lies where."""
    frame = f"{one.series.frame_of_reference} of {name}"
    return replace(one, series=replace(one.series, frame_of_reference=frame))


def _shares_coordinates(first: LocatedSeries, series: Series) -> bool:
    """Whether places in ``first`` are the same places in another series."""
    if share_frame(first.series, series):
        return True
    return displacement(sagittal_points(first.series, first.midline_slice, first.frames), series).agrees


def _numbered_like(
    first: LocatedSeries, detection: Detection, own: LocatedSeries | Note
) -> tuple[LocatedSeries | None, Note | None]:
    """A series with the names of ``first`` where its own are missing or contradict them, and what to say of it."""
    if isinstance(own, LocatedSeries) and not contradicts(first, own):
        return own, None
    name, reason = detection.series.name, own.text if isinstance(own, Note) else ""
    frames = _frames_named_like(first, detection)
    if len(frames) >= 3:
        text = reason or f"its lowest disc looked like another one than in {first.series.name}"
        text += f"; levels are named as in {first.series.name}"
        return located_series(detection, frames), Note("named_as_other", Scope.SERIES, name, text, Severity.FLAG)
    return None, _left_out(name, reason or "its levels contradict the other series")


def _left_out(name: str, reason: str) -> Note:
    return Note("left_out", Scope.SERIES, name, f"{reason}; the series is left out", Severity.FLAG)


def contradicts(first: LocatedSeries, second: LocatedSeries) -> bool:
    """Do discs at one place bear different names in two series? False where the series do not lie in one place, or
    count from the same disc."""
    if _counts_from_the_same(second, first):
        return False
    moved = [frame.level != nearest.level for frame in second.frames if (nearest := _nearest(first, frame)) is not None]
    return len(moved) >= 3 and float(np.mean(moved)) > 0.5


def counted_alike(located: Sequence[LocatedSeries]) -> list[LocatedSeries]:
    """Series in the same place with one name for a disc: that of the series that counted most discs below it."""
    return [_counted_up(one, [other for other in located if _counts_from_the_same(one, other)]) for one in located]


def _counts_from_the_same(one: LocatedSeries, other: LocatedSeries) -> bool:
    nearest = _nearest(other, one.frames[0])
    return other is not one and nearest is not None and nearest.level == one.frames[0].level


def _counted_up(one: LocatedSeries, others: Sequence[LocatedSeries]) -> LocatedSeries:
    frames: list[LevelFrame] = []
    missed: list[str] = []
    ahead = 0
    for frame in one.frames:
        own = LEVELS.index(frame.level) + ahead
        there = [LEVELS.index(nearest.level) for other in others if (nearest := _nearest(other, frame)) is not None]
        missed += LEVELS[own : max([own, *there])]
        ahead += max([own, *there]) - own
        if LEVELS.index(frame.level) + ahead < len(LEVELS):
            frames.append(replace(frame, level=LEVELS[LEVELS.index(frame.level) + ahead]))
    text = "{} was not found between its neighbours, where another series shows it"
    notes = (Note(LEVEL_MISSED, Scope.SERIES, one.series.name, text.format(level)) for level in missed)
    return replace(one, frames=tuple(frames), notes=(*one.notes, *notes))


def completed(located: Sequence[LocatedSeries]) -> tuple[LocatedSeries, ...]:
    """Let series in the same place share what they saw: a level that one misses is taken from another, and the centre
    of a level that both show is their mean, weighted by how much of the disc each has seen."""
    return tuple(replace(one, frames=_shared_frames(one, located)) for one in located)


def _frames_named_like(first: LocatedSeries, detection: Detection) -> list[LevelFrame]:
    frames: dict[str, LevelFrame] = {}
    for disc in detection.discs:
        nearest = _nearest(first, disc.frame)
        if nearest is not None and nearest.level not in frames:
            frames[nearest.level] = replace(disc.frame, level=nearest.level)
    return sorted(frames.values(), key=lambda frame: LEVELS.index(frame.level))


def _nearest(located: LocatedSeries, frame: LevelFrame) -> LevelFrame | None:
    def distance_mm(other: LevelFrame) -> float:
        return float(np.linalg.norm((other.center_mm - frame.center_mm)[1:]))

    nearest = min(located.frames, key=distance_mm)
    return nearest if distance_mm(nearest) < SAME_DISC_MM else None


def _shared_frames(one: LocatedSeries, others: Sequence[LocatedSeries]) -> tuple[LevelFrame, ...]:
    sighted = {frame.level: [frame] for frame in one.frames}
    for other in others:
        if other is not one and _in_same_place(one, other):
            for frame in other.frames:
                sighted.setdefault(frame.level, []).append(frame)
    frames = [_mean_frame(sightings) for sightings in sighted.values()]
    return tuple(sorted(frames, key=lambda frame: LEVELS.index(frame.level)))


def _in_same_place(one: LocatedSeries, other: LocatedSeries) -> bool:
    offsets_mm = np.linalg.norm(_offsets_mm(one, other), axis=1)
    return len(offsets_mm) >= 3 and float(np.median(offsets_mm)) < SAME_PLACE_MM


def _offset_mm(first: LocatedSeries, second: LocatedSeries) -> NDArray[np.float64] | None:
    """How far discs of one name lie apart in two series, (2,) backwards and upwards; None where fewer than three do."""
    offsets_mm = _offsets_mm(first, second)
    return np.asarray(np.median(offsets_mm, axis=0)) if len(offsets_mm) >= 3 else None


def _offsets_mm(one: LocatedSeries, other: LocatedSeries) -> NDArray[np.float64]:
    """From the discs of one series to those of the same name in another, (L, 2) backwards and upwards."""
    centers_mm = {frame.level: frame.center_mm for frame in one.frames}
    shared = [frame for frame in other.frames if frame.level in centers_mm]
    return np.array([(frame.center_mm - centers_mm[frame.level])[1:] for frame in shared]).reshape(-1, 2)


def _mean_frame(sightings: Sequence[LevelFrame]) -> LevelFrame:
    """The first sighting, moved in its own plane to the mean of all that lie near it."""
    own = sightings[0]
    near = [frame for frame in sightings if np.linalg.norm((frame.center_mm - own.center_mm)[1:]) < SAME_DISC_MM]
    seen_mm2 = [frame.confidence * frame.depth_mm * frame.height_mm for frame in near]
    offset_mm = np.average([frame.center_mm - own.center_mm for frame in near], axis=0, weights=seen_mm2)
    along = offset_mm @ own.posterior * own.posterior + offset_mm @ own.superior * own.superior
    return replace(own, center_mm=own.center_mm + along)
