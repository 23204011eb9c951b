"""Whether all images of a series were copied: by the numbers that they bear and the count that a header states.

A copy that broke off leaves nothing that is damaged; a slice that lacks between others is bridged, one at the end is
not missed by anything else.
"""

from collections.abc import Sequence

import numpy as np

from spinenet.readers.dicom.stacks import depths_mm
from spinenet.readers.sources import Frame
from spinenet.study import Note, Scope

MISSING = "images_missing"
FEWEST = 3
MOST_IN_PLACE_OF_ONE = 4
"""Numbers that lie farther apart in the mean are no running numbers."""
WIDER = 1.5
"""Slices that lie so many times the stated distance apart had others between them."""


def missing_images(name: str, frames: Sequence[Frame]) -> list[Note]:
    """What is to be said of a series that lacks images."""
    lacking = _between(frames)
    stated = max((frame.stated_count or 0 for frame in frames), default=0)
    if not lacking and stated <= len(frames):
        return []
    whole = max(len(frames) + lacking, stated)
    basis = "numbers" if lacking else "header"
    text = f"{len(frames)} of {whole} images are there, by the {basis}; copy the series again"
    return [Note(MISSING, Scope.SERIES, name, text)]


def _between(frames: Sequence[Frame]) -> int:
    """How many numbers lack between those of the images; 0 where these are no running numbers."""
    numbers = sorted({frame.image_number for frame in frames if frame.image_number is not None})
    if len(numbers) < max(FEWEST, len(frames)):
        return 0
    steps = np.diff(numbers)
    lacking = int(np.sum(steps - 1))
    if lacking > (MOST_IN_PLACE_OF_ONE - 1) * len(numbers):
        return 0
    is_counted_otherwise = len(set(steps.tolist())) == 1 and not _are_apart(frames)
    return 0 if is_counted_otherwise else lacking


def _are_apart(frames: Sequence[Frame]) -> bool:
    """Whether the slices lie farther apart than is stated: every second one lacks."""
    stated_mm = frames[0].gap_mm
    steps_mm = np.diff(np.sort(depths_mm(frames)))
    return stated_mm is not None and bool(np.median(steps_mm) > WIDER * stated_mm)
