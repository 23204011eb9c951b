"""Which frames of a study are one series: by Series Instance UID, and by geometry where that was scrambled.

Some anonymisers give every image a series UID of its own, some archives cut one acquisition into two. What was acquired
alike, lies in one plane family and together makes one even stack without a slice twice is one series.
"""

from collections.abc import Hashable, Sequence
from dataclasses import replace

from spinenet.readers.dicom.stacks import is_one_stack
from spinenet.readers.sources import Frame


def series_of(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Frames of one study as series, by number and UID."""
    by_uid: dict[str, list[Frame]] = {}
    for frame in sorted(frames, key=lambda frame: (frame.series_number, frame.series_uid)):
        by_uid.setdefault(frame.series_uid, []).append(frame)
    parts: dict[Hashable, list[list[Frame]]] = {}
    for uid, group in by_uid.items():
        parts.setdefault(_acquired(group) or uid, []).append(group)
    joined = [one for alike in parts.values() for one in _joined(alike)]
    return sorted(joined, key=lambda group: (group[0].series_number, group[0].series_uid))


def _acquired(group: Sequence[Frame]) -> Hashable:
    """What parts of one acquisition have in common; None where a group is not all alike."""
    kinds = {
        (
            replace(frame.acquisition, wanted=None),
            frame.rows,
            frame.columns,
            tuple(round(mm, 3) for mm in frame.spacing_mm or ()),
            tuple(round(cosine, 2) for cosine in frame.orientation),
            frame.frame_of_reference,
            frame.gap_mm,
        )
        for frame in group
    }
    return kinds.pop() if len(kinds) == 1 else None


def _joined(groups: Sequence[list[Frame]]) -> list[list[Frame]]:
    """Groups of one acquisition: all together where that makes a stack, else as they are, or in pairs that do."""
    everything = [frame for group in groups for frame in group]
    if len(groups) == 1 or is_one_stack(everything):
        return [everything]
    result: list[list[Frame]] = []
    for group in groups:
        fitting = next((one for one in result if is_one_stack([*one, *group])), None)
        if fitting is None:
            result.append(list(group))
        else:
            fitting += group
    return result
