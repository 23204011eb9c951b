"""Damaged DICOM bytes end in a ReadError or a note, never in a crash."""

import itertools
import shutil

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spinenet.errors import SpinenetError
from spinenet.readers import find_studies, read_study

_counter = itertools.count()
CHANGES = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)), max_size=6)


def read_all(folder):
    """The series that can be read, or the reason why none can."""
    try:
        return [series for source in find_studies([folder]) for series in read_study(source).series]
    except SpinenetError as error:
        return str(error)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(changes=CHANGES, in_header=st.booleans(), kept=st.floats(0.1, 1))
def test_mutated_dicom_never_crashes(tmp_path, patient, changes, in_header, kept):
    folder = tmp_path / str(next(_counter))
    paths = patient.write(folder, patient.stack(shape=(2, 16, 16)))
    content = bytearray(paths[0].read_bytes())
    size = len(content) - 512 if in_header else len(content)
    for where, new in changes:
        start = 132 + int(where * (size - 132))
        content[start : start + len(new)] = new
    paths[0].write_bytes(content[: int(kept * len(content))] if kept < 0.9 else content)
    found = read_all(folder)
    assert found, "neither an image nor a reason"
    assert isinstance(found, str) or all(np.isfinite(series.voxels_SRC).all() for series in found)
    shutil.rmtree(folder)
